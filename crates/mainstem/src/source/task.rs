//! One source's task: refreshes on its own interval, keeps what was known when a refresh fails, and expands series in
//! the background.

mod keeping;
mod schedule;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::m3u::Ending;
use catalog::{Filters, Kind, Listing, SourceName};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};
use url::Url;

use self::schedule::Schedule;
use super::addresses::{Addresses, list_url};
use super::collapse::{Counts, Guard};
use super::failure::RefreshError;
use super::fetch::{Fetcher, ListRequest, News};
use super::report::{AccountReport, SourceReport, further};
use super::series::{Episode, SeriesShelf};
use super::version::{KindVersion, Validators, Versions, asked};
use super::xtream::{AccountVersions, Brought, Known, XtreamAccount, usable};
use super::{m3u, testcard};
use crate::config::Series as SeriesMode;
use crate::config::{Origin, SourceConfig};
use crate::slot::{Login, Place, Purpose, Wish};
use crate::store::Store;
use ::xtream::Account;

/// Series expanded before the list with their episodes is handed on: rebuilding the catalogue costs more than a call.
const EXPANDED_PER_UPDATE: usize = 20;

/// A list that is shorter than the known one and ends within a line is believed once it came so often in a row with the
/// same number of entries: until then it looks cut off.
const SHORT_BELIEVED_AFTER: u32 = 3;

/// Requests to a source's task that may wait.
const COMMANDS_WAITING_MAX: usize = 16;

/// A list that changed.
#[derive(Debug, Clone)]
pub struct Update {
    /// Whose.
    pub source: SourceName,
    /// The whole list.
    pub listing: Arc<Listing>,
}

/// What can be asked of a source's task.
#[derive(Debug)]
pub enum Command {
    /// Refresh now.
    Refresh,
    /// Refresh now, and believe what comes, however little it is.
    Accept,
    /// The episodes of a series, fetched if they are not known.
    Episodes {
        /// The account's number of the series.
        series: String,
        /// Where the answer goes; `None` for an unknown series.
        reply: oneshot::Sender<Result<Option<Vec<Episode>>, String>>,
    },
}

/// The way to a running source.
#[derive(Debug, Clone)]
pub struct SourceHandle {
    /// The login its lists are asked for with.
    pub login: Login,
    /// Its logins and hosts.
    pub addresses: Arc<Addresses>,
    /// What it reports.
    pub report: watch::Receiver<SourceReport>,
    /// Its series and their known episodes; nobody has to wait for a busy source to see them.
    pub shelf: watch::Receiver<Arc<SeriesShelf>>,
    /// What it can be asked.
    pub commands: mpsc::Sender<Command>,
}

/// What a source's task works with.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Makes the requests.
    pub fetcher: Fetcher,
    /// Keeps the lists.
    pub store: Store,
    /// What the operator wants of the entries.
    pub filters: watch::Receiver<Arc<Filters>>,
    /// Where changed lists go.
    pub updates: mpsc::Sender<Update>,
    /// Entries a list may have.
    pub entries_max: usize,
    /// Connections of a login where nobody says.
    pub connections_default: usize,
}

/// What a refresh brought.
struct Fetched {
    /// `None`: what is known is what the provider has.
    listing: Option<Listing>,
    /// Why a part of it is the one known before.
    failed: Option<RefreshError>,
    /// Why its groups are those known before.
    ungrouped: Vec<(Kind, RefreshError)>,
}

/// What the log was told of the account, once for each news.
#[derive(Debug, Default)]
struct Told {
    /// A configured limit above the account's own.
    above: Option<(u32, u32)>,
    /// That it ended.
    ended: Option<String>,
    /// The same of further logins, by their place.
    further_ended: BTreeMap<usize, String>,
}

