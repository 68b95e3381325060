//! The requests of lists: paced per login, made once where several ask, conditional where the provider tells versions,
//! bounded, and parsed off the runtime while they stream in.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use relay::FailureClass;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::addresses::Addresses;
use super::body::{CHUNKS_WAITING_MAX, ChannelReader, Step, Steps, unpacked};
use super::bucket::Bucket;
use super::failure::{RefreshError, Refusal};
use super::in_flight::{Asked, Heard, InFlight, Leading, Role, Unheard};
use super::version::Validators;
use crate::background;
use crate::slot::{Login, Pools, Slot, Wish};
use crate::upstream::answer::failure_of_status;
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
            News::Same => Err(unasked()),
        }
    }

    /// Fetches a list unless it is still the one `known` tells of.
    ///
    /// # Errors
    /// Why there is no list; "not modified" is such an answer where nobody asked for it.
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
                        return self.parse(heard.map_err(RefreshError::from)?, parse).await;
                    }
                    Role::Joins(heard) => return self.parse(heard, parse).await,
                }
            }
        };
        match timeout(total, fetched).await {
            Ok(Ok(News::Same)) if known.is_empty() => Err(unasked()),
            Ok(fetched) => fetched,
            Err(_) => Err(RefreshError::Late(total)),
        }
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
        let answer = match self.send(asked, request).await {
            Ok(answer) => answer,
            Err(RefreshError::Http(error)) => {
                leading.end(|| Err(Unheard::NoAnswer(error.clone())));
                return Err(error.into());
            }
            // What a slot is missing for is this source's own matter.
            Err(error) => return Err(error),
        };
        if answer.status == StatusCode::NOT_MODIFIED {
            let heard = || Heard {
                headers: answer.headers.clone(),
                steps: None,
            };
            leading.end(|| Ok(heard()));
            return self.parse(heard(), parse).await;
        }
        if !answer.status.is_success() {
            let refusal = refusal(answer.status, &answer.headers);
            if let Some(rest) = refusal.retry_after {
                calls.bucket().rest(rest, Instant::now());
            }
            leading.end(|| Err(Unheard::Refused(refusal)));
            return Err(refusal.into());
        }
        let (own, rest) = mpsc::channel(CHUNKS_WAITING_MAX);
        let mut readers = leading.answered(&answer.headers);
        readers.push(own);
        let heard = Heard {
            headers: answer.headers,
            steps: Some(Steps {
                first: VecDeque::new(),
                rest,
            }),
        };
        let pumped = pump(answer.body, &leading, readers, self.bounds.silence_max);
        let (parsed, ()) = tokio::join!(self.parse(heard, parse), pumped);
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
            let revoked = slot.as_ref().map(Slot::revoked);
            let answer = tokio::select! {
                biased;
                () = or_never(revoked) => return Err(RefreshError::NoSlot(TAKEN_BACK.to_owned())),
                answer = self.client.send(outgoing, slot) => answer,
            };
            match answer {
                Err(error @ HttpError::Connect(_)) => {
                    request.addresses.is_down(host);
                    last = error;
                }
                answer => {
                    let mut answer = answer?;
                    note(&mut answer);
                    return Ok(answer);
                }
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

/// Why a list that counts as a connection breaks off.
const TAKEN_BACK: &str = "a viewer needed the connection";

async fn or_never(happens: Option<impl Future<Output = ()>>) {
    match happens {
        Some(happens) => happens.await,
        None => std::future::pending().await,
    }
}

/// Tells the slot of a list, where it has one, what its provider made of it.
fn note(answer: &mut Response) {
    let failure = failure_of_status(answer.status, &answer.headers);
    let (status, Some(slot)) = (answer.status, answer.body.slot_mut()) else {
        return;
    };
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        slot.accepted();
    } else if failure.is_some_and(|failure| failure.class == FailureClass::Limit)
        && status != StatusCode::TOO_MANY_REQUESTS
    {
        slot.limit_answer();
    } else {
        slot.refused();
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

/// "Not modified", says a provider of which nobody wanted to know that.
fn unasked() -> RefreshError {
    RefreshError::Status {
        status: StatusCode::NOT_MODIFIED.as_u16(),
        retry_after: None,
    }
}

/// Moves a body into its parsers' channels. A parser that has seen enough leaves; when none is left, the body ends.
async fn pump(
    mut body: Body,
    leading: &Leading,
    mut readers: Vec<mpsc::Sender<Step>>,
    silence_max: Duration,
) {
    loop {
        let (step, last) = match timeout(silence_max, body.read_unless_revoked()).await {
            Ok(Some(Ok(Some(bytes)))) => (Step::Bytes(bytes), false),
            Ok(Some(Ok(None))) => (Step::End, true),
            Ok(Some(Err(error))) => (Step::Broken(error.to_string()), true),
            Ok(None) => (Step::Broken(TAKEN_BACK.to_owned()), true),
            Err(_) => (
                Step::Broken(format!("nothing came for {} s", silence_max.as_secs())),
                true,
            ),
        };
        readers.append(&mut leading.stepped(&step));
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
        if readers.is_empty() {
            readers = leading.forsaken();
        }
        if readers.is_empty() {
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
    use tokio::sync::oneshot;

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

    #[tokio::test]
    async fn who_comes_while_the_body_is_under_way_has_it_from_its_start() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/list", listener.local_addr().unwrap());
        let fetcher = fetcher();
        let (half_read, is_half_read) = oneshot::channel();
        let (joined, is_joined) = oneshot::channel();
        let first = async {
            let read = |body: &mut dyn Read| {
                let mut text = vec![0; 2];
                body.read_exact(&mut text).unwrap();
                half_read.send(()).unwrap();
                body.read_to_end(&mut text).map_err(|error| broken(&error))?;
                Ok(String::from_utf8(text).unwrap())
            };
            fetcher.fetch(&url, &request(), read).await.unwrap()
        };
        let second = async {
            is_half_read.await.unwrap();
            let (text, ()) = tokio::join!(list(&fetcher, &url), async { joined.send(()).unwrap() });
            text
        };
        let serving = async {
            let (mut socket, _) = accept(&listener).await;
            let half = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab";
            socket.write_all(half).await.unwrap();
            is_joined.await.unwrap();
            socket.write_all(b"cd").await.unwrap();
        };
        let (first, second, ()) = tokio::join!(first, second, serving);
        assert_eq!((&*first, &*second), ("abcd", "abcd"));
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_is_missed_by_all_who_wait_for_it_and_asked_for_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/list", listener.local_addr().unwrap());
        let (fetcher, own) = (fetcher(), request());
        let ask = || fetcher.fetch(&url, &own, |_: &mut dyn Read| Ok(()));
        let asking = async { tokio::join!(ask(), ask(), ask()) };
        let serving = async {
            let mut asked = 0;
            loop {
                drop(accept(&listener).await);
                asked += 1;
                assert_eq!(asked, 1);
            }
        };
        let (one, two, three): (_, _, Result<(), _>) = tokio::select! {
            all = asking => all,
            () = serving => unreachable!(),
        };
        for result in [one, two, three] {
            assert!(matches!(result, Err(RefreshError::Http(_))), "{result:?}");
        }
    }
}
