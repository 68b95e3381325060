//! Playlist text to values, leniently: what the field sends counts, not what the RFC allows.
//!
//! `quick-m3u8` tells lines and tags apart. Its typed tags are not used: one attribute it cannot read makes it
//! return the whole tag as unknown (a PROGRAM-DATE-TIME with `+0200`, a STREAM-INF without BANDWIDTH), and a
//! variant or a segment must not vanish for that.

use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::tag::{TagValue, UnknownTag};
use quick_m3u8::{HlsLine, Reader};

use std::sync::Arc;

use crate::attributes::{Attributes, text};
use crate::define::{Outside, Substitution};
use crate::playlist::{
    AudioRendition, ByteRange, Error, Key, Map, MediaPlaylist, MultivariantPlaylist, PLAYLIST_BYTES_MAX,
    Playlist, Segment, Variant,
};

/// Variants that are read of one playlist: real ones have a dozen.
const VARIANTS_MAX: usize = 64;

/// The same of renditions of sound.
const RENDITIONS_MAX: usize = 256;

/// No segment or target duration is believed beyond a day, in seconds.
const DURATION_MAX: f64 = 86_400.0;

/// Reads a playlist of either kind that stands for itself.
///
/// # Errors
/// The bytes are not a playlist, see [`Error`].
pub fn parse(bytes: &[u8]) -> Result<Playlist, Error> {
    parse_from(bytes, Outside::default())
}

/// Reads a playlist of either kind, which may take variables from outside.
///
/// # Errors
/// The bytes are not a playlist, see [`Error`].
pub fn parse_from(bytes: &[u8], outside: Outside<'_>) -> Result<Playlist, Error> {
    if bytes.len() > PLAYLIST_BYTES_MAX {
        return Err(Error::TooLong);
    }
    let text = String::from_utf8_lossy(bytes);
    let clean = |line: &str| {
        line.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\0'))
            .to_owned()
    };
    let lines: Vec<String> = text
        .split(['\n', '\r'])
        .map(clean)
        .filter(|line| !line.is_empty())
        .collect();
    let mut substitution = Substitution::new(outside, &lines);
    let lines: Vec<_> = lines
        .iter()
        .map(|line| substitution.line(line))
        .collect::<Result<_, Error>>()?;
    let text = lines.join("\n");
    let mut reader = Reader::from_str(&text, ParsingOptionsBuilder::new().build());
    let mut builder = Builder::default();
    builder.multivariant.definitions = substitution.finish();
    loop {
        match reader.read_line() {
            Ok(None) => return builder.finish(),
            Ok(Some(HlsLine::UnknownTag(tag))) => builder.tag(tag),
            Ok(Some(HlsLine::Uri(uri))) => builder.uri(&uri),
            // A line the reader cannot make sense of is a comment to us.
            Ok(Some(_)) | Err(_) => {}
        }
    }
}

/// What the lines so far amount to.
#[derive(Default)]
struct Builder {
    media: MediaPlaylist,
    multivariant: MultivariantPlaylist,
    /// EXTINF was there and its URI was not.
    segment_begun: bool,
    segment: Segment,
    /// The keys that hold, one of each KEYFORMAT.
    keys: Vec<Arc<Key>>,
    /// Shared by all segments they hold for: a long address must not be copied for each.
    key: Option<Arc<Key>>,
    map: Option<Arc<Map>>,
    /// The address and the end of the last byte range.
    range_end: Option<(String, u64)>,
    /// Where the list leads if it is no playlist: its only address.
    leads: Option<String>,
    addresses: usize,
    variant: Option<Variant>,
    target_duration: Option<u64>,
    saw_header: bool,
    saw_media_tag: bool,
    saw_multivariant_tag: bool,
}

impl Builder {
    fn tag(&mut self, tag: UnknownTag<'_>) {
        let value = tag.value().unwrap_or(TagValue(b""));
        match tag.name() {
            "M3U" => self.saw_header = true,
            "-X-STREAM-INF" => {
                self.saw_multivariant_tag = true;
                self.variant = Some(variant(&Attributes::parse(value)));
            }
            "-X-MEDIA" => {
                self.saw_multivariant_tag = true;
                if self.multivariant.audio.len() < RENDITIONS_MAX {
                    self.multivariant.audio.extend(audio(&Attributes::parse(value)));
                }
            }
            name if self.media_tag(name, value) => self.saw_media_tag = true,
            name => self.segment_tag(name, value),
        }
    }

