//! The pictures a player decoded, and what must be true of them.

use std::time::Duration;

/// The card has 25 pictures a second.
pub(crate) const PICTURES_PER_SECOND: u64 = 25;

/// A decoded picture.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Picture {
    /// When it is shown.
    pub(crate) at: Duration,
    /// Its content, as a checksum.
    pub(crate) checksum: String,
}

impl Picture {
    /// From a line of ffmpeg's filter `showinfo`, which mpv and ffplay have too.
    pub(crate) fn from_showinfo(line: &str) -> Option<Self> {
        Some(Self {
            at: Duration::try_from_secs_f64(field(line, "pts_time:")?.parse().ok()?).ok()?,
            checksum: field(line, " checksum:")?.to_owned(),
        })
    }

    /// From a line of ffmpeg's muxer `framemd5`: stream, dts, pts, duration, size, hash; the picture being in stream 0
    /// with one tick of its clock per picture.
    pub(crate) fn from_framemd5(line: &str) -> Option<Self> {
        let columns: Vec<&str> = line.split(',').map(str::trim).collect();
        let &["0", _, pts, "1", _, hash] = columns.as_slice() else {
            return None;
        };
        Some(Self {
            at: Duration::from_millis(pts.parse::<u64>().ok()? * 1000 / PICTURES_PER_SECOND),
            checksum: hash.to_owned(),
        })
    }
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(name)?;
    rest.split_whitespace().next()
}

/// The time from the first picture to the last.
pub(crate) fn span(pictures: &[Picture]) -> Duration {
    let (first, last) = (pictures.first(), pictures.last());
    first
        .zip(last)
        .map_or(Duration::ZERO, |(first, last)| last.at.saturating_sub(first.at))
}

/// Asserts that `pictures` are a film of at least `least`: each differs from the one before and follows it by exactly
/// one picture's time, and what was shown comes again when the card loops, twice at least.
pub(crate) fn assert_plays(pictures: &[Picture], least: Duration) {
    let shown = span(pictures);
    assert!(shown >= least, "pictures for {shown:?} in place of {least:?}");
    let step = Duration::from_millis(1000 / PICTURES_PER_SECOND);
    let slack = Duration::from_millis(1);
    for (number, (one, next)) in pictures.iter().zip(pictures.iter().skip(1)).enumerate() {
        let gap = next.at.checked_sub(one.at);
        let regular = gap.is_some_and(|gap| gap.abs_diff(step) <= slack);
        assert!(
            regular,
            "picture {number} at {:?}, the next at {:?}",
            one.at, next.at
        );
        assert_ne!(
            one.checksum, next.checksum,
            "the picture stands still at {:?}",
            one.at
        );
    }
    assert_loops(pictures);
}

/// Each lap must show what the first one showed: a loop point that broke a picture shows here.
fn assert_loops(pictures: &[Picture]) {
    let lap = (1..pictures.len()).find(|&lap| same_from(pictures, lap, 3));
    let lap = lap.expect("the card comes around");
    assert!(
        pictures.len() > 2 * lap,
        "{} pictures hold no two loop points of {lap}",
        pictures.len()
    );
    let differs = pictures.iter().zip(pictures.iter().skip(lap));
    let differs = differs.filter(|(one, again)| one.checksum != again.checksum);
    let differs: Vec<_> = differs.map(|(_, again)| again.at).collect();
    assert!(
        differs.is_empty(),
        "pictures differ from those of a lap before at {differs:?}"
    );
}

fn same_from(pictures: &[Picture], lap: usize, count: usize) -> bool {
    let again = pictures.iter().skip(lap).take(count);
    again.len() == count
        && again
            .zip(pictures)
            .all(|(again, one)| again.checksum == one.checksum)
}
