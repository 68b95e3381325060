//! What was on at a channel: `GET /stream/{id}?utc=…`, from the first source that kept it, as the file it is there.
//!
//! Lives here: which stretch of the past is asked for, who may have it, and in which form a panel last had it. How its
//! addresses look is in [`crate::upstream::catchup`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::channel::StreamEntry;
use catalog::{Catalog, Channel, ChannelId, StreamId, StreamUrl};
use http::Uri;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::file::Wanted;
use crate::api::App;
use crate::api::error::ApiError;
use crate::channels::Channels;
use crate::slot::Login;
use crate::upstream::catchup::{Past, addresses, is_playable};
use crate::upstream::open::Target;

/// What begins so few seconds ago is what is on now: players that shift times ask for the present like this.
const PRESENT_S: i64 = 30;

/// The longest stretch that is asked of a provider at once, seconds: a day.
const LONGEST_S: i64 = 86_400;

/// Seconds in a day, in which lists count how long they keep.
const DAY_S: i64 = 86_400;

/// Times from here on are milliseconds: as seconds they are of the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// Logins whose form is remembered.
const FORMS_MAX: usize = 1_024;

/// In which of the forms that [`addresses`] lists a login's provider had something last. Clones are cheap and mean the
/// same ones.
#[derive(Debug, Clone, Default)]
pub struct Forms(
    /// Short critical sections, never across an await.
    Arc<Mutex<HashMap<Login, usize>>>,
);

impl Forms {
    fn last(&self, login: &Login) -> usize {
        self.state().get(login).copied().unwrap_or_default()
    }

    fn learn(&self, login: &Login, form: usize) {
        let mut state = self.state();
        if state.len() >= FORMS_MAX && !state.contains_key(login) {
            state.clear();
        }
        state.insert(login.clone(), form);
    }

    fn state(&self) -> MutexGuard<'_, HashMap<Login, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stretch of the past that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    past: Past,
    /// The end as it was asked for. Of what is not over the past ends now, which is later at each request for a part.
    asked_end: Option<i64>,
}

/// The stretch of the past that an address asks for; `None` where it asks for what is on.
///
/// # Errors
/// Times that are none, or of a stretch that cannot be had.
pub(super) fn stretch_of(uri: &Uri, now: Timestamp) -> Result<Option<Stretch>, ApiError> {
    let Some(query) = uri.query() else { return Ok(None) };
    let value = |names: &[&str]| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs
            .find(|(name, _)| names.contains(&&**name))
            .map(|(_, value)| value)
    };
    let (end, duration) = (value(&["utcend", "end"]), value(&["duration"]));
    // Other programs have a `start` of their own, which is no time.
    let start = value(&["utc"]).or_else(|| value(&["start"]).filter(|_| end.is_some() || duration.is_some()));
    let Some(start) = start else { return Ok(None) };
    let now = now.as_second();
    let start = seconds(&start)?;
    if start > now - PRESENT_S {
        return Ok(None);
    }
    let asked_end = match (end, duration) {
        (Some(end), _) => Some(seconds(&end)?),
        (None, Some(duration)) => Some(start + seconds(&duration)?),
        (None, None) => None,
    };
    // What is not over yet cannot be had whole.
    let end = asked_end.unwrap_or(start + LONGEST_S).min(now);
    if end <= start || end - start > LONGEST_S {
        let detail = "utcend (or utc and duration, in seconds) has to be after utc, by a day at most";
        return Err(ApiError::bad_query(detail));
    }
    let past = Past { start, end, now };
    Ok(Some(Stretch { past, asked_end }))
}

/// Unix seconds, or milliseconds.
fn seconds(text: &str) -> Result<i64, ApiError> {
    let number = text
        .trim()
        .parse()
        .ok()
        .filter(|number| (0..i64::from(u32::MAX) * 1_000).contains(number));
    match number {
        Some(milliseconds) if milliseconds >= MILLISECONDS_FROM => Ok(milliseconds / 1_000),
        Some(seconds) => Ok(seconds),
        None => Err(ApiError::bad_query("utc and utcend are Unix times, in seconds")),
    }
}

/// How many days some stream of a channel is kept, as far as its list says; `None` where none can be played.
pub(super) fn kept(channel: &Channel) -> Option<Option<u32>> {
    let mut days = channel.streams().filter_map(|stream| {
        let catchup = stream.entry().extra().catchup.as_deref()?;
        is_playable(catchup, stream.url().expose()).then_some(catchup.days)
    });
    let first = days.next()?;
    Some(days.fold(first, Option::max))
}

/// Where a stretch of the past may be: at each stream that keeps it, in each form, the one that was right last in front.
///
/// # Errors
/// No source kept it.
pub(super) fn wanted<'a>(
    app: &App,
    catalog: &Catalog,
    channel: &'a Channel,
    Stretch { past, asked_end }: Stretch,
) -> Result<Wanted<'a>, ApiError> {
    if kept(channel).is_none() {
        return Err(ApiError::no_catch_up(channel.name()));
    }
    let streams = channel.streams().filter(|stream| keeps(stream, past));
    let places: Vec<_> = streams
        .flat_map(|stream| places(&app.channels, catalog, stream, past, &app.forms))
        .collect();
    if places.is_empty() {
        return Err(ApiError::no_longer_kept(channel.name()));
    }
    Ok(Wanted {
        name: channel.name(),
        subject: channel.id(),
        // Each stretch is a file of its own.
        id: ChannelId::of_name(&format!("{} {} {asked_end:?}", channel.id(), past.start)),
        places,
    })
}

