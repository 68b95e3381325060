//! What is measured: who serves how many, and which ratios are judged.

use std::time::Duration;

use super::bare::Mode;
use super::clip::Rate;
use super::contender::Contender::{self, Bare, Beside, Icecast, Mainstem, NginxFile, NginxProxy};
use super::run::{Figures, Shape};

/// One table.
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) cases: &'static [(Contender, Shape)],
    pub(super) judged: &'static [Judged],
}

/// A figure that something is asked of.
pub(super) struct Judged {
    pub(super) what: &'static str,
    /// Places in [`Workload::cases`].
    pub(super) of: usize,
    pub(super) beside: usize,
    pub(super) figure: Figure,
    pub(super) must: &'static str,
    pub(super) aim: &'static str,
}

/// How two medians become one figure.
#[derive(Debug, Clone, Copy)]
pub(super) enum Figure {
    /// The first's processor time per byte, in those of the second.
    CpuRatio,
    /// How many times less processor time per byte the first takes than the second.
    Cheaper,
    /// Bytes per processor second at saturation, in those of the second.
    Throughput,
    /// KiB more for each of so many more viewers.
    MemoryPer(usize),
    /// Viewers of the first with a gap of more than a second.
    LongGaps,
    /// The first's worst gap less the second's, milliseconds.
    GapMore,
}

impl Figure {
    pub(super) fn of(self, of: &Figures, beside: &Figures) -> String {
        match self {
            Self::CpuRatio => format!("{:.2} ×", of.cpu_per_gb / beside.cpu_per_gb),
            Self::Cheaper => format!("{:.1} ×", beside.cpu_per_gb / of.cpu_per_gb),
            Self::Throughput => format!("{:.2} ×", of.gb_per_core_s / beside.gb_per_core_s),
            Self::MemoryPer(more) => {
                let more = u32::try_from(more).unwrap_or(u32::MAX);
                format!(
                    "{:.1} KB",
                    (of.resident - beside.resident) * 1.024 / f64::from(more)
                )
            }
            Self::LongGaps => of.seen.long_gap_viewers.to_string(),
            Self::GapMore => {
                let ms = |figures: &Figures| figures.seen.gap_worst.as_secs_f64() * 1e3;
                format!("{:+.0} ms", ms(of) - ms(beside))
            }
        }
    }
}

const fn one(viewers: usize) -> Shape {
    Shape::new(1, viewers, Rate::Usual)
}

const SATURATED: Shape = Shape::new(1, 200, Rate::Heavy);

/// Half of the usual clip's rate, bytes per second.
const HALF: u64 = 250_000;

const IN_BURSTS: Shape = Shape {
    burst: Duration::from_secs(2),
    ..Shape::new(50, 4, Rate::Usual)
};

const WITH_SLOW: Shape = Shape {
    slow: Some(HALF),
    ..one(200)
};

