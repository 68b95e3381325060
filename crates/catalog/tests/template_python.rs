//! Templates mean what CPython's `re.sub` says they mean: every probe is asked of both.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod support;

use catalog::{Pattern, Template};
use serde_json::{Value, json};

/// Per pattern, template and text: null for "cannot be used", or the text replaced.
const SCRIPT: &str = r#"
import json, re, sys
def ask(pattern, template, text):
    try:
        return re.sub(pattern, template, text, flags=re.IGNORECASE)
    except (re.error, IndexError):
        return None
json.dump([ask(*probe) for probe in json.load(sys.stdin)], sys.stdout)
"#;

const PROBES: &[(&str, &str, &str)] = &[
    ("HD", "", "One HD hd"),
    (r"\s*\bHD\b\s*", " ", "One HD Two"),
    (r"^UK: (.*)", r"\1", "UK: One"),
    (r"^(\w+): (.*)$", r"\2 (\1)", "UK: One"),
    (r"(?P<a>\w+) (?P<b>\w+)", r"\g<b> \g<a>", "one two three four"),
    (r"(\w+)", r"<\g<0>>", "a b"),
    (r"(\w+)", r"<\g<1>>", "a b"),
    (r"(a)|(b)", r"[\1\2]", "abc"),
    (r"(a)?b", r"[\1]", "ab b"),
    ("x*", "-", "abxd"),
    ("x*", "-", ""),
    ("", "-", "añb"),
    (r"\b", "|", "one two"),
    ("x", r"\n\t\\", "x"),
    ("x", r"\a\b\f\v\r", "x"),
    ("x", r"\.", "x"),
    ("x", r"\-\é", "x"),
    ("x", r"\q", "x"),
    ("x", r"\d", "x"),
    ("x", "\\", "x"),
    ("(x)", r"\2", "x"),
    ("(x)", r"\g<2>", "x"),
    ("(x)", r"\g<n>", "x"),
    ("(x)", r"\g<", "x"),
    ("(x)", r"\g", "x"),
    ("(x)", r"\g<>", "x"),
    ("(x)", r"\g<1a>", "x"),
    ("(x)", r"\10", "x"),
    ("(x)", r"\101", "x"),
    ("(x)", r"\0", "x"),
    ("(x)", r"\07", "x"),
    ("(x)", r"\012", "x"),
    ("(x)", r"\400", "x"),
    ("(x)", r"\1\1", "x"),
    ("(x)", r"\18", "x"),
    ("x", "$1", "x"),
    ("x", "$0 ${1}", "x"),
    ("(?i)É", "e", "École é"),
    ("(?<=a)b", "X", "ab cb"),
    ("(?=b)", "^", "abab"),
    ("a$", "Z", "aa"),
    ("^", "> ", "a\nb"),
    ("(?m)^", "> ", "a\nb"),
    ("i", "!", "İıIi"),
    (r"(\d+)\.(\d+)", r"\2.\1", "5.10 6.1"),
    (r"[⁰-⁹]+", "", "HD⁶⁰ x"),
    (r"(?P<é>x)", r"\g<é>", "x"),
];

#[test]
fn templates_mean_what_python_says() {
    assert!(PROBES.len() >= 40);
    let Some(answers) = support::python(SCRIPT, &json!(PROBES)) else {
        return;
    };
    let mut differences = Vec::new();
    for (&(pattern, template, text), answer) in PROBES.iter().zip(answers.as_array().unwrap()) {
        let compiled = Pattern::compile(pattern).unwrap();
        let ours = match Template::parse(template, Some(&compiled)) {
            Ok(template) => json!(compiled.replace_all(text, &template).unwrap()),
            Err(_) => Value::Null,
        };
        if ours != *answer {
            differences.push(format!(
                "{pattern:?} {template:?} {text:?}: {ours}, Python says {answer}"
            ));
        }
    }
    if !differences.is_empty() {
        panic!("{}", differences.join("\n"));
    }
}
