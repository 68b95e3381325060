//! Python's `re` grammar, written out again as the engine's: the same constructs, the same mistakes refused.
//!
//! Follows CPython 3.11 to 3.13 (`Lib/re/_parser.py`), where the two dialects differ: `$`, `\Z`, what `\w`, `\s`, `\b`
//! and `i` mean, brackets inside sets, octal escapes, `{,n}`, possessive repeats, named groups, verbose mode.
//! Here are sequences, groups and repeats; escapes and sets are in `class`.

use super::PatternError;

/// Bytes of the longest pattern taken.
pub(super) const PATTERN_BYTES_MAX: usize = 64 << 10;

/// Groups in groups in groups: the deepest taken, so that no pattern exhausts the stack.
const NESTING_MAX: u32 = 100;

/// The most a repeat may ask for; the compiled size refuses less long before.
const REPEAT_MAX: u32 = 1_000_000;

/// `\w` of Python: what `str.isalnum()` says, and `_`. The engine's own has marks and circled letters in it, and not
/// the superscript digits of "HD⁶⁰".
pub(super) const WORD: &str = r"\p{L}\p{N}_";
/// `\s` of Python: what `str.isspace()` says.
pub(super) const SPACE: &str = r"\s\x1c-\x1f";
pub(super) const ASCII_WORD: &str = "A-Za-z0-9_";
pub(super) const ASCII_SPACE: &str = r"\x20\t\n\r\x0b\x0c";

/// How `$` and `\b` are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edges {
    /// As the engine has them: linear time, right for nearly every text.
    Native,
    /// With look-around, right for every text.
    Exact,
    /// As `Native`, without anything the linear engine does not have: finds at least what the pattern finds.
    Loose,
}

/// A pattern in the engine's syntax.
#[derive(Debug)]
pub(super) struct Translation {
    pub(super) regex: String,
    /// Native edges are wrong for texts that end in a line feed.
    pub(super) has_end: bool,
    /// Native edges are wrong for texts with characters on which the two ideas of a word differ.
    pub(super) has_word_edge: bool,
    /// The names of the groups, by number - 1.
    pub(super) groups: Vec<Option<Box<str>>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) ascii: bool,
    multiline: bool,
    dot_all: bool,
    verbose: bool,
}

pub(super) struct Translator<'p> {
    pub(super) source: &'p str,
    /// Byte offset of what comes next in `source`.
    pub(super) at: usize,
    pub(super) out: String,
    pub(super) flags: Flags,
    pub(super) edges: Edges,
    /// By number - 1.
    pub(super) groups: Vec<Group<'p>>,
    nesting: u32,
    /// How many things that take up text there were so far.
    solids: usize,
    has_end: bool,
    pub(super) has_word_edge: bool,
}

pub(super) struct Group<'p> {
    name: Option<&'p str>,
    pub(super) is_open: bool,
}

/// What a repeat would apply to.
#[derive(Clone, Copy)]
pub(super) enum Item {
    /// Something that takes up text, written from this offset of the output on.
    At(usize),
    /// A group in which nothing takes up text, written from this offset of the output on.
    Hollow(usize),
    /// A place such as `^`, or nothing.
    Unrepeatable,
    /// A repeat.
    Repeated,
}

/// Writes `source` in the engine's syntax, to be compiled case-insensitively.
pub(super) fn translate(source: &str, edges: Edges) -> Result<Translation, PatternError> {
    if source.len() > PATTERN_BYTES_MAX {
        return Err(error(
            format!("longer than {PATTERN_BYTES_MAX} bytes"),
            PATTERN_BYTES_MAX,
        ));
    }
    let flags = Flags {
        ignore_case: true,
        ascii: false,
        multiline: false,
        dot_all: false,
        verbose: false,
    };
    let mut translator = Translator {
        source,
        at: 0,
        out: String::with_capacity(source.len() * 2),
        flags,
        edges,
        groups: Vec::new(),
        nesting: 0,
        solids: 0,
        has_end: false,
        has_word_edge: false,
    };
    translator.alternatives(usize::MAX)?;
    if translator.at < source.len() {
        return Err(error("unbalanced parenthesis", translator.at));
    }
    let Translator {
        out: regex,
        has_end,
        has_word_edge,
        groups,
        ..
    } = translator;
    Ok(Translation {
        regex,
        has_end,
        has_word_edge,
        groups: groups
            .into_iter()
            .map(|group| group.name.map(Box::from))
            .collect(),
    })
}

pub(super) fn error(message: impl Into<String>, offset: usize) -> PatternError {
    PatternError {
        message: message.into(),
        offset: Some(offset),
    }
}

