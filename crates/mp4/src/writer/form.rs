//! How the frames of a track are coded, as they tell it themselves, and the sample entry that says so (8.5.2; 14496-15 5 and
//! 8; 14496-14 5.6; TS 102 366 F).

use super::WriteError;
use super::out::{boxed, put};
use mpegts::es::{self, ParameterSets, PictureCoding, PictureSize, Profile, audio_frame, codec_string};
use mpegts::{Codec, Frame};

/// data_reference_index and the six reserved bytes before it: the data are in the same file.
const ENTRY_HEAD: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];

/// Time scale of pictures: that of transport streams.
const PICTURE_SCALE: u32 = 90_000;

/// Bytes of the longest parameter set: its length has 16 bits.
const SET_BYTES_MAX: usize = u16::MAX as usize;

/// Bytes of a sequence header and its extensions: one with two matrices has 150.
const HEADERS_BYTES_MAX: usize = 1024;

/// streamType of pictures and of sound (14496-1 Table 6).
const VISUAL_STREAM: u8 = 4;
const AUDIO_STREAM: u8 = 5;

/// How the frames of a track are coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// H.264 or HEVC.
    Picture {
        codec: Codec,
        coding: PictureCoding,
        /// Its parameter sets, without start codes, in their order.
        sets: Vec<Vec<u8>>,
    },
    /// MPEG-2 video, and MPEG-1 video.
    Mpeg2 {
        size: Option<PictureSize>,
        /// objectTypeIndication (14496-1 Table 5).
        object_type: u8,
        /// The sequence header and its extensions, with their start codes.
        headers: Vec<u8>,
    },
    /// Sound.
    Sound {
        codec: Codec,
        rate: u32,
        channels: u16,
        /// What the box of the codec holds: esds, dac3, dec3.
        specific: Vec<u8>,
        string: String,
    },
}

impl Form {
    /// What `frame` tells; `None` when it does not, as most pictures.
    ///
    /// # Errors
    /// When its parameter sets cannot be read.
    pub(super) fn of(codec: Codec, frame: &Frame) -> Result<Option<Self>, WriteError> {
        if !codec.is_video() {
            return Ok(sound(codec, &frame.data));
        }
        if !frame.random_access {
            return Ok(None);
        }
        if codec == Codec::Mpeg2Video {
            return mpeg2(&frame.data).map(Some);
        }
        let sets: Vec<_> = es::leading(codec, &frame.data)
            .filter(|unit| is_set(codec, unit))
            .map(<[u8]>::to_vec)
            .collect();
        if sets.is_empty() {
            return Ok(None);
        }
        let coding = sets.iter().find_map(|set| PictureCoding::read(codec, set));
        let fits = sets.iter().all(|set| set.len() <= SET_BYTES_MAX);
        match coding.filter(|_| fits) {
            Some(coding) => Ok(Some(Self::Picture { codec, coding, sets })),
            None => Err(WriteError::Parameters(codec)),
        }
    }

    /// Ticks in a second of the track.
    pub(super) const fn scale(&self) -> u32 {
        match self {
            Self::Picture { .. } | Self::Mpeg2 { .. } => PICTURE_SCALE,
            Self::Sound { rate, .. } => *rate,
        }
    }

    /// The element of CODECS.
    pub(super) fn codec_string(&self) -> String {
        match self {
            Self::Picture { coding, .. } => coding.codec_string(),
            Self::Mpeg2 { object_type, .. } => format!("mp4v.{object_type:02X}"),
            Self::Sound { string, .. } => string.clone(),
        }
    }

    /// Whether it is one of pictures.
    pub(super) const fn is_picture(&self) -> bool {
        !matches!(self, Self::Sound { .. })
    }

    /// How large the pictures are.
    pub(super) const fn size(&self) -> Option<PictureSize> {
        match self {
            Self::Picture { coding, .. } => coding.size,
            Self::Mpeg2 { size, .. } => *size,
            Self::Sound { .. } => None,
        }
    }

    /// Whether a unit of a picture goes into its sample: not what the sample entry says already, and no delimiters, which
    /// samples do not need.
    pub(super) fn keeps(&self, unit: &[u8]) -> bool {
        match self {
            Self::Picture { codec, sets, .. } => {
                let delimiter = match (codec, unit.first()) {
                    (Codec::Hevc, Some(head)) => (head >> 1) & 0x3F == 35,
                    (_, Some(head)) => head & 0x1F == 9,
                    (_, None) => true,
                };
                !delimiter && (!is_set(*codec, unit) || sets.iter().all(|set| set != unit))
            }
            Self::Mpeg2 { .. } | Self::Sound { .. } => true,
        }
    }

