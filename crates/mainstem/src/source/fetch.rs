//! The requests of lists: paced per login, made once where several ask, conditional where the provider tells versions,
//! bounded, and parsed off the runtime while they stream in.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{
    ACCEPT_ENCODING, ETAG, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER,
};
use http::{HeaderMap, StatusCode};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::addresses::Addresses;
use super::body::{CHUNKS_WAITING_MAX, ChannelReader, Step, unpacked};
use super::bucket::Bucket;
use super::failure::{RefreshError, Refusal};
use super::in_flight::{Asked, Heard, InFlight, Leading, Role};
use crate::background;
use crate::slot::{Login, Pools, Wish};
use crate::upstream::http::{Body, Client, HttpError, Request, Response};

/// Longest wish of a provider to be left alone that is honoured in full.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a provider is left alone that says "too often" and not for how long.
const TOO_OFTEN_REST: Duration = Duration::from_secs(60);

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
    /// The source's hosts.
    pub addresses: Arc<Addresses>,
    /// A stream slot to hold meanwhile, where the source says that lists count.
    pub wish: Option<Wish>,
}

/// What tells a list from the same list later (RFC 9110 clause 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        Self {
            etag: headers.get(ETAG).cloned(),
            last_modified: headers.get(LAST_MODIFIED).cloned(),
        }
    }

    fn ask(&self, headers: &mut HeaderMap) {
        if let Some(etag) = &self.etag {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        if let Some(at) = &self.last_modified {
            headers.insert(IF_MODIFIED_SINCE, at.clone());
        }
    }
}

/// What a conditional request brought.
#[derive(Debug)]
pub enum News<T> {
    /// What was known is still so.
    Same,
    /// A list, and what tells it from a later one.
    List(T, Validators),
}

/// Makes list requests. Clones are cheap and share the logins' buckets.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: Client,
    pools: Pools,
    bounds: FetchBounds,
    calls: Arc<Mutex<HashMap<Login, Arc<Calls>>>>,
    in_flight: InFlight,
}

/// The calls of one login.
#[derive(Debug)]
struct Calls {
    one_at_a_time: Semaphore,
    bucket: Mutex<Bucket>,
}