pub(super) const WORKLOADS: [Workload; 7] = [
    Workload {
        name: "thousand",
        what: "1 channel × 1,000 viewers at 4 Mbit/s, beside the limit",
        cases: &[
            (Mainstem, one(1_000)),
            (Beside, one(1_000)),
            (Bare(Mode::Gathering), one(1_000)),
            (Bare(Mode::AtOnce), one(1_000)),
            (Bare(Mode::Sendfile), one(1_000)),
        ],
        judged: &[
            Judged {
                what: "CPU s per GB, in those of the bare write(2) gathering 100 ms",
                of: 0,
                beside: 2,
                figure: Figure::CpuRatio,
                must: "≤ 2.0 ×",
                aim: "≤ 1.1 ×",
            },
            Judged {
                what: "the same, in those of the other build",
                of: 0,
                beside: 1,
                figure: Figure::CpuRatio,
                must: "",
                aim: "",
            },
        ],
    },
    Workload {
        name: "two-hundred",
        what: "1 channel × 200 viewers at 4 Mbit/s, beside other servers",
        cases: &[
            (Mainstem, one(200)),
            (Beside, one(200)),
            (NginxProxy, one(200)),
            (Icecast, one(200)),
        ],
        judged: &[
            Judged {
                what: "cheaper than nginx with an upstream connection for each",
                of: 0,
                beside: 2,
                figure: Figure::Cheaper,
                must: "≥ 8 ×",
                aim: "≥ 12 ×",
            },
            Judged {
                what: "cheaper than icecast2",
                of: 0,
                beside: 3,
                figure: Figure::Cheaper,
                must: "",
                aim: "",
            },
        ],
    },
    Workload {
        name: "saturation",
        what: "200 viewers who take all they can get (160 Mbit/s each, where there is a stream)",
        cases: &[
            (Mainstem, SATURATED),
            (Beside, SATURATED),
            (Bare(Mode::Endless), SATURATED),
            (NginxFile, SATURATED),
        ],
        judged: &[Judged {
            what: "bytes per processor second, in those of the bare write(2)",
            of: 0,
            beside: 2,
            figure: Figure::Throughput,
            must: "≥ 0.6 ×",
            aim: "≥ 0.9 ×",
        }],
    },
    Workload {
        name: "channels",
        what: "50 channels × 4 viewers at 4 Mbit/s, beside 1 × 200",
        cases: &[
            (Mainstem, Shape::new(50, 4, Rate::Usual)),
            (Beside, Shape::new(50, 4, Rate::Usual)),
            (Mainstem, one(200)),
            (Bare(Mode::Beat), Shape::new(50, 4, Rate::Usual)),
            (Bare(Mode::Beat), one(200)),
            (Mainstem, IN_BURSTS),
        ],
        judged: &[
            Judged {
                what: "CPU s per GB, in those of 1 × 200",
                of: 0,
                beside: 2,
                figure: Figure::CpuRatio,
                must: "≤ 2 ×",
                aim: "≤ 1.3 ×",
            },
            Judged {
                what: "the same, where each upstream sends two seconds at once at first",
                of: 5,
                beside: 2,
                figure: Figure::CpuRatio,
                must: "≤ 2 ×",
                aim: "≤ 1.3 ×",
            },
            Judged {
                what: "the same of the bare program, whose bytes nobody looks at",
                of: 3,
                beside: 4,
                figure: Figure::CpuRatio,
                must: "",
                aim: "",
            },
            Judged {
                what: "CPU s per GB, in those of the bare program",
                of: 0,
                beside: 3,
                figure: Figure::CpuRatio,
                must: "",
                aim: "",
            },
        ],
    },
    Workload {
        name: "memory",
        what: "resident memory: 1 channel × 1,100 viewers at 1 Mbit/s beside × 100, and 500 channels × 4",
        cases: &[
            (Mainstem, Shape::new(1, 1_100, Rate::Low)),
            (Mainstem, Shape::new(1, 100, Rate::Low)),
            (Mainstem, Shape::new(500, 4, Rate::Low)),
        ],
        judged: &[
            Judged {
                what: "for each further viewer",
                of: 0,
                beside: 1,
                figure: Figure::MemoryPer(1_000),
                must: "≤ 24 KB",
                aim: "≤ 8 KB",
            },
            Judged {
                what: "for each further channel, the ring's 10 s of media (1.3 MB) included",
                of: 2,
                beside: 1,
                figure: Figure::MemoryPer(499),
                must: "",
                aim: "",
            },
        ],
    },
    Workload {
        name: "five-thousand",
        what: "1 channel × 5,000 viewers at 1 Mbit/s",
        cases: &[(Mainstem, Shape::new(1, 5_000, Rate::Low))],
        judged: &[Judged {
            what: "viewers with a gap of more than a second",
            of: 0,
            beside: 0,
            figure: Figure::LongGaps,
            must: "0",
            aim: "0",
        }],
    },
    Workload {
        name: "slow",
        what: "1 channel × 200 viewers at 4 Mbit/s, with one more who reads half of it, and without",
        cases: &[(Mainstem, WITH_SLOW), (Mainstem, one(200))],
        judged: &[
            Judged {
                what: "CPU s per GB, in those without",
                of: 0,
                beside: 1,
                figure: Figure::CpuRatio,
                must: "1 ×",
                aim: "",
            },
            Judged {
                what: "worst gap of the others, more than without",
                of: 0,
                beside: 1,
                figure: Figure::GapMore,
                must: "none",
                aim: "",
            },
        ],
    },
];

/// The names, for people.
pub(super) fn usage() -> String {
    let lines = WORKLOADS
        .iter()
        .map(|workload| format!("  {:14} {}\n", workload.name, workload.what));
    format!(
        "cargo xtask bench --fanout [--quick] [--program FILE] [--beside FILE] [WORKLOAD…]\n{}",
        lines.collect::<String>()
    )
}
