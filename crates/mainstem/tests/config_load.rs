//! Values in, settings out.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it does not expect"
)]

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use mainstem::config::{Config, Loaded, LogLevel, Network, Origin, Series, data_dir, load, parse};
use tracing::level_filters::LevelFilter;

fn env(name: &str) -> Option<String> {
    let value = match name {
        "PLAIN" => "hello",
        "ODD" => "pa$$w0rd: ${PLAIN} 'x' # y",
        "YAML" => "a: b",
        "ZEROS" => "001",
        "NUMBER" => "9191",
        "OFF" => "false",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn read(text: &str) -> Loaded {
    parse(text, Path::new("conf/config.yaml"), &env).unwrap_or_else(|problems| panic!("{text}\n{problems}"))
}

fn config(text: &str) -> Config {
    read(text).config
}

#[test]
fn variables_go_in_verbatim() {
    let check = |written: &str, expected: &str| {
        let text = format!(
            "sources:\n- name: a\n  type: xtream\n  url: http://h\n  username: u\n  password: {written}\n"
        );
        match &config(&text).sources[0].origin {
            Origin::Xtream { password, .. } => assert_eq!(password.expose(), expected, "{written}"),
            other => panic!("{other:?}"),
        }
    };
    check("pa$$w0rd", "pa$$w0rd");
    check("001", "001");
    check("12345", "12345");
    check("1e3", "1e3");
    check("true", "true");
    check("'null'", "null");
    check("'a: b'", "a: b");
    check("$", "$");
    check("$PLAIN", "$PLAIN");
    check("\"${PLAIN}\"", "hello");
    check("'${PLAIN}'", "hello");
    check("x${PLAIN}y${ZEROS}", "xhelloy001");
    check("'${ODD}'", "pa$$w0rd: ${PLAIN} 'x' # y");
    check("'${YAML}'", "a: b");
    check("'$${PLAIN}'", "${PLAIN}");
    check("'$$${PLAIN}'", "$${PLAIN}");
    check("'$$ ${PLAIN}'", "$$ hello");
    check("'${NOPE:-de:-fault}'", "de:-fault");
    check("'${EMPTY:-default}'", "default");
    check("'a${EMPTY}b'", "ab");
    check("'a${NOPE:-}b'", "ab");
}

#[test]
fn variables_reach_every_type() {
    let config = config(
        "bind_port: \"${NUMBER}\"\ndirect: ${OFF}\nlog_level: ${NOPE:-debug}\ntiming: {linger: '${NOPE:-3}s'}\n\
         limits: {ring_bytes: '${NOPE:-2}MiB'}\nfilters: {exclude_name_patterns: ['^${PLAIN}$']}\n",
    );
    assert_eq!(config.bind_port, 9191);
    assert!(!config.direct);
    assert_eq!(config.log_level, LogLevel::Debug);
    assert_eq!(config.timing.linger, Duration::from_secs(3));
    assert_eq!(config.limits.ring_bytes, 2 << 20);
    let pattern = &config.filters.filters().exclude_name[0];
    assert!(pattern.search("HELLO").unwrap() && !pattern.search("hello!").unwrap());
}

#[test]
fn durations() {
    let check = |written: &str, millis: u64| {
        let config = config(&format!(
            "sources: [{{name: a, type: testcard, refresh_interval: {written}}}]"
        ));
        assert_eq!(
            config.sources[0].refresh_interval,
            Duration::from_millis(millis),
            "{written}"
        );
    };
    check("300", 300_000);
    check("\"300\"", 300_000);
    check("12.5", 12_500);
    check("4h", 14_400_000);
    check("30m", 1_800_000);
    check("1h30m", 5_400_000);
    check("1d 2h", 93_600_000);
    check("10500ms", 10_500);
    check("90 seconds", 90_000);
}

#[test]
fn log_levels_by_every_name() {
    let check = |name: &str, expected: LevelFilter| {
        assert_eq!(
            LevelFilter::from(config(&format!("log_level: {name}")).log_level),
            expected,
            "{name}"
        );
        assert_eq!(
            LevelFilter::from(name.parse::<LogLevel>().unwrap()),
            expected,
            "{name}"
        );
    };
    for (name, level) in [
        ("DEBUG", LevelFilter::DEBUG),
        ("INFO", LevelFilter::INFO),
        ("WARNING", LevelFilter::WARN),
        ("warn", LevelFilter::WARN),
        ("ERROR", LevelFilter::ERROR),
        ("CRITICAL", LevelFilter::ERROR),
        ("trace", LevelFilter::TRACE),
    ] {
        check(name, level);
        check(&name.to_lowercase(), level);
    }
    assert!("loud".parse::<LogLevel>().is_err());
}

#[test]
fn origins() {
    let check = |source: &str, expected: Origin| {
        let config = config(&format!("sources:\n  - {{name: a, {source}}}"));
        assert_eq!(config.sources[0].origin, expected, "{source}");
    };
    let xtream = |base: &str| Origin::Xtream {
        base: base.into(),
        username: "u".into(),
        password: "p&q".into(),
    };
    let credentials = "username: u, password: 'p&q'";
    check(
        &format!("type: xtream, url: 'http://h:80/', {credentials}"),
        xtream("http://h"),
    );
    check(
        &format!("type: xtream, url: ' https://h/sub/ ', {credentials}"),
        xtream("https://h/sub"),
    );
    check(
        &format!("type: XTREAM, url: 'http://h:8080/player_api.php', {credentials}"),
        xtream("http://h:8080"),
    );
    check(
        "type: xtream, url: 'http://h/c/get.php?username=u&password=p%26q&type=m3u_plus'",
        xtream("http://h/c"),
    );
    check(
        "type: m3u, url: 'http://h/l.m3u?a=b'",
        Origin::M3uUrl("http://h/l.m3u?a=b".into()),
    );
    check(
        "type: m3u, url: 'lists/my list.m3u'",
        Origin::M3uFile(PathBuf::from("conf/lists/my list.m3u")),
    );
    check(
        "type: m3u, url: /srv/l.m3u",
        Origin::M3uFile(PathBuf::from("/srv/l.m3u")),
    );
    check(
        "type: m3u, url: 'file:///srv/a%20b.m3u'",
        Origin::M3uFile(PathBuf::from("/srv/a b.m3u")),
    );
    check("type: testcard", Origin::Testcard);
}

#[test]
fn source_switches() {
    let config = config(
        "x-common: &common {type: testcard, vod: no, max_connections: 2}\nsources:\n  - <<: *common\n    name: a\n    \
         max_connections: 3\n    series: off\n    headers: {X-One: 1, Cookie: 'a=${PLAIN}'}\n  - {name: b, type: testcard, series: expand}\n",
    );
    let [a, b] = config.sources.as_slice() else {
        panic!("{config:?}")
    };
    assert_eq!(
        (a.vod, a.live, a.max_connections, a.series),
        (false, true, Some(3), Series::Off)
    );
    let headers: Vec<_> = a
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()))
        .collect();
    assert_eq!(headers, [("X-One", "1"), ("Cookie", "a=hello")]);
    assert_eq!((b.vod, b.max_connections, b.series), (true, None, Series::Expand));
    assert!(!format!("{config:?}").contains("hello"), "headers print redacted");
}

