//! What a playlist needs that no reader of mainstem's can have.

use std::fmt;

use crate::playlist::{Key, MediaPlaylist};

/// Something a playlist needs; its text is fit for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feature {
    /// Segments encrypted in a way whose key only a player of the provider's choice is given: SAMPLE-AES, or a
    /// KEYFORMAT other than "identity" (RFC 8216 §4.3.2.4).
    CopyProtection {
        /// The METHOD as written.
        method: String,
        /// The KEYFORMAT as written.
        format: String,
    },
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::CopyProtection { method, format } = self;
        write!(
            f,
            "copy protection (EXT-X-KEY METHOD={method}, KEYFORMAT={format})"
        )
    }
}

/// The first feature of `playlist` that nobody has who is not the provider's own player; `None` when it can be played.
#[must_use]
pub fn unsupported(playlist: &MediaPlaylist) -> Option<Feature> {
    let needs = |key: &Key| {
        (!key.is_plain_aes()).then(|| Feature::CopyProtection {
            method: key.method.clone(),
            format: key.format.clone(),
        })
    };
    playlist.segments.iter().find_map(|segment| {
        let map = segment.map.as_ref().and_then(|map| map.key.as_deref());
        segment
            .key
            .as_deref()
            .and_then(needs)
            .or_else(|| map.and_then(needs))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playlist::{Playlist, parse};

    fn check(tags: &str, expected: Option<&str>) {
        let text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n0\n{tags}\n#EXTINF:6,\n1\n");
        let Playlist::Media(media) = parse(text.as_bytes()).unwrap() else {
            panic!("{text}")
        };
        let found = unsupported(&media).map(|feature| feature.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn what_only_the_providers_player_can_read_is_named() {
        check("#EXT-X-KEY:METHOD=NONE", None);
        check("#EXT-X-KEY:METHOD=AES-128,URI=\"k\"", None);
        check(
            "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"k\"",
            Some("copy protection (EXT-X-KEY METHOD=SAMPLE-AES, KEYFORMAT=identity)"),
        );
        check(
            "#EXT-X-KEY:METHOD=AES-128,URI=\"skd://x\",KEYFORMAT=\"com.apple.x\"",
            Some("copy protection (EXT-X-KEY METHOD=AES-128, KEYFORMAT=com.apple.x)"),
        );
        check(
            "#EXT-X-KEY:METHOD=AES-128",
            Some("copy protection (EXT-X-KEY METHOD=AES-128, KEYFORMAT=identity)"),
        );
        check(
            "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"k\"\n#EXT-X-MAP:URI=\"i\"\n#EXT-X-KEY:METHOD=NONE",
            Some("copy protection (EXT-X-KEY METHOD=SAMPLE-AES, KEYFORMAT=identity)"),
        );
    }
}
