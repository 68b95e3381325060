//! Any bytes as a playlist, then followed: no panic, every segment once.
#![no_main]

use std::time::Duration;

use hls::Playlist;
use hls::follow::{Config, Follower};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    match hls::playlist::parse(text) {
        Err(_) => {}
        Ok(Playlist::Multivariant(multivariant)) => {
            assert_eq!(multivariant.choose(Some(1)).is_none(), multivariant.variants.is_empty());
            let _ = hls::unsupported(&multivariant);
        }
        Ok(Playlist::Media(media)) => {
            let _ = hls::unsupported(&media);
            let mut follower = Follower::new(Config::default());
            follower.on_playlist(&media, Duration::ZERO, Duration::ZERO);
            let mut count = 0;
            while follower.next_segment().is_some() {
                count += 1;
            }
            assert!(count <= media.segments.len());
            follower.on_playlist(&media, Duration::from_secs(6), Duration::from_secs(6));
            assert!(follower.next_segment().is_none());
        }
    }
});
