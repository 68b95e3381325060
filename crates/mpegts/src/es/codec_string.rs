//! What a stream is called in CODECS of a multivariant playlist (RFC 8216 4.3.4.2, RFC 6381).

use super::{Codec, PictureCoding, audio_frame};

/// The codec string of a stream, from an access unit of it that begins with parameter sets (video; also
/// [`super::ParameterSets::bytes`]) or a frame of it (sound): `avc1.64001F`, `hvc1.1.6.L120.90`, `mp4a.40.2`, `ac-3`,
/// `ec-3`, `mp4a.40.34`. `None` where they do not tell, and for codecs that have none.
///
/// HE-AAC in ADTS looks like the AAC-LC it is built on, and is called that.
#[must_use]
pub fn codec_string(codec: Codec, es: &[u8]) -> Option<String> {
    match codec {
        Codec::H264 | Codec::Hevc => PictureCoding::find(codec, es).map(|coding| coding.codec_string()),
        Codec::Ac3 => Some("ac-3".to_owned()),
        Codec::Eac3 => Some("ec-3".to_owned()),
        Codec::Aac => {
            // profile_ObjectType is the audio object type less one (ISO 14496-3 1.A.2.2.1).
            let &[0xFF, _, third, ..] = es else { return None };
            Some(format!("mp4a.40.{}", (third >> 6) + 1))
        }
        Codec::MpegAudio => {
            // Object types 32 to 34 are layers I to III (ISO 14496-3 Table 1.17); the field counts down from 3.
            audio_frame(codec, es)?;
            let layer = (es.get(1)? >> 1) & 3;
            Some(format!("mp4a.40.{}", 35 - layer))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        let pairs = pairs.map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap());
        pairs.collect()
    }

    #[test]
    fn strings_of_real_streams() {
        let check = |codec, hex: &str, expected: Option<&str>| {
            assert_eq!(
                codec_string(codec, &bytes(hex)).as_deref(),
                expected,
                "{codec:?} {hex}"
            );
        };
        // Parameter sets of x264 and x265, with what other tools call them.
        check(
            Codec::H264,
            "0000000109F0000000016742C028DA01E0089F97011000000300100000030320F1832A0000000168CE3C80",
            Some("avc1.42C028"),
        );
        check(
            Codec::Hevc,
            "00000001420101016000000300900000030000030078A003C0801107CB965654A4C2F0168080000003008000000C84",
            Some("hvc1.1.6.L120.90"),
        );
        check(
            Codec::Hevc,
            "00000001420101022000000300900000030000030096A001E020021C4D965654A4C2F0168080000003008000000C84",
            Some("hvc1.2.4.L150.90"),
        );
        check(
            Codec::Hevc,
            "000000014201010408000003009D0800000300003CB00A880C1C445B6595952930BC05A02000000300200000030321",
            Some("hvc1.4.10.L60.9D.8"),
        );
        check(Codec::Aac, "FFF14C802E7FFC", Some("mp4a.40.2"));
        check(Codec::MpegAudio, "FFFB9040", Some("mp4a.40.34"));
        check(Codec::MpegAudio, "FFFDA400", Some("mp4a.40.33"));
        check(Codec::Eac3, "", Some("ec-3"));
        check(Codec::H264, "00000001", None);
        check(Codec::Hevc, "0000000142010101600000", None);
        check(Codec::Teletext, "00", None);
    }
}
