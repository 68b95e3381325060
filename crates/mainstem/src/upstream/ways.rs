//! Which of a stream's addresses is asked first: the panel's own, or the one that its list names beside it.
//!
//! Some panels answer 404 where they say a film is, and have it where `direct_source` says. The panel's own address comes
//! first; which one brought the stream is remembered for a while. Both are asked for with the same permitted connection,
//! one after the other: who sends the bytes of the other address does not say at which login it counts.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::open::{NoStream, Target};
use crate::source::is_of_same_login;

/// Streams remembered at most; past that, all are forgotten, which costs each one question.
const KNOWN_MAX: usize = 16_384;

/// How long it is remembered that the address beside the panel's own brought a stream. An answer is no proof: what it
/// brought may turn out to be none, and the panel's own may be mended.
const BROUGHT_FOR: Duration = Duration::from_mins(10);

/// How long it is remembered that it did not.
const FAILED_FOR: Duration = Duration::from_hours(1);

/// One of a stream's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The panel's own.
    Own,
    /// The one beside it.
    Direct,
}

/// What is remembered of streams whose panel did not have them at its own address. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct KnownWays(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Addresses are secrets, and long.
    hash: RandomState,
    /// By the panel's own address: whether the other one brought the stream, and when that was. Short critical sections,
    /// never across an await.
    direct: Mutex<HashMap<u64, (bool, Instant)>>,
}

/// The addresses of one stream while it is asked for.
#[derive(Debug)]
pub(super) struct Ways {
    known: KnownWays,
    stream: u64,
    now: Way,
    next: Option<Way>,
    /// Whether the address beside the panel's own names its login: then what it answers may be about that.
    is_direct_of_login: bool,
    /// What the panel's own address came to.
    own_said: Option<NoStream>,
}

impl KnownWays {
    /// The addresses of a stream in the order in which they are asked.
    pub(super) fn of(&self, target: &Target) -> Ways {
        let stream = self.0.hash.hash_one(target.url.expose());
        let direct = target.direct.as_ref();
        let (now, next) = match (direct, self.get(stream)) {
            (None, _) | (Some(_), Some(false)) => (Way::Own, None),
            (Some(_), None) => (Way::Own, Some(Way::Direct)),
            (Some(_), Some(true)) => (Way::Direct, Some(Way::Own)),
        };
        let is_direct_of_login =
            direct.is_some_and(|direct| is_of_same_login(direct.expose(), target.url.expose()));
        Ways {
            known: self.clone(),
            stream,
            now,
            next,
            is_direct_of_login,
            own_said: None,
        }
    }

    fn get(&self, stream: u64) -> Option<bool> {
        let known = self.direct();
        let (brought, since) = known.get(&stream)?;
        let known_for = if *brought { BROUGHT_FOR } else { FAILED_FOR };
        (since.elapsed() < known_for).then_some(*brought)
    }

    fn learn(&self, stream: u64, brought: Option<bool>) {
        let mut known = self.direct();
        let Some(brought) = brought else {
            known.remove(&stream);
            return;
        };
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(stream, (brought, Instant::now()));
    }

