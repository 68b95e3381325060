//! Playlists as text (RFC 8216 clause 4). Which segments are listed is [`crate::segment`]'s business.

use std::fmt::Write as _;
use std::time::Duration;

use mpegts::Codec;

use crate::language;
use crate::segment::{About, Map, Rendition, Segment, Sound, Window};

/// EXT-X-VERSION of every playlist, from its first version on: clause 6.2.1 does not let it change, and nobody knows yet
/// what will be listed. Clause 7 asks for 3 where EXTINF has fractions and for 6 where there is EXT-X-MAP (of fragmented
/// MP4, players expect one more), and RFC 8216bis for 8 where there is EXT-X-GAP.
const VERSION: u32 = 8;

/// GROUP-ID of the sounds.
const GROUP: &str = "audio";

/// Bytes of text per segment, about.
const LINES_BYTES: usize = 160;

const SECONDS_PER_DAY: u64 = 86_400;

/// What has an address in a media playlist.
#[derive(Debug, Clone, Copy)]
pub enum Named<'a> {
    /// A segment.
    Segment(&'a Segment),
    /// A further sound of it.
    Sound(&'a Segment, &'a Sound),
    /// What a decoder needs before it.
    Map(&'a Map),
}

/// Which file of each segment a playlist lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// The pictures and the first sound.
    Main,
    /// The sound in that place.
    Sound(usize),
}

/// One file of a segment.
struct Listed<'a> {
    segment: &'a Segment,
    named: Named<'a>,
    map: Option<&'a Map>,
    gap: bool,
}

impl<'a> Listed<'a> {
    fn of(segment: &'a Segment, file: File) -> Option<Self> {
        Some(match file {
            File::Main => Self {
                segment,
                named: Named::Segment(segment),
                map: segment.map.as_deref(),
                gap: segment.gap,
            },
            File::Sound(place) => {
                let sound = segment.sounds.get(place)?;
                Self {
                    segment,
                    named: Named::Sound(segment, sound),
                    map: sound.map.as_deref(),
                    gap: sound.gap,
                }
            }
        })
    }
}

