//! The series of an account: known by name from one list call, their episodes fetched one series at a time.

use std::collections::BTreeMap;

use catalog::listing::{Extra, Fields, Kind};
use catalog::{Filters, Listing, SourceName, StreamUrl};
use serde::{Deserialize, Serialize};

use super::xtream::direct;

/// A series as the account lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The account's number of it.
    pub id: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its category.
    pub group: Option<Box<str>>,
    /// Its cover.
    pub logo: Option<Box<str>>,
    /// When the account last changed it, in whatever form it says so.
    pub modified: Option<i64>,
}

impl Series {
    pub(super) fn new(series: xtream::Series, group: Option<Box<str>>) -> Self {
        Self {
            id: series.series_id.into(),
            name: series.name.into(),
            group,
            logo: series.cover.map(Into::into),
            modified: series.last_modified,
        }
    }
}

/// An episode, as it is kept. Its address is made when it is listed, and holds the credentials of that day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// The account's number of it.
    pub id: Box<str>,
    /// Its season, where the account says so.
    pub season: Option<u32>,
    /// Its number in the season, where the account says so.
    pub number: Option<u32>,
    /// Its title.
    pub title: Box<str>,
    /// The ending of its file.
    pub extension: Box<str>,
    /// The address that the account names beside its own; empty where it names none.
    #[serde(default, with = "catalog::secret::exposed")]
    pub(super) direct: StreamUrl,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Expanded {
    modified: Option<i64>,
    episodes: Vec<Episode>,
}

/// All series of one account, and the episodes known of them.
#[derive(Debug, Default, Clone)]
pub struct SeriesShelf {
    series: Vec<Series>,
    expanded: BTreeMap<Box<str>, Expanded>,
}

/// What of a shelf is kept on disk: the series too, for without them a restart while the provider is down would lose
/// the episodes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct StoredShelf {
    series: Vec<Series>,
    expanded: BTreeMap<Box<str>, Expanded>,
}

impl SeriesShelf {
    /// A shelf with the episodes known from before.
    pub(super) fn with_known(stored: StoredShelf) -> Self {
        Self {
            series: stored.series,
            expanded: stored.expanded,
        }
    }

    pub(super) fn to_store(&self) -> StoredShelf {
        StoredShelf {
            series: self.series.clone(),
            expanded: self.expanded.clone(),
        }
    }

    /// Takes over a fresh list. Episodes of series that are gone are forgotten.
    pub(super) fn set_series(&mut self, series: Vec<Series>) {
        self.series = series;
        let listed: std::collections::HashSet<&str> = self.series.iter().map(|series| &*series.id).collect();
        self.expanded.retain(|id, _| listed.contains(&**id));
    }

    pub(super) fn set_episodes(&mut self, id: &str, episodes: Vec<xtream::Episode>) {
        let Some(series) = self.series.iter().find(|series| &*series.id == id) else {
            return;
        };
        let episodes = episodes
            .into_iter()
            .map(|episode| Episode {
                id: episode.id.into(),
                season: episode.season,
                number: episode.episode_num,
                title: episode.title.into(),
                extension: episode.container_extension.into(),
                direct: StreamUrl::from(episode.direct_source.unwrap_or_default()),
            })
            .collect();
        self.expanded.insert(
            id.into(),
            Expanded {
                modified: series.modified,
                episodes,
            },
        );
    }

    /// All series.
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The episodes of a series, where they are known.
    #[must_use]
    pub fn episodes(&self, id: &str) -> Option<&[Episode]> {
        self.expanded.get(id).map(|expanded| expanded.episodes.as_slice())
    }

    /// Series whose episodes are not known, or not in their newest state.
    #[must_use]
    pub fn unexpanded(&self) -> usize {
        self.series
            .iter()
            .filter(|series| !self.is_expanded(series))
            .count()
    }

    /// The next series the operator wants whose episodes should be fetched.
    pub(super) fn next_wanted(
        &self,
        filters: &Filters,
        source: &SourceName,
        after: Option<&str>,
    ) -> Option<&Series> {
        let mut rest = self.series.iter();
        if let Some(after) = after {
            rest.find(|series| &*series.id == after)?;
        }
        rest.find(|series| !self.is_expanded(series) && is_wanted(series, filters, source))
    }

    fn is_expanded(&self, series: &Series) -> bool {
        self.expanded
            .get(&series.id)
            .is_some_and(|expanded| expanded.modified == series.modified)
    }

    /// Adds the known episodes to a listing.
    pub(super) fn list_into(&self, listing: &mut Listing, url: impl Fn(&str, &str) -> String) {
        for series in &self.series {
            let Some(expanded) = self.expanded.get(&series.id) else {
                continue;
            };
            for episode in &expanded.episodes {
                let key = format!("episode:{}", episode.id);
                let url = url(&episode.id, &episode.extension);
                listing.push(Fields {
                    tvg_name: None,
                    title: &episode_name(&series.name, episode),
                    group: series.group.as_deref(),
                    logo: series.logo.as_deref(),
                    tvg_id: None,
                    kind: Kind::Episode,
                    direct: direct(Some(episode.direct.expose()), &url),
                    url: StreamUrl::new(url),
                    stream_key: &key,
                    tvg_chno: None,
                    extra: Extra::default(),
                });
            }
        }
    }
}

