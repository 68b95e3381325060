//! What a source had not sent of its sounds when it broke off, and how long silence stands in for it.

use crate::fixtures::{Unit, drain, judge, judge_sound};
use crate::made::{Clock, Shape, source};
use mpegts::pes::PesHeader;
use mpegts::{Codec, PACKET_BYTES, Packet, Piece, Splicer};

const SECOND: usize = 90_000;

/// A source whose sound comes 0.2 s behind its pictures, on PID 0x102.
fn made(number: u8, seconds: u64) -> Vec<u8> {
    with_margin(63_000, number, seconds)
}

/// The same with a clock that runs so far behind the decoding times.
fn with_margin(margin: u64, number: u8, seconds: u64) -> Vec<u8> {
    let shape = Shape {
        number,
        video: Codec::H264,
        audio: Codec::Aac,
        clock: Clock::WithPictures,
        margin,
        start: 900_000,
        picture_90k: 3_600,
        group: 12,
        delay: 0,
        first_pid: 0x100,
    };
    source(shape, seconds)
}

/// The same without a packet of its sound from `packet` on.
fn mute(source: &[u8], packet: usize) -> Vec<u8> {
    let packets = source.as_chunks::<PACKET_BYTES>().0.iter().enumerate();
    let is_sound = |bytes| Packet::new(bytes).unwrap().pid().value() == 0x102;
    let kept = packets.filter(|(at, bytes)| *at < packet || !is_sound(*bytes));
    kept.flat_map(|(_, bytes)| bytes.iter().copied()).collect()
}

fn play(sources: &[&[u8]]) -> Vec<Piece> {
    let mut splicer = Splicer::new();
    let mut pieces = Vec::new();
    for bytes in sources {
        splicer.begin_source();
        splicer.push(bytes);
        pieces.extend(drain(&mut splicer));
    }
    pieces
}

/// What sources send is marked.
fn is_marked(es: &[u8]) -> bool {
    es.windows(2).any(|pair| pair == [0xA5, 0xC3])
}

/// Ticks of the sound that no source sent.
fn silence(sound: &[Unit]) -> usize {
    sound.iter().filter(|unit| !is_marked(&unit.es)).count() * 1_920
}

/// How far ahead of the clock each frame of silence is sent.
fn leads(pieces: &[Piece]) -> Vec<i64> {
    let mut clock = 0;
    let mut leads = Vec::new();
    let packets = pieces
        .iter()
        .flat_map(|piece| piece.bytes.as_chunks::<PACKET_BYTES>().0);
    for packet in packets.filter_map(Packet::new) {
        clock = packet.pcr().map_or(clock, |pcr| pcr.base().ticks().cast_signed());
        let payload = packet
            .payload()
            .filter(|_| packet.unit_start())
            .unwrap_or_default();
        if let Some(header) = PesHeader::parse(payload)
            && header.stream_id == 0xC0
            && !is_marked(payload)
        {
            leads.push(header.pts.unwrap().ticks().cast_signed() - clock);
        }
    }
    leads
}

#[test]
fn silence_stands_before_the_stretch_that_it_leads_to() {
    let (one, two) = (made(1, 4), made(2, 4));
    let pieces = play(&[&one, &two, &one]);
    let seen = judge(&pieces);
    assert!(judge_sound(seen.audio(), Codec::Aac) < 1_920);
    let silent = silence(seen.audio());
    assert!(
        (SECOND / 3..SECOND).contains(&silent),
        "{silent} ticks for two breaks"
    );
    let begins: Vec<_> = pieces.iter().filter(|piece| piece.discontinuity).collect();
    assert_eq!(begins.len(), 2);
    assert!(begins.iter().all(|piece| piece.keyframe));
}

#[test]
fn a_sound_that_stays_away_is_silence_for_a_second_and_no_longer() {
    let one = made(1, 3);
    let mute: Vec<_> = (2..14).map(|number| mute(&made(number, 1), 0)).collect();
    let sources: Vec<&[u8]> = [&one].into_iter().chain(&mute).map(Vec::as_slice).collect();
    let seen = judge(&play(&sources));
    let (pictures, silent) = (seen.video().len(), silence(seen.audio()));
    assert!(pictures > 14 * 20, "{pictures}");
    assert!((1..=SECOND).contains(&silent), "{silent} ticks");
}

#[test]
fn a_sound_that_was_away_for_long_before_is_not_made_up_for() {
    let whole = made(1, 5);
    let packets = whole.len() / PACKET_BYTES;
    let one = mute(&whole, packets / 2);
    let seen = judge(&play(&[&one, &made(2, 4)]));
    assert_eq!(silence(seen.audio()), 0);
    assert!(judge_sound(seen.audio(), Codec::Aac) > 90_000);
}

#[test]
fn silence_is_sent_no_sooner_than_decoders_may_have_it() {
    // Of such a clock pictures are more than a second ahead; silence up to the next ones need not be.
    let one = with_margin(90_000, 1, 4);
    let pieces = play(&[&one, &with_margin(90_000, 2, 4)]);
    let leads = leads(&pieces);
    assert!(
        leads.len() > 5 && leads.iter().all(|lead| *lead <= 90_000),
        "{leads:?}"
    );
    assert!(judge_sound(judge(&pieces).audio(), Codec::Aac) < 1_920);
}

#[test]
fn silence_is_never_late_for_the_clock_wherever_the_sound_ended() {
    let (whole, next) = (with_margin(20_000, 1, 4), made(2, 2));
    let packets = whole.len() / PACKET_BYTES;
    let mut filled = 0;
    for end in packets - 40..packets {
        for from in packets / 2..end {
            let pieces = play(&[&mute(&whole[..end * PACKET_BYTES], from), &next]);
            judge(&pieces);
            filled += usize::from(!leads(&pieces).is_empty());
        }
    }
    assert!(filled > packets, "{filled}");
}
