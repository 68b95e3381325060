//! HTTP to providers: one HTTP/1.1 connection per request, never pooled, so that a provider counts what we count.
//!
//! What an answer's [`Body`] is stands in a file of its own. Redirects are followed here, each hop's socket closed
//! before the next is opened, always from the address the caller gave (tokens in redirects live for one use).

use std::pin::Pin;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::future::poll_fn;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderName,
    HeaderValue, LOCATION, PROXY_AUTHORIZATION, RANGE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt as _;
use tower::util::MapResponse;
use url::Url;

pub use super::body::Body;
use super::body::Exchange;
use super::socket::{Looks, Socket};
use super::status_line::AnySocket;
use crate::slot::Slot;

/// Bytes of headers taken from a provider.
const HEAD_BYTES_MAX: usize = 64 << 10;

pub(super) type MaybeSecure = MaybeHttpsStream<TokioIo<Socket>>;

/// Connects to a name, and makes the socket ours.
type Connector = MapResponse<HttpConnector, fn(TokioIo<TcpStream>) -> TokioIo<Socket>>;

/// Why no answer came. The text holds no address: addresses carry credentials.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be asked over HTTP.
    #[error("the address is no http or https URL")]
    Address,
    /// No connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// Connected, but no valid answer.
    #[error("no valid HTTP answer: {0}")]
    Answer(String),
    /// Nothing in time.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// Redirects without end or to nowhere.
    #[error("redirects: {0}")]
    Redirect(&'static str),
    /// The connection broke while the body was read.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// A request to a provider.
#[derive(Debug, Clone)]
pub struct Request {
    /// GET or HEAD.
    pub method: Method,
    /// The address; redirects start here every time.
    pub url: Url,
    /// Headers of the source and the entry; `User-Agent` among them if set.
    pub headers: HeaderMap,
    /// Whether any certificate is taken.
    pub insecure_tls: bool,
    /// How long until the answer's head is there, redirects included.
    pub head_within: Duration,
}

impl Request {
    /// A GET without headers of its own.
    ///
    /// # Errors
    /// [`HttpError::Address`] for anything but http and https.
    pub fn get(url: &str, head_within: Duration) -> Result<Self, HttpError> {
        let url = Url::parse(url.trim()).map_err(|_| HttpError::Address)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(HttpError::Address);
        }
        Ok(Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            insecure_tls: false,
            head_within,
        })
    }
}

/// A provider's answer.
#[derive(Debug)]
pub struct Response {
    /// Its status: never a followed redirect.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The address that was asked, before redirects: tokens in those live for one use.
    pub asked: Url,
    /// The address that answered, after redirects: relative links count from here.
    pub url: Url,
    /// The rest, not yet read.
    pub body: Body,
}

/// Makes requests. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Client {
    secure: HttpsConnector<Connector>,
    insecure: HttpsConnector<Connector>,
    redirects_max: usize,
}

