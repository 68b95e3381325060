//! Whose turn it is, where a variant's sound is in playlists of its own: all of them share one connection.
//!
//! Sound comes before the pictures it belongs to: it is small, and pictures can then go out as they come instead of
//! waiting for it in memory.

use std::time::Duration;

use crate::follow::{Due, Follower};

/// What a session does next; playlists are named by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Fetch the next segment of this playlist.
    Segment(usize),
    /// Load this playlist.
    Load(usize),
    /// Nothing before this time.
    Wait(Duration),
    /// This playlist has had nothing new for too long.
    Stale(usize),
    /// The pictures have ended.
    Ended,
}

/// Decides what is next. The first of `followers` is the variant's own playlist, the others are its sounds.
#[must_use]
pub fn next(followers: &[&Follower], now: Duration) -> Turn {
    let Some((main, sounds)) = followers.split_first() else {
        return Turn::Ended;
    };
    let due = |follower: &Follower| follower.due(now);
    // Half a segment of sound beyond the pictures that went out: enough for the ends of segments not to meet exactly.
    let lacking = |sound: &Follower| {
        sound.covered()
            < main
                .covered()
                .saturating_add(sound.target().unwrap_or_default() / 2)
    };
    let sounds = || (1..).zip(sounds.iter().copied());
    let wants_segment = sounds()
        .filter(|(_, sound)| due(sound) == Due::Segment && lacking(sound))
        .min_by_key(|(_, sound)| sound.covered());
    if let Some((index, _)) = wants_segment {
        return Turn::Segment(index);
    }
    if let Some((index, _)) = sounds().find(|(_, sound)| due(sound) == Due::Stale) {
        return Turn::Stale(index);
    }
    if let Some((index, _)) = sounds().find(|(_, sound)| due(sound) == Due::Load) {
        return Turn::Load(index);
    }
    match main.due(now) {
        Due::Segment => Turn::Segment(0),
        Due::Load => Turn::Load(0),
        Due::Stale => Turn::Stale(0),
        Due::Ended => Turn::Ended,
        Due::At(at) => {
            let others = sounds().filter_map(|(_, sound)| match due(sound) {
                Due::At(at) => Some(at),
                _ => None,
            });
            Turn::Wait(others.fold(at, Duration::min))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::follow::Config;
    use crate::playlist::{MediaPlaylist, Segment};

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn list(first: u64, length: u64, duration: f64) -> MediaPlaylist {
        MediaPlaylist {
            target_duration: 6,
            media_sequence: first,
            segments: vec![
                Segment {
                    uri: "x".to_owned(),
                    duration,
                    ..Segment::default()
                };
                usize::try_from(length).unwrap()
            ],
            ..MediaPlaylist::default()
        }
    }

    /// Takes turns until there is nothing to do at `now`: what was done, and until when to wait.
    fn play(followers: &mut [Follower], now: Duration) -> (String, Turn) {
        let mut done = String::new();
        loop {
            let turn = next(&followers.iter().collect::<Vec<_>>(), now);
            let Turn::Segment(index) = turn else {
                return (done, turn);
            };
            done.push(['v', 'a', 'b'][index]);
            followers[index].next_segment(now).unwrap();
        }
    }

    fn followers(lists: &[MediaPlaylist]) -> Vec<Follower> {
        let loaded = |list: &MediaPlaylist| {
            let mut follower = Follower::new(Config::default());
            follower.on_playlist(list, s(0), s(0));
            follower
        };
        lists.iter().map(loaded).collect()
    }

    #[test]
    fn sound_comes_before_its_pictures() {
        let mut two = followers(&[list(0, 3, 6.0), list(0, 3, 6.0)]);
        assert_eq!(play(&mut two, s(0)), ("avavav".to_owned(), Turn::Wait(s(6))));
        // Sound in shorter segments, and two of them.
        let mut three = followers(&[list(0, 3, 6.0), list(0, 9, 2.0), list(0, 3, 6.0)]);
        assert_eq!(play(&mut three, s(0)).0, "abavaabavaabava");
    }

    #[test]
    fn pictures_do_not_wait_for_sound_that_is_not_listed_yet() {
        let mut two = followers(&[list(0, 3, 6.0), list(0, 2, 6.0)]);
        assert_eq!(play(&mut two, s(0)).0, "avavv");
        assert_eq!(
            play(&mut two, s(6)).1,
            Turn::Load(1),
            "both are due; the sound first"
        );
        two[1].on_playlist(&list(0, 4, 6.0), s(6), s(6));
        assert_eq!(play(&mut two, s(6)), ("aa".to_owned(), Turn::Load(0)));
    }

    #[test]
    fn no_sound_for_too_long_is_a_failure() {
        let mut two = followers(&[list(0, 3, 6.0), list(0, 3, 6.0)]);
        play(&mut two, s(0));
        two[0].on_playlist(&list(1, 3, 6.0), s(18), s(18));
        two[1].on_playlist(&list(0, 3, 6.0), s(18), s(18));
        assert_eq!(play(&mut two, s(18)), (String::new(), Turn::Stale(1)));
    }
}