impl<'p> Translator<'p> {
    pub(super) fn rest(&self) -> &'p str {
        self.source.get(self.at..).unwrap_or("")
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn eat(&mut self, expected: &str) -> bool {
        let is_next = self.rest().starts_with(expected);
        if is_next {
            self.at += expected.len();
        }
        is_next
    }

    /// Takes what is before the next `end`, and `end`.
    fn until(&mut self, end: char, missing: &str, start: usize) -> Result<&'p str, PatternError> {
        let (text, _) = self.rest().split_once(end).ok_or_else(|| error(missing, start))?;
        self.at += text.len() + end.len_utf8();
        Ok(text)
    }

    /// Everything up to an unmatched `)` or the end.
    fn alternatives(&mut self, branches_max: usize) -> Result<(), PatternError> {
        let mut branches = 1;
        self.sequence()?;
        while self.peek() == Some('|') {
            if branches == branches_max {
                return Err(error("conditional backref with more than two branches", self.at));
            }
            self.at += 1;
            self.out.push('|');
            branches += 1;
            self.sequence()?;
        }
        Ok(())
    }

    fn sequence(&mut self) -> Result<(), PatternError> {
        let mut last = Item::Unrepeatable;
        while let Some(c) = self.peek() {
            let start = self.at;
            match c {
                '|' | ')' => break,
                _ if self.flags.verbose && self.skip_verbose(c) => {}
                '*' | '+' | '?' => {
                    self.at += 1;
                    let bounds = match c {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    last = self.repeat(last, bounds, start)?;
                }
                '{' => {
                    last = match self.bounds()? {
                        Some(bounds) => self.repeat(last, bounds, start)?,
                        None => {
                            self.at += 1;
                            self.item(|t| t.literal('{'))
                        }
                    };
                }
                '(' => {
                    if let Some(item) = self.group()? {
                        last = item;
                    }
                }
                _ => last = self.atom(c)?,
            }
        }
        Ok(())
    }

    /// Verbose mode's white space and comments.
    fn skip_verbose(&mut self, c: char) -> bool {
        if matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c') {
            self.at += 1;
            return true;
        }
        if c == '#' {
            self.at += self.rest().find('\n').map_or(self.rest().len(), |end| end + 1);
        }
        c == '#'
    }

    fn atom(&mut self, c: char) -> Result<Item, PatternError> {
        if c == '\\' {
            return self.escape();
        }
        if c == '[' {
            let start = self.out.len();
            self.set()?;
            self.solids += 1;
            return Ok(Item::At(start));
        }
        self.at += c.len_utf8();
        Ok(match c {
            '.' => self.item(|t| t.out.push_str(if t.flags.dot_all { "(?s:.)" } else { "." })),
            '^' => {
                self.out
                    .push_str(if self.flags.multiline { "(?m:^)" } else { r"\A" });
                Item::Unrepeatable
            }
            '$' => {
                self.end();
                Item::Unrepeatable
            }
            _ => self.item(|t| t.literal(c)),
        })
    }

    pub(super) fn item(&mut self, write: impl FnOnce(&mut Self)) -> Item {
        let start = self.out.len();
        write(self);
        self.solids += 1;
        Item::At(start)
    }

    /// Python's `$` is also before a line feed at the very end.
    fn end(&mut self) {
        let end = match (self.flags.multiline, self.edges) {
            (true, _) => "(?m:$)",
            (false, Edges::Native | Edges::Loose) => r"\z",
            (false, Edges::Exact) => r"(?=\n?\z)",
        };
        self.has_end |= !self.flags.multiline;
        self.out.push_str(end);
    }

    /// `{m}`, `{m,}`, `{,n}`, `{m,n}`; `None`, and nothing taken, where it is a plain brace.
    fn bounds(&mut self) -> Result<Option<(u32, Option<u32>)>, PatternError> {
        let start = self.at;
        let Some((inner, _)) = self
            .rest()
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'))
        else {
            return Ok(None);
        };
        let (least, most) = inner.split_once(',').unwrap_or((inner, inner));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if inner.is_empty() || !is_number(least) || !is_number(most) {
            return Ok(None);
        }
        self.at += inner.len() + 2;
        let number = |text: &str| match text {
            "" => Ok(None),
            _ => match text.parse() {
                Ok(number) if number <= REPEAT_MAX => Ok(Some(number)),
                _ => Err(error("the repetition number is too large", start)),
            },
        };
        let (least, most) = (number(least)?.unwrap_or(0), number(most)?);
        if most.is_some_and(|most| most < least) {
            return Err(error("min repeat greater than max repeat", start + 1));
        }
        Ok(Some((least, most)))
    }

    fn repeat(&mut self, last: Item, bounds: (u32, Option<u32>), start: usize) -> Result<Item, PatternError> {
        let from = match last {
            Item::At(from) => from,
            Item::Hollow(from) => {
                // The engine repeats nothing it can see to be empty; the second branch never matches.
                self.out.insert_str(from, "(?:");
                self.out.push_str(r"|[^\s\S])");
                from
            }
            Item::Unrepeatable => return Err(error("nothing to repeat", start)),
            Item::Repeated => return Err(error("multiple repeat", start)),
        };
        match bounds {
            (0, None) => self.out.push('*'),
            (1, None) => self.out.push('+'),
            (0, Some(1)) => self.out.push('?'),
            (least, None) => self.out.push_str(&format!("{{{least},}}")),
            (least, Some(most)) if least == most => self.out.push_str(&format!("{{{least}}}")),
            (least, Some(most)) => self.out.push_str(&format!("{{{least},{most}}}")),
        }
        if self.eat("?") {
            self.out.push('?');
        } else if self.eat("+") {
            self.out.insert_str(from, self.atomic());
            self.out.push(')');
        }
        Ok(Item::Repeated)
    }

    /// From `(` on. `None` where it is a comment or sets flags.
    fn group(&mut self) -> Result<Option<Item>, PatternError> {
        let (start, flags) = (self.at, self.flags);
        self.at += 1;
        let (from, solids) = (self.out.len(), self.solids);
        let mut number = None;
        let mut branches_max = usize::MAX;
        let mut close = ")";
        let mut looks_around = false;
        if matches!(self.rest(), "?P" | "?<") {
            return Err(error("unexpected end of pattern", self.source.len()));
        }
        if self.eat("?#") {
            self.until(')', "missing ), unterminated comment", start)?;
            return Ok(None);
        }
        if !self.eat("?") {
            number = Some(self.open_group(None));
            self.out.push('(');
        } else if self.eat("P<") {
            let name = self.group_name('>', "missing >, unterminated name")?;
            number = Some(self.open_group(Some(name)));
            self.out.push('(');
        } else if self.eat("P=") {
            let at = self.at;
            let name = self.group_name(')', "missing ), unterminated name")?;
            return self.named_reference(name, at).map(Some);
        } else if self.eat("(") {
            let at = self.at;
            let name = self.until(')', "missing ), unterminated name", at)?;
            let group = self.condition(name, at)?;
            if self.edges == Edges::Loose {
                self.out.push_str("(?:");
                (branches_max, close) = (2, "|)");
            } else {
                self.out.push_str(&format!("(?:(?({group})"));
                (branches_max, close) = (2, "))");
            }
        } else if let Some(open) = ["=", "!", "<=", "<!"].into_iter().find(|open| self.eat(open)) {
            self.out.push_str(&format!("(?{open}"));
            looks_around = true;
        } else if self.eat(":") {
            self.out.push_str("(?:");
        } else if self.eat(">") {
            self.out.push_str(self.atomic());
        } else if self.sets_flags(start)? {
            return Ok(None);
        }
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(error(format!("groups nested deeper than {NESTING_MAX}"), start));
        }
        self.alternatives(branches_max)?;
        if !self.eat(")") {
            return Err(error("missing ), unterminated subpattern", start));
        }
        self.out.push_str(close);
        self.nesting -= 1;
        self.flags = flags;
        if let Some(group) = number.and_then(|number: usize| self.groups.get_mut(number - 1)) {
            group.is_open = false;
        }
        if looks_around {
            self.solids = solids;
            if self.edges == Edges::Loose {
                self.out.truncate(from);
                self.out.push_str("(?:)");
            }
        }
        Ok(Some(if self.solids == solids {
            Item::Hollow(from)
        } else {
            Item::At(from)
        }))
    }

    fn atomic(&self) -> &'static str {
        if self.edges == Edges::Loose { "(?:" } else { "(?>" }
    }

    fn open_group(&mut self, name: Option<&'p str>) -> usize {
        self.groups.push(Group { name, is_open: true });
        self.groups.len()
    }

    fn group_name(&mut self, end: char, missing: &str) -> Result<&'p str, PatternError> {
        let at = self.at;
        let name = self.until(end, missing, at)?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if name.is_empty() {
            return Err(error("missing group name", at));
        }
        if !name.chars().all(is_word) || name.starts_with(char::is_numeric) {
            return Err(error(format!("bad character in group name {name:?}"), at));
        }
        if end == '>' && self.number_of(name).is_some() {
            return Err(error(format!("redefinition of group name {name:?}"), at));
        }
        Ok(name)
    }

    fn number_of(&self, name: &str) -> Option<usize> {
        self.groups
            .iter()
            .position(|group| group.name == Some(name))
            .map(|index| index + 1)
    }

    fn named_reference(&mut self, name: &str, at: usize) -> Result<Item, PatternError> {
        let number = self
            .number_of(name)
            .ok_or_else(|| error(format!("unknown group name {name:?}"), at))?;
        self.reference(number, at)
    }

    pub(super) fn reference(&mut self, number: usize, at: usize) -> Result<Item, PatternError> {
        match number.checked_sub(1).and_then(|index| self.groups.get(index)) {
            None => Err(error(format!("invalid group reference {number}"), at)),
            Some(group) if group.is_open => Err(error("cannot refer to an open group", at)),
            // Grouped, so that a digit that follows is not read as part of the number.
            Some(_) => Ok(self.item(|t| {
                if t.edges == Edges::Loose {
                    t.out.push_str("(?s:.*)");
                } else {
                    t.out.push_str(&format!(r"(?:\{number})"));
                }
            })),
        }
    }

    /// The group a conditional asks for; Python lets it be one that comes later, which then has not matched.
    fn condition(&mut self, name: &str, at: usize) -> Result<usize, PatternError> {
        if let Some(number) = self.number_of(name) {
            return Ok(number);
        }
        match name.parse() {
            Ok(number) if (1..=self.groups.len()).contains(&number) => Ok(number),
            Ok(0) => Err(error("bad group number", at)),
            Ok(number) => Err(error(format!("invalid group reference {number}"), at)),
            Err(_) => Err(error(format!("unknown group name {name:?}"), at)),
        }
    }

    /// After `(?`: `flags)` is true, `flags-flags:` opens a group and is false.
    fn sets_flags(&mut self, start: usize) -> Result<bool, PatternError> {
        let before = self.flags;
        let at = self.at;
        let Some((letters, _)) = self.rest().split_once([':', ')']) else {
            return self
                .set_flags(self.rest(), at)
                .and(Err(error("missing -, : or )", self.source.len())));
        };
        self.set_flags(letters, at)?;
        self.at += letters.len();
        if self.eat(")") {
            if letters.contains('-') {
                return Err(error("missing :", self.at - 1));
            }
            if !self.out.is_empty() || self.nesting > 0 {
                return Err(error("global flags not at the start of the expression", start));
            }
            return Ok(true);
        }
        self.at += 1;
        self.out
            .push_str(match (before.ignore_case, self.flags.ignore_case) {
                (true, false) => "(?-i:",
                (false, true) => "(?i:",
                _ => "(?:",
            });
        Ok(false)
    }

    /// `letters` are those at `at`: flags to set and, behind a dash, to clear.
    fn set_flags(&mut self, letters: &str, at: usize) -> Result<(), PatternError> {
        let (set, cleared) = letters
            .split_once('-')
            .map_or((letters, None), |(set, rest)| (set, Some(rest)));
        for (offset, c) in set.char_indices() {
            let here = at + offset;
            match c {
                'a' | 'u' if set.contains('a') && set.contains('u') => {
                    let first = set.find(['a', 'u']).unwrap_or(0);
                    let second = set.rfind(['a', 'u']).unwrap_or(first);
                    return Err(error(
                        "bad inline flags: 'a' and 'u' are incompatible",
                        at + second + 1,
                    ));
                }
                'L' => {
                    return Err(error(
                        "bad inline flags: cannot use 'L' flag with a str pattern",
                        here + 1,
                    ));
                }
                _ if self.set_flag(c, true) => {}
                _ if offset == 0 => return Err(error(format!("unknown extension ?{c}"), at - 1)),
                _ => return Err(error("unknown flag", here)),
            }
        }
        let Some(cleared) = cleared else {
            return if set.is_empty() {
                Err(error("missing flag", at))
            } else {
                Ok(())
            };
        };
        let at = at + set.len() + 1;
        if cleared.is_empty() {
            return Err(error("missing flag", at));
        }
        for (offset, c) in cleared.char_indices() {
            let here = at + offset;
            if matches!(c, 'a' | 'u' | 'L') {
                return Err(error(
                    "bad inline flags: cannot turn off flags 'a', 'u' and 'L'",
                    here + 1,
                ));
            }
            if set.contains(c) {
                return Err(error("bad inline flags: flag turned on and off", here + 1));
            }
            if !self.set_flag(c, false) {
                return Err(error("unknown flag", here));
            }
        }
        Ok(())
    }

    /// Whether there is such a flag.
    fn set_flag(&mut self, c: char, is_on: bool) -> bool {
        match c {
            'i' => self.flags.ignore_case = is_on,
            'm' => self.flags.multiline = is_on,
            's' => self.flags.dot_all = is_on,
            'x' => self.flags.verbose = is_on,
            'a' => self.flags.ascii = is_on,
            'u' => self.flags.ascii = !is_on,
            _ => return false,
        }
        true
    }
}
