//! One channel, many viewers: processor time per gigabyte and memory, beside nginx before the same upstream.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Row;
use super::load::Crowd;
use super::process::{cpu_time, mib, resident};
use super::server::Mainstem;
use super::{nginx, upstream};
use crate::step::{Steps, Summary};
use crate::tools::find;

/// Viewers of the one channel.
const VIEWERS: usize = 200;

/// How long the clip plays: longer than one measurement with its start.
pub(super) const CLIP: Duration = Duration::from_secs(75);

/// Rate of its pictures; sound and packets make it about 4 Mbit/s.
const VIDEO_KBIT: &str = "3700k";

/// How long is measured, once every viewer has a second of the stream.
const MEASURED: Duration = Duration::from_secs(20);

/// What one server used while it delivered.
struct Used {
    cpu: Duration,
    bytes: u64,
    memory: u64,
    took: Duration,
}

impl Used {
    /// Processor seconds per 10⁹ bytes.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn per_gigabyte(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e9 / self.bytes as f64
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn megabits_per_viewer(&self) -> f64 {
        self.bytes as f64 * 8.0 / 1e6 / self.took.as_secs_f64() / VIEWERS as f64
    }
}

/// Measures mainstem, then nginx.
pub(super) fn measure(program: &Path, folder: &Path, steps: &mut Steps) -> Result<Vec<Row>> {
    let clip = clip(folder, steps)?;
    let upstream = upstream::start(upstream::Content {
        clip,
        plays: CLIP,
        entries: 1,
        pages: Vec::new(),
    })?;
    let ours = mainstem(program, folder, upstream)?;
    let theirs = {
        let (nginx, port) = nginx::start(folder, upstream)?;
        // It listens a moment after it is started; a viewer does not try twice.
        wait_for(port)?;
        watch("nginx", nginx.id(), port, "/live/bench/bench/1.ts")?
    };
    let ratio = ours.per_gigabyte() / theirs.per_gigabyte();
    let rate = (ours.megabits_per_viewer(), theirs.megabits_per_viewer());
    Ok(vec![
        Row::new(
            format!(
                "1 channel × {VIEWERS} viewers, {:.1} Mbit/s each: CPU s per GB",
                rate.0
            ),
            format!("{:.2}", ours.per_gigabyte()),
            format!(
                "nginx {:.2} ({VIEWERS} upstream connections, {:.1} Mbit/s): ratio {ratio:.2}",
                theirs.per_gigabyte(),
                rate.1
            ),
        ),
        Row::new(
            format!("1 channel × {VIEWERS} viewers: resident memory"),
            mib(ours.memory),
            format!("nginx {}", mib(theirs.memory)),
        ),
    ])
}

fn mainstem(program: &Path, folder: &Path, upstream: u16) -> Result<Used> {
    let server = Mainstem::start(program, folder, &format!("http://127.0.0.1:{upstream}/list.m3u"))?;
    let list = server.playlist()?;
    let address = list.lines().find(|line| line.starts_with("http"));
    let (_, id) = address
        .and_then(|address| address.rsplit_once('/'))
        .context("an empty list")?;
    watch(
        "mainstem",
        server.running.id(),
        server.port,
        &format!("/stream/{id}"),
    )
}

fn watch(name: &str, process: u32, port: u16, path: &str) -> Result<Used> {
    let crowd = Crowd::join(VIEWERS, port, path);
    // About a second of the stream.
    crowd.settle(500_000, Duration::from_secs(30))?;
    let (began, cpu, bytes) = (Instant::now(), cpu_time(process)?, crowd.bytes());
    println!("{name}: {VIEWERS} viewers watch for {MEASURED:?}");
    std::thread::sleep(MEASURED);
    Ok(Used {
        cpu: cpu_time(process)?.saturating_sub(cpu),
        bytes: crowd.bytes() - bytes,
        memory: resident(process)?,
        took: began.elapsed(),
    })
}

pub(super) fn wait_for(port: u16) -> Result<()> {
    for _ in 0..100 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("nothing listens at port {port}")
}

/// A clip that needs its bits: moving, and with noise. Made once for each checkout.
pub(super) fn clip(folder: &Path, steps: &mut Steps) -> Result<Vec<u8>> {
    let path = folder.join("clip.ts");
    if !path.is_file() {
        let making = folder.join("clip.making.ts");
        let mut ffmpeg = Command::new(find("ffmpeg").context("ffmpeg is not installed")?);
        let seconds = CLIP.as_secs().to_string();
        ffmpeg.args(["-v", "error", "-nostdin", "-y", "-t", &seconds, "-f", "lavfi"]);
        ffmpeg.args(["-i", "testsrc2=s=960x540:r=25,noise=alls=20:allf=t"]);
        ffmpeg.args(["-t", &seconds, "-f", "lavfi", "-i", "sine=f=440:r=48000"]);
        ffmpeg.args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-g",
            "50",
        ]);
        ffmpeg.args(["-b:v", VIDEO_KBIT, "-minrate", VIDEO_KBIT, "-maxrate", VIDEO_KBIT]);
        ffmpeg.args(["-bufsize", VIDEO_KBIT, "-x264-params", "nal-hrd=cbr"]);
        ffmpeg
            .args(["-c:a", "aac", "-b:a", "128k", "-f", "mpegts"])
            .arg(&making);
        steps.run("bench clip", &mut ffmpeg, Summary::None)?;
        std::fs::rename(&making, &path)?;
    }
    Ok(std::fs::read(&path)?)
}
