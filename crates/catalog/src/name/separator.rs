//! Lines of a list that are a heading and no channel.

use super::letter;

/// Signs in a row at both ends that make a name a heading.
const SIGNS_MIN: usize = 3;

/// Whether `name` is a heading such as "##### SPORT #####": signs in a row at both ends, or nothing but signs.
pub fn is_separator(name: &str) -> bool {
    let signs: Vec<char> = name
        .chars()
        .filter(|c| !c.is_whitespace() && !letter::is_invisible(*c))
        .collect();
    let is_sign = |c: &&char| !c.is_alphanumeric() && !is_bracket(**c) && letter::flag_letter(**c).is_none();
    let before = signs.iter().take_while(is_sign).count();
    if before == signs.len() {
        return before >= SIGNS_MIN;
    }
    let after = signs.iter().rev().take_while(is_sign).count();
    let hashes = |chars: &mut dyn Iterator<Item = &char>| chars.take_while(|c| **c == '#').count();
    let hashed = hashes(&mut signs.iter()).min(hashes(&mut signs.iter().rev()));
    (before >= SIGNS_MIN && after >= SIGNS_MIN) || hashed >= 2 || before > SIGNS_MIN
}

fn is_bracket(c: char) -> bool {
    matches!(
        c,
        '(' | ')' | '[' | ']' | '{' | '}' | '|' | '"' | '\'' | '.' | '!' | '?' | '+'
    )
}
