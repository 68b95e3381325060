//! Escapes, sets and single characters of Python's `re`, written in the engine's syntax.

use super::{
    PatternError,
    translate::{ASCII_SPACE, ASCII_WORD, Edges, Item, SPACE, Translator, WORD, error},
};

/// The four letters Python takes for one another without regard to case; Unicode's simple case folding, which the
/// engine uses, keeps the Turkish two apart. "SİNEMA" matches `sinema`.
const LETTERS_I: [char; 4] = ['i', 'I', '\u{130}', '\u{131}'];
const TURKISH_I: &str = r"\x{130}\x{131}";

/// What an escape stands for inside a set, and mostly outside.
enum Escape {
    Char(char),
    /// `d`, `D`, `s`, `S`, `w` or `W`.
    Category(char),
}

impl Translator<'_> {
    /// Writes `c` for itself.
    pub(super) fn literal(&mut self, c: char) {
        if !self.flags.ignore_case {
            self.char(c);
        } else if LETTERS_I.contains(&c) && !self.flags.ascii {
            self.out.push_str(r"[i\x{130}\x{131}]");
        } else if self.flags.ascii {
            self.ascii_folded(c);
        } else {
            self.char(c);
        }
    }

    /// In ASCII mode `k` is not the Kelvin sign, and `é` not `É`.
    fn ascii_folded(&mut self, c: char) {
        if c.is_ascii() && !matches!(c, 'k' | 'K' | 's' | 'S') {
            return self.char(c);
        }
        self.out.push_str("(?-i:[");
        self.char(c.to_ascii_lowercase());
        self.char(c.to_ascii_uppercase());
        self.out.push_str("])");
    }

    /// Escaped so that it means itself inside and outside sets.
    fn char(&mut self, c: char) {
        if c.is_ascii_alphanumeric() || (!c.is_ascii() && c.is_alphanumeric()) {
            self.out.push(c);
        } else {
            self.out.push_str(&format!(r"\x{{{:x}}}", u32::from(c)));
        }
    }

    /// From `\` on, outside a set.
    pub(super) fn escape(&mut self) -> Result<Item, PatternError> {
        let start = self.at;
        let rest = self.rest().get(1..).unwrap_or("");
        let Some(c) = rest.chars().next() else {
            return Err(error("bad escape (end of pattern)", start));
        };
        match c {
            'A' | 'Z' | 'b' | 'B' => {
                self.at += 2;
                match c {
                    'A' => self.out.push_str(r"\A"),
                    'Z' => self.out.push_str(r"\z"),
                    _ => self.word_edge(c == 'b'),
                }
                Ok(Item::Unrepeatable)
            }
            '1'..='9' => self.reference_or_octal(start),
            _ => Ok(match self.escaped(start)? {
                Escape::Char(c) => self.item(|t| t.literal(c)),
                Escape::Category(c) => self.item(|t| {
                    // Without folding: in ASCII mode `ſ` is no letter, though it folds to `s`.
                    t.out.push_str(if t.flags.ascii { "(?-i:[" } else { "[" });
                    t.out.push_str(if c.is_ascii_uppercase() { "^" } else { "" });
                    t.category(c.to_ascii_lowercase());
                    t.out.push_str(if t.flags.ascii { "])" } else { "]" });
                }),
            }),
        }
    }

    fn word_edge(&mut self, is_edge: bool) {
        if self.edges != Edges::Exact && !self.flags.ascii {
            self.has_word_edge = true;
            self.out.push_str(if is_edge { r"\b" } else { r"\B" });
            return;
        }
        let word = if self.flags.ascii { ASCII_WORD } else { WORD };
        self.has_word_edge |= !self.flags.ascii;
        if self.edges == Edges::Loose {
            return;
        }
        self.out.push_str(&if is_edge {
            format!("(?:(?<=[{word}])(?![{word}])|(?<![{word}])(?=[{word}]))")
        } else {
            format!("(?:(?<=[{word}])(?=[{word}])|(?<![{word}])(?![{word}]))")
        });
    }

    /// `\1` to `\99` are groups, three octal digits a character.
    fn reference_or_octal(&mut self, start: usize) -> Result<Item, PatternError> {
        self.at += 1;
        let digits = self.rest();
        let is_octal = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        if let Some(octal) = digits.get(..3).filter(|octal| is_octal(octal)) {
            self.at += 3;
            let c = octal_char(octal, start)?;
            return Ok(self.item(|t| t.literal(c)));
        }
        let len = digits.bytes().take(2).take_while(u8::is_ascii_digit).count();
        self.at += len;
        let number: usize = digits
            .get(..len)
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0);
        let group = number.checked_sub(1).and_then(|index| self.groups.get(index));
        let is_open = group.is_some_and(|group| group.is_open);
        self.reference(number, if is_open { start } else { start + 1 })
    }

    /// From `\` on: an escape that means the same inside and outside sets.
    fn escaped(&mut self, start: usize) -> Result<Escape, PatternError> {
        self.at += 1;
        let Some(c) = self.next() else {
            return Err(error("bad escape (end of pattern)", start));
        };
        Ok(Escape::Char(match c {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => return Ok(Escape::Category(c)),
            'a' => '\x07',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' => self.hex(2, start)?,
            'u' => self.hex(4, start)?,
            'U' => self.hex(8, start)?,
            '0' => {
                let len = self
                    .rest()
                    .bytes()
                    .take(2)
                    .take_while(|byte| matches!(byte, b'0'..=b'7'))
                    .count();
                let octal = self.rest().get(..len).unwrap_or("");
                self.at += len;
                octal_char(octal, start)?
            }
            'N' if !self.rest().starts_with('{') => return Err(error("missing {", self.at)),
            'N' => {
                return Err(error(
                    r"\N{…} is not supported: write the character itself",
                    start,
                ));
            }
            _ if c.is_ascii_alphanumeric() => return Err(error(format!(r"bad escape \{c}"), start)),
            _ => c,
        }))
    }

    fn hex(&mut self, digits: usize, start: usize) -> Result<char, PatternError> {
        let hex = self
            .rest()
            .get(..digits)
            .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some(hex) = hex else {
            return Err(error(
                format!("incomplete escape: {digits} hex digits are needed"),
                start,
            ));
        };
        self.at += digits;
        let code = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32);
        code.ok_or_else(|| error(format!("bad escape: {hex} is no character"), start))
    }

    /// The inside of a set that is one of Python's categories.
    fn category(&mut self, lower_case: char) {
        let inside = match (lower_case, self.flags.ascii) {
            ('d', false) => r"\d",
            ('d', true) => "0-9",
            ('s', false) => SPACE,
            ('s', true) => ASCII_SPACE,
            (_, false) => WORD,
            (_, true) => ASCII_WORD,
        };
        self.out.push_str(inside);
    }

    /// From `[` on.
    pub(super) fn set(&mut self) -> Result<(), PatternError> {
        let start = self.at;
        self.at += 1;
        self.out.push('[');
        if self.eat("^") {
            self.out.push('^');
        }
        let mut is_first = true;
        let mut has_i = false;
        loop {
            if !is_first && self.eat("]") {
                break;
            }
            is_first = false;
            has_i |= self.set_member(start)?;
        }
        if has_i && self.flags.ignore_case && !self.flags.ascii {
            self.out.push('i');
            self.out.push_str(TURKISH_I);
        }
        self.out.push(']');
        Ok(())
    }

    /// One character, category or range; whether an `i` of any sort is in it.
    fn set_member(&mut self, set_start: usize) -> Result<bool, PatternError> {
        let start = self.at;
        let low = self.set_atom(set_start)?;
        let is_range = self.rest().starts_with('-') && !self.rest().starts_with("-]");
        if !is_range {
            return Ok(match low {
                Escape::Char(c) => {
                    self.char(c);
                    LETTERS_I.contains(&c)
                }
                Escape::Category(c) if c.is_ascii_uppercase() => {
                    self.out.push_str("[^");
                    self.category(c.to_ascii_lowercase());
                    self.out.push(']');
                    false
                }
                Escape::Category(c) => {
                    self.category(c);
                    false
                }
            });
        }
        self.at += 1;
        let high = self.set_atom(set_start)?;
        match (low, high) {
            (Escape::Char(low), Escape::Char(high)) if low <= high => {
                self.char(low);
                self.out.push('-');
                self.char(high);
                Ok(LETTERS_I.iter().any(|i| (low..=high).contains(i)))
            }
            _ => {
                let range = self.source.get(start..self.at).unwrap_or("");
                Err(error(format!("bad character range {range}"), start))
            }
        }
    }

    fn set_atom(&mut self, set_start: usize) -> Result<Escape, PatternError> {
        let start = self.at;
        let Some(c) = self.peek() else {
            return Err(error("unterminated character set", set_start));
        };
        if c != '\\' {
            self.at += c.len_utf8();
            return Ok(Escape::Char(c));
        }
        let rest = self.rest().get(1..).unwrap_or("");
        match rest.chars().next() {
            Some('b') => {
                self.at += 2;
                Ok(Escape::Char('\x08'))
            }
            Some('1'..='7') => {
                let len = rest
                    .bytes()
                    .take(3)
                    .take_while(|byte| matches!(byte, b'0'..=b'7'))
                    .count();
                self.at += 1 + len;
                octal_char(rest.get(..len).unwrap_or(""), start).map(Escape::Char)
            }
            _ => self.escaped(start),
        }
    }
}

/// Up to three octal digits; none is the null character.
fn octal_char(octal: &str, start: usize) -> Result<char, PatternError> {
    let code = u32::from_str_radix(octal, 8).unwrap_or(0);
    let code = u8::try_from(code).map_err(|_| error("octal escape value outside of range 0-0o377", start))?;
    Ok(char::from(code))
}
