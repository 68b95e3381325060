//! Files written for the reference restreamer load as they are.
#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

use std::{path::Path, time::Duration};

use mainstem::config::{Config, LogLevel, Origin, parse};

/// The example of the reference's README at its first release, letter by letter.
const SEED: &str = r##"# Stream sources configuration
sources:
  - name: "primary_xtream"
    type: "xtream"
    url: "http://your-xtream-server.com:8080"
    username: "your_username"
    password: "your_password"
    max_connections: 10
    refresh_interval: 300
    enabled: true
    
  - name: "backup_m3u"
    type: "m3u"
    url: "http://example.com/playlist.m3u"
    max_connections: 5
    refresh_interval: 600
    enabled: true

# Stream filtering (all patterns are regex)
filters:
  include_name_patterns:
    - ".*HD.*"
    - ".*FHD.*"
  include_stream_patterns: []
  exclude_name_patterns:
    - ".*test.*"
    - ".*XXX.*"
  exclude_stream_patterns:
    - ".*adult.*"

# Connection management
max_total_connections: 100
bind_host: "0.0.0.0"
bind_port: 8080
public_url: "http://localhost:8080"
log_level: "INFO"
"##;

/// The example of the README of its later releases, letter by letter.
const SUCCESSOR: &str = r##"# Stream sources configuration
sources:
  - name: "primary_xtream"
    type: "xtream"
    url: "http://your-xtream-server.com:8080"
    username: "your_username"
    password: "your_password"
    max_connections: 10
    refresh_interval: 300
    enabled: true
    stream_name_prefix: "[XTream] "
    stream_name_suffix: " HD"
    
  - name: "backup_m3u"
    type: "m3u"
    url: "http://example.com/playlist.m3u"
    max_connections: 5
    refresh_interval: 600
    enabled: true
    stream_name_prefix: "[M3U] "
    stream_name_suffix: ""

# Stream filtering (all patterns are regex)
filters:
  include_name_patterns:
    - ".*HD.*"
    - ".*FHD.*"
  include_stream_patterns: []
  exclude_name_patterns:
    - ".*test.*"
    - ".*XXX.*"
  exclude_stream_patterns:
    - ".*adult.*"

# Connection management
max_total_connections: 100
bind_host: "0.0.0.0"
bind_port: 8080
public_url: "http://localhost:8080"
log_level: "INFO"

# Xtream Codes API compatibility (optional)
xtream_auth:
  enabled: false
  username: "admin"
  password: "admin"
"##;

fn load(text: &str) -> Config {
    let loaded = parse(text, Path::new("config/config.yaml"), &|_| None).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.config
}

fn patterns(list: &[catalog::Pattern]) -> Vec<&str> {
    list.iter().map(catalog::Pattern::as_str).collect()
}

#[test]
fn the_seeds_example_loads() {
    let config = load(SEED);
    let [xtream, m3u] = config.sources.as_slice() else {
        panic!("two sources: {:?}", config.sources)
    };
    assert_eq!(xtream.name.as_str(), "primary_xtream");
    assert_eq!(
        xtream.origin,
        Origin::Xtream {
            base: "http://your-xtream-server.com:8080".into(),
            username: "your_username".into(),
            password: "your_password".into(),
        }
    );
    assert_eq!(xtream.max_connections, Some(10));
    assert_eq!(xtream.refresh_interval, Duration::from_secs(300));
    assert!(xtream.enabled && m3u.enabled);
    assert_eq!(
        m3u.origin,
        Origin::M3uUrl("http://example.com/playlist.m3u".into())
    );
    assert_eq!(m3u.max_connections, Some(5));
    assert_eq!(m3u.refresh_interval, Duration::from_secs(600));
    let filters = config.filters.filters();
    assert_eq!(patterns(&filters.include_name), [".*HD.*", ".*FHD.*"]);
    assert_eq!(patterns(&filters.exclude_name), [".*test.*", ".*XXX.*"]);
    assert_eq!(patterns(&filters.exclude_stream), [".*adult.*"]);
    assert!(filters.include_stream.is_empty());
    assert_eq!(config.max_total_connections, 100);
    assert_eq!((config.bind_host.as_str(), config.bind_port), ("0.0.0.0", 8080));
    assert_eq!(config.public_url.as_deref(), Some("http://localhost:8080"));
    assert_eq!(config.log_level, LogLevel::Info);
}

#[test]
fn the_successors_example_loads() {
    let config = load(SUCCESSOR);
    let affixes: Vec<_> = config
        .sources
        .iter()
        .map(|source| {
            (
                source.stream_name_prefix.as_str(),
                source.stream_name_suffix.as_str(),
            )
        })
        .collect();
    assert_eq!(affixes, [("[XTream] ", " HD"), ("[M3U] ", "")]);
    assert!(!config.xtream_auth.enabled);
    assert_eq!(config.xtream_auth.username.expose(), "admin");
    assert_eq!(config.xtream_auth.password.expose(), "admin");
}

/// What the reference itself writes on its first start: keys in alphabetical order, `null` for what is absent.
#[test]
fn what_a_yaml_library_dumps_loads() {
    let config = load(
        "bind_port: 8081\nfilters:\n  include_name_patterns: []\nmax_total_connections: 7\nsources:\n- enabled: true\n  \
         max_connections: 3\n  name: a\n  password: null\n  type: m3u\n  url: http://example.com/a.m3u\n  username: ~\n",
    );
    assert_eq!((config.bind_port, config.max_total_connections), (8081, 7));
    assert_eq!(config.sources.len(), 1);
    assert_eq!(config.public_url, None);
}

#[test]
fn json_says_the_same_as_yaml() {
    let json = "{\r\n\t\"sources\": [{\"name\": \"\\ud83d\\udcfa \\\\ud83d\", \"type\": \"m3u\",\r\n\t\t\"url\": \"http:\\/\\/h\\/l\",\
                \"enabled\": true, \"username\": null}],\n\t\"bind_port\": 81, \"direct\": false}";
    let yaml =
        "sources:\n  - {name: '\u{1f4fa} \\ud83d', type: m3u, url: http://h/l}\nbind_port: 81\ndirect: no\n";
    assert_eq!(load(json), load(yaml));
    assert_eq!(load(yaml).sources[0].name.as_str(), "\u{1f4fa} \\ud83d");
}