/// Filters see a series by its name, as they will see its episodes.
fn is_wanted(series: &Series, filters: &Filters, source: &SourceName) -> bool {
    let mut probe = Listing::new(source.clone());
    probe.push(Fields {
        tvg_name: None,
        title: &series.name,
        group: series.group.as_deref(),
        logo: None,
        tvg_id: None,
        kind: Kind::Episode,
        url: StreamUrl::new(""),
        direct: None,
        stream_key: &series.id,
        tvg_chno: None,
        extra: Extra::default(),
    });
    probe
        .entries
        .first()
        .is_some_and(|entry| catalog::filter::Tally::new(filters).admits(entry))
}

/// `Series S01E02`, or with the title where the account numbers nothing.
fn episode_name(series: &str, episode: &Episode) -> String {
    match (episode.season, episode.number) {
        (Some(season), Some(number)) => format!("{series} S{season:02}E{number:02}"),
        (None, Some(number)) => format!("{series} E{number:02}"),
        _ => format!("{series} - {}", episode.title),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(id: &str, name: &str, modified: i64) -> Series {
        Series {
            id: id.into(),
            name: name.into(),
            group: None,
            logo: None,
            modified: Some(modified),
        }
    }

    fn episode(id: &str) -> xtream::Episode {
        xtream::Episode {
            id: id.to_owned(),
            season: Some(1),
            episode_num: Some(2),
            title: "t".to_owned(),
            container_extension: "mkv".to_owned(),
            ..xtream::Episode::default()
        }
    }

    #[test]
    fn episodes_are_listed_once_known_and_fetched_anew_when_the_series_changed() {
        let source = SourceName::new("s");
        let mut shelf = SeriesShelf::default();
        shelf.set_series(vec![series("1", "One", 5), series("2", "Two", 5)]);
        assert_eq!(shelf.unexpanded(), 2);
        shelf.set_episodes("1", vec![episode("11")]);
        let mut listing = Listing::new(source.clone());
        shelf.list_into(&mut listing, |id, ending| {
            format!("http://h.example/{id}.{ending}")
        });
        let listed: Vec<_> = listing
            .entries
            .iter()
            .map(|entry| (entry.name(), entry.url().expose().to_owned()))
            .collect();
        assert_eq!(listed, [("One S01E02", "http://h.example/11.mkv".to_owned())]);
        assert_eq!(
            shelf
                .next_wanted(&Filters::default(), &source, None)
                .map(|s| &*s.id),
            Some("2")
        );
        shelf.set_series(vec![series("1", "One", 6)]);
        assert_eq!(shelf.unexpanded(), 1);
        assert!(
            shelf.episodes("1").is_some(),
            "the old episodes stay until the new ones are there"
        );
        assert!(shelf.episodes("2").is_none());
    }

    #[test]
    fn an_episode_has_the_address_beside_its_own_after_a_restart_too() {
        let source = SourceName::new("s");
        let mut shelf = SeriesShelf::default();
        shelf.set_series(vec![series("1", "One", 5)]);
        let beside = xtream::Episode {
            direct_source: Some("http://cdn.example/11.mkv".to_owned()),
            ..episode("11")
        };
        shelf.set_episodes("1", vec![beside, episode("12")]);
        assert!(
            !format!("{shelf:?}").contains("11.mkv"),
            "it may hold credentials"
        );
        let stored = serde_json::to_string(&shelf.to_store()).unwrap();
        let shelf = SeriesShelf::with_known(serde_json::from_str(&stored).unwrap());
        let mut listing = Listing::new(source);
        shelf.list_into(&mut listing, |id, ending| {
            format!("http://h.example/series/u/p/{id}.{ending}")
        });
        let direct: Vec<_> = listing
            .entries
            .iter()
            .map(|entry| entry.direct().map(|url| url.expose().to_owned()))
            .collect();
        assert_eq!(direct, [Some("http://cdn.example/11.mkv".to_owned()), None]);
    }

    #[test]
    fn only_series_that_pass_the_filters_are_wanted() {
        let source = SourceName::new("s");
        let mut shelf = SeriesShelf::default();
        shelf.set_series(vec![series("1", "Adult show", 1), series("2", "News", 1)]);
        let filters = Filters {
            exclude_name: vec![catalog::Pattern::compile("adult").unwrap()],
            ..Filters::default()
        };
        assert_eq!(
            shelf.next_wanted(&filters, &source, None).map(|s| &*s.id),
            Some("2")
        );
        assert_eq!(shelf.next_wanted(&filters, &source, Some("2")), None);
    }
}
