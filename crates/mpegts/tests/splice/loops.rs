//! The built-in clips, looped and mixed, leave no seam.

use crate::fixtures::{decodes_clean, drain, judge, judge_sound, probe, tools};
use mpegts::{Codec, Piece, Splicer};

const TESTCARD: &[u8] = include_bytes!("../../../../assets/testcard.ts");
const SLATE: &[u8] = include_bytes!("../../../../fuzz/good.ts");

fn play(clips: &[&[u8]]) -> Vec<Piece> {
    let mut splicer = Splicer::new();
    let mut pieces = Vec::new();
    for clip in clips {
        splicer.begin_source();
        for bytes in clip.chunks(4_096) {
            splicer.push(bytes);
            pieces.extend(drain(&mut splicer));
        }
        splicer.end_source();
        pieces.extend(drain(&mut splicer));
    }
    assert_eq!(splicer.signature().map(|signature| signature.epoch), Some(0));
    pieces
}

#[test]
fn looped_and_mixed_clips_leave_no_seam() {
    let check = |name: &str, clips: &[&[u8]], pictures: usize, frames: usize| {
        let pieces = play(clips);
        let seen = judge(&pieces);
        assert_eq!(seen.video().len(), pictures, "{name}");
        let steps: Vec<i64> = seen
            .video()
            .windows(2)
            .map(|pair| pair[1].dts - pair[0].dts)
            .collect();
        assert!(
            steps.iter().all(|step| *step == 3_600),
            "{name}: a picture is missing"
        );
        let mut shown: Vec<i64> = seen.video().iter().map(|unit| unit.pts).collect();
        shown.sort_unstable();
        assert!(
            shown.windows(2).all(|pair| pair[1] - pair[0] == 3_600),
            "{name}: a hole in what is shown"
        );
        assert!(
            judge_sound(seen.audio(), Codec::Aac) <= 1,
            "{name}: a hole in the sound"
        );
        assert_eq!(
            pieces.iter().filter(|piece| piece.discontinuity).count(),
            clips.len() - 1
        );

        if !tools() {
            return;
        }
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
        assert_eq!(decodes_clean(name, &bytes), pictures);
        let packets = probe(name, &bytes);
        for (kind, step, count) in [("video", 3_600, pictures), ("audio", 1_920, frames)] {
            let dts: Vec<i64> = packets
                .iter()
                .filter(|packet| packet.0 == kind)
                .map(|packet| packet.2)
                .collect();
            assert_eq!(dts.len(), count, "{name}: {kind}");
            assert!(
                dts.windows(2).all(|pair| (pair[1] - pair[0] - step).abs() <= 1),
                "{name}: {kind}"
            );
        }
    };
    check("card", &[TESTCARD; 4], 4 * 312, 4 * 585);
    check("slate", &[SLATE; 5], 5 * 96, 5 * 180);
    check(
        "mixed",
        &[TESTCARD, SLATE, SLATE, TESTCARD, SLATE],
        2 * 312 + 3 * 96,
        2 * 585 + 3 * 180,
    );
}

#[test]
fn division_of_the_bytes_changes_nothing() {
    let whole = |step: usize| {
        let mut splicer = Splicer::new();
        SLATE.chunks(step).for_each(|bytes| splicer.push(bytes));
        splicer.end_source();
        drain(&mut splicer)
    };
    let expected = whole(usize::MAX);
    for step in [1, 100, 188, 1_316, 65_537] {
        assert_eq!(whole(step), expected, "{step}");
    }
}

#[test]
fn clip_pieces_are_fine_enough_to_pace() {
    let pieces = play(&[TESTCARD]);
    assert_eq!(pieces.iter().filter(|piece| piece.keyframe).count(), 13);
    for pair in pieces.windows(2) {
        assert!(pair[1].media_time.since(pair[0].media_time).as_millis() <= 160);
    }
}

#[test]
fn tables_fit_in_front_of_what_comes_next() {
    let mut splicer = Splicer::new();
    assert_eq!(splicer.tables(), None);
    let (head, tail) = TESTCARD.split_at(TESTCARD.len() / 2);
    splicer.push(head);
    drain(&mut splicer);
    let mut joined = splicer.tables().unwrap();
    splicer.push(tail);
    let later: Vec<u8> = drain(&mut splicer)
        .into_iter()
        .flat_map(|piece| piece.bytes)
        .collect();
    joined.extend(later);
    assert!(crate::fixtures::judge_bytes(&joined).pmt.is_some());
}

#[test]
fn a_viewer_may_start_at_any_keyframe() {
    let pieces = play(&[SLATE, TESTCARD]);
    for (number, _) in pieces.iter().enumerate().filter(|(_, piece)| piece.keyframe) {
        let rest = &pieces[number..];
        let pictures = judge(rest).video().len();
        if number % 5 == 0 && tools() {
            let bytes: Vec<u8> = rest.iter().flat_map(|piece| piece.bytes.clone()).collect();
            assert_eq!(decodes_clean("start", &bytes), pictures, "from piece {number}");
        }
    }
}
