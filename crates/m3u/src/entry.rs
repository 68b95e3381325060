//! What one list says about one stream, and what it says about itself. No parsing here.

use crate::Headers;

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
