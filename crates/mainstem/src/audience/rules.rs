//! How many channels one client may watch at a time, and who makes room. Pure: time is an argument.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::ChannelId;

use crate::config::ClientPolicy;

/// Devices whose stream was stopped that are remembered at most; past this, no more are.
const STOPPED_MAX: usize = 10_000;

/// The operator's rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Channels one client may watch at a time; 0 is any number.
    pub channels_max: usize,
    /// Who makes room for one more.
    pub policy: ClientPolicy,
    /// How long a device whose stream was stopped takes no stream of the same client in turn.
    pub cool_down: Duration,
}

/// Who asks: the claim a rule is applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Whose streams are counted together: a user, a device or an address.
    pub counted_as: Arc<str>,
    /// The device by its own token, where it has one. Only what is the same beyond doubt replaces its own stream.
    pub token: Option<Arc<str>>,
    /// The device as far as it can be told: its token, else address and player.
    pub device: Arc<str>,
}

/// Names one response that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PresenceId(u64);

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is served, and these responses end for it.
    Served(PresenceId, Vec<PresenceId>),
    /// There is no room.
    Full,
}

#[derive(Debug)]
struct Present {
    client: Client,
    channel: ChannelId,
    stopped: bool,
}

/// Who watches what, by client.
#[derive(Debug)]
pub struct Rules {
    rule: Rule,
    present: BTreeMap<PresenceId, Present>,
    /// Devices whose stream was stopped for another's, and until when they stop nobody's in turn.
    stopped: HashMap<(Arc<str>, Arc<str>), Instant>,
    last_id: u64,
}