    /// Appends the sample entry.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Picture { codec, coding, sets } => {
                let hevc = *codec == Codec::Hevc;
                boxed(out, if hevc { b"hvc1" } else { b"avc1" }, |out| {
                    visual(coding.size, out);
                    match coding.profile {
                        Profile::H264(profile) => boxed(out, b"avcC", |out| avc(profile, coding, sets, out)),
                        Profile::Hevc { .. } => boxed(out, b"hvcC", |out| hevc_record(coding, sets, out)),
                    }
                });
            }
            Self::Mpeg2 {
                size,
                object_type,
                headers,
            } => boxed(out, b"mp4v", |out| {
                visual(*size, out);
                boxed(out, b"esds", |out| {
                    put(out, &es_descriptor(VISUAL_STREAM, *object_type, Some(headers)));
                });
            }),
            Self::Sound {
                codec,
                rate,
                channels,
                specific,
                ..
            } => {
                let (entry, inner) = match codec {
                    Codec::Ac3 => (b"ac-3", b"dac3"),
                    Codec::Eac3 => (b"ec-3", b"dec3"),
                    _ => (b"mp4a", b"esds"),
                };
                boxed(out, entry, |out| {
                    put(out, &ENTRY_HEAD);
                    put(out, &[0; 8]);
                    put(out, &channels.to_be_bytes());
                    put(out, &[0, 16, 0, 0, 0, 0]); // samplesize, pre_defined, reserved
                    // 16.16; rates that do not fit are told by the codec alone.
                    put(out, &u16::try_from(*rate).unwrap_or_default().to_be_bytes());
                    put(out, &[0; 2]);
                    boxed(out, inner, |out| put(out, specific));
                });
            }
        }
    }
}

/// H.264 Table 7-1: 7, 8 and the extension 13; H.265 Table 7-1: 32 to 34.
fn is_set(codec: Codec, unit: &[u8]) -> bool {
    match (codec, unit.first()) {
        (Codec::H264, Some(head)) => matches!(head & 0x1F, 7 | 8),
        (Codec::Hevc, Some(head)) => matches!((head >> 1) & 0x3F, 32..=34),
        _ => false,
    }
}

/// VisualSampleEntry (12.1.3).
fn visual(size: Option<PictureSize>, out: &mut Vec<u8>) {
    let (width, height) = size.map_or((0, 0), |size| (size.width, size.height));
    put(out, &ENTRY_HEAD);
    put(out, &[0; 16]);
    put(out, &width.to_be_bytes());
    put(out, &height.to_be_bytes());
    // 72 dots an inch both ways, one frame a sample, no compressor's name, 24 bits, no colour table.
    put(out, &[0, 0x48, 0, 0, 0, 0x48, 0, 0, 0, 0, 0, 0, 0, 1]);
    put(out, &[0; 32]);
    put(out, &[0, 0x18, 0xFF, 0xFF]);
}

fn of_kind(sets: &[Vec<u8>], codec: Codec, kind: u8) -> impl Iterator<Item = &Vec<u8>> + Clone {
    let kind_of = move |head: &u8| match codec {
        Codec::Hevc => (head >> 1) & 0x3F,
        _ => head & 0x1F,
    };
    sets.iter()
        .filter(move |set| set.first().map(kind_of) == Some(kind))
}

fn put_sets<'a>(sets: impl Iterator<Item = &'a Vec<u8>>, out: &mut Vec<u8>) {
    for set in sets {
        put(out, &u16::try_from(set.len()).unwrap_or_default().to_be_bytes());
        put(out, set);
    }
}

/// AVCDecoderConfigurationRecord (14496-15 5.3.3.1), with lengths of four bytes.
fn avc(profile: [u8; 3], coding: &PictureCoding, sets: &[Vec<u8>], out: &mut Vec<u8>) {
    const SEQUENCES_MAX: usize = 31;
    const PICTURES_MAX: usize = 255;
    let sequences = of_kind(sets, Codec::H264, 7).take(SEQUENCES_MAX);
    let pictures = of_kind(sets, Codec::H264, 8).take(PICTURES_MAX);
    put(out, &[1]);
    put(out, &profile);
    put(out, &[0xFF, 0xE0 | sequences.clone().count().to_le_bytes()[0]]);
    put_sets(sequences, out);
    put(out, &[pictures.clone().count().to_le_bytes()[0]]);
    put_sets(pictures, out);
    let [luma, chroma] = coding.depths;
    if matches!(profile, [100 | 110 | 122 | 144, ..]) {
        put(
            out,
            &[
                0xFC | coding.chroma_format,
                0xF8 | (luma - 8),
                0xF8 | (chroma - 8),
                0,
            ],
        );
    }
}

