//! How a channel's streams are chosen and opened: the program's side of [`relay::Opener`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use catalog::channel::StreamEntry;
use catalog::{Catalog, Channel, ChannelId, SourceName, StreamId, StreamUrl, order};
use jiff::tz::TimeZone;
use mpegts::radio::raw_sound;
use mpegts::slate::{Message, Slate, default_signature};
use mpegts::{Codec, Likeness, Signature};
use relay::{Candidate, Failure, FailureClass, Role};
use tokio::sync::watch;

use crate::config::{FurtherLogin, SourceConfig};
use crate::health::{Health, LastFailure};
use crate::signatures::Signatures;
use crate::slates::Slates;
use crate::slot::{Login, Pools, Purpose, Subject};
use crate::source::{SourceHandle, is_of_same_user, request_headers};
use crate::upstream::Upstream;
use crate::upstream::datagram::{Address, Rules};
use crate::upstream::http::headers;
use crate::upstream::open::{CARD_URL, Elsewhere, Opening, Target};
use crate::upstream::unsupported::unsupported;

/// What a broadcast is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The channel, as its source sends it.
    pub channel: ChannelId,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.channel.fmt(f)
    }
}

/// A source that runs, as far as opening its streams needs it.
#[derive(Debug, Clone)]
pub struct RunningSource {
    /// What the operator says of it.
    pub config: SourceConfig,
    /// The way to its task.
    pub handle: SourceHandle,
}

/// The running sources by name.
pub type SourceTable = HashMap<SourceName, RunningSource>;

/// Chooses and opens streams.
#[derive(Debug)]
pub struct Channels {
    catalog: watch::Receiver<Arc<Catalog>>,
    sources: watch::Receiver<Arc<SourceTable>>,
    opening: Opening,
    connections_default: usize,
    trusted_after: Duration,
    signatures: Signatures,
    slates: Slates,
    /// Short critical sections, never across an await.
    health: Mutex<Health>,
}

impl Channels {
    /// `connections_default` holds for logins that say nothing; a stream that delivered for `trusted_after` has its
    /// failures forgotten.
    #[must_use]
    pub fn new(
        catalog: watch::Receiver<Arc<Catalog>>,
        sources: watch::Receiver<Arc<SourceTable>>,
        opening: Opening,
        (health, signatures): (Health, Signatures),
        (connections_default, trusted_after): (usize, Duration),
        slates: Slates,
    ) -> Self {
        Self {
            catalog,
            sources,
            opening,
            connections_default,
            trusted_after,
            signatures,
            slates,
            health: Mutex::new(health),
        }
    }

