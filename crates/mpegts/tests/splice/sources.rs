//! Sources of every kind after one another.

use crate::fixtures::{PICTURE, SOUND, Seen, decodes_clean, drain, h264, judge, judge_sound, record, tools};
use crate::rules::Rules;
use mpegts::psi::{Pmt, SectionReader, packetize};
use mpegts::{Codec, PACKET_BYTES, Packet, Pid, Piece, Splicer};

const HEVC: &str = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=none:keyint=25";

/// Plays sources after one another, each cut off where its number of bytes ends.
fn cut(sources: &[(&[u8], usize)]) -> (Vec<Piece>, Splicer) {
    let mut splicer = Splicer::new();
    let mut pieces = Vec::new();
    for (bytes, end) in sources {
        splicer.begin_source();
        for bytes in bytes[..*end.min(&bytes.len())].chunks(10_000) {
            splicer.push(bytes);
            pieces.extend(drain(&mut splicer));
        }
        assert!(splicer.source().entered, "{:?}", splicer.source());
    }
    let mut rules = Rules::default();
    pieces.iter().for_each(|piece| rules.piece(piece));
    (pieces, splicer)
}

fn flat(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.bytes.clone()).collect()
}

/// The longest time one picture stands, in ticks.
fn longest_still(seen: &Seen) -> i64 {
    let mut shown: Vec<i64> = seen.video().iter().map(|unit| unit.pts).collect();
    shown.sort_unstable();
    shown.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
}

/// Two sources, each after the other, cut in the middle: valid, decodable, and nothing wider than a few pictures.
fn both_ways(name: &str, one: &[u8], two: &[u8], audio: Codec) {
    for (way, first, second) in [("there", one, two), ("back", two, one)] {
        for part in [5, 6, 7] {
            let end = first.len() * part / 10 + part * 31;
            let (pieces, splicer) = cut(&[(first, end), (second, usize::MAX), (first, usize::MAX)]);
            assert_eq!(splicer.signature().unwrap().epoch, 0, "{name} {way}");
            let seen = judge(&pieces);
            let longest = longest_still(&seen);
            assert!(
                longest <= 5 * 3_600,
                "{name} {way}: {longest} ticks without a picture"
            );
            let hole = judge_sound(seen.audio(), audio);
            // What the first had not sent is silence: all that is missing is what is no whole frame (the longest is
            // one of AC-3, 32 ms).
            assert!(hole < 2_880, "{name} {way}: {hole} ticks without sound");
            let begins: Vec<_> = pieces.iter().filter(|piece| piece.discontinuity).collect();
            assert_eq!(begins.len(), 2);
            assert!(begins.iter().all(|piece| piece.keyframe), "{name} {way}");
            let pictures = decodes_clean(&format!("{name}-{way}-{part}"), &flat(&pieces));
            assert!(
                pictures >= seen.video().len() - 9,
                "{name} {way}: {pictures} of {}",
                seen.video().len()
            );
        }
    }
}

#[test]
fn h264_of_other_shape_and_pids() {
    if !tools() {
        return;
    }
    let one = h264("shape-1", "");
    let two = record(
        "shape-2",
        "-f lavfi -i testsrc=s=416x240:r=50:d=6 -f lavfi -i sine=f=880:r=48000:d=6 -c:v libx264 -preset ultrafast \
         -profile:v baseline -g 50 -pix_fmt yuv420p -c:a aac -streamid 0:0x1AB -streamid 1:0x10 \
         -mpegts_pmt_start_pid 0x30 -mpegts_service_id 77",
    );
    both_ways("shape", &one, &two, Codec::Aac);
}

#[test]
fn open_groups_with_many_b_frames() {
    if !tools() {
        return;
    }
    let open = h264(
        "open-1",
        "-preset veryfast -bf 3 -x264-params open-gop=1:keyint=25:b-pyramid=normal:b-adapt=0",
    );
    let closed = h264("open-2", "-bf 0");
    both_ways("open", &open, &closed, Codec::Aac);
}

