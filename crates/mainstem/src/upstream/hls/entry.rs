//! The way to the media playlists: through lists that lead to others, and through the variants of a multivariant playlist.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hls::define::{Definitions, Outside};
use hls::follow::{Config, Follower};
use hls::language::three_letters;
use hls::playlist::{Error, MediaPlaylist, Playlist};
use hls::variant::{Ladder, Selection};
use relay::{Failure, FailureClass};
use tokio::time::Instant;
use tracing::debug;
use url::Url;

use super::programme::Programme;
use super::requests::{Requests, resolve};
use super::session::{List, Session, is_refusal, transient};
use super::unusable;
use crate::slot::Slot;

/// Playlists that lead to others, one inside the other, until one has segments.
const NESTED_MAX: usize = 4;

/// Variants that are asked for until one can be had.
const VARIANTS_TRIED_MAX: usize = 3;

/// The target duration before one is known.
const TARGET: Duration = Duration::from_secs(6);

/// Where the way led.
pub(super) enum Entered {
    Session(Box<Session>),
    Leads(Url, Slot),
}

/// The variants of a multivariant playlist.
pub(super) struct Variants {
    pub(super) ladder: Ladder,
    /// Where the playlist came from: their addresses count from here.
    base: Url,
}

/// What was found on the way.
enum Found {
    /// The playlists of one variant, and of which.
    Lists(Vec<List>, Option<Variants>),
    /// A stream that is none of segments.
    Leads(Url),
}

/// Goes from the first playlist, which came from `base`, to the media playlists.
pub(super) async fn enter(
    requests: Requests,
    base: Url,
    text: Bytes,
    bandwidth_max: Option<u64>,
) -> Result<Entered, Failure> {
    let started = Instant::now();
    let way = Way {
        requests: &requests,
        started,
        bandwidth_max,
    };
    let origin = requests.origin().clone();
    match way
        .follow(origin, (base, text), (Vec::new(), None), Duration::ZERO)
        .await?
    {
        Found::Leads(url) => Ok(Entered::Leads(url, requests.into_slot())),
        Found::Lists(lists, variants) => {
            let languages = languages(variants.as_ref().map(|variants| &variants.ladder));
            let target = lists.first().and_then(|list| list.follower.target());
            let programme = Programme::new(&languages, target.unwrap_or(TARGET));
            let lists = (lists, variants);
            let session = Session::new(requests, lists, programme, (started, bandwidth_max));
            Ok(Entered::Session(Box::new(session)))
        }
    }
}

/// Goes the way anew from where the session began: tokens on it have died. What was fetched stays fetched.
pub(super) async fn renew(session: &mut Session) -> Result<(), Failure> {
    let requested = session.started.elapsed();
    let url = session.requests.origin().clone();
    let (base, text) = session.requests.playlist(url.clone()).await?;
    let text = text.ok_or_else(|| unusable("a playlist became a stream of its own"))?;
    let known = std::mem::take(&mut session.lists);
    let lanes = known.len();
    let ladder = session.variants.take().map(|variants| variants.ladder);
    let way = Way {
        requests: &session.requests,
        started: session.started,
        bandwidth_max: session.bandwidth_max,
    };
    let followers = known.into_iter().map(|list| list.follower).collect();
    let known = (followers, ladder);
    let Found::Lists(lists, variants) = way.follow(url, (base, text), known, requested).await? else {
        return Err(unusable("a playlist became a stream of its own"));
    };
    if lists.len() != lanes {
        return Err(transient("the sounds of the stream have changed"));
    }
    (session.lists, session.variants) = (lists, variants);
    Ok(())
}

