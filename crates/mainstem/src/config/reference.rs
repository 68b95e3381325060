//! The tables of `docs/configuration.md`, one per section.

use std::{fmt::Write as _, time::Duration};

use super::{
    section::{Key, Setting as _, Shape},
    settings::Keys,
    units,
};

/// One key, as documentation names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Sections down to the key, with a dot behind each: `timing.`, or nothing.
    pub section: String,
    /// The key.
    pub name: String,
    /// Its default as it would stand in a file; empty where there is none.
    pub default: String,
}

/// Every key there is.
pub fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    each_section(&Keys::shape(), "", &mut |section, _, keys| {
        entries.extend(keys.iter().map(|key| Entry {
            section: section.to_owned(),
            name: key.name.to_owned(),
            default: default_text(key),
        }));
    });
    entries
}

/// The tables, as Markdown.
pub fn tables() -> String {
    let mut text = String::new();
    each_section(&Keys::shape(), "", &mut |section, about, keys| {
        let title = match section.trim_end_matches('.') {
            "" => "At the top".to_owned(),
            "sources" => "`sources:` — a list, one of these each".to_owned(),
            section => format!("`{section}:`"),
        };
        // Writing to a String cannot fail.
        _ = write!(
            text,
            "### {title}\n\n{about}\n\n| key | type | default | meaning |\n|---|---|---|---|\n"
        );
        for key in keys {
            let default = match default_text(key) {
                text if text.is_empty() => "–".to_owned(),
                text => format!("`{text}`"),
            };
            let range = key.range.as_ref().map(|range| {
                let (low, high) = (bound(&key.shape, *range.start()), bound(&key.shape, *range.end()));
                format!(" From {low} to {high}.")
            });
            let meaning = key.doc.replace('|', "\\|");
            let meaning = meaning + &range.unwrap_or_default();
            _ = writeln!(
                text,
                "| `{}` | {} | {default} | {meaning} |",
                key.name,
                type_text(&key.shape)
            );
        }
        text.push('\n');
    });
    text
}

fn each_section(shape: &Shape, path: &str, visit: &mut impl FnMut(&str, &str, &[Key])) {
    match shape {
        Shape::List(item) => each_section(item, path, visit),
        Shape::Section { keys, about, .. } => {
            visit(path, about, keys);
            for key in keys {
                each_section(&key.shape, &format!("{path}{}.", key.name), visit);
            }
        }
        _ => {}
    }
}

fn default_text(key: &Key) -> String {
    match &key.default {
        Some(serde_json::Value::String(text)) if text.is_empty() => "\"\"".to_owned(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

fn type_text(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".to_owned(),
        Shape::Text => "text".to_owned(),
        Shape::Secret => "text, secret".to_owned(),
        Shape::SecretUrl => "URL or path, secret".to_owned(),
        Shape::Pattern => "regular expression".to_owned(),
        Shape::Count => "whole number".to_owned(),
        Shape::Bytes => "bytes".to_owned(),
        Shape::Duration => "duration".to_owned(),
        Shape::Choice(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        Shape::SecretMap => "names with secret texts".to_owned(),
        Shape::List(item) => match **item {
            Shape::Section { .. } => "list".to_owned(),
            _ => format!("list of {}", type_text(item)),
        },
        Shape::Section { .. } => "section".to_owned(),
    }
}

fn bound(shape: &Shape, value: f64) -> String {
    match shape {
        Shape::Duration => units::write_duration(Duration::from_secs_f64(value)),
        Shape::Bytes => units::write_bytes(value),
        _ => value.to_string(),
    }
}
