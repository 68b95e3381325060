use std::sync::Arc;

use super::*;

fn media(text: &str) -> MediaPlaylist {
    match parse(text.as_bytes()) {
        Ok(Playlist::Media(media)) => media,
        other => panic!("{text}: {other:?}"),
    }
}

fn multivariant(text: &str) -> MultivariantPlaylist {
    match parse(text.as_bytes()) {
        Ok(Playlist::Multivariant(multivariant)) => multivariant,
        other => panic!("{text}: {other:?}"),
    }
}

const LIVE: &str = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:100\n\
    #EXT-X-DISCONTINUITY-SEQUENCE:2\n#EXTINF:6.006,title, with comma\n100.ts?t=a,b\n#EXT-X-DISCONTINUITY\n\
    #EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000+0200\n#EXT-X-CUE-OUT:30\n#EXTINF:4,\n#EXT-X-BYTERANGE:10@20\n\
    101.webp\n#EXT-X-KEY:METHOD=AES-128,URI=\"k?a=1,2\",IV=0x01\n#EXT-X-MAP:URI=\"i\",BYTERANGE=\"5@0\"\n\
    #EXTINF:5\n#EXT-X-GAP\nhttp://other/102\n#EXT-X-KEY:METHOD=NONE\n#EXTINF:5,\n103.ts\n";

fn live() -> MediaPlaylist {
    let segment = |uri: &str, duration| Segment {
        uri: uri.to_owned(),
        duration,
        ..Segment::default()
    };
    let key = Some(Arc::new(Key {
        method: "AES-128".to_owned(),
        uri: Some("k?a=1,2".to_owned()),
        iv: Some(1_u128.to_be_bytes()),
        format: "identity".to_owned(),
    }));
    let map = Some(Arc::new(Map {
        uri: "i".into(),
        byte_range: Some(ByteRange {
            length: 5,
            offset: Some(0),
        }),
        key: key.clone(),
    }));
    MediaPlaylist {
        target_duration: 6,
        media_sequence: 100,
        discontinuity_sequence: Some(2),
        ended: false,
        segments: vec![
            segment("100.ts?t=a,b", 6.006),
            Segment {
                discontinuity: true,
                program_date_time: Some("2026-01-01T00:00:00.000+0200".to_owned()),
                byte_range: Some(ByteRange {
                    length: 10,
                    offset: Some(20),
                }),
                ..segment("101.webp", 4.0)
            },
            Segment {
                gap: true,
                key,
                map: map.clone(),
                ..segment("http://other/102", 5.0)
            },
            Segment {
                map,
                ..segment("103.ts", 5.0)
            },
        ],
    }
}

#[test]
fn a_media_playlist() {
    assert_eq!(media(LIVE), live());
}

#[test]
fn line_ends_and_marks_do_not_matter() {
    for text in [
        LIVE.replace('\n', "\r\n"),
        LIVE.replace('\n', "\r"),
        LIVE.replace('\n', " \n\n"),
        format!("\u{feff}{LIVE}"),
        format!("\n {LIVE}"),
        LIVE.trim_end().to_owned(),
        LIVE.replace("#EXTM3U\n", ""),
    ] {
        assert_eq!(media(&text), live(), "{text}");
    }
}

#[test]
fn the_order_of_tags_does_not_matter() {
    let head = "#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:100\n#EXT-X-DISCONTINUITY-SEQUENCE:2\n";
    let rest = LIVE.replace(head, "");
    assert_eq!(media(&format!("{rest}{head}")), live());
    let moved =
        "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n#EXT-X-DISCONTINUITY\n#EXT-X-KEY:METHOD=X\na\n";
    let segment = &media(moved).segments[0];
    assert!(segment.discontinuity && segment.key.is_some());
}

#[test]
fn durations_and_numbers_of_the_field() {
    let of = |target: &str, inf: &str| {
        let media = media(&format!(
            "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:x\n{target}\n#EXTINF:{inf}\na\n#EXT-X-ENDLIST"
        ));
        assert_eq!(
            (media.segments.len(), media.media_sequence, media.ended),
            (1, 0, true),
            "{target} {inf}"
        );
        (media.target_duration, media.segments[0].duration)
    };
    assert_eq!(of("#EXT-X-TARGETDURATION:10", "9,x"), (10, 9.0));
    assert_eq!(of("#EXT-X-TARGETDURATION:9.2", "9"), (10, 9.0));
    assert_eq!(of("#EXT-X-TARGETDURATION:0", "4.6,"), (5, 4.6));
    assert_eq!(of("", "-1,x"), (1, 0.0));
    assert_eq!(of("#EXT-X-TARGETDURATION:1e300", "inf"), (86_400, 0.0));
    assert_eq!(of("", "junk"), (1, 0.0));
}

