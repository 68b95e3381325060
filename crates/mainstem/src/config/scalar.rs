//! What single values may look like: numbers, durations, sizes, switches, secrets, lists and maps of them.

use std::{net::Ipv4Addr, ops::RangeInclusive, path::PathBuf, time::Duration};

use catalog::{
    pattern::Pattern,
    secret::{Secret, StreamUrl},
};
use serde_json::Value;

use super::{
    filter::Rule,
    network::Network,
    reader::Reader,
    section::{Placed, Setting, Shape},
    tree::{Content, Node},
    units,
};

type Range<'a> = Option<&'a RangeInclusive<f64>>;

impl Setting for bool {
    fn shape() -> Shape {
        Shape::Bool
    }

    fn read(node: &Node, _: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let expected = "`true` or `false`";
        let text = reader.text(node, expected)?;
        let value = parse_bool(&text.value);
        if value.is_none() {
            reader.wrong_text(node, &text, expected);
        }
        value
    }

    fn show(&self) -> Option<Value> {
        Some((*self).into())
    }
}

/// The reference's reader is YAML 1.1, where yes and on are true.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

impl Setting for String {
    fn shape() -> Shape {
        Shape::Text
    }

    fn read(node: &Node, _: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        Some(reader.text(node, "text")?.value.into_owned())
    }

    fn show(&self) -> Option<Value> {
        Some(self.as_str().into())
    }
}

impl Setting for PathBuf {
    fn shape() -> Shape {
        Shape::Text
    }

    fn read(node: &Node, _: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        Some(reader.text(node, "a path")?.value.into_owned().into())
    }

    fn show(&self) -> Option<Value> {
        self.to_str().map(Into::into)
    }
}

impl Setting for Secret {
    fn shape() -> Shape {
        Shape::Secret
    }

    fn read(node: &Node, _: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self::new(reader.text(node, "text")?.value.into_owned()))
    }

    /// A default is no secret: it stands in the documentation.
    fn show(&self) -> Option<Value> {
        Some(self.expose().into())
    }
}

impl Setting for StreamUrl {
    fn shape() -> Shape {
        Shape::SecretUrl
    }

    fn read(node: &Node, _: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self::new(reader.text(node, "a URL")?.value.trim()))
    }

    fn show(&self) -> Option<Value> {
        Some(self.redacted().into())
    }
}

impl Setting for Ipv4Addr {
    fn shape() -> Shape {
        Shape::Text
    }

    fn read(node: &Node, _: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let expected = "an IPv4 address, as 192.0.2.7";
        let text = reader.text(node, expected)?;
        let value = text.value.trim().parse().ok();
        if value.is_none() {
            reader.wrong_text(node, &text, expected);
        }
        value
    }

    fn show(&self) -> Option<Value> {
        Some(self.to_string().into())
    }
}

impl Setting for Network {
    fn shape() -> Shape {
        Shape::Text
    }

    fn read(node: &Node, _: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "an IP address or network")?;
        match text.value.trim().parse() {
            Ok(network) => Some(network),
            Err(error) => {
                reader.problem(node.span, format!("{error}"));
                None
            }
        }
    }

    fn show(&self) -> Option<Value> {
        Some(self.to_string().into())
    }
}

impl Setting for Rule {
    fn shape() -> Shape {
        Shape::Pattern
    }

    fn read(node: &Node, _: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text(node, "a pattern")?;
        match Pattern::compile(&text.value) {
            Ok(pattern) => Some(Self(pattern)),
            Err(error) => {
                let at = match (&node.content, error.offset) {
                    (Content::Scalar(scalar), Some(offset)) if !text.is_substituted => {
                        scalar.place(node.span, offset)
                    }
                    _ => node.span,
                };
                reader.problem(at, format!("this pattern cannot be used: {}", error.message));
                None
            }
        }
    }

    fn show(&self) -> Option<Value> {
        Some(self.0.as_str().into())
    }
}

impl Setting for Duration {
    fn shape() -> Shape {
        Shape::Duration
    }

    fn read(node: &Node, range: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let expected = "a duration (seconds, or 500ms, 30s, 5m, 4h, 1d)";
        let text = reader.text(node, expected)?;
        let Some(duration) = units::parse_duration(&text.value) else {
            reader.wrong_text(node, &text, expected);
            return None;
        };
        is_within(duration.as_secs_f64(), range, node, reader, |seconds| {
            units::write_duration(Duration::from_secs_f64(seconds))
        })
        .then_some(duration)
    }

