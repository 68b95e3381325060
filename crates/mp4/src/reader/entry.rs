//! Sample entries: how the samples of a track are coded (8.5.2; 14496-15 5 and 8; 14496-14 5.6; TS 102 366 F).

use super::ReadError;
use crate::boxes::{Fields, Kind, child, children};
use mpegts::Codec;

/// Bytes of a visual sample entry before its boxes (12.1.3).
const VISUAL_BYTES: usize = 78;

/// Bytes of an audio sample entry before its boxes (12.2.3), and of the two longer ones that QuickTime has.
const SOUND_BYTES: [usize; 3] = [28, 44, 64];

/// Parameter sets of one kind; 14496-15 5.3.3.1 has five bits for their number.
const SETS_MAX: u8 = 64;

/// How the samples of a track are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// H.264 or HEVC.
    Picture {
        codec: Codec,
        /// Bytes of the length before each unit: 1, 2 or 4.
        length_bytes: usize,
        /// The parameter sets, with start codes.
        sets: Vec<u8>,
    },
    /// MPEG-2 video, whose samples are pictures as they are.
    Mpeg2,
    /// AAC: the header that a frame of no length would have.
    Aac([u8; 7]),
    /// A sound whose samples are frames as they are.
    Sound(Codec),
}

impl Entry {
    pub(super) const fn codec(&self) -> Codec {
        match self {
            Self::Picture { codec, .. } | Self::Sound(codec) => *codec,
            Self::Mpeg2 => Codec::Mpeg2Video,
            Self::Aac(_) => Codec::Aac,
        }
    }

    /// Reads the entry of `kind`; `None` where it is of no codec that is known here, or cannot be read.
    ///
    /// # Errors
    /// When its samples are encrypted.
    pub(super) fn read(kind: Kind, contents: &[u8]) -> Result<Option<Self>, ReadError> {
        refuse_encrypted(kind, contents)?;
        let in_picture = |kind| child(contents.get(VISUAL_BYTES..)?, kind);
        let in_sound = |kind| {
            let mut places = SOUND_BYTES.into_iter().filter_map(|at| contents.get(at..));
            places.find_map(|place| child(place, kind))
        };
        Ok(match &kind {
            b"avc1" | b"avc3" => in_picture(b"avcC").and_then(avc),
            b"hvc1" | b"hev1" => in_picture(b"hvcC").and_then(hevc),
            b"mp4v" => in_picture(b"esds").and_then(elementary),
            b"mp4a" => in_sound(b"esds").and_then(elementary),
            b"ac-3" => Some(Self::Sound(Codec::Ac3)),
            b"ec-3" => Some(Self::Sound(Codec::Eac3)),
            b".mp3" => Some(Self::Sound(Codec::MpegAudio)),
            _ => None,
        })
    }
}

/// Protected media have a sample entry of their own, or a protection scheme box in theirs (8.12).
fn refuse_encrypted(kind: Kind, contents: &[u8]) -> Result<(), ReadError> {
    let own = matches!(&kind, b"encv" | b"enca" | b"enct" | b"encs" | b"drms" | b"drmi");
    let places = [VISUAL_BYTES].into_iter().chain(SOUND_BYTES);
    let scheme = places.filter_map(|at| contents.get(at..)).find_map(|place| {
        let protection = child(place, b"sinf")?;
        let scheme = child(protection, b"schm").and_then(|contents| Fields::full(contents)?.2.array());
        Some(scheme.unwrap_or(kind))
    });
    match scheme.or(own.then_some(kind)) {
        Some(scheme) => Err(ReadError::Encrypted { scheme }),
        None => Ok(()),
    }
}

/// AVCDecoderConfigurationRecord (14496-15 5.3.3.1).
fn avc(record: &[u8]) -> Option<Entry> {
    let mut fields = Fields::new(record);
    fields.take(4)?; // version, profile, compatibility, level
    let length_bytes = usize::from(fields.u8()? & 3) + 1;
    let mut sets = Vec::new();
    let sequences = fields.u8()? & 0x1F;
    read_units(&mut fields, sequences.into(), &mut sets)?;
    let pictures = fields.u8()?;
    read_units(&mut fields, pictures.into(), &mut sets)?;
    Some(Entry::Picture {
        codec: Codec::H264,
        length_bytes,
        sets,
    })
}

/// HEVCDecoderConfigurationRecord (14496-15 8.3.3.1).
fn hevc(record: &[u8]) -> Option<Entry> {
    let mut fields = Fields::new(record);
    fields.take(21)?; // up to avgFrameRate
    let length_bytes = usize::from(fields.u8()? & 3) + 1;
    let mut sets = Vec::new();
    for _ in 0..fields.u8()?.min(SETS_MAX) {
        let kind = fields.u8()? & 0x3F;
        let count = fields.u16()?;
        // VPS, SPS, PPS; what else there may be is said again in the stream (Table 7-1 of H.265).
        let mut other = Vec::new();
        let wanted = matches!(kind, 32..=34);
        read_units(&mut fields, count, if wanted { &mut sets } else { &mut other })?;
    }
    Some(Entry::Picture {
        codec: Codec::Hevc,
        length_bytes,
        sets,
    })
}

