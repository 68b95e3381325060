//! What a playlist needs that a minimal reader (whole, clear MPEG-TS segments) does not have.

use std::fmt;

use crate::playlist::{AudioRendition, MediaPlaylist, MultivariantPlaylist};

/// Something a playlist needs; its text is fit for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feature {
    /// EXT-X-KEY with a METHOD other than NONE (RFC 8216 §4.3.2.4).
    Encryption {
        /// The METHOD as written.
        method: String,
    },
    /// EXT-X-MAP: fMP4 segments or a shared initialisation section (RFC 8216 §4.3.2.5).
    InitialisationSection,
    /// EXT-X-BYTERANGE: several segments in one file (RFC 8216 §4.3.2.2).
    ByteRange,
    /// EXT-X-MEDIA TYPE=AUDIO with a URI: sound in a playlist of its own (RFC 8216 §4.3.4.1).
    SeparateAudio,
    /// A multivariant playlist without a usable EXT-X-STREAM-INF.
    NoVariants,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encryption { method } => write!(f, "encrypted segments (EXT-X-KEY METHOD={method})"),
            Self::InitialisationSection => f.write_str("fMP4 segments (EXT-X-MAP)"),
            Self::ByteRange => f.write_str("segments as parts of one file (EXT-X-BYTERANGE)"),
            Self::SeparateAudio => f.write_str("sound in a playlist of its own (EXT-X-MEDIA TYPE=AUDIO)"),
            Self::NoVariants => f.write_str("a multivariant playlist without variants (EXT-X-STREAM-INF)"),
        }
    }
}

/// A playlist of either kind that can say which features it needs.
pub trait Needs {
    /// The first feature beyond whole, clear MPEG-TS segments.
    fn needs(&self) -> Option<Feature>;
}

impl Needs for MediaPlaylist {
    fn needs(&self) -> Option<Feature> {
        self.segments.iter().find_map(|segment| {
            if let Some(key) = &segment.key {
                return Some(Feature::Encryption {
                    method: key.method.clone(),
                });
            }
            let map = segment.map.is_some().then_some(Feature::InitialisationSection);
            map.or(segment.byte_range.is_some().then_some(Feature::ByteRange))
        })
    }
}

impl Needs for MultivariantPlaylist {
    fn needs(&self) -> Option<Feature> {
        if self.variants.is_empty() {
            return Some(Feature::NoVariants);
        }
        // A variant whose sound is within its own segments suffices.
        let separate = |group: &Option<String>| {
            let in_group = |audio: &&AudioRendition| group.as_deref() == Some(audio.group.as_str());
            let mut renditions = self.audio.iter().filter(in_group).peekable();
            renditions.peek().is_some() && renditions.all(|audio| audio.uri.is_some())
        };
        let all = self.variants.iter().all(|variant| separate(&variant.audio_group));
        all.then_some(Feature::SeparateAudio)
    }
}

/// The first feature `playlist` needs beyond whole, clear MPEG-TS segments; `None` when a minimal reader can play it.
#[must_use]
pub fn unsupported(playlist: &impl Needs) -> Option<Feature> {
    playlist.needs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playlist::{Playlist, parse};

    fn check(text: &str, expected: Option<&str>) {
        let found = match parse(text.as_bytes()).unwrap() {
            Playlist::Media(media) => unsupported(&media),
            Playlist::Multivariant(multivariant) => unsupported(&multivariant),
        };
        assert_eq!(
            found.map(|feature| feature.to_string()).as_deref(),
            expected,
            "{text}"
        );
    }

    #[test]
    fn what_segments_need() {
        for (tag, expected) in [
            ("#EXT-X-KEY:METHOD=NONE", None),
            (
                "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"",
                Some("encrypted segments (EXT-X-KEY METHOD=AES-128)"),
            ),
            (
                "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\"",
                Some("encrypted segments (EXT-X-KEY METHOD=SAMPLE-AES)"),
            ),
            ("#EXT-X-MAP:URI=\"i.mp4\"", Some("fMP4 segments (EXT-X-MAP)")),
            (
                "#EXT-X-BYTERANGE:5@0",
                Some("segments as parts of one file (EXT-X-BYTERANGE)"),
            ),
        ] {
            check(
                &format!("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n0\n{tag}\n#EXTINF:6,\n1\n"),
                expected,
            );
        }
    }

    #[test]
    fn what_variants_need() {
        let audio = "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"n\"";
        let variant = "#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nv\n";
        let separate = Some("sound in a playlist of its own (EXT-X-MEDIA TYPE=AUDIO)");
        check(&format!("#EXTM3U\n{audio}\n{variant}"), None);
        check(&format!("#EXTM3U\n{audio},URI=\"u\"\n{variant}"), separate);
        check(
            &format!("#EXTM3U\n{audio},URI=\"u\"\n{variant}#EXT-X-STREAM-INF:BANDWIDTH=1\nw\n"),
            None,
        );
        check(
            &format!("#EXTM3U\n{audio},URI=\"u\"\n"),
            Some("a multivariant playlist without variants (EXT-X-STREAM-INF)"),
        );
    }
}
