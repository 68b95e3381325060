//! What a name says besides the channel's own: quality, country, decoration. [`parse`] takes them off, so that the
//! names one channel has in many lists come out alike.
//!
//! Letters are read in `letter`, the words that are known in `word`; which tokens of a name are the channel's own
//! is decided in `token`. Not here: which names become one channel, for that takes all of them together.

mod letter;
mod separator;
mod token;
mod word;

pub use separator::is_separator;
pub use word::Country;

use token::Token;

/// Bytes of a name that are read; what a list calls a channel is shorter, and what is longer is cut.
pub const NAME_BYTES_MAX: usize = 512;

/// How good the picture is, by what the name says; the best is the least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    /// `8K`.
    Uhd8k,
    /// `4K`, `UHD`, `2160p`.
    Uhd,
    /// `QHD`, `2K`, `1440p`.
    Qhd,
    /// `FHD`, `1080p`.
    FullHd,
    /// `HD`, `720p`.
    Hd,
    /// Nothing is said.
    #[default]
    Unknown,
    /// `SD`, `576p`, `480p`.
    Sd,
    /// `LQ`, `LD`, `360p`.
    Low,
}

impl Quality {
    /// Place in the order of quality; 0 is the best.
    pub fn rank(self) -> u8 {
        self as u8
    }
}

/// A name taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The channel's own words, run together: alike for names that differ in case, accents, style of letters, quality
    /// tags, country and decoration only. Never empty, unless the name is.
    pub key: Box<str>,
    /// As [`Self::key`], but with the tags of quality in it: tells variants of a channel apart.
    pub variant: Box<str>,
    /// The channel's own words as the list writes them.
    pub shown: Box<str>,
    /// The country it is said to be of.
    pub country: Option<Country>,
    /// The best quality it is said to have.
    pub quality: Quality,
}

/// Takes `name` apart.
pub fn parse(name: &str) -> Name {
    let name = name.trim();
    let name = name
        .get(..name.floor_char_boundary(NAME_BYTES_MAX))
        .unwrap_or(name);
    let mut tokens = token::read(name);
    let country = token::take_country(&mut tokens);
    let quality = tokens
        .iter()
        .filter_map(|token| word::quality(&token.folded))
        .min()
        .unwrap_or_default();
    let variant = joined(tokens.iter());
    token::drop_tags(&mut tokens);
    let key = joined(tokens.iter().filter(|token| !token.is_dropped));
    if key.is_empty() {
        // Nothing but tags or symbols: all there is, is the name.
        let whole = name.trim();
        return Name {
            key: whole.to_lowercase().into(),
            variant: whole.to_lowercase().into(),
            shown: whole.into(),
            country: None,
            quality,
        };
    }
    Name {
        key,
        variant,
        shown: token::shown(&tokens, name).into(),
        country,
        quality,
    }
}

/// The country that a group's name begins with or is.
pub fn country_of_group(group: &str) -> Option<Country> {
    let group = group
        .get(..group.floor_char_boundary(NAME_BYTES_MAX))
        .unwrap_or(group);
    let mut tokens = token::read(group);
    token::take_country(&mut tokens).or_else(|| Country::of_word(&joined(tokens.iter())))
}

/// The country at the end of a guide's id, as in `bbc1.uk`.
pub fn country_of_tvg_id(id: &str) -> Option<Country> {
    let (_, end) = id.rsplit_once('.')?;
    (end.len() == 2).then(|| Country::of_word(&end.to_ascii_lowercase()))?
}

/// Run together: "ITV 1" and "ITV1" are one.
fn joined<'t>(tokens: impl Iterator<Item = &'t Token>) -> Box<str> {
    let mut key = String::new();
    for (place, token) in tokens.enumerate() {
        key.push_str(if place > 0 {
            word::number(&token.folded)
        } else {
            word::without_zeros(&token.folded)
        });
    }
    key.into()
}
