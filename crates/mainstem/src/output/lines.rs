//! The lines of the M3U: what of a channel a player gets to know.

use std::fmt::Write as _;

use catalog::{Catalog, Channel, Kind};
use m3u::{Entry, Header, Writer};

use super::catchup;
use crate::config::Output;
use crate::upstream::unsupported::unplayable;

/// Channels written at a time.
const CHANNELS_PER_PIECE: usize = 500;

/// What stands around the id in every link, and which channels are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Links {
    pub(super) base: String,
    /// The token of the device that asked: its streams are known as its own.
    pub(super) ending: String,
    /// `None`: every kind, as the reference lists them.
    pub(super) kind: Option<Kind>,
    /// The form in which what is on now is sent. Files are files in either.
    pub(super) output: Output,
}

/// Writes the lines of the channels from `at` on; with the header line before the first ones. Says where the next
/// ones begin; `None` past the last.
pub(super) fn write(catalog: &Catalog, links: &Links, at: usize, text: &mut String) -> Option<usize> {
    // One in twenty may be live: nobody who wants those walks past the films.
    let (live, others) = match links.kind {
        Some(Kind::Live) => (Some(catalog.live(at)), &[][..]),
        _ => (None, catalog.channels().get(at..).unwrap_or_default()),
    };
    let mut channels = live.into_iter().flatten().chain(others).peekable();
    if at > 0 && channels.peek().is_none() {
        return None;
    }
    // Writing into a string cannot fail.
    let mut writer = match at {
        0 => Writer::new(text, &Header::default()).ok()?,
        _ => Writer::after_header(text),
    };
    let mut entry = Entry::default();
    for channel in channels.take(CHANNELS_PER_PIECE) {
        // What can never be played is not for players. GET /streams says why.
        if links.kind.is_none_or(|kind| kind == channel.kind()) && unplayable(channel).is_none() {
            fill(&mut entry, channel, links);
            writer.entry(&entry).ok()?;
        }
    }
    Some(at + CHANNELS_PER_PIECE)
}

/// Makes `entry` that of `channel`. Its strings are used again and again: half a million channels have five million.
fn fill(entry: &mut Entry, channel: &Channel, links: &Links) {
    let extra = channel.primary().entry().extra();
    let attributes = &mut entry.attributes;
    set(&mut entry.name, channel.display_name());
    set_option(&mut attributes.tvg_id, channel.tvg_id());
    set_option(&mut attributes.tvg_name, Some(channel.name()));
    set_option(&mut attributes.tvg_logo, channel.logo().as_deref());
    set_option(&mut attributes.tvg_chno, channel.tvg_chno());
    set_option(&mut attributes.tvg_language, channel.tvg_language());
    set_option(&mut attributes.tvg_country, channel.tvg_country());
    set_option(&mut attributes.group_title, channel.group());
    attributes.radio = channel.radio() == Some("true");
    attributes.others.clear();
    for (key, value) in [
        ("audio-track", &extra.audio_track),
        ("aspect-ratio", &extra.aspect_ratio),
    ] {
        if let Some(value) = value {
            attributes.others.push((key.to_owned(), value.to_string()));
        }
    }
    entry.url.clear();
    // Writing into a string cannot fail.
    let form = match (links.output, channel.kind()) {
        (Output::Hls, Kind::Live) => ".m3u8",
        _ => "",
    };
    write!(
        entry.url,
        "{}/stream/{}{form}{}",
        links.base,
        channel.id(),
        links.ending
    )
    .unwrap_or_default();
    let kept = (channel.kind() == Kind::Live)
        .then(|| catchup::kept(channel))
        .flatten();
    attributes.catchup = kept.map_or_else(m3u::Catchup::default, |days| kept_as(channel, days, links));
}

/// How a player asks for what was on: always as a transport stream, whatever the form of what is on.
fn kept_as(channel: &Channel, days: Option<u32>, links: &Links) -> m3u::Catchup {
    let mark = if links.ending.is_empty() { '?' } else { '&' };
    let Links { base, ending, .. } = links;
    m3u::Catchup {
        mode: Some("default".to_owned()),
        days,
        source: Some(format!(
            "{base}/stream/{}{ending}{mark}utc={{utc}}&utcend={{utcend}}",
            channel.id()
        )),
        correction: None,
    }
}

fn set(text: &mut String, value: &str) {
    text.clear();
    text.push_str(value);
}

fn set_option(text: &mut Option<String>, value: Option<&str>) {
    // Blank and absent are written the same.
    set(text.get_or_insert_default(), value.unwrap_or_default());
}
