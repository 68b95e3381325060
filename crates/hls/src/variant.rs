//! Which variant of a multivariant playlist is played, and when another one takes its place.
//!
//! A session has one connection, so that a variant can only be judged by playing it: down is decided by segments that
//! take longer to come than they play, up by a long stretch in which they came so quickly that the larger ones would
//! have come in time as well.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use crate::playlist::{AudioRendition, MultivariantPlaylist, Variant};

/// Audio renditions that are played beside a variant: each costs its own requests, one after the other.
pub const AUDIO_RENDITIONS_MAX: usize = 3;

/// Segments in a row that took longer to come than they play until a smaller variant is played.
const SLOW_SEGMENTS_MAX: u32 = 2;

/// How long all segments have to come quickly before a larger variant is played again: a change of the picture's size
/// every few minutes is worse than the smaller picture.
const CALM_FOR: Duration = Duration::from_mins(5);

/// The same after larger variants proved too large again and again.
const CALM_FOR_MAX: Duration = Duration::from_hours(1);

/// A segment of a larger variant has to be expected within this part of its duration, in percent.
const COMFORT_PERCENT: u64 = 70;

/// A variant, and the playlists of sound that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The media playlist, as written.
    pub uri: String,
    /// BANDWIDTH, bits per second; 0 where unknown.
    pub bandwidth: u64,
    /// Sound in playlists of its own, the one that is to be heard first. Empty where it is in the variant.
    pub audio: Vec<Sound>,
}

/// Sound in a playlist of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// The media playlist, as written.
    pub uri: Arc<str>,
    /// LANGUAGE as written (RFC 5646).
    pub language: Option<String>,
}

impl MultivariantPlaylist {
    /// The variants that can be played, best first, none beyond `bandwidth_max` (bits per second) where any is within
    /// it: the highest bandwidth of known codecs, behind it those of the same video codec, then all others. Empty only
    /// without variants.
    #[must_use]
    pub fn ladder(&self, bandwidth_max: Option<u64>) -> Vec<Selection> {
        let mut variants: Vec<&Variant> = self.variants.iter().collect();
        narrow(&mut variants, |variant| {
            variant.codecs.iter().all(|codec| is_carried(codec))
        });
        narrow(&mut variants, |variant| !is_sound_only(variant));
        match bandwidth_max {
            Some(max) if variants.iter().any(|variant| variant.bandwidth <= max) => {
                variants.retain(|variant| variant.bandwidth <= max);
            }
            Some(_) => {
                variants.sort_by_key(|variant| variant.bandwidth);
                variants.truncate(1);
            }
            None => {}
        }
        // Stable: of equals the first.
        variants.sort_by_key(|variant| Reverse(variant.bandwidth));
        let first = variants.first().and_then(|variant| video_codec(variant));
        variants.sort_by_key(|variant| {
            let other = first.is_some() && video_codec(variant) != first;
            (other, Reverse(variant.bandwidth))
        });
        variants.into_iter().map(|variant| self.select(variant)).collect()
    }

    fn select(&self, variant: &Variant) -> Selection {
        let group = variant.audio_group.as_deref();
        let mut renditions: Vec<&AudioRendition> = self
            .audio
            .iter()
            .filter(|audio| group == Some(audio.group.as_str()))
            .collect();
        renditions.sort_by_key(|audio| (!audio.is_default, !audio.is_autoselect));
        let mut audio: Vec<Sound> = Vec::new();
        // Where the sound that is to be heard is in the variant, a further one is not worth its requests.
        let apart = renditions.first().is_some_and(|first| first.uri.is_some());
        for rendition in renditions.into_iter().filter(|_| apart) {
            let Some(uri) = &rendition.uri else { continue };
            let known = audio.iter().any(|sound| sound.language == rendition.language);
            if !known && audio.len() < AUDIO_RENDITIONS_MAX {
                audio.push(Sound {
                    uri: Arc::clone(uri),
                    language: rendition.language.clone(),
                });
            }
        }
        Selection {
            uri: variant.uri.clone(),
            bandwidth: variant.bandwidth,
            audio,
        }
    }
}

/// Leaves those that are `good`, where there are any.
fn narrow(variants: &mut Vec<&Variant>, good: impl Fn(&Variant) -> bool) {
    if variants.iter().any(|variant| good(variant)) {
        variants.retain(|variant| good(variant));
    }
}

/// Video codecs by the beginning of their RFC 6381 names, and what they are.
const VIDEO: [(&str, &str); 5] = [
    ("avc1", "avc"),
    ("avc3", "avc"),
    ("hvc1", "hevc"),
    ("hev1", "hevc"),
    ("mp2v", "mpeg2"),
];

