//! Frames of several tracks put into one order, that of their decoding times: pictures and sound that come from
//! different places, or one behind the other.

use crate::clock::MediaTime;
use crate::frame::{Frame, Track};
use core::time::Duration;
use std::collections::VecDeque;

/// Bytes of frames that wait, at the most: a minute of 17 Mbit/s.
pub const INTERLEAVED_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Puts frames in order.
///
/// A frame goes out as soon as every picture and sound has come up to its time. One that has nothing is waited for until
/// what waits spans more than the given **media time** (or has more than [`INTERLEAVED_BYTES_MAX`]); from then on it is not
/// waited for until it comes again. Other tracks than pictures and sounds are never waited for. A frame that comes after
/// its time goes out at once.
///
/// The span has to be longer than what comes of one track before anything comes of another: a segment and a half.
#[derive(Debug)]
pub struct Interleaver {
    queues: Vec<Queue>,
    wait_90k: i64,
    bytes: usize,
    /// The decoding time of the last frame that went out.
    reached: Option<MediaTime>,
    /// Everything goes out: nothing is waited for.
    flushing: bool,
}

#[derive(Debug)]
struct Queue {
    frames: VecDeque<Frame>,
    waited_for: bool,
    /// Sparse by nature.
    sparse: bool,
}

impl Interleaver {
    /// For frames of `tracks`, which are waited for as long as `wait` in media time.
    #[must_use]
    pub fn new(tracks: &[Track], wait: Duration) -> Self {
        let queue = |track: &Track| {
            let sparse = !track.codec.is_video() && !track.codec.is_audio();
            Queue {
                frames: VecDeque::new(),
                waited_for: !sparse,
                sparse,
            }
        };
        Self {
            queues: tracks.iter().map(queue).collect(),
            wait_90k: MediaTime::default().saturating_add(wait).as_90k(),
            bytes: 0,
            reached: None,
            flushing: false,
        }
    }

    /// Takes the next frame of its track; one of a track that is not there is left out.
    pub fn push(&mut self, frame: Frame) {
        let Some(queue) = self.queues.get_mut(frame.track) else {
            return;
        };
        queue.waited_for = !queue.sparse;
        self.bytes += frame.data.len();
        self.flushing = false;
        queue.frames.push_back(frame);
    }

    /// A track is not waited for until it comes again: it is known to have gone.
    pub fn dismiss(&mut self, track: usize) {
        if let Some(queue) = self.queues.get_mut(track).filter(|queue| queue.frames.is_empty()) {
            queue.waited_for = false;
        }
    }

    /// Nothing more is waited for until the next [`Self::push`]: at the end, and before the timeline jumps.
    pub const fn flush(&mut self) {
        self.flushing = true;
    }