/// One source's task.
pub struct SourceTask {
    name: SourceName,
    config: SourceConfig,
    around: Surroundings,
    request: ListRequest,
    account: Option<XtreamAccount>,
    /// The list without episodes.
    listing: Option<Listing>,
    /// The disk did not take it.
    is_unsaved: bool,
    shelf: Arc<SeriesShelf>,
    shelves: watch::Sender<Arc<SeriesShelf>>,
    report: watch::Sender<SourceReport>,
    commands: mpsc::Receiver<Command>,
    /// What tells the list that is known from a later one.
    versions: Versions,
    /// The same of the list that is on disk.
    versions_kept: Versions,
    /// What tells the series that are known from later ones.
    series_version: KindVersion,
    schedule: Schedule,
    told: Told,
    /// Entries of a list that looked cut off, and how often it came in a row.
    short: (usize, u32),
    /// What lists are believed.
    guard: Guard,
    /// A refresh was asked for that cannot be the one under way.
    again: bool,
}

impl SourceTask {
    /// A task that has done nothing yet, and the way to it.
    #[must_use]
    pub fn new(config: SourceConfig, around: Surroundings) -> (Self, SourceHandle) {
        let name = config.name.clone();
        let (account, asked) = (xtream_account(&name, &config, around.entries_max), asked(&config));
        let addresses = Arc::new(Addresses::new(&config));
        let request = list_request(&name, &config, &addresses, around.connections_default);
        let (report, reports) = watch::channel(SourceReport {
            further: further(&config, &addresses),
            ..SourceReport::default()
        });
        let (sender, commands) = mpsc::channel(COMMANDS_WAITING_MAX);
        let (shelf, login) = (Arc::new(SeriesShelf::default()), request.login.clone());
        let (shelves, shelf_seen) = watch::channel(Arc::clone(&shelf));
        let schedule = Schedule::new(config.refresh_interval);
        let task = Self {
            name,
            config,
            around,
            request,
            account,
            listing: None,
            is_unsaved: false,
            shelf,
            shelves,
            report,
            commands,
            versions: Versions::new(asked),
            versions_kept: Versions::default(),
            series_version: KindVersion::default(),
            schedule,
            told: Told::default(),
            short: (0, 0),
            guard: Guard::default(),
            again: false,
        };
        (
            task,
            SourceHandle {
                login,
                addresses,
                report: reports,
                shelf: shelf_seen,
                commands: sender,
            },
        )
    }

    /// Takes over what an earlier task of the same login knew of its limit, until the account says otherwise.
    pub fn assume_limit(&self, connections: u32) {
        self.report
            .send_modify(|report| report.account.connections = Some(connections));
    }

    /// Runs until it is dropped: what is on disk first, then refresh after refresh.
    pub async fn run(mut self) {
        self.load().await;
        loop {
            self.merge_wishes().await;
            let due = Instant::now() + self.refresh().await;
            self.wait(due).await;
        }
    }

    /// All who wish for a refresh before it begins have the same one.
    async fn merge_wishes(&mut self) {
        for _ in 0..self.commands.len() {
            match self.commands.try_recv() {
                Ok(command) => self.answer(command).await,
                Err(_) => return,
            }
        }
    }

    /// Refreshes once; says when the next refresh is due.
    async fn refresh(&mut self) -> Duration {
        let started = Instant::now();
        self.know_limit();
        let (mut comes_soon, mut wanted) = (false, None);
        let (brought, failed) = match self.fetch().await {
            Ok(Fetched {
                listing,
                failed,
                ungrouped,
            }) => {
                comes_soon = ungrouped.iter().any(|(_, error)| error.is_passing());
                wanted = ungrouped
                    .iter()
                    .filter_map(|(_, error)| error.retry_after())
                    .max();
                self.know_groups(&ungrouped);
                let counts = match listing {
                    Some(listing) => self.take(listing).await,
                    None => self.confirm().await,
                };
                (Some(counts), failed)
            }
            // Nobody but a person says that nothing is right.
            Err(RefreshError::Empty) if self.guard.is_accepted() => {
                let nothing = Listing::new(self.name.clone());
                self.guard.taken();
                self.versions = Versions::new(asked(&self.config));
                (Some(self.take(nothing).await), None)
            }
            Err(error) => (None, Some(error)),
        };
        self.report.send_modify(|report| report.held = self.guard.held());
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Some(error) = failed else {
            let (entries, malformed) = brought.unwrap_or_default();
            info!(entries, malformed, took_ms, "list refreshed");
            if comes_soon {
                // Before the provider wants it, the whole list would be left alone and seem to fail.
                return self.schedule.retry(wanted);
            }
            return self.schedule.refreshed();
        };
        let known = self.report.borrow().entries;
        self.report
            .send_modify(|report| report.error = Some((error.code(), error.to_string(), SystemTime::now())));
        warn!(
            %error, took_ms, partly = brought.is_some(),
            "refresh failed; what was known stays, {known} entries"
        );
        if let RefreshError::Collapsed(_) = error {
            // Asked again at once, a provider in trouble would say the same.
            return self.schedule.usual();
        }
        self.schedule.retry(error.retry_after())
    }

