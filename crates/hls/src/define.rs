//! Variables of playlists: EXT-X-DEFINE (RFC 8216bis §4.4.2.3) and what stands in their place (§4.3).

use std::borrow::Cow;
use std::collections::BTreeMap;

use quick_m3u8::tag::TagValue;

use crate::attributes::Attributes;
use crate::playlist::{Error, PLAYLIST_BYTES_MAX};

/// Variables that are kept of one playlist.
const VARIABLES_MAX: usize = 256;

/// Bytes of a value: variables may be made of variables, each twice as long as the one before.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a name that is told to the operator.
const NAME_BYTES_MAX: usize = 64;

/// The tag, as far as its value.
const TAG: &str = "#EXT-X-DEFINE:";

/// The version from which on references are none of the address's own text (RFC 8216bis §7).
const VERSION: u32 = 8;

/// The variables of a playlist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definitions(BTreeMap<String, String>);

impl Definitions {
    fn define(&mut self, name: &str, value: String) {
        let is_line = !value.chars().any(|c| c == '"' || c.is_control());
        if is_name(name) && is_line && value.len() <= VALUE_BYTES_MAX && self.0.len() < VARIABLES_MAX {
            self.0.insert(name.to_owned(), value);
        }
    }
}

/// What a playlist may take its variables from, beside itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outside<'o> {
    /// Those of the multivariant playlist that led to it.
    pub imported: Option<&'o Definitions>,
    /// The query of the address that answered, decoded.
    pub parameters: &'o [(String, String)],
}

/// Puts the variables of a playlist in their places, line by line. What is defined is for the lines behind it.
#[derive(Debug)]
pub(crate) struct Substitution<'o> {
    outside: Outside<'o>,
    is_on: bool,
    definitions: Definitions,
    bytes: usize,
}

impl<'o> Substitution<'o> {
    /// For a playlist of these lines. Old playlists may have anything in their addresses.
    pub(crate) fn new(outside: Outside<'o>, lines: &[String]) -> Self {
        let is_of_version = |line: &String| {
            let version = line.strip_prefix("#EXT-X-VERSION:").map(str::trim);
            version.is_some_and(|version| version.parse().is_ok_and(|version: u32| version >= VERSION))
        };
        Self {
            outside,
            is_on: lines
                .iter()
                .any(|line| line.starts_with(TAG) || is_of_version(line)),
            definitions: Definitions::default(),
            bytes: 0,
        }
    }

