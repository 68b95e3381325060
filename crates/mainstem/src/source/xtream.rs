//! An Xtream account's lists as a [`Listing`].

use std::collections::HashMap;
use std::io::Read;

use catalog::listing::{Entry, Extra, Fields, Kind};
use catalog::{Listing, Secret, SourceName, StreamUrl};
use xtream::{Account, Category, Error, ListError, Status};

use super::addresses::Addresses;
use super::failure::RefreshError;
use super::fetch::{Fetcher, ListRequest};
use super::series::Series;

/// An account and what the operator wants of it.
#[derive(Debug, Clone)]
pub(super) struct XtreamAccount {
    pub(super) source: SourceName,
    pub(super) base: StreamUrl,
    pub(super) username: Secret,
    pub(super) password: Secret,
    pub(super) live: bool,
    pub(super) films: bool,
    pub(super) series: bool,
    pub(super) entries_max: usize,
}

/// What one refresh of an account brought.
#[derive(Debug)]
pub(super) struct Brought {
    pub(super) listing: Listing,
    /// `None`: the list of series failed, the known ones stay.
    pub(super) series: Option<Vec<Series>>,
    /// The first kind of list that failed, while another came. What was known of it is in `listing`.
    pub(super) failed: Option<RefreshError>,
}

/// What was known before a refresh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) listing: Option<&'a Listing>,
    pub(super) has_series: bool,
}

impl Known<'_> {
    fn of(&self, kind: Kind) -> impl Iterator<Item = Entry<'_>> {
        let entries = self
            .listing
            .into_iter()
            .flat_map(|listing| listing.entries.iter());
        entries.filter(move |entry| entry.kind() == kind)
    }
}

impl XtreamAccount {
    /// Asks for every kind of list with its categories. A kind that fails, or comes empty
    /// where there was something, costs nothing but itself: what is `known` of it stays.
    pub(super) async fn refresh(
        &self,
        fetcher: &Fetcher,
        request: &ListRequest,
        known: Known<'_>,
    ) -> Result<Brought, RefreshError> {
        let mut listing = Listing::new(self.source.clone());
        let (mut series, mut failures, mut asked) = (Some(Vec::new()), Vec::new(), 0);
        for (kind, wanted) in [(Kind::Live, self.live), (Kind::Film, self.films)] {
            if !wanted {
                continue;
            }
            asked += 1;
            let had = known.of(kind).next().is_some();
            match self.streams(fetcher, request, kind, known).await {
                Ok(part) if !had || !part.entries.is_empty() => {
                    listing.append(part);
                }
                came => {
                    known.of(kind).for_each(|entry| listing.push_copy(entry));
                    failures.push(came.err().unwrap_or(RefreshError::Empty));
                }
            }
        }
        if self.series {
            asked += 1;
            match self.series_list(fetcher, request).await {
                Ok((list, bad)) if !known.has_series || !list.is_empty() => {
                    listing.malformed += bad;
                    series = Some(list);
                }
                came => {
                    series = None;
                    failures.push(came.err().unwrap_or(RefreshError::Empty));
                }
            }
        }
        let nothing = listing.entries.is_empty() && series.as_ref().is_none_or(Vec::is_empty);
        let all_failed = failures.len() == asked;
        let failed = failures.into_iter().next();
        if nothing || all_failed {
            return Err(failed.unwrap_or(RefreshError::Empty));
        }
        Ok(Brought {
            listing,
            series,
            failed,
        })
    }

    /// One kind of streams, with the names of their categories.
    async fn streams(
        &self,
        fetcher: &Fetcher,
        request: &ListRequest,
        kind: Kind,
        known: Known<'_>,
    ) -> Result<Listing, RefreshError> {
        let had_groups = known.of(kind).any(|entry| entry.group().is_some());
        let (categories, streams) = match kind {
            Kind::Live => ("get_live_categories", "get_live_streams"),
            Kind::Film | Kind::Episode => ("get_vod_categories", "get_vod_streams"),
        };
        let groups = self.categories(fetcher, request, categories, had_groups).await?;
        let account = self.clone();
        let read = move |body: &mut dyn Read| account.read_streams(body, kind, &groups);
        fetcher.fetch(&self.url(Some(streams), &[]), request, read).await
    }

