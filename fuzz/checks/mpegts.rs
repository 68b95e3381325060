//! What the targets of `mpegts` check of any input. The ordinary tests run the same checks over the corpus.

#[path = "rules.rs"]
mod rules;

use mpegts::es::{self, DecoderReset, ParameterSets};
use mpegts::pes::{PesHeader, rewrite_length, rewrite_stamps};
use mpegts::psi::{Pat, Pmt, SectionReader, crc32, descriptors};
use mpegts::{Aligner, Codec, PACKET_BYTES, Packet, Pts90k, SYNC_BYTE, Splicer};
use rules::Rules;

/// A good source that goes before and after the hostile one, so that there is a timeline to break.
const GOOD: &[u8] = include_bytes!("../good.ts");

/// Packets of the good source in front of the hostile one: its tables, without which nothing gets anywhere.
const TABLES: usize = 20 * PACKET_BYTES;

/// Any bytes in any division: packets begin with a sync byte, and no byte is used twice. The first two bytes are the
/// division.
pub(crate) fn align(input: &[u8]) {
    let Some((step, bytes)) = input.split_first_chunk::<2>() else {
        return;
    };
    let mut aligner = Aligner::new();
    let mut packets = 0_u64;
    for part in bytes.chunks(usize::from(u16::from_le_bytes(*step)).max(1)) {
        aligner.push(part, |packet| {
            assert_eq!(packet[0], SYNC_BYTE);
            packets += 1;
        });
    }
    assert!(packets * PACKET_BYTES as u64 + aligner.bytes_skipped() <= bytes.len() as u64);
}

/// Any packets: sections are bounded, and what reads as a table reads the same after it was written.
pub(crate) fn psi(bytes: &[u8]) {
    let mut reader = SectionReader::default();
    for packet in bytes.as_chunks::<PACKET_BYTES>().0.iter().filter_map(Packet::new) {
        reader.push(&packet, |section| {
            assert!(section.len() <= 3 + 4095);
            table(section);
        });
    }
    // Chance does not find a CRC.
    if let Some((body, _)) = bytes.split_last_chunk::<4>() {
        table(&[body, &crc32(body).to_be_bytes()].concat());
    }
}

fn table(section: &[u8]) {
    if let Ok(pat) = Pat::parse(section) {
        assert!(pat.write().is_err() || Pat::parse(&pat.write().unwrap()) == Ok(pat));
    }
    if let Ok(pmt) = Pmt::parse(section) {
        for stream in &pmt.streams {
            descriptors(&stream.descriptors).for_each(drop);
        }
        assert!(pmt.write().is_err() || Pmt::parse(&pmt.write().unwrap()) == Ok(pmt));
    }
}

/// Any PES packet of any codec, which the first byte chooses: stamps that are written are read again, frames of sound
/// have a length, and parameter sets stay bounded.
pub(crate) fn pes(input: &[u8]) {
    const CODECS: [Codec; 8] = [
        Codec::H264,
        Codec::Hevc,
        Codec::Mpeg2Video,
        Codec::Aac,
        Codec::MpegAudio,
        Codec::Ac3,
        Codec::Eac3,
        Codec::Teletext,
    ];
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let codec = CODECS[usize::from(*first) % CODECS.len()];
    let mut changed = bytes.to_vec();
    let (pts, dts) = (Pts90k::new(0x1_2345_6789), Pts90k::new(0x1_2345_0000));
    rewrite_stamps(&mut changed, pts, dts);
    let before = PesHeader::parse(bytes);
    if let Some(header) = before {
        assert!(header.payload_at <= bytes.len());
        let after = PesHeader::parse(&changed).expect("it stays a PES packet");
        assert_eq!(after.pts, header.pts.map(|_| pts));
        assert_eq!(after.dts, header.dts.map(|_| dts));
        assert_eq!(bytes[header.payload_at..], changed[header.payload_at..]);
        rewrite_length(&mut changed);
        assert_eq!(changed.len(), bytes.len());
    }
    let mut rest = &bytes[before.map_or(0, |header| header.payload_at)..];
    let mut sets = ParameterSets::new();
    for _ in 0..2 {
        let access = es::inspect(codec, rest, &mut sets);
        assert!(access.intra || !access.random_access);
        assert!(sets.bytes().len() <= 16 * 1024);
        assert!(
            sets.picture()
                .is_none_or(|size| size.width > 0 && size.height > 0)
        );
    }
    reset(codec, bytes, sets.bytes());
    while let Some(frame) = es::audio_frame(codec, rest) {
        assert!(frame.bytes > 0 && frame.rate > 0);
        rest = rest.get(frame.bytes..).unwrap_or_default();
    }
}

