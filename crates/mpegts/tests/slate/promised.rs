//! The slate between sources: the same programme map, no fault at the seams, every promised sound all along.

use crate::fixtures::{
    PICTURE, SOUND, Seen, decodes_clean, drain, h264, judge, judge_sound, record, scratch, tools,
};
use crate::silence::{frames, tone};
use mpegts::es::{Kind, SoundFormat, audio_frame};
use mpegts::radio::{Unwrapper, Wrapper};
use mpegts::slate::{Message, Slate, SlateClip, SlateClipError, default_signature};
use mpegts::{Codec, MediaTime, Pid, Piece, Signature, SignatureStream, Splicer};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const STEREO: SoundFormat = SoundFormat {
    rate: 48_000,
    layout: 2,
};

/// The built-in clip.
fn clip(codec: Codec, message: Message) -> Option<Arc<SlateClip>> {
    macro_rules! of {
        ($suffix:literal) => {
            match message {
                Message::Offline => {
                    include_bytes!(concat!("../../../../assets/slate/offline.", $suffix)).as_slice()
                }
                Message::Limit => include_bytes!(concat!("../../../../assets/slate/limit.", $suffix)),
                Message::Expired => include_bytes!(concat!("../../../../assets/slate/expired.", $suffix)),
            }
        };
    }
    let bytes = match codec {
        Codec::H264 => of!("h264.ts"),
        Codec::Hevc => of!("hevc.ts"),
        Codec::Mpeg2Video => of!("mpeg2.ts"),
        _ => return None,
    };
    Some(Arc::new(SlateClip::parse(bytes).unwrap()))
}

/// A channel in the making.
struct Channel {
    splicer: Splicer,
    pieces: Vec<Piece>,
    /// What its sounds are coded as, in order.
    formats: Vec<SoundFormat>,
}

impl Channel {
    fn new(formats: &[SoundFormat]) -> Self {
        Self {
            splicer: Splicer::new(),
            pieces: Vec::new(),
            formats: formats.to_vec(),
        }
    }

    /// The first `percent` of a source that then breaks off.
    fn source(&mut self, recording: &[u8], percent: usize) {
        self.splicer.begin_source();
        let (head, _) = recording.split_at(recording.len() * percent / 100);
        for bytes in head.chunks(4_096) {
            self.splicer.push(bytes);
            self.pieces.extend(drain(&mut self.splicer));
        }
    }

    fn signature(&self) -> Signature {
        let mut signature = self.splicer.signature().unwrap().clone();
        let sounds = signature
            .streams
            .iter_mut()
            .filter(|stream| stream.codec.is_audio());
        for (stream, format) in sounds.zip(&self.formats) {
            assert!(stream.sound.is_none_or(|seen| seen == *format));
            stream.sound = Some(*format);
        }
        signature
    }

    fn slate(&mut self, signature: &Signature, seconds: u64) {
        let clip = signature.video().and_then(|codec| clip(codec, Message::Offline));
        let mut slate = Slate::new(signature, clip).unwrap();
        self.splicer.begin_source();
        while slate.shown().as_secs() < seconds {
            self.splicer.push(slate.step());
            self.pieces.extend(drain(&mut self.splicer));
        }
        self.splicer.end_source();
        self.pieces.extend(drain(&mut self.splicer));
    }
}

/// The greatest hole in the sound of each promised stream.
fn holes(seen: &Seen) -> Vec<i64> {
    let streams = &seen.pmt.as_ref().unwrap().streams;
    let sounds = streams.iter().filter_map(|stream| {
        let codec = Codec::of(stream.stream_type, &stream.descriptors)?;
        (codec.kind() == Kind::Audio).then_some((stream.pid, codec))
    });
    sounds
        .map(|(pid, codec)| judge_sound(&seen.units[&pid.value()], codec))
        .collect()
}

