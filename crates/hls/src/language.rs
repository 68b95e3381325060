//! Languages as HLS names them (RFC 5646) in the three letters of transport streams (ISO 639-2).

/// ISO 639-1 and ISO 639-2/T of the languages of broadcasting, and what they call themselves.
const CODES: [(&str, &[u8; 3], &str); 46] = [
    ("ar", b"ara", "العربية"),
    ("az", b"aze", "Azərbaycanca"),
    ("be", b"bel", "Беларуская"),
    ("bg", b"bul", "Български"),
    ("bn", b"ben", "বাংলা"),
    ("bs", b"bos", "Bosanski"),
    ("ca", b"cat", "Català"),
    ("cs", b"ces", "Čeština"),
    ("cy", b"cym", "Cymraeg"),
    ("da", b"dan", "Dansk"),
    ("de", b"deu", "Deutsch"),
    ("el", b"ell", "Ελληνικά"),
    ("en", b"eng", "English"),
    ("es", b"spa", "Español"),
    ("et", b"est", "Eesti"),
    ("eu", b"eus", "Euskara"),
    ("fa", b"fas", "فارسی"),
    ("fi", b"fin", "Suomi"),
    ("fr", b"fra", "Français"),
    ("ga", b"gle", "Gaeilge"),
    ("gl", b"glg", "Galego"),
    ("he", b"heb", "עברית"),
    ("hi", b"hin", "हिन्दी"),
    ("hr", b"hrv", "Hrvatski"),
    ("hu", b"hun", "Magyar"),
    ("id", b"ind", "Bahasa Indonesia"),
    ("is", b"isl", "Íslenska"),
    ("it", b"ita", "Italiano"),
    ("ja", b"jpn", "日本語"),
    ("ko", b"kor", "한국어"),
    ("lt", b"lit", "Lietuvių"),
    ("lv", b"lav", "Latviešu"),
    ("mk", b"mkd", "Македонски"),
    ("nl", b"nld", "Nederlands"),
    ("no", b"nor", "Norsk"),
    ("pl", b"pol", "Polski"),
    ("pt", b"por", "Português"),
    ("ro", b"ron", "Română"),
    ("ru", b"rus", "Русский"),
    ("sk", b"slk", "Slovenčina"),
    ("sl", b"slv", "Slovenščina"),
    ("sq", b"sqi", "Shqip"),
    ("sr", b"srp", "Srpski"),
    ("sv", b"swe", "Svenska"),
    ("tr", b"tur", "Türkçe"),
    ("uk", b"ukr", "Українська"),
];

/// The three letters of a language tag: those of its first part where it has three, else those that stand for two.
#[must_use]
pub fn three_letters(tag: &str) -> Option<[u8; 3]> {
    let first = tag.split(['-', '_']).next()?.trim().to_ascii_lowercase();
    let three = <[u8; 3]>::try_from(first.as_bytes()).ok();
    if let Some(code) = three.filter(|code| code.iter().all(u8::is_ascii_lowercase)) {
        return Some(code);
    }
    let known = CODES.iter().find(|(two, ..)| *two == first);
    known.map(|(_, three, _)| **three)
}

/// ISO 639-2/B, which broadcasters use as well, and ISO 639-2/T of the same languages.
const OTHER_CODES: [(&[u8; 3], &[u8; 3]); 20] = [
    (b"alb", b"sqi"),
    (b"arm", b"hye"),
    (b"baq", b"eus"),
    (b"bur", b"mya"),
    (b"chi", b"zho"),
    (b"cze", b"ces"),
    (b"dut", b"nld"),
    (b"fre", b"fra"),
    (b"geo", b"kat"),
    (b"ger", b"deu"),
    (b"gre", b"ell"),
    (b"ice", b"isl"),
    (b"mac", b"mkd"),
    (b"mao", b"mri"),
    (b"may", b"msa"),
    (b"per", b"fas"),
    (b"rum", b"ron"),
    (b"slo", b"slk"),
    (b"tib", b"bod"),
    (b"wel", b"cym"),
];

/// The code of the same language that stands for it here, where there are two.
#[must_use]
pub fn terminological(code: [u8; 3]) -> [u8; 3] {
    let other = OTHER_CODES.iter().find(|(other, _)| **other == code);
    other.map_or(code, |(_, code)| **code)
}

/// The language tag of three letters: the two of ISO 639-1, where these are known (RFC 5646 clause 2.2.1).
#[must_use]
pub fn tag(code: [u8; 3]) -> String {
    let code = terminological(code);
    let known = CODES.iter().find(|(_, three, _)| **three == code);
    known.map_or_else(
        || String::from_utf8_lossy(&code).into_owned(),
        |(two, ..)| (*two).to_owned(),
    )
}

/// What a language calls itself.
#[must_use]
pub fn name(code: [u8; 3]) -> Option<&'static str> {
    let code = terminological(code);
    let known = CODES.iter().find(|(_, three, _)| **three == code);
    known.map(|(.., name)| *name)
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

    #[test]
    fn three_letters_have_a_tag_and_a_name() {
        for (code, expected, own) in [
            (b"deu", "de", Some("Deutsch")),
            (b"ger", "de", Some("Deutsch")),
            (b"eng", "en", Some("English")),
            (b"qaa", "qaa", None),
        ] {
            assert_eq!((tag(*code).as_str(), name(*code)), (expected, own));
        }
    }
}
