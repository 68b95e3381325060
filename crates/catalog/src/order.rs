//! Which stream of a channel is tried next: one pure comparator, used for the first open and for every failover.
//!
//! Not here: what can be opened now. A candidate without a slot is skipped by the caller, not put elsewhere.

use std::cmp::{Ordering, Reverse};

/// What is known of one stream at the moment of choosing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The operator put this stream first.
    pub pinned: bool,
    /// It failed lately and is left alone for a while.
    pub cooling: bool,
    /// How far its programme is from what viewers were promised: 0 the same, or nothing is known of it; the greater, the
    /// more players notice.
    pub signature_distance: u8,
    /// Place by quality or source policy; 0 is best, and all are 0 without a policy.
    pub policy_rank: u32,
    /// Connections the login can still open.
    pub free_slots: u32,
    /// Place of its source in the config; 0 is first.
    pub config_order: u32,
    /// Fading score of how well it did; more is better. The scale is the caller's.
    pub health: u32,
    /// Place in the channel's stream list. It differs between any two streams of a channel, which makes the order
    /// total.
    pub position: u32,
}

/// `Less` means `a` is tried before `b`: pin, then not cooling, nearest signature, policy, most free slots, config
/// order, health, and last the place in the channel's list.
pub fn compare(a: &Candidate, b: &Candidate) -> Ordering {
    sort_key(a).cmp(&sort_key(b))
}

/// Sorts the best candidate to the front.
pub fn order(candidates: &mut [Candidate]) {
    candidates.sort_by(compare);
}

fn sort_key(c: &Candidate) -> impl Ord + use<> {
    (
        Reverse(c.pinned),
        c.cooling,
        c.signature_distance,
        c.policy_rank,
        Reverse(c.free_slots),
        c.config_order,
        Reverse(c.health),
        c.position,
    )
}