impl Client {
    /// A client that gives up connecting after `connect_within`, and following redirects after `redirects_max`.
    ///
    /// # Errors
    /// When TLS cannot be set up at all.
    pub fn new(connect_within: Duration, redirects_max: usize) -> Result<Self, rustls::Error> {
        let connector = |insecure| {
            let mut tcp = HttpConnector::new();
            tcp.enforce_http(false);
            tcp.set_connect_timeout(Some(connect_within));
            tcp.set_nodelay(true);
            // One address after the other: a race would open two sockets under one slot.
            tcp.set_happy_eyeballs_timeout(None);
            let tcp: Connector = tcp.map_response(lookable);
            let tls = super::tls::client_config(insecure)?;
            let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls);
            Ok::<_, rustls::Error>(builder.https_or_http().enable_http1().wrap_connector(tcp))
        };
        Ok(Self {
            secure: connector(false)?,
            insecure: connector(true)?,
            redirects_max,
        })
    }

    /// Sends a request and follows its redirects. `slot` goes with the socket.
    ///
    /// Dropping the future closes the socket.
    ///
    /// # Errors
    /// [`HttpError`]; any status is an answer and no error.
    pub async fn send(&self, request: Request, slot: Option<Slot>) -> Result<Response, HttpError> {
        let within = request.head_within;
        timeout(within, self.follow(request, slot))
            .await
            .unwrap_or(Err(HttpError::Late(within)))
    }

    async fn follow(&self, mut request: Request, slot: Option<Slot>) -> Result<Response, HttpError> {
        let asked = request.url.clone();
        for hops in 0..=self.redirects_max {
            let hop = match self.hop(&request).await {
                Err(error @ HttpError::Connect(_)) if hops == 0 => {
                    // A connection that was never made was never counted.
                    if let Some(slot) = &slot {
                        slot.refused();
                    }
                    return Err(error);
                }
                hop => hop?,
            };
            match redirect_target(&hop, &request.url)? {
                None => {
                    let Hop {
                        status,
                        headers,
                        body,
                        connection,
                        looks,
                        is_plain,
                    } = hop;
                    let is_bare = is_plain && is_unframed(&headers);
                    let exchange = Exchange::new((body, connection), looks, is_bare);
                    let body = Body::new(exchange, slot);
                    return Ok(Response {
                        status,
                        headers,
                        asked,
                        url: request.url,
                        body,
                    });
                }
                Some(target) => {
                    // The hop's socket closes here, before the next one opens.
                    drop(hop);
                    if !same_server(&request.url, &target) {
                        for name in SECRETS {
                            request.headers.remove(name);
                        }
                    }
                    request.url = target;
                }
            }
        }
        Err(HttpError::Redirect("more in a row than limits.redirects allows"))
    }

    async fn hop(&self, request: &Request) -> Result<Hop, HttpError> {
        let uri: Uri = request.url.as_str().parse().map_err(|_| HttpError::Address)?;
        let connector = if request.insecure_tls {
            &self.insecure
        } else {
            &self.secure
        };
        let socket: MaybeSecure = connector
            .clone()
            .oneshot(uri.clone())
            .await
            .map_err(|error| HttpError::Connect(chain(&*error)))?;
        let is_plain = matches!(socket, MaybeHttpsStream::Http(_));
        let looks = match &socket {
            MaybeHttpsStream::Http(socket) => socket.inner().looks(),
            MaybeHttpsStream::Https(secure) => secure.inner().get_ref().0.inner().inner().looks(),
        };
        let (mut sender, connection) = http1::Builder::new()
            .ignore_invalid_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(AnySocket::new(socket))
            .await
            .map_err(|error| HttpError::Answer(chain(&error)))?;
        let mut connection = Box::new(connection);
        let answer = sender.send_request(outgoing(request, &uri)?);
        let answer = with_connection(&mut connection, answer)
            .await
            .map_err(|error| HttpError::Answer(chain(&error)))?;
        let (head, body) = answer.into_parts();
        Ok(Hop {
            status: head.status,
            headers: head.headers,
            body,
            connection,
            looks,
            is_plain,
        })
    }
}

/// Whether the body is all that comes until the connection ends (RFC 9112 §6.3, rule 8).
fn is_unframed(headers: &HeaderMap) -> bool {
    !headers.contains_key(TRANSFER_ENCODING) && !headers.contains_key(CONTENT_LENGTH)
}

/// Makes every new socket one that can be looked at.
fn lookable(socket: TokioIo<TcpStream>) -> TokioIo<Socket> {
    TokioIo::new(Socket::new(socket.into_inner()))
}

pub(super) type Connection = Box<http1::Connection<AnySocket<MaybeSecure>, Empty<Bytes>>>;

struct Hop {
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    connection: Connection,
    looks: Looks,
    /// Not over TLS.
    is_plain: bool,
}

fn outgoing(request: &Request, uri: &Uri) -> Result<http::Request<Empty<Bytes>>, HttpError> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut outgoing = http::Request::new(Empty::new());
    *outgoing.method_mut() = request.method.clone();
    *outgoing.uri_mut() = path.parse().map_err(|_| HttpError::Address)?;
    let headers = outgoing.headers_mut();
    headers.insert(HOST, host_header(&request.url)?);
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    // A provider that counts connections sees this one end with the answer.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(value) = basic_authorization(&request.url) {
        headers.insert(AUTHORIZATION, value);
    }
    for (name, value) in &request.headers {
        headers.insert(name, value.clone());
    }
    Ok(outgoing)
}