/// HEVCDecoderConfigurationRecord (14496-15 8.3.3.1), with lengths of four bytes and all sets of each kind.
fn hevc_record(coding: &PictureCoding, sets: &[Vec<u8>], out: &mut Vec<u8>) {
    let Profile::Hevc {
        general,
        sub_layers,
        nested,
    } = coding.profile
    else {
        return;
    };
    let [luma, chroma] = coding.depths;
    put(out, &[1]);
    put(out, &general);
    // Nothing is known of segmentation and parallelism, nor of the frame rate.
    put(
        out,
        &[
            0xF0,
            0,
            0xFC,
            0xFC | coding.chroma_format,
            0xF8 | (luma - 8),
            0xF8 | (chroma - 8),
            0,
            0,
        ],
    );
    put(out, &[(sub_layers & 7) << 3 | u8::from(nested) << 2 | 3, 3]);
    for kind in 32..=34 {
        let of_kind = of_kind(sets, Codec::Hevc, kind);
        let count = u16::try_from(of_kind.clone().count()).unwrap_or_default();
        put(out, &[0x80 | kind]); // array_completeness: there are no others in the samples.
        put(out, &count.to_be_bytes());
        put_sets(of_kind, out);
    }
}

/// What a picture with a sequence header says (13818-2 6.2.2.1, 6.2.2.3).
fn mpeg2(data: &[u8]) -> Result<Form, WriteError> {
    const SEQUENCE: u8 = 0xB3;
    const EXTENSION: u8 = 0xB5;
    let unreadable = WriteError::Parameters(Codec::Mpeg2Video);
    let code = |range: &core::ops::Range<usize>| data.get(range.start).copied();
    let mut units = es::ranges(data, 0).skip_while(|range| code(range) != Some(SEQUENCE));
    let begins = units.next().ok_or(unreadable)?.start - 3;
    let mut profile = None;
    let behind = units.find(|range| {
        if let (None, Some([EXTENSION, first, second, ..])) = (profile, data.get(range.clone()))
            // sequence_extension: its identifier, then profile_and_level_indication.
            && first >> 4 == 1
        {
            profile = Some(first << 4 | second >> 4);
        }
        code(range) != Some(EXTENSION)
    });
    let ends = behind.map_or(data.len(), |range| range.start - 3);
    let headers = data.get(begins..ends).unwrap_or_default();
    if headers.len() > HEADERS_BYTES_MAX {
        return Err(unreadable);
    }
    let mut sets = ParameterSets::new();
    es::inspect(Codec::Mpeg2Video, data, &mut sets);
    // Table 8-2 of 13818-2: escape bit, profile, level. 14496-1 Table 5 has a type for each profile.
    let object_type = match profile.map(|indication| (indication & 0x80, (indication >> 4) & 7)) {
        None => 0x6A,
        Some((0, 1)) => 0x64,
        Some((0, 2)) => 0x63,
        Some((0, 3)) => 0x62,
        Some((0, 5)) => 0x60,
        Some((0x80, _)) => 0x65,
        Some(_) => 0x61,
    };
    Ok(Form::Mpeg2 {
        size: sets.picture(),
        object_type,
        headers: headers.to_vec(),
    })
}

fn sound(codec: Codec, data: &[u8]) -> Option<Form> {
    let frame = audio_frame(codec, data)?;
    let (channels, specific) = match codec {
        Codec::Aac => {
            let config = audio_specific_config(data)?;
            // Configuration 7 is of eight channels (14496-3 Table 1.19).
            let channels = if frame.layout == 7 { 8 } else { frame.layout };
            (channels, es_descriptor(AUDIO_STREAM, 0x40, Some(&config)))
        }
        // Mode 3 is a single channel; object types of MPEG-1 and of MPEG-2 audio (14496-1 Table 5).
        Codec::MpegAudio => {
            let mpeg_1 = data.get(1)? & 0x08 != 0;
            let channels = if frame.layout & 3 == 3 { 1 } else { 2 };
            let object_type = if mpeg_1 { 0x6B } else { 0x69 };
            (channels, es_descriptor(AUDIO_STREAM, object_type, None))
        }
        Codec::Ac3 => (ac3_channels(frame.layout), dac3(data, frame.layout)?),
        Codec::Eac3 => (ac3_channels(frame.layout), dec3(data, &frame)?),
        _ => return None,
    };
    Some(Form::Sound {
        codec,
        rate: frame.rate,
        channels: channels.into(),
        specific,
        string: codec_string(codec, data)?,
    })
}

