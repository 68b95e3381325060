use super::*;
use crate::tests::Xorshift;

/// A packet whose second byte tells it from others.
fn packet(mark: u8) -> Vec<u8> {
    let mut packet = vec![mark; PACKET_BYTES];
    packet[0] = SYNC_BYTE;
    packet
}

fn datagram(source: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, 33];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(source.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The marks of the packets that come out where these numbers come in.
fn order(sequences: &[u16]) -> (Vec<u8>, Counts) {
    let mut receiver = Receiver::default();
    let mut out = Vec::new();
    for sequence in sequences {
        let mark = u8::try_from(sequence & 0xFF).unwrap();
        let came = receiver.push((), &datagram(7, *sequence, &packet(mark)), &mut out);
        assert_eq!(came, Came::Bytes);
    }
    let marks = out.chunks(PACKET_BYTES).map(|packet| packet[1]).collect();
    (marks, receiver.counts())
}

#[test]
fn a_payload_is_what_stands_between_header_and_padding() {
    let payload = packet(1);
    let plain = datagram(0x0102_0304, 0xFFFE, &payload);
    let of = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = plain.clone();
        change(&mut bytes);
        Packet::parse(&bytes).map(|packet| packet.payload.to_vec())
    };
    let parsed = Packet::parse(&plain).unwrap();
    assert_eq!(
        (parsed.payload_type, parsed.sequence, parsed.source),
        (33, 0xFFFE, 0x0102_0304)
    );
    let insert = |bytes: &mut Vec<u8>, what: &[u8]| drop(bytes.splice(12..12, what.iter().copied()));
    type Change<'c> = &'c dyn Fn(&mut Vec<u8>);
    let cases: [(&str, Change<'_>, bool); 12] = [
        ("plain", &|_| {}, true),
        ("marker", &|bytes| bytes[1] |= 0x80, true),
        (
            "contributors",
            &|bytes| {
                bytes[0] |= 2;
                insert(bytes, &[9; 8]);
            },
            true,
        ),
        (
            "extension",
            &|bytes| {
                bytes[0] |= 0x10;
                insert(bytes, &[1, 2, 0, 1, 9, 9, 9, 9]);
            },
            true,
        ),
        (
            "empty extension",
            &|bytes| {
                bytes[0] |= 0x10;
                insert(bytes, &[1, 2, 0, 0]);
            },
            true,
        ),
        (
            "padding",
            &|bytes| {
                bytes[0] |= 0x20;
                bytes.extend([0, 0, 3]);
            },
            true,
        ),
        (
            "padding of nought",
            &|bytes| {
                bytes[0] |= 0x20;
                bytes.push(0);
            },
            false,
        ),
        (
            "padding beyond",
            &|bytes| {
                bytes[0] |= 0x20;
                bytes.push(255);
            },
            false,
        ),
        (
            "extension beyond",
            &|bytes| {
                bytes[0] |= 0x10;
                insert(bytes, &[1, 2, 255, 255]);
            },
            false,
        ),
        ("version", &|bytes| bytes[0] = 0x40, false),
        ("a report", &|bytes| bytes[1] = 200, false),
        ("too short", &|bytes| bytes.truncate(11), false),
    ];
    for (name, change, is_read) in cases {
        assert_eq!(of(change), is_read.then(|| payload.clone()), "{name}");
    }
}

#[test]
fn datagrams_go_on_in_their_order() {
    for (came, expected, lost, late) in [
        (&[1, 2, 3][..], &[1, 2, 3][..], 0, 0),
        (&[1, 3, 2, 4], &[1, 2, 3, 4], 0, 0),
        (&[1, 4, 3, 2, 6, 5], &[1, 2, 3, 4, 5, 6], 0, 0),
        (&[1, 2, 2, 1, 3, 5, 5, 4], &[1, 2, 3, 4, 5], 0, 3),
        (&[0xFFFE, 0, 0xFFFF, 1], &[0xFE, 0xFF, 0, 1], 0, 0),
        // One who comes before the first is too late.
        (&[2, 1, 3], &[2, 3], 0, 1),
    ] {
        let counts = Counts {
            lost,
            late,
            foreign: 0,
        };
        assert_eq!(order(came), (expected.to_vec(), counts), "{came:?}");
    }
}

#[test]
fn what_does_not_come_is_waited_for_so_long_and_no_longer() {
    let hole = 10;
    let waiting: Vec<u16> = (1..hole).chain(hole + 1..hole + REORDERED_MAX).collect();
    assert_eq!(order(&waiting).0, (1..10).collect::<Vec<u8>>());
    let came: Vec<_> = waiting
        .iter()
        .copied()
        .chain([hole + REORDERED_MAX, hole])
        .collect();
    let (marks, counts) = order(&came);
    assert_eq!(marks, (1..10).chain(11..27).collect::<Vec<u8>>());
    assert_eq!((counts.lost, counts.late), (1, 1));
    // A long loss is over with the first that comes behind it.
    let (marks, counts) = order(&[1, 2, 4, 500, 501]);
    assert_eq!(marks, [1, 2, 4, 0xF4, 0xF5]);
    assert_eq!(counts.lost, 1 + 495);
}

#[test]
fn a_count_that_begins_anew_is_followed_at_the_second_of_it() {
    let (marks, counts) = order(&[20_000, 20_001, 20_003, 5, 6, 7, 20_002]);
    assert_eq!(marks, [0x20, 0x21, 0x23, 6, 7]);
    assert_eq!(counts.late, 0);
    assert_eq!(order(&[20_000, 5, 20_001, 9_000, 20_002]).0, [0x20, 0x21, 0x22]);
}

#[test]
fn the_first_sender_is_heard_until_he_is_gone() {
    let mut receiver = Receiver::default();
    let mut out = Vec::new();
    let mut push = |from: u8, source: u32, sequence: u16, mark: u8| {
        out.clear();
        let came = receiver.push(from, &datagram(source, sequence, &packet(mark)), &mut out);
        (came, out.get(1).copied())
    };
    assert_eq!(push(1, 7, 1, 1), (Came::Bytes, Some(1)));
    for sequence in 0..200 {
        // Another address, and another source at the same one.
        assert_eq!(push(2, 7, sequence, 2), (Came::Bytes, None));
        assert_eq!(push(1, 8, sequence, 3), (Came::Bytes, None));
        assert_eq!(push(1, 7, sequence + 2, 1), (Came::Bytes, Some(1)));
    }
    for sequence in 0..64 {
        assert_eq!(push(2, 9, sequence, 4), (Came::Bytes, None));
    }
    assert_eq!(push(2, 9, 64, 4), (Came::OtherSender, Some(4)));
    assert_eq!(push(2, 9, 65, 4), (Came::Bytes, Some(4)));
    assert_eq!(push(1, 7, 300, 1), (Came::Bytes, None));
    assert_eq!(receiver.counts().foreign, 400 + 64 + 1);
}

#[test]
fn bare_packets_are_known_whatever_the_address_calls_them() {
    let mut receiver = Receiver::default();
    let mut out = Vec::new();
    let stream: Vec<u8> = (0..40).flat_map(packet).collect();
    // Cut in the middle of a packet; what comes next looks like RTP.
    for part in [&stream[100..1_000], &stream[1_000..1_064], &[0x80; 40]] {
        assert_eq!(receiver.push((), part, &mut out), Came::Bytes);
    }
    assert_eq!(out, [&stream[100..1_064], &[0x80; 40]].concat());
    assert_eq!(receiver.counts(), Counts::default());
}

#[test]
fn what_is_no_transport_stream_is_left_out_and_told() {
    let mut receiver = Receiver::default();
    let mut out = Vec::new();
    let mut pictures = datagram(7, 1, &[0x67; 900]);
    pictures[1] = 96;
    let mut report = datagram(7, 1, &[0; 16]);
    report[1] = 200;
    for foreign in [&pictures[..], &report, b"", b"hello", &[0x47 ^ 1; 1_316]] {
        assert_eq!(receiver.push((), foreign, &mut out), Came::Bytes);
    }
    assert!(out.is_empty());
    assert_eq!(receiver.other_payload(), Some(96));
    assert_eq!(receiver.counts().foreign, 5);
    // A dynamic number says nothing against it (RFC 3551 clause 6).
    let mut named = datagram(7, 2, &packet(1));
    named[1] = 97;
    assert_eq!(receiver.push((), &named, &mut out), Came::Bytes);
    assert_eq!(out, packet(1));
}

/// Whatever comes in whatever order: each datagram that is kept comes out once, in order, and little is held.
#[test]
fn numbers_in_any_order_come_out_once_and_rising() {
    for seed in 1..200 {
        let mut chance = Xorshift::new(seed);
        let mut numbers: Vec<u16> = (0..250).collect();
        for at in 0..numbers.len() {
            if chance.below(4) == 0 {
                let to = (at + chance.below(20)).min(numbers.len() - 1);
                numbers.swap(at, to);
            }
        }
        numbers.retain(|_| chance.below(20) != 0);
        let (marks, counts) = order(&numbers);
        assert!(marks.is_sorted_by(|one, next| one < next), "{seed}: {marks:?}");
        let held = numbers.len() - marks.len() - usize::try_from(counts.late).unwrap();
        assert!(held < usize::from(REORDERED_MAX), "{seed}: {held}");
    }
}
