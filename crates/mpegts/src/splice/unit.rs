//! One PES packet on its way through the splice, and how sound is cut to fit.

use crate::es::{self, AudioFrame, Codec, SoundFormat};
use crate::packet::Pid;
use crate::pes::{self, PesHeader};

/// Rounding of stamps and durations; far less than the shortest frame.
const TOLERANCE_90K: i64 = 90;

/// The duration of a sound of unknown frames: one AAC frame at 48 kHz.
const FRAME_90K: i64 = 1_920;

/// No PES packet holds more sound than this; headers that say so are broken.
const DURATION_MAX_90K: i64 = 180_000;

/// A whole PES packet of the source.
#[derive(Debug)]
pub(super) struct Unit {
    /// The source's PID.
    pub(super) pid: Pid,
    pub(super) codec: Codec,
    pub(super) bytes: Vec<u8>,
    pub(super) header: PesHeader,
    /// The packet it began in said random access.
    pub(super) random_access: bool,
    /// Its end may be missing.
    pub(super) doubtful: bool,
}

impl Unit {
    /// The elementary stream inside.
    pub(super) fn es(&self) -> &[u8] {
        self.bytes.get(self.header.payload_at..).unwrap_or_default()
    }

    /// Puts parameter sets in front of the first picture, behind an access unit delimiter, which has to stay first
    /// (H.264 7.4.1.2.3, H.265 7.4.2.4.4).
    pub(super) fn insert_parameter_sets(&mut self, sets: &[u8]) {
        let es = self.es();
        let delimiter = match (self.codec, es) {
            (Codec::H264, &[0, 0, 0, 1, unit, ..]) if unit & 0x1F == 9 => 6,
            (Codec::H264, &[0, 0, 1, unit, ..]) if unit & 0x1F == 9 => 5,
            (Codec::Hevc, &[0, 0, 0, 1, unit, ..]) if (unit >> 1) & 0x3F == 35 => 7,
            (Codec::Hevc, &[0, 0, 1, unit, ..]) if (unit >> 1) & 0x3F == 35 => 6,
            _ => 0,
        };
        if delimiter > es.len() {
            return;
        }
        let at = self.header.payload_at + delimiter;
        self.bytes.splice(at..at, sets.iter().copied());
        if self.header.packet_bytes.is_some() {
            pes::rewrite_length(&mut self.bytes);
        }
    }

    /// How long the sound inside lasts.
    pub(super) fn duration(&self) -> i64 {
        let mut es = self.es();
        let mut samples = 0;
        let mut first = None;
        while let Some(frame) = es::audio_frame(self.codec, es) {
            first.get_or_insert(frame);
            samples += u64::from(frame.samples);
            es = es.get(frame.bytes..).unwrap_or_default();
        }
        first.map_or(FRAME_90K, |frame| frame.ticks(samples).min(DURATION_MAX_90K))
    }

    /// Cuts off whole frames that sound before `not_before`, where the first one sounds at `start`. Returns where
    /// the rest begins; `None` when nothing is left.
    pub(super) fn trim(&mut self, start: i64, not_before: i64) -> Option<i64> {
        let mut at = 0;
        let mut samples = 0;
        let mut begins = start;
        while begins + TOLERANCE_90K < not_before {
            let frame = es::audio_frame(self.codec, self.es().get(at..)?)?;
            at += frame.bytes;
            samples += u64::from(frame.samples);
            begins = start + frame.ticks(samples);
        }
        if at > 0 {
            if at >= self.es().len() {
                return None;
            }
            let from = self.header.payload_at;
            self.bytes.drain(from..from + at);
            pes::rewrite_length(&mut self.bytes);
        }
        Some(begins)
    }

    /// How the sound inside is coded.
    pub(super) fn sound(&self) -> Option<SoundFormat> {
        es::audio_frame(self.codec, self.es()).map(AudioFrame::format)
    }

    /// How long its first frame lasts.
    pub(super) fn frame(&self) -> i64 {
        es::audio_frame(self.codec, self.es()).map_or(FRAME_90K, |frame| frame.ticks(frame.samples.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(frames: usize) -> Unit {
        // 48 kHz AAC frames of 32 bytes: 1920 ticks each.
        let mut bytes = vec![0, 0, 1, 0xC0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1];
        for number in 0..frames {
            bytes.extend([0xFF, 0xF1, 0x4C, 0x80, 0x04, 0x1F, 0xFC]);
            bytes.extend([u8::try_from(number).unwrap(); 25]);
        }
        pes::rewrite_length(&mut bytes);
        let header = PesHeader::parse(&bytes).unwrap();
        Unit {
            pid: Pid::new(1),
            codec: Codec::Aac,
            bytes,
            header,
            random_access: false,
            doubtful: false,
        }
    }

    #[test]
    fn sound_is_cut_at_frames() {
        let check = |not_before: i64, expected: Option<(i64, usize)>| {
            let mut unit = sound(8);
            assert_eq!(unit.duration(), 8 * 1920);
            let begins = unit.trim(10_000, not_before);
            assert_eq!(
                begins.map(|begins| (begins, unit.es().len() / 32)),
                expected,
                "{not_before}"
            );
            if begins.is_some() {
                let header = PesHeader::parse(&unit.bytes).unwrap();
                assert_eq!(header.packet_bytes, Some(unit.bytes.len()));
                assert!(es::audio_frame(Codec::Aac, unit.es()).is_some());
            }
        };
        check(0, Some((10_000, 8)));
        check(10_050, Some((10_000, 8)));
        check(10_100, Some((11_920, 7)));
        check(10_000 + 3 * 1920, Some((10_000 + 3 * 1920, 5)));
        check(10_000 + 7 * 1920 + 500, None);
        check(i64::MAX / 2, None);
    }

    #[test]
    fn parameter_sets_go_behind_the_delimiter() {
        let mut bytes = vec![0, 0, 1, 0xE0, 0, 0, 0x80, 0, 0];
        bytes.extend([0, 0, 0, 1, 9, 0xF0, 0, 0, 1, 0x65, 0x88]);
        let header = PesHeader::parse(&bytes).unwrap();
        let mut unit = Unit {
            pid: Pid::new(1),
            codec: Codec::H264,
            bytes,
            header,
            random_access: false,
            doubtful: false,
        };
        unit.insert_parameter_sets(b"SETS");
        assert_eq!(
            unit.es(),
            [&[0, 0, 0, 1, 9, 0xF0][..], b"SETS", &[0, 0, 1, 0x65, 0x88]].concat()
        );
    }
}