#[test]
fn hevc_after_hevc() {
    if !tools() {
        return;
    }
    let open = record(
        "hevc-1",
        &format!("{PICTURE} {SOUND} {HEVC}:open-gop=1:bframes=4 -c:a aac -ac 2"),
    );
    let closed = record(
        "hevc-2",
        &format!("{PICTURE} {SOUND} {HEVC}:open-gop=0:bframes=0 -c:a aac -ac 2"),
    );
    both_ways("hevc", &open, &closed, Codec::Aac);
}

#[test]
fn mpeg2_with_layer_2_sound() {
    if !tools() {
        return;
    }
    let one = record(
        "mpeg2-1",
        &format!("{PICTURE} {SOUND} -c:v mpeg2video -g 12 -bf 2 -c:a mp2 -b:a 192k"),
    );
    let two = record(
        "mpeg2-2",
        &format!("{PICTURE} {SOUND} -c:v mpeg2video -g 15 -c:a mp2 -b:a 128k -ac 2"),
    );
    both_ways("mpeg2", &one, &two, Codec::MpegAudio);
}

#[test]
fn ac3_and_stamps_about_to_wrap() {
    if !tools() {
        return;
    }
    // 2^33 / 90000 s = 95443.7 s: the first wraps after its third second, the second after its first.
    let sound = "-c:a ac3 -b:a 192k -ac 2 -mpegts_copyts 1";
    let one = h264("wrap-1", &format!("{sound} -output_ts_offset 95440.5"));
    let two = h264("wrap-2", &format!("{sound} -output_ts_offset 95442.5 -bf 0"));
    both_ways("wrap", &one, &two, Codec::Ac3);
    let (_, splicer) = cut(&[(&one, usize::MAX)]);
    assert_eq!(splicer.source().timeline_jumps, 0, "a wrap is no jump");
}

#[test]
fn sound_alone() {
    if !tools() {
        return;
    }
    let one = record("radio-1", &format!("{SOUND} -c:a aac -ac 2"));
    let two = record(
        "radio-2",
        "-f lavfi -i sine=f=900:r=44100:d=6 -c:a aac -ac 1 -streamid 0:0x44",
    );
    let (pieces, _) = cut(&[(&one, one.len() / 2), (&two, usize::MAX), (&one, usize::MAX)]);
    let seen = judge(&pieces);
    assert!(judge_sound(seen.audio(), Codec::Aac) <= 1_000);
    assert!(pieces.iter().filter(|piece| piece.keyframe).count() > 10);
    decodes_clean("radio", &flat(&pieces));
    // A radio source under a channel that had pictures is heard, under the same promise.
    let film = h264("radio-3", "");
    let (pieces, splicer) = cut(&[(&film, film.len() / 2), (&one, usize::MAX), (&film, usize::MAX)]);
    assert_eq!(splicer.signature().unwrap().epoch, 0);
    decodes_clean("radio-film", &flat(&pieces));
    assert!(judge_sound(judge(&pieces).audio(), Codec::Aac) < 2_880);
}

#[test]
fn a_jump_inside_a_source_is_joined() {
    if !tools() {
        return;
    }
    let one = h264("jump-1", "");
    let two = h264("jump-2", "-output_ts_offset 5000 -bf 0");
    for (first, second) in [(&one, &two), (&two, &one), (&one, &one)] {
        let end = first.len() / 2 / PACKET_BYTES * PACKET_BYTES;
        let both = [&first[..end], second].concat();
        let (pieces, splicer) = cut(&[(&both, usize::MAX)]);
        assert_eq!(splicer.source().timeline_jumps, 1);
        let seen = judge(&pieces);
        assert!(longest_still(&seen) <= 5 * 3_600);
        assert!(judge_sound(seen.audio(), Codec::Aac) < 2_880);
        decodes_clean("jump", &flat(&pieces));
    }
}