/// AudioSpecificConfig of an ADTS header (14496-3 1.6.2.1): object type, rate, channels. `None` where a programme config
/// element in the stream tells the channels: it would have to stand here, and no decoder begins without.
fn audio_specific_config(adts: &[u8]) -> Option<[u8; 2]> {
    let &[_, _, third, fourth, ..] = adts else {
        return None;
    };
    let object_type = (third >> 6) + 1;
    let rate = (third >> 2) & 0x0F;
    let channels = Some((third & 1) << 2 | fourth >> 6).filter(|channels| *channels > 0)?;
    Some([object_type << 3 | rate >> 1, (rate & 1) << 7 | channels << 3])
}

/// The contents of an esds box (14496-14 5.6, 14496-1 7.2.6).
fn es_descriptor(stream_type: u8, object_type: u8, specific: Option<&[u8]>) -> Vec<u8> {
    let descriptor = |tag, contents: &[u8]| {
        // Seven bits of the length in each byte, all but the last of which say that more follow (14496-1 8.3.3).
        let [low, high, ..] = (contents.len() << 1).to_le_bytes();
        let mut out = vec![tag];
        out.extend((high > 0).then_some(0x80 | high));
        out.push(low >> 1);
        out.extend_from_slice(contents);
        out
    };
    // upStream 0, reserved 1. No buffer size and no rates are told.
    let mut config = vec![object_type, stream_type << 2 | 1];
    config.extend([0; 11]);
    config.extend(
        specific
            .map(|specific| descriptor(0x05, specific))
            .unwrap_or_default(),
    );
    let mut stream = vec![0, 0, 0];
    stream.extend(descriptor(0x04, &config));
    stream.extend(descriptor(0x06, &[2])); // SLConfigDescriptor: as MP4 files have it.
    [&[0; 4], descriptor(0x03, &stream).as_slice()].concat()
}

/// Channels of acmod and lfeon (TS 102 366 Table 4.3).
fn ac3_channels(layout: u8) -> u8 {
    let full = [2, 1, 2, 3, 3, 4, 4, 5]
        .get(usize::from(layout >> 1))
        .copied()
        .unwrap_or(2);
    full + (layout & 1)
}

/// TS 102 366 F.4: fscod, bsid, bsmod, acmod, lfeon, bit_rate_code.
fn dac3(data: &[u8], layout: u8) -> Option<Vec<u8>> {
    let &[_, _, _, _, fifth, sixth, ..] = data else {
        return None;
    };
    let [fscod, bit_rate] = [fifth >> 6, (fifth & 0x3F) >> 1].map(u32::from);
    let packed = fscod << 22 | u32::from(sixth) << 14 | u32::from(layout) << 10 | bit_rate << 5;
    Some(packed.to_be_bytes().iter().skip(1).copied().collect())
}

/// TS 102 366 F.6: the data rate, and of each independent substream what its dependent ones add.
fn dec3(data: &[u8], first: &es::AudioFrame) -> Option<Vec<u8>> {
    let &[_, _, _, _, fifth, sixth, ..] = data else {
        return None;
    };
    let mut dependents = 0_u32;
    let mut at = first.bytes;
    while let Some(next) = data.get(at..).and_then(|rest| audio_frame(Codec::Eac3, rest)) {
        dependents += u32::from(next.samples == 0);
        at += next.bytes;
    }
    let bits = 8 * u64::try_from(data.len()).ok()?;
    let kilobits = bits * u64::from(first.rate) / u64::from(first.samples.max(1)) / 1000;
    let [high, low] = u16::try_from(kilobits.min(0x1FFF)).ok()?.to_be_bytes();
    // num_ind_sub 0 is one of them.
    let head = [high << 3 | low >> 5, low << 3];
    // The rate code 3 is of half rates (E.1.3.1.3). bsmod is main audio; the extension may say otherwise.
    let fscod = u32::from(fifth >> 6);
    let substream =
        fscod << 22 | u32::from(sixth >> 3) << 17 | u32::from(first.layout) << 8 | dependents.min(15) << 1;
    let mut out = [&head[..], substream.to_be_bytes().get(1..)?].concat();
    if dependents > 0 {
        // chan_loc: the pair behind the listener, which is what dependent substreams of 7.1 add.
        out.push(0b10);
    }
    Some(out)
}
