//! Which faults are set, for whom, and how often they still strike. What they do is acted out elsewhere.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::fault::{Fault, List, ListFault};

/// Whose requests a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Account(String),
    Stream(String),
}

/// What a stream request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Progressive,
    Playlist,
    Segment,
}

impl Asked {
    fn knows(self, fault: &Fault) -> bool {
        match fault {
            Fault::HlsFrozen | Fault::HlsKey | Fault::HlsMap => self == Self::Playlist,
            Fault::HlsSegments404 => self == Self::Segment,
            Fault::Redirect { .. } => self != Self::Segment,
            Fault::Stall(_) | Fault::Eof(_) | Fault::Rst(_) | Fault::Garbage => self != Self::Playlist,
            Fault::Trickle(_)
            | Fault::Bursts(_)
            | Fault::WireSpeed
            | Fault::SyncLoss
            | Fault::BlackClip(_)
            | Fault::Mp4
            | Fault::Ranges(_)
            | Fault::Head(_) => self == Self::Progressive,
            _ => true,
        }
    }
}

/// A fault that strikes a request, and since when it is set.
#[derive(Clone, Debug)]
pub(crate) struct Strike {
    pub(crate) fault: Fault,
    pub(crate) since: Instant,
}

#[derive(Debug)]
struct Armed {
    strike: Strike,
    left: Option<u32>,
}

#[derive(Debug)]
struct ArmedList {
    account: String,
    list: Option<List>,
    fault: ListFault,
    left: Option<u32>,
}

#[derive(Debug, Default)]
struct Faults {
    streams: HashMap<Target, Vec<Armed>>,
    lists: Vec<ArmedList>,
}

/// All faults set.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Faults>);

impl Board {
    /// Sets a fault; one of the same kind gives way. `times`: how many requests it strikes, `None` for all.
    pub(crate) fn set(&self, target: Target, fault: Fault, times: Option<u32>) {
        let mut faults = self.lock();
        let armed = faults.streams.entry(target).or_default();
        armed.retain(|a| std::mem::discriminant(&a.strike.fault) != std::mem::discriminant(&fault));
        armed.push(Armed {
            strike: Strike {
                fault,
                since: Instant::now(),
            },
            left: times,
        });
    }

    pub(crate) fn clear(&self, target: &Target) {
        self.lock().streams.remove(target);
    }

    pub(crate) fn set_list(&self, account: &str, list: Option<List>, fault: ListFault, times: Option<u32>) {
        let mut faults = self.lock();
        faults.lists.retain(|a| a.account != account || a.list != list);
        faults.lists.push(ArmedList {
            account: account.to_owned(),
            list,
            fault,
            left: times,
        });
    }

    pub(crate) fn clear_lists(&self, account: &str) {
        self.lock().lists.retain(|a| a.account != account);
    }

    /// What strikes one stream request, the stream's faults first. A fault the request has no use for is not used up.
    pub(crate) fn strike(&self, account: &str, stream: &str, request: Asked) -> Vec<Strike> {
        let mut faults = self.lock();
        let mut struck: Vec<Strike> = Vec::new();
        for target in [
            Target::Stream(stream.to_owned()),
            Target::Account(account.to_owned()),
        ] {
            let Some(armed) = faults.streams.get_mut(&target) else {
                continue;
            };
            for a in armed.iter_mut().filter(|a| request.knows(&a.strike.fault)) {
                struck.push(a.strike.clone());
                a.left = a.left.map(|n| n.saturating_sub(1));
            }
            armed.retain(|a| a.left != Some(0));
        }
        struck
    }

    /// What strikes one list request: a fault set for that list before one set for all.
    pub(crate) fn strike_list(&self, account: &str, list: List) -> Option<ListFault> {
        let mut faults = self.lock();
        let at = [Some(list), None].into_iter().find_map(|wanted| {
            faults
                .lists
                .iter()
                .position(|a| a.account == account && a.list == wanted)
        })?;
        let armed = faults.lists.get_mut(at)?;
        let fault = armed.fault.clone();
        armed.left = armed.left.map(|n| n.saturating_sub(1));
        if armed.left == Some(0) {
            faults.lists.swap_remove(at);
        }
        Some(fault)
    }

    fn lock(&self) -> MutexGuard<'_, Faults> {
        // Every change leaves the board whole, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