/// The ladder says that another variant is to be played: it goes on where the one before it stands.
pub(super) async fn change_variant(session: &mut Session) -> Result<(), Failure> {
    let Some(rung) = session.variants.as_ref().and_then(|now| now.ladder.current()) else {
        return Ok(());
    };
    let uris = std::iter::once(&*rung.uri).chain(rung.audio.iter().map(|sound| &*sound.uri));
    let base = session.variants.as_ref().map(|variants| &variants.base);
    let urls = uris.map(|uri| resolve(base.unwrap_or(session.requests.origin()), uri));
    let changed = match urls.collect::<Result<Vec<Url>, Failure>>() {
        Ok(urls) if urls.len() == session.lists.len() => {
            let before: Vec<Url> = session.lists.iter().map(|list| list.url.clone()).collect();
            go_to(session, urls);
            let loaded = session.load(0).await;
            if loaded.is_err() {
                go_to(session, before);
            }
            loaded
        }
        Ok(_) => Err(transient("the variant to be played has other sounds")),
        Err(failure) => Err(failure),
    };
    match (changed, &mut session.variants) {
        (Err(failure), Some(variants)) if is_of_the_variant(failure.class) => {
            debug!(%failure, "the other variant cannot be played; the one before goes on");
            variants.ladder.refuse();
            Ok(())
        }
        (changed, _) => changed,
    }
}

fn go_to(session: &mut Session, urls: Vec<Url>) {
    for (list, url) in session.lists.iter_mut().zip(urls) {
        if list.url != url {
            list.url = url;
            list.follower.change_playlist();
        }
    }
}

/// Whether another variant may do better.
fn is_of_the_variant(class: FailureClass) -> bool {
    is_refusal(class) || matches!(class, FailureClass::Transient | FailureClass::Unusable)
}

struct Way<'a> {
    requests: &'a Requests,
    started: Instant,
    bandwidth_max: Option<u64>,
}

