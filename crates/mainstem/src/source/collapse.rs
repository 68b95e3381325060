//! Lists that suddenly have next to nothing: a provider's fault far more often than its will, and so held back until the
//! next refresh brings about the same, or somebody says that it is right. No clock but the one handed in.

use std::time::SystemTime;

use catalog::{Kind, Listing};

/// Lists of fewer entries change as people edit them, and say nothing of a provider's fault.
const KNOWN_MIN: usize = 10;

/// Two refreshes bring about the same if no kind differs by more than this share of the larger, in percent.
const SAME_WITHIN_PERCENT: usize = 10;

/// Entries of a list by kind: live, films, episodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts([usize; 3]);

impl Counts {
    pub(super) fn of(listing: &Listing) -> Self {
        let mut counts = [0; 3];
        for entry in listing.entries.iter() {
            let place = match entry.kind() {
                Kind::Live => 0,
                Kind::Film => 1,
                Kind::Episode => 2,
            };
            if let Some(count) = counts.get_mut(place) {
                *count += 1;
            }
        }
        Self(counts)
    }

    fn pairs(self, other: Self) -> impl Iterator<Item = (usize, usize)> {
        self.0.into_iter().zip(other.0)
    }

    /// Whether of some kind, or of all together, less than `share` percent is left.
    fn has_collapsed(self, known: Self, share: usize) -> bool {
        let fewer = |found: usize, known: usize| known >= KNOWN_MIN && found * 100 < known * share;
        fewer(self.total(), known.total()) || self.pairs(known).any(|(found, known)| fewer(found, known))
    }

    fn is_about(self, other: Self) -> bool {
        self.pairs(other)
            .all(|(one, two)| one.abs_diff(two) * 100 <= one.max(two) * SAME_WITHIN_PERCENT)
    }

    /// Of all kinds.
    pub(super) fn total(self) -> usize {
        self.0.iter().sum()
    }
}

/// A list that waits to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its entries.
    pub entries: usize,
    /// Entries known before, which stay meanwhile.
    pub known: usize,
    /// When it came first.
    pub since: SystemTime,
}

/// Decides which lists are believed.
#[derive(Debug, Default)]
pub(super) struct Guard {
    held: Option<(Counts, Held)>,
    /// Somebody says that what is held, or the empty list, is right.
    accepted: bool,
}

impl Guard {
    /// Whether a list of `fresh` entries may take the place of one of `known`. `share`: percent, 0 believes everything.
    pub(super) fn judge(
        &mut self,
        fresh: Counts,
        known: Counts,
        share: u32,
        now: SystemTime,
    ) -> Result<(), Held> {
        let share = usize::try_from(share).unwrap_or_default();
        if self.accepted || !fresh.has_collapsed(known, share) {
            *self = Self::default();
            return Ok(());
        }
        match self.held {
            Some((before, _)) if before.is_about(fresh) => {
                *self = Self::default();
                Ok(())
            }
            _ => {
                let held = Held {
                    entries: fresh.total(),
                    known: known.total(),
                    since: now,
                };
                self.held = Some((fresh, held));
                Err(held)
            }
        }
    }

    /// What is held.
    pub(super) fn held(&self) -> Option<Held> {
        self.held.map(|(_, held)| held)
    }

    /// The next list is believed, whatever it is.
    pub(super) fn accept(&mut self) {
        self.accepted = true;
    }

    /// Whether the next list is believed, whatever it is.
    pub(super) fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// The accepted list was taken.
    pub(super) fn taken(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn judged(guard: &mut Guard, fresh: [usize; 3], known: [usize; 3]) -> bool {
        guard.judge(Counts(fresh), Counts(known), 50, NOW).is_ok()
    }

    #[test]
    fn a_collapse_is_believed_when_it_comes_again() {
        let mut guard = Guard::default();
        assert!(!judged(&mut guard, [10, 0, 0], [100, 0, 0]));
        assert_eq!(
            guard.held().map(|held| (held.entries, held.known)),
            Some((10, 100))
        );
        assert!(judged(&mut guard, [11, 0, 0], [100, 0, 0]));
        assert_eq!(guard.held(), None);
    }

    #[test]
    fn another_collapse_begins_anew_and_a_whole_list_ends_it() {
        let mut guard = Guard::default();
        assert!(!judged(&mut guard, [10, 0, 0], [100, 0, 0]));
        assert!(!judged(&mut guard, [30, 0, 0], [100, 0, 0]));
        assert!(judged(&mut guard, [90, 0, 0], [100, 0, 0]));
        assert!(
            !judged(&mut guard, [30, 0, 0], [100, 0, 0]),
            "the whole list ended what was held"
        );
    }

    #[test]
    fn what_was_accepted_is_believed_once() {
        let mut guard = Guard::default();
        guard.accept();
        assert!(judged(&mut guard, [10, 0, 0], [100, 0, 0]));
        assert!(!judged(&mut guard, [1, 0, 0], [100, 0, 0]));
    }

    #[test]
    fn few_live_channels_do_not_hide_behind_many_films() {
        for (fresh, known, believed) in [
            ([5, 1_000, 0], [100, 1_000, 0], false),
            ([50, 1_000, 0], [100, 1_000, 0], true),
            ([100, 0, 0], [100, 1_000, 0], false),
            ([1, 0, 0], [9, 0, 0], true),
            ([0, 8, 0], [8, 8, 0], true),
            ([100, 5_000, 0], [100, 50, 0], true),
        ] {
            assert_eq!(
                judged(&mut Guard::default(), fresh, known),
                believed,
                "{fresh:?} of {known:?}"
            );
        }
    }

    #[test]
    fn a_share_of_nothing_believes_everything() {
        let (fresh, known) = (Counts([1, 0, 0]), Counts([1_000, 0, 0]));
        assert!(Guard::default().judge(fresh, known, 0, NOW).is_ok());
    }
}