#[test]
fn public_url_and_proxies() {
    let check = |written: &str, expected: Option<&str>| {
        assert_eq!(
            config(&format!("public_url: {written}")).public_url.as_deref(),
            expected,
            "{written}"
        );
    };
    check("http://localhost:8080", Some("http://localhost:8080"));
    check("https://example.com/tv/", Some("https://example.com/tv"));
    check("''", None);
    check("", None);
    let proxies = config("trusted_proxies: [10.0.0.0/8, 192.0.2.7, 'fd00::/8', 0.0.0.0/0]").trusted_proxies;
    let contains = |network: &Network, address: &str| network.contains(address.parse::<IpAddr>().unwrap());
    assert!(contains(&proxies[0], "10.255.0.1") && !contains(&proxies[0], "11.0.0.1"));
    assert!(contains(&proxies[0], "::ffff:10.0.0.1"));
    assert!(contains(&proxies[1], "192.0.2.7") && !contains(&proxies[1], "192.0.2.8"));
    assert!(contains(&proxies[2], "fd12::1") && !contains(&proxies[2], "fe80::1"));
    assert!(contains(&proxies[3], "203.0.113.1") && !contains(&proxies[3], "::1"));
}

#[test]
fn secrets_from_files() {
    let folder = tempdir("secrets");
    fs::write(folder.join("pw"), "pa$$ ${PLAIN}\nsecond line\n").unwrap();
    fs::write(
        folder.join("config.yaml"),
        "sources: [{name: a, type: xtream, url: http://h, username: u, password_file: pw}]",
    )
    .unwrap();
    let loaded = load(&folder.join("config.yaml"), &env).unwrap();
    match &loaded.config.sources[0].origin {
        Origin::Xtream { password, .. } => assert_eq!(password.expose(), "pa$$ ${PLAIN}"),
        other => panic!("{other:?}"),
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_source_that_is_off_may_be_unfinished() {
    let loaded = read(
        "sources:\n  - {name: a, type: testcard}\n  - {name: b, type: xtream, url: http://h, enabled: no, password: '${NOPE}'}\n",
    );
    let warnings: Vec<_> = loaded
        .warnings
        .iter()
        .map(|warning| warning.message.as_str())
        .collect();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.contains("`NOPE` is not set")),
        "{warnings:?}"
    );
    assert!(
        warnings.iter().any(|warning| warning.contains("`username`")),
        "{warnings:?}"
    );
}

