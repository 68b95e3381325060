//! Addresses that lists contain and that are not played, with the reason. Pure.

use catalog::Channel;

use super::datagram;

/// What an MPEG-DASH manifest is answered with, by its name or by its content.
pub const DASH: &str = "DASH (MPD) is not supported";

/// Schemes of addresses that are not played, and why.
const SCHEMES: [(&str, &str); 14] = [
    ("rtmp", "RTMP addresses are not supported"),
    ("rtmps", "RTMP addresses are not supported"),
    ("rtmpe", "RTMP addresses are not supported"),
    ("rtmpt", "RTMP addresses are not supported"),
    ("rtsp", "RTSP addresses are not supported"),
    ("rtsps", "RTSP addresses are not supported"),
    ("srt", "SRT addresses are not supported"),
    ("mms", "MMS addresses are not supported"),
    ("mmsh", "MMS addresses are not supported"),
    ("mmst", "MMS addresses are not supported"),
    ("plugin", "addresses of a player's plugins are not supported"),
    ("ftp", "FTP addresses are not supported"),
    ("file", "addresses of local files are not supported"),
    ("acestream", "Ace Stream addresses are not supported"),
];

/// Why an address cannot be played, whatever it leads to; `None` where it may be.
#[must_use]
pub fn unsupported(url: &str) -> Option<&'static str> {
    if let Some(address) = datagram::Address::parse(url) {
        return address.err();
    }
    let (scheme, rest) = url.trim_start().split_once("://")?;
    let is_of = |(known, _): &&(&str, &str)| known.eq_ignore_ascii_case(scheme);
    if let Some((_, reason)) = SCHEMES.iter().find(is_of) {
        return Some(reason);
    }
    let path = rest.split(['?', '#']).next().unwrap_or_default().trim_end();
    let is_manifest = path
        .rsplit_once('.')
        .is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("mpd"));
    is_manifest.then_some(DASH)
}

/// Why a channel can never be played: what is said of its first stream, where none can. `None` where one may be.
#[must_use]
pub fn unplayable(channel: &Channel) -> Option<&'static str> {
    let mut reasons = channel.streams().map(|stream| unsupported(stream.url().expose()));
    let first = reasons.next()??;
    reasons.all(|reason| reason.is_some()).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_be_played_are_told_by_their_kind() {
        for (url, expected) in [
            ("rtsp://h.example:554/1", Some("RTSP addresses are not supported")),
            ("UDP://@239.0.1.1:1234", None),
            (
                "udp://@224.0.0.1:1234",
                Some("UDP and RTP groups 224.0.0.x are the network's own"),
            ),
            (
                "plugin://plugin.video.x/?y=http://h/1.ts",
                Some("addresses of a player's plugins are not supported"),
            ),
            ("https://h.example/live/1.mpd?token=a.b", Some(DASH)),
            ("https://h.example/live/1.MPD", Some(DASH)),
            ("http://h.example/live/1.ts?next=1.mpd", None),
            ("http://h.example/mpd", None),
            ("http://h.example/udp://239.0.0.1:1234", None),
            ("mainstem:testcard", None),
            ("http://h.example/live/u/p/1.ts", None),
            ("", None),
        ] {
            assert_eq!(unsupported(url), expected, "{url}");
        }
    }
}