    /// Whether `name` is a tag about the whole playlist that only a media playlist has (RFC 8216 §4.3.3).
    fn media_tag(&mut self, name: &str, value: TagValue<'_>) -> bool {
        let number = || text(value).trim().parse::<u64>().unwrap_or_default();
        match name {
            "-X-TARGETDURATION" => self.target_duration = whole_seconds(text(value)),
            "-X-MEDIA-SEQUENCE" => self.media.media_sequence = number(),
            "-X-DISCONTINUITY-SEQUENCE" => {
                self.media.discontinuity_sequence = text(value).trim().parse().ok();
            }
            "-X-ENDLIST" => self.media.ended = true,
            "-X-PLAYLIST-TYPE" => {}
            _ => return false,
        }
        true
    }

    /// A tag about the next segment, or all that follow (RFC 8216 §4.3.2).
    fn segment_tag(&mut self, name: &str, value: TagValue<'_>) {
        let segment = &mut self.segment;
        match name {
            "INF" => {
                segment.duration = seconds(text(value)).unwrap_or_default();
                self.segment_begun = true;
            }
            "-X-DISCONTINUITY" => segment.discontinuity = true,
            "-X-GAP" => segment.gap = true,
            "-X-BYTERANGE" => segment.byte_range = byte_range(text(value)),
            "-X-PROGRAM-DATE-TIME" => {
                segment.program_date_time =
                    Some(text(value).trim().to_owned()).filter(|time| !time.is_empty());
            }
            "-X-KEY" => self.key_tag(&Attributes::parse(value)),
            "-X-MAP" => {
                let key = self.key.clone();
                self.map = map(&Attributes::parse(value), key).map(Arc::new);
            }
            _ => {}
        }
    }

    /// A key holds until the next one of the same KEYFORMAT; NONE ends all (RFC 8216 §4.3.2.4).
    fn key_tag(&mut self, attributes: &Attributes<'_>) {
        match key(attributes) {
            None => self.keys.clear(),
            Some(key) => {
                self.keys.retain(|known| known.format != key.format);
                if self.keys.len() < KEYS_MAX {
                    self.keys.push(Arc::new(key));
                }
            }
        }
        let usable = self.keys.iter().find(|key| key.is_plain_aes());
        self.key = usable.or_else(|| self.keys.last()).cloned();
    }

    /// A byte range without an offset goes on where the one before it ended, if that was of the same address.
    fn place_range(&mut self, uri: &str) {
        let Some(range) = &mut self.segment.byte_range else {
            self.range_end = None;
            return;
        };
        let before = self.range_end.take().filter(|(known, _)| known == uri);
        range.offset = range.offset.or(before.map(|(_, end)| end));
        self.range_end = range
            .offset
            .and_then(|offset| Some((uri.to_owned(), offset.checked_add(range.length)?)));
    }

    fn uri(&mut self, uri: &str) {
        self.addresses += 1;
        if self.addresses == 1 {
            self.leads = Some(uri.to_owned());
        }
        if let Some(variant) = self.variant.take() {
            if self.multivariant.variants.len() >= VARIANTS_MAX {
                return;
            }
            self.multivariant.variants.push(Variant {
                uri: uri.to_owned(),
                ..variant
            });
        } else if std::mem::take(&mut self.segment_begun) {
            self.place_range(uri);
            let segment = std::mem::take(&mut self.segment);
            let (key, map) = (self.key.clone(), self.map.clone());
            self.media.segments.push(Segment {
                uri: uri.to_owned(),
                key,
                map,
                ..segment
            });
        }
    }

    fn finish(mut self) -> Result<Playlist, Error> {
        let segments = &self.media.segments;
        if !self.multivariant.variants.is_empty() || (self.saw_multivariant_tag && segments.is_empty()) {
            return Ok(Playlist::Multivariant(self.multivariant));
        }
        let longest = segments
            .iter()
            .map(|segment| segment.duration)
            .fold(0.0, f64::max);
        // A channel list has EXTINF as well, but neither tags of a media playlist nor durations.
        if !self.saw_media_tag && longest <= 0.0 {
            if let Some(uri) = self
                .leads
                .take()
                .filter(|_| self.saw_header && self.addresses == 1)
            {
                return Ok(Playlist::Leads(uri));
            }
            return Err(if self.saw_header && segments.is_empty() {
                Error::Empty
            } else {
                Error::NotAPlaylist
            });
        }
        let target = self.target_duration.filter(|target| *target > 0);
        self.media.target_duration = target
            .or(whole_seconds(&longest.round().to_string()))
            .unwrap_or(1)
            .max(1);
        Ok(Playlist::Media(self.media))
    }
}

