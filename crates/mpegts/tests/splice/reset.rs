//! Sources that are entered where their encoder meant no decoder to begin anew: open groups, as broadcasters send them.

use crate::fixtures::{PICTURE, drain, judge_bytes, record, scratch, tools};
use crate::rules::Rules;
use mpegts::{PACKET_BYTES, Packet, Splicer};
use std::process::Command;

const B: &[u8] = include_bytes!("../../../provider-double/clips/b.ts");
const D: &[u8] = include_bytes!("../../../provider-double/clips/d.ts");
const F: &[u8] = include_bytes!("../../../provider-double/clips/f.ts");
const J: &[u8] = include_bytes!("../../../provider-double/clips/j.ts");
const K: &[u8] = include_bytes!("../../../provider-double/clips/k.ts");
const M: &[u8] = include_bytes!("../../../provider-double/clips/m.ts");

/// The source as it is met at so many eighths of it, behind tables that stood before.
fn from(source: &[u8], eighths: usize) -> Vec<u8> {
    let at = source.len() * eighths / 8 / PACKET_BYTES * PACKET_BYTES;
    [&source[..3 * PACKET_BYTES], &source[at..]].concat()
}

fn play(sources: &[&[u8]]) -> Vec<u8> {
    let mut splicer = Splicer::new();
    let (mut bytes, mut rules) = (Vec::new(), Rules::default());
    for source in sources {
        splicer.begin_source();
        splicer.push(source);
        if sources.len() == 1 || source == sources.last().unwrap() {
            splicer.end_source();
        }
        for piece in drain(&mut splicer) {
            rules.piece(&piece);
            bytes.extend_from_slice(&piece.bytes);
        }
        let report = splicer.source();
        assert!(report.entered && !report.rejoined, "{report:?}");
    }
    bytes
}