impl Way<'_> {
    /// `followers` are those of the session where it has begun; missing ones are new.
    async fn follow(
        &self,
        mut url: Url,
        (mut base, mut text): (Url, Bytes),
        (mut followers, mut ladder): (Vec<Follower>, Option<Ladder>),
        mut requested: Duration,
    ) -> Result<Found, Failure> {
        let mut imported = Arc::default();
        for _ in 0..NESTED_MAX {
            match parse(&text, &base, &imported)? {
                Playlist::Media(_) => {
                    let list = self.list((url, base, imported), &text, first(&mut followers), requested)?;
                    return Ok(Found::Lists(vec![list], None));
                }
                Playlist::Leads(uri) => url = resolve(&base, &uri)?,
                Playlist::Multivariant(list) => {
                    let rungs = list.ladder(self.bandwidth_max);
                    imported = Arc::new(list.definitions);
                    let rungs = match ladder.take() {
                        Some(ladder) => ladder.renewed(rungs),
                        None => Ladder::new(rungs),
                    };
                    let Some(mut ladder) = rungs else {
                        return Err(no_variants());
                    };
                    match self.variant(&base, &imported, &mut ladder).await? {
                        Loaded::Media(main, came) => {
                            let (main_url, main_base, main_text) = main;
                            let place = (main_url, main_base, Arc::clone(&imported));
                            let main = self.list(place, &main_text, first(&mut followers), came)?;
                            let mut lists = vec![main];
                            if let Some(rung) = ladder.current() {
                                self.sounds((&base, &imported), rung, followers, &mut lists)?;
                            }
                            return Ok(Found::Lists(lists, Some(Variants { ladder, base })));
                        }
                        Loaded::Nested(nested_url, nested_base, nested_text) => {
                            (url, base, text) = (nested_url, nested_base, nested_text);
                            continue;
                        }
                        Loaded::Stream(url) => return Ok(Found::Leads(url)),
                    }
                }
            }
            requested = self.started.elapsed();
            let (answered, playlist) = self.requests.playlist(url.clone()).await?;
            let Some(playlist) = playlist else {
                return Ok(Found::Leads(url));
            };
            (base, text) = (answered, playlist);
        }
        Err(unusable("playlists that lead to playlists without end"))
    }

    /// The playlist of the best variant that can be had.
    async fn variant(
        &self,
        base: &Url,
        imported: &Definitions,
        ladder: &mut Ladder,
    ) -> Result<Loaded, Failure> {
        let mut tried = 1;
        loop {
            let Some(rung) = ladder.current() else {
                return Err(no_variants());
            };
            let requested = self.started.elapsed();
            let url = resolve(base, &rung.uri)?;
            let failure = match self.requests.playlist(url.clone()).await {
                Ok((_, None)) => return Ok(Loaded::Stream(url)),
                Ok((answered, Some(text))) => match parse(&text, &answered, imported) {
                    Ok(Playlist::Media(_)) => return Ok(Loaded::Media((url, answered, text), requested)),
                    Ok(_) => return Ok(Loaded::Nested(url, answered, text)),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            if !is_of_the_variant(failure.class) || tried >= VARIANTS_TRIED_MAX || !ladder.give_up() {
                return Err(failure);
            }
            debug!(%failure, "a variant cannot be had; trying the next");
            tried += 1;
        }
    }

    /// The playlists of the sounds that go with a variant; they are loaded when it is their turn.
    fn sounds(
        &self,
        (base, imported): (&Url, &Arc<Definitions>),
        rung: &Selection,
        followers: Vec<Follower>,
        lists: &mut Vec<List>,
    ) -> Result<(), Failure> {
        let mut followers = followers.into_iter();
        for sound in &rung.audio {
            let url = resolve(base, &sound.uri)?;
            lists.push(List {
                base: url.clone(),
                url,
                imported: Arc::clone(imported),
                follower: followers
                    .next()
                    .unwrap_or_else(|| Follower::new(Config::default())),
                lost: 0,
            });
        }
        Ok(())
    }

    fn list(
        &self,
        (url, base, imported): (Url, Url, Arc<Definitions>),
        text: &[u8],
        follower: Option<Follower>,
        requested: Duration,
    ) -> Result<List, Failure> {
        let mut list = List {
            url,
            base: base.clone(),
            imported,
            follower: follower.unwrap_or_else(|| Follower::new(Config::default())),
            lost: 0,
        };
        list.take((text, base), requested, self.started)?;
        Ok(list)
    }
}

fn no_variants() -> Failure {
    unusable("a multivariant playlist without variants (EXT-X-STREAM-INF)")
}

/// What the address of a variant brought.
enum Loaded {
    /// Address, address that answered, text; and when it was asked for.
    Media((Url, Url, Bytes), Duration),
    Nested(Url, Url, Bytes),
    Stream(Url),
}

fn first(followers: &mut Vec<Follower>) -> Option<Follower> {
    (!followers.is_empty()).then(|| followers.remove(0))
}

fn languages(ladder: Option<&Ladder>) -> Vec<Option<[u8; 3]>> {
    let rung = ladder.and_then(Ladder::current);
    let sounds = rung.map(|rung| rung.audio.as_slice()).unwrap_or_default();
    sounds
        .iter()
        .map(|sound| three_letters(sound.language.as_deref()?))
        .collect()
}

/// Reads a playlist that came from `base`.
pub(super) fn read(text: &[u8], base: &Url, imported: &Definitions) -> Result<Playlist, Error> {
    let parameters = base.query_pairs().into_owned().collect::<Vec<_>>();
    let outside = Outside {
        imported: Some(imported),
        parameters: &parameters,
    };
    hls::playlist::parse_from(text, outside)
}

fn parse(text: &[u8], base: &Url, imported: &Definitions) -> Result<Playlist, Failure> {
    read(text, base, imported)
        .map_err(|error| unusable(&format!("an HLS playlist that cannot be read ({error})")))
}

pub(super) fn supported(media: &MediaPlaylist) -> Result<(), Failure> {
    match hls::unsupported(media) {
        None => Ok(()),
        Some(feature) => Err(unusable(&format!(
            "the HLS stream needs what only the provider's own player has: {feature}"
        ))),
    }
}
