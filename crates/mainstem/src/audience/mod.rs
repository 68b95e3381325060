//! Who watches: counted against `limits.viewers` and each client's own limit, and told to the pools.
//!
//! Lives here: what tells clients apart, the rule how many channels one may watch (`rules`, pure), and the one owner
//! of who is there. Does not live here: users and their passwords, what anybody watches.

mod rules;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use catalog::ChannelId;
use http::header::USER_AGENT;
use http::{HeaderMap, Uri};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use rules::{Client, Rule, Rules};

use crate::slot::{Pools, Subject, Watching};
use rules::{Answer, PresenceId};

/// Bytes of a player's name kept.
const PLAYER_BYTES_MAX: usize = 120;

/// Bytes a device's token may have.
const TOKEN_BYTES_MAX: usize = 64;

/// Parts of a hundred of `limits.viewers` that those may be who watch as HLS from one address. Such a viewer holds no
/// connection, and counts for a while after a single request: with made-up tokens of devices, one client would else be
/// all the viewers there may be. It is a share, and a large one, as a proxy that `trusted_proxies` does not name is one
/// address for everybody behind it.
pub const SESSIONS_PERCENT_PER_ADDRESS: usize = 50;

/// So many may watch as HLS from one address in any case, as far as `limits.viewers` goes: a home behind one address is
/// not to be refused because few are let in altogether.
pub const SESSIONS_PER_ADDRESS_MIN: usize = 20;

/// Parts of a hundred of `limits.viewers` that may watch beyond it, as far as as many have left what they watched as HLS:
/// nothing tells that they have ended it, so that it counts until it runs out, and whoever changes channel would find no
/// room where all is taken.
const LEFT_PERCENT: usize = 10;

/// Bits of an IPv6 address that are one client's: what a home is given at least (RFC 6177), and can choose the rest of.
const NETWORK_BITS: u32 = 64;

/// The parameter of a stream's address that names the device.
pub const DEVICE: &str = "device";

/// Who sent a request, as far as it says so itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// Its address; behind a trusted proxy, the one the proxy names.
    pub address: IpAddr,
    /// What its player calls itself.
    pub player: String,
    /// The token of its device, from the address it asked for.
    pub device: Option<Arc<str>>,
}

impl Asker {
    /// Reads who asks.
    #[must_use]
    pub fn read(address: IpAddr, uri: &Uri, headers: &HeaderMap) -> Self {
        let player = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        Self {
            address,
            player: player
                .unwrap_or_default()
                .chars()
                .take(PLAYER_BYTES_MAX)
                .collect(),
            device: device(uri),
        }
    }

    /// Address and player, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} {}", self.address, self.player).trim().to_owned()
    }

    /// The claim the rules are applied to. Users are not known yet.
    #[must_use]
    pub fn client(&self) -> Client {
        let shown = || Arc::from(self.shown());
        let address = || Arc::from(self.address.to_string());
        Client {
            counted_as: self.device.clone().unwrap_or_else(address),
            token: self.device.clone(),
            device: self.device.clone().unwrap_or_else(shown),
        }
    }
}

/// The device's token in an address, if it has one that can be one.
#[must_use]
pub fn device(uri: &Uri) -> Option<Arc<str>> {
    let pairs = url::form_urlencoded::parse(uri.query()?.as_bytes());
    let (_, token) = pairs.into_iter().find(|(name, _)| name == DEVICE)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let valid = !token.is_empty() && token.len() <= TOKEN_BYTES_MAX && token.bytes().all(is_plain);
    valid.then(|| token.into())
}

/// Why a client is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotServed {
    /// `limits.viewers` is reached.
    #[error("as many viewers as limits.viewers allows are watching")]
    TooMany,
    /// As many watch as HLS from the client's address as [`SESSIONS_PERCENT_PER_ADDRESS`] allows, and
    /// [`SESSIONS_PER_ADDRESS_MIN`].
    #[error("as many HLS viewers as one address may have are watching from there")]
    AddressFull,
    /// The client watches as many channels as it may.
    #[error("this client watches as many channels as limits.channels_per_client allows")]
    ClientFull,
}