fn variant(attributes: &Attributes<'_>) -> Variant {
    let codecs = attributes.text("CODECS").unwrap_or_default().split(',');
    let codecs = codecs
        .map(str::trim)
        .filter(|codec| !codec.is_empty())
        .map(str::to_owned);
    let bandwidth = |name| attributes.text(name).and_then(|value| value.parse().ok());
    Variant {
        uri: String::new(),
        bandwidth: bandwidth("BANDWIDTH")
            .or_else(|| bandwidth("AVERAGE-BANDWIDTH"))
            .unwrap_or(0),
        codecs: codecs.collect(),
        resolution: attributes.text("RESOLUTION").and_then(resolution),
        audio_group: attributes.owned("AUDIO"),
    }
}

fn audio(attributes: &Attributes<'_>) -> Option<AudioRendition> {
    let is_audio = attributes
        .text("TYPE")
        .is_some_and(|kind| kind.eq_ignore_ascii_case("AUDIO"));
    is_audio.then(|| AudioRendition {
        group: attributes.owned("GROUP-ID").unwrap_or_default(),
        name: attributes.owned("NAME").unwrap_or_default(),
        language: attributes.owned("LANGUAGE"),
        uri: attributes.owned("URI").map(Arc::from),
        is_default: attributes.yes("DEFAULT"),
        is_autoselect: attributes.yes("AUTOSELECT"),
    })
}

/// Keys of different formats that may hold at a time: more than there are DRM systems.
const KEYS_MAX: usize = 16;

/// Characters of METHOD and KEYFORMAT that are kept: the longest in use have 17 and 45, and they are printed for the
/// operator.
const METHOD_CHARS_MAX: usize = 48;

fn key(attributes: &Attributes<'_>) -> Option<Key> {
    let short = |name| {
        Some(
            attributes
                .text(name)?
                .chars()
                .take(METHOD_CHARS_MAX)
                .collect::<String>(),
        )
    };
    let method = short("METHOD")?;
    let clear = method.eq_ignore_ascii_case("NONE");
    let format = short("KEYFORMAT");
    (!clear).then(|| Key {
        method,
        uri: attributes.owned("URI"),
        iv: attributes.text("IV").and_then(initialisation_vector),
        format: format.unwrap_or_else(|| "identity".to_owned()),
    })
}

/// `0x` and at most 32 hexadecimal digits: a number of 128 bits (RFC 8216 §4.3.2.4).
fn initialisation_vector(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    Some(u128::from_str_radix(digits, 16).ok()?.to_be_bytes())
}

fn map(attributes: &Attributes<'_>, key: Option<Arc<Key>>) -> Option<Map> {
    let byte_range = attributes.text("BYTERANGE").and_then(byte_range);
    let from_start = |range: ByteRange| ByteRange {
        offset: range.offset.or(Some(0)),
        ..range
    };
    Some(Map {
        uri: attributes.owned("URI")?.into(),
        byte_range: byte_range.map(from_start),
        key,
    })
}

fn resolution(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once(['x', 'X'])?;
    Some((width.trim().parse().ok()?, height.trim().parse().ok()?))
}

fn byte_range(text: &str) -> Option<ByteRange> {
    let (length, offset) = match text.split_once('@') {
        Some((length, offset)) => (length, offset.trim().parse().ok()),
        None => (text, None),
    };
    Some(ByteRange {
        length: length.trim().parse().ok()?,
        offset,
    })
}

/// The number before the comma of EXTINF; 0 for -1, which some panels write.
fn seconds(text: &str) -> Option<f64> {
    let number = text.split(',').next().unwrap_or_default().trim();
    let seconds = number.parse::<f64>().ok().filter(|seconds| seconds.is_finite())?;
    Some(seconds.clamp(0.0, DURATION_MAX))
}

/// A target duration: a whole number by the RFC, a fraction in the field.
fn whole_seconds(text: &str) -> Option<u64> {
    format!("{:.0}", seconds(text)?.ceil()).parse().ok()
}

#[cfg(test)]
mod tests;