    /// The next frame in order; `None` while another may come before it.
    pub fn take(&mut self) -> Option<Frame> {
        let first = self
            .queues
            .iter()
            .enumerate()
            .filter_map(|(index, queue)| Some((queue.frames.front()?.dts, index)))
            .min();
        let (due, index) = first?;
        // A timeline that goes back farther than anything is waited for has begun anew.
        let reached = self
            .reached
            .filter(|reached| reached.as_90k().saturating_sub(due.as_90k()) <= self.wait_90k);
        let late = reached.is_some_and(|reached| due <= reached);
        let missing = |queue: &Queue| queue.waited_for && queue.frames.is_empty();
        if !self.flushing && !late && self.queues.iter().any(missing) {
            let ahead = self.queues.iter().filter_map(|queue| queue.frames.back());
            let ahead = ahead.map(|frame| frame.dts).max().unwrap_or(due);
            let span = ahead.as_90k().saturating_sub(due.as_90k());
            if span <= self.wait_90k && self.bytes <= INTERLEAVED_BYTES_MAX {
                return None;
            }
            for queue in self.queues.iter_mut().filter(|queue| queue.frames.is_empty()) {
                queue.waited_for = false;
            }
        }
        let frame = self.queues.get_mut(index)?.frames.pop_front()?;
        self.bytes -= frame.data.len();
        self.reached = Some(reached.map_or(due, |reached| reached.max(due)));
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::es::Codec;
    use bytes::Bytes;

    const WAIT: Duration = Duration::from_secs(10);

    fn frame(track: usize, seconds: i64) -> Frame {
        let at = MediaTime::from_90k(seconds * 90_000);
        Frame {
            track,
            pts: at,
            dts: at,
            random_access: true,
            data: Bytes::from_static(b"frame"),
        }
    }

    fn interleaver() -> Interleaver {
        Interleaver::new(&[Codec::H264, Codec::Aac, Codec::Teletext].map(Track::new), WAIT)
    }

    /// All that comes now: track and second.
    fn taken(interleaver: &mut Interleaver) -> Vec<(usize, i64)> {
        let frames = core::iter::from_fn(|| interleaver.take());
        frames
            .map(|frame| (frame.track, frame.dts.as_90k() / 90_000))
            .collect()
    }

    #[test]
    fn pictures_wait_for_their_sound() {
        let mut interleaver = interleaver();
        (0..6).for_each(|second| interleaver.push(frame(0, second)));
        assert_eq!(taken(&mut interleaver), []);
        (0..3).for_each(|second| interleaver.push(frame(1, second)));
        let expected = [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)];
        assert_eq!(
            taken(&mut interleaver),
            expected,
            "up to where the sound has come"
        );
        interleaver.push(frame(2, 1));
        assert_eq!(taken(&mut interleaver), [(2, 1)], "what is late goes out at once");
        interleaver.flush();
        assert_eq!(taken(&mut interleaver), [(0, 3), (0, 4), (0, 5)]);
        interleaver.push(frame(0, 6));
        assert_eq!(taken(&mut interleaver), [], "the sound is waited for again");
    }

    #[test]
    fn what_does_not_come_is_waited_for_once() {
        let mut interleaver = interleaver();
        (0..=10).for_each(|second| interleaver.push(frame(0, second)));
        assert_eq!(taken(&mut interleaver), []);
        interleaver.push(frame(0, 11));
        assert_eq!(taken(&mut interleaver).len(), 12, "more than ten seconds");
        interleaver.push(frame(0, 12));
        assert_eq!(taken(&mut interleaver), [(0, 12)]);
        interleaver.push(frame(1, 13));
        interleaver.push(frame(0, 13));
        interleaver.push(frame(0, 14));
        assert_eq!(taken(&mut interleaver), [(0, 13), (1, 13)], "from now on it is");
    }

    #[test]
    fn what_has_gone_is_not_waited_for() {
        let mut interleaver = interleaver();
        (0..2).for_each(|second| interleaver.push(frame(0, second)));
        interleaver.push(frame(1, 0));
        interleaver.dismiss(1);
        assert_eq!(taken(&mut interleaver), [(0, 0), (1, 0)], "it has not gone yet");
        interleaver.dismiss(1);
        assert_eq!(taken(&mut interleaver), [(0, 1)]);
        interleaver.push(frame(1, 2));
        interleaver.push(frame(0, 2));
        interleaver.push(frame(0, 3));
        assert_eq!(taken(&mut interleaver), [(0, 2), (1, 2)], "it is back");
    }

    #[test]
    fn a_timeline_may_begin_anew() {
        let mut interleaver = interleaver();
        for second in [100, 101] {
            interleaver.push(frame(0, second));
            interleaver.push(frame(1, second));
        }
        assert_eq!(taken(&mut interleaver).len(), 4);
        (0..3).for_each(|second| interleaver.push(frame(0, second)));
        assert_eq!(taken(&mut interleaver), [], "the sound is waited for there, too");
        (0..3).for_each(|second| interleaver.push(frame(1, second)));
        assert_eq!(
            taken(&mut interleaver),
            [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
        );
    }

    #[test]
    fn bytes_are_bounded() {
        let mut interleaver = interleaver();
        let large = Bytes::from(vec![0; 1024 * 1024]);
        for number in 0..200 {
            let mut frame = frame(0, 0);
            frame.dts = MediaTime::from_90k(number);
            frame.data = large.clone();
            interleaver.push(frame);
            taken(&mut interleaver);
            assert!(interleaver.bytes <= INTERLEAVED_BYTES_MAX);
        }
    }
}
