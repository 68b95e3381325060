//! The reader that judges playlists in the other tests is judged itself.

#[path = "../../mainstem/tests/support/playlist.rs"]
mod playlist;

use std::time::Duration;

use playlist::Watch;

/// The judge sees what is wrong: otherwise it says nothing of what is right.
#[test]
fn the_judge_sees_what_the_standard_forbids() {
    let version = |first: u64| {
        let segment = |number: u64| {
            let second = 4 * (number - 7);
            format!(
                "#EXT-X-PROGRAM-DATE-TIME:2026-11-25T17:00:{second:02}.000Z\n#EXTINF:4.000000,\n{number}.ts\n"
            )
        };
        let segments: String = (first..first + 4).map(segment).collect();
        format!(
            "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{first}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:1\n{segments}"
        )
    };
    let (first, next) = (version(7), version(8));
    let judge = |next: &str, after: u64| {
        let mut watch = Watch::default();
        assert_eq!(watch.see(Duration::ZERO, &first).unwrap().len(), 4);
        watch
            .see(Duration::from_secs(after), next)
            .map(|fresh| fresh.len())
    };
    assert_eq!(judge(&next, 4), Ok(1));
    assert_eq!(judge(&first, 4), Ok(0));
    for (from, to) in [
        ("VERSION:3", "VERSION:2"),
        ("VERSION:3", "VERSION:7"),
        ("#EXT-X-MEDIA-", "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MEDIA-"),
        ("TARGETDURATION:4", "TARGETDURATION:5"),
        ("TARGETDURATION:4", "TARGETDURATION:3"),
        ("MEDIA-SEQUENCE:8", "MEDIA-SEQUENCE:6"),
        ("MEDIA-SEQUENCE:8", "MEDIA-SEQUENCE:7"),
        ("MEDIA-SEQUENCE:8", "MEDIA-SEQUENCE:30"),
        ("DISCONTINUITY-SEQUENCE:1", "DISCONTINUITY-SEQUENCE:2"),
        ("\n9.ts", "\nother.ts"),
        ("\n11.ts", "\n10.ts"),
        ("#EXTINF:4.000000,\n9.ts", "#EXTINF:3.900000,\n9.ts"),
        ("#EXTINF:4.000000,\n11.ts", "#EXTINF:4.600000,\n11.ts"),
        ("#EXTINF:4.000000,\n11.ts\n", ""),
        (
            "#EXTINF:4.000000,\n8.ts",
            "#EXT-X-DISCONTINUITY\n#EXTINF:4.000000,\n8.ts",
        ),
        ("#EXT-X-PROGRAM-DATE-TIME:2026-11-25T17:00:04.000Z\n", ""),
        ("#EXT-X-PROGRAM-DATE-TIME:2026-11-25T17:00:08.000Z\n", ""),
        ("T17:00:16.000Z", "T17:00:17.000Z"),
        ("\n11.ts\n", "\n11.ts\n#EXT-X-ENDLIST\n"),
        ("#EXTM3U\n", "\u{feff}#EXTM3U\n"),
    ] {
        assert!(next.contains(from), "{from}");
        let wrong = next.replace(from, to);
        assert!(judge(&wrong, 4).is_err(), "{from} became {to}");
    }
    assert!(judge(&next, 1).is_err(), "too early");
    assert!(judge(&next, 7).is_err(), "too late");
    assert!(judge(&first, 7).is_err(), "it stands still");
}