#[test]
fn a_known_password_is_warned_of() {
    let warnings = |text: &str| {
        read(&format!(
            "sources: [{{name: a, type: testcard}}]\nxtream_auth: {text}"
        ))
        .warnings
    };
    assert_eq!(warnings("{enabled: true}").len(), 1);
    assert!(warnings("{enabled: true, password: other}").is_empty());
    assert!(warnings("{enabled: false}").is_empty());
}

#[test]
fn nothing_is_a_configuration() {
    for text in ["", "\u{feff}", "# nothing\n", "sources:\n", "{}", "---\n"] {
        let loaded = read(text);
        assert_eq!(loaded.config, Config::default(), "{text:?}");
        assert!(
            loaded.warnings[0].message.contains("no source is enabled"),
            "{text:?}"
        );
    }
}

#[test]
fn a_changed_part_is_told_from_the_others() {
    let base = config("sources: [{name: a, type: testcard}]\nfilters: {exclude_name_patterns: [x]}\n");
    let other = config("sources: [{name: a, type: testcard}]\nfilters: {exclude_name_patterns: [y]}\n");
    assert_eq!(base.sources, other.sources);
    assert_ne!(base.filters, other.filters);
    assert_ne!(base, other);
}

#[test]
fn where_state_is_kept() {
    let check = |file: &str, env: &[(&str, &str)], expected: Option<&str>| {
        let env = |name: &str| {
            env.iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(
            data_dir::resolve(&config(file), &env),
            expected.map(PathBuf::from)
        );
    };
    let home = ("HOME", "/home/a");
    check("", &[home], Some("/home/a/.local/state/mainstem"));
    check("", &[("XDG_STATE_HOME", "/x"), home], Some("/x/mainstem"));
    check(
        "",
        &[("XDG_STATE_HOME", "x"), home],
        Some("/home/a/.local/state/mainstem"),
    );
    check(
        "",
        &[("STATE_DIRECTORY", "/s:/t"), ("XDG_STATE_HOME", "/x")],
        Some("/s"),
    );
    check("data_dir: /d", &[("STATE_DIRECTORY", "/s")], Some("/d"));
    check("data_dir: /d", &[("MAINSTEM_DATA_DIR", "/m")], Some("/m"));
    check("", &[], None);
}

fn tempdir(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("mainstem-config-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}