/// Any picture that a source enters at: its packet keeps its header, it grows by a little only, and where it became an
/// IDR picture it stays one.
fn reset(codec: Codec, bytes: &[u8], sets: &[u8]) {
    const GROWTH_BYTES: usize = 256 * 1024;
    let Some(header) = PesHeader::parse(bytes) else {
        return;
    };
    let mut entry = bytes.to_vec();
    let Some(mut reset) = DecoderReset::enter(codec, &mut entry, header.payload_at, sets, 0) else {
        return;
    };
    assert!(entry.len() <= bytes.len() + GROWTH_BYTES);
    assert_eq!(entry[..header.payload_at], bytes[..header.payload_at]);
    let mut again = entry.clone();
    assert!(DecoderReset::enter(codec, &mut again, header.payload_at, sets, 0).is_none());
    assert_eq!(again, entry);
    let mut next = bytes.to_vec();
    let _more = reset.follow(&mut next, header.payload_at, false);
    assert!(next.len() <= bytes.len() + GROWTH_BYTES);
}

/// Any source between two good ones: what leaves keeps the [`Rules`]. The bits of the first byte say whether sources
/// end, whether the hostile one brings its own tables, how often pieces are taken, and whether its packets are mended;
/// the next two bytes say how its bytes are divided.
pub(crate) fn splice(input: &[u8]) {
    let Some(([flags, low, high], bytes)) = input.split_first_chunk::<3>() else {
        return;
    };
    let step = usize::from(u16::from_le_bytes([*low, *high])).max(64);
    let mut splicer = Splicer::new();
    let mut rules = Rules::default();
    let tables = if flags & 2 == 0 { &GOOD[..TABLES] } else { &[] };
    let mut hostile = [tables, bytes].concat();
    if flags & 8 != 0 {
        mend(&mut hostile);
    }
    for source in [GOOD, &hostile, GOOD] {
        splicer.begin_source();
        for part in source.chunks(step) {
            splicer.push(part);
            while flags & 4 != 0
                && let Some(piece) = splicer.take()
            {
                rules.piece(&piece);
            }
        }
        if flags & 1 != 0 {
            splicer.end_source();
        }
        while let Some(piece) = splicer.take() {
            rules.piece(&piece);
        }
    }
}

/// What chance does not find: sync bytes, counters that go on, and the CRC of tables. What is left to be hostile is the
/// contents.
fn mend(bytes: &mut [u8]) {
    let mut counters = [0; 8192];
    for packet in bytes.as_chunks_mut::<PACKET_BYTES>().0 {
        packet[0] = SYNC_BYTE;
        let pid = usize::from(u16::from_be_bytes([packet[1] & 0x1F, packet[2]]));
        let step = (packet[3] >> 4) & 1;
        counters[pid] = (counters[pid] + step) & 15;
        packet[3] = (packet[3] & 0xF0) | counters[pid];
        // A table in one packet, as those of the corpus are: the first of its section, behind a pointer_field of nought.
        let whole = 8 + usize::from(u16::from_be_bytes([packet[6] & 0x0F, packet[7]]));
        let table = matches!(packet[5], 0 | 2) && packet[1] & 0x40 != 0 && packet[3] & 0x30 == 0x10;
        if table && packet[4] == 0 && packet[6] & 0x80 != 0 && (12..=PACKET_BYTES).contains(&whole) {
            let crc = crc32(&packet[5..whole - 4]).to_be_bytes();
            packet[whole - 4..whole].copy_from_slice(&crc);
        }
    }
}
