//! What a match is replaced with: Python's template syntax, `\1`, `\g<1>`, `\g<name>`.

use super::{Captures, Pattern, PatternError, translate::error};

/// Bytes a text may grow to by replacing; more is cut at a character.
pub const EXPANDED_BYTES_MAX: usize = 1024;

/// A text with places for what groups took.
#[derive(Debug, Clone)]
pub struct Template {
    source: Box<str>,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Group(usize),
}

impl Template {
    /// Reads `source` as CPython's `re.sub` does; groups are those of `pattern`, and there are none without one.
    ///
    /// # Errors
    /// A group the pattern does not have, or an escape Python does not know.
    pub fn parse(source: &str, pattern: Option<&Pattern>) -> Result<Self, PatternError> {
        let mut reading = Reading {
            source,
            at: 0,
            pattern,
            parts: Vec::new(),
            text: String::new(),
        };
        while let Some(c) = reading.next() {
            if c == '\\' {
                reading.escape()?;
            } else {
                reading.text.push(c);
            }
        }
        reading.flush();
        Ok(Self {
            source: source.into(),
            parts: reading.parts,
        })
    }

    /// The template as the operator wrote it.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The text for one match; groups that took no part are empty.
    pub fn expand(&self, captures: Option<&Captures<'_>>) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Group(number) => {
                    out.push_str(captures.and_then(|captures| captures.get(*number)).unwrap_or(""));
                }
            }
        }
        out.truncate(out.floor_char_boundary(EXPANDED_BYTES_MAX));
        out
    }

    pub(super) fn expand_into(&self, captures: &Captures<'_>, out: &mut String) {
        out.push_str(&self.expand(Some(captures)));
    }
}

/// Equal when written alike.
impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Template {}

struct Reading<'s> {
    source: &'s str,
    at: usize,
    pattern: Option<&'s Pattern>,
    parts: Vec<Part>,
    text: String,
}

impl Reading<'_> {
    fn rest(&self) -> &str {
        self.source.get(self.at..).unwrap_or("")
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.parts.push(Part::Text(std::mem::take(&mut self.text)));
        }
    }

    /// After the backslash.
    fn escape(&mut self) -> Result<(), PatternError> {
        let start = self.at - 1;
        let Some(c) = self.next() else {
            return Err(error("bad escape (end of pattern)", start));
        };
        match c {
            'g' => self.named(),
            '0' => {
                let len = self.octals(2);
                self.octal(len, 0, start)
            }
            '1'..='9' => self.numbered(c, start),
            'a' => self.char('\x07'),
            'b' => self.char('\x08'),
            'f' => self.char('\x0c'),
            'n' => self.char('\n'),
            'r' => self.char('\r'),
            't' => self.char('\t'),
            'v' => self.char('\x0b'),
            '\\' => self.char('\\'),
            _ if c.is_ascii_alphabetic() => Err(error(format!(r"bad escape \{c}"), start)),
            _ => {
                self.text.push('\\');
                self.char(c)
            }
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "one of the ways an escape is read")]
    fn char(&mut self, c: char) -> Result<(), PatternError> {
        self.text.push(c);
        Ok(())
    }

    /// How many of the next `most` characters are octal digits.
    fn octals(&self, most: usize) -> usize {
        let digits = self.rest().bytes().take(most);
        digits.take_while(|byte| matches!(byte, b'0'..=b'7')).count()
    }

    /// `len` more octal digits behind what `first` says.
    fn octal(&mut self, len: usize, first: u32, start: usize) -> Result<(), PatternError> {
        let digits = self.rest().get(..len).unwrap_or("");
        let code = digits
            .bytes()
            .fold(first, |code, digit| code * 8 + u32::from(digit - b'0'));
        self.at += len;
        let c =
            u8::try_from(code).map_err(|_| error("octal escape value outside of range 0-0o377", start))?;
        self.char(char::from(c))
    }

    /// `\1` to `\99` are groups, three octal digits a character.
    fn numbered(&mut self, first: char, start: usize) -> Result<(), PatternError> {
        let digit = first.to_digit(10).unwrap_or(0);
        if digit < 8 && self.octals(2) == 2 {
            return self.octal(2, digit, start);
        }
        let mut number = digit as usize;
        if let Some(second) = self.rest().chars().next().and_then(|c| c.to_digit(10)) {
            self.at += 1;
            number = number * 10 + second as usize;
        }
        self.group(number, start + 1)
    }

    /// After `\g`.
    fn named(&mut self) -> Result<(), PatternError> {
        let start = self.at;
        let Some(inner) = self.rest().strip_prefix('<') else {
            return Err(error("missing <", start));
        };
        let Some((name, _)) = inner.split_once('>') else {
            return Err(error("missing >, unterminated name", start + 1));
        };
        let name = name.to_owned();
        self.at += name.len() + 2;
        if name.is_empty() {
            return Err(error("missing group name", start + 1));
        }
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            let number = name.parse().unwrap_or(usize::MAX);
            return self.group(number, start + 1);
        }
        if !name.chars().all(|c| c.is_alphanumeric() || c == '_') || name.starts_with(char::is_numeric) {
            return Err(error(format!("bad character in group name {name:?}"), start + 1));
        }
        let number = self.pattern.and_then(|pattern| pattern.group_named(&name));
        let number = number.ok_or_else(|| error(format!("unknown group name {name:?}"), start + 1))?;
        self.group(number, start + 1)
    }

    fn group(&mut self, number: usize, at: usize) -> Result<(), PatternError> {
        let most = self.pattern.map_or(0, Pattern::group_count);
        if number > most || self.pattern.is_none() {
            return Err(error(format!("invalid group reference {number}"), at));
        }
        self.flush();
        self.parts.push(Part::Group(number));
        Ok(())
    }
}