/// Sounds likewise: AAC, MPEG audio (object types 0x40, 0x69, 0x6B), AC-3 and E-AC-3 (also 0xA5 and 0xA6).
const SOUND: [&str; 8] = [
    "mp4a.40", "mp4a.69", "mp4a.6b", "mp4a.a5", "mp4a.a6", "ac-3", "ec-3", "mp3",
];

/// Text beside the pictures is left out, and no reason against a variant.
const TEXT: [&str; 3] = ["wvtt", "stpp", "tx3g"];

fn begins_with(codec: &str, names: &[&str]) -> bool {
    let codec = codec.to_ascii_lowercase();
    names.iter().any(|name| codec.starts_with(name))
}

fn is_carried(codec: &str) -> bool {
    VIDEO.iter().any(|(name, _)| begins_with(codec, &[name]))
        || begins_with(codec, &SOUND)
        || begins_with(codec, &TEXT)
}

fn is_sound_only(variant: &Variant) -> bool {
    !variant.codecs.is_empty()
        && variant.resolution.is_none()
        && variant.codecs.iter().all(|codec| begins_with(codec, &SOUND))
}

fn video_codec(variant: &Variant) -> Option<&'static str> {
    variant.codecs.iter().find_map(|codec| {
        let known = VIDEO.iter().find(|(name, _)| begins_with(codec, &[name]));
        known.map(|(_, codec)| *codec)
    })
}

/// The variants of one session, and which one is played.
#[derive(Debug, Clone)]
pub struct Ladder {
    rungs: Vec<Selection>,
    at: usize,
    /// What was played before.
    before: usize,
    /// Segments in a row that came too slowly.
    slow: u32,
    /// Since when all came quickly enough for the variant above.
    calm_since: Option<Duration>,
    calm_for: Duration,
}

impl Ladder {
    /// Begins with the first of `rungs`; `None` where there is none.
    #[must_use]
    pub fn new(rungs: Vec<Selection>) -> Option<Self> {
        (!rungs.is_empty()).then_some(Self {
            rungs,
            at: 0,
            before: 0,
            slow: 0,
            calm_since: None,
            calm_for: CALM_FOR,
        })
    }

    /// The same playlist was loaded again: what is played stays, as far as it is still there.
    #[must_use]
    pub fn renewed(self, rungs: Vec<Selection>) -> Option<Self> {
        let bandwidth = self.bandwidth_at(self.at);
        let same = rungs.iter().position(|rung| rung.bandwidth == bandwidth);
        let at = same.unwrap_or(self.at).min(rungs.len().checked_sub(1)?);
        Some(Self {
            rungs,
            at,
            before: at,
            ..self
        })
    }

    /// What is played.
    #[must_use]
    pub fn current(&self) -> Option<&Selection> {
        self.rungs.get(self.at)
    }

    /// A segment that plays for `duration` was waited for as long as `spent`: says whether another variant is to be
    /// played from the next segment on.
    pub fn on_segment(&mut self, duration: Duration, spent: Duration, now: Duration) -> bool {
        if duration.is_zero() {
            return false;
        }
        if spent > duration {
            self.calm_since = None;
            self.slow += 1;
            return self.slow >= SLOW_SEGMENTS_MAX && self.step_down();
        }
        self.slow = 0;
        self.step_up(duration, spent, now)
    }

    /// What is played cannot be loaded at all: the next one is tried; `false` when there is none left.
    pub fn give_up(&mut self) -> bool {
        self.begin(self.at + 1)
    }

    /// What is to be played cannot be: it is tried no more, and what was played before goes on.
    pub fn refuse(&mut self) {
        if self.at == self.before || self.at >= self.rungs.len() {
            return;
        }
        self.rungs.remove(self.at);
        if self.before > self.at {
            self.before -= 1;
        }
        self.at = self.before;
        self.begin(self.before);
    }

    fn step_down(&mut self) -> bool {
        let bandwidth = self.bandwidth_at(self.at);
        let lower = |at: &usize| self.bandwidth_at(*at) < bandwidth;
        let Some(to) = (self.at + 1..self.rungs.len()).find(lower) else {
            return false;
        };
        // A larger variant was too large once more: it is left alone for longer.
        self.calm_for = (self.calm_for * 2).min(CALM_FOR_MAX);
        self.begin(to)
    }

    fn step_up(&mut self, duration: Duration, spent: Duration, now: Duration) -> bool {
        let bandwidth = self.bandwidth_at(self.at);
        let above = (0..self.at).rev().find(|at| self.bandwidth_at(*at) > bandwidth);
        let Some(above) = above.filter(|_| bandwidth > 0) else {
            return false;
        };
        let wanted = spent
            .as_millis()
            .saturating_mul(u128::from(self.bandwidth_at(above)))
            / u128::from(bandwidth);
        if wanted > duration.as_millis() * u128::from(COMFORT_PERCENT) / 100 {
            self.calm_since = None;
            return false;
        }
        let since = *self.calm_since.get_or_insert(now);
        now.saturating_sub(since) >= self.calm_for && self.begin(above)
    }