/// What ffmpeg makes of the pictures, one line for each, and what it says.
fn decode(name: &str, bytes: &[u8]) -> (Vec<String>, String) {
    let path = scratch(name).with_extension("reset.ts");
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-i"])
        .arg(&path)
        .args(["-map", "0:v", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let pictures = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit(',').next())
        .map(|hash| hash.trim().to_owned());
    (
        pictures.collect(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Bytes that a source plays, and what ffmpeg makes of them where they are alone.
struct Played {
    bytes: Vec<u8>,
    pictures: Vec<String>,
}

impl Played {
    fn new(name: &str, bytes: Vec<u8>) -> Self {
        let pictures = decode(name, &play(&[&bytes])).0;
        assert!(pictures.len() >= 20, "{name}: {} pictures alone", pictures.len());
        Self { bytes, pictures }
    }

    /// The source up to where it dies.
    fn first(name: &str, source: &[u8]) -> Self {
        Self::new(
            name,
            source[..source.len() * 5 / 6 / PACKET_BYTES * PACKET_BYTES].to_vec(),
        )
    }

    /// Every picture comes out behind those of `first` as it does alone, and ffmpeg has nothing to say.
    fn goes_on_behind(&self, first: &Self, name: &str) {
        let (both, said) = decode(name, &play(&[&first.bytes, &self.bytes]));
        assert!(said.is_empty(), "{name}: {said}");
        assert!(
            both.ends_with(&self.pictures),
            "{name}: not the pictures of the source"
        );
        // The last picture before the cut has no end.
        let lost = first.pictures.len() + self.pictures.len() - both.len();
        assert!(lost <= 1, "{name}: {lost} pictures lost");
    }
}

fn goes_on(name: &str, first: &[u8], second: &[u8]) {
    Played::new(name, second.to_vec()).goes_on_behind(&Played::first(name, first), name);
}

#[test]
fn open_groups_behind_every_kind_of_source() {
    if !tools() {
        return;
    }
    let firsts =
        [("D", D), ("B", B), ("M", M), ("K", K)].map(|(name, clip)| (name, Played::first(name, clip)));
    for (name, second) in [("B", B), ("K", K)] {
        for eighths in [0, 1, 2, 4] {
            let second = Played::new(name, from(second, eighths));
            // Behind itself it is recognised as a replay.
            for (under, first) in firsts.iter().filter(|(under, _)| *under != name) {
                second.goes_on_behind(first, &format!("{under}-{name}-{eighths}"));
            }
        }
    }
}

#[test]
fn open_groups_of_every_shape() {
    if !tools() {
        return;
    }
    let firsts = [D, J, K].map(|clip| Played::first("shapes", clip));
    let shapes = [
        ("cavlc", "cabac=0:bframes=3:b-pyramid=normal"),
        ("slices", "slices=4:bframes=3:b-pyramid=normal"),
        ("slices-cavlc", "slices=4:cabac=0:bframes=2:weightp=2"),
        ("top-first", "tff=1:bframes=3:b-pyramid=normal"),
        ("bottom-first", "bff=1:bframes=3:cabac=0:slices=2"),
        ("weights", "bframes=5:ref=5:weightb=1:weightp=2:b-pyramid=strict"),
    ];
    for (name, options) in shapes {
        let interlaced = if name.ends_with("first") {
            "-flags:v +ildct+ilme"
        } else {
            ""
        };
        let encode = |filter: &str| {
            record(
                name,
                &format!(
                    "{PICTURE} -vf {filter} -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 40 {interlaced} \
                     -x264-params open-gop=1:scenecut=0:b-adapt=0:{options}"
                ),
            )
        };
        let film = Played::new(name, from(&encode("null"), 2));
        let other = Played::first(name, &encode("negate"));
        // Among them the same encoder: neither parameter sets nor anything else tells the two apart.
        let firsts = firsts.iter().chain([&other]);
        for (first, number) in firsts.zip(0..) {
            film.goes_on_behind(first, &format!("{name}-{number}"));
        }
    }
}

#[test]
fn open_groups_of_hevc_and_mpeg2() {
    if !tools() {
        return;
    }
    let hevc = |name, filter| {
        record(
            name,
            &format!(
                "{PICTURE} -vf {filter} -c:v libx265 -preset veryfast -pix_fmt yuv420p \
                 -x265-params log-level=none:keyint=40:scenecut=0:open-gop=1:bframes=4:b-adapt=0"
            ),
        )
    };
    let (film, other) = (hevc("reset-hevc", "null"), hevc("reset-hevc-other", "negate"));
    for eighths in 1..5 {
        let film = Played::new("hevc", from(&film, eighths));
        for (number, first) in [F, &other].into_iter().enumerate() {
            film.goes_on_behind(&Played::first("hevc", first), &format!("hevc-{number}-{eighths}"));
        }
    }
    let mpeg2 = |name, filter| {
        record(
            name,
            &format!("{PICTURE} -vf {filter} -c:v mpeg2video -g 24 -bf 2"),
        )
    };
    let (film, other) = (mpeg2("reset-mpeg2", "null"), mpeg2("reset-mpeg2-other", "negate"));
    goes_on("mpeg2", &other, &from(&film, 2));
}

#[test]
fn a_source_that_replays_goes_on_as_it_was_entered() {
    let at = |source: &[u8], tenths: usize| source.len() * tenths / 10 / PACKET_BYTES * PACKET_BYTES;
    let unbroken = from(K, 2);
    let broken = &unbroken[..at(&unbroken, 7)];
    let again = [&unbroken[..3 * PACKET_BYTES], &unbroken[at(&unbroken, 5)..]].concat();
    let mut splicer = Splicer::new();
    let mut bytes = Vec::new();
    for source in [D, broken, &again] {
        splicer.begin_source();
        splicer.push(source);
        bytes.extend(drain(&mut splicer).into_iter().flat_map(|piece| piece.bytes));
    }
    splicer.end_source();
    bytes.extend(drain(&mut splicer).into_iter().flat_map(|piece| piece.bytes));
    assert!(splicer.source().rejoined);
    let pictures = |bytes: &[u8]| {
        let seen = judge_bytes(bytes);
        seen.video()
            .iter()
            .map(|unit| unit.es.clone())
            .collect::<Vec<_>>()
    };
    assert!(pictures(&bytes) == pictures(&play(&[D, &unbroken])));
}

#[test]
fn a_jump_inside_a_source_is_an_entry_too() {
    let first = &K[..K.len() * 7 / 10 / PACKET_BYTES * PACKET_BYTES];
    let seen = judge_bytes(&play(&[&[first, &from(K, 2)].concat()]));
    // The clip brings one IDR picture, its first.
    let begins = seen.video().iter().filter(|unit| {
        let idr = |window: &[u8]| window[..3] == [0, 0, 1] && window[3] & 0x1F == 5;
        unit.es.windows(4).any(idr)
    });
    assert_eq!(begins.count(), 2);
}

#[test]
fn pictures_that_come_after_the_sound_has_entered_begin_anew_too() {
    if !tools() {
        return;
    }
    let sound_only = K.len() * 7 / 10 / PACKET_BYTES;
    let late: Vec<u8> = K
        .as_chunks::<PACKET_BYTES>()
        .0
        .iter()
        .enumerate()
        .filter(|(number, bytes)| *number > sound_only || Packet::new(bytes).unwrap().pid().value() != 0x0C80)
        .flat_map(|(_, bytes)| *bytes)
        .collect();
    goes_on("late", D, &late);
}