    /// The channels as they are now.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.borrow())
    }

    /// The sources as they are now.
    #[must_use]
    pub fn sources(&self) -> Arc<SourceTable> {
        Arc::clone(&self.sources.borrow())
    }

    /// Opens streams for whoever has a [`Target`].
    #[must_use]
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// The permitted connections.
    #[must_use]
    pub fn pools(&self) -> &Pools {
        &self.opening.pools
    }

    /// Connections a source's own login allows, and who says so: `config`, `account` or `default`.
    #[must_use]
    pub fn limit(&self, source: &RunningSource) -> (usize, &'static str) {
        self.login_limit(&source.handle.login, source)
    }

    /// Connections a login allows, and who says so: what the operator says, else the account, else the default. Where
    /// several sources lead to one login, the lowest limit any of them knows holds for all: the provider counts them
    /// together.
    #[must_use]
    pub fn login_limit(&self, login: &Login, source: &RunningSource) -> (usize, &'static str) {
        let known = |source: &RunningSource| {
            let report = source.handle.report.borrow();
            report.connections(login, source.config.max_connections)
        };
        let sources = self.sources();
        let same = sources.values().filter(|other| is_of(other, login));
        let lowest = same.filter_map(known).chain(known(source)).min();
        lowest.map_or((self.connections_default, "default"), |(max, from)| {
            (max as usize, from)
        })
    }

    /// In words, that a login's account no longer works, where that is known: of `source`, or of any other that has the
    /// same login.
    fn account_ended(&self, login: &Login, source: &RunningSource) -> Option<String> {
        let sources = self.sources();
        let same = sources.values().filter(|other| is_of(other, login));
        let mut reports = std::iter::once(source).chain(same).map(|source| {
            let report = source.handle.report.borrow();
            report.account_of(login).ended(SystemTime::now())
        });
        reports.find_map(|ended| ended)
    }

    /// What is needed to ask for a stream; `None` when its source is gone.
    #[must_use]
    pub fn target(&self, catalog: &Catalog, stream: &StreamEntry) -> Option<Target> {
        let name = &catalog.sources().get(stream.source())?.name;
        let sources = self.sources();
        let source = sources.get(name)?;
        let url = stream.url();
        let mut all = request_headers(&source.config);
        all.extend(headers(
            stream
                .headers()
                .iter()
                .map(|header| (&*header.name, header.value.expose())),
        ));
        let addresses = &source.handle.addresses;
        let login = addresses.login(url.expose());
        let direct = stream.direct();
        let elsewhere = addresses
            .elsewhere(url.expose())
            .map(|(further, login, url)| Elsewhere {
                limit: self.login_limit(&login, source).0,
                account_ended: self.account_ended(&login, source),
                login,
                url,
                direct: direct.as_ref().map(|direct| direct_of(further, direct, stream)),
            });
        let elsewhere = elsewhere.collect();
        let account_ended = self.account_ended(&login, source);
        Some(Target {
            elsewhere,
            addresses: Some(Arc::clone(addresses)),
            source: name.clone(),
            limit: self.login_limit(&login, source).0,
            login,
            url: url.clone(),
            direct,
            headers: all,
            insecure_tls: source.config.insecure_tls,
            datagrams: Rules::of(&source.config),
            release_delay: source.config.release_delay,
            subject: None,
            session: None,
            account_ended,
        })
    }

    /// The zone of a source's clock, where its account says one that there is.
    #[must_use]
    pub fn zone(&self, source: &SourceName) -> Option<TimeZone> {
        let sources = self.sources();
        let report = sources.get(source)?.handle.report.borrow();
        TimeZone::get(report.account.timezone.as_deref()?).ok()
    }

    fn in_order(
        &self,
        (key, catalog): (&Key, &Catalog),
        channel: &Channel,
        promised: Option<&Signature>,
    ) -> Vec<Candidate<StreamId>> {
        let now = now();
        let health = self.health();
        let subject = subject_of(key);
        let mut rated: Vec<_> = (0u32..)
            .zip(channel.streams())
            .filter(|(_, stream)| !health.refuses(stream.id(), now))
            .filter(|(_, stream)| unsupported(stream.url().expose()).is_none())
            .filter_map(|(position, stream)| {
                let mut target = self.target(catalog, stream)?;
                target.subject = Some(Arc::clone(&subject));
                let url = target.url.expose();
                let takes_slot = url != CARD_URL && Address::parse(url).is_none();
                let rests = || target.logins().all(|(login, _)| self.pools().is_cooling(login));
                let cooling = health.rests(stream.id(), now) || (takes_slot && rests());
                let free = if !takes_slot {
                    usize::MAX
                } else {
                    let free = target
                        .logins()
                        .map(|(login, limit)| self.pools().free(login, limit));
                    free.sum()
                };
                let rating = order::Candidate {
                    pinned: stream.is_pinned(),
                    cooling,
                    signature_distance: self.distance(stream.id(), promised),
                    policy_rank: stream.policy_rank(),
                    free_slots: u32::try_from(free).unwrap_or(u32::MAX),
                    config_order: u32::try_from(stream.source()).unwrap_or(u32::MAX),
                    health: health.score(stream.id(), now),
                    position,
                };
                let candidate = Candidate {
                    stream: stream.id(),
                    label: target.source.as_str().into(),
                    cooling,
                    spare: !takes_slot || self.pools().has_spare(&target.wish(Purpose::Hedge)),
                };
                Some((rating, candidate))
            })
            .collect();
        rated.sort_by(|(a, _), (b, _)| order::compare(a, b));
        rated.into_iter().map(|(_, candidate)| candidate).collect()
    }

    /// What is not known is taken for the same: the splice copes with either.
    fn distance(&self, stream: StreamId, promised: Option<&Signature>) -> u8 {
        let Some(promised) = promised else { return 0 };
        let likeness = self.signatures.with(stream, |known| known.likeness(promised));
        match likeness {
            None | Some(Likeness::Same) => 0,
            Some(Likeness::SameFormats) => 1,
            Some(Likeness::SameCodecs) => 2,
            Some(Likeness::Other) => 3,
        }
    }

    /// The codec of the raw sound that listeners of the channel get, as far as is remembered of its streams.
    #[must_use]
    pub fn raw_sound(&self, channel: &Channel) -> Option<Codec> {
        raw_sound(&self.remembered(channel)?)
    }

    fn remembered(&self, channel: &Channel) -> Option<Signature> {
        let mut streams = channel.streams();
        streams.find_map(|stream| self.signatures.of(stream.id()))
    }

    /// How a stream failed last; `None` where nothing is known against it.
    #[must_use]
    pub fn last_failure(&self, stream: StreamId) -> Option<LastFailure> {
        self.health().last_failure(stream, now())
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl relay::Opener for Channels {
    type Key = Key;
    type StreamId = StreamId;
    type Upstream = Upstream;

    fn candidates(&self, key: &Key, promised: Option<&Signature>) -> Vec<Candidate<StreamId>> {
        let catalog = self.catalog();
        catalog
            .get(key.channel)
            .map(|channel| self.in_order((key, &catalog), channel, promised))
            .unwrap_or_default()
    }

    fn open(
        &self,
        key: &Key,
        stream: StreamId,
        role: Role,
    ) -> impl Future<Output = Result<Upstream, Failure>> + Send + 'static {
        let catalog = self.catalog();
        let found = catalog
            .get(key.channel)
            .and_then(|channel| channel.streams().find(|entry| entry.id() == stream))
            .and_then(|entry| self.target(&catalog, entry));
        let opening = self.opening.clone();
        let subject = subject_of(key);
        async move {
            let mut target = found
                .ok_or_else(|| Failure::new(FailureClass::Gone, "the stream is no longer in any list"))?;
            target.subject = Some(subject);
            match role {
                Role::Main => opening.live(target).await,
                Role::Hedge => opening.hedge(target).await,
            }
        }
    }

    fn ended(&self, stream: StreamId, failure: &Failure, healthy: Duration) {
        let mut health = self.health();
        let now = now();
        if healthy >= self.trusted_after {
            health.trusted(stream, now);
        }
        if failure.class.blames_stream() {
            health.failed(stream, failure, now);
        }
    }

    fn delivers(&self, stream: StreamId, signature: Option<&Signature>) {
        self.health().delivers(stream, now());
        if let Some(signature) = signature {
            self.signatures.learn(stream, signature);
        }
    }

    fn shows(&self, stream: StreamId, signature: &Signature) {
        self.signatures.learn(stream, signature);
    }

    fn name(&self, key: &Key) -> String {
        let catalog = self.catalog();
        let name = catalog.get(key.channel).map(Channel::name).unwrap_or_default();
        format!("{name} ({key})")
    }

    fn slate(&self, key: &Key, message: Message, promised: Option<&Signature>) -> Option<Slate> {
        let remembered = || self.remembered(self.catalog().get(key.channel)?);
        let signature = promised
            .cloned()
            .or_else(remembered)
            .unwrap_or_else(default_signature);
        let clip = signature
            .video()
            .and_then(|codec| self.slates.clip(codec, message));
        Slate::new(&signature, clip)
    }
}

/// The word by which the pools know what a connection is for.
fn subject_of(key: &Key) -> Subject {
    key.channel.to_string().into()
}

/// The runtime's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The address beside a stream's own for a further login; the same where it names none.
fn direct_of(further: &FurtherLogin, direct: &StreamUrl, stream: &StreamEntry) -> StreamUrl {
    let (username, password) = (further.username.expose(), further.password.expose());
    let names_user = is_of_same_user(direct.expose(), stream.url().expose());
    names_user
        .then(|| xtream::url::with_login(direct.expose(), username, password))
        .flatten()
        .map_or_else(|| direct.clone(), StreamUrl::from)
}

/// Whether a login is one of a source's.
fn is_of(source: &RunningSource, login: &Login) -> bool {
    let report = source.handle.report.borrow();
    source.handle.login == *login || report.further.iter().any(|further| further.login == *login)
}