fn read_units(fields: &mut Fields<'_>, count: u16, sets: &mut Vec<u8>) -> Option<()> {
    for _ in 0..count {
        let length = fields.u16()?;
        let unit = fields.take(length.into())?;
        if !unit.is_empty() {
            sets.extend([0, 0, 0, 1]);
            sets.extend_from_slice(unit);
        }
    }
    Some(())
}

/// ES_Descriptor (14496-1 7.2.6.5) down to what the decoder is told.
fn elementary(contents: &[u8]) -> Option<Entry> {
    let (_, _, fields) = Fields::full(contents)?;
    let mut stream = descriptor(fields.rest(), 0x03)?;
    stream.take(2)?; // ES_ID
    let flags = stream.u8()?;
    stream.take(if flags & 0x80 != 0 { 2 } else { 0 })?; // dependsOn_ES_ID
    if flags & 0x40 != 0 {
        let length = stream.u8()?;
        stream.take(length.into())?; // URL
    }
    stream.take(if flags & 0x20 != 0 { 2 } else { 0 })?; // OCR_ES_Id
    let mut config = descriptor(stream.rest(), 0x04)?;
    let object_type = config.u8()?;
    config.take(12)?; // stream type, buffer size, bit rates
    Some(match object_type {
        // ISO 14496-3, and 13818-7 of three profiles (14496-1 Table 5; the MP4 registration authority).
        0x40 | 0x66..=0x68 => Entry::Aac(adts_head(descriptor(config.rest(), 0x05)?.rest())?),
        // 13818-2 of six profiles, and 11172-2.
        0x60..=0x65 | 0x6A => Entry::Mpeg2,
        0x69 | 0x6B => Entry::Sound(Codec::MpegAudio),
        0xA5 => Entry::Sound(Codec::Ac3),
        0xA6 => Entry::Sound(Codec::Eac3),
        _ => return None,
    })
}

/// The contents of the first descriptor of `tag`. Its size has seven bits in each of up to four bytes (14496-1 8.3.3).
fn descriptor(bytes: &[u8], tag: u8) -> Option<Fields<'_>> {
    let mut fields = Fields::new(bytes);
    loop {
        let found = fields.u8()?;
        let mut size = 0;
        for _ in 0..4 {
            let byte = fields.u8()?;
            size = (size << 7) | usize::from(byte & 0x7F);
            if byte & 0x80 == 0 {
                break;
            }
        }
        // Sizes that say too much are common; what is there is there.
        let contents = fields.take(size.min(fields.rest().len()))?;
        if found == tag {
            return Some(Fields::new(contents));
        }
    }
}

/// The ADTS header of an AudioSpecificConfig (14496-3 1.6.2.1, 1.A.2.2). `None` for what ADTS cannot say: object types
/// above 4, rates that have no index, channels that only a programme config element tells.
fn adts_head(config: &[u8]) -> Option<[u8; 7]> {
    let mut bits = config
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| u32::from((byte >> bit) & 1)));
    let mut read = |count| (0..count).try_fold(0, |value, _| Some((value << 1) | bits.next()?));
    let mut object_type = read(5)?;
    let mut rate = rate_index(&mut read)?;
    let channels = read(4)?;
    // SBR and PS name the rate of what is heard, and then the core, which is what ADTS tells; the rate before is the core's.
    if matches!(object_type, 5 | 29) {
        rate_index(&mut read)?;
        object_type = read(5)?;
    }
    // 7,350 Hz is the last index; the rate of 13 and 14 is reserved.
    rate = Some(rate).filter(|rate| *rate <= 12)?;
    if !matches!(object_type, 1..=4) || !matches!(channels, 1..=7) {
        return None;
    }
    let [rate, channels, profile] = [rate, channels, object_type - 1].map(|value| value.to_le_bytes()[0]);
    Some([
        0xFF,
        // MPEG-4, no CRC.
        0xF1,
        profile << 6 | rate << 2 | channels >> 2,
        (channels & 3) << 6,
        0,
        // adts_buffer_fullness: all ones, a variable rate.
        0x1F,
        0xFC,
    ])
}

/// samplingFrequencyIndex, also of a rate that is written out.
fn rate_index(read: &mut impl FnMut(u32) -> Option<u32>) -> Option<u32> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
    ];
    let index = read(4)?;
    if index != 15 {
        return Some(index);
    }
    let rate = read(24)?;
    let index = RATES.iter().position(|known| *known == rate)?;
    u32::try_from(index).ok()
}

