//! The JSON Schema (draft 2020-12) of the configuration, for editors.

use serde_json::{Map, Value, json};

use super::{
    section::{Key, Setting as _, Shape},
    settings::Keys,
};

/// What every value may be instead: a text with a variable in it.
const VARIABLE: &str = r"\$\{";

/// The schema as JSON.
pub fn schema() -> Value {
    let mut root = of_shape(&Keys::shape(), None);
    if let Some(root) = root.as_object_mut() {
        root.insert(
            "$schema".into(),
            "https://json-schema.org/draft/2020-12/schema".into(),
        );
        root.insert("title".into(), "mainstem".into());
        if let Some(Value::Object(properties)) = root.get_mut("properties") {
            properties.insert("$schema".into(), json!({ "type": "string" }));
        }
    }
    root
}

/// The schema as the text of a file.
pub fn text() -> String {
    format!("{:#}\n", sorted(schema()))
}

/// The keys of all objects in order, whether or not some crate of the build asks `serde_json` to keep theirs.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(object) => {
            let mut pairs: Vec<_> = object.into_iter().collect();
            pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
            pairs
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect()
        }
        other => other,
    }
}

fn of_shape(shape: &Shape, key: Option<&Key>) -> Value {
    let either = |natural: &str, pattern: &str| json!({ "type": [natural, "string"], "pattern": format!("{pattern}|{VARIABLE}") });
    let mut schema = match shape {
        Shape::Bool => either(
            "boolean",
            r"^\s*([Tt]rue|TRUE|[Ff]alse|FALSE|[Yy]es|[Nn]o|[Oo]n|[Oo]ff)\s*$",
        ),
        // `password: 12345` is a number to an editor.
        // A pattern has no `format: regex`: that would be another dialect than Python's.
        Shape::Text | Shape::Secret | Shape::SecretUrl | Shape::Pattern => {
            json!({ "type": ["string", "number"] })
        }
        Shape::Count => either("integer", r"^\s*[0-9]+\s*$"),
        Shape::Bytes => either("integer", r"^\s*[0-9]+\s*([KkMmGg]([Ii]?[Bb])?|[Bb])?\s*$"),
        Shape::Duration => either("number", r"^\s*[0-9][0-9. a-zA-Z]*$"),
        Shape::Choice(words) => {
            let any_case: Vec<String> = words.iter().map(|word| any_case(word)).collect();
            let pattern = format!("^({})$|{VARIABLE}", any_case.join("|"));
            json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": pattern }] })
        }
        Shape::SecretMap => json!({
            "type": "object",
            "additionalProperties": { "type": ["string", "number"] },
        }),
        Shape::List(item) => json!({ "type": ["array", "null"], "items": of_shape(item, None) }),
        Shape::Section {
            keys,
            required,
            about,
        } => of_section(keys, required, about),
    };
    if let (Some(object), Some(key)) = (schema.as_object_mut(), key) {
        describe(object, key);
    }
    schema
}

fn of_section(keys: &[Key], required: &[&str], about: &str) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| (key.name.to_owned(), of_shape(&key.shape, Some(key))))
        .collect();
    let mut section = json!({
        "description": about,
        "type": ["object", "null"],
        "properties": properties,
        "patternProperties": { "^x-": {} },
        "additionalProperties": false,
    });
    if !required.is_empty() {
        // A source must be something; a section with no required key may be left empty.
        section["required"] = json!(required);
        section["type"] = json!("object");
    }
    section
}

fn describe(schema: &mut Map<String, Value>, key: &Key) {
    schema.insert("description".into(), key.doc.as_str().into());
    if let Some(default) = &key.default {
        schema.insert("default".into(), default.clone());
    }
    if let Some(range) = &key.range {
        schema.insert("minimum".into(), number(*range.start()));
        schema.insert("maximum".into(), number(*range.end()));
    }
}

/// Whole numbers without `.0`.
fn number(value: f64) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounds of keys are far below 2^53"
    )]
    let whole = value as i64;
    if value.fract() == 0.0 {
        whole.into()
    } else {
        value.into()
    }
}

/// A pattern for `word` in any case; a schema's patterns have no flag for it.
fn any_case(word: &str) -> String {
    let letter = |c: char| match c.is_ascii_alphabetic() {
        true => format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase()),
        false => c.to_string(),
    };
    word.chars().map(letter).collect()
}
