//! Request headers an entry asks for. The four notations of the field end up in one value.
//!
//! Which of them a request may carry (`Host`, `Range` …) is decided where requests are made.

use crate::text::percent_decode;

/// So many headers of one entry are kept besides the two named ones.
const HEADERS_MAX: usize = 32;

/// Request headers for the stream of an entry. No value holds a control character.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `Referer`.
    pub referer: Option<String>,
    /// Any other header as (name, value) in order of appearance; names are valid header names.
    pub others: Vec<(String, String)>,
}

impl Headers {
    /// Whether no header is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.user_agent.is_none() && self.referer.is_none() && self.others.is_empty()
    }

    /// Takes one header; a later one replaces an earlier one of the same name. Anything that could break out of
    /// its header line is dropped.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let (name, value) = (name.trim(), value.trim());
        if !is_name(name) || value.is_empty() || value.chars().any(char::is_control) {
            return;
        }
        if name.eq_ignore_ascii_case("user-agent") {
            self.user_agent = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("referer") || name.eq_ignore_ascii_case("referrer") {
            self.referer = Some(value.to_owned());
        } else if let Some(known) = self
            .others
            .iter_mut()
            .find(|known| known.0.eq_ignore_ascii_case(name))
        {
            value.clone_into(&mut known.1);
        } else if self.others.len() < HEADERS_MAX {
            self.others.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Takes Kodi's `User-Agent=x&Referer=y`, whose values are percent-encoded.
    pub(crate) fn set_pairs(&mut self, pairs: &str) {
        for (name, value) in pairs.split('&').filter_map(|pair| pair.split_once('=')) {
            self.set(name, &percent_decode(value));
        }
    }

    /// Takes `#EXTHTTP`'s flat object of strings; reads as far as it is one.
    pub(crate) fn set_json(&mut self, object: &str) {
        let Some(mut rest) = object.trim_start().strip_prefix('{') else {
            return;
        };
        while let Some((name, tail)) = json_string(rest) {
            let Some(tail) = tail.trim_start().strip_prefix(':') else {
                return;
            };
            let Some((value, tail)) = json_string(tail) else {
                return;
            };
            self.set(&name, &value);
            let Some(tail) = tail.trim_start().strip_prefix(',') else {
                return;
            };
            rest = tail;
        }
    }

    /// Takes over what `other` has.
    pub(crate) fn merge(&mut self, other: &Self) {
        if let Some(agent) = &other.user_agent {
            self.set("User-Agent", agent);
        }
        if let Some(referer) = &other.referer {
            self.set("Referer", referer);
        }
        for (name, value) in &other.others {
            self.set(name, value);
        }
    }
}

/// Splits Kodi's `url|User-Agent=x`; a `|` that is not followed by headers belongs to the address.
pub(crate) fn split_address(line: &str) -> (&str, &str) {
    match line.split_once('|') {
        Some((url, pairs))
            if pairs
                .split_once('=')
                .is_some_and(|(name, _)| is_name(name.trim())) =>
        {
            (url.trim_end(), pairs)
        }
        _ => (line, ""),
    }
}

/// RFC 9110 §5.6.2: a header name is a token.
pub(crate) fn is_name(name: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_tchar)
}

/// The JSON string (RFC 8259 §7) at the start of `text` and what follows it.
fn json_string(text: &str) -> Option<(String, &str)> {
    let inner = text.trim_start().strip_prefix('"')?;
    let mut value = String::new();
    let mut chars = inner.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => match chars.next()? {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).ok()?;
                    value.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kodi_suffixes_are_split_off_and_decoded() {
        let (url, pairs) = split_address("http://h/1.ts|User-Agent=VLC%2F3.0&Referer=http://r/&X-A=b=c");
        let mut headers = Headers::default();
        headers.set_pairs(pairs);
        assert_eq!(url, "http://h/1.ts");
        assert_eq!(headers.user_agent.as_deref(), Some("VLC/3.0"));
        assert_eq!(headers.referer.as_deref(), Some("http://r/"));
        assert_eq!(headers.others, [("X-A".to_owned(), "b=c".to_owned())]);
    }

    #[test]
    fn a_bar_without_headers_is_part_of_the_address() {
        for url in ["http://h/a|b", "http://h/?x=a|b c=d", "http://h/a|"] {
            assert_eq!(split_address(url), (url, ""));
        }
    }

    #[test]
    fn no_value_can_break_out_of_its_header() {
        let mut headers = Headers::default();
        headers.set_pairs("User-Agent=a%0d%0aX-Evil:%201&B ad=x");
        headers.set_json(r#"{"Cookie":"a\nb"}"#);
        assert!(headers.is_empty(), "{headers:?}");
    }

    #[test]
    fn json_objects_are_read_as_far_as_they_are_sound() {
        for (json, expected) in [
            (r#"{"User-Agent":"A \"b\" \u0041"}"#, Some(r#"A "b" A"#)),
            (r#" { "cookie" : "x" , "user-agent" : "B" } "#, Some("B")),
            (r#"{"user-agent":"C","#, Some("C")),
            (r#"{"user-agent":5}"#, None),
            ("[]", None),
            ("", None),
        ] {
            let mut headers = Headers::default();
            headers.set_json(json);
            assert_eq!(headers.user_agent.as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn a_later_header_replaces_an_earlier_one() {
        let mut headers = Headers::default();
        headers.set("X-a", "1");
        headers.set("x-A", "2");
        assert_eq!(headers.others, [("X-a".to_owned(), "2".to_owned())]);
    }
}
