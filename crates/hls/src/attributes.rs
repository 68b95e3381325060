//! Attribute lists (RFC 8216 §4.2), leniently.

use quick_m3u8::tag::{AttributeValue, TagValue};

/// The attributes of one tag in order of appearance.
pub(crate) struct Attributes<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Attributes<'a> {
    pub(crate) fn parse(value: TagValue<'a>) -> Self {
        let Ok(sound) = value.try_as_ordered_attribute_list() else {
            return Self(split(text(value)));
        };
        Self(
            sound
                .into_iter()
                .map(|(name, value)| (name.trim(), bare(value)))
                .collect(),
        )
    }

    /// The value of `name`, without quotes; `None` where blank.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// Whether `name` says YES.
    pub(crate) fn yes(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("YES"))
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }
}

/// The value of a tag as text.
pub(crate) fn text(value: TagValue<'_>) -> &str {
    std::str::from_utf8(value.0).unwrap_or_default()
}

fn bare(value: AttributeValue<'_>) -> &str {
    match value {
        AttributeValue::Quoted(text) => text,
        AttributeValue::Unquoted(value) => std::str::from_utf8(value.0).unwrap_or_default(),
    }
}

/// Splits at commas outside quotes: for lists with `=` in bare values, doubled commas, or a quote that is missing.
fn split(list: &str) -> Vec<(&str, &str)> {
    let mut in_quotes = false;
    let parts = list.split(move |c| {
        in_quotes ^= c == '"';
        c == ',' && !in_quotes
    });
    let pairs = parts.filter_map(|part| part.split_once('='));
    pairs
        .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
        .collect()
}
