//! The programs that tests need beside Rust: which are missing, and how they come here.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::step::{Steps, Summary};

/// The version of cargo-nextest that a machine without one gets.
const NEXTEST: &str = "0.9.143";

/// Where programs are beside `PATH`: people who are not root often have no `sbin` there.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];

/// A program, or where it is a file's name pattern a plugin, and the Debian packages that bring it.
struct Tool {
    program: &'static str,
    packages: &'static [&'static str],
}

const TOOLS: [Tool; 11] = [
    Tool {
        program: "ffmpeg",
        packages: &["ffmpeg"],
    },
    Tool {
        program: "ffprobe",
        packages: &["ffmpeg"],
    },
    Tool {
        program: "cvlc",
        // The program alone opens and decodes nothing.
        packages: &["vlc-bin", "vlc-plugin-base"],
    },
    Tool {
        program: "mpv",
        packages: &["mpv"],
    },
    Tool {
        program: "nginx",
        packages: &["nginx-light"],
    },
    Tool {
        program: "ip",
        packages: &["iproute2"],
    },
    Tool {
        program: "python3",
        packages: &["python3"],
    },
    Tool {
        program: "valgrind",
        packages: &["valgrind"],
    },
    Tool {
        program: "streamlink",
        packages: &["streamlink"],
    },
    Tool {
        program: "chromium",
        packages: &["chromium"],
    },
    Tool {
        program: "npm",
        packages: &["npm"],
    },
];

/// What the tests in a browser have from npm: a page's player. `package-lock.json` says which.
const WEB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../e2e/web");

/// Gets from Debian what is missing, when it may.
///
/// # Errors
/// Something is missing and this user cannot install it (the message is the command that does), or that failed.
pub(crate) fn provide(steps: &mut Steps) -> Result<()> {
    let packages = missing_packages();
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !is_root() || find("apt-get").is_none() {
        bail!(
            "the tests need programs that are not here. On Debian 12:\n\n    sudo apt-get install --no-install-recommends {list}\n"
        );
    }
    println!("missing: {list}");
    steps.run("package lists", apt().arg("update"), Summary::None)?;
    let mut install = apt();
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&packages);
    steps.run("packages", &mut install, Summary::None)?;
    let still = missing_packages();
    if still.is_empty() {
        return Ok(());
    }
    bail!("installed, and still not to be found: {}", still.join(" "))
}

/// Gets from Debian what the bench can do without, when it may: whoever is missing is left out of the table.
pub(crate) fn provide_if_possible(program: &str, packages: &[&str], steps: &mut Steps) {
    if find(program).is_some() || !is_root() || find("apt-get").is_none() {
        return;
    }
    let mut install = apt();
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages);
    if let Err(error) = steps.run("packages", &mut install, Summary::None) {
        println!("{program} could not be installed: {error:#}");
    }
}

/// Gets from npm what a page needs; its scripts are not run, for there is nothing to build.
///
/// # Errors
/// It is not to be had, or not what the lock file names.
pub(crate) fn provide_web(steps: &mut Steps) -> Result<()> {
    let Some(npm) = find("npm") else {
        bail!("npm is not here");
    };
    let mut install = Command::new(npm);
    install
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(WEB);
    steps.run("npm", &mut install, Summary::None)
}

/// Installs the test runner where there is none.
///
/// # Errors
/// It cannot be built.
pub(crate) fn provide_nextest(steps: &mut Steps) -> Result<()> {
    let mut ask = cargo();
    ask.args(["nextest", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if ask.status()?.success() {
        return Ok(());
    }
    let mut install = cargo();
    // Unoptimised, and without its self-update: it is built for longer than it ever runs.
    install.args([
        "install",
        "--locked",
        "--debug",
        "--version",
        NEXTEST,
        "cargo-nextest",
    ]);
    install.args(["--no-default-features", "--features", "default-no-update"]);
    steps.run("cargo-nextest", &mut install, Summary::None)
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where a program is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SYSTEM_FOLDERS.map(PathBuf::from));
    folders
        .map(|folder| folder.join(program))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0)
}

fn missing_packages() -> Vec<&'static str> {
    let missing = TOOLS.iter().filter(|tool| find(tool.program).is_none());
    let mut packages: Vec<_> = missing.flat_map(|tool| tool.packages).copied().collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn is_root() -> bool {
    Path::new("/proc/self").metadata().is_ok_and(|me| me.uid() == 0)
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
