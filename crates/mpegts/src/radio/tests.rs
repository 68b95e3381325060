use super::*;
use crate::silence::silent_frame;
use crate::splice::Splicer;
use crate::tests::Xorshift;

const HE_AAC: &[u8] = include_bytes!("../../../provider-double/clips/c.adts");
const RADIO: &[u8] = include_bytes!("../../../provider-double/clips/h.ts");

/// The frames of layer II out of clip H.
fn layer_2() -> Vec<u8> {
    let mut splicer = Splicer::new();
    splicer.push(RADIO);
    splicer.end_source();
    let mut unwrapper = Unwrapper::new();
    let mut raw = Vec::new();
    while let Some(piece) = splicer.take() {
        raw.extend(unwrapper.push(&piece.bytes));
    }
    assert_eq!(unwrapper.codec(), Some(Codec::MpegAudio));
    raw
}

/// Raw frames through the whole way: wrapped, spliced, unwrapped. Also says how long the programme is.
fn through(raw: &[u8], step: usize) -> (Vec<u8>, i64, Wrapper) {
    let (mut wrapper, mut splicer, mut unwrapper) = (
        Wrapper::new(MediaTime::default()),
        Splicer::new(),
        Unwrapper::new(),
    );
    let mut out = Vec::new();
    let mut times = Vec::new();
    let mut take = |splicer: &mut Splicer| {
        while let Some(piece) = splicer.take() {
            times.push(piece.media_time.as_90k());
            out.extend(unwrapper.push(&piece.bytes));
        }
    };
    for bytes in raw.chunks(step) {
        let packets = wrapper.push(bytes);
        assert!(packets.len().is_multiple_of(crate::PACKET_BYTES));
        splicer.push(&packets);
        take(&mut splicer);
    }
    splicer.end_source();
    take(&mut splicer);
    let span = times.last().unwrap_or(&0) - times.first().unwrap_or(&0);
    (out, span, wrapper)
}

fn frames(codec: Codec, mut es: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some(frame) = audio_frame(codec, es) {
        let (bytes, rest) = es.split_at(frame.bytes);
        frames.push(bytes);
        es = rest;
    }
    assert!(es.is_empty(), "{} bytes are no frame", es.len());
    frames
}

#[test]
fn what_goes_in_comes_out() {
    for (codec, raw) in [(Codec::Aac, HE_AAC.to_vec()), (Codec::MpegAudio, layer_2())] {
        let count = frames(codec, &raw).len();
        for step in [1, 7, 100, 1_460, 70_000] {
            let (out, span, wrapper) = through(&raw, step);
            assert!(
                out == raw,
                "{codec:?} by {step}: {} of {} bytes",
                out.len(),
                raw.len()
            );
            assert_eq!((wrapper.codec(), wrapper.bytes_skipped()), (Some(codec), 0));
            let frame = audio_frame(codec, &raw).unwrap();
            let whole = frame.ticks(u64::from(frame.samples) * count as u64);
            assert!(
                (0..=2 * PES_90K).contains(&(whole - span)),
                "{codec:?} by {step}: {span} of {whole}"
            );
        }
    }
}

#[test]
fn tags_and_rubbish_are_left_out() {
    let raw = layer_2();
    let all = frames(Codec::MpegAudio, &raw);
    let mut tag = b"ID3\x04\0\0\0\0\x07\x68".to_vec();
    tag.resize(10 + 1_000, 0xFF);
    let (head, tail) = all.split_at(100);
    // A frame cut at its beginning, a tag in the middle, rubbish with a lone header in it, and the end of a frame.
    let rubbish = [
        &b"some words"[..],
        &[0xFF, 0xFD, 0xA4, 0x40],
        &[0; 700],
        &all[5][200..],
    ]
    .concat();
    let input = [&all[3][77..], &head.concat(), &tag, &rubbish, &tail.concat()].concat();
    for step in [1, 333, 100_000] {
        let (out, _, wrapper) = through(&input, step);
        assert!(out == raw, "{} of {} bytes by {step}", out.len(), raw.len());
        assert_eq!(
            usize::try_from(wrapper.bytes_skipped()).unwrap(),
            all[3].len() - 77 + rubbish.len()
        );
    }
}

#[test]
fn another_rate_goes_on_in_time_and_another_codec_is_rubbish() {
    let frame = |codec, rate, layout| {
        silent_frame(codec, crate::es::SoundFormat { rate, layout })
            .unwrap()
            .bytes
    };
    let slow = frame(Codec::MpegAudio, 32_000, 0).repeat(100);
    let fast = frame(Codec::MpegAudio, 48_000, 0).repeat(100);
    let aac = frame(Codec::Aac, 48_000, 2).repeat(20);
    let (out, span, wrapper) = through(&[&slow[..], &fast, &aac, &fast].concat(), 500);
    assert!(out == [&slow[..], &fast, &fast].concat());
    assert_eq!(usize::try_from(wrapper.bytes_skipped()).unwrap(), aac.len());
    let expected = 100 * 1152 * 90 / 32 + 200 * 1152 * 90 / 48;
    assert!(
        (0..=2 * PES_90K).contains(&(expected - span)),
        "{span} of {expected}"
    );
}