    /// The episodes of one series.
    pub(super) async fn episodes(
        &self,
        fetcher: &Fetcher,
        request: &ListRequest,
        series_id: &str,
    ) -> Result<Vec<xtream::Episode>, RefreshError> {
        let url = self.url(Some("get_series_info"), &[("series_id", series_id)]);
        fetcher
            .fetch(&url, request, |body| {
                xtream::series_info(body)
                    .map(|found| found.episodes)
                    .map_err(|error| plain(&error))
            })
            .await
    }

    /// The address of an episode.
    pub(super) fn episode_url(&self, id: &str, extension: &str) -> String {
        xtream::url::series(
            self.base.expose(),
            self.username.expose(),
            self.password.expose(),
            id,
            extension,
        )
    }

    /// What the account says of itself, whatever that is.
    pub(super) async fn account(
        &self,
        fetcher: &Fetcher,
        request: &ListRequest,
    ) -> Result<Account, RefreshError> {
        self.account_at(fetcher, request, &self.url(None, &[])).await
    }

    /// Where the accounts of the further logins are asked, in their order.
    pub(super) fn account_urls(&self, addresses: &Addresses) -> Vec<String> {
        let url = self.url(None, &[]);
        let all = addresses
            .elsewhere(&url)
            .map(|(_, _, url)| url.expose().to_owned());
        all.collect()
    }

    /// What an account says of itself.
    pub(super) async fn account_at(
        &self,
        fetcher: &Fetcher,
        request: &ListRequest,
        url: &str,
    ) -> Result<Account, RefreshError> {
        fetcher
            .fetch(url, request, |body| {
                xtream::account(body).map_err(|error| plain(&error))
            })
            .await
    }

    /// Category names by id. A panel without categories still has its streams; one that `had` them has a fault, and
    /// its channels keep their groups.
    async fn categories(
        &self,
        fetcher: &Fetcher,
        request: &ListRequest,
        action: &str,
        had: bool,
    ) -> Result<HashMap<String, String>, RefreshError> {
        let read = |body: &mut dyn Read| {
            let mut names = HashMap::new();
            let take = |category: Category| {
                names.insert(category.id, category.name);
            };
            match xtream::categories(body, take) {
                Ok(_) => Ok(names),
                Err(error) => Err(list_error(&error)),
            }
        };
        match fetcher.fetch(&self.url(Some(action), &[]), request, read).await {
            Ok(names) if names.is_empty() && had => Err(RefreshError::NotAList(
                "the list of categories is empty".to_owned(),
            )),
            Err(RefreshError::NotAList(reason)) if !had => {
                tracing::debug!(source = %self.source, action, reason, "no categories; entries have no group");
                Ok(HashMap::new())
            }
            answer => answer,
        }
    }

    /// Reads one kind of streams into a listing, record by record.
    fn read_streams(
        &self,
        body: &mut dyn Read,
        kind: Kind,
        groups: &HashMap<String, String>,
    ) -> Result<Listing, RefreshError> {
        let mut listing = Listing::new(self.source.clone());
        let summary = match kind {
            Kind::Live => xtream::live_streams(body, |stream| self.push_live(&mut listing, groups, &stream)),
            Kind::Film | Kind::Episode => {
                xtream::vod_streams(body, |film| self.push_film(&mut listing, groups, &film))
            }
        };
        listing.malformed = whole(summary, listing.entries.len(), self.entries_max)?;
        listing.finish();
        Ok(listing)
    }

