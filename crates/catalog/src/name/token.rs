//! The words and signs of a name, and which of them are the channel's own.

use super::letter;
use super::word::{self, Country};

/// A word, or a sign that counts as one.
#[derive(Debug)]
pub(super) struct Token {
    /// As it is compared.
    pub(super) folded: String,
    /// As it is shown.
    plain: String,
    /// Where it stands in the name, in bytes.
    start: usize,
    end: usize,
    /// In raised letters or small capitals.
    is_styled: bool,
    /// Inside brackets: the number of the pair, from 1 on.
    bracket: u32,
    /// What stands before it.
    gap: Gap,
    pub(super) is_dropped: bool,
}

/// What stands between two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    /// Nothing, a space, or a sign that joins.
    Weak,
    /// A sign that parts: `:`, `|`, a dash between spaces, a star.
    Strong,
}

/// The words of `name`.
pub(super) fn read(name: &str) -> Vec<Token> {
    let mut reading = Reading {
        tokens: Vec::new(),
        gap: Gap::Weak,
        bracket: 0,
        pairs: 0,
        is_open: false,
        after_space: true,
    };
    let mut chars = name.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        if letter::is_invisible(c) || letter::is_accent(c) {
            continue;
        }
        if let Some(first) = letter::flag_letter(c) {
            if let Some(second) = chars.peek().and_then(|(_, c)| letter::flag_letter(*c)) {
                reading.flag(at, [first, second]);
                _ = chars.next();
            }
            continue;
        }
        let next = chars.peek().map(|(_, c)| *c);
        reading.take(c, at..end, next);
    }
    reading.tokens
}

struct Reading {
    tokens: Vec<Token>,
    gap: Gap,
    bracket: u32,
    pairs: u32,
    is_open: bool,
    after_space: bool,
}

impl Reading {
    fn take(&mut self, c: char, place: std::ops::Range<usize>, next: Option<char>) {
        let read = letter::read(c);
        let is_word = read.folded.chars().all(char::is_alphanumeric) && !read.folded.is_empty();
        if is_word || (letter::is_mark(c) && self.is_open) {
            self.letter(&read, place);
            return;
        }
        self.is_open = false;
        match c {
            // Between a letter and a digit it is a time shift: "E4+1".
            '+' => self.sign(
                if next.is_some_and(|c| c.is_ascii_digit()) {
                    "+"
                } else {
                    "plus"
                },
                place,
            ),
            '&' => self.sign("and", place),
            '[' | '(' | '{' => {
                self.pairs += 1;
                self.bracket = self.pairs;
                self.gap = Gap::Strong;
            }
            ']' | ')' | '}' => {
                self.bracket = 0;
                self.gap = Gap::Strong;
            }
            '.' | '\'' | '’' | '`' | '´' | ',' | '!' | '?' | '/' | '_' => {}
            '-' | '–' => {
                if self.after_space && next.is_none_or(char::is_whitespace) {
                    self.gap = Gap::Strong;
                }
            }
            _ if c.is_whitespace() => {}
            _ => self.gap = Gap::Strong,
        }
        self.after_space = c.is_whitespace();
    }

    fn letter(&mut self, read: &letter::Letter, place: std::ops::Range<usize>) {
        self.after_space = false;
        let is_styled = read.is_styled;
        if let Some(token) = self.tokens.last_mut()
            && self.is_open
            && token.is_styled == is_styled
        {
            token.folded.push_str(&read.folded);
            token.plain.push_str(&read.plain);
            token.end = place.end;
            return;
        }
        self.is_open = true;
        self.push(read.folded.clone(), read.plain.clone(), place, is_styled);
    }

    fn sign(&mut self, folded: &str, place: std::ops::Range<usize>) {
        let plain = if folded == "and" { "&" } else { "+" };
        self.push(folded.to_owned(), plain.to_owned(), place, false);
    }

    fn push(&mut self, folded: String, plain: String, place: std::ops::Range<usize>, is_styled: bool) {
        self.tokens.push(Token {
            folded,
            plain,
            start: place.start,
            end: place.end,
            is_styled,
            bracket: self.bracket,
            gap: std::mem::replace(&mut self.gap, Gap::Weak),
            is_dropped: false,
        });
    }

    /// A flag is a country, and parts what is around it.
    fn flag(&mut self, at: usize, letters: [char; 2]) {
        self.is_open = false;
        self.gap = Gap::Strong;
        let text: String = letters.iter().collect();
        self.push(text.to_lowercase(), text, at..at, false);
        self.gap = Gap::Strong;
    }
}

/// Takes the country off: before a sign that parts it from the rest, in brackets, or behind such a sign at the end.
pub(super) fn take_country(tokens: &mut Vec<Token>) -> Option<Country> {
    join_split_country(tokens);
    let mut found = None;
    let mut place = 0;
    while tokens.len() > 1 && place < tokens.len() {
        let country = is_set_apart(tokens, place).and_then(|token| Country::of_word(&token.folded));
        if let Some(country) = country {
            tokens.remove(place);
            // What stood behind it is set apart all the same.
            if let Some(next) = tokens.get_mut(place) {
                next.gap = Gap::Strong;
            }
            found = found.or(Some(country));
        } else {
            place += 1;
        }
    }
    found
}

