//! Languages as HLS names them (RFC 5646) in the three letters of transport streams (ISO 639-2).

/// ISO 639-1 and ISO 639-2/T of the languages of broadcasting.
const CODES: [(&str, &[u8; 3]); 46] = [
    ("ar", b"ara"),
    ("az", b"aze"),
    ("be", b"bel"),
    ("bg", b"bul"),
    ("bn", b"ben"),
    ("bs", b"bos"),
    ("ca", b"cat"),
    ("cs", b"ces"),
    ("cy", b"cym"),
    ("da", b"dan"),
    ("de", b"deu"),
    ("el", b"ell"),
    ("en", b"eng"),
    ("es", b"spa"),
    ("et", b"est"),
    ("eu", b"eus"),
    ("fa", b"fas"),
    ("fi", b"fin"),
    ("fr", b"fra"),
    ("ga", b"gle"),
    ("gl", b"glg"),
    ("he", b"heb"),
    ("hi", b"hin"),
    ("hr", b"hrv"),
    ("hu", b"hun"),
    ("id", b"ind"),
    ("is", b"isl"),
    ("it", b"ita"),
    ("ja", b"jpn"),
    ("ko", b"kor"),
    ("lt", b"lit"),
    ("lv", b"lav"),
    ("mk", b"mkd"),
    ("nl", b"nld"),
    ("no", b"nor"),
    ("pl", b"pol"),
    ("pt", b"por"),
    ("ro", b"ron"),
    ("ru", b"rus"),
    ("sk", b"slk"),
    ("sl", b"slv"),
    ("sq", b"sqi"),
    ("sr", b"srp"),
    ("sv", b"swe"),
    ("tr", b"tur"),
    ("uk", b"ukr"),
];

/// The three letters of a language tag: those of its first part where it has three, else those that stand for two.
#[must_use]
pub fn three_letters(tag: &str) -> Option<[u8; 3]> {
    let first = tag.split(['-', '_']).next()?.trim().to_ascii_lowercase();
    let three = <[u8; 3]>::try_from(first.as_bytes()).ok();
    if let Some(code) = three.filter(|code| code.iter().all(u8::is_ascii_lowercase)) {
        return Some(code);
    }
    let known = CODES.iter().find(|(two, _)| *two == first);
    known.map(|(_, three)| **three)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_two_and_three_letters_are_known() {
        for (tag, expected) in [
            ("de", Some(b"deu")),
            ("en-US", Some(b"eng")),
            ("ENG", Some(b"eng")),
            ("pt_BR", Some(b"por")),
            ("xx", None),
            ("", None),
            ("e1g", None),
        ] {
            assert_eq!(three_letters(tag).as_ref(), expected, "{tag}");
        }
    }
}
