//! The clips that channels loop: their names and what is known of each. How they are looped is in `reel`.

use serde::{Deserialize, Serialize};

/// One of the built-in clips. Each has its own PIDs, GOP, time base, codecs, picture colour and burnt-in letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clip {
    /// A: H.264 high, closed GOP of 1 s; AAC-LC 48 kHz.
    H264Closed,
    /// B: H.264 main, open GOP of 2 s with B pictures, whose clock wraps in the middle of lap 0; AAC-LC.
    H264OpenWrap,
    /// C: H.264 baseline, GOP of 1.6 s; HE-AAC with implicit signalling, 24 kHz core, 48 kHz sound.
    H264Aac24k,
    /// D: H.264, AAC-LC, PCR on a PID of its own.
    PcrOwnPid,
    /// E: H.264, AAC-LC, no `random_access_indicator` anywhere.
    NoRandomAccess,
    /// F: HEVC, AAC-LC.
    Hevc,
    /// G: MPEG-2 video, MPEG-1 layer II.
    Mpeg2,
    /// H: audio only, MPEG-1 layer II.
    Radio,
    /// I: H.264, AC-3.
    H264Ac3,
    /// J: H.264, interlaced (MBAFF), closed GOP of 1.6 s; AAC-LC.
    H264Interlaced,
    /// K: H.264, pyramids of B pictures, open GOP of 2.4 s; AAC-LC.
    H264Pyramid,
    /// L: H.264 in 480x270; AAC-LC.
    H264Larger,
    /// M: H.264, one GOP of 8 s; AAC-LC.
    H264LongGop,
    /// N: audio only, MPEG-1 layer II, several frames in a PES packet, a PCR every 360 ms only.
    RadioGrouped,
    /// O: audio only, AAC-LC.
    RadioAac,
    /// P: HEVC, E-AC-3 of 5.1 channels.
    HevcEac3,
    /// Q: MPEG-2 video, AC-3.
    Mpeg2Ac3,
    /// R: H.264, AAC-LC in German, AC-3 in English, AAC-LC of one channel in French.
    ThreeSounds,
    /// S: H.264, AAC-LC in German, AAC-LC of one channel in French.
    TwoSounds,
    /// A black picture and silence, for three seconds: what some panels redirect to when a stream is gone.
    Black,
    /// What a panel shows to a viewer too many.
    Limit,
}

impl Clip {
    /// All that a channel of one sound would use: every one but [`Clip::ThreeSounds`], [`Clip::TwoSounds`],
    /// [`Clip::Black`] and [`Clip::Limit`].
    pub const ALL: &[Self] = &[
        Self::H264Closed,
        Self::H264OpenWrap,
        Self::H264Aac24k,
        Self::PcrOwnPid,
        Self::NoRandomAccess,
        Self::Hevc,
        Self::Mpeg2,
        Self::Radio,
        Self::H264Ac3,
        Self::H264Interlaced,
        Self::H264Pyramid,
        Self::H264Larger,
        Self::H264LongGop,
        Self::RadioGrouped,
        Self::RadioAac,
        Self::HevcEac3,
        Self::Mpeg2Ac3,
    ];

    /// The letter burnt into its picture.
    #[must_use]
    pub fn letter(self) -> &'static str {
        self.facts().letter
    }

    /// Its codecs and oddity in a few words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        self.facts().describe
    }

    pub(crate) fn facts(self) -> &'static Facts {
        &FACTS[self.index()]
    }

    /// Its place in the order above.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

pub(crate) struct Facts {
    pub(crate) letter: &'static str,
    pub(crate) describe: &'static str,
    pub(crate) bytes: &'static [u8],
    /// Length of a lap in milliseconds, as `clips/make.sh` encodes it; video and audio both fill it.
    pub(crate) lap_ms: u64,
    /// Whether the PCR moves to a PID of its own at load.
    pub(crate) pcr_own_pid: bool,
    /// Whether `random_access_indicator` is cleared at load.
    pub(crate) no_random_access: bool,
}

const fn facts(letter: &'static str, describe: &'static str, lap_ms: u64, bytes: &'static [u8]) -> Facts {
    Facts {
        letter,
        describe,
        bytes,
        lap_ms,
        pcr_own_pid: false,
        no_random_access: false,
    }
}

/// Clips there are.
pub(crate) const CLIPS: usize = 21;

static FACTS: [Facts; CLIPS] = [
    facts(
        "A",
        "H.264 closed GOP, AAC",
        8000,
        include_bytes!("../clips/a.ts"),
    ),
    facts(
        "B",
        "H.264 open GOP, clock wraps, AAC",
        8000,
        include_bytes!("../clips/b.ts"),
    ),
    facts(
        "C",
        "H.264 baseline, HE-AAC",
        6400,
        include_bytes!("../clips/c.ts"),
    ),
    Facts {
        pcr_own_pid: true,
        ..facts(
            "D",
            "H.264, AAC, PCR on its own PID",
            8000,
            include_bytes!("../clips/d.ts"),
        )
    },
    Facts {
        no_random_access: true,
        ..facts(
            "E",
            "H.264, AAC, no random access flags",
            8000,
            include_bytes!("../clips/e.ts"),
        )
    },
    facts("F", "HEVC, AAC", 8000, include_bytes!("../clips/f.ts")),
    facts("G", "MPEG-2 video, MP2", 6000, include_bytes!("../clips/g.ts")),
    facts("H", "radio, MP2", 6000, include_bytes!("../clips/h.ts")),
    facts("I", "H.264, AC-3", 8000, include_bytes!("../clips/i.ts")),
    facts(
        "J",
        "H.264 interlaced, AAC",
        8000,
        include_bytes!("../clips/j.ts"),
    ),
    facts(
        "K",
        "H.264 B pyramid, open GOP, AAC",
        8000,
        include_bytes!("../clips/k.ts"),
    ),
    facts(
        "L",
        "H.264 in 480x270, AAC",
        8000,
        include_bytes!("../clips/l.ts"),
    ),
    facts(
        "M",
        "H.264 GOP of 8 s, AAC",
        8000,
        include_bytes!("../clips/m.ts"),
    ),
    facts(
        "N",
        "radio, MP2, several frames a packet",
        6000,
        include_bytes!("../clips/n.ts"),
    ),
    facts("O", "radio, AAC", 8000, include_bytes!("../clips/o.ts")),
    facts("P", "HEVC, E-AC-3 5.1", 8000, include_bytes!("../clips/p.ts")),
    facts("Q", "MPEG-2 video, AC-3", 8000, include_bytes!("../clips/q.ts")),
    facts(
        "R",
        "H.264, AAC and AC-3 in three languages",
        7680,
        include_bytes!("../clips/r.ts"),
    ),
    facts(
        "S",
        "H.264, AAC in two languages",
        7680,
        include_bytes!("../clips/s.ts"),
    ),
    facts(
        "BLACK",
        "nothing to see",
        3200,
        include_bytes!("../clips/black.ts"),
    ),
    facts(
        "LIMIT",
        "connection limit reached",
        4000,
        include_bytes!("../clips/limit.ts"),
    ),
];
