//! Letters in the many styles that lists write them in, as plain ones.

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// One character read.
#[derive(Debug, Default)]
pub(super) struct Letter {
    /// As it is shown: plain, in its case, with its accents.
    pub(super) plain: String,
    /// As it is compared: lower case, without accents.
    pub(super) folded: String,
    /// Raised or in small capitals, as notes behind a name are.
    pub(super) is_styled: bool,
}

/// The small capitals that Unicode does not trace back to their letters, each with its letter.
const SMALL_CAPITALS: [(char, char); 25] = [
    ('ᴀ', 'A'),
    ('ʙ', 'B'),
    ('ᴄ', 'C'),
    ('ᴅ', 'D'),
    ('ᴇ', 'E'),
    ('ꜰ', 'F'),
    ('ɢ', 'G'),
    ('ʜ', 'H'),
    ('ɪ', 'I'),
    ('ᴊ', 'J'),
    ('ᴋ', 'K'),
    ('ʟ', 'L'),
    ('ᴍ', 'M'),
    ('ɴ', 'N'),
    ('ᴏ', 'O'),
    ('ᴘ', 'P'),
    ('ǫ', 'Q'),
    ('ʀ', 'R'),
    ('ꜱ', 'S'),
    ('ᴛ', 'T'),
    ('ᴜ', 'U'),
    ('ᴠ', 'V'),
    ('ᴡ', 'W'),
    ('ʏ', 'Y'),
    ('ᴢ', 'Z'),
];

/// Negative circled and squared capitals begin here, 26 each (Unicode, Enclosed Alphanumeric Supplement).
const ENCLOSED: [u32; 2] = [0x1f150, 0x1f170];

/// Regional indicators, two of which are a flag, stand for `A` to `Z` from here on.
const FLAG_LETTERS: u32 = 0x1f1e6;

/// Characters without width, which lists have between others: joiners, marks of direction, variation selectors.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// The letter of half a flag.
pub(super) fn flag_letter(c: char) -> Option<char> {
    capital(u32::from(c).checked_sub(FLAG_LETTERS)?)
}

/// Reads one character.
pub(super) fn read(c: char) -> Letter {
    if c.is_ascii() {
        return Letter {
            plain: c.to_string(),
            folded: c.to_ascii_lowercase().to_string(),
            is_styled: false,
        };
    }
    if let Some(capital) = small_or_enclosed(c) {
        return Letter {
            plain: capital.to_string(),
            folded: capital.to_ascii_lowercase().to_string(),
            is_styled: true,
        };
    }
    let plain: String = std::iter::once(c).nfkc().collect();
    let mut folded = String::new();
    for decomposed in std::iter::once(c).nfkd().filter(|mark| !is_accent(*mark)) {
        for lower in decomposed.to_lowercase().filter(|mark| !is_accent(*mark)) {
            match without_stroke(lower) {
                Some(letters) => folded.push_str(letters),
                None => folded.push(lower),
            }
        }
    }
    Letter {
        plain,
        folded,
        is_styled: is_raised(c),
    }
}

/// The accents of Latin, Greek and Cyrillic; the marks of other scripts are letters to their readers.
pub(super) fn is_accent(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// Marks that belong to the letter before them.
pub(super) fn is_mark(c: char) -> bool {
    is_combining_mark(c)
}

fn small_or_enclosed(c: char) -> Option<char> {
    let small = SMALL_CAPITALS.iter().find(|(small, _)| *small == c);
    small.map(|(_, capital)| *capital).or_else(|| {
        ENCLOSED
            .iter()
            .find_map(|start| capital(u32::from(c).checked_sub(*start)?))
    })
}

fn capital(place: u32) -> Option<char> {
    (place < 26)
        .then(|| char::from_u32(u32::from('A') + place))
        .flatten()
}

/// Superscripts and modifier letters.
fn is_raised(c: char) -> bool {
    matches!(c,
        '²' | '³' | '¹' | '\u{2b0}'..='\u{2b8}' | '\u{2e0}'..='\u{2e4}' | '\u{1d2c}'..='\u{1d6a}' | '\u{1d78}'
        | '\u{1d9b}'..='\u{1dbf}' | '\u{2070}'..='\u{209c}' | '\u{2c7c}' | '\u{2c7d}' | '\u{a7f8}' | '\u{a7f9}')
}

/// Letters whose stroke or form is no accent to Unicode, but is left out where names are typed in a hurry.
fn without_stroke(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'ı' => "i",
        'þ' => "th",
        'ς' => "σ",
        _ => return None,
    })
}