#[test]
fn a_multivariant_playlist() {
    let playlist = multivariant(
        "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,URI=\"a.m3u8\"\n\
         #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"x\",URI=\"s.m3u8\"\n\
         #EXT-X-STREAM-INF:BANDWIDTH=5000000,CODECS=\"avc1.64001f, mp4a.40.2\",RESOLUTION=1920x1080,AUDIO=\"a\"\n\
         # comment\nhi\n\
         #EXT-X-STREAM-INF:RESOLUTION=640x360\nno-bandwidth\n\
         #EXT-X-STREAM-INF:BANDWIDTH=much,AVERAGE-BANDWIDTH=700\naverage\n\
         #EXT-X-STREAM-INF: BANDWIDTH=900 , URL=http://x/?a=b, RESOLUTION=?\nodd\n",
    );
    let found: Vec<_> = playlist
        .variants
        .iter()
        .map(|v| (v.uri.as_str(), v.bandwidth, v.resolution))
        .collect();
    assert_eq!(
        found,
        [
            ("hi", 5_000_000, Some((1920, 1080))),
            ("no-bandwidth", 0, Some((640, 360))),
            ("average", 700, None),
            ("odd", 900, None)
        ]
    );
    assert_eq!(playlist.variants[0].codecs, ["avc1.64001f", "mp4a.40.2"]);
    let [audio] = playlist.audio.as_slice() else {
        panic!("{:?}", playlist.audio)
    };
    assert_eq!(
        (audio.group.as_str(), audio.uri.as_deref(), audio.is_default),
        ("a", Some("a.m3u8"), true)
    );
    assert_eq!(playlist.variants[0].audio_group.as_deref(), Some("a"));
}

#[test]
fn what_is_no_playlist_is_refused() {
    for (text, expected) in [
        ("", Error::NotAPlaylist),
        ("<html>", Error::NotAPlaylist),
        ("#EXTM3U\n", Error::Empty),
        // Which of several channels was meant nobody can say.
        (
            "#EXTM3U\n#EXTINF:-1 tvg-id=\"a\",A\nhttp://h/1\n#EXTINF:-1,B\nhttp://h/2\n",
            Error::NotAPlaylist,
        ),
    ] {
        assert_eq!(parse(text.as_bytes()), Err(expected), "{text}");
    }
    assert_eq!(parse(&vec![b'#'; PLAYLIST_BYTES_MAX + 1]), Err(Error::TooLong));
    assert!(
        media("#EXTM3U\n#EXT-X-TARGETDURATION:6\n").segments.is_empty(),
        "a live playlist may begin empty"
    );
}

/// xorshift64*: repeatable noise.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % bound.max(1)
    }
}

#[test]
fn mangled_playlists_keep_the_invariants() {
    let mut noise = Noise(0xA076_1D64_78BD_642F);
    for _ in 0..20_000 {
        let mut text = LIVE.as_bytes().to_vec();
        for _ in 0..=noise.below(6) {
            let at = noise.below(text.len());
            match noise.below(3) {
                0 => text[at] = b"\"#:=,@9-e\n\r\0\xff"[noise.below(13)],
                1 => drop(text.remove(at)),
                _ => {
                    let piece: Vec<u8> = text[at..].iter().copied().take(noise.below(30)).collect();
                    let to = noise.below(text.len());
                    text.splice(to..to, piece);
                }
            }
        }
        let Ok(Playlist::Media(media)) = parse(&text) else {
            continue;
        };
        assert!(media.target_duration >= 1);
        for segment in &media.segments {
            assert!(
                (0.0..=DURATION_MAX).contains(&segment.duration) && !segment.uri.is_empty(),
                "{segment:?}"
            );
            assert!(
                !segment.uri.starts_with('#') && !segment.uri.contains('\n'),
                "{segment:?}"
            );
        }
    }
}
