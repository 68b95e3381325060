//! Clips of a known rate, made by ffmpeg once for each checkout.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::step::{Steps, Summary};
use crate::tools::find;

/// How long the clip plays: longer than one measurement with its start.
pub(in crate::bench) const CLIP: Duration = Duration::from_secs(75);

/// How long the heavy clip plays: it is as many bytes as several minutes of the others.
const HEAVY_CLIP: Duration = Duration::from_secs(24);

/// What is to be sent to viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Rate {
    /// 1 Mbit/s.
    Low,
    /// 4 Mbit/s.
    Usual,
    /// 160 Mbit/s: 200 viewers ask for more than one core can copy.
    Heavy,
}

/// A transport stream, and how long it plays.
pub(super) struct Clip {
    pub(super) bytes: Vec<u8>,
    pub(super) plays: Duration,
}

impl Rate {
    /// Where the clip is, once it is made.
    pub(super) fn path(self, folder: &Path) -> PathBuf {
        folder.join(match self {
            Self::Low => "clip-low.ts",
            Self::Usual => "clip.ts",
            Self::Heavy => "clip-heavy.ts",
        })
    }

    /// The clip, made where it is not there yet.
    pub(super) fn clip(self, folder: &Path, steps: &mut Steps) -> Result<Clip> {
        let (video, plays) = match self {
            Self::Low => ("850k", CLIP),
            // Sound and packets make it about 4 Mbit/s.
            Self::Usual => ("3700k", CLIP),
            Self::Heavy => ("152M", HEAVY_CLIP),
        };
        let path = self.path(folder);
        if !path.is_file() {
            let making = path.with_extension("making.ts");
            make(&making, video, plays, steps)?;
            std::fs::rename(&making, &path)?;
        }
        Ok(Clip {
            bytes: std::fs::read(&path)?,
            plays,
        })
    }
}

/// The usual clip's bytes.
pub(in crate::bench) fn clip(folder: &Path, steps: &mut Steps) -> Result<Vec<u8>> {
    Ok(Rate::Usual.clip(folder, steps)?.bytes)
}

/// A clip that needs its bits: moving, and with noise. What it does not need is filled up, so that its rate is constant.
fn make(path: &Path, video: &str, plays: Duration, steps: &mut Steps) -> Result<()> {
    let mut ffmpeg = Command::new(find("ffmpeg").context("ffmpeg is not installed")?);
    let seconds = plays.as_secs().to_string();
    ffmpeg.args(["-v", "error", "-nostdin", "-y", "-t", &seconds, "-f", "lavfi"]);
    ffmpeg.args(["-i", "testsrc2=s=960x540:r=25,noise=alls=20:allf=t"]);
    ffmpeg.args(["-t", &seconds, "-f", "lavfi", "-i", "sine=f=440:r=48000"]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]);
    ffmpeg.args(["-g", "50", "-b:v", video, "-minrate", video, "-maxrate", video]);
    ffmpeg.args(["-bufsize", video, "-x264-params", "nal-hrd=cbr"]);
    ffmpeg.args(["-c:a", "aac", "-b:a", "128k", "-f", "mpegts"]);
    steps.run("bench clip", ffmpeg.arg(path), Summary::None)
}
