//! The attribute syntax of `#EXTINF` and `#EXTM3U` in every odd quoting. What the keys mean is `entry`'s business.
//!
//! Where quoting is sound, a value ends at the next quote and the name begins after the first comma outside quotes.
//! Values in the field hold unescaped quotes and lose their closing ones, so a quote closes a value only when what
//! follows can follow a value: a comma, another `key=`, the end.

/// So many attributes of one line are read; the rest is ignored.
pub(crate) const ATTRIBUTES_MAX: usize = 64;

/// What a comma outside quotes means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comma {
    /// The name begins after it (`#EXTINF`).
    BeginsName,
    /// It is part of an unquoted value (`#EXTM3U`).
    IsText,
}

/// The attributes of a line and what follows them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes<'a> {
    /// In order of appearance, as written.
    pub(crate) pairs: Vec<(&'a str, &'a str)>,
    /// The text after the comma; without a comma, the text after the last attribute.
    pub(crate) name: &'a str,
}

/// Splits the text after the duration of `#EXTINF`, or after `#EXTM3U`.
pub(crate) fn parse(text: &str, comma: Comma) -> Attributes<'_> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    let mut after_last_pair = rest;
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix(',') {
            if comma == Comma::BeginsName {
                return Attributes {
                    pairs,
                    name: name.trim(),
                };
            }
            rest = name.trim_start();
        } else if let Some((key, assigned)) = key_at(rest) {
            let (value, tail) = value_at(assigned, comma);
            if pairs.len() < ATTRIBUTES_MAX {
                pairs.push((key, value));
            }
            rest = tail.trim_start();
            after_last_pair = rest;
        } else {
            rest = after_stray_word(rest).trim_start();
        }
    }
    Attributes {
        pairs,
        name: after_last_pair.trim(),
    }
}

/// The key at the start of `text` and what follows its `=`.
fn key_at(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = text.split_at_checked(text.find(|c| !is_key_char(c))?)?;
    let assigned = rest.trim_start().strip_prefix('=')?;
    (!key.is_empty()).then_some((key, assigned))
}

/// Whether `c` may be part of a key.
pub(crate) fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')
}