/// Source, slate, source, slate, source: the form is that of the first source all along. So much of its sound a source
/// may not have sent when it broke off, in 90 kHz ticks: `unsent`.
fn between(name: &str, one: &[u8], two: &[u8], formats: &[SoundFormat], unsent: i64) {
    let mut channel = Channel::new(formats);
    channel.source(one, 70);
    let promised = channel.signature();
    channel.slate(&promised, 5);
    channel.source(two, 60);
    channel.slate(&promised, 2);
    channel.source(one, 100);
    let now = channel.signature();
    assert_eq!(now, promised, "{name}: the promise is another");
    assert_eq!(
        channel.pieces.iter().filter(|piece| piece.discontinuity).count(),
        4,
        "{name}"
    );

    let seen = judge(&channel.pieces);
    let listed = seen.pmt.as_ref().unwrap();
    assert_eq!(listed.streams.len(), promised.streams.len(), "{name}");
    assert_eq!(listed.version, promised.pmt_version, "{name}");
    // What a source had not sent of its sound when it broke off is missing, and a frame at each seam.
    let holes = holes(&seen);
    assert_eq!(holes.len(), formats.len());
    for hole in holes {
        assert!(hole <= unsent, "{name}: {} ms without sound", hole / 90);
    }
    let bytes: Vec<u8> = channel
        .pieces
        .iter()
        .flat_map(|piece| piece.bytes.clone())
        .collect();
    let pictures = decodes_clean(name, &bytes);
    if promised.video().is_some() {
        // ffmpeg's decoder of MPEG-2 forgets the last picture when the next one is of another size.
        let forgotten = if promised.video() == Some(Codec::Mpeg2Video) {
            4
        } else {
            0
        };
        assert_eq!(pictures + forgotten, seen.video().len(), "{name}");
        let mut shown: Vec<i64> = seen.video().iter().map(|unit| unit.pts).collect();
        shown.sort_unstable();
        let longest = shown.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        // Two reordered pictures may be missing where a source broke off.
        assert!(
            longest <= 4 * 3_600,
            "{name}: the picture stands still for {} ms",
            longest / 90
        );
    }
}

#[test]
fn h264_and_aac() {
    if !tools() {
        return;
    }
    let one = h264("slate-h264-a", "");
    let two = h264("slate-h264-b", "-ar 48000 -output_ts_offset 5000");
    between("h264", &one, &two, &[STEREO], 27_000);
}

#[test]
fn h264_and_he_aac() {
    if !tools() {
        return;
    }
    let one = include_bytes!("../../../provider-double/clips/c.ts");
    let core = SoundFormat {
        rate: 24_000,
        layout: 2,
    };
    between("he-aac", one, one, &[core], 63_000);
}

#[test]
fn hevc_and_eac3_of_six_channels() {
    if !tools() {
        return;
    }
    let make = |name: &str, offset: u32| {
        let x265 = "log-level=error:keyint=25:min-keyint=25:scenecut=0:open-gop=0:pools=1:frame-threads=1";
        record(
            name,
            &format!(
                "{PICTURE} {SOUND} -c:v libx265 -preset ultrafast -x265-params {x265} -pix_fmt yuv420p \
                 -c:a eac3 -ac 6 -output_ts_offset {offset}"
            ),
        )
    };
    let format = SoundFormat {
        rate: 48_000,
        layout: 15,
    };
    between(
        "hevc",
        &make("slate-hevc-a", 10),
        &make("slate-hevc-b", 3_000),
        &[format],
        27_000,
    );
}

#[test]
fn mpeg2_and_ac3() {
    if !tools() {
        return;
    }
    let make = |name: &str, offset: u32| {
        record(
            name,
            &format!(
                "{PICTURE} {SOUND} -c:v mpeg2video -g 12 -bf 2 -c:a ac3 -ac 2 -output_ts_offset {offset}"
            ),
        )
    };
    let format = SoundFormat {
        rate: 48_000,
        layout: 4,
    };
    between(
        "mpeg2",
        &make("slate-mpeg2-a", 10),
        &make("slate-mpeg2-b", 7_000),
        &[format],
        27_000,
    );
}

#[test]
fn radio() {
    if !tools() {
        return;
    }
    let make = |name: &str, offset: u32| {
        record(
            name,
            &format!("{SOUND} -c:a mp2 -ac 2 -output_ts_offset {offset}"),
        )
    };
    let format = SoundFormat {
        rate: 48_000,
        layout: 0,
    };
    between(
        "radio",
        &make("slate-radio-a", 10),
        &make("slate-radio-b", 900),
        &[format],
        27_000,
    );
}