    fn direct(&self) -> MutexGuard<'_, HashMap<u64, (bool, Instant)>> {
        self.0.direct.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ways {
    /// The address that is asked now.
    pub(super) fn now(&self) -> Way {
        self.now
    }

    /// The address that was asked brings the stream.
    pub(super) fn brings(&self) {
        let is_direct = self.now == Way::Direct;
        // Known since the panel's own address was asked last: from time to time it is again.
        if !is_direct || self.known.get(self.stream) != Some(true) {
            self.known.learn(self.stream, is_direct.then_some(true));
        }
    }

    /// Whether an answer without a stream is about this address alone, and no reason to leave its login in peace.
    pub(super) fn is_of_address(&self, status: Option<StatusCode>) -> bool {
        let is_gone = matches!(status, Some(StatusCode::NOT_FOUND | StatusCode::GONE));
        match self.now {
            Way::Own => is_gone && self.next.is_some(),
            Way::Direct => is_gone || status.is_none() || !self.is_direct_of_login,
        }
    }

    /// Goes on to the next address. Where there is none, why the stream does not come, as its panel says it.
    pub(super) fn go_on(&mut self, no: NoStream) -> Option<NoStream> {
        let no = match self.now {
            Way::Own => {
                self.own_said = Some(no);
                None
            }
            Way::Direct => Some(no),
        };
        if let Some(next) = self.next.take() {
            self.now = next;
            return None;
        }
        if self.now == Way::Direct {
            self.known.learn(self.stream, Some(false));
        }
        self.own_said.take().or(no)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use catalog::{SourceName, StreamUrl};
    use http::HeaderMap;
    use relay::{Failure, FailureClass};
    use tokio::time::advance;

    use crate::slot::Login;

    fn target(direct: Option<&str>) -> Target {
        let (source, url) = (SourceName::new("s"), "http://h.example/movie/u/p/1.mkv");
        Target {
            login: Login::of_entry(None, &source, url),
            source,
            limit: 1,
            url: StreamUrl::new(url),
            direct: direct.map(StreamUrl::new),
            elsewhere: Vec::new(),
            addresses: None,
            headers: HeaderMap::new(),
            insecure_tls: false,
            datagrams: Default::default(),
            release_delay: Duration::ZERO,
            subject: None,
            session: None,
            account_ended: None,
        }
    }

    fn no(status: u16) -> NoStream {
        NoStream {
            head: Some((StatusCode::from_u16(status).unwrap(), HeaderMap::new())),
            failure: Failure::new(FailureClass::Gone, status.to_string()),
        }
    }

    const CDN: Option<&str> = Some("http://cdn.example/1.mkv");

    #[tokio::test(start_paused = true)]
    async fn the_address_that_brought_the_stream_is_asked_first_for_a_while() {
        let (known, target) = (KnownWays::default(), target(CDN));
        let mut ways = known.of(&target);
        assert_eq!(ways.now(), Way::Own);
        assert!(ways.is_of_address(Some(StatusCode::NOT_FOUND)));
        assert!(!ways.is_of_address(Some(StatusCode::FORBIDDEN)));
        assert!(ways.go_on(no(404)).is_none());
        assert_eq!(ways.now(), Way::Direct);
        ways.brings();
        for _ in 0..2 {
            advance(BROUGHT_FOR / 3).await;
            let ways = known.of(&target);
            assert_eq!(ways.now(), Way::Direct);
            ways.brings();
        }
        advance(BROUGHT_FOR / 3).await;
        assert_eq!(known.of(&target).now(), Way::Own, "panels mend their addresses");
        let mut ways = known.of(&target);
        ways.brings();
        assert_eq!(known.of(&target).now(), Way::Own);
        assert!(ways.go_on(no(404)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn where_neither_has_it_the_panel_says_why_and_is_asked_alone_for_a_while() {
        let (known, target) = (KnownWays::default(), target(CDN));
        let mut ways = known.of(&target);
        assert!(ways.go_on(no(404)).is_none());
        assert!(
            ways.is_of_address(Some(StatusCode::UNAUTHORIZED)),
            "no login of ours"
        );
        let said = ways.go_on(no(401)).unwrap();
        assert_eq!(said.failure.text, "404");
        let ways = known.of(&target);
        assert!(ways.now() == Way::Own && !ways.is_of_address(Some(StatusCode::NOT_FOUND)));
        advance(FAILED_FOR).await;
        assert!(known.of(&target).is_of_address(Some(StatusCode::NOT_FOUND)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_panel_says_of_a_login_is_about_the_login_at_either_address() {
        let known = KnownWays::default();
        let mut ways = known.of(&target(Some("http://h.example/movie/u/p/1.mp4")));
        assert!(ways.go_on(no(404)).is_none());
        assert!(!ways.is_of_address(StatusCode::from_u16(458).ok()));
        assert!(ways.is_of_address(Some(StatusCode::NOT_FOUND)));
        assert!(ways.is_of_address(None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_host_or_password_is_refused_is_not_about_the_login() {
        for direct in [
            "http://edge.example/movie/u/p/1.mkv",
            "http://edge.example/movie/u/old/1.mkv",
            "http://h.example/movie/u/old/1.mkv",
        ] {
            let mut ways = KnownWays::default().of(&target(Some(direct)));
            assert!(ways.go_on(no(404)).is_none());
            for status in [401, 458, 509] {
                assert!(ways.is_of_address(StatusCode::from_u16(status).ok()), "{direct}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_alone_is_never_left_for_another() {
        let ways = KnownWays::default().of(&target(None));
        assert!(ways.now() == Way::Own && !ways.is_of_address(Some(StatusCode::NOT_FOUND)));
    }
}
