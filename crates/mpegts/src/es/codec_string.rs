//! What a stream is called in CODECS of a multivariant playlist (RFC 8216 4.3.4.2, RFC 6381).

use super::Codec;

/// The codec string of a stream, from an access unit of it that begins with parameter sets (video; also
/// [`super::ParameterSets::bytes`]) or a frame of it (sound): `avc1.64001F`, `hvc1.1.6.L120.90`, `mp4a.40.2`, `ac-3`, `ec-3`,
/// `mp4a.40.34`. `None` where they do not tell, and for codecs that have none.
#[must_use]
pub fn codec_string(codec: Codec, es: &[u8]) -> Option<String> {
    match codec {
        Codec::Ac3 => Some("ac-3".to_owned()),
        Codec::Eac3 => Some("ec-3".to_owned()),
        Codec::Aac => {
            // profile_ObjectType is the audio object type less one (ISO 14496-3 1.A.2.2.1).
            let &[0xFF, _, third, ..] = es else { return None };
            Some(format!("mp4a.40.{}", (third >> 6) + 1))
        }
        _ => None,
    }
}