/// The token at `place`, if it stands alone between signs or ends and is first, last or in brackets.
fn is_set_apart(tokens: &[Token], place: usize) -> Option<&Token> {
    let token = tokens.get(place)?;
    let next = tokens.get(place + 1);
    let is_first = place == 0;
    let is_last = next.is_none();
    let ends = next.is_none_or(|next| next.gap == Gap::Strong);
    let begins = is_first || token.gap == Gap::Strong;
    // In the middle it is a country in brackets only: "A | IN | B" may be anything.
    let is_alone = begins && ends && (is_first || is_last || token.bracket > 0);
    is_alone.then_some(token)
}

/// "EX-YU" is one word.
fn join_split_country(tokens: &mut Vec<Token>) {
    let is_ex = tokens.first().is_some_and(|token| token.folded == "ex");
    let is_yu = tokens.get(1).is_some_and(|token| token.folded == "yu");
    if is_ex && is_yu {
        tokens.remove(0);
        if let Some(token) = tokens.first_mut() {
            "exyu".clone_into(&mut token.folded);
        }
    }
}

/// Marks the tags of quality, coding and the like, unless nothing else would be left.
pub(super) fn drop_tags(tokens: &mut [Token]) {
    let has_plain = tokens.iter().any(|token| !token.is_styled);
    for place in 0..tokens.len() {
        let is_tag = is_tag(tokens, place, has_plain);
        if let Some(token) = tokens.get_mut(place) {
            token.is_dropped = is_tag;
        }
    }
    unglue(tokens);
    if tokens.iter().all(|token| token.is_dropped) {
        for token in tokens {
            token.is_dropped = false;
        }
    }
}

fn is_tag(tokens: &[Token], place: usize, has_plain: bool) -> bool {
    let Some(token) = tokens.get(place) else {
        return false;
    };
    let (text, before) = (
        token.folded.as_str(),
        place.checked_sub(1).and_then(|place| tokens.get(place)),
    );
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if word::is_numbered_tag(text)
        && tokens
            .get(place + 1)
            .is_some_and(|next| is_number(&next.folded) && !next.is_styled && next.bracket == 0)
    {
        return false;
    }
    if word::quality(text).is_some() || word::is_coding(text) {
        return true;
    }
    let after_tag = before.is_some_and(|before| before.is_dropped);
    match text {
        "raw" => return !before.is_some_and(|before| word::owns_raw(&before.folded)),
        // "HD+".
        "plus" => return after_tag && before.is_some_and(|before| word::quality(&before.folded).is_some()),
        "vip" => {
            return token.gap == Gap::Strong
                || tokens.get(place + 1).is_none_or(|next| next.gap == Gap::Strong);
        }
        _ => {}
    }
    // A second backup; frames a second.
    if is_number(text)
        && after_tag
        && before.is_some_and(|before| matches!(before.folded.as_str(), "backup" | "bkp"))
    {
        return true;
    }
    if token.is_styled && has_plain {
        return word::is_note(text) || text.chars().count() <= 3;
    }
    token.bracket > 0 && is_note_in_brackets(tokens, token.bracket)
}

/// Whether nothing in these brackets is the channel's own.
fn is_note_in_brackets(tokens: &[Token], bracket: u32) -> bool {
    tokens
        .iter()
        .filter(|token| token.bracket == bracket)
        .all(|token| {
            let text = token.folded.as_str();
            word::is_note(text)
                || word::is_coding(text)
                || word::quality(text).is_some()
                || (text.chars().count() == 1 && text.chars().all(char::is_alphabetic))
        })
}

/// Letters a word must keep when a tag glued to its end is cut: "RTLHD", not "MHD".
const GLUED_LETTERS_MIN: usize = 3;

/// Cuts a tag off the last word that is left.
fn unglue(tokens: &mut [Token]) {
    let Some(token) = tokens.iter_mut().rfind(|token| !token.is_dropped) else {
        return;
    };
    for tag in ["fhd", "uhd", "hd"] {
        let Some(rest) = token.folded.strip_suffix(tag) else {
            continue;
        };
        if rest.chars().count() >= GLUED_LETTERS_MIN && token.plain.len() == token.folded.len() {
            let len = rest.len();
            token.folded.truncate(len);
            token.plain.truncate(token.plain.floor_char_boundary(len));
            token.end = token.end.saturating_sub(tag.len());
            return;
        }
    }
}

/// The tokens that are left, as the name writes them; what stood between two of them stays if it is short.
pub(super) fn shown(tokens: &[Token], name: &str) -> String {
    let mut text = String::new();
    let mut before: Option<&Token> = None;
    let mut skipped = false;
    for token in tokens {
        if token.is_dropped {
            skipped = true;
            continue;
        }
        if let Some(before) = before {
            let between = name.get(before.end..token.start).unwrap_or(" ");
            let is_plain = !skipped && token.gap == Gap::Weak && !between.chars().any(letter::is_invisible);
            text.push_str(if is_plain { between } else { " " });
        }
        text.push_str(&token.plain);
        before = Some(token);
        skipped = false;
    }
    text
}