    fn bandwidth_at(&self, at: usize) -> u64 {
        self.rungs.get(at).map_or(0, |rung| rung.bandwidth)
    }

    fn begin(&mut self, at: usize) -> bool {
        if at >= self.rungs.len() {
            return false;
        }
        self.before = self.at;
        self.at = at;
        self.slow = 0;
        self.calm_since = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ladder(bandwidths: &[u64]) -> Ladder {
        let rung = |bandwidth: &u64| Selection {
            uri: bandwidth.to_string(),
            bandwidth: *bandwidth,
            audio: Vec::new(),
        };
        Ladder::new(bandwidths.iter().map(rung).collect()).unwrap()
    }

    fn bandwidth(ladder: &Ladder) -> u64 {
        ladder.current().unwrap().bandwidth
    }

    #[test]
    fn two_slow_segments_in_a_row_step_down() {
        let mut ladder = ladder(&[6, 3, 1]);
        assert!(!ladder.on_segment(s(6), s(7), s(7)));
        assert!(
            !ladder.on_segment(s(6), s(2), s(9)),
            "one was slow, the next was not"
        );
        assert!(!ladder.on_segment(s(6), s(7), s(16)));
        assert!(ladder.on_segment(s(6), s(7), s(23)));
        assert_eq!(bandwidth(&ladder), 3);
        assert!(!ladder.on_segment(s(6), s(7), s(30)), "the count begins anew");
        assert!(ladder.on_segment(s(6), s(7), s(37)));
        assert_eq!(bandwidth(&ladder), 1);
        assert!(!ladder.on_segment(s(6), s(9), s(46)) && !ladder.on_segment(s(6), s(9), s(55)));
        assert_eq!(bandwidth(&ladder), 1, "there is nothing below");
    }

    /// When the ladder steps up, where every segment of 6 s takes `spent`.
    fn steps_up(ladder: &mut Ladder, spent: Duration, from: u64, until: u64) -> Option<u64> {
        (from..until)
            .step_by(6)
            .find(|at| ladder.on_segment(s(6), spent, s(*at)))
    }

    #[test]
    fn a_long_calm_steps_up_and_each_failure_makes_it_longer() {
        let mut ladder = ladder(&[6, 3]);
        assert!(!ladder.on_segment(s(6), s(7), s(0)) && ladder.on_segment(s(6), s(7), s(7)));
        assert_eq!(
            steps_up(&mut ladder, s(4), 10, 4_000),
            None,
            "twice as much would take 8 s"
        );
        assert_eq!(
            steps_up(&mut ladder, s(2), 4_000, 9_000),
            Some(4_600),
            "ten minutes after one failure"
        );
        assert_eq!(bandwidth(&ladder), 6);
        assert!(!ladder.on_segment(s(6), s(7), s(5_000)) && ladder.on_segment(s(6), s(7), s(5_007)));
        let up = steps_up(&mut ladder, s(2), 5_010, 9_000).unwrap();
        assert!((6_210..6_220).contains(&up), "twenty after two: {up}");
    }

    #[test]
    fn a_variant_that_cannot_be_played_is_tried_no_more() {
        let mut ladder = ladder(&[6, 3, 1]);
        assert!(ladder.give_up(), "the best is dead from the start");
        assert_eq!(bandwidth(&ladder), 3);
        assert_eq!(steps_up(&mut ladder, s(1), 0, 9_000), Some(300));
        assert_eq!(bandwidth(&ladder), 6);
        ladder.refuse();
        assert_eq!(bandwidth(&ladder), 3, "what was played goes on");
        assert_eq!(steps_up(&mut ladder, s(1), 400, 20_000), None);
        assert!(!ladder.on_segment(s(6), s(7), s(20_000)) && ladder.on_segment(s(6), s(7), s(20_007)));
        ladder.refuse();
        assert_eq!(bandwidth(&ladder), 3);
        ladder.refuse();
        assert_eq!(bandwidth(&ladder), 3, "it is played, and stays");
    }

    #[test]
    fn down_is_never_up() {
        let mut ladder = ladder(&[6, 3, 5, 4]);
        assert!(!ladder.on_segment(s(6), s(7), s(0)) && ladder.on_segment(s(6), s(7), s(7)));
        assert_eq!(bandwidth(&ladder), 3);
        assert!(!ladder.on_segment(s(6), s(7), s(14)) && !ladder.on_segment(s(6), s(7), s(21)));
        assert!(
            ladder.give_up() && bandwidth(&ladder) == 5,
            "what cannot be loaded gives way to any other"
        );
        assert!(ladder.give_up() && !ladder.give_up());
    }
}