/// The entries of a sample description box, in its order; a reader counts them from 1.
///
/// # Errors
/// When samples of one of them are encrypted.
pub(super) fn entries(contents: &[u8], max: usize) -> Result<(Vec<Option<Entry>>, Option<Kind>), ReadError> {
    let Some((_, _, mut fields)) = Fields::full(contents) else {
        return Ok((Vec::new(), None));
    };
    fields.u32(); // entry_count
    let mut read = Vec::new();
    let mut first = None;
    for (kind, contents) in children(fields.rest()).take(max) {
        first.get_or_insert(kind);
        read.push(Entry::read(kind, contents)?);
    }
    Ok((read, first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adts_tells_the_core() {
        let check = |config: &[u8], expected: Option<[u8; 4]>| {
            let head = adts_head(config).map(|head| [head[2], head[3], head[5], head[6]]);
            assert_eq!(head, expected, "{config:x?}");
        };
        // AAC-LC, 48 kHz, two channels; and 5.1 at 44.1 kHz.
        check(&[0x11, 0x90], Some([0x4C, 0x80, 0x1F, 0xFC]));
        check(&[0x12, 0x30], Some([0x51, 0x80, 0x1F, 0xFC]));
        // HE-AAC: heard at 48 kHz, its core is LC at 24 kHz; HE-AAC v2: the core is mono.
        check(&[0x2B, 0x11, 0x88], Some([0x58, 0x80, 0x1F, 0xFC]));
        check(&[0xEB, 0x09, 0x88], Some([0x58, 0x40, 0x1F, 0xFC]));
        // A rate written out that has an index, and one that has none.
        check(&[0x17, 0x80, 0x56, 0x22, 0x10], Some([0x50, 0x80, 0x1F, 0xFC]));
        check(&[0x17, 0x80, 0x56, 0x24, 0x10], None);
        // Channels that a programme config element tells; xHE-AAC; nothing.
        check(&[0x11, 0x80], None);
        check(&[0xF9, 0x46, 0x40], None);
        check(&[0x11], None);
    }

    fn boxed(kind: &Kind, contents: &[u8]) -> Vec<u8> {
        let size = u32::try_from(8 + contents.len()).unwrap().to_be_bytes();
        [&size, kind, contents].concat()
    }

    #[test]
    fn protection_is_found_wherever_it_stands() {
        let scheme = boxed(b"schm", &[&[0; 4], b"cbcs".as_slice(), &[0, 1, 0, 0]].concat());
        let protection = boxed(b"sinf", &[boxed(b"frma", b"avc1"), scheme].concat());
        let check = |kind: &Kind, bytes: usize, with: &[u8], expected: &Kind| {
            let contents = [&vec![0; bytes], with].concat();
            let refused = Err(ReadError::Encrypted { scheme: *expected });
            assert_eq!(Entry::read(*kind, &contents), refused, "{kind:?}");
        };
        check(b"encv", VISUAL_BYTES, &protection, b"cbcs");
        check(b"enca", SOUND_BYTES[0], &protection, b"cbcs");
        check(b"mp4a", SOUND_BYTES[0], &protection, b"cbcs");
        check(b"encv", VISUAL_BYTES, &[], b"encv");
        check(b"encv", 3, &[], b"encv");
        let without_scheme = boxed(b"sinf", &boxed(b"frma", b"mp4a"));
        check(b"enca", SOUND_BYTES[0], &without_scheme, b"enca");
        assert_eq!(Entry::read(*b"vp09", &[0; 200]), Ok(None));
    }

    #[test]
    fn sounds_by_their_object_type() {
        let esds = |object_type: u8, specific: &[u8]| {
            let descriptor = |tag: u8, contents: &[u8]| {
                [
                    &[tag, 0x80, 0x80, 0x80, contents.len().to_le_bytes()[0]],
                    contents,
                ]
                .concat()
            };
            let config = [&[object_type][..], &[0; 12], &descriptor(5, specific)].concat();
            // ES_ID, a URL of two bytes, and the id of a clock.
            let stream = [&[0, 1, 0x60, 2, b'a', b'b', 0, 0][..], &descriptor(4, &config)].concat();
            boxed(b"esds", &[&[0; 4][..], &descriptor(3, &stream)].concat())
        };
        let check = |before: usize, esds: Vec<u8>, expected: Option<Codec>| {
            let entry = Entry::read(*b"mp4a", &[vec![0; before], esds].concat()).unwrap();
            assert_eq!(entry.map(|entry| entry.codec()), expected, "behind {before}");
        };
        for before in SOUND_BYTES {
            check(before, esds(0x40, &[0x11, 0x90]), Some(Codec::Aac));
        }
        check(28, esds(0x67, &[0x11, 0x90]), Some(Codec::Aac));
        check(28, esds(0x6B, &[]), Some(Codec::MpegAudio));
        check(28, esds(0xA6, &[]), Some(Codec::Eac3));
        check(28, esds(0x40, &[]), None);
        check(28, esds(0xDD, &[]), None);
    }
}