#[derive(Debug)]
struct State {
    rules: Rules,
    stops: HashMap<PresenceId, CancellationToken>,
    /// Who watches as HLS, by network.
    sessions: HashMap<Network, Vec<Session>>,
}

impl State {
    /// How many watch, without most of those who have left what they watched as HLS.
    fn watching(&self, viewers_max: usize) -> usize {
        let all = self.rules.len();
        if all < viewers_max {
            return all;
        }
        let sessions = self.sessions.values().flatten();
        let left = sessions.filter(|session| session.is_left).count();
        all - left.min((viewers_max * LEFT_PERCENT).div_ceil(100))
    }
}

/// Somebody who watches as HLS.
#[derive(Debug)]
struct Session {
    id: PresenceId,
    device: Arc<str>,
    /// Its device has begun another one since. Nothing tells that it has ended this one: it runs out.
    is_left: bool,
}

/// Whether as many watch as HLS from one address as may. What their devices have left is not counted, so that a change
/// of channel needs no room; but only as far as half of what is everybody else's place, as a client can leave as many as
/// it likes.
fn is_full(sessions: &[Session], viewers_max: usize) -> bool {
    let share = (viewers_max * SESSIONS_PERCENT_PER_ADDRESS).div_ceil(100);
    let sessions_max = share.max(SESSIONS_PER_ADDRESS_MIN).min(viewers_max);
    let left = sessions.iter().filter(|session| session.is_left).count();
    let left_max = (viewers_max - sessions_max).div_ceil(2);
    sessions.len() - left.min(left_max) >= sessions_max
}

/// The part of an address that tells clients apart.
type Network = IpAddr;

fn network(address: IpAddr) -> Network {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let bits = address.to_bits() >> NETWORK_BITS << NETWORK_BITS;
            std::net::Ipv6Addr::from_bits(bits).into()
        }
    }
}

/// All who watch. Clones are cheap and mean the same people.
#[derive(Debug, Clone)]
pub struct Audience {
    /// Short critical sections, never across an await.
    state: Arc<Mutex<State>>,
    left: Arc<Notify>,
    pools: Pools,
    viewers_max: usize,
    /// How long a client or an address that is full may take to end what it has left already.
    grace: Duration,
}

