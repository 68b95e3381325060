//! The requests of lists: paced per login, bounded, and parsed off the runtime while they stream in.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, HeaderValue, RETRY_AFTER};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::body::{CHUNKS_WAITING_MAX, ChannelReader, Step, unpacked};
use super::failure::RefreshError;
use crate::slot::{Login, Pools, Wish};
use crate::upstream::http::{Body, Client, Request};

/// Calls a login may make in quick succession before they are spread out: one refresh of an account needs seven.
const API_BURST: u32 = 8;

/// Longest wish of a provider to be left alone that is honoured in full.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Bounds of list requests.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchBounds {
    /// Until the answer's head is there.
    pub head_within: Duration,
    /// Longest silence in a body.
    pub silence_max: Duration,
    /// Longest time for one list.
    pub total_max: Duration,
    /// Bytes of one list, unpacked.
    pub bytes_max: u64,
    /// Time after which a login may make one more call.
    pub call_every: Duration,
}

/// How a source's lists are asked for.
#[derive(Debug, Clone)]
pub struct ListRequest {
    /// The login whose bucket the call counts in.
    pub login: Login,
    /// Headers of the source.
    pub headers: HeaderMap,
    /// Whether any certificate is taken.
    pub insecure_tls: bool,
    /// A stream slot to hold meanwhile, where the source says that lists count.
    pub wish: Option<Wish>,
}

/// Makes list requests. Clones are cheap and share the logins' buckets.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: Client,
    pools: Pools,
    bounds: FetchBounds,
    buckets: Arc<Mutex<HashMap<Login, Arc<Bucket>>>>,
}

/// One call at a time at a login, about one a second after a short burst.
#[derive(Debug)]
struct Bucket {
    one_at_a_time: Semaphore,
    /// When the bucket will be full again: a leaky bucket kept as a time.
    full_at: Mutex<Option<Instant>>,
}

impl Fetcher {
    /// A fetcher with its bounds.
    #[must_use]
    pub fn new(client: Client, pools: Pools, bounds: FetchBounds) -> Self {
        Self {
            client,
            pools,
            bounds,
            buckets: Arc::default(),
        }
    }

    /// Fetches a list and gives its bytes, unpacked, to `parse`, which runs on a thread that may block.
    ///
    /// # Errors
    /// Why there is no list.
    pub async fn fetch<T, P>(&self, url: &str, request: &ListRequest, parse: P) -> Result<T, RefreshError>
    where
        T: Send + 'static,
        P: FnOnce(&mut dyn Read) -> Result<T, RefreshError> + Send + 'static,
    {
        let total = self.bounds.total_max;
        timeout(total, self.fetch_unbounded(url, request, parse))
            .await
            .unwrap_or(Err(RefreshError::Late(total)))
    }

    async fn fetch_unbounded<T, P>(
        &self,
        url: &str,
        request: &ListRequest,
        parse: P,
    ) -> Result<T, RefreshError>
    where
        T: Send + 'static,
        P: FnOnce(&mut dyn Read) -> Result<T, RefreshError> + Send + 'static,
    {
        let bucket = self.bucket(&request.login);
        // The bucket is never closed, so that an error means nothing more than a permit less.
        let _turn = bucket.one_at_a_time.acquire().await.ok();
        sleep_until(bucket.next_call(self.bounds.call_every)).await;
        let slot = match &request.wish {
            Some(wish) => Some(self.pools.acquire(wish.clone(), self.bounds.head_within).await)
                .transpose()
                .map_err(|refused| RefreshError::NoSlot(refused.to_string()))?,
            None => None,
        };
        let mut outgoing = Request::get(url, self.bounds.head_within)?;
        outgoing.headers = request.headers.clone();
        outgoing
            .headers
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        outgoing.insecure_tls = request.insecure_tls;
        let answer = self.client.send(outgoing, slot).await?;
        if !answer.status.is_success() {
            let retry_after = answer
                .headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            return Err(RefreshError::Status {
                status: answer.status.as_u16(),
                retry_after: retry_after.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX)),
            });
        }
        self.parse_body(answer.body, parse).await
    }

    /// Reads a list from a file.
    ///
    /// # Errors
    /// Why there is no list.
    pub async fn read_file<T, P>(&self, path: PathBuf, parse: P) -> Result<T, RefreshError>
    where
        T: Send + 'static,
        P: FnOnce(&mut dyn Read) -> Result<T, RefreshError> + Send + 'static,
    {
        let (bytes_max, total) = (self.bounds.bytes_max, self.bounds.total_max);
        let parsed = tokio::task::spawn_blocking(move || {
            // A pipe without a writer would hold the thread for ever.
            let kind = std::fs::metadata(&path).map_err(RefreshError::File)?;
            if !kind.is_file() {
                return Err(RefreshError::File(io::Error::other("it is not a regular file")));
            }
            let file = std::fs::File::open(path).map_err(RefreshError::File)?;
            parse(&mut unpacked(file, bytes_max).map_err(RefreshError::File)?)
        });
        timeout(total, parsed)
            .await
            .map_err(|_| RefreshError::Late(total))?
            .map_err(|error| RefreshError::Internal(error.to_string()))?
    }

    async fn parse_body<T, P>(&self, body: Body, parse: P) -> Result<T, RefreshError>
    where
        T: Send + 'static,
        P: FnOnce(&mut dyn Read) -> Result<T, RefreshError> + Send + 'static,
    {
        let (steps, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
        let bytes_max = self.bounds.bytes_max;
        let parsed = tokio::task::spawn_blocking(move || {
            let mut body =
                unpacked(ChannelReader::new(receiver), bytes_max).map_err(|error| broken(&error))?;
            parse(&mut body)
        });
        pump(body, &steps, self.bounds.silence_max).await;
        drop(steps);
        parsed
            .await
            .map_err(|error| RefreshError::Internal(error.to_string()))?
    }

    fn bucket(&self, login: &Login) -> Arc<Bucket> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(login.clone()).or_insert_with(|| {
            Arc::new(Bucket {
                one_at_a_time: Semaphore::new(1),
                full_at: Mutex::new(None),
            })
        });
        Arc::clone(bucket)
    }
}

impl Bucket {
    /// When the next call may be made; it counts as made.
    fn next_call(&self, every: Duration) -> Instant {
        let now = Instant::now();
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let level = full_at.map_or(now, |at| at.max(now));
        *full_at = Some(level + every);
        // A bucket `API_BURST` calls deep lets so many through at once.
        let allowed = level.checked_sub(every * (API_BURST - 1)).unwrap_or(now);
        allowed.max(now)
    }
}

/// Moves a body into the parser's channel. A parser that has seen enough ends it.
async fn pump(mut body: Body, steps: &mpsc::Sender<Step>, silence_max: Duration) {
    loop {
        let (step, last) = match timeout(silence_max, body.read()).await {
            Ok(Ok(Some(bytes))) => (Step::Bytes(bytes), false),
            Ok(Ok(None)) => (Step::End, true),
            Ok(Err(error)) => (Step::Broken(error.to_string()), true),
            Err(_) => (
                Step::Broken(format!("nothing came for {} s", silence_max.as_secs())),
                true,
            ),
        };
        if steps.send(step).await.is_err() || last {
            return;
        }
    }
}

/// The failure of a body that broke off.
pub(super) fn broken(error: &io::Error) -> RefreshError {
    RefreshError::NotAList(format!("the list broke off: {error}"))
}
