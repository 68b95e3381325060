//! What runs the program elsewhere: the image, its compose file, the service.
//!
//! No container engine is needed: the last stage of the Dockerfile is read, done to a folder in a mount namespace of
//! its own, and the program is run there as the image would run it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::find;
use crate::server::{Server, get};

/// One instruction of a Dockerfile and its argument, continuation lines joined.
type Instruction = (String, String);

#[test]
fn the_image_is_built_by_the_toolchain_and_for_the_debian_it_runs_on() {
    let image = dockerfile();
    let from: Vec<_> = arguments(&image, "FROM");
    let &[build, run] = from.as_slice() else {
        panic!("two stages: {from:?}");
    };
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain.split('"').nth(1).expect("a channel");
    assert_eq!(build, format!("rust:{channel}-bookworm AS build"));
    assert_eq!(run, "debian:bookworm-slim");
    let variables = arguments(&image, "ENV");
    assert!(variables.contains(&format!("RUSTUP_TOOLCHAIN={channel}").as_str()));
    assert!(read("Cargo.toml").contains("[profile.dist]"));
    let sent = read("docker/Dockerfile.dockerignore");
    for path in sent.lines().filter_map(|line| line.strip_prefix('!')) {
        assert!(
            root().join(path).exists(),
            "{path} is sent to the build, and is gone"
        );
    }
}

#[test]
fn compose_differs_from_the_reference_by_the_image() {
    let image = last_stage();
    let compose = read("docker/compose.yaml");
    assert!(compose.contains("- \"8080:8080\"\n") && arguments(&image, "EXPOSE") == ["8080"]);
    assert!(compose.contains("- ./config:/app/config:ro\n"));
    assert!(compose.contains("- data:/app/data\n") && arguments(&image, "VOLUME") == ["/app/data"]);
    assert!(compose.contains("read_only: true\n"));
}

#[test]
fn the_image_runs_without_root_and_without_a_place_to_write() {
    let Some(mut command) = rehearsal("read-only") else {
        return;
    };
    let mut server = Server::start(&mut command);
    server.said("lists are not kept across a restart");
    assert_card_is_served(&mut server);
    assert_eq!(server.terminate(), Some(0), "SIGTERM ends it");
}

#[test]
fn the_image_writes_its_first_configuration_where_it_may() {
    let Some(mut command) = rehearsal("writable") else {
        return;
    };
    let mut server = Server::start(&mut command);
    server.said("a first one was written");
    assert_card_is_served(&mut server);
}

#[test]
fn the_image_reads_a_mounted_configuration() {
    let Some(mut command) = rehearsal("mounted") else {
        return;
    };
    let mut server = Server::start(&mut command);
    assert_card_is_served(&mut server);
    let list = get(server.port(), "/playlist.m3u8");
    assert!(
        list.contains("Mounted mainstem test card"),
        "the mounted file's prefix is used: {list}"
    );
}

