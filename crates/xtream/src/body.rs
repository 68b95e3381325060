//! Where the JSON of a body begins, and what the body is when there is none.
//!
//! Panels print byte order marks, blank lines and PHP warnings before their JSON, and more of them after it.

use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeOwned, IgnoredAny};

use crate::Error;

/// So much of a body is searched for the beginning of its JSON, in bytes.
const PREFIX_BYTES_MAX: usize = 64 * 1024;

/// Longest part of a foreign key that is repeated in a message, in characters.
const KEY_CHARS_MAX: usize = 64;

/// What a body turned out to be when it is not what was asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// No bytes, or only white space.
    Empty,
    /// `null`.
    Null,
    /// `false`.
    False,
    /// Another bare value: `true`, a number, a string.
    Scalar,
    /// `[]`.
    EmptyList,
    /// `[…]` where an object was asked for.
    List,
    /// `{}`.
    EmptyObject,
    /// The login answer: the action is unknown to the panel, or the account is refused or expired.
    Login(Box<crate::Account>),
    /// Another object, by its first key.
    Object(String),
    /// A page, such as a block page.
    Html,
    /// Something else.
    Text,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty body"),
            Self::Null => f.write_str("null"),
            Self::False => f.write_str("false"),
            Self::Scalar => f.write_str("a bare value"),
            Self::EmptyList => f.write_str("an empty list"),
            Self::List => f.write_str("a list"),
            Self::EmptyObject => f.write_str("an empty object"),
            Self::Login(account) if account.auth == Some(false) => f.write_str("a refused login"),
            Self::Login(_) => f.write_str("the login answer"),
            Self::Object(key) => write!(f, "an object with the key {key:?}"),
            Self::Html => f.write_str("an HTML page"),
            Self::Text => f.write_str("text that is not JSON"),
        }
    }
}

/// How the JSON of a body begins; the bracket itself is consumed.
#[derive(Debug)]
pub(crate) enum Begin {
    /// `[`
    List,
    /// `{`
    Object,
    /// Neither.
    Neither(Found),
}

/// The bytes of a body, a buffer at a time.
pub(crate) struct Body<R> {
    reader: R,
    buffer: Vec<u8>,
    position: usize,
    /// What ended the reading: told once the bytes before it are used up.
    failure: Option<io::Error>,
}

impl<R: Read> Body<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            position: 0,
            failure: None,
        }
    }

    /// Goes behind the first bracket that can begin JSON.
    pub(crate) fn begin(&mut self) -> io::Result<Begin> {
        self.refill()?;
        let head = without_mark(&self.buffer).trim_ascii();
        if is_page(head) || head.starts_with(b"\"") {
            return Ok(Begin::Neither(kind(head)));
        }
        let Some(at) =
            (0..self.buffer.len()).find(|at| begins_json(self.buffer.get(*at..).unwrap_or_default()))
        else {
            return Ok(Begin::Neither(kind(head)));
        };
        self.position = at + 1;
        Ok(if self.buffer.get(at) == Some(&b'[') {
            Begin::List
        } else {
            Begin::Object
        })
    }

    /// The next byte; `None` at the end.
    pub(crate) fn next_byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.peek()?;
        self.position += usize::from(byte.is_some());
        Ok(byte)
    }

    /// The byte that [`Body::next_byte`] gives next.
    pub(crate) fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.position >= self.buffer.len() {
            self.refill()?;
        }
        Ok(self.buffer.get(self.position).copied())
    }

    /// Everything that is left, behind `start`; at most `max` bytes.
    pub(crate) fn rest(mut self, start: &[u8], max: u64) -> Result<Vec<u8>, Error> {
        let mut whole = start.to_vec();
        whole.extend(self.buffer.iter().skip(self.position));
        if let Some(failure) = self.failure {
            return Err(failure.into());
        }
        self.reader.by_ref().take(max).read_to_end(&mut whole)?;
        if u64::try_from(whole.len()).is_ok_and(|length| length <= max) {
            Ok(whole)
        } else {
            Err(Error::TooLong(max))
        }
    }

    /// Replaces the buffer by what follows it; empty at the end.
    fn refill(&mut self) -> io::Result<()> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.buffer.clear();
        self.position = 0;
        let room = u64::try_from(PREFIX_BYTES_MAX).unwrap_or(u64::MAX);
        match self.reader.by_ref().take(room).read_to_end(&mut self.buffer) {
            Err(failure) if self.buffer.is_empty() => return Err(failure),
            Err(failure) => self.failure = Some(failure),
            Ok(_) => {}
        }
        Ok(())
    }
}