/// A live media playlist. `uri` says where things are, relative to the playlist or not.
///
/// Of a segment the same is said in each version, its time of day included, as only what is appended and what is removed may
/// change (clause 6.2.1). EXT-X-INDEPENDENT-SEGMENTS is never there: it would hold for all that is ever listed, and a source
/// with endless groups of pictures may come at any time.
#[must_use]
pub fn media(window: &Window, file: File, uri: impl Fn(Named<'_>) -> String) -> String {
    let mut listed = window
        .listed()
        .filter_map(|segment| Listed::of(segment, file))
        .peekable();
    let Some(first) = listed.peek().map(|listed| listed.segment) else {
        return String::new();
    };
    let mut text = String::with_capacity((window.listed().len() + 2) * LINES_BYTES);
    let target_duration = window.target_duration();
    let sequence = first.sequence;
    // A tag that is still in the playlist is counted there (clause 4.3.3.3).
    let discontinuities = first.discontinuity_sequence - u64::from(first.discontinuity);
    // Writing to a string does not fail.
    let written: std::fmt::Result = (|| {
        write!(
            text,
            "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{target_duration}\n\
             #EXT-X-MEDIA-SEQUENCE:{sequence}\n#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}\n"
        )?;
        let mut map = None;
        for listed in listed {
            let segment = listed.segment;
            if segment.discontinuity {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            let needed = listed.map;
            if let Some(needed) = needed.filter(|needed| Some(*needed) != map) {
                writeln!(text, "#EXT-X-MAP:URI=\"{}\"", uri(Named::Map(needed)))?;
            }
            map = needed;
            if listed.gap {
                text.push_str("#EXT-X-GAP\n");
            }
            writeln!(
                text,
                "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{},\n{}",
                Time(segment.program_date_time),
                Seconds::of(segment),
                uri(listed.named)
            )?;
        }
        Ok(())
    })();
    debug_assert!(written.is_ok());
    text
}

/// A multivariant playlist with the one variant there is, at `uri(None)` (clause 4.3.4.2), and the sounds to choose from,
/// where the newest segment has several. Its bit rates are those of the segments listed now, with the largest of the sounds.
///
/// All sounds are one group, as groups of one type have to have the same members, and CODECS has all that a group has
/// (clause 4.3.4.1.1). A player that lacks one of the codecs leaves out the variant: behind it there is the same once more,
/// with the first sound and no choice, where the codecs differ.
#[must_use]
pub fn multivariant(
    window: &Window,
    renditions: &[&Rendition],
    uri: impl Fn(Option<&Rendition>) -> String,
) -> String {
    let there = || window.listed().filter(|segment| !segment.gap);
    if window.listed().len() == 0 {
        return String::new();
    }
    // A segment that begins without tables and picture does not tell.
    let newest = there().rev().find(|segment| segment.contents.is_known());
    let choices = newest.map_or_else(Vec::new, |segment| choices(segment, renditions));
    let mut text = String::from("#EXTM3U\n");
    media_of(&choices, &uri, &mut text);
    let mut variant = |choices: &[Choice<'_>]| {
        let places: Vec<usize> = choices.iter().filter_map(|choice| choice.place).collect();
        let (average, peak) = rates(window, &places);
        // Where all there is so far are gaps, nothing is known, and zero would be said to be enough.
        let peak = peak.max(1);
        text.push_str(&format!(
            "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average}"
        ));
        let codecs = newest.map_or_else(Vec::new, |segment| codecs(segment, choices));
        if !codecs.is_empty() {
            text.push_str(&format!(",CODECS=\"{}\"", codecs.join(",")));
        }
        if let Some(size) = newest.and_then(|segment| segment.contents.picture) {
            text.push_str(&format!(",RESOLUTION={}x{}", size.width, size.height));
        }
        if !choices.is_empty() {
            text.push_str(&format!(",AUDIO=\"{GROUP}\""));
        }
        text.push_str(&format!("\n{}\n", uri(None)));
        !codecs.is_empty()
    };
    let tells_codecs = variant(&choices);
    let mut coded = choices.iter().map(|choice| choice.about.codec);
    let first = coded.next();
    if tells_codecs && coded.any(|codec| Some(codec) != first) {
        variant(&[]);
    }
    text
}

/// Bits in a second of what a player loads: on the average, and at the peak. `places` are the sounds it may choose.
fn rates(window: &Window, places: &[usize]) -> (u64, u64) {
    let there = || window.listed().filter(|segment| !segment.gap);
    let rate = |bytes: usize, ticks_90k: u64| {
        let bits = 8 * 90_000 * u128::try_from(bytes).unwrap_or(u128::MAX);
        u64::try_from(bits / u128::from(ticks_90k.max(1))).unwrap_or(u64::MAX)
    };
    let bytes_of = |segment: &Segment| {
        let sounds = places.iter().filter_map(|place| segment.sounds.get(*place));
        segment.bytes + sounds.map(|sound| sound.bytes).max().unwrap_or_default()
    };
    // The peak is that of what lasts half a target duration at least (clause 4.1).
    let least_90k = window.target_duration() * 45_000;
    let rates = there()
        .filter(|segment| segment.duration_90k() >= least_90k)
        .map(|segment| rate(bytes_of(segment), segment.duration_90k()));
    let bytes = there().map(|segment| bytes_of(segment)).sum();
    let average = rate(bytes, there().map(|segment| segment.duration_90k()).sum());
    (average, rates.max().unwrap_or(average).max(average))
}

/// A sound that can be chosen.
struct Choice<'a> {
    about: &'a About,
    /// None of the first, which is in the variant itself.
    rendition: Option<&'a Rendition>,
    place: Option<usize>,
}

/// The sounds of a segment, if there are several.
fn choices<'a>(segment: &'a Segment, renditions: &[&'a Rendition]) -> Vec<Choice<'a>> {
    let others = renditions.iter().zip(&segment.sounds).enumerate();
    let others = others.filter_map(|(place, (rendition, sound))| {
        Some(Choice {
            about: sound.about.as_ref().filter(|_| !sound.gap)?,
            rendition: Some(rendition),
            place: Some(place),
        })
    });
    let first = segment.contents.first.iter().map(|about| Choice {
        about,
        rendition: None,
        place: None,
    });
    let all: Vec<Choice<'a>> = first.chain(others).collect();
    if all.len() < 2 || all.iter().all(|choice| choice.rendition.is_some()) {
        return Vec::new();
    }
    all
}

/// CODECS of a segment with these sounds; empty where one of them has no name.
fn codecs(segment: &Segment, choices: &[Choice<'_>]) -> Vec<String> {
    let mut codecs = segment.contents.codecs.clone();
    for choice in choices.iter().filter(|choice| choice.rendition.is_some()) {
        match &choice.about.name {
            Some(name) if codecs.contains(name) => {}
            Some(name) if !codecs.is_empty() => codecs.push(name.clone()),
            _ => return Vec::new(),
        }
    }
    codecs
}

/// EXT-X-MEDIA of each sound (clause 4.3.4.1). The first is in the variant itself, and has no URI.
fn media_of(choices: &[Choice<'_>], uri: impl Fn(Option<&Rendition>) -> String, text: &mut String) {
    let mut names: Vec<String> = Vec::new();
    let mut chosen = Vec::new();
    for Choice { about, rendition, .. } in choices {
        let name = unlike(&names, about);
        text.push_str(&format!(
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{GROUP}\",NAME=\"{name}\""
        ));
        names.push(name);
        if let Some(code) = about.language {
            text.push_str(&format!(",LANGUAGE=\"{}\"", language::tag(code)));
        }
        if rendition.is_none() {
            text.push_str(",DEFAULT=YES");
        }
        // A player chooses by itself among those that differ in what it can know of the viewer.
        let choice = (about.language, about.describes);
        if !chosen.contains(&choice) {
            text.push_str(",AUTOSELECT=YES");
            chosen.push(choice);
        }
        if about.describes {
            text.push_str(",CHARACTERISTICS=\"public.accessibility.describes-video\"");
        }
        if let Some(channels) = about.channels() {
            text.push_str(&format!(",CHANNELS=\"{channels}\""));
        }
        if rendition.is_some() {
            text.push_str(&format!(",URI=\"{}\"", uri(*rendition)));
        }
        text.push('\n');
    }
}

/// The name of a sound for people, another one than those before it in its group.
fn unlike(names: &[String], about: &About) -> String {
    let code = about.language.unwrap_or(*b"und");
    let plain = language::name(code).map_or_else(|| language::tag(code), str::to_owned);
    let mut name = if about.describes {
        format!("{plain} (AD)")
    } else {
        plain
    };
    if names.contains(&name) {
        name.push_str(match about.codec {
            Codec::Aac | Codec::AacLatm => " (AAC)",
            Codec::Ac3 => " (AC-3)",
            Codec::Eac3 => " (E-AC-3)",
            Codec::MpegAudio => " (MPEG)",
            Codec::Dts => " (DTS)",
            _ => " (2)",
        });
    }
    let mut number = 1;
    let mut unlike = name.clone();
    while names.contains(&unlike) {
        number += 1;
        unlike = format!("{name} {number}");
    }
    unlike
}

/// How long a segment plays, to the microsecond. The sum over a playlist is exact: each begins where the one before ended,
/// rounded likewise.
struct Seconds {
    micros: u64,
}

impl Seconds {
    fn of(segment: &Segment) -> Self {
        let micros = |ticks_90k: u64| u128::from(ticks_90k) * 100 / 9;
        let span = micros(segment.end_90k) - micros(segment.start_90k);
        Self {
            micros: u64::try_from(span).unwrap_or(u64::MAX),
        }
    }
}

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:06}", self.micros / 1_000_000, self.micros % 1_000_000)
    }
}

/// A time of day as ISO 8601 writes it, in UTC, to the millisecond (clause 4.3.2.6).
struct Time(Duration);

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        let (year, month, day) = date(seconds / SECONDS_PER_DAY);
        let of_day = seconds % SECONDS_PER_DAY;
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        let millis = self.0.subsec_millis();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

/// The date of a day, counted from 1970-01-01: the proleptic Gregorian calendar in cycles of 400 years that begin in March,
/// so that a leap day is the last of its year.
fn date(day: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const CYCLE: u64 = 146_097;
    let day = day + DAYS_TO_1970;
    let (cycle, of_cycle) = (day / CYCLE, day % CYCLE);
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (year, month + 3)
    } else {
        (year + 1, month - 9)
    };
    (cycle * 400 + year, month, of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_a_date() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.250Z"),
            (951_782_400, "2000-02-29T00:00:00.250Z"),
            (1_078_012_799, "2004-02-28T23:59:59.250Z"),
            (1_735_689_599, "2024-12-31T23:59:59.250Z"),
            (4_107_542_400, "2100-03-01T00:00:00.250Z"),
        ] {
            let time = Duration::from_millis(seconds * 1_000 + 250);
            assert_eq!(Time(time).to_string(), expected);
        }
    }
}