    fn push_live(
        &self,
        listing: &mut Listing,
        groups: &HashMap<String, String>,
        stream: &xtream::LiveStream,
    ) {
        // One more than allowed tells "too many" from "just enough".
        if listing.entries.len() > self.entries_max {
            return;
        }
        let (base, user, pass) = self.credentials();
        listing.push(Fields {
            tvg_name: None,
            title: &stream.name,
            group: group(groups, &stream.category_ids),
            logo: stream.icon.as_deref(),
            tvg_id: stream.epg_channel_id.as_deref(),
            kind: Kind::Live,
            url: StreamUrl::new(xtream::url::live(base, user, pass, &stream.stream_id, "ts")),
            stream_key: &stream.stream_id,
            tvg_chno: None,
            extra: Extra::default(),
        });
    }

    fn push_film(&self, listing: &mut Listing, groups: &HashMap<String, String>, film: &xtream::VodStream) {
        if listing.entries.len() > self.entries_max {
            return;
        }
        let (base, user, pass) = self.credentials();
        let url = xtream::url::movie(base, user, pass, &film.stream_id, &film.container_extension);
        listing.push(Fields {
            tvg_name: None,
            title: &film.name,
            group: group(groups, &film.category_ids),
            logo: film.icon.as_deref(),
            tvg_id: None,
            kind: Kind::Film,
            url: StreamUrl::new(url),
            stream_key: &format!("movie:{}", film.stream_id),
            tvg_chno: None,
            extra: Extra::default(),
        });
    }

    async fn series_list(
        &self,
        fetcher: &Fetcher,
        request: &ListRequest,
    ) -> Result<(Vec<Series>, u64), RefreshError> {
        let groups = self
            .categories(fetcher, request, "get_series_categories", false)
            .await?;
        let entries_max = self.entries_max;
        let read = move |body: &mut dyn Read| {
            let mut list = Vec::new();
            let summary = xtream::series(body, |series| {
                let group = group(&groups, &series.category_ids).map(Box::from);
                push_bounded(&mut list, Series::new(series, group), entries_max);
            });
            let bad = whole(summary, list.len(), entries_max)?;
            Ok((list, bad))
        };
        fetcher
            .fetch(&self.url(Some("get_series"), &[]), request, read)
            .await
    }

    fn credentials(&self) -> (&str, &str, &str) {
        (self.base.expose(), self.username.expose(), self.password.expose())
    }

    fn url(&self, action: Option<&str>, params: &[(&str, &str)]) -> String {
        let (base, user, pass) = self.credentials();
        xtream::url::player_api(base, user, pass, action, params)
    }
}

/// An account that says it does not work is not asked for its lists: what is known of them stays.
pub(super) fn usable(account: &Account) -> Result<(), RefreshError> {
    if account.auth == Some(false) {
        return Err(RefreshError::Account("name or password is wrong".to_owned()));
    }
    match account.status {
        Status::Banned | Status::Disabled | Status::Expired => Err(RefreshError::Account(format!(
            "its status is {:?}",
            account.status
        ))),
        _ => Ok(()),
    }
}

fn group<'a>(groups: &'a HashMap<String, String>, ids: &[String]) -> Option<&'a str> {
    ids.iter().find_map(|id| groups.get(id)).map(String::as_str)
}

fn push_bounded<T>(list: &mut Vec<T>, item: T, max: usize) {
    // One more than allowed tells "too many" from "just enough".
    if list.len() <= max {
        list.push(item);
    }
}

/// How many records of a list could not be used, if all of it came. Half a list is no list: it would empty channels.
fn whole(
    summary: Result<xtream::Summary, ListError>,
    entries: usize,
    entries_max: usize,
) -> Result<u64, RefreshError> {
    let summary = summary.map_err(|error| list_error(&error))?;
    if entries > entries_max {
        return Err(RefreshError::NotAList(
            "a list has more entries than limits.list_entries allows".to_owned(),
        ));
    }
    Ok(summary.bad)
}

fn list_error(error: &ListError) -> RefreshError {
    RefreshError::NotAList(error.to_string())
}

fn plain(error: &Error) -> RefreshError {
    RefreshError::NotAList(error.to_string())
}