#[test]
fn a_listener_begins_and_ends_with_a_whole_frame() {
    let raw = layer_2();
    let mut splicer = Splicer::new();
    splicer.push(RADIO);
    let mut pieces = Vec::new();
    while let Some(piece) = splicer.take() {
        pieces.push(piece);
    }
    for first in (0..pieces.len()).filter(|at| pieces[*at].keyframe) {
        let mut unwrapper = Unwrapper::new();
        let mut heard = Vec::new();
        for piece in &pieces[first..pieces.len() - 3] {
            heard.extend(unwrapper.push(&piece.bytes));
        }
        frames(Codec::MpegAudio, &heard);
        assert!(
            raw.windows(heard.len().max(1)).any(|part| part == heard),
            "from piece {first}"
        );
    }
}

#[test]
fn frames_cut_at_packets_are_put_together() {
    let raw = layer_2();
    let whole = frames(Codec::MpegAudio, &raw);
    let gather = |parts: &[&[u8]]| {
        let (mut cutter, mut out) = (SoundCutter::default(), Vec::new());
        for part in parts {
            let (part, stamp) = (Bytes::copy_from_slice(part), Some(MediaTime::default()));
            cutter.push(Codec::MpegAudio, part, stamp, |_, frame| {
                out.extend_from_slice(&frame);
            });
        }
        out
    };
    for step in [50, 287, 288, 289, 500, 5_000] {
        let parts: Vec<&[u8]> = raw.chunks(step).collect();
        assert!(gather(&parts) == raw, "{step}");
    }
    // Half a frame whose rest was lost does not swallow what follows.
    let aligned = [whole[1], whole[2], whole[3]].concat();
    let out = gather(&[whole[0], &whole[1][..100], &aligned]);
    assert!(out == [whole[0], &aligned].concat());
    // The begin of a stream in the middle of a frame.
    let out = gather(&[&[&whole[0][60..], &aligned].concat()]);
    assert!(out == aligned);
}

#[test]
fn rubbish_for_ever_stays_bounded_and_gives_nothing() {
    let mut random = Xorshift::new(3);
    let mut wrapper = Wrapper::new(MediaTime::default());
    for _ in 0..50 {
        let noise: Vec<u8> = (0..20_000)
            .map(|_| random.next().to_le_bytes()[0] & 0x7F)
            .collect();
        assert!(wrapper.push(&noise).is_empty());
        assert!(wrapper.carry.len() <= 8_192 + HEADER_BYTES);
    }
    assert_eq!(wrapper.codec(), None);
    assert!(wrapper.bytes_skipped() > 900_000);
}

#[test]
fn mangled_frames_give_whole_packets_and_whole_frames() {
    let sources = [HE_AAC.to_vec(), layer_2()];
    let mut random = Xorshift::new(4);
    for turn in 0..300 {
        let mut bytes = sources[turn % 2][..20_000].to_vec();
        for _ in 0..random.below(40) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = 0xFF,
                2 => drop(bytes.drain(at..(at + random.below(600)).min(bytes.len()))),
                _ => drop(bytes.splice(at..at, b"ID3\x03\0\0\0\0\0\x11".iter().copied())),
            }
        }
        let (out, _, wrapper) = through(&bytes, 1 + random.below(3_000));
        if let Some(codec) = wrapper.codec() {
            frames(codec, &out);
        }
        assert!(out.len() <= bytes.len());
    }
}

#[test]
fn the_same_jingle_on_another_connection_is_not_a_replay() {
    let raw = layer_2();
    let mut splicer = Splicer::new();
    let mut ends = Vec::new();
    for minutes in [0, 7] {
        let mut wrapper = Wrapper::new(MediaTime::from_90k(minutes * 60 * TICKS_90K));
        splicer.begin_source();
        for bytes in raw[..30_000].chunks(1_000) {
            splicer.push(&wrapper.push(bytes));
        }
        assert!(splicer.source().entered && !splicer.source().rejoined);
        while let Some(piece) = splicer.take() {
            ends.push(piece.media_time.as_90k());
        }
    }
    let sent = 2 * 30_000 / 288 * 2_160;
    assert!((ends.last().unwrap() - ends[0] - sent).abs() <= 2 * PES_90K + 2 * 2_160);
}