#[test]
fn a_replay_is_joined_without_repeating() {
    if !tools() {
        return;
    }
    let film = h264("replay", "-bf 2");
    let mut whole = Splicer::new();
    whole.push(&film);
    let expected = judge(&drain(&mut whole));
    let (end, again) = (film.len() * 7 / 10, film.len() * 4 / 10);
    let (pieces, splicer) = cut(&[(&film, end), (&film[again..], usize::MAX)]);
    assert!(splicer.source().rejoined);
    let seen = judge(&pieces);
    let pictures = |seen: &Seen| {
        seen.video()
            .iter()
            .map(|unit| unit.es.clone())
            .collect::<Vec<_>>()
    };
    assert!(
        pictures(&seen) == pictures(&expected),
        "every picture once, in order"
    );
    assert!(judge_sound(seen.audio(), Codec::Aac) <= 1);
    assert_eq!(pieces.iter().filter(|piece| piece.discontinuity).count(), 0);
    decodes_clean("replay", &flat(&pieces));

    // The same stamps with other pictures are another source, not a replay.
    let other = h264("replay-other", "-vf negate");
    let (pieces, splicer) = cut(&[(&film, end), (&other, usize::MAX)]);
    assert!(!splicer.source().rejoined);
    assert!(judge(&pieces).video().len() > expected.video().len());
}

#[test]
fn another_codec_is_another_epoch_on_another_pid() {
    if !tools() {
        return;
    }
    let avc = h264("codec-1", "");
    let hevc = record("codec-2", &format!("{PICTURE} {SOUND} {HEVC} -c:a aac -ac 2"));
    let mp2 = h264("codec-3", "-c:a mp2");
    for (other, video_changes) in [(&hevc, true), (&mp2, false)] {
        let (pieces, splicer) = cut(&[(&avc, avc.len() / 2), (other, usize::MAX), (&avc, usize::MAX)]);
        assert_eq!(splicer.signature().unwrap().epoch, 2);
        let mut seen: Vec<Pmt> = Vec::new();
        for epoch in 0..3 {
            let of_epoch: Vec<Piece> = pieces
                .iter()
                .filter(|piece| piece.epoch == epoch)
                .cloned()
                .collect();
            assert!(of_epoch[0].keyframe, "an epoch begins where a player may start");
            seen.push(judge(&of_epoch).pmt.unwrap());
            decodes_clean(&format!("codec-{epoch}"), &flat(&of_epoch));
        }
        let pids = |at: usize| {
            seen[at]
                .streams
                .iter()
                .map(|stream| stream.pid)
                .collect::<Vec<_>>()
        };
        assert_eq!(pids(0)[0] != pids(1)[0], video_changes);
        assert_eq!(pids(0)[1] != pids(1)[1], !video_changes);
        assert!(seen[0].version != seen[1].version && seen[1].version != seen[2].version);
        // The clock stays where it was, listed or not, and nothing else comes there.
        assert!(seen.iter().all(|pmt| pmt.pcr_pid == seen[0].streams[0].pid));
    }
}

#[test]
fn several_languages_keep_their_places() {
    if !tools() {
        return;
    }
    let sounds = "-f lavfi -i sine=f=300:r=48000:d=6 -f lavfi -i sine=f=600:r=48000:d=6";
    let make = |name: &str, first: &str, second: &str| {
        record(
            name,
            &format!(
                "-f lavfi -i testsrc2=s=320x180:r=25:d=6,hue=h={} {sounds} -map 0 -map 1 -map 2 -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p \
                 -c:a aac -metadata:s:a:0 language={first} -metadata:s:a:1 language={second}",
                if first == "eng" { 0 } else { 90 }
            ),
        )
    };
    let (one, two) = (make("lang-1", "eng", "fra"), make("lang-2", "fra", "deu"));
    let (pieces, splicer) = cut(&[(&one, usize::MAX), (&two, usize::MAX)]);
    let promised = splicer.signature().unwrap();
    let languages: Vec<_> = promised
        .streams
        .iter()
        .filter_map(|stream| stream.language)
        .collect();
    assert_eq!(promised.epoch, 0);
    assert!(languages.starts_with(&[*b"eng", *b"fra"]), "{promised:?}");
    decodes_clean("lang", &flat(&pieces));
    judge(&pieces);
}

