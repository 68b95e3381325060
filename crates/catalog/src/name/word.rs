//! The words that lists put around a channel's own name.

use super::Quality;

/// A country or region as lists abbreviate them; the spellings of one are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country(&'static str);

impl Country {
    /// Its code, in lower case.
    pub fn code(self) -> &'static str {
        self.0
    }

    /// The country a folded word abbreviates or names.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        let found = COUNTRIES
            .iter()
            .find(|(code, others)| *code == word || others.split(' ').any(|other| other == word));
        found.map(|(code, _)| Self(code))
    }
}

/// Code, and other spellings.
const COUNTRIES: [(&str, &str); 82] = [
    ("uk", "gb gbr eng unitedkingdom britain"),
    ("us", "usa unitedstates america"),
    ("ca", "can canada"),
    ("de", "ger deu germany deutschland"),
    ("at", "aut austria"),
    ("ch", "che sui switzerland"),
    ("fr", "fra france"),
    ("be", "bel belgium"),
    ("nl", "nld ned netherlands"),
    ("lu", "lux luxembourg"),
    ("es", "esp spain"),
    ("pt", "por prt portugal"),
    ("it", "ita italy italia"),
    ("mt", "malta"),
    ("ie", "irl ireland"),
    ("dk", "dnk den denmark"),
    ("se", "swe sweden"),
    ("no", "nor norway"),
    ("fi", "fin finland"),
    ("is", "isl iceland"),
    ("pl", "pol poland"),
    ("cz", "cze czechia"),
    ("sk", "svk slovakia"),
    ("hu", "hun hungary"),
    ("ro", "rou rom romania"),
    ("bg", "bgr bul bulgaria"),
    ("gr", "grc gre greece"),
    ("cy", "cyp cyprus"),
    ("al", "alb albania"),
    ("mk", "mkd macedonia"),
    ("exyu", "yu"),
    ("rs", "srb serbia"),
    ("hr", "hrv cro croatia"),
    ("ba", "bih bosnia"),
    ("si", "svn slovenia"),
    ("me", "mne montenegro"),
    ("xk", "kosovo"),
    ("tr", "tur turkey"),
    ("ru", "rus russia"),
    ("ua", "ukr ukraine"),
    ("by", "blr belarus"),
    ("ee", "est estonia"),
    ("lv", "lva latvia"),
    ("lt", "ltu lithuania"),
    ("md", "mda moldova"),
    ("ge", "geo georgia"),
    ("am", "arm armenia"),
    ("az", "aze azerbaijan"),
    ("kz", "kaz kazakhstan"),
    ("il", "isr israel"),
    ("ar", "arab arabic"),
    ("ae", "uae emirates"),
    ("sa", "ksa saudi"),
    ("qa", "qat qatar"),
    ("eg", "egy egypt"),
    ("ma", "mar morocco"),
    ("dz", "dza algeria"),
    ("tn", "tun tunisia"),
    ("iq", "irq iraq"),
    ("ir", "irn iran"),
    ("kurd", "kurdish"),
    ("af", "afg afghanistan"),
    ("pk", "pak pakistan"),
    ("in", "ind india"),
    ("bd", "bgd bangladesh"),
    ("cn", "chn china"),
    ("tw", "twn taiwan"),
    ("hk", "hkg hongkong"),
    ("jp", "jpn japan"),
    ("kr", "kor korea"),
    ("th", "tha thailand"),
    ("vn", "vnm vietnam"),
    ("ph", "phl philippines"),
    ("my", "mys malaysia"),
    ("au", "aus australia"),
    ("nz", "nzl newzealand"),
    ("br", "bra brazil brasil"),
    ("mx", "mex mexico"),
    ("co", "col colombia"),
    ("cl", "chl chile"),
    ("latam", "latino latin"),
    ("africa", "afr"),
];

/// The quality a folded word says, if that is what it does.
pub(super) fn quality(word: &str) -> Option<Quality> {
    Some(match word {
        "8k" | "4320p" => Quality::Uhd8k,
        "4k" | "uhd" | "2160p" => Quality::Uhd,
        "qhd" | "2k" | "1440p" => Quality::Qhd,
        "fhd" | "fullhd" | "1080p" | "1080i" | "1080" => Quality::FullHd,
        "hd" | "720p" | "720" => Quality::Hd,
        "sd" | "576p" | "576i" | "480p" | "480i" => Quality::Sd,
        "lq" | "ld" | "360p" | "240p" => Quality::Low,
        _ => return None,
    })
}

/// Words about the coding of a stream, which never are a channel's own.
pub(super) fn is_coding(word: &str) -> bool {
    matches!(
        word,
        "hevc"
            | "h265"
            | "x265"
            | "h264"
            | "x264"
            | "avc"
            | "mpeg4"
            | "hq"
            | "hdr"
            | "hdr10"
            | "hlg"
            | "sdr"
            | "fps"
            | "25fps"
            | "30fps"
            | "50fps"
            | "60fps"
            | "10bit"
            | "8bit"
            | "lossless"
            | "backup"
            | "bkp"
    )
}

/// Words that are a note in brackets or raised letters, and may be a channel's own otherwise.
pub(super) fn is_note(word: &str) -> bool {
    matches!(
        word,
        "live" | "multi" | "audio" | "alt" | "test" | "vip" | "raw" | "new" | "sub" | "dub" | "only" | "main"
    )
}

/// `RAW` is a word of these names, and a note behind all others.
pub(super) fn owns_raw(word_before: &str) -> bool {
    matches!(word_before, "wwe" | "monday" | "night")
}

/// Tags that are part of the name where a number follows, as in "Sky UHD 1".
pub(super) fn is_numbered_tag(word: &str) -> bool {
    matches!(word, "uhd" | "4k" | "8k")
}

/// "One" as in "BBC One" is 1; other words, and numbers without their leading zeros, are themselves.
pub(super) fn number(word: &str) -> &str {
    match word {
        "one" | "eins" => "1",
        "two" => "2",
        "three" => "3",
        "four" => "4",
        "five" => "5",
        "six" => "6",
        "seven" => "7",
        "eight" => "8",
        "nine" => "9",
        "ten" => "10",
        _ => without_zeros(word),
    }
}

/// "01" is 1.
pub(super) fn without_zeros(word: &str) -> &str {
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        let short = word.trim_start_matches('0');
        if short.is_empty() { "0" } else { short }
    } else {
        word
    }
}
