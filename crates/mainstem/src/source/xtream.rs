//! An Xtream account's lists as a [`Listing`].

use std::collections::BTreeMap;
use std::io::Read;

use catalog::listing::{Catchup, Entry, Extra, Fields, Kind};
use catalog::{Listing, Secret, SourceName, StreamUrl};
use url::Url;
use xtream::{Account, Category, Error, ListError, Status};

use super::addresses::{Addresses, is_of_same_user};
use super::failure::RefreshError;
use super::fetch::{Fetcher, ListRequest, News};
use super::m3u::FILE_ENDINGS;
use super::series::Series;
use super::version::KindVersion;
use crate::config::LiveFormat;

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
    pub(super) live_format: LiveFormat,
    pub(super) entries_max: usize,
}

/// What one refresh of an account brought.
#[derive(Debug)]
pub(super) struct Brought {
    /// `None`: no kind of streams came, and what is known of them stays.
    pub(super) listing: Option<Listing>,
    /// `None`: the list of series failed or is the known one, which stays.
    pub(super) series: Option<Vec<Series>>,
    /// The first kind of list that failed, while another came. What was known of it is in `listing`.
    pub(super) failed: Option<RefreshError>,
    /// Why lists of categories did not come, of the kinds that did: their groups are those known before, or none.
    pub(super) ungrouped: Vec<(Kind, RefreshError)>,
    /// What tells all of it from a later one.
    pub(super) versions: AccountVersions,
}

/// The versions of an account's lists.
#[derive(Debug, Clone, Default)]
pub(super) struct AccountVersions {
    pub(super) live: KindVersion,
    pub(super) films: KindVersion,
    pub(super) series: KindVersion,
}

/// What was known before a refresh.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) listing: Option<&'a Listing>,
    pub(super) has_series: bool,
    /// Of what is known; nothing where that is to be replaced in any case.
    pub(super) versions: &'a AccountVersions,
}

impl Known<'_> {
    fn of(&self, kind: Kind) -> impl Iterator<Item = Entry<'_>> {
        let entries = self
            .listing
            .into_iter()
            .flat_map(|listing| listing.entries.iter());
        entries.filter(move |entry| entry.kind() == kind)
    }

    fn version(&self, kind: Kind) -> &KindVersion {
        match kind {
            Kind::Live => &self.versions.live,
            Kind::Film => &self.versions.films,
            Kind::Episode => &self.versions.series,
        }
    }
}

/// The actions of the player API that list one kind: its categories, and itself.
fn actions(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Live => ("get_live_categories", "get_live_streams"),
        Kind::Film => ("get_vod_categories", "get_vod_streams"),
        Kind::Episode => ("get_series_categories", "get_series"),
    }
}

impl XtreamAccount {
    /// Settles the form of live addresses by what the account `allows`, where the operator leaves it to that.
    pub(super) fn know_formats(&mut self, allows: &[String]) {
        let has = |format: &str| allows.iter().any(|allowed| allowed == format);
        if self.live_format == LiveFormat::Auto && has("m3u8") && !has("ts") {
            self.live_format = LiveFormat::M3u8;
        }
    }

