//! Everything wrong with a file is named at once, in its place, without a secret.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it does not expect"
)]

use std::path::Path;

use mainstem::config::{PROBLEMS_MAX, Problems, Severity, parse};

/// Stands for every secret in the files below.
const CANARY: &str = "hunter22";

fn env(name: &str) -> Option<String> {
    (name == "SECRET").then(|| CANARY.to_owned())
}

fn problems(text: &str) -> Problems {
    match parse(text, Path::new("config.yaml"), &env) {
        Ok(loaded) => panic!("{text}\nis valid: {:?}", loaded.warnings),
        Err(problems) => problems,
    }
}

/// Each expected problem is `line:column words`; words are a part of the message.
fn check(text: &str, expected: &[&str]) {
    let found = problems(text);
    let errors: Vec<_> = found
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .collect();
    assert_eq!(errors.len(), expected.len(), "{text}\n{found}");
    for (error, expected) in errors.iter().zip(expected) {
        let (place, words) = expected.split_once(' ').unwrap();
        assert_eq!(
            format!("{}:{}", error.line, error.column),
            place,
            "{text}\n{found}"
        );
        assert!(error.message.contains(words), "{text}\n{found}");
    }
    assert!(!found.to_string().contains(CANARY), "{found}");
}

fn source(line: &str) -> String {
    format!(
        "sources:\n  - name: a\n    type: xtream\n    url: http://h\n    username: u\n    password: p\n    {line}\n"
    )
}

#[test]
fn keys() {
    check(
        "sorces: []",
        &["1:1 unknown key `sorces`; did you mean `sources`?"],
    );
    check("bind-port: 1", &["1:1 did you mean `bind_port`?"]);
    check("Bind_Port: 1", &["1:1 did you mean `bind_port`?"]);
    check("quite_other: 1", &["1:1 known here: sources, filters"]);
    check("timing:\n  conect: 1", &["2:3 did you mean `connect`?"]);
    check("bind_port: 1\nbind_port: 2", &["2:1 `bind_port` is given twice"]);
    check("[1, 2]", &["1:1 expected keys with values, found a list"]);
    check("? [a]\n: b", &["1:3 a key must be a plain word"]);
    check("bind_port: 1\n---\nbind_port: 2", &["2:1 one document"]);
}

#[test]
fn values() {
    check(
        "bind_port: eighty",
        &["1:12 expected a whole number, found `eighty`"],
    );
    check("bind_port: 80.5", &["1:12 expected a whole number"]);
    check("bind_port: 65536", &["1:12 from 0 to 65535"]);
    check("bind_port: -1", &["1:12 out of range"]);
    check("bind_port: 99999999999999999999999", &["1:12 out of range"]);
    check("bind_port: [80]", &["1:12 expected a whole number"]);
    check("bind_host: ''", &["1:12 `bind_host` is empty"]);
    check(
        "direct: maybe",
        &["1:9 expected `true` or `false`, found `maybe`"],
    );
    check("log_level: INF0", &["1:12 did you mean `INFO`?"]);
    check("log_format: xml", &["1:13 expected one of text, json"]);
    check("sources: a", &["1:10 expected a list"]);
    check("sources:\n  - a", &["2:5 expected keys with values"]);
    check("timing: {linger: 5 parsecs}", &["1:18 expected a duration"]);
    check("timing: {linger: -5s}", &["1:18 expected a duration"]);
    check(
        "timing: {linger: 99999999999999999999d}",
        &["1:18 expected a duration"],
    );
    check("timing: {stall: 0s}", &["1:17 from 500ms to 1m"]);
    check(
        "timing: {backoff_min: 9s}",
        &["1:9 `backoff_min` is greater than `backoff_max`"],
    );
    check("limits: {ring_bytes: 1TiB}", &["1:22 expected a number of bytes"]);
    check(
        "limits: {ring_bytes: 99999999999999999GiB}",
        &["1:22 expected a number of bytes"],
    );
    check(
        "limits: {ring_bytes: 1GiB}",
        &["1:9 greater than `ring_bytes_max`"],
    );
    check("public_url: localhost:8080", &["1:13 write http:// or https://"]);
    check("public_url: http://h/?a=b", &["1:13 query"]);
    check(
        "trusted_proxies: [10.0.0.0/33, proxy]",
        &["1:19 from 0 to 32", "1:32 not an IP address"],
    );
}