impl Audience {
    /// Room for `viewers_max`, each client by `rule`.
    #[must_use]
    pub fn new(pools: Pools, viewers_max: usize, rule: Rule, grace: Duration) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                rules: Rules::new(rule),
                stops: HashMap::new(),
                sessions: HashMap::new(),
            })),
            left: Arc::default(),
            pools,
            viewers_max,
            grace,
        }
    }

    /// Lets a client in to watch a channel. Where there is no room it waits a moment: a player that switches channels ends
    /// its old response a little later than it begins the new one.
    ///
    /// # Errors
    /// [`NotServed`] where there is no room.
    pub async fn enter(&self, asker: &Asker, channel: ChannelId) -> Result<Present, NotServed> {
        self.enter_as(asker, channel, None).await
    }

    /// The same for a client that watches without a connection of its own.
    ///
    /// # Errors
    /// [`NotServed`] where there is no room.
    pub async fn enter_session(&self, asker: &Asker, channel: ChannelId) -> Result<Present, NotServed> {
        self.enter_as(asker, channel, Some(network(asker.address))).await
    }

    async fn enter_as(
        &self,
        asker: &Asker,
        channel: ChannelId,
        session: Option<Network>,
    ) -> Result<Present, NotServed> {
        let until = Instant::now() + self.grace;
        let client = asker.client();
        loop {
            let left = self.left.notified();
            let full = match self.try_enter(&client, channel, session) {
                Ok(present) => return Ok(present),
                Err(full) => full,
            };
            if timeout_at(until, left).await.is_err() {
                return Err(full);
            }
        }
    }

    /// How many responses there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().rules.len()
    }

    /// Whether nobody watches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state().rules.is_empty()
    }

    fn try_enter(
        &self,
        client: &Client,
        channel: ChannelId,
        session: Option<Network>,
    ) -> Result<Present, NotServed> {
        let mut state = self.state();
        if let Some(sessions) = session.and_then(|network| state.sessions.get_mut(&network)) {
            let own = |session: &&mut Session| session.device == client.device;
            sessions.iter_mut().filter(own).for_each(|own| own.is_left = true);
        }
        if state.watching(self.viewers_max) >= self.viewers_max {
            return Err(NotServed::TooMany);
        }
        let sessions = session.and_then(|network| state.sessions.get(&network));
        if sessions.is_some_and(|sessions| is_full(sessions, self.viewers_max)) {
            return Err(NotServed::AddressFull);
        }
        let Answer::Served(id, stop) = state.rules.enter(client, channel, Instant::now().into_std()) else {
            return Err(NotServed::ClientFull);
        };
        for stopped in &stop {
            if let Some(stop) = state.stops.get(stopped) {
                stop.cancel();
            }
        }
        if !stop.is_empty() {
            info!(
                client = &*client.device,
                stopped = stop.len(),
                "an older stream of this client makes room"
            );
        }
        let token = CancellationToken::new();
        state.stops.insert(id, token.clone());
        if let Some(network) = session {
            let device = Arc::clone(&client.device);
            state.sessions.entry(network).or_default().push(Session {
                id,
                device,
                is_left: false,
            });
        }
        drop(state);
        let subject: Subject = channel.to_string().into();
        Ok(Present {
            _watching: self.pools.watching(&subject, client.token.clone()),
            stop: token,
            id,
            session,
            audience: self.clone(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who watches a channel, until this is dropped.
#[derive(Debug)]
pub struct Present {
    _watching: Watching,
    stop: CancellationToken,
    id: PresenceId,
    session: Option<Network>,
    audience: Audience,
}

impl Present {
    /// Cancelled when the response must end for another of the same client.
    #[must_use]
    pub fn stop(&self) -> CancellationToken {
        // Whoever is told cannot tell.
        self.stop.child_token()
    }

    /// Resolves when the response must end for another of the same client.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        self.stop.clone().cancelled_owned()
    }

    /// Whether it must.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut state = self.audience.state();
        state.rules.leave(self.id);
        state.stops.remove(&self.id);
        if let Some(network) = self.session
            && let Some(sessions) = state.sessions.get_mut(&network)
        {
            sessions.retain(|session| session.id != self.id);
            if sessions.is_empty() {
                state.sessions.remove(&network);
            }
        }
        drop(state);
        self.audience.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClientPolicy;

    const GRACE: Duration = Duration::from_secs(2);

    fn audience(viewers_max: usize) -> Audience {
        let rule = Rule {
            channels_max: 0,
            policy: ClientPolicy::RefuseNewest,
            cool_down: Duration::ZERO,
        };
        Audience::new(Pools::new(1), viewers_max, rule, GRACE)
    }

    fn asker(address: &str, device: usize) -> Asker {
        Asker {
            address: address.parse().unwrap(),
            player: String::new(),
            device: Some(device.to_string().into()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_devices_of_one_address_leave_room_for_others() {
        let channel = ChannelId::of_name("One");
        for (addresses, other) in [
            (["192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"], "192.0.2.2"),
            (
                ["2001:db8::1", "2001:db8::2", "2001:db8::3:4:5:6"],
                "2001:db8:0:1::1",
            ),
        ] {
            let audience = audience(40);
            let enter = async |number: usize| {
                let asker = asker(addresses[number % 3], number);
                audience.enter_session(&asker, channel).await
            };
            let mut there = Vec::new();
            for number in 0..20 {
                there.push(enter(number).await.unwrap());
            }
            for number in 20..30 {
                assert_eq!(enter(number).await.unwrap_err(), NotServed::AddressFull);
            }
            there.pop();
            there.push(enter(20).await.unwrap());
            let stream = audience.enter(&asker(addresses[0], 40), channel).await;
            let other = audience.enter_session(&asker(other, 41), channel).await;
            assert!(stream.is_ok() && other.is_ok());
            drop(there);
            assert_eq!(
                audience.state().sessions.len(),
                1,
                "nothing is kept of who has left"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_channel_needs_no_room_at_its_address_and_leaves_some_to_others() {
        let audience = audience(40);
        let enter = async |device: usize, channel: usize| {
            let channel = ChannelId::of_name(&channel.to_string());
            audience.enter_session(&asker("192.0.2.1", device), channel).await
        };
        let mut there = Vec::new();
        for device in 0..20 {
            there.push(enter(device, 0).await.unwrap());
        }
        assert_eq!(enter(20, 0).await.unwrap_err(), NotServed::AddressFull);
        let since = Instant::now();
        for channel in 1..=10 {
            there.push(enter(0, channel).await.unwrap());
        }
        assert_eq!(since.elapsed(), Duration::ZERO, "none of them waits");
        assert_eq!(enter(0, 11).await.unwrap_err(), NotServed::AddressFull);
        assert_eq!(since.elapsed(), GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_full_is_waited_for_and_a_small_limit_is_all_of_it() {
        for viewers_max in [2, 4, 20] {
            let audience = audience(viewers_max);
            let channel = ChannelId::of_name("One");
            let mut there = Vec::new();
            for device in 0..viewers_max {
                let asker = asker("192.0.2.1", device);
                there.push(audience.enter_session(&asker, channel).await.unwrap());
            }
            let refused = audience.enter_session(&asker("192.0.2.1", 30), channel).await;
            assert_eq!(refused.unwrap_err(), NotServed::TooMany);
        }
        let audience = audience(40);
        let enter = async |device: usize| {
            let channel = ChannelId::of_name("One");
            audience.enter_session(&asker("192.0.2.1", device), channel).await
        };
        let mut there = Vec::new();
        for device in 0..20 {
            there.push(enter(device).await.unwrap());
        }
        let leave = async {
            tokio::time::sleep(GRACE / 2).await;
            there.pop();
        };
        let (entered, ()) = tokio::join!(enter(20), leave);
        entered.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_is_taken_who_changes_channel_waits_for_what_it_ends() {
        let audience = audience(3);
        let [one, two] = ["One", "Two"].map(ChannelId::of_name);
        let mut there = Vec::new();
        for number in 0..3 {
            let asker = asker(&format!("192.0.2.{number}"), number);
            there.push(audience.enter(&asker, one).await.unwrap());
        }
        let since = Instant::now();
        let zapper = asker("192.0.2.2", 2);
        let leave = async {
            tokio::time::sleep(GRACE / 4).await;
            there.pop();
        };
        let (entered, ()) = tokio::join!(audience.enter(&zapper, two), leave);
        let entered = entered.unwrap();
        assert_eq!(since.elapsed(), GRACE / 4, "no later than there is room");
        let since = Instant::now();
        let refused = audience.enter(&asker("192.0.2.3", 3), two).await;
        assert_eq!(refused.unwrap_err(), NotServed::TooMany);
        assert_eq!(since.elapsed(), GRACE);
        drop(entered);
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_is_taken_a_change_of_channel_as_hls_takes_nobodys_room() {
        let audience = audience(20);
        let enter = async |device: usize, channel: &str| {
            let asker = asker(&format!("192.0.2.{device}"), device);
            audience.enter_session(&asker, ChannelId::of_name(channel)).await
        };
        let mut there = Vec::new();
        for device in 0..20 {
            there.push(enter(device, "One").await.unwrap());
        }
        let since = Instant::now();
        // What they have left counts still: of these, two are a tenth of all.
        for device in 0..2 {
            there.push(enter(device, "Two").await.unwrap());
        }
        assert_eq!(since.elapsed(), Duration::ZERO);
        for device in [20, 3, 4] {
            let refused = enter(device, "Two").await;
            assert_eq!(refused.unwrap_err(), NotServed::TooMany, "{device}");
        }
        // They run out.
        there.drain(..2);
        enter(3, "Two").await.unwrap();
    }

    #[test]
    fn only_a_plain_token_names_a_device() {
        for (uri, expected) in [
            ("/stream/1?device=tv-1", Some("tv-1")),
            ("/stream/1?x=1&device=a", Some("a")),
            ("/stream/1?device=", None),
            ("/stream/1?device=a%20b", None),
            ("/stream/1?device=%0D%0A", None),
            ("/stream/1", None),
        ] {
            let uri: Uri = uri.parse().unwrap();
            assert_eq!(device(&uri).as_deref(), expected, "{uri}");
        }
        let long = format!("/stream/1?device={}", "x".repeat(TOKEN_BYTES_MAX + 1));
        assert_eq!(device(&long.parse().unwrap()), None);
    }
}