#[test]
fn the_health_check_tells_a_server_from_none() {
    let Some(mut up) = rehearsal("health-up") else {
        return;
    };
    let Some(mut down) = rehearsal("health-down") else {
        return;
    };
    assert!(up.output().expect("it runs").status.success());
    let output = down.output().expect("it runs");
    assert_eq!(
        output.status.code(),
        Some(1),
        "unhealthy, as HEALTHCHECK has it: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn systemd_takes_the_unit() {
    let Some(analyze) = find("systemd-analyze") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    // It asks that the program is there.
    let here = folder.path().join("mainstem.service");
    let unit = read("packaging/mainstem.service").replace("/usr/local/bin/mainstem", "/bin/true");
    std::fs::write(&here, unit).expect("a file");
    let output = Command::new(analyze).arg("verify").arg(&here).output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    // What else is wrong with this machine's units is not ours.
    let ours: Vec<_> = said.lines().filter(|line| line.contains("mainstem")).collect();
    assert!(output.status.success() && ours.is_empty(), "{ours:?}");
}

fn assert_card_is_served(server: &mut Server) {
    let address = server.channel();
    let (_, id) = address.rsplit_once('/').expect("an address");
    assert!(!id.is_empty());
}

/// The image's entry point in an image's file system, made in a mount namespace that ends with the process. `None`
/// where this user may not make one.
fn rehearsal(form: &str) -> Option<Command> {
    let (unshare, _, _) = (find("unshare")?, find("chroot")?, find("setpriv")?);
    let mut ask = Command::new(&unshare);
    let may = ask.args(["--mount", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not mount");
        return None;
    }
    let image = last_stage();
    let variables = arguments(&image, "ENV");
    let words = |instruction: &str| json_words(arguments(&image, instruction).last().copied());
    let (_, health) = arguments(&image, "HEALTHCHECK").last()?.split_once("CMD ")?;
    // What needs no network of the commands that make the image.
    let made = arguments(&image, "RUN");
    let made = made.iter().find(|run| run.starts_with("install "));
    let user = arguments(&image, "USER");
    let mut command = Command::new(unshare);
    command.args(["--mount", "--", "sh", "-c", REHEARSAL, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_mainstem"));
    command.env("REHEARSE_FORM", form).env("REHEARSE_RUN", made?);
    command.env("REHEARSE_USER", user.last()?);
    command.env("REHEARSE_WORKDIR", arguments(&image, "WORKDIR").last()?);
    command.env("REHEARSE_ENV", variables.join(" "));
    command.env("REHEARSE_ENTRYPOINT", words("ENTRYPOINT").join(" "));
    command.env("REHEARSE_HEALTH", json_words(Some(health)).join(" "));
    Some(command)
}

/// Makes the image's file system of this machine's programs and libraries, and runs what the image runs.
///
/// `$1` is the program; further arguments go to it. The forms: `read-only` (root and volumes), `writable` (a container
/// of its own), `mounted` (a configuration from outside, read-only), `health-up` and `health-down` (the HEALTHCHECK
/// with a server and without).
const REHEARSAL: &str = r#"
set -eu
program=$1; shift
image=/mnt
mount -t tmpfs -o mode=755 tmpfs $image
for folder in usr etc proc dev; do mkdir $image/$folder; mount --rbind /$folder $image/$folder; done
for folder in bin sbin lib lib64; do
    if [ -L /$folder ]; then cp -a /$folder $image/$folder
    elif [ -d /$folder ]; then mkdir $image/$folder; mount --rbind /$folder $image/$folder; fi
done
mount -t tmpfs -o mode=755 tmpfs $image/usr/local/bin
cp "$program" $image/usr/local/bin/mainstem
chroot $image sh -c "$REHEARSE_RUN"
case $REHEARSE_FORM in
mounted | health-*)
    printf 'sources:\n  - {name: card, type: testcard, stream_name_prefix: "Mounted "}\n' >$image/app/config/config.yaml
    ;;
esac
case $REHEARSE_FORM in
read-only | mounted) mount -o remount,ro $image ;;
esac
uid=${REHEARSE_USER%:*}
gid=${REHEARSE_USER#*:}
inside() {
    exec chroot $image setpriv --reuid=$uid --regid=$gid --clear-groups --no-new-privs --bounding-set=-all \
        env -i PATH=/usr/local/bin:/usr/bin:/bin $REHEARSE_ENV \
        sh -c "cd $REHEARSE_WORKDIR; exec \"\$@\"" sh "$@"
}
case $REHEARSE_FORM in
health-down) inside env MAINSTEM_PORT=1 $REHEARSE_HEALTH ;;
health-up)
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    (inside env MAINSTEM_PORT=$port $REHEARSE_ENTRYPOINT) &
    server=$!
    for try in $(seq 100); do
        if (inside env MAINSTEM_PORT=$port $REHEARSE_HEALTH); then kill $server; exit 0; fi
        sleep 0.1
    done
    kill $server; exit 1
    ;;
*) inside $REHEARSE_ENTRYPOINT --host 127.0.0.1 "$@" ;;
esac
"#;

fn dockerfile() -> Vec<Instruction> {
    let text = read("docker/Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (instruction, argument) = line.split_once(' ').expect("an argument");
            let argument = argument.split_whitespace().collect::<Vec<_>>().join(" ");
            (instruction.to_owned(), argument)
        })
        .collect()
}

fn last_stage() -> Vec<Instruction> {
    let all = dockerfile();
    let from = all.iter().rposition(|(instruction, _)| instruction == "FROM");
    all.into_iter().skip(from.expect("a stage")).collect()
}

fn arguments<'a>(image: &'a [Instruction], wanted: &str) -> Vec<&'a str> {
    let found = image.iter().filter(|(instruction, _)| instruction == wanted);
    found.map(|(_, argument)| argument.as_str()).collect()
}

/// The words of `["a", "b"]`, the form of ENTRYPOINT and CMD that runs no shell.
fn json_words(list: Option<&str>) -> Vec<String> {
    let list = list.expect("the instruction is there");
    serde_json::from_str(list).expect("the form without a shell")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
