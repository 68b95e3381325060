//! A strict reader of live media playlists, and a watch over every version of one: it accepts what RFC 8216 allows a
//! server and this program promises, and names everything else. Written without a look at the crate `hls`.

#![allow(
    clippy::allow_attributes,
    dead_code,
    reason = "each test uses a part of it; a surprise ends the test"
)]

use std::collections::BTreeMap;
use std::time::Duration;

/// Tags of a whole playlist that are known, each of which may stand there once.
const OF_PLAYLIST: [&str; 6] = [
    "#EXT-X-VERSION",
    "#EXT-X-TARGETDURATION",
    "#EXT-X-MEDIA-SEQUENCE",
    "#EXT-X-DISCONTINUITY-SEQUENCE",
    "#EXT-X-INDEPENDENT-SEGMENTS",
    "#EXT-X-ENDLIST",
];

/// A reader asks a little after a version came: so much may be missed.
const LOOK_TOLERANCE: Duration = Duration::from_millis(400);

/// One segment as a playlist lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    /// With its own tag, if it has one.
    pub(crate) discontinuity_sequence: u64,
    pub(crate) discontinuity: bool,
    pub(crate) uri: String,
    pub(crate) micros: u64,
    /// URI of the EXT-X-MAP that holds for it.
    pub(crate) map: Option<String>,
    /// Nothing is to be had at its URI.
    pub(crate) gap: bool,
    /// Milliseconds since the Unix epoch.
    pub(crate) time: i64,
}

/// One version of a playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) version: u32,
    pub(crate) target: u64,
    pub(crate) sequence: u64,
    pub(crate) discontinuity_sequence: u64,
    pub(crate) independent: bool,
    pub(crate) entries: Vec<Entry>,
}

impl Listing {
    /// Reads a live media playlist.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line));
        if lines.next() != Some("#EXTM3U") {
            return Err("the first line is not #EXTM3U (4.3.1.1)".to_owned());
        }
        let mut once: BTreeMap<&str, &str> = BTreeMap::new();
        let mut entries: Vec<Entry> = Vec::new();
        let (mut extinf, mut discontinuity, mut time, mut map) = (None, false, None, None);
        let mut gap = false;
        for line in lines.filter(|line| !line.is_empty()) {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            if OF_PLAYLIST.contains(&tag) {
                if once.insert(tag, value).is_some() {
                    return Err(format!("{tag} stands there twice"));
                }
                if !entries.is_empty() && tag != "#EXT-X-ENDLIST" {
                    return Err(format!("{tag} behind a segment (4.3.3.2, 4.3.3.3)"));
                }
                continue;
            }
            match tag {
                "#EXT-X-DISCONTINUITY" => discontinuity = true,
                "#EXT-X-GAP" => gap = true,
                "#EXT-X-PROGRAM-DATE-TIME" => time = Some(millis(value)?),
                "#EXT-X-MAP" => map = Some(attribute(value, "URI").ok_or("EXT-X-MAP without URI")?),
                "#EXTINF" => {
                    let (seconds, _) = value
                        .split_once(',')
                        .ok_or("EXTINF without its comma (4.3.2.1)")?;
                    if extinf.replace(micros(seconds)?).is_some() {
                        return Err("two EXTINF for one segment".to_owned());
                    }
                }
                _ if line.starts_with("#EXT") => return Err(format!("unknown tag {tag}")),
                _ if line.starts_with('#') => {}
                _ => {
                    let micros = extinf.take().ok_or_else(|| format!("no EXTINF before {line}"))?;
                    let time: Option<i64> = time.take();
                    entries.push(Entry {
                        sequence: 0,
                        discontinuity_sequence: 0,
                        discontinuity: std::mem::take(&mut discontinuity),
                        uri: line.to_owned(),
                        micros,
                        map: map.clone(),
                        gap: std::mem::take(&mut gap),
                        time: time.ok_or_else(|| format!("no time of day before {line}"))?,
                    });
                }
            }
        }
        if extinf.is_some() || discontinuity || time.is_some() || gap {
            return Err("tags without a segment behind them".to_owned());
        }
        if once.contains_key("#EXT-X-ENDLIST") {
            return Err("EXT-X-ENDLIST in a live playlist".to_owned());
        }
        let number = |tag: &str| -> Result<u64, String> {
            let value = once.get(tag).ok_or_else(|| format!("{tag} is missing"))?;
            value.parse().map_err(|_| format!("{tag}:{value}"))
        };
        let mut listing = Self {
            version: u32::try_from(number("#EXT-X-VERSION")?).map_err(|e| e.to_string())?,
            target: number("#EXT-X-TARGETDURATION")?,
            sequence: number("#EXT-X-MEDIA-SEQUENCE")?,
            discontinuity_sequence: number("#EXT-X-DISCONTINUITY-SEQUENCE")?,
            independent: once.contains_key("#EXT-X-INDEPENDENT-SEGMENTS"),
            entries,
        };
        let mut count = listing.discontinuity_sequence;
        for (sequence, entry) in (listing.sequence..).zip(&mut listing.entries) {
            count += u64::from(entry.discontinuity);
            entry.sequence = sequence;
            entry.discontinuity_sequence = count;
        }
        listing.check()?;
        Ok(listing)
    }

    /// What can be seen in one version alone.
    fn check(&self) -> Result<(), String> {
        if self.version < 3 {
            return Err("fractions in EXTINF need version 3 (7)".to_owned());
        }
        for entry in &self.entries {
            let rounded = (entry.micros + 500_000) / 1_000_000;
            if rounded > self.target {
                return Err(format!(
                    "segment {} of {} µs is longer than EXT-X-TARGETDURATION {} (4.3.3.1)",
                    entry.sequence, entry.micros, self.target
                ));
            }
            if entry.gap && self.version < 8 {
                return Err("EXT-X-GAP needs version 8 (RFC 8216bis 8)".to_owned());
            }
            if entry.map.is_some() && self.version < 6 {
                return Err("EXT-X-MAP needs version 6 (7)".to_owned());
            }
        }
        match self.entries.first() {
            None => Err("no segment".to_owned()),
            Some(_) => Ok(()),
        }
    }

    /// How long it plays.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_micros(self.entries.iter().map(|entry| entry.micros).sum())
    }
}