/// Reads an object of at most `max` bytes whole; the error names what else there is.
pub(crate) fn object(body: impl Read, max: u64) -> Result<Result<Vec<u8>, Found>, Error> {
    let mut body = Body::new(body);
    match body.begin()? {
        Begin::Neither(found) => Ok(Err(found)),
        Begin::Object => body.rest(b"{", max).map(Ok),
        Begin::List => {
            while let Some(byte) = body.next_byte()? {
                if !byte.is_ascii_whitespace() {
                    return Ok(Err(if byte == b']' {
                        Found::EmptyList
                    } else {
                        Found::List
                    }));
                }
            }
            Ok(Err(Found::List))
        }
    }
}

/// The first key of an object, as far as a message may repeat it.
pub(crate) fn first_key(object: &[u8]) -> String {
    let text = String::from_utf8_lossy(object);
    text.split('"')
        .nth(1)
        .unwrap_or_default()
        .chars()
        .take(KEY_CHARS_MAX)
        .collect()
}

/// Parses one JSON value; what follows it is ignored. Faults inside of strings are mended.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, serde_json::Error> {
    let first = T::deserialize(&mut serde_json::Deserializer::from_slice(json));
    first.or_else(|error| match mended(json) {
        Some(json) => T::deserialize(&mut serde_json::Deserializer::from_str(&json)),
        None => Err(error),
    })
}

/// `json` with what programs write though RFC 8259 forbids it, or no program can read it, made readable: bytes that are
/// not UTF-8 (each read as Latin-1), bare control characters (blanks), half surrogate pairs (U+FFFD), numbers beyond all
/// measure (`null`). `None` where there is none.
fn mended(json: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(json.len());
    for chunk in json.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| char::from(*byte)));
    }
    let blanks = text.replace(|c: char| c.is_ascii_control(), " ");
    let mended = without_endless_numbers(&without_half_surrogates(&blanks));
    (mended.as_bytes() != json).then_some(mended)
}

/// Makes `1e999` a `null`: the parser refuses what is greater than any number it has.
fn without_endless_numbers(json: &str) -> String {
    let mut whole = String::with_capacity(json.len());
    let (mut rest, mut in_string) = (json, false);
    while let Some(first) = rest.chars().next() {
        let begins_number = first == '-' || first.is_ascii_digit();
        let length = match first {
            // What is escaped ends no string.
            '\\' if in_string => rest.chars().take(2).map(char::len_utf8).sum(),
            _ if !in_string && begins_number => {
                let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
                rest.find(|c| !is_part(c)).unwrap_or(rest.len())
            }
            _ => first.len_utf8(),
        };
        in_string ^= first == '"';
        let (part, tail) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let is_endless = begins_number && !in_string && part.parse().is_ok_and(f64::is_infinite);
        whole.push_str(if is_endless { "null" } else { part });
        rest = tail;
    }
    whole
}

fn without_half_surrogates(json: &str) -> String {
    let mut whole = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, after)) = rest.split_once('\\') {
        whole.push_str(before);
        whole.push('\\');
        // The character behind a backslash never begins an escape itself.
        let Some(first) = after.chars().next() else {
            return whole;
        };
        let code = surrogate(after);
        let pair = after
            .get(5..)
            .and_then(|next| next.strip_prefix('\\'))
            .and_then(surrogate);
        let (escape, length) = match (code, pair) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (after.get(..11), 11),
            (Some(_), _) => (Some("ufffd"), 5),
            (None, _) => (after.get(..first.len_utf8()), first.len_utf8()),
        };
        whole.push_str(escape.unwrap_or_default());
        rest = after.get(length..).unwrap_or_default();
    }
    whole.push_str(rest);
    whole
}