    /// Where lists count as connections, they keep the limit that streams keep.
    fn know_limit(&mut self) {
        let account = self.report.borrow().account.connections;
        let limit = self.config.max_connections.or(account);
        if let (Some(wish), Some(limit)) = (&mut self.request.wish, limit) {
            for place in &mut wish.places {
                place.limit = limit as usize;
            }
        }
    }

    async fn fetch(&mut self) -> Result<Fetched, RefreshError> {
        let listing = match &self.config.origin {
            Origin::Testcard => Some(testcard::listing(&self.name)),
            Origin::M3uFile(_) | Origin::M3uUrl(_) => match self.fetch_m3u().await? {
                News::List((listing, ending), version) => {
                    self.believe(&listing, ending)?;
                    if matches!(self.config.origin, Origin::M3uUrl(_)) {
                        self.judge(&listing)?;
                    }
                    self.versions.list = version;
                    Some(listing)
                }
                News::Same => {
                    self.is_whole();
                    None
                }
            },
            Origin::Xtream { .. } => return self.fetch_account().await,
        };
        Ok(Fetched {
            listing,
            failed: None,
            ungrouped: Vec::new(),
        })
    }

    async fn fetch_m3u(&self) -> Result<News<(Listing, Ending)>, RefreshError> {
        let (name, entries_max) = (self.name.clone(), self.around.entries_max);
        let fetcher = &self.around.fetcher;
        match &self.config.origin {
            Origin::M3uFile(path) => {
                let parse = move |body: &mut dyn std::io::Read| m3u::read(&name, None, entries_max, body);
                let list = fetcher.read_file(PathBuf::from(path), parse).await?;
                Ok(News::List(list, Validators::default()))
            }
            Origin::M3uUrl(url) => {
                let base = Url::parse(url.expose()).ok();
                let parse =
                    move |body: &mut dyn std::io::Read| m3u::read(&name, base.as_ref(), entries_max, body);
                // What was accepted takes the place of what is known, whatever version the provider says it is.
                let known = if self.listing.is_some() && !self.guard.is_accepted() {
                    self.versions.list.clone()
                } else {
                    Validators::default()
                };
                fetcher
                    .fetch_news(url.expose(), &self.request, &known, parse)
                    .await
            }
            Origin::Testcard | Origin::Xtream { .. } => Err(RefreshError::Empty),
        }
    }

    /// The provider has the whole list: whatever came before it was none.
    fn is_whole(&mut self) {
        self.short = (0, 0);
        self.guard.taken();
    }

    /// A list cut off where nothing tells its length looks like a short one: what is left of the known one stays until
    /// it is clear which it is.
    fn believe(&mut self, listing: &Listing, ending: Ending) -> Result<(), RefreshError> {
        let (known, count) = (
            self.listing.as_ref().map_or(0, |known| known.entries.len()),
            listing.entries.len(),
        );
        if ending == Ending::Clean || count >= known {
            self.short = (0, 0);
            return Ok(());
        }
        self.short = if self.short.0 == count {
            (count, self.short.1 + 1)
        } else {
            (count, 1)
        };
        if ending == Ending::MidLine && self.short.1 >= SHORT_BELIEVED_AFTER {
            return Ok(());
        }
        Err(RefreshError::NotAList(format!(
            "the list breaks off: it ends within an entry, after {count} of {known}"
        )))
    }

    /// A list with far fewer entries than were known waits to be believed. One in a file is its owner's.
    fn judge(&mut self, listing: &Listing) -> Result<(), RefreshError> {
        let Some(known) = &self.listing else { return Ok(()) };
        let (fresh, known) = (Counts::of(listing), Counts::of(known));
        let share = self.config.collapse_share;
        self.guard
            .judge(fresh, known, share, SystemTime::now())
            .map_err(RefreshError::Collapsed)
    }