    /// A line with values in place of references; those in comments are nobody's.
    ///
    /// # Errors
    /// A reference to what is not defined, or text without end.
    pub(crate) fn line<'l>(&mut self, line: &'l str) -> Result<Cow<'l, str>, Error> {
        if !self.is_on || (line.starts_with('#') && !line.starts_with("#EXT")) {
            return Ok(Cow::Borrowed(line));
        }
        let line = self.values_in(line)?;
        self.bytes += line.len();
        if self.bytes > PLAYLIST_BYTES_MAX {
            return Err(Error::TooLong);
        }
        if let Some(value) = line.strip_prefix(TAG) {
            self.define(&Attributes::parse(TagValue(value.as_bytes())));
        }
        Ok(line)
    }

    /// The variables of the playlist.
    pub(crate) fn finish(self) -> Definitions {
        self.definitions
    }

    /// What cannot be had stays undefined: that is an error where it is used.
    fn define(&mut self, attributes: &Attributes<'_>) {
        let defined = if let Some(name) = attributes.text("NAME") {
            Some((name, attributes.owned("VALUE").unwrap_or_default()))
        } else if let Some(name) = attributes.text("IMPORT") {
            let imported = self.outside.imported.and_then(|imported| imported.0.get(name));
            imported.map(|value| (name, value.clone()))
        } else {
            attributes.text("QUERYPARAM").and_then(|name| {
                let mut parameters = self.outside.parameters.iter();
                let (_, value) = parameters.find(|(known, value)| known == name && !value.is_empty())?;
                Some((name, value.clone()))
            })
        };
        if let Some((name, value)) = defined {
            self.definitions.define(name, value);
        }
    }

    fn values_in<'l>(&self, line: &'l str) -> Result<Cow<'l, str>, Error> {
        let Some((before, mut rest)) = line.split_once("{$") else {
            return Ok(Cow::Borrowed(line));
        };
        let mut out = before.to_owned();
        loop {
            let reference = rest.split_once('}').filter(|(name, _)| is_name(name));
            let behind = match reference {
                Some((name, behind)) => {
                    let value = self.definitions.0.get(name);
                    let short = || name.get(..NAME_BYTES_MAX).unwrap_or(name).to_owned();
                    out.push_str(value.ok_or_else(|| Error::Undefined(short()))?);
                    behind
                }
                // No reference by its form.
                None => {
                    out.push_str("{$");
                    rest
                }
            };
            if out.len() > PLAYLIST_BYTES_MAX {
                return Err(Error::TooLong);
            }
            let Some((before, next)) = behind.split_once("{$") else {
                out.push_str(behind);
                return Ok(Cow::Owned(out));
            };
            out.push_str(before);
            rest = next;
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.bytes().all(is_of_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn substituted(text: &str, outside: Outside<'_>) -> Result<Vec<String>, Error> {
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let mut substitution = Substitution::new(outside, &lines);
        let line = |line: &String| substitution.line(line).map(Cow::into_owned);
        lines.iter().map(line).collect()
    }

    fn last(text: &str) -> String {
        let imported = Definitions([("host".to_owned(), "http://h".to_owned())].into());
        let parameters = [
            ("token", "a b"),
            ("empty", ""),
            ("quote", "a\"b"),
            ("line", "a\nb"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let outside = Outside {
            imported: Some(&imported),
            parameters: &parameters,
        };
        match substituted(text, outside) {
            Ok(lines) => lines.last().unwrap().clone(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn values_stand_in_place_of_references() {
        let undefined = |name: &str| {
            format!(
                "a playlist that uses the variable \"{name}\", which is not defined before (EXT-X-DEFINE)"
            )
        };
        for (text, expected) in [
            (
                "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"\n{$a}/{$a}.ts",
                "1/1.ts".to_owned(),
            ),
            (
                "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1,2\"\n#EXT-X-MAP:URI=\"{$a}\",X=\"{$a}\"",
                "#EXT-X-MAP:URI=\"1,2\",X=\"1,2\"".to_owned(),
            ),
            ("#EXT-X-DEFINE:NAME=\"a\",VALUE=\"\"\nx{$a}y", "xy".to_owned()),
            (
                "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"\n#EXT-X-DEFINE:NAME=\"b\",VALUE=\"{$a}2\"\n{$b}",
                "12".to_owned(),
            ),
            (
                "#EXT-X-DEFINE:IMPORT=\"host\"\n{$host}/1.ts",
                "http://h/1.ts".to_owned(),
            ),
            (
                "#EXT-X-DEFINE:QUERYPARAM=\"token\"\n1.ts?{$token}",
                "1.ts?a b".to_owned(),
            ),
            // A name that is longer, other letters, no end.
            (
                "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"\n{$a{$a}{$a b}{$}{$a",
                "{$a1{$a b}{$}{$a".to_owned(),
            ),
            (
                "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"\n# {$b}",
                "# {$b}".to_owned(),
            ),
            ("#EXT-X-VERSION:7\n{$a}.ts", "{$a}.ts".to_owned()),
            ("#EXT-X-VERSION:8\n{$a}.ts", undefined("a")),
            ("{$a}.ts\n#EXT-X-DEFINE:NAME=\"a\",VALUE=\"1\"", undefined("a")),
            (
                "#EXT-X-DEFINE:IMPORT=\"nothing\"\n{$nothing}",
                undefined("nothing"),
            ),
            ("#EXT-X-DEFINE:QUERYPARAM=\"empty\"\n{$empty}", undefined("empty")),
            ("#EXT-X-DEFINE:QUERYPARAM=\"quote\"\n{$quote}", undefined("quote")),
            ("#EXT-X-DEFINE:QUERYPARAM=\"line\"\n{$line}", undefined("line")),
            // Nobody uses it.
            ("#EXT-X-DEFINE:IMPORT=\"nothing\"\n1.ts", "1.ts".to_owned()),
        ] {
            assert_eq!(last(text), expected, "{text}");
        }
    }

    #[test]
    fn variables_made_of_variables_do_not_grow_for_ever() {
        let mut text = "#EXT-X-DEFINE:NAME=\"v0\",VALUE=\"0123456789\"\n".to_owned();
        for n in 1..40 {
            let before = n - 1;
            text += &format!("#EXT-X-DEFINE:NAME=\"v{n}\",VALUE=\"{{$v{before}}}{{$v{before}}}\"\n");
        }
        assert!(
            matches!(substituted(&text, Outside::default()), Err(Error::Undefined(name)) if name == "v10")
        );
        let long = format!(
            "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"{}\"\n{}",
            "x".repeat(8_000),
            "{$a}\n".repeat(600)
        );
        assert_eq!(substituted(&long, Outside::default()), Err(Error::TooLong));
        let one_line = long.replace("}\n", "}");
        assert_eq!(substituted(&one_line, Outside::default()), Err(Error::TooLong));
    }
}
