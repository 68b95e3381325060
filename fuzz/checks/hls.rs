//! What the targets of `hls` check of any input. The ordinary tests run the same checks over playlists of the field.

use std::time::Duration;

use hls::define::Outside;
use hls::follow::{Config, Due, Follower};
use hls::packed::Packed;
use hls::playlist::{MediaPlaylist, Playlist};
use hls::tables::Tables;
use hls::variant::Ladder;

/// Any bytes as a playlist, then followed: every segment once, and one who may only wait does not wait in the past. Where it
/// leads to playlists, it is one of those too, with the variables that it has.
pub(crate) fn playlist(text: &[u8]) {
    let parameters = [("token".to_owned(), "a=b".to_owned())];
    let of_itself = Outside {
        imported: None,
        parameters: &parameters,
    };
    let parsed = hls::playlist::parse_from(text, of_itself);
    if let Ok(Playlist::Multivariant(list)) = &parsed {
        let imported = Some(&list.definitions);
        drop(hls::playlist::parse_from(
            text,
            Outside {
                imported,
                ..of_itself
            },
        ));
    }
    match parsed {
        Err(_) => {}
        Ok(Playlist::Leads(uri)) => assert!(!uri.is_empty()),
        Ok(Playlist::Multivariant(list)) => {
            for limit in [None, Some(0), Some(1_000_000)] {
                let rungs = list.ladder(limit);
                assert_eq!(rungs.is_empty(), list.variants.is_empty());
                let Some(mut ladder) = Ladder::new(rungs) else {
                    continue;
                };
                while ladder.give_up() {}
                assert!(ladder.current().is_some());
            }
        }
        Ok(Playlist::Media(media)) => follow(&media),
    }
}

fn follow(media: &MediaPlaylist) {
    drop(hls::unsupported(media));
    let mut follower = Follower::new(Config::default());
    let now = Duration::from_secs(1);
    follower.on_playlist(media, Duration::ZERO, now);
    let (mut count, mut last) = (0, None);
    while let Some(request) = follower.next_segment(now) {
        assert!(last.is_none_or(|last| last < request.sequence));
        assert!(request.range.is_none_or(|range| range.length() > 0));
        last = Some(request.sequence);
        count += 1;
    }
    assert!(count <= media.segments.len());
    if let Due::At(at) = follower.due(now) {
        assert!(at > now);
    }
    follower.on_playlist(media, Duration::from_secs(6), Duration::from_secs(6));
    assert!(follower.next_segment(Duration::from_secs(6)).is_none());
    follower.change_playlist();
    follower.on_playlist(media, Duration::from_secs(9), Duration::from_secs(9));
}

/// Any bytes in any division as a segment of bare sound: no byte is used twice, time does not run backwards within it. As
/// a segment of a transport stream: what goes before it is whole packets. The first byte is the division.
pub(crate) fn segment(input: &[u8]) {
    let Some((step, bytes)) = input.split_first() else {
        return;
    };
    let mut packed = Packed::new();
    let mut used = 0;
    for part in bytes.chunks(usize::from(*step).max(1)) {
        packed.push(part);
        while let Some(frame) = packed.take() {
            used += frame.data.len() as u64;
        }
    }
    assert!(used + packed.bytes_skipped() <= bytes.len() as u64);
    let mut tables = Tables::default();
    for _ in 0..2 {
        let before = tables.before(bytes);
        assert_eq!(before.len() % mpegts::PACKET_BYTES, 0);
    }
}