/// Remembers which form was right.
pub(super) fn learn(app: &App, target: &Target, form: usize) {
    app.forms.learn(&target.login, form);
}

fn keeps(stream: &StreamEntry, past: Past) -> bool {
    let catchup = stream.entry().extra().catchup.as_deref();
    let days = catchup.and_then(|catchup| catchup.days).filter(|days| *days > 0);
    // The last hour of the oldest day may be there still.
    catchup.is_some() && days.is_none_or(|days| past.now - past.start <= (i64::from(days) + 1) * DAY_S)
}

fn places(
    channels: &Channels,
    catalog: &Catalog,
    stream: &StreamEntry,
    past: Past,
    forms: &Forms,
) -> Vec<(StreamId, Target, Option<usize>)> {
    let Some(catchup) = stream.entry().extra().catchup.as_deref() else {
        return Vec::new();
    };
    let Some(target) = channels.target(catalog, stream) else {
        return Vec::new();
    };
    let zone = channels.zone(&target.source).unwrap_or(TimeZone::UTC);
    let at = |url: &StreamUrl| addresses(catchup, url.expose(), past, &zone);
    let mut places: Vec<_> = at(&target.url)
        .into_iter()
        .enumerate()
        .map(|(form, url)| {
            let mut target = target.clone();
            // The further logins have it in the same form; not where the address is the same for all, as it is that of
            // one.
            target.elsewhere.retain_mut(|elsewhere| {
                let there = at(&elsewhere.url).into_iter().nth(form);
                elsewhere.direct = None;
                let there = there.filter(|there| *there != url);
                there.map(|url| elsewhere.url = StreamUrl::new(url)).is_some()
            });
            target.direct = None;
            target.url = StreamUrl::new(url);
            (stream.id(), target, Some(form))
        })
        .collect();
    let last = forms.last(&target.login).min(places.len().saturating_sub(1));
    if let Some(in_front) = places.get_mut(..=last) {
        in_front.rotate_right(1);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_774_800_000;

    fn past(query: &str) -> Option<Option<(i64, i64)>> {
        let uri: Uri = format!("/stream/x{query}").parse().unwrap();
        let stretch = stretch_of(&uri, Timestamp::from_second(NOW).unwrap()).ok()?;
        Some(stretch.map(|Stretch { past, .. }| (past.start - NOW, past.end - NOW)))
    }

    #[test]
    fn players_name_the_past_in_several_ways() {
        let at = |ago: i64| (NOW - ago).to_string();
        for (query, expected) in [
            (String::new(), Some(None)),
            ("?device=x".to_owned(), Some(None)),
            (
                format!("?device=x&utc={}&utcend={}", at(7_200), at(3_600)),
                Some(Some((-7_200, -3_600))),
            ),
            (
                format!("?start={}000&end={}000", at(7_200), at(3_600)),
                Some(Some((-7_200, -3_600))),
            ),
            (
                format!("?utc={}&duration=600", at(7_200)),
                Some(Some((-7_200, -6_600))),
            ),
            (format!("?utc={}&lutc={NOW}", at(7_200)), Some(Some((-7_200, 0)))),
            (format!("?utc={}", at(100_000)), Some(Some((-100_000, -13_600)))),
            ("?start=12.5".to_owned(), Some(None)),
            // It is on still.
            (
                format!("?utc={}&utcend={}", at(600), at(-600)),
                Some(Some((-600, 0))),
            ),
            // That is now.
            (format!("?utc={}", at(5)), Some(None)),
            (format!("?utc={}", at(-500)), Some(None)),
            ("?utc=yesterday".to_owned(), None),
            ("?utc=-5".to_owned(), None),
            ("?utc=99999999999999999999".to_owned(), None),
            (format!("?utc={}&utcend={}", at(600), at(700)), None),
            (format!("?utc={}&duration=100000", at(200_000)), None),
            (format!("?utc={}&duration=9223372036854775807", at(600)), None),
        ] {
            assert_eq!(past(&query), expected, "{query}");
        }
    }

    #[test]
    fn what_is_not_over_is_the_same_stretch_a_moment_later() {
        let later = |query: &str, seconds: i64| {
            let uri: Uri = format!("/stream/x?{query}").parse().unwrap();
            let now = Timestamp::from_second(NOW + seconds).unwrap();
            stretch_of(&uri, now).unwrap().unwrap()
        };
        for query in [
            format!("utc={}", NOW - 600),
            format!("utc={}&utcend={}", NOW - 600, NOW + 600),
        ] {
            let (now, then) = (later(&query, 0), later(&query, 5));
            assert_eq!((now.past.start, now.asked_end), (then.past.start, then.asked_end));
            assert_eq!(
                then.past.end - now.past.end,
                5,
                "what has been on in the meantime is there as well"
            );
        }
    }
}
