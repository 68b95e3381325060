//! Which stream is tried next.

use std::cmp::Ordering;

use catalog::order::{Candidate, compare, order};

const PLAIN: Candidate = Candidate {
    pinned: false,
    cooling: false,
    signature_distance: 0,
    policy_rank: 1,
    free_slots: 1,
    config_order: 1,
    health: 1,
    position: 1,
};

/// Each line beats every line below it, whatever the fields further right say.
#[test]
fn the_criteria_outrank_each_other_in_turn() {
    let worst = Candidate {
        policy_rank: 9,
        free_slots: 0,
        config_order: 9,
        health: 0,
        position: 9,
        ..PLAIN
    };
    let ranked = [
        Candidate {
            pinned: true,
            cooling: true,
            signature_distance: 3,
            ..worst
        },
        Candidate {
            policy_rank: 0,
            ..worst
        },
        Candidate {
            policy_rank: 1,
            free_slots: 3,
            ..worst
        },
        Candidate {
            policy_rank: 1,
            free_slots: 2,
            config_order: 0,
            ..worst
        },
        Candidate {
            policy_rank: 1,
            free_slots: 2,
            config_order: 1,
            health: 8,
            ..worst
        },
        Candidate {
            policy_rank: 1,
            free_slots: 2,
            config_order: 1,
            health: 7,
            position: 0,
            ..worst
        },
        Candidate {
            policy_rank: 1,
            free_slots: 2,
            config_order: 1,
            health: 7,
            position: 1,
            ..worst
        },
        Candidate {
            signature_distance: 3,
            policy_rank: 0,
            free_slots: 9,
            config_order: 0,
            ..PLAIN
        },
        Candidate {
            cooling: true,
            policy_rank: 0,
            free_slots: 9,
            config_order: 0,
            ..PLAIN
        },
    ];
    for (place, better) in ranked.iter().enumerate() {
        assert_eq!(compare(better, better), Ordering::Equal);
        for worse in &ranked[place + 1..] {
            assert_eq!(compare(better, worse), Ordering::Less, "{better:?} {worse:?}");
            assert_eq!(compare(worse, better), Ordering::Greater);
        }
    }
}

#[test]
fn the_order_is_total_and_does_not_depend_on_the_way_in() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: u32| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        u32::try_from(seed % u64::from(below)).unwrap_or(0)
    };
    for _ in 0..500 {
        let mut candidates: Vec<Candidate> = (0..12)
            .map(|position| Candidate {
                pinned: random(4) == 0,
                cooling: random(2) == 0,
                signature_distance: u8::try_from(random(4)).unwrap(),
                policy_rank: random(2),
                free_slots: random(3),
                config_order: random(2),
                health: random(2),
                position,
            })
            .collect();
        let mut sorted = candidates.clone();
        order(&mut sorted);
        for place in (1..candidates.len()).rev() {
            candidates.swap(place, random(12) as usize % (place + 1));
        }
        order(&mut candidates);
        assert_eq!(candidates, sorted);
        // Strictly ascending in every pair, which is antisymmetry and transitivity at once.
        for (place, a) in sorted.iter().enumerate() {
            assert!(
                sorted[place + 1..]
                    .iter()
                    .all(|b| compare(a, b).is_lt() && compare(b, a).is_gt())
            );
        }
    }
}