    fn live_ending(&self) -> &'static str {
        match self.live_format {
            LiveFormat::Auto | LiveFormat::Ts => "ts",
            LiveFormat::M3u8 => "m3u8",
            LiveFormat::Bare => "",
        }
    }

    /// Whether the live addresses of a list have the form that is settled now.
    pub(super) fn has_its_form(&self, listing: &Listing) -> bool {
        let mut live = listing.entries.iter().filter(|entry| entry.kind() == Kind::Live);
        live.next().is_none_or(|entry| {
            let url = entry.url();
            let last = url.expose().rsplit('/').next().unwrap_or_default();
            last.split_once('.').map_or("", |(_, ending)| ending) == self.live_ending()
        })
    }

    /// Asks for every kind of list with its categories, for what has changed only. A kind that fails, or comes empty
    /// where there was something, costs nothing but itself: what is `known` of it stays. Without its categories, a kind
    /// comes all the same.
    pub(super) async fn refresh(
        &self,
        fetcher: &Fetcher,
        request: &ListRequest,
        known: Known<'_>,
    ) -> Result<Brought, RefreshError> {
        let (mut parts, mut failures, mut asked) = (Vec::new(), Vec::new(), 0);
        let mut ungrouped = Vec::new();
        let mut versions = AccountVersions::default();
        for (kind, wanted) in [(Kind::Live, self.live), (Kind::Film, self.films)] {
            if !wanted {
                continue;
            }
            asked += 1;
            let had = known.of(kind).next().is_some();
            let (version, no_groups) = self.categories(fetcher, request, kind, known.version(kind)).await;
            let (part, version) = match self.streams(fetcher, request, kind, version).await {
                Ok((News::List(part, _), version)) if !had || !part.entries.is_empty() => {
                    ungrouped.extend(no_groups.map(|error| (kind, error)));
                    (Some(part), version)
                }
                Ok((News::Same, version)) => {
                    ungrouped.extend(no_groups.map(|error| (kind, error)));
                    (None, version)
                }
                came => {
                    failures.push(came.err().unwrap_or(RefreshError::Empty));
                    (None, known.version(kind).clone())
                }
            };
            parts.push((kind, part, version.malformed));
            match kind {
                Kind::Live => versions.live = version,
                Kind::Film | Kind::Episode => versions.films = version,
            }
        }
        let mut series = self.series.then(Vec::new);
        if self.series {
            asked += 1;
            let kind = Kind::Episode;
            let (version, no_groups) = self.categories(fetcher, request, kind, known.version(kind)).await;
            let version = match self.series_list(fetcher, request, version).await {
                Ok((News::List(list, _), version)) if !known.has_series || !list.is_empty() => {
                    ungrouped.extend(no_groups.map(|error| (kind, error)));
                    series = Some(list);
                    version
                }
                Ok((News::Same, version)) => {
                    ungrouped.extend(no_groups.map(|error| (kind, error)));
                    series = None;
                    version
                }
                came => {
                    series = None;
                    failures.push(came.err().unwrap_or(RefreshError::Empty));
                    known.versions.series.clone()
                }
            };
            versions.series = version;
        }
        let listing = self.put_together(parts, versions.series.malformed, known);
        let has_entries = match &listing {
            Some(listing) => !listing.entries.is_empty(),
            None => known.listing.is_some_and(|known| !known.entries.is_empty()),
        };
        let has_series = series.as_ref().map_or(known.has_series, |list| !list.is_empty());
        let all_failed = failures.len() == asked;
        let failed = failures.into_iter().next();
        if all_failed || !(has_entries || has_series) {
            return Err(failed.unwrap_or(RefreshError::Empty));
        }
        Ok(Brought {
            listing,
            series,
            failed,
            ungrouped,
            versions,
        })
    }

    /// The list of what came and, of the kinds that did not, of what is known; `None` where it is the known list.
    fn put_together(
        &self,
        parts: Vec<(Kind, Option<Listing>, u64)>,
        malformed: u64,
        known: Known<'_>,
    ) -> Option<Listing> {
        let is_wanted = |entry: Entry<'_>| parts.iter().any(|(kind, ..)| *kind == entry.kind());
        let none_came = parts.iter().all(|(_, part, _)| part.is_none());
        if let Some(known) = known.listing
            && none_came
            && known.malformed == malformed + parts.iter().map(|(.., bad)| bad).sum::<u64>()
            && known.entries.iter().all(is_wanted)
        {
            return None;
        }
        let mut listing = Listing::new(self.source.clone());
        for (kind, part, malformed) in parts {
            match part {
                Some(part) => listing.append(part),
                None => {
                    known.of(kind).for_each(|entry| listing.push_copy(entry));
                    listing.malformed += malformed;
                }
            }
        }
        listing.malformed += malformed;
        Some(listing)
    }

    /// One kind of streams, with the names of their categories.
    async fn streams(
        &self,
        fetcher: &Fetcher,
        request: &ListRequest,
        kind: Kind,
        mut version: KindVersion,
    ) -> Result<(News<Listing>, KindVersion), RefreshError> {
        let (account, groups) = (self.clone(), version.names.clone());
        let read = move |body: &mut dyn Read| account.read_streams(body, kind, &groups);
        let url = self.url(Some(actions(kind).1), &[]);
        let news = fetcher.fetch_news(&url, request, &version.list, read).await?;
        if let News::List(listing, validators) = &news {
            version.list = validators.clone();
            version.malformed = listing.malformed;
        }
        Ok((news, version))
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

    /// The names of a kind's categories, with what the list may be asked for with: nothing where it must be read again in
    /// any case. Where they do not come, or come empty though there were some, those `known` are as good as any, and the
    /// reason is told.
    async fn categories(
        &self,
        fetcher: &Fetcher,
        request: &ListRequest,
        kind: Kind,
        known: &KindVersion,
    ) -> (KindVersion, Option<RefreshError>) {
        let read = |body: &mut dyn Read| {
            let mut names = BTreeMap::new();
            let take = |category: Category| {
                names.insert(category.id, category.name);
            };
            match xtream::categories(body, take) {
                Ok(_) => Ok(names),
                Err(error) => Err(list_error(&error)),
            }
        };
        let url = self.url(Some(actions(kind).0), &[]);
        let (names, categories) = match fetcher.fetch_news(&url, request, &known.categories, read).await {
            Ok(News::Same) => return (known.clone(), None),
            Ok(News::List(names, _)) if names.is_empty() && !known.names.is_empty() => {
                let nothing = RefreshError::NotAList("the list of categories is empty".to_owned());
                return (known.clone(), Some(nothing));
            }
            Ok(News::List(names, validators)) => (names, validators),
            Err(error) => return (known.clone(), Some(error)),
        };
        let version = if names == known.names {
            known.clone()
        } else {
            KindVersion::default()
        };
        let version = KindVersion {
            categories,
            names,
            ..version
        };
        (version, None)
    }

    /// Reads one kind of streams into a listing, record by record.
    fn read_streams(
        &self,
        body: &mut dyn Read,
        kind: Kind,
        groups: &BTreeMap<String, String>,
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
        groups: &BTreeMap<String, String>,
        stream: &xtream::LiveStream,
    ) {
        // One more than allowed tells "too many" from "just enough".
        if listing.entries.len() > self.entries_max {
            return;
        }
        let (base, user, pass) = self.credentials();
        let url = xtream::url::live(base, user, pass, &stream.stream_id, self.live_ending());
        let catchup = stream.tv_archive.then(|| {
            Box::new(Catchup {
                mode: Some("xc".into()),
                days: stream.tv_archive_days,
                ..Catchup::default()
            })
        });
        listing.push(Fields {
            tvg_name: None,
            title: &stream.name,
            group: group(groups, &stream.category_ids),
            logo: stream.icon.as_deref(),
            tvg_id: stream.epg_channel_id.as_deref(),
            kind: Kind::Live,
            direct: direct(stream.direct_source.as_deref(), &url),
            url: StreamUrl::new(url),
            stream_key: &stream.stream_id,
            tvg_chno: None,
            extra: Extra {
                catchup,
                ..Extra::default()
            },
        });
    }

    fn push_film(&self, listing: &mut Listing, groups: &BTreeMap<String, String>, film: &xtream::VodStream) {
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
            direct: direct(film.direct_source.as_deref(), &url),
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
        mut version: KindVersion,
    ) -> Result<(News<Vec<Series>>, KindVersion), RefreshError> {
        let (groups, entries_max) = (version.names.clone(), self.entries_max);
        let read = move |body: &mut dyn Read| {
            let mut list = Vec::new();
            let summary = xtream::series(body, |series| {
                let group = group(&groups, &series.category_ids).map(Box::from);
                push_bounded(&mut list, Series::new(series, group), entries_max);
            });
            let bad = whole(summary, list.len(), entries_max)?;
            Ok((list, bad))
        };
        let url = self.url(Some(actions(Kind::Episode).1), &[]);
        match fetcher.fetch_news(&url, request, &version.list, read).await? {
            News::Same => Ok((News::Same, version)),
            News::List((list, bad), validators) => {
                version.list = validators.clone();
                version.malformed = bad;
                Ok((News::List(list, validators), version))
            }
        }
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

/// The address that a panel names beside its own, where it can be asked and says something else.
///
/// One that holds another user's name is not: it would count at a login whose limit nobody knows.
pub(super) fn direct(written: Option<&str>, own: &str) -> Option<StreamUrl> {
    let written = written.filter(|written| *written != own && !written.chars().any(char::is_control))?;
    let url = Url::parse(written).ok()?;
    let can_be_asked = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    let names_nobody = xtream::credentials_in(written).is_none() || is_file_in_folders(&url);
    (can_be_asked && (names_nobody || is_of_same_user(written, own))).then(|| StreamUrl::new(written))
}

/// Whether two folders and a number, which look like a name, a password and a stream, are what they are: a file has an
/// ending that no stream has.
fn is_file_in_folders(url: &Url) -> bool {
    let named = url
        .query()
        .is_some_and(|query| query.to_ascii_lowercase().contains("username="));
    let of_panels = ["live", "movie", "series", "timeshift"];
    let mut folders = url.path().split('/');
    let ending = url.path().rsplit_once('.').map_or("", |(_, ending)| ending);
    !named
        && FILE_ENDINGS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(ending))
        && !folders.any(|folder| of_panels.contains(&folder))
}

fn group<'a>(groups: &'a BTreeMap<String, String>, ids: &[String]) -> Option<&'a str> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_beside_the_panels_own_is_taken_where_it_names_nobody_else() {
        let own = "http://h.example:80/movie/u/p/1.mkv";
        for (written, expected) in [
            ("https://cdn.example/films/2026/1.mkv", true),
            ("http://cdn.example/a/b/7.mkv?token=x", true),
            ("http://other.example/movie/u/p/1.mp4", true),
            ("http://h.example/u/p/1", true),
            ("", false),
            (own, false),
            ("http://h.example/movie/other/secret/1.mkv", false),
            ("http://upstream.example/other/secret/1.ts", false),
            ("http://upstream.example/other/secret/1", false),
            ("http://h.example/a/b/7.mkv?username=other&password=p", false),
            ("rtmp://h.example/live/1", false),
            ("http://", false),
            ("/movie/u/p/1.mkv", false),
            ("1.mkv", false),
            ("http://h.example/a\nb.mkv", false),
        ] {
            let found = direct(Some(written), own);
            let expected = expected.then_some(written);
            assert_eq!(found.as_ref().map(StreamUrl::expose), expected, "{written}");
        }
        assert_eq!(direct(None, own), None);
    }
}