/// The code of `uD8xx` … `uDFxx` at the start of `escape`.
fn surrogate(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix('u')?.get(..4)?;
    u32::from_str_radix(digits, 16)
        .ok()
        .filter(|code| (0xd800..=0xdfff).contains(code))
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Brackets occur in warnings; one that begins JSON is followed by what JSON allows there.
fn begins_json(bytes: &[u8]) -> bool {
    let Some((bracket @ (b'[' | b'{'), after)) = bytes.split_first() else {
        return false;
    };
    match after.trim_ascii_start().first() {
        None => true,
        Some(next) if *bracket == b'[' => matches!(next, b'{' | b'[' | b']' | b'"'),
        Some(next) => matches!(next, b'"' | b'}'),
    }
}

/// A page may hold JSON in its scripts; a PHP warning is markup as well but no page.
fn is_page(head: &[u8]) -> bool {
    let start = head
        .get(..head.len().min(1024))
        .unwrap_or_default()
        .to_ascii_lowercase();
    let holds = |tag: &[u8]| start.windows(tag.len()).any(|window| window == tag);
    head.starts_with(b"<") && (holds(b"<html") || holds(b"<!doctype"))
}

/// What a body without a bracket is.
fn kind(head: &[u8]) -> Found {
    match head {
        b"" => Found::Empty,
        b"null" => Found::Null,
        b"false" => Found::False,
        _ if head.starts_with(b"<") => Found::Html,
        _ if serde_json::from_slice::<IgnoredAny>(head).is_ok() => Found::Scalar,
        _ => Found::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_inside_of_strings_are_mended() {
        for (json, expected) in [
            (&br#""a\ud83d""#[..], "a\u{fffd}"),
            (br#""\ud83d\ude00 \\ud83d""#, "😀 \\ud83d"),
            (br#""\ude00\ud83d\n""#, "\u{fffd}\u{fffd}\n"),
            (b"\"T\xe9l\xe9\"", "Télé"),
            (b"\"a\tb\nc\"", "a b c"),
            ("\"\u{e9}t\u{e9} \u{20ac}\"".as_bytes(), "\u{e9}t\u{e9} \u{20ac}"),
            (b"\"\xe2\x82\xac \xe9t\xc3\xa9\"", "\u{20ac} \u{e9}t\u{e9}"),
        ] {
            assert_eq!(
                parse::<String>(json).unwrap(),
                expected,
                "{}",
                String::from_utf8_lossy(json)
            );
        }
        assert!(parse::<String>(b"\"a").is_err());
    }

    #[test]
    fn numbers_beyond_all_measure_are_none() {
        let json = br#"["1e999 \" -1e999",1e999,-1E+999,[1e3,2],{"1e999":1e999}]"#;
        let found: serde_json::Value = parse(json).unwrap();
        let expected = serde_json::json!(["1e999 \" -1e999", null, null, [1000.0, 2], {"1e999": null}]);
        assert_eq!(found, expected);
        assert!(parse::<serde_json::Value>(b"[1e999,-]").is_err());
    }

    #[test]
    fn the_beginning_is_found_behind_what_panels_print() {
        for (body, expected) in [
            ("[{\"a\":1}]", "{\"a\":1}]"),
            ("\u{feff} \n[]", "]"),
            (
                "<br />\n<b>Warning</b>: Undefined index [0] in {x} on line <b>3</b><br />\n{\"a\":1}",
                "\"a\":1}",
            ),
        ] {
            let mut found = Body::new(body.as_bytes());
            assert!(
                matches!(found.begin().unwrap(), Begin::List | Begin::Object),
                "{body}"
            );
            assert_eq!(found.rest(b"", 1000).unwrap(), expected.as_bytes(), "{body}");
        }
    }

    #[test]
    fn bodies_without_json_are_named() {
        for (body, expected) in [
            ("", Found::Empty),
            (" \n", Found::Empty),
            ("null", Found::Null),
            (" false ", Found::False),
            ("12", Found::Scalar),
            ("\"a [{\"", Found::Scalar),
            ("\"a\"", Found::Scalar),
            ("<html><script>x={\"a\":1}</script>", Found::Html),
            ("<!DOCTYPE HTML>", Found::Html),
            ("Too many requests", Found::Text),
        ] {
            match Body::new(body.as_bytes()).begin().unwrap() {
                Begin::Neither(found) => assert_eq!(found, expected, "{body}"),
                begin => panic!("{body}: {begin:?}"),
            }
        }
    }
}