impl Calls {
    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetcher {
    /// A fetcher with its bounds.
    #[must_use]
    pub fn new(client: Client, pools: Pools, bounds: FetchBounds) -> Self {
        Self {
            client,
            pools,
            bounds,
            calls: Arc::default(),
            in_flight: InFlight::default(),
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
        match self
            .fetch_news(url, request, &Validators::default(), parse)
            .await?
        {
            News::List(list, _) => Ok(list),
            News::Same => Err(RefreshError::Status {
                status: StatusCode::NOT_MODIFIED.as_u16(),
                retry_after: None,
            }),
        }
    }

    /// Fetches a list unless it is still the one `known` tells of.
    ///
    /// # Errors
    /// Why there is no list.
    pub async fn fetch_news<T, P>(
        &self,
        url: &str,
        request: &ListRequest,
        known: &Validators,
        parse: P,
    ) -> Result<News<T>, RefreshError>
    where
        T: Send + 'static,
        P: FnOnce(&mut dyn Read) -> Result<T, RefreshError> + Send + 'static,
    {
        let total = self.bounds.total_max;
        let fetched = async {
            let mut asked = Asked {
                login: request.login.clone(),
                url: url.to_owned(),
                headers: request.headers.clone(),
                insecure_tls: request.insecure_tls,
            };
            asked
                .headers
                .insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            known.ask(&mut asked.headers);
            loop {
                match self.in_flight.join(&asked) {
                    Role::Leads(leading) => return self.lead(leading, &asked, request, parse).await,
                    Role::Listens(heard) => {
                        // Whoever made the request may have given up before its answer: then it is made again.
                        let Ok(heard) = heard.await else { continue };
                        return self.parse(heard?, parse).await;
                    }
                }
            }
        };
        timeout(total, fetched)
            .await
            .unwrap_or(Err(RefreshError::Late(total)))
    }

    /// Makes a request in its turn, for itself and those who listen.
    async fn lead<T, P>(
        &self,
        leading: Leading,
        asked: &Asked,
        request: &ListRequest,
        parse: P,
    ) -> Result<News<T>, RefreshError>
    where
        T: Send + 'static,
        P: FnOnce(&mut dyn Read) -> Result<T, RefreshError> + Send + 'static,
    {
        let calls = self.calls(&asked.login);
        // The semaphore is never closed, so that an error means nothing more than a permit less.
        let _turn = calls.one_at_a_time.acquire().await.ok();
        let due = calls
            .bucket()
            .next_call(self.bounds.call_every, Instant::now())
            .map_err(RefreshError::LeftAlone)?;
        sleep_until(due).await;
        let listeners = leading.start();
        let answer = self.send(asked, request).await?;
        let is_same = answer.status == StatusCode::NOT_MODIFIED;
        if !answer.status.is_success() && !is_same {
            let refusal = refusal(answer.status, &answer.headers);
            if let Some(rest) = refusal.retry_after {
                calls.bucket().rest(rest, Instant::now());
            }
            for listener in listeners {
                // Whoever went away needs no answer.
                drop(listener.send(Err(refusal)));
            }
            return Err(refusal.into());
        }
        let mut readers = Vec::new();
        let mut heard = || {
            let steps = (!is_same).then(|| {
                let (steps, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
                readers.push(steps);
                receiver
            });
            Heard {
                headers: answer.headers.clone(),
                steps,
            }
        };
        let own = heard();
        for listener in listeners {
            drop(listener.send(Ok(heard())));
        }
        let pumped = pump(answer.body, readers, self.bounds.silence_max);
        let (parsed, ()) = tokio::join!(self.parse(own, parse), pumped);
        parsed
    }

    /// Asks the source's hosts one after the other until one can be connected to.
    async fn send(&self, asked: &Asked, request: &ListRequest) -> Result<Response, RefreshError> {
        let mut last = HttpError::Address;
        for (host, url) in request.addresses.at_hosts(&asked.url) {
            let slot = match &request.wish {
                Some(wish) => Some(self.pools.acquire(wish.clone(), self.bounds.head_within).await)
                    .transpose()
                    .map_err(|refused| RefreshError::NoSlot(refused.to_string()))?,
                None => None,
            };
            let mut outgoing = Request::get(&url, self.bounds.head_within)?;
            outgoing.headers = asked.headers.clone();
            outgoing.insecure_tls = asked.insecure_tls;
            match self.client.send(outgoing, slot).await {
                Err(error @ HttpError::Connect(_)) => {
                    request.addresses.is_down(host);
                    last = error;
                }
                answer => return Ok(answer?),
            }
        }
        Err(last.into())
    }

    async fn parse<T, P>(&self, heard: Heard, parse: P) -> Result<News<T>, RefreshError>
    where
        T: Send + 'static,
        P: FnOnce(&mut dyn Read) -> Result<T, RefreshError> + Send + 'static,
    {
        let Some(steps) = heard.steps else {
            return Ok(News::Same);
        };
        let bytes_max = self.bounds.bytes_max;
        let parsed = background::run("list", move || {
            let mut body = unpacked(ChannelReader::new(steps), bytes_max).map_err(|error| broken(&error))?;
            parse(&mut body)
        });
        let list = parsed
            .await
            .map_err(|error| RefreshError::Internal(error.to_string()))??;
        Ok(News::List(list, Validators::of(&heard.headers)))
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
        let parsed = background::run("list", move || {
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

    fn calls(&self, login: &Login) -> Arc<Calls> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let of_login = calls.entry(login.clone()).or_insert_with(|| {
            Arc::new(Calls {
                one_at_a_time: Semaphore::new(1),
                bucket: Mutex::default(),
            })
        });
        Arc::clone(of_login)
    }
}

/// What an answer that is no list says.
fn refusal(status: StatusCode, headers: &HeaderMap) -> Refusal {
    let asked = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    let too_often = (status == StatusCode::TOO_MANY_REQUESTS).then_some(TOO_OFTEN_REST);
    Refusal {
        status: status.as_u16(),
        retry_after: asked.or(too_often),
    }
}

/// Moves a body into its parsers' channels. A parser that has seen enough leaves; when none is left, the body ends.
async fn pump(mut body: Body, mut readers: Vec<mpsc::Sender<Step>>, silence_max: Duration) {
    while !readers.is_empty() {
        let (step, last) = match timeout(silence_max, body.read()).await {
            Ok(Ok(Some(bytes))) => (Step::Bytes(bytes), false),
            Ok(Ok(None)) => (Step::End, true),
            Ok(Err(error)) => (Step::Broken(error.to_string()), true),
            Err(_) => (
                Step::Broken(format!("nothing came for {} s", silence_max.as_secs())),
                true,
            ),
        };
        let mut stay = Vec::with_capacity(readers.len());
        for reader in readers {
            if reader.send(step.clone()).await.is_ok() {
                stay.push(reader);
            }
        }
        readers = stay;
        if last {
            return;
        }
    }
}

/// The failure of a body that broke off.
pub(super) fn broken(error: &io::Error) -> RefreshError {
    RefreshError::NotAList(format!("the list broke off: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::SourceName;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    const SOON: Duration = Duration::from_secs(10);

    fn fetcher() -> Fetcher {
        let bounds = FetchBounds {
            head_within: SOON,
            silence_max: SOON,
            total_max: SOON,
            bytes_max: 1_000,
            call_every: Duration::ZERO,
        };
        Fetcher::new(Client::new(SOON, 0).unwrap(), Pools::new(1), bounds)
    }

    fn request() -> ListRequest {
        let config = crate::config::SourceConfig::testcard();
        ListRequest {
            login: Login::of_entry(Some("one"), &SourceName::new("s"), ""),
            headers: HeaderMap::new(),
            insecure_tls: false,
            addresses: Arc::new(Addresses::new(&config)),
            wish: None,
        }
    }

    /// The next request, up to the end of its head.
    async fn accept(listener: &TcpListener) -> (TcpStream, String) {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        (socket, String::from_utf8(head).unwrap())
    }

    async fn answer(mut socket: TcpStream, body: &str) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(body.as_bytes()).await.unwrap();
    }

    async fn list(fetcher: &Fetcher, url: &str) -> String {
        let read = |body: &mut dyn Read| {
            let mut text = String::new();
            body.read_to_string(&mut text).map_err(|error| broken(&error))?;
            Ok(text)
        };
        fetcher.fetch(url, &request(), read).await.unwrap()
    }

    #[tokio::test]
    async fn two_who_want_the_same_while_it_waits_for_its_turn_ask_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = |path: &str| format!("http://{address}/{path}");
        let (first, same, other) = (url("first"), url("same"), url("other"));
        let fetcher = fetcher();
        let asking = async {
            // The first has its turn before the others ask; they ask before its answer comes.
            let (_, one, two, three) = tokio::join!(
                list(&fetcher, &first),
                list(&fetcher, &same),
                list(&fetcher, &same),
                list(&fetcher, &other)
            );
            (one, two, three)
        };
        let serving = async {
            let mut heads = Vec::new();
            for body in ["1", "2", "3"] {
                let (socket, head) = accept(&listener).await;
                heads.push(head.split(' ').nth(1).unwrap().to_owned());
                answer(socket, body).await;
            }
            heads
        };
        let (lists, heads) = tokio::join!(asking, serving);
        assert_eq!(heads, ["/first", "/same", "/other"]);
        assert_eq!(lists, ("2".to_owned(), "2".to_owned(), "3".to_owned()));
    }
}