/// Everything that was seen of one playlist, version after version.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    last: Option<(Duration, Listing)>,
    /// The last look but this one, and the last before the present version was seen: nobody knows what came in between.
    looked_at: Duration,
    came_after: Duration,
    seen: BTreeMap<u64, Entry>,
    /// When each segment that is gone from the list was last in it, and how long the longest playlist was that listed it.
    removed: Vec<(Duration, Entry)>,
    longest: BTreeMap<u64, Duration>,
    shortened: bool,
    /// Whether a version came late is not asked: the reader looks now and then.
    pub(crate) loosely: bool,
}

impl Watch {
    /// A look at the playlist at `now`. Says which segments are new.
    pub(crate) fn see(&mut self, now: Duration, text: &str) -> Result<Vec<Entry>, String> {
        let listing = Listing::parse(text).map_err(|error| format!("{error}\n{text}"))?;
        self.compare(now, &listing)
            .map_err(|error| format!("{error}\n{text}"))
    }

    fn compare(&mut self, now: Duration, listing: &Listing) -> Result<Vec<Entry>, String> {
        let looked_at = std::mem::replace(&mut self.looked_at, now);
        if let Some((at, last)) = &self.last {
            if last == listing {
                let most = Duration::from_secs(last.target) * 3 / 2 + LOOK_TOLERANCE;
                if !self.loosely && now.saturating_sub(*at) > most {
                    return Err(format!(
                        "no new version for {:?} (6.2.2)",
                        now.saturating_sub(*at)
                    ));
                }
                return Ok(Vec::new());
            }
            self.successor(now, *at, listing)?;
        }
        let (mut fresh, mut time) = (Vec::new(), None::<i64>);
        for entry in &listing.entries {
            // A time of day is that of the segment before, and its duration later, unless something broke.
            if let Some(expected) = time {
                if !entry.discontinuity && i64::abs_diff(entry.time, expected) > 1 {
                    return Err(format!("the time of day jumps at {}", entry.sequence));
                }
                if entry.time + 1 < expected {
                    return Err(format!("the time of day goes back at {}", entry.sequence));
                }
            }
            let micros = i64::try_from(entry.micros).map_err(|error| error.to_string())?;
            time = Some(entry.time + micros / 1_000);
            match self.seen.get(&entry.sequence) {
                None => {
                    if self.seen.values().any(|known| known.uri == entry.uri) {
                        return Err(format!("{} names two segments", entry.uri));
                    }
                    self.seen.insert(entry.sequence, entry.clone());
                    fresh.push(entry.clone());
                }
                Some(known) if known != entry => {
                    return Err(format!(
                        "a listed segment changed (6.2.1): {known:?} is now {entry:?}"
                    ));
                }
                Some(_) => {}
            }
            let longest = self.longest.entry(entry.sequence).or_default();
            *longest = (*longest).max(listing.duration());
        }
        self.last = Some((now, listing.clone()));
        self.came_after = looked_at;
        Ok(fresh)
    }