    async fn fetch_account(&mut self) -> Result<Fetched, RefreshError> {
        let Some(mut account) = self.account.clone() else {
            return Err(RefreshError::Empty);
        };
        let said = account.account(&self.around.fetcher, &self.request).await?;
        account.know_formats(&said.allowed_output_formats);
        self.know_account(&said);
        self.ask_further(&account).await;
        usable(&said)?;
        // What was accepted takes the place of everything, of each kind that came.
        let stays = !self.guard.is_accepted();
        let listing = self.listing.as_ref().filter(|_| stays);
        let mut versions = AccountVersions::default();
        if let Some(listing) = listing {
            // Addresses in another form are made anew of the list, changed or not.
            versions.live = if account.has_its_form(listing) {
                self.versions.live.clone()
            } else {
                self.versions.live.names_only()
            };
            versions.films = self.versions.films.clone();
        }
        if stays {
            versions.series = self.series_version.clone();
        }
        let known = Known {
            listing,
            has_series: stays && !self.shelf.series().is_empty(),
            versions: &versions,
        };
        let Brought {
            listing,
            series,
            failed,
            ungrouped,
            versions,
        } = account
            .refresh(&self.around.fetcher, &self.request, known)
            .await?;
        match &listing {
            Some(listing) => self.judge(listing)?,
            None => self.is_whole(),
        }
        self.versions.live = versions.live;
        self.versions.films = versions.films;
        self.series_version = versions.series;
        if let Some(series) = series {
            Arc::make_mut(&mut self.shelf).set_series(series);
        }
        Ok(Fetched {
            listing,
            failed,
            ungrouped,
        })
    }

    /// What the account says of itself is shown, and told where it matters; what it counts as open is never trusted.
    fn know_account(&mut self, account: &Account) {
        let said = AccountReport::of(account);
        let (allowed, ended) = (said.connections, said.ended(SystemTime::now()));
        self.report.send_modify(|report| report.account = said);
        let above = self
            .config
            .max_connections
            .zip(allowed)
            .filter(|(configured, allowed)| configured > allowed);
        if self.told.above != above {
            self.told.above = above;
            if let Some((configured, allowed)) = above {
                warn!(
                    "max_connections is {configured}, but the account says it allows {allowed}: its provider may refuse or cut the connections above that"
                );
            }
        }
        if self.told.ended != ended {
            self.told.ended.clone_from(&ended);
            if let Some(ended) = ended {
                warn!("{ended}; its streams will be refused until it is renewed");
            }
        }
    }

    /// What the accounts of the further logins say of themselves. One that cannot be asked keeps what it said before.
    async fn ask_further(&mut self, account: &XtreamAccount) {
        let logins = self.report.borrow().further.clone();
        let urls = account.account_urls(&self.request.addresses);
        for (place, (further, url)) in logins.into_iter().zip(urls).enumerate() {
            let request = ListRequest {
                login: further.login.clone(),
                wish: None,
                ..self.request.clone()
            };
            match account.account_at(&self.around.fetcher, &request, &url).await {
                Ok(said) => self.know_further(place, AccountReport::of(&said)),
                Err(error) => {
                    warn!(login = %further.login, %error, "a further login's account could not be asked");
                }
            }
        }
    }

    fn know_further(&mut self, place: usize, said: AccountReport) {
        let ended = said.ended(SystemTime::now());
        self.report.send_modify(|report| {
            if let Some(known) = report.further.get_mut(place) {
                known.account = said;
            }
        });
        let report = self.report.borrow();
        let Some(known) = report.further.get(place) else {
            return;
        };
        let told = self.told.further_ended.get(&place);
        if told != ended.as_ref() {
            if let Some(ended) = &ended {
                warn!(login = %known.login, "a further login: {ended}; it will be refused until it is renewed");
            }
            match ended {
                Some(ended) => self.told.further_ended.insert(place, ended),
                None => self.told.further_ended.remove(&place),
            };
        }
    }

