//! What kind of content an answer is, by its first bytes. Content types and file names lie; bytes do not.

/// The transport packet's sync byte (ISO 13818-1 clause 2.4.3.2).
const SYNC: u8 = 0x47;

/// Bytes looked at before content without any known sign counts as [`Content::Unknown`].
pub const SNIFF_BYTES: usize = 188 * 5 + 204;

/// What content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// MPEG-TS packets.
    TransportStream,
    /// An HLS playlist.
    HlsPlaylist,
    /// A manifest of MPEG-DASH (ISO 23009-1).
    Dash,
    /// A web page, or any other XML.
    Html,
    /// A JSON answer.
    Json,
    /// MP4 (ISO 14496-12).
    Mp4,
    /// Matroska or WebM.
    Matroska,
    /// Flash video.
    Flv,
    /// Packets of audio without a container: MP3 or AAC.
    Audio,
    /// Nothing came.
    Empty,
    /// None of these.
    Unknown,
}

impl Content {
    /// A word for API answers and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TransportStream => "TS",
            Self::HlsPlaylist => "HLS",
            Self::Dash => "DASH",
            Self::Html => "HTML",
            Self::Json => "JSON",
            Self::Mp4 => "MP4",
            Self::Matroska => "MKV",
            Self::Flv => "FLV",
            Self::Audio => "audio",
            Self::Empty => "nothing",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it is a file to be passed through rather than a stream to be relayed.
    #[must_use]
    pub fn is_file(self) -> bool {
        matches!(self, Self::Mp4 | Self::Matroska | Self::Flv)
    }
}

/// What `head` is the beginning of; `None` while more bytes could tell. `over` says that no more will come.
#[must_use]
pub fn sniff(head: &[u8], over: bool) -> Option<Content> {
    let enough = over || head.len() >= SNIFF_BYTES;
    let text = head
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(head)
        .trim_ascii_start();
    // Names first: a long playlist or film has three bytes 0x47 a packet apart by chance.
    if let Some(named) = named(head, text) {
        return Some(named);
    }
    if is_transport_stream(head) {
        return Some(Content::TransportStream);
    }
    if text.is_empty() {
        return enough.then_some(if head.is_empty() {
            Content::Empty
        } else {
            Content::Unknown
        });
    }
    if text.starts_with(b"<") {
        return markup(text, enough);
    }
    if text.starts_with(b"{") {
        return Some(Content::Json);
    }
    if NAMES.iter().any(|(name, _)| name.starts_with(text)) && !over {
        return None;
    }
    if head.starts_with(b"ID3") || is_audio_frame(head) {
        return Some(Content::Audio);
    }
    enough.then_some(Content::Unknown)
}

/// What formats with a name of their own begin with.
const NAMES: [(&[u8], Content); 3] = [
    (b"#EXTM3U", Content::HlsPlaylist),
    (b"\x1A\x45\xDF\xA3", Content::Matroska),
    (b"FLV\x01", Content::Flv),
];

fn named(head: &[u8], text: &[u8]) -> Option<Content> {
    if head.get(4..8) == Some(b"ftyp") {
        return Some(Content::Mp4);
    }
    NAMES
        .iter()
        .find(|(name, _)| text.starts_with(name))
        .map(|(_, content)| *content)
}

/// What begins with `<`. A manifest names itself behind the declaration and comments, which a page may begin with too.
fn markup(text: &[u8], enough: bool) -> Option<Content> {
    let is_tag =
        |at: &[u8]| at.starts_with(b"<MPD") && at.get(4).is_none_or(|next| !next.is_ascii_alphanumeric());
    if (0..text.len()).any(|at| text.get(at..).is_some_and(is_tag)) {
        return Some(Content::Dash);
    }
    let may_be = [&b"<?xml"[..], b"<!--", b"<MPD"];
    let may_be = may_be
        .iter()
        .any(|sign| text.starts_with(sign) || sign.starts_with(text));
    (enough || !may_be).then_some(Content::Html)
}

/// Three sync bytes a packet apart, at any place: 188 bytes (2.4.3.2), 192 (with a time stamp before each packet) or
/// 204 (with 16 bytes of parity behind it).
fn is_transport_stream(head: &[u8]) -> bool {
    let at = |index: usize| head.get(index) == Some(&SYNC);
    (0..head.len()).any(|start| {
        at(start)
            && [188, 192, 204]
                .iter()
                .any(|stride| at(start + stride) && at(start + 2 * stride))
    })
}

/// An ADTS (ISO 14496-3 1.A.2.2) or MPEG audio (ISO 11172-3 2.4.2.3) header: twelve or eleven set bits and a layer.
fn is_audio_frame(head: &[u8]) -> bool {
    matches!(head, [0xFF, second, third, ..] if second & 0xE0 == 0xE0 && second & 0x18 != 0x08 && *third != 0xFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(stride: usize, lead: usize) -> Vec<u8> {
        let mut bytes = vec![0u8; lead + stride * 6];
        for packet in 0..6 {
            bytes[lead + packet * stride] = SYNC;
        }
        bytes
    }

    #[test]
    fn content_is_known_by_its_bytes() {
        let cases: [(&[u8], Content); 17] = [
            (b"#EXTM3U\n#EXT-X-VERSION:3\n", Content::HlsPlaylist),
            (b"\xEF\xBB\xBF\r\n#EXTM3U\n", Content::HlsPlaylist),
            (b"<html><body>Forbidden", Content::Html),
            (b"  \n<!DOCTYPE html>", Content::Html),
            (b"<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\">", Content::Dash),
            (b"\n<?xml version=\"1.0\"?>\n<!-- made --><MPD>", Content::Dash),
            (b"<?xml version=\"1.0\"?><smil/>", Content::Html),
            (b"<MPDX>", Content::Html),
            (b"{\"user_info\":{\"auth\":0}}", Content::Json),
            (b"\0\0\0\x18ftypisom", Content::Mp4),
            (b"\x1A\x45\xDF\xA3\x01\0", Content::Matroska),
            (b"FLV\x01\x05", Content::Flv),
            (b"ID3\x04\0\0", Content::Audio),
            (b"\xFF\xF1\x50\x80\x02", Content::Audio),
            (b"", Content::Empty),
            (b"Gone", Content::Unknown),
            (b"#EXT", Content::Unknown),
        ];
        for (head, expected) in cases {
            assert_eq!(sniff(head, true), Some(expected), "{head:?}");
        }
        for (stride, lead) in [(188, 0), (188, 77), (192, 4), (204, 0)] {
            assert_eq!(
                sniff(&packets(stride, lead), false),
                Some(Content::TransportStream),
                "{stride} + {lead}"
            );
        }
    }

    #[test]
    fn a_playlist_full_of_sync_bytes_is_a_playlist() {
        let mut playlist = b"#EXTM3U\n".to_vec();
        playlist.extend_from_slice(&packets(188, 0));
        assert_eq!(sniff(&playlist, false), Some(Content::HlsPlaylist));
        let mut film = b"\0\0\0\x18ftypisom".to_vec();
        film.extend_from_slice(&packets(188, 0));
        assert_eq!(sniff(&film, false), Some(Content::Mp4));
    }

    #[test]
    fn little_is_not_judged_before_more_can_come() {
        for head in [
            &b""[..],
            b"#EXT",
            b"\x47",
            b"FL",
            b"\x1A\x45",
            b"<M",
            b"<?xml version",
            b"plain words",
        ] {
            assert_eq!(sniff(head, false), None, "{head:?}");
        }
        assert_eq!(sniff(&[b'x'; SNIFF_BYTES], false), Some(Content::Unknown));
    }
}