/// Raw frames to a listener: source, silence, source, every frame whole and of one kind.
#[test]
fn raw_radio() {
    if !tools() {
        return;
    }
    let mp3 = "-c:a libmp3lame -ac 2 -joint_stereo 0 -write_xing 0 -id3v2_version 0 -f mp3";
    let he_aac = include_bytes!("../../../provider-double/clips/c.adts").to_vec();
    for (name, codec, raw) in [
        ("mp3", Codec::MpegAudio, tone("radio-mp3", mp3)),
        ("adts", Codec::Aac, he_aac),
    ] {
        let mut channel = Channel::new(&[]);
        let source = |channel: &mut Channel, minutes: i64| {
            let mut wrapper = Wrapper::new(MediaTime::from_90k(minutes * 60 * 90_000));
            channel.splicer.begin_source();
            for bytes in raw.chunks(700) {
                channel.splicer.push(&wrapper.push(bytes));
                channel.pieces.extend(drain(&mut channel.splicer));
            }
        };
        source(&mut channel, 1);
        let promised = channel.signature();
        channel.slate(&promised, 3);
        source(&mut channel, 9);
        assert_eq!(channel.signature(), promised, "{name}");
        let mut unwrapper = Unwrapper::new();
        let heard: Vec<u8> = channel
            .pieces
            .iter()
            .flat_map(|piece| unwrapper.push(&piece.bytes))
            .collect();
        let format = audio_frame(codec, &raw).unwrap().format();
        let whole = frames(codec, &heard);
        assert_eq!(whole.concat().len(), heard.len(), "{name}: half a frame");
        for frame in &whole {
            assert_eq!(audio_frame(codec, frame).unwrap().format(), format, "{name}");
        }
        let frame = audio_frame(codec, &raw).unwrap();
        let silent = (3 * frame.rate).div_ceil(frame.samples) as usize;
        let expected = 2 * frames(codec, &raw).len() + silent;
        // Of MPEG audio the last frame waits for one behind it.
        assert!(
            whole.len().abs_diff(expected) <= 4,
            "{name}: {} of {expected}",
            whole.len()
        );
        let path = scratch(name).with_extension(name);
        std::fs::write(&path, &heard).unwrap();
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&path)
            .args(["-f", "null", "-"])
            .output()
            .unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(complaints.is_empty(), "{name} ({}): {complaints}", path.display());
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn two_languages_and_subtitles() {
    if !tools() {
        return;
    }
    let make = |name: &str, offset: u32| {
        let recorded = record(
            name,
            &format!(
                "{PICTURE} {SOUND} -f lavfi -i sine=f=880:r=48000:d=6 -map 0:v -map 1:a -map 2:a \
                 -c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p -c:a:0 aac -c:a:1 ac3 -ac:a:0 2 -ac:a:1 6 \
                 -metadata:s:a:0 language=eng -metadata:s:a:1 language=deu -output_ts_offset {offset}"
            ),
        );
        with_subtitles(&recorded)
    };
    let surround = SoundFormat {
        rate: 48_000,
        layout: 15,
    };
    let (one, two) = (make("slate-languages-a", 10), make("slate-languages-b", 400));
    between("languages", &one, &two, &[STEREO, surround], 27_000);
}

/// The recording with DVB subtitles in its programme map, of which none come.
fn with_subtitles(recording: &[u8]) -> Vec<u8> {
    use mpegts::psi::{Pmt, PmtStream, SectionReader, packetize};
    use mpegts::{PACKET_BYTES, Packet};
    let mut out = Vec::new();
    let mut continuity = 15;
    for bytes in recording.as_chunks::<PACKET_BYTES>().0 {
        let packet = Packet::new(bytes).unwrap();
        if packet.pid() != Pid::new(0x1000) {
            out.extend_from_slice(bytes);
            continue;
        }
        SectionReader::default().push(&packet, |section| {
            let mut map = Pmt::parse(section).unwrap();
            map.streams.push(PmtStream {
                stream_type: 6,
                pid: Pid::new(0x200),
                descriptors: vec![0x59, 8, b'e', b'n', b'g', 0x10, 0, 1, 0, 1],
            });
            packetize(&map.write().unwrap(), Pid::new(0x1000), &mut continuity, &mut out);
        });
    }
    out
}

#[test]
fn a_channel_that_starts_on_the_slate_is_joined_by_its_source() {
    if !tools() {
        return;
    }
    let one = h264("slate-first", "");
    let mut channel = Channel::new(&[STEREO]);
    channel.slate(&default_signature(), 3);
    let promised = channel.signature();
    channel.source(&one, 100);
    assert_eq!(channel.signature().streams.len(), 2);
    assert_eq!(channel.signature().pmt_version, promised.pmt_version);
    let seen = judge(&channel.pieces);
    assert!(holes(&seen).iter().all(|hole| *hole <= 1_920));
    let bytes: Vec<u8> = channel
        .pieces
        .iter()
        .flat_map(|piece| piece.bytes.clone())
        .collect();
    assert_eq!(decodes_clean("first", &bytes), seen.video().len());
}

#[test]
fn the_slate_keeps_time() {
    let surround = SoundFormat {
        rate: 44_100,
        layout: 15,
    };
    let mut signature = default_signature();
    for (number, (codec, stream_type, sound)) in [
        (Codec::Ac3, 0x81, surround),
        (
            Codec::MpegAudio,
            3,
            SoundFormat {
                layout: 0,
                ..surround
            },
        ),
        (
            Codec::Aac,
            0x0F,
            SoundFormat {
                layout: 2,
                ..surround
            },
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = signature.streams[1].clone();
        stream.pid = Pid::new(0x110 + u16::try_from(number).unwrap());
        (stream.codec, stream.stream_type, stream.sound) = (codec, stream_type, Some(sound));
        stream.language = Some([*b"eng", *b"fra", *b"deu"][number]);
        signature.streams.push(stream);
    }
    let mut channel = Channel::new(&[]);
    // Ten minutes are 156 turns of the clip.
    channel.slate(&signature, 600);
    assert_eq!(channel.splicer.signature().unwrap().streams.len(), 5);
    let languages: Vec<_> = channel
        .signature()
        .streams
        .iter()
        .map(|stream| stream.language)
        .collect();
    assert_eq!(languages[2..], [Some(*b"eng"), Some(*b"fra"), Some(*b"deu")]);
    let media = channel
        .pieces
        .last()
        .unwrap()
        .media_time
        .since(channel.pieces[0].media_time);
    assert!(media.as_millis().abs_diff(600_000) <= 150, "{media:?}");
    let seen = judge(&channel.pieces);
    let (first, last) = (seen.video().first().unwrap(), seen.video().last().unwrap());
    assert_eq!(seen.video().len(), 600 * 25);
    assert_eq!(last.pts - first.pts, (600 * 25 - 1) * 3_600);
    assert!(holes(&seen).iter().all(|hole| *hole <= 2), "{:?}", holes(&seen));
    for units in seen.units.values() {
        let end = units.last().unwrap().pts;
        assert!(
            (end - last.pts).abs() <= 3 * 3_600,
            "{} ms off",
            (end - last.pts) / 90
        );
        let began = units[0].pts;
        assert!(
            (began - first.pts).abs() <= 2,
            "{} ms late",
            (began - first.pts) / 90
        );
    }
}

#[test]
fn radio_keeps_time() {
    let mut signature = default_signature();
    signature.streams.remove(0);
    let mut slate = Slate::new(&signature, None).unwrap();
    let mut samples = 0;
    let mut steps = 0_u64;
    while steps < 1_000 {
        let es = slate
            .step()
            .windows(2)
            .filter(|pair| *pair == [0xFF, 0xF1])
            .count();
        samples += 1_024 * u64::try_from(es).unwrap();
        steps += 1;
    }
    assert_eq!(slate.shown().as_millis(), 100_000);
    assert!(samples.abs_diff(100 * 48_000) <= 1_024, "{samples}");
}

/// The sound that players took for the first one has no silent frame: the other one keeps the channel's time.
#[test]
fn radio_whose_first_sound_has_no_silence_goes_on_with_the_next() {
    let mut signature = default_signature();
    let aac = signature.streams.remove(1);
    signature.streams[0] = SignatureStream {
        stream_type: 0x82,
        codec: Codec::Dts,
        ..aac.clone()
    };
    signature.streams.push(SignatureStream {
        pid: Pid::new(0x0102),
        ..aac
    });
    let mut slate = Slate::new(&signature, None).unwrap();
    let mut splicer = Splicer::new();
    while splicer.take().is_none() {
        assert!(slate.shown() < Duration::from_secs(2), "nothing is shown of it");
        splicer.push(slate.step());
    }
}

#[test]
fn what_cannot_be_shown_is_no_slate() {
    let promised = default_signature();
    let with = |codec| Slate::new(&promised, clip(codec, Message::Limit));
    assert!(with(Codec::H264).is_some());
    assert!(with(Codec::Hevc).is_none(), "another codec");
    assert!(Slate::new(&promised, None).is_none());
    let mut radio = promised.clone();
    radio.streams.remove(0);
    radio.streams[0].codec = Codec::Dts;
    assert!(Slate::new(&radio, None).is_none());
}

#[test]
fn the_clips_own_sound_is_heard_where_it_fits() {
    let card = SlateClip::parse(include_bytes!("../../../../assets/testcard.ts")).unwrap();
    assert_eq!(
        (card.codec(), card.pictures(), card.duration_90k()),
        (Codec::H264, 312, 312 * 3_600)
    );
    let card = Arc::new(card);
    let beeps = |signature: &Signature| {
        let mut splicer = Splicer::new();
        let mut pieces = Vec::new();
        let mut slate = Slate::new(signature, Some(Arc::clone(&card))).unwrap();
        while slate.shown().as_secs() < 40 {
            splicer.push(slate.step());
            pieces.extend(drain(&mut splicer));
        }
        let seen = judge(&pieces);
        assert!(holes(&seen).iter().all(|hole| *hole <= 1));
        assert_eq!(
            seen.video()
                .windows(2)
                .map(|pair| pair[1].dts - pair[0].dts)
                .max(),
            Some(3_600)
        );
        // A frame of silence is 13 bytes, and the first packet holds six.
        seen.audio().iter().filter(|unit| unit.es.len() > 100).count()
    };
    let mut signature = default_signature();
    assert!(beeps(&signature) > 100);
    signature.streams[1].sound = Some(SoundFormat { layout: 1, ..STEREO });
    assert_eq!(beeps(&signature), 0);
}

#[test]
fn built_in_clips_are_alike() {
    let mut bytes = 0;
    for message in Message::ALL {
        for codec in [Codec::H264, Codec::Hevc, Codec::Mpeg2Video] {
            let clip = clip(codec, message).unwrap();
            assert_eq!(
                (clip.codec(), clip.pictures(), clip.duration_90k()),
                (codec, 96, 96 * 3_600)
            );
            let mut slate = Slate::new(&signature_of(codec), Some(clip)).unwrap();
            let keyframes = (0..96).filter(|_| slate.step()[1..4] == [0x40, 0, 0x10]).count();
            bytes += keyframes;
        }
    }
    assert_eq!(bytes, 9, "tables begin the first picture only");
}

fn signature_of(codec: Codec) -> Signature {
    let mut signature = default_signature();
    signature.streams[0].codec = codec;
    signature.streams[0].stream_type = match codec {
        Codec::Hevc => 0x24,
        Codec::Mpeg2Video => 2,
        _ => 0x1B,
    };
    signature
}

#[test]
fn anything_else_is_no_clip() {
    let check = |bytes: &[u8], expected: SlateClipError| {
        assert_eq!(SlateClip::parse(bytes).err(), Some(expected));
    };
    check(b"", SlateClipError::NoTransportStream);
    check(&[b'x'; 5_000], SlateClipError::NoTransportStream);
    check(&[0x47; 188 * 20], SlateClipError::NoProgramme);
    check(
        include_bytes!("../../../provider-double/clips/h.ts"),
        SlateClipError::NoPictures,
    );
    let card = include_bytes!("../../../../assets/slate/limit.h264.ts");
    check(&card[..188 * 3], SlateClipError::NoKeyframe);
    check(
        &vec![0; mpegts::slate::CLIP_BYTES_MAX + 1],
        SlateClipError::TooLarge,
    );
}

/// Chance that is the same in every run.
struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

#[test]
fn a_mangled_clip_is_refused_or_shown_in_order() {
    let recordings: [&[u8]; 4] = [
        include_bytes!("../../../../assets/testcard.ts"),
        include_bytes!("../../../../assets/slate/limit.mpeg2.ts"),
        include_bytes!("../../../provider-double/clips/b.ts"),
        include_bytes!("../../../provider-double/clips/i.ts"),
    ];
    let mut random = Xorshift(0x5EED);
    let mut shown = 0;
    for turn in 0..400 {
        let mut bytes = recordings[turn % 4][..188 * 200].to_vec();
        for _ in 0..1 + random.below(30) {
            // Mostly headers, where there is most to go wrong.
            let within = [24, 188][random.below(2)];
            let at = random.below(200) * 188 + random.below(within);
            match random.below(3) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = [0, 1, 0x47, 0xFF][random.below(4)],
                _ => drop(bytes.drain(at..(at + random.below(400)).min(bytes.len()))),
            }
            bytes.resize(188 * 200, 0xFF);
        }
        let Ok(clip) = SlateClip::parse(&bytes) else {
            continue;
        };
        assert!(clip.duration_90k() > 0);
        let mut signature = signature_of(clip.codec());
        signature.streams[1].sound = Some(STEREO);
        let mut slate = Slate::new(&signature, Some(Arc::new(clip))).unwrap();
        let mut splicer = Splicer::new();
        let mut pieces = Vec::new();
        let mut before = slate.shown();
        for _ in 0..100 {
            splicer.push(slate.step());
            pieces.extend(drain(&mut splicer));
            let step = slate.shown() - before;
            assert!(!step.is_zero() && step.as_millis() <= 1_000, "{step:?}");
            before = slate.shown();
        }
        judge(&pieces);
        shown += 1;
    }
    assert!(shown > 100, "{shown}");
}
