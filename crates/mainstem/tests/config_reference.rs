//! Schema, documentation and example say what the program does. `MAINSTEM_BLESS=1` rewrites what is generated.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it does not expect"
)]

use std::{fs, path::PathBuf};

use mainstem::config::{Config, parse, reference, schema};
use serde_json::Value;

fn project_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// Compares a committed file with what is generated, or rewrites it.
fn check_generated(name: &str, expected: &str) {
    let path = project_file(name);
    if std::env::var_os("MAINSTEM_BLESS").is_some() {
        fs::write(&path, expected).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == expected,
        "{name} is out of date: run the test with MAINSTEM_BLESS=1"
    );
}

#[test]
fn the_schema_is_up_to_date() {
    check_generated("config/config.schema.json", &schema::text());
}

#[test]
fn the_documentation_is_up_to_date() {
    let name = "docs/configuration.md";
    let text = fs::read_to_string(project_file(name)).unwrap();
    let (before, rest) = text.split_once("<!-- keys:").unwrap();
    let (marker, rest) = rest.split_once("-->\n").unwrap();
    let (_, after) = rest.split_once("<!-- /keys -->").unwrap();
    let tables = reference::tables();
    check_generated(
        name,
        &format!("{before}<!-- keys:{marker}-->\n\n{tables}<!-- /keys -->{after}"),
    );
}

fn example() -> String {
    fs::read_to_string(project_file("config/config.yaml.example")).unwrap()
}

fn load(text: &str) -> Config {
    let path = project_file("config/config.yaml");
    let loaded = parse(text, &path, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    loaded.config
}

#[test]
fn the_example_loads_and_names_every_key_with_its_default() {
    let text = example();
    load(&text);
    let keys: Vec<_> = text
        .lines()
        .filter_map(|line| {
            line.trim_start()
                .trim_start_matches("# ")
                .trim_start_matches("- ")
                .split_once(':')
        })
        .collect();
    for entry in reference::entries() {
        let values: Vec<_> = keys
            .iter()
            .filter(|(name, _)| *name == entry.name)
            .map(|(_, value)| value.trim())
            .collect();
        assert!(
            !values.is_empty(),
            "{}{} is not in the example",
            entry.section,
            entry.name
        );
        // Where the example sets something else, it says why in words.
        let is_shown =
            entry.default.is_empty() || text.contains(&format!("{}: {}", entry.name, entry.default));
        let is_set = !text.contains(&format!("# {}:", entry.name));
        assert!(
            is_shown || is_set,
            "{}{}: the default is {}",
            entry.section,
            entry.name,
            entry.default
        );
    }
}

#[test]
fn the_examples_defaults_are_the_defaults() {
    let text = example();
    let with_default: Vec<_> = reference::entries()
        .into_iter()
        .filter(|entry| !entry.default.is_empty())
        .map(|entry| entry.name)
        .collect();
    let mut uncommented = 0;
    let spelled_out: Vec<String> = text
        .lines()
        .map(|line| {
            let key = line
                .trim_start()
                .strip_prefix("# ")
                .and_then(|rest| Some(rest.split_once(": ")?.0));
            if key.is_some_and(|key| with_default.iter().any(|name| name == key)) {
                uncommented += 1;
                line.replacen("# ", "", 1)
            } else {
                line.to_owned()
            }
        })
        .collect();
    assert!(uncommented > 40, "{uncommented} defaults are in the example");
    assert_eq!(load(&spelled_out.join("\n")), load(&text));
}

/// The words of the schema that the schema of the configuration uses; enough to try it on a file.
fn validates(schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
        let is_valid = any.iter().any(|schema| validates(schema, value, path).is_ok());
        return if is_valid {
            Ok(())
        } else {
            Err(format!("{path}: none of anyOf"))
        };
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return if words.contains(value) {
            Ok(())
        } else {
            Err(format!("{path}: {value} is not in {words:?}"))
        };
    }
    let is_type = |name: &str| match name {
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("type {other}"),
    };
    let is_typed = match &schema["type"] {
        Value::String(name) => is_type(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is_type),
        _ => true,
    };
    if !is_typed {
        return Err(format!("{path}: {value} is not {}", schema["type"]));
    }
    if let (Some(number), Some(low), Some(high)) = (
        value.as_f64(),
        schema["minimum"].as_f64(),
        schema["maximum"].as_f64(),
    ) && !(low..=high).contains(&number)
    {
        return Err(format!("{path}: {value} is not from {low} to {high}"));
    }
    for item in value.as_array().into_iter().flatten() {
        validates(&schema["items"], item, &format!("{path}[]"))?;
    }
    for name in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.get(name).is_none() {
            return Err(format!("{path}: {name} is missing"));
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) => validates(schema, value, &path)?,
            (None, Value::Bool(false)) => return Err(format!("{path}: unknown")),
            (None, schema) => validates(schema, value, &path)?,
        }
    }
    Ok(())
}

#[test]
fn the_schema_takes_what_the_program_takes_and_refuses_what_it_refuses() {
    let schema = schema::schema();
    for (text, expected) in [
        (
            r#"{"sources":[{"name":"a","type":"m3u","url":"http://h/l","max_connections":5,"refresh_interval":300}]}"#,
            true,
        ),
        (
            r#"{"sources":[{"name":"a","type":"xtream","url":"http://h","username":7,"password":"p","headers":{"A":"b"}}]}"#,
            true,
        ),
        (
            r#"{"bind_port":8080,"direct":true,"timing":{"linger":"5s"},"limits":{"ring_bytes":1048576}}"#,
            true,
        ),
        (
            r#"{"filters":{"include_name_patterns":["HD"]},"trusted_proxies":["10.0.0.0/8"]}"#,
            true,
        ),
        (r#"{"sources":[{"name":"a"}]}"#, false),
        (
            r#"{"sources":[{"name":"a","type":"testcard","pasword":"p"}]}"#,
            false,
        ),
        (r#"{"bind_port":65536}"#, false),
        (r#"{"limits":{"viewers":0}}"#, false),
        (r#"{"bind_port":[1]}"#, false),
        (r#"{"filters":{"include_name_patterns":"HD"}}"#, false),
        (r#"{"sorces":[]}"#, false),
    ] {
        let value: Value = serde_json::from_str(text).unwrap();
        let by_schema = validates(&schema, &value, "");
        assert_eq!(by_schema.is_ok(), expected, "{text}: {by_schema:?}");
        let by_program = parse(text, &project_file("config/config.json"), &|_| None);
        assert_eq!(by_program.is_ok(), expected, "{text}");
    }
}