impl Rules {
    /// Nobody watches.
    #[must_use]
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            present: BTreeMap::new(),
            stopped: HashMap::new(),
            last_id: 0,
        }
    }

    /// A client asks for a channel.
    pub fn enter(&mut self, client: &Client, channel: ChannelId, now: Instant) -> Answer {
        self.stopped.retain(|_, until| *until > now);
        let mut stop = Vec::new();
        if self.rule.channels_max > 0 {
            let mut watched = self.watched(client);
            watched.remove(&channel);
            if watched.len() >= self.rule.channels_max {
                let Some(old) = self.makes_room(client, channel) else {
                    return Answer::Full;
                };
                stop = self.stop(client, old, now);
            }
        }
        self.last_id += 1;
        let id = PresenceId(self.last_id);
        self.present.insert(
            id,
            Present {
                client: client.clone(),
                channel,
                stopped: false,
            },
        );
        Answer::Served(id, stop)
    }

    /// A response ended.
    pub fn leave(&mut self, id: PresenceId) {
        self.present.remove(&id);
    }

    /// How many responses are counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.present.len()
    }

    /// Whether nobody watches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    fn of<'a>(&'a self, client: &'a Client) -> impl Iterator<Item = (&'a PresenceId, &'a Present)> {
        let same =
            move |present: &Present| present.client.counted_as == client.counted_as && !present.stopped;
        self.present.iter().filter(move |(_, present)| same(present))
    }

    fn watched(&self, client: &Client) -> BTreeSet<ChannelId> {
        self.of(client).map(|(_, present)| present.channel).collect()
    }

    /// The channel that gives way: the device's own, else the client's oldest where the policy says so.
    fn makes_room(&self, client: &Client, wanted: ChannelId) -> Option<ChannelId> {
        let mut others = self.of(client).filter(|(_, present)| present.channel != wanted);
        let is_own = |present: &Present| client.token.is_some() && present.client.token == client.token;
        let own = self
            .of(client)
            .find(|(_, present)| present.channel != wanted && is_own(present));
        if let Some((_, own)) = own {
            return Some(own.channel);
        }
        // Who was stopped a moment ago would only take the stream back, and the two go on for ever.
        let lost = self
            .stopped
            .contains_key(&(Arc::clone(&client.counted_as), Arc::clone(&client.device)));
        if self.rule.policy == ClientPolicy::RefuseNewest || lost {
            return None;
        }
        others.next().map(|(_, oldest)| oldest.channel)
    }

    fn stop(&mut self, client: &Client, channel: ChannelId, now: Instant) -> Vec<PresenceId> {
        let mut stop = Vec::new();
        for (id, present) in &mut self.present {
            let same = present.client.counted_as == client.counted_as && present.channel == channel;
            if !same || present.stopped {
                continue;
            }
            present.stopped = true;
            stop.push(*id);
            let is_own = client.token.is_some() && present.client.token == client.token;
            if !is_own && self.stopped.len() < STOPPED_MAX {
                let device = (
                    Arc::clone(&present.client.counted_as),
                    Arc::clone(&present.client.device),
                );
                self.stopped.insert(device, now + self.rule.cool_down);
            }
        }
        stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOL_DOWN: Duration = Duration::from_secs(60);

    fn rules(channels_max: usize, policy: ClientPolicy) -> Rules {
        Rules::new(Rule {
            channels_max,
            policy,
            cool_down: COOL_DOWN,
        })
    }

    fn client(device: &str, token: Option<&str>) -> Client {
        Client {
            counted_as: "home".into(),
            token: token.map(Arc::from),
            device: device.into(),
        }
    }

    fn channel(number: u32) -> ChannelId {
        ChannelId::of_name(&number.to_string())
    }

    fn served(answer: Answer) -> (PresenceId, Vec<PresenceId>) {
        match answer {
            Answer::Served(id, stop) => (id, stop),
            Answer::Full => panic!("refused"),
        }
    }

    #[test]
    fn without_a_limit_everybody_is_served() {
        let (mut rules, now) = (rules(0, ClientPolicy::RefuseNewest), Instant::now());
        for number in 0..50 {
            let (_, stop) = served(rules.enter(&client("a", None), channel(number), now));
            assert!(stop.is_empty());
        }
    }

    #[test]
    fn the_newest_is_refused_until_one_leaves_and_the_same_channel_counts_once() {
        let (mut rules, now) = (rules(1, ClientPolicy::RefuseNewest), Instant::now());
        let (first, _) = served(rules.enter(&client("a", None), channel(1), now));
        served(rules.enter(&client("b", None), channel(1), now));
        assert_eq!(rules.enter(&client("b", None), channel(2), now), Answer::Full);
        let (others, _) = served(rules.enter(
            &Client {
                counted_as: "elsewhere".into(),
                ..client("c", None)
            },
            channel(2),
            now,
        ));
        rules.leave(others);
        rules.leave(first);
        assert_eq!(
            rules.enter(&client("b", None), channel(2), now),
            Answer::Full,
            "b watches on"
        );
    }

    #[test]
    fn a_device_with_a_token_replaces_its_own_stream_whatever_the_policy() {
        let (mut rules, now) = (rules(1, ClientPolicy::RefuseNewest), Instant::now());
        let tv = client("tv", Some("tv"));
        let (mut last, _) = served(rules.enter(&tv, channel(0), now));
        for number in 1..20 {
            let (id, stop) = served(rules.enter(&tv, channel(number), now));
            assert_eq!(stop, [last]);
            last = id;
        }
        assert_eq!(
            rules.enter(&client("other", Some("other")), channel(99), now),
            Answer::Full
        );
    }

    #[test]
    fn two_that_reconnect_for_ever_change_places_once() {
        let (mut rules, start) = (rules(1, ClientPolicy::StopOldest), Instant::now());
        let (a, b) = (client("a", None), client("b", None));
        served(rules.enter(&a, channel(1), start));
        let mut changes = 0;
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            let (who, what) = if second % 2 == 0 { (&b, 2) } else { (&a, 1) };
            let Answer::Served(_, stop) = rules.enter(who, channel(what), now) else {
                continue;
            };
            changes += stop.len();
            for id in stop {
                rules.leave(id);
            }
        }
        assert_eq!(changes, 1);
        let (_, stop) = served(rules.enter(&a, channel(1), start + COOL_DOWN));
        assert!(!stop.is_empty(), "later it may");
    }
}