    /// Until the next refresh is due: answers commands, and expands series where that is wanted.
    async fn wait(&mut self, due: Instant) {
        let mut last = None;
        let mut fresh = 0;
        loop {
            let next = self.next_to_expand(last.as_deref());
            if fresh > 0 && (next.is_none() || fresh >= EXPANDED_PER_UPDATE) {
                self.keep_account().await;
                self.hand_on().await;
                fresh = 0;
            }
            let expanding = next.is_some();
            tokio::select! {
                biased;
                () = sleep_until(due) => return,
                command = self.commands.recv() => match command {
                    Some(Command::Refresh) => return,
                    Some(Command::Accept) => return self.guard.accept(),
                    Some(command) => self.answer(command).await,
                    None => sleep_until(due).await,
                },
                expanded = expand(self.account.as_ref(), &self.around.fetcher, &self.request, next.clone()), if expanding => {
                    let id = next.unwrap_or_default();
                    match expanded {
                        Ok(episodes) => {
                            Arc::make_mut(&mut self.shelf).set_episodes(&id, episodes);
                            fresh += 1;
                        }
                        Err(error) => debug!(series = id, %error, "a series could not be expanded"),
                    }
                    last = Some(id);
                }
            }
        }
    }

    fn next_to_expand(&self, after: Option<&str>) -> Option<String> {
        if self.config.series != SeriesMode::Expand {
            return None;
        }
        let filters = Arc::clone(&self.around.filters.borrow());
        self.shelf
            .next_wanted(&filters, &self.name, after)
            .map(|series| series.id.to_string())
    }

    async fn answer(&mut self, command: Command) {
        match command {
            Command::Refresh => {}
            Command::Accept => {
                self.guard.accept();
                self.again = true;
            }
            Command::Episodes { series, reply } => {
                if reply.is_closed() {
                    return;
                }
                let answer = self.episodes(&series).await;
                // Whoever asked and went away needs no answer.
                drop(reply.send(answer));
            }
        }
    }

    async fn episodes(&mut self, id: &str) -> Result<Option<Vec<Episode>>, String> {
        if !self.shelf.series().iter().any(|series| &*series.id == id) {
            return Ok(None);
        }
        if self.shelf.episodes(id).is_none() {
            let account = self.account.as_ref();
            let fetched = expand(account, &self.around.fetcher, &self.request, Some(id.to_owned())).await;
            Arc::make_mut(&mut self.shelf).set_episodes(id, fetched.map_err(|error| error.to_string())?);
            self.keep_account().await;
            self.hand_on().await;
        }
        Ok(self.shelf.episodes(id).map(<[Episode]>::to_vec))
    }
}

async fn expand(
    account: Option<&XtreamAccount>,
    fetcher: &Fetcher,
    request: &ListRequest,
    series: Option<String>,
) -> Result<Vec<xtream::Episode>, RefreshError> {
    match (account, series) {
        (Some(account), Some(series)) => account.episodes(fetcher, request, &series).await,
        _ => Err(RefreshError::Empty),
    }
}

fn xtream_account(name: &SourceName, config: &SourceConfig, entries_max: usize) -> Option<XtreamAccount> {
    let Origin::Xtream {
        base,
        username,
        password,
    } = &config.origin
    else {
        return None;
    };
    Some(XtreamAccount {
        source: name.clone(),
        base: base.clone(),
        username: username.clone(),
        password: password.clone(),
        live: config.live,
        films: config.vod,
        series: config.series != SeriesMode::Off,
        live_format: config.live_format,
        entries_max,
    })
}

fn list_request(
    name: &SourceName,
    config: &SourceConfig,
    addresses: &Arc<Addresses>,
    connections_default: usize,
) -> ListRequest {
    let login = addresses.login(&list_url(config));
    let wish = config.refresh_counts.then(|| {
        let place = Place {
            login: login.clone(),
            limit: config
                .max_connections
                .map_or(connections_default, |max| max as usize),
            release_delay: config.release_delay,
        };
        Wish::at(place, name.clone(), Purpose::Refresh)
    });
    ListRequest {
        login,
        headers: super::request_headers(config),
        insecure_tls: config.insecure_tls,
        addresses: Arc::clone(addresses),
        wish,
    }
}
