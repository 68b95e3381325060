//! What one list says about one stream, and what it says about itself. Which key means what is known here; how
//! keys and values are told apart is not.

use std::borrow::Cow;

use crate::Headers;
use crate::attribute::ATTRIBUTES_MAX;

/// One playable address of a list and everything the list says about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// The text after the comma of `#EXTINF`, without surrounding white space. May be empty.
    ///
    /// For a bare address in a list that has no `#EXTINF` so far, the last path segment of the address.
    pub name: String,
    /// The `key="value"` pairs of `#EXTINF`.
    pub attributes: Attributes,
    /// The address, without surrounding white space and without a Kodi `|header=value` suffix. May be relative.
    ///
    /// It usually carries credentials: treat it as a secret.
    pub url: String,
    /// Request headers the list asks for (`#EXTVLCOPT`, `#KODIPROP`, `#EXTHTTP`, `url|header=value`).
    pub headers: Headers,
    /// Player properties that are not request headers: `#KODIPROP` and `#EXTVLCOPT` as (key, value), in order.
    pub properties: Vec<(String, String)>,
    /// Seconds; live entries say -1 or 0. `None` when missing or unreadable.
    pub duration: Option<f64>,
}

impl Entry {
    /// The name that identifies the channel: `tvg-name` as written unless it is blank, else the text after the
    /// comma, else `tvg-id`, else empty.
    #[must_use]
    pub fn channel_name(&self) -> &str {
        let tvg_name = self
            .attributes
            .tvg_name
            .as_deref()
            .filter(|name| !name.trim().is_empty());
        let tvg_id = self.attributes.tvg_id.as_deref().unwrap_or_default();
        tvg_name
            .or(Some(self.name.trim()).filter(|name| !name.is_empty()))
            .unwrap_or(tvg_id)
    }

    /// The groups of the entry: `group-title` split at `;`, blanks left out.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        let title = self.attributes.group_title.as_deref().unwrap_or_default();
        title.split(';').map(str::trim).filter(|group| !group.is_empty())
    }
}

/// The attributes of `#EXTINF`. A blank value reads as absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes {
    /// `tvg-id`: the id of the channel in the guide.
    pub tvg_id: Option<String>,
    /// `tvg-name`: the name that counts where present.
    pub tvg_name: Option<String>,
    /// `tvg-logo` or `logo`: the address of a picture.
    pub tvg_logo: Option<String>,
    /// `tvg-chno`, `channel-number` or `ch-number`: as written, may be decimal (`5.1`).
    pub tvg_chno: Option<String>,
    /// `tvg-language`.
    pub tvg_language: Option<String>,
    /// `tvg-country`.
    pub tvg_country: Option<String>,
    /// `tvg-shift`: hours to add to the guide's times.
    pub tvg_shift: Option<f64>,
    /// `group-title`, or `#EXTGRP` where that is absent. `;` separates several groups.
    pub group_title: Option<String>,
    /// `radio`: sound only.
    pub radio: bool,
    /// `catchup*` and its dialects.
    pub catchup: Catchup,
    /// Every other attribute in order of appearance: the key in lower case, the value as written.
    pub others: Vec<(String, String)>,
}

/// How past programmes of a channel are played.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catchup {
    /// `catchup` or `catchup-type`: `default`, `append`, `shift`, `flussonic`, `fs`, `xc`, `vod` …, as written.
    pub mode: Option<String>,
    /// `catchup-days`, `tvg-rec` or `timeshift`: days kept by the provider.
    pub days: Option<u32>,
    /// `catchup-source`: an address template.
    pub source: Option<String>,
    /// `catchup-correction`: hours to add to the times put into the template.
    pub correction: Option<f64>,
}

/// What `#EXTM3U` says; several such lines (joined lists) add up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    /// Guide addresses: `url-tvg`, `x-tvg-url`, `tvg-url`, each possibly a comma list; no duplicates.
    pub guide_urls: Vec<String>,
    /// `tvg-shift`: the default of the entries, in hours. Not copied into them.
    pub tvg_shift: Option<f64>,
    /// The default of the entries. Not copied into them.
    pub catchup: Catchup,
    /// Every other attribute in order of appearance, the key in lower case.
    pub others: Vec<(String, String)>,
}