#[test]
fn sources() {
    check(
        "sources:\n  - url: x",
        &["2:5 `name` is missing", "2:5 `type` is missing"],
    );
    check(
        "sources:\n  - name: a\n    type: xtream\n",
        &["2:5 `url` is missing", "2:5 `username`", "2:5 `password`"],
    );
    check(&source("password_file: x"), &["7:20 not both"]);
    check(&source("headers: {'a b': c}"), &["7:15 no header name"]);
    check(&source("headers: {a: \"c\\r\\nd\"}"), &["7:18 line breaks"]);
    check(&source("user_agent: \"a\\nb\""), &["7:17 control characters"]);
    check(&source("max_connections: 0"), &["7:22 from 1 to 10000"]);
    check(&source("series: sometimes"), &["7:13 off, on_demand, expand"]);
    check(&source("type: m3u"), &["7:5 given twice"]);
    check(
        "sources:\n  - {name: a, type: m3u, url: 'htp://h'}",
        &["2:31 `htp` is not possible"],
    );
    check(
        "sources:\n  - {name: a, type: m3u, url: 'http:/h'}",
        &["2:31 names no host"],
    );
    check(
        "sources:\n  - {name: a, type: m3u, url: 'http://'}",
        &["2:31 not a URL"],
    );
    check(
        "sources:\n  - {name: a, type: xtrem, url: 'htp://h'}",
        &["2:21 did you mean `xtream`?", "2:33 `htp`"],
    );
    check(
        "sources:\n  - {name: a, type: testcard}\n  - {name: a, type: testcard}",
        &["3:12 `a` is taken by the source at line 2"],
    );
    check(
        "sources:\n  - {name: a, type: xtream, url: http://h, username: u, password_file: /nonexistent/pw}",
        &["2:72 /nonexistent/pw cannot be read"],
    );
}

#[test]
fn patterns() {
    check(
        "filters: {include_name_patterns: ['ok', '(abc']}",
        &["1:42 unterminated subpattern"],
    );
    check(
        "filters:\n  exclude_name_patterns:\n  - 'a'\n  - 'b)'\n",
        &["4:7 unbalanced parenthesis"],
    );
    check("filters: {exclude_name_patterns: [[HD]]}", &["1:35 in quotes"]);
}

#[test]
fn variables() {
    check("bind_host: ${NOPE}", &["1:12 `NOPE` is not set"]);
    check("bind_host: 'a ${NOPE} b'", &["1:15 `NOPE` is not set"]);
    check("bind_host: '${NOPE'", &["1:13 never closed"]);
    check("bind_host: '${NO PE}'", &["1:13 name of an environment variable"]);
    check("bind_host: '${A:-${B}}'", &["1:13 a default is plain text"]);
    // A variable's value is not shown, wherever it was put by mistake.
    check("bind_port: ${SECRET}", &["1:12 not what the variable holds"]);
    check("log_level: ${SECRET}", &["1:12 not what the variable holds"]);
    check("public_url: ${SECRET}", &["1:13 not a URL"]);
}

#[test]
fn syntax() {
    check("a: [1, 2\nb: 3\n", &["2:2 "]);
    check("sources:\n  - name: a\n   type: m3u\n", &["3:4 "]);
    check(
        "filters: {include_name_patterns: [\"\\d+\"]}",
        &["1:35 single quotes"],
    );
    check(
        "filters: {include_name_patterns: [a${NOPE}]}",
        &["1:37 must be quoted"],
    );
    check(
        "filters:\n  include_name_patterns:\n  - *HD*\n",
        &["3:5 must be quoted"],
    );
    check("password: !vault abc\n", &["1:11 the tag !vault"]);
}

#[test]
fn all_at_once_and_in_order() {
    let text = format!(
        "sorces: []\nbind_port: eighty\nsources:\n  - name: a\n    type: xtrem\n    pasword: {CANARY}\n    url: htp://u:{CANARY}@host/x\n  \
         - type: xtream\n    name: b\n    url: \"http://user:{CANARY}@host/\"\n    username: {CANARY} # {CANARY}\nlog_level: loud\n"
    );
    check(
        &text,
        &[
            "1:1 `sorces`",
            "2:12 whole number",
            "5:11 `xtrem`",
            "6:5 `pasword`",
            "7:10 `htp`",
            "8:5 `password`",
            "12:12 `loud`",
        ],
    );
    let many: String = (0..1000).map(|n| format!("k{n}: 1\n")).collect();
    assert_eq!(problems(&many).problems.len(), PROBLEMS_MAX);
}

