//! Those whom a packager serves: each asks again and again, and is there as long as it does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use relay::Viewer;
use tokio::time::Instant;

use crate::audience::{Asker, Present};

/// One client. Dropping it leaves the audience and the broadcast.
#[derive(Debug)]
struct Client {
    present: Present,
    _viewer: Viewer,
    asked_at: Instant,
    /// It has asked for another channel since.
    zaps: bool,
}

/// The clients of one channel.
#[derive(Debug)]
pub(super) struct Clients {
    by_device: HashMap<Arc<str>, Client>,
    /// When somebody last asked.
    asked_at: Instant,
    /// Nobody is let in any more.
    closed: bool,
}

impl Clients {
    pub(super) fn new() -> Self {
        Self {
            by_device: HashMap::new(),
            asked_at: Instant::now(),
            closed: false,
        }
    }

    /// Notes that a client asked; says whether it is one of these.
    pub(super) fn attend(&mut self, asker: &Asker) -> bool {
        let device = asker.client().device;
        let Some(client) = self.by_device.get_mut(&device) else {
            return false;
        };
        if client.present.is_stopped() {
            self.by_device.remove(&device);
            return false;
        }
        client.asked_at = Instant::now();
        client.zaps = false;
        self.asked_at = client.asked_at;
        true
    }

    /// Whether nobody is let in any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Lets a client in.
    pub(super) fn join(&mut self, asker: &Asker, (present, mut viewer): (Present, Viewer)) {
        self.asked_at = Instant::now();
        viewer.only_attends();
        let client = Client {
            present,
            _viewer: viewer,
            asked_at: self.asked_at,
            zaps: false,
        };
        self.by_device.insert(asker.client().device, client);
    }

    /// A client asks for another channel: most likely it has left this one, unless it goes on asking for it, as another
    /// player at the same address would.
    pub(super) fn zap(&mut self, asker: &Asker) {
        if let Some(client) = self.by_device.get_mut(&asker.client().device) {
            client.zaps = true;
        }
    }

    /// Lets those go who have not asked for so long, or must; those who ask for another channel do so after `zap`. Says
    /// whether anybody asked since then.
    pub(super) fn sweep(&mut self, linger: Duration, zap: Duration) -> bool {
        let now = Instant::now();
        self.by_device.retain(|_, client| {
            let linger = if client.zaps { linger.min(zap) } else { linger };
            !client.present.is_stopped() && client.asked_at + linger > now
        });
        self.asked_at + linger > now
    }

    /// Lets everybody go, and nobody in any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.by_device.clear();
    }
}