impl Attributes {
    /// Takes one attribute. The first of several that mean the same wins unless it is blank.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        // The name identifies the channel, byte for byte; everything else reads better without stray blanks.
        let (written, value) = (value, value.trim());
        if value.is_empty() {
            return;
        }
        let key = lower_case(key);
        let slot = match &*key {
            "tvg-name" => return set_text(&mut self.tvg_name, written),
            "tvg-id" => &mut self.tvg_id,
            "tvg-logo" | "logo" => &mut self.tvg_logo,
            "tvg-chno" | "channel-number" | "ch-number" => &mut self.tvg_chno,
            "tvg-language" => &mut self.tvg_language,
            "tvg-country" => &mut self.tvg_country,
            "group-title" => &mut self.group_title,
            "radio" => {
                self.radio =
                    value == "1" || value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("yes");
                return;
            }
            "tvg-shift" if set_number(&mut self.tvg_shift, value) => return,
            _ => {
                if !self.catchup.set(&key, value) {
                    set_other(&mut self.others, &key, value);
                }
                return;
            }
        };
        set_text(slot, value);
    }
}

impl Catchup {
    /// Takes an attribute if it is about catch-up and readable.
    fn set(&mut self, key: &str, value: &str) -> bool {
        match key {
            "catchup" | "catchup-type" => set_text(&mut self.mode, value),
            "catchup-source" => set_text(&mut self.source, value),
            "catchup-correction" => return set_number(&mut self.correction, value),
            "catchup-days" | "tvg-rec" | "timeshift" => match value.parse() {
                Ok(days) => self.days = self.days.or(Some(days)),
                Err(_) => return false,
            },
            _ => return false,
        }
        true
    }
}

impl Header {
    /// Takes one attribute of `#EXTM3U`.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        let key = lower_case(key);
        match &*key {
            "url-tvg" | "x-tvg-url" | "tvg-url" => self.add_guides(value),
            "tvg-shift" if set_number(&mut self.tvg_shift, value) => {}
            _ => {
                if !self.catchup.set(&key, value) {
                    set_other(&mut self.others, &key, value);
                }
            }
        }
    }

    /// A comma parts two addresses only where another scheme follows: addresses hold commas themselves.
    fn add_guides(&mut self, value: &str) {
        let mut guides: Vec<String> = Vec::new();
        for part in value.split(',') {
            match guides.last_mut() {
                Some(last) if !part.contains("://") => {
                    last.push(',');
                    last.push_str(part);
                }
                _ => guides.push(part.to_owned()),
            }
        }
        for guide in guides {
            let guide = guide.trim_matches(|c: char| c == ',' || c.is_whitespace());
            let known = self.guide_urls.iter().any(|known| known == guide);
            if !guide.is_empty() && !known && self.guide_urls.len() < GUIDES_MAX {
                self.guide_urls.push(guide.to_owned());
            }
        }
    }
}

/// So many guide addresses of one list are kept.
const GUIDES_MAX: usize = 64;

fn set_text(slot: &mut Option<String>, value: &str) {
    if slot.is_none() {
        *slot = Some(value.to_owned());
    }
}

/// Whether `value` is a number; the first one wins.
fn set_number(slot: &mut Option<f64>, value: &str) -> bool {
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
    *slot = slot.or(number);
    number.is_some()
}

fn set_other(others: &mut Vec<(String, String)>, key: &str, value: &str) {
    if others.len() < ATTRIBUTES_MAX && !others.iter().any(|(known, _)| known == key) {
        others.push((key.to_owned(), value.to_owned()));
    }
}

/// Nearly every key is in lower case as it is.
fn lower_case(key: &str) -> Cow<'_, str> {
    if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(key.to_ascii_lowercase())
    } else {
        Cow::Borrowed(key)
    }
}