/// The recording with its clock on a PID of its own, in packets that carry nothing else.
fn own_clock(recording: &[u8], keep: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut continuity = 0;
    for bytes in recording.as_chunks::<PACKET_BYTES>().0 {
        let packet = Packet::new(bytes).unwrap();
        if packet.pid().value() == 0x1000 {
            SectionReader::default().push(&packet, |section| {
                let mut pmt = Pmt::parse(section).unwrap();
                pmt.pcr_pid = Pid::new(if keep { 0x0ABC } else { 0x1FFF });
                packetize(&pmt.write().unwrap(), packet.pid(), &mut continuity, &mut out);
            });
            continue;
        }
        if packet.pcr().is_some() && keep {
            let mut clock = [0xFF; PACKET_BYTES];
            clock[..6].copy_from_slice(&[0x47, 0x0A, 0xBC, 0x20, 183, 0x10]);
            clock[6..12].copy_from_slice(&bytes[6..12]);
            out.extend(clock);
        }
        let mut bytes = *bytes;
        if packet.pcr().is_some() {
            bytes[5] &= !0x10;
        }
        out.extend(bytes);
    }
    out
}

#[test]
fn clocks_elsewhere_or_nowhere() {
    if !tools() {
        return;
    }
    let film = h264("clock-1", "");
    let wide = h264("clock-2", "-muxdelay 3 -muxpreload 3 -bf 0");
    both_ways("clock-own", &own_clock(&film, true), &wide, Codec::Aac);
    both_ways("clock-none", &own_clock(&film, false), &wide, Codec::Aac);
}

#[test]
fn segments_with_counters_of_their_own() {
    if !tools() {
        return;
    }
    let film = h264("segments", "-bf 0");
    let mut whole = Splicer::new();
    whole.push(&film);
    let expected = judge(&drain(&mut whole));
    // Every PAT begins a segment; its counters restart anywhere.
    let mut segments = Vec::new();
    let mut shift = 0;
    for bytes in film.as_chunks::<PACKET_BYTES>().0 {
        let packet = Packet::new(bytes).unwrap();
        if packet.pid() == Pid::PAT {
            shift = (shift + 5) % 16;
        }
        let mut bytes = *bytes;
        if packet.unit_start() || shift > 0 {
            bytes[3] = (bytes[3] & 0xF0) | ((packet.continuity() + shift) & 15);
        }
        segments.extend(bytes);
    }
    let (pieces, _) = cut(&[(&segments, usize::MAX)]);
    let seen = judge(&pieces);
    assert!(
        seen.video().len() + 2 >= expected.video().len(),
        "{} {}",
        seen.video().len(),
        expected.video().len()
    );
}

#[test]
fn patience_ends() {
    if !tools() {
        return;
    }
    // One group for the whole of it, and its begin is missing: no random-access point ever comes.
    let film = record(
        "patience",
        "-f lavfi -i testsrc2=s=160x90:r=25:d=14 -c:v libx264 -preset ultrafast -g 9999 -pix_fmt yuv420p",
    );
    let half = film.len() / 10;
    let mut splicer = Splicer::new();
    // Tables first: what is tested is the wait for a picture.
    let tables: Vec<u8> = film.as_chunks::<PACKET_BYTES>().0[..3].as_flattened().to_vec();
    splicer.push(&tables);
    splicer.push(&film[half / PACKET_BYTES * PACKET_BYTES..]);
    let pieces = drain(&mut splicer);
    assert!(splicer.source().entered);
    let pictures = judge(&pieces).video().len();
    assert!(
        (25..25 * 4).contains(&pictures),
        "{pictures} pictures after ten seconds of patience"
    );
}

#[test]
fn a_programme_number_of_its_own_is_forgiven() {
    if !tools() {
        return;
    }
    let film = h264("number", "");
    let mut continuity = 0;
    let mut odd = Vec::new();
    for bytes in film.as_chunks::<PACKET_BYTES>().0 {
        let packet = Packet::new(bytes).unwrap();
        if packet.pid().value() == 0x1000 {
            SectionReader::default().push(&packet, |section| {
                let mut pmt = Pmt::parse(section).unwrap();
                pmt.program_number = 4_711;
                packetize(&pmt.write().unwrap(), packet.pid(), &mut continuity, &mut odd);
            });
        } else {
            odd.extend(bytes);
        }
    }
    let (pieces, _) = cut(&[(&odd, usize::MAX)]);
    assert!(judge(&pieces).video().len() > 100);
}
