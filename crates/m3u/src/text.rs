//! Bytes of a line to text, whatever they are encoded in.

use std::borrow::Cow;

/// The characters of Windows-1252 at 0x80..=0x9F; the five unassigned ones stay C1 controls as browsers read them
/// (WHATWG Encoding §9.1).
const CP1252_80: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', //
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The text of one line: UTF-8, else Windows-1252, which every byte sequence is. NUL bytes and byte order marks go;
/// joined lists have them in the middle.
///
/// Decided per line because joined lists mix encodings.
pub(crate) fn decode(line: &[u8]) -> Cow<'_, str> {
    if line.contains(&0) {
        let without: Vec<u8> = line.iter().copied().filter(|byte| *byte != 0).collect();
        return Cow::Owned(decode(&without).into_owned());
    }
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(line.iter().map(|byte| windows_1252(*byte)).collect()),
    }
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => CP1252_80
            .get(usize::from(byte - 0x80))
            .copied()
            .unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from(byte),
    }
}

/// What follows `prefix` in `text`, whatever the case of its letters.
pub(crate) fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

/// `%41` to `A`; what is no such triplet stays. Bytes that are not UTF-8 are read as Windows-1252.
pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => break,
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex(*high) << 4 | hex(*low));
                tail
            }
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
        };
    }
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => error
            .into_bytes()
            .iter()
            .map(|byte| windows_1252(*byte))
            .collect(),
    }
}

/// The value of a hexadecimal digit; 0 for anything else.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_in_the_encoding_it_is_in() {
        for (bytes, expected) in [
            (&b"plain"[..], "plain"),
            ("Téléfoot ᴴᴰ".as_bytes(), "Téléfoot ᴴᴰ"),
            (b"T\xe9l\xe9foot", "Téléfoot"),
            (b"\x80 5 \x96 \x93M6\x94", "€ 5 – “M6”"),
            (b"\xef\xbb\xbf#EXTM3U", "#EXTM3U"),
            (b"\xef\xbb\xbf\xe9", "é"),
            (b"B\0B\0C\0", "BBC"),
        ] {
            assert_eq!(decode(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn percent_triplets_are_decoded_and_stray_percents_stay() {
        for (input, expected) in [
            ("a%20b", "a b"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%C3%A9", "é"),
            ("%E9", "é"),
        ] {
            assert_eq!(percent_decode(input), expected, "{input}");
        }
    }
}
