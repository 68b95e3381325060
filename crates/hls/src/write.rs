//! Playlists as text (RFC 8216 clause 4). Which segments are listed is [`crate::segment`]'s business.

use std::fmt::Write as _;
use std::time::Duration;

use crate::segment::{Map, Segment, Window};

/// EXT-X-VERSION of every playlist, from its first version on: clause 6.2.1 does not let it change, and nobody knows yet
/// what will be listed. Clause 7 asks for 3 where EXTINF has fractions and for 6 where there is EXT-X-MAP (of fragmented
/// MP4, players expect one more), and RFC 8216bis for 8 where there is EXT-X-GAP.
const VERSION: u32 = 8;

/// Bytes of text per segment, about.
const LINES_BYTES: usize = 160;

const SECONDS_PER_DAY: u64 = 86_400;

/// What has an address in a media playlist.
#[derive(Debug, Clone, Copy)]
pub enum Named<'a> {
    /// A segment.
    Segment(&'a Segment),
    /// What a decoder needs before it.
    Map(&'a Map),
}

/// A live media playlist. `uri` says where things are, relative to the playlist or not.
///
/// Of a segment the same is said in each version, its time of day included, as only what is appended and what is removed may
/// change (clause 6.2.1). EXT-X-INDEPENDENT-SEGMENTS is never there: it would hold for all that is ever listed, and a source
/// with endless groups of pictures may come at any time.
#[must_use]
pub fn media(window: &Window, uri: impl Fn(Named<'_>) -> String) -> String {
    let segments = window.listed();
    let Some(first) = window.listed().next() else {
        return String::new();
    };
    let mut text = String::with_capacity((segments.len() + 2) * LINES_BYTES);
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
        for segment in segments {
            if segment.discontinuity {
                text.push_str("#EXT-X-DISCONTINUITY\n");
            }
            let needed = segment.map.as_deref();
            if let Some(needed) = needed.filter(|needed| Some(*needed) != map) {
                writeln!(text, "#EXT-X-MAP:URI=\"{}\"", uri(Named::Map(needed)))?;
            }
            map = needed;
            if segment.gap {
                text.push_str("#EXT-X-GAP\n");
            }
            writeln!(
                text,
                "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{},\n{}",
                Time(segment.program_date_time),
                Seconds::of(segment),
                uri(Named::Segment(segment))
            )?;
        }
        Ok(())
    })();
    debug_assert!(written.is_ok());
    text
}

/// A multivariant playlist with the one variant there is, at `uri` (clause 4.3.4.2). Its bit rates are those of the segments
/// listed now.
#[must_use]
pub fn multivariant(window: &Window, uri: &str) -> String {
    if window.listed().len() == 0 {
        return String::new();
    }
    let rate = |bytes: usize, ticks_90k: u64| {
        let bits = 8 * 90_000 * u128::try_from(bytes).unwrap_or(u128::MAX);
        u64::try_from(bits / u128::from(ticks_90k.max(1))).unwrap_or(u64::MAX)
    };
    // The peak is that of what lasts half a target duration at least (clause 4.1).
    let lasts =
        |segment: &&std::sync::Arc<Segment>| segment.duration_90k() >= window.target_duration() * 45_000;
    let there = || window.listed().filter(|segment| !segment.gap);
    let rates = there()
        .filter(lasts)
        .map(|segment| rate(segment.bytes, segment.duration_90k()));
    let bytes = there().map(|segment| segment.bytes).sum();
    let average = rate(bytes, there().map(|segment| segment.duration_90k()).sum());
    let peak = rates.max().unwrap_or(average).max(average);
    let mut attributes = format!("BANDWIDTH={peak},AVERAGE-BANDWIDTH={average}");
    // A segment that begins without tables and picture does not tell.
    let mut newest = there().rev().map(|segment| &segment.contents);
    if let Some(contents) = newest.find(|contents| contents.is_known()) {
        if !contents.codecs.is_empty() {
            attributes.push_str(&format!(",CODECS=\"{}\"", contents.codecs.join(",")));
        }
        if let Some(size) = contents.picture {
            attributes.push_str(&format!(",RESOLUTION={}x{}", size.width, size.height));
        }
    }
    format!("#EXTM3U\n#EXT-X-STREAM-INF:{attributes}\n{uri}\n")
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