/// The value at the start of `text`, which follows an `=`, and what follows the value.
fn value_at(text: &str, comma: Comma) -> (&str, &str) {
    let trimmed = text.trim_start();
    for quote in ['"', '\''] {
        if let Some(inner) = trimmed.strip_prefix(quote) {
            return quoted(inner, quote, comma);
        }
    }
    let ends = |c: char| c.is_whitespace() || (c == ',' && comma == Comma::BeginsName);
    text.split_at_checked(text.find(ends).unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

fn after_stray_word(text: &str) -> &str {
    let mut chars = text.char_indices().skip(1);
    let end = chars
        .find(|(_, c)| c.is_whitespace() || *c == ',')
        .map_or(text.len(), |(at, _)| at);
    text.get(end..).unwrap_or_default()
}

/// The value whose opening quote stands before `inner`, and what follows its closing quote.
fn quoted(inner: &str, quote: char, comma: Comma) -> (&str, &str) {
    let mut seen = 0_usize;
    for (at, _) in inner.match_indices(quote) {
        seen += 1;
        let (before, after) = cut(inner, at);
        match what_follows(after) {
            Follows::Value => return (before, after),
            // Quotes inside the value come in pairs; an even count means that one of them is missing and that the
            // text at the end is a name in quotes.
            Follows::End if seen % 2 == 1 => return (before, after),
            Follows::End | Follows::Text => {}
        }
        if let Some(key) = key_before(before) {
            return closed_before_key(inner, key, quote);
        }
    }
    never_closed(inner, quote, seen, comma)
}

/// `inner` before and after the one-byte character at `at`.
fn cut(inner: &str, at: usize) -> (&str, &str) {
    (
        inner.get(..at).unwrap_or(inner),
        inner.get(at + 1..).unwrap_or_default(),
    )
}

/// What the text behind a quote says about it.
enum Follows {
    /// It can be a closing quote: the next attribute or the name follows.
    Value,
    /// It can be a closing quote: nothing follows.
    End,
    /// It is part of the value.
    Text,
}

fn what_follows(after: &str) -> Follows {
    let after = after.trim_start();
    if after.is_empty() {
        Follows::End
    } else if after.starts_with(',') || key_at(after).is_some() {
        Follows::Value
    } else {
        Follows::Text
    }
}

/// Where the key begins if `before` ends in `key=`, so that the quote behind it opens the next value.
fn key_before(before: &str) -> Option<usize> {
    let head = before.trim_end().strip_suffix('=')?.trim_end();
    let start = head.trim_end_matches(is_key_char).len();
    let stands_apart = head
        .get(..start)?
        .ends_with(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ','));
    (start < head.len() && stands_apart).then_some(start)
}

/// The value is over before the next key at `key`: at the last quote before it, or, where that is missing, there.
fn closed_before_key(inner: &str, key: usize, quote: char) -> (&str, &str) {
    let head = inner.get(..key).unwrap_or(inner);
    match head.rfind(quote) {
        Some(at) => cut(inner, at),
        None => (head.trim_end(), inner.get(key..).unwrap_or_default()),
    }
}

/// No quote closes the value. `seen` quotes stand in `inner`.
fn never_closed(inner: &str, quote: char, seen: usize, comma: Comma) -> (&str, &str) {
    if seen % 2 == 1 {
        // Sound, but followed by a word that is no attribute.
        return inner.find(quote).map_or((inner, ""), |at| cut(inner, at));
    }
    if comma == Comma::IsText {
        return (inner, "");
    }
    let head = inner.split(quote).next().unwrap_or_default();
    match head.rfind(',') {
        Some(at) => inner.split_at_checked(at).unwrap_or((inner, "")),
        None => (inner, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, pairs: &[(&str, &str)], name: &str) {
        let found = parse(text, Comma::BeginsName);
        assert_eq!((found.pairs.as_slice(), found.name), (pairs, name), "{text}");
    }

    #[test]
    fn sound_quoting() {
        check(
            r#" tvg-id="a" tvg-name="BBC One",BBC One"#,
            &[("tvg-id", "a"), ("tvg-name", "BBC One")],
            "BBC One",
        );
        check(r#"tvg-id="",N"#, &[("tvg-id", "")], "N");
        check(
            r#"group-title="News, UK",A, B"#,
            &[("group-title", "News, UK")],
            "A, B",
        );
        check(
            r#"tvg-id="a" ,The "Best", of"#,
            &[("tvg-id", "a")],
            r#"The "Best", of"#,
        );
        check(",The key=\"x\", foo", &[], "The key=\"x\", foo");
        check(
            r#"tvg-id="a"tvg-name="b",N"#,
            &[("tvg-id", "a"), ("tvg-name", "b")],
            "N",
        );
        check(
            r#"catchup-source="?u={utc}&x=",N"#,
            &[("catchup-source", "?u={utc}&x=")],
            "N",
        );
        check("", &[], "");
        check(",", &[], "");
    }

    #[test]
    fn other_quotes_and_none() {
        check(
            "tvg-id='a b' tvg-name=bbc,N",
            &[("tvg-id", "a b"), ("tvg-name", "bbc")],
            "N",
        );
        check(
            "tvg-name='Bob's Burgers',N",
            &[("tvg-name", "Bob's Burgers")],
            "N",
        );
        check(
            r#"tvg-id = "a" tvg-name= "b",N"#,
            &[("tvg-id", "a"), ("tvg-name", "b")],
            "N",
        );
        check("tvg-id= tvg-name=b,N", &[("tvg-id", ""), ("tvg-name", "b")], "N");
        check(r#"radio tvg-id="a" hd,N"#, &[("tvg-id", "a")], "N");
    }

    #[test]
    fn quotes_inside_values() {
        check(
            r#"tvg-name="BBC "One"" tvg-id="x",N"#,
            &[("tvg-name", r#"BBC "One""#), ("tvg-id", "x")],
            "N",
        );
        check(r#"tvg-name="BBC "One"",N"#, &[("tvg-name", r#"BBC "One""#)], "N");
        check(r#"tvg-name="BBC "One"""#, &[("tvg-name", r#"BBC "One""#)], "");
        check(r#"g="News, "World"",BBC"#, &[("g", r#"News, "World""#)], "BBC");
        check(
            r#"tvg-name="12" Vinyl" tvg-id="x",N"#,
            &[("tvg-name", r#"12" Vinyl"#), ("tvg-id", "x")],
            "N",
        );
    }

    #[test]
    fn closing_quotes_that_are_missing() {
        check(r#"tvg-name="BBC One,BBC 1"#, &[("tvg-name", "BBC One")], "BBC 1");
        check(
            r#"tvg-id="a" g="UK,BBC "One""#,
            &[("tvg-id", "a"), ("g", "UK")],
            r#"BBC "One""#,
        );
        check(
            r#"tvg-id="a tvg-name="b",N"#,
            &[("tvg-id", "a"), ("tvg-name", "b")],
            "N",
        );
        check(
            r#"tvg-id="a tvg-name="",N"#,
            &[("tvg-id", "a"), ("tvg-name", "")],
            "N",
        );
        check(r#"tvg-name="no comma"#, &[("tvg-name", "no comma")], "");
        check(r#"tvg-name="A, B" foo,N"#, &[("tvg-name", "A, B")], "N");
    }

    #[test]
    fn a_missing_comma_leaves_the_words_after_the_attributes_as_the_name() {
        check(r#"tvg-id="a" BBC One"#, &[("tvg-id", "a")], "BBC One");
        check("BBC One", &[], "BBC One");
    }

    #[test]
    fn header_values_hold_commas() {
        let found = parse("x-tvg-url=http://a/1,http://b/2 refresh=3600", Comma::IsText);
        assert_eq!(
            found.pairs,
            [("x-tvg-url", "http://a/1,http://b/2"), ("refresh", "3600")]
        );
    }

    #[test]
    fn the_number_of_attributes_is_bounded() {
        let many = "k=\"v\" ".repeat(ATTRIBUTES_MAX * 3) + ",N";
        let found = parse(&many, Comma::BeginsName);
        assert_eq!((found.pairs.len(), found.name), (ATTRIBUTES_MAX, "N"));
    }
}