    fn show(&self) -> Option<Value> {
        Some(units::write_duration(*self).into())
    }
}

/// A number of bytes.
impl Setting for usize {
    fn shape() -> Shape {
        Shape::Bytes
    }

    fn read(node: &Node, range: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let expected = "a number of bytes (1048576, or 64KiB, 16MiB, 1GiB)";
        let text = reader.text(node, expected)?;
        let Some(bytes) = units::parse_bytes(&text.value) else {
            reader.wrong_text(node, &text, expected);
            return None;
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "compared with round bounds far below 2^53"
        )]
        let number = bytes as f64;
        is_within(number, range, node, reader, units::write_bytes).then_some(bytes)
    }

    fn show(&self) -> Option<Value> {
        #[expect(clippy::cast_precision_loss, reason = "defaults are far below 2^53")]
        let number = *self as f64;
        Some(units::write_bytes(number).into())
    }
}

/// A count.
impl Setting for u32 {
    fn shape() -> Shape {
        Shape::Count
    }

    fn read(node: &Node, range: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let number = read_count(node, range, reader)?;
        Self::try_from(number).ok()
    }

    fn show(&self) -> Option<Value> {
        Some((*self).into())
    }
}

/// A port.
impl Setting for u16 {
    fn shape() -> Shape {
        Shape::Count
    }

    fn read(node: &Node, range: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let number = read_count(node, range.or(Some(&(0.0..=65535.0))), reader)?;
        Self::try_from(number).ok()
    }

    fn show(&self) -> Option<Value> {
        Some((*self).into())
    }
}

/// A whole number within `range`, and within `u32` where there is none.
fn read_count(node: &Node, range: Range<'_>, reader: &mut Reader<'_>) -> Option<u64> {
    let expected = "a whole number";
    let text = reader.text(node, expected)?;
    let digits = text.value.trim();
    let is_negative = digits.strip_prefix('-').is_some_and(is_digits);
    if !is_negative && !is_digits(digits) {
        reader.wrong_text(node, &text, expected);
        return None;
    }
    // Parsed as a float first: a number of any length is a number, out of range perhaps.
    let number: f64 = digits.parse().ok()?;
    let all = 0.0..=f64::from(u32::MAX);
    if !is_within(number, range.or(Some(&all)), node, reader, |number| {
        number.to_string()
    }) {
        return None;
    }
    digits.parse().ok()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `number` lies in `range`; notes it otherwise, bounds written by `write`.
fn is_within(
    number: f64,
    range: Range<'_>,
    node: &Node,
    reader: &mut Reader<'_>,
    write: impl Fn(f64) -> String,
) -> bool {
    match range {
        Some(range) if !range.contains(&number) => {
            let (low, high) = (write(*range.start()), write(*range.end()));
            reader.problem(node.span, format!("out of range: must be from {low} to {high}"));
            false
        }
        _ => true,
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }

    fn read(node: &Node, range: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Content::List(items) = &node.content else {
            reader.wrong_type(node, "a list, one `- …` per line");
            return None;
        };
        // What is wrong is noted; the rest is read on, so that everything is found at once.
        Some(
            items
                .iter()
                .filter_map(|item| T::read(item, range, reader))
                .collect(),
        )
    }

    fn show(&self) -> Option<Value> {
        Some(self.iter().filter_map(T::show).collect())
    }
}

/// Names with secret values.
impl Setting for Vec<(Placed<String>, Placed<Secret>)> {
    fn shape() -> Shape {
        Shape::SecretMap
    }

    fn read(node: &Node, range: Range<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Content::Map(pairs) = &node.content else {
            reader.wrong_type(node, "names with values, one `name: value` per line");
            return None;
        };
        let read = |(key, value): &(Node, Node)| {
            let name = key.scalar_text()?.to_owned();
            Some((
                Placed {
                    value: name,
                    at: key.span,
                },
                Placed::read(value, range, reader)?,
            ))
        };
        Some(pairs.iter().filter_map(read).collect())
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Object(serde_json::Map::new()))
    }
}