    /// What may change from one version to the next.
    fn successor(&mut self, now: Duration, at: Duration, listing: &Listing) -> Result<(), String> {
        let Some((_, last)) = &self.last else {
            return Ok(());
        };
        let target = Duration::from_secs(last.target);
        if listing.target != last.target {
            return Err("EXT-X-TARGETDURATION changed (6.2.1)".to_owned());
        }
        if (listing.version, listing.independent) != (last.version, last.independent) {
            return Err("EXT-X-VERSION or EXT-X-INDEPENDENT-SEGMENTS changed (6.2.1)".to_owned());
        }
        if listing.sequence < last.sequence {
            return Err("EXT-X-MEDIA-SEQUENCE went back (6.2.2)".to_owned());
        }
        let end = |listing: &Listing| listing.sequence + listing.entries.len() as u64;
        if end(listing) <= end(last) {
            return Err("a new version without a new segment".to_owned());
        }
        if listing.sequence > end(last) {
            return Err("segments came and went unseen".to_owned());
        }
        let gone: Vec<Entry> = last
            .entries
            .iter()
            .filter(|entry| entry.sequence < listing.sequence)
            .cloned()
            .collect();
        self.shortened |= !gone.is_empty();
        if self.shortened && listing.duration() < 3 * target {
            return Err("shorter than three target durations (6.2.2)".to_owned());
        }
        if !self.loosely {
            let most = now.saturating_sub(self.came_after);
            if most + LOOK_TOLERANCE < target / 2 {
                return Err(format!("a new version after only {most:?} (6.2.2)"));
            }
            let since = now.saturating_sub(at);
            if since > target * 3 / 2 + LOOK_TOLERANCE {
                return Err(format!("no new version for {since:?} (6.2.2)"));
            }
        }
        self.removed.extend(gone.into_iter().map(|entry| (now, entry)));
        Ok(())
    }

    /// Segments that are no longer listed and must still be there at `now` (6.2.2: for as long as they last, and as the
    /// longest playlist did that listed them).
    pub(crate) fn still_there(&self, now: Duration) -> Vec<Entry> {
        let is_there = |(removed, entry): &&(Duration, Entry)| {
            let longest = self.longest.get(&entry.sequence).copied().unwrap_or_default();
            *removed + Duration::from_micros(entry.micros) + longest > now + LOOK_TOLERANCE
        };
        self.removed
            .iter()
            .filter(is_there)
            .map(|(_, entry)| entry.clone())
            .collect()
    }

    /// Every segment that was listed, by its number.
    pub(crate) fn seen(&self) -> impl Iterator<Item = &Entry> {
        self.seen.values()
    }

    /// The present version.
    pub(crate) fn last(&self) -> Option<&Listing> {
        self.last.as_ref().map(|(_, listing)| listing)
    }
}

/// Decimal seconds as microseconds.
fn micros(text: &str) -> Result<u64, String> {
    let wrong = || format!("EXTINF:{text}");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 6 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let part: u64 = format!("{part:0<6}").parse().map_err(|_| wrong())?;
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    Ok(whole * 1_000_000 + part)
}

/// `2026-02-03T04:05:06.789Z` as milliseconds since the Unix epoch, counted day by day.
fn millis(text: &str) -> Result<i64, String> {
    let wrong = || format!("EXT-X-PROGRAM-DATE-TIME:{text}");
    let numbers: Vec<i64> = text
        .strip_suffix('Z')
        .ok_or_else(wrong)?
        .split(['-', 'T', ':', '.'])
        .map(|number| number.parse().map_err(|_| wrong()))
        .collect::<Result<_, _>>()?;
    let [year, month, day, hour, minute, second, milli] = numbers[..] else {
        return Err(wrong());
    };
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |month: i64| match month {
        2 => 28 + i64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let years: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    let months: i64 = (1..month).map(length).sum();
    let days = years + months + day - 1;
    Ok((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + milli)
}

/// A quoted attribute of a tag.
fn attribute(value: &str, name: &str) -> Option<String> {
    let (_, rest) = value.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(text, _)| text.to_owned())
}