/// What `http://user:password@host` asks for (RFC 7617).
fn basic_authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() {
        return None;
    }
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let pair = format!(
        "{}:{}",
        decoded(url.username()),
        decoded(url.password().unwrap_or_default())
    );
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether credentials for one address may be shown to the other.
pub(super) fn same_server(one: &Url, other: &Url) -> bool {
    (one.scheme(), one.host_str(), one.port_or_known_default())
        == (other.scheme(), other.host_str(), other.port_or_known_default())
}

fn host_header(url: &Url) -> Result<HeaderValue, HttpError> {
    let host = url.host_str().ok_or(HttpError::Address)?;
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::try_from(host).map_err(|_| HttpError::Address)
}

/// Where a redirect leads, if the hop is one. `Location` is read as Latin-1: panels write raw bytes into it.
fn redirect_target(hop: &Hop, from: &Url) -> Result<Option<Url>, HttpError> {
    if !matches!(hop.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = hop
        .headers
        .get(LOCATION)
        .ok_or(HttpError::Redirect("without an address"))?;
    let location: String = match std::str::from_utf8(location.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => location.as_bytes().iter().map(|&byte| char::from(byte)).collect(),
    };
    if location.trim().is_empty() {
        return Err(HttpError::Redirect("without an address"));
    }
    let target = from
        .join(location.trim())
        .map_err(|_| HttpError::Redirect("to an invalid address"))?;
    if !matches!(target.scheme(), "http" | "https") {
        return Err(HttpError::Redirect("to something other than http"));
    }
    Ok(Some(target))
}

/// Drives the connection while something on it is awaited: hyper's connection does the reading and writing.
async fn with_connection<T>(
    connection: &mut Connection,
    future: impl Future<Output = Result<T, hyper::Error>>,
) -> Result<T, hyper::Error> {
    let mut future = std::pin::pin!(future);
    let mut over = false;
    poll_fn(|cx| {
        if !over {
            // Its own end is no news: the answer or its error comes through `future`.
            over = Pin::new(&mut *connection).poll(cx).is_ready();
        }
        future.as_mut().poll(cx)
    })
    .await
}

/// Headers that are for the server that was asked, and nobody else.
pub(super) const SECRETS: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];

/// Headers that belong to the exchange itself; a list that sets them would break it.
const NOT_FOR_LISTS: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    TE,
    UPGRADE,
    EXPECT,
    ACCEPT_ENCODING,
    RANGE,
];

/// Headers from configuration and list entries; a name or value HTTP does not allow is left out.
#[must_use]
pub fn headers<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let valid = pairs.into_iter().filter_map(|(name, value)| {
        let name = HeaderName::try_from(name.trim()).ok()?;
        if NOT_FOR_LISTS.contains(&name) {
            return None;
        }
        let mut value = HeaderValue::from_str(value.trim()).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in valid {
        headers.insert(name, value);
    }
    headers
}

/// An error with its causes, in one line. hyper's own texts name no address.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn credentials_in_an_address_become_a_header() {
        for (address, expected) in [
            ("http://user:pass@h.example/1.ts", Some("Basic dXNlcjpwYXNz")),
            ("http://us%40er:p%3Ass@h.example/", Some("Basic dXNAZXI6cDpzcw==")),
            ("http://h.example/live/u/p/1.ts", None),
        ] {
            let value = basic_authorization(&url(address));
            assert_eq!(
                value.as_ref().map(|value| value.to_str().unwrap()),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn credentials_stay_with_their_server() {
        let one = url("http://h.example/a");
        for (other, same) in [
            ("http://h.example:80/b", true),
            ("http://h.example:8080/b", false),
            ("https://h.example/b", false),
            ("http://other.example/b", false),
        ] {
            assert_eq!(same_server(&one, &url(other)), same, "{other}");
        }
    }

    #[test]
    fn a_list_sets_no_header_of_the_exchange_itself() {
        let pairs = [
            ("Content-Length", "5"),
            ("Range", "bytes=1-"),
            ("Referer", "http://r.example"),
            ("a b", "c"),
        ];
        let kept = headers(pairs);
        assert_eq!(
            kept.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["referer"]
        );
    }
}