#[test]
fn a_problem_prints_with_its_line() {
    let shown = problems("direct: yes\nbind_port: \"eighty\"  # not 80\n").to_string();
    assert_eq!(
        shown,
        "config.yaml:2:12: error: expected a whole number, found `eighty`\n \
         2 | bind_port: \"eighty\"  # not 80\n   |            ^^^^^^^^"
    );
}

#[test]
fn secrets_are_masked_wherever_they_stand() {
    let shown = |text: &str| {
        let shown = problems(text).to_string();
        assert!(!shown.contains(CANARY), "{shown}");
        shown
    };
    // The caret moves along with what is masked before it.
    let flow = format!(
        "sources: [{{name: a, type: m3u, password: {CANARY}, url: 'http://u:{CANARY}@h/x', live: 7}}]"
    );
    let text = shown(&flow);
    let lines: Vec<_> = text.lines().rev().collect();
    assert!(
        lines[1].contains("password: ***, url: http://h/…, live: 7"),
        "{text}"
    );
    assert_eq!(lines[0].find('^'), lines[1].replace('…', ".").find('7'), "{text}");
    let text = shown("sources: [{name: a, type: m3u, url: http://host, live: 7}]");
    assert!(text.contains("url: http://host/…, live: 7"), "{text}");
    for text in [
        format!("sources: [{{name: a, type: m3u, url: l, password: [{CANARY}]}}]"),
        format!("xtream_auth: {CANARY}"),
        format!("xtream_auth: [{CANARY}]"),
        format!("xtream_auth: {{passwrd: {CANARY}}}"),
        format!("bind_port: &p {CANARY}x\nxtream_auth: {{password: *p, bad: 1}}\nlog_level: {{a: {CANARY}}}")
            .replace(&format!("{CANARY}x"), "1"),
        format!("{{\"xtream_auth\": {{\"password\": \"{CANARY}\", \"bad\": 1}}}}"),
        format!("xtream_auth:\r\n  password: {CANARY} # {CANARY}\r\n  bad: {CANARY}\r\n"),
        format!("xtream_auth: {{password: 'a\n   {CANARY}\n   b', bad: 1}}"),
        format!("xtream_auth:\n  password: |\n    {CANARY}\n  bad: 1\n"),
        format!("sources: [{{name: a, type: m3u, url: l, headers: {{A: {CANARY}, 'b c': {CANARY}}}}}]"),
        format!("xtream_auth: {{username: \u{1f4fa}{CANARY}, password: \u{e9}{CANARY}, bad: 1}}"),
        // No tree at all.
        format!("xtream_auth:\n  password: \"{CANARY}\n"),
        format!("xtream_auth:\n  password: \"{CANARY}\" x\n"),
        format!("xtream_auth: {{password: {CANARY}, ]\n"),
        format!("xtream_auth:\n  username: {CANARY}: b\n  password: x: {CANARY}\n"),
        format!("name: {{a: {CANARY}]\n"),
        format!("bind_host: \"a\" {CANARY}, password: {CANARY}\n"),
        format!("password: 'x\n {CANARY}\n: ]\n"),
    ] {
        shown(&text);
    }
}

#[test]
fn rules_for_channels() {
    check(
        r#"
channels:
  group_by: nomalised
  number_from: 1000000
  never_merge:
    - [One]
  rules:
    - match: { name: "(a" }
      drop: true
    - match: { name: "(a)" }
      rename: '\2'
    - match: { url: "(a)" }
      group: '\1'
    - match: { group: "x" }
      replace: ""
    - match: { name: "x" }
      split_event: true
    - match: { name: "x" }
      rename: a
      replace: b
    - number: 5.1.2
    - match: { nme: "x" }
      hide: true
"#,
        &[
            "3:13 did you mean `normalised`?",
            "4:16 out of range",
            "6:7 two names at least",
            "8:23 unterminated subpattern",
            "11:15 invalid group reference 2",
            "13:14 URLs carry passwords",
            "14:7 `replace` needs a pattern of the name",
            "16:7 a group `channel`",
            "18:7 one of them makes the name",
            "21:15 a channel number is like 5 or 5.1",
            "22:16 unknown key `nme`; did you mean `name`?",
        ],
    );
}
