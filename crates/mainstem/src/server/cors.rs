//! Players in pages of other sites (Fetch standard, "CORS protocol"): they may have what players have, the playlist and
//! the streams, and read of an answer what a player needs. Everything else stays with pages of our own: no answer to
//! anything else says that it may be read.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};

const ANY: HeaderValue = HeaderValue::from_static("*");

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Headers of a request that a page may set where it does not say which ones it will.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static("Range, If-Range, If-None-Match, Icy-MetaData");

/// Headers of an answer that a page may read, beside the few it always may.
const READABLE: HeaderValue = HeaderValue::from_static(
    "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, Date, ETag, Retry-After, icy-metaint, icy-name",
);

/// For how long a page need not ask again: browsers keep it for two hours at most, whatever is said.
const ASK_AGAIN_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// What begins like this is for players of any page.
const PATHS: [&str; 3] = ["/playlist.m3u8", "/playlist.m3u", "/stream/"];

/// Lets pages of other sites have playlist and streams, and answers them when they ask beforehand.
pub async fn cors(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_open = PATHS
        .iter()
        .any(|open| path == *open || (open.ends_with('/') && path.starts_with(open)));
    if !is_open {
        return next.run(request).await;
    }
    if request.method() == Method::OPTIONS {
        return preflight(&request);
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READABLE);
    // What a provider sends is never a page of ours, whatever it looks like.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A page may set any header it likes: none changes what it gets beyond what any player can ask for.
fn preflight(request: &Request) -> Response {
    let wanted = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(ALLOW, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or(REQUEST_HEADERS));
    headers.insert(ACCESS_CONTROL_MAX_AGE, ASK_AGAIN_SECONDS);
    response
}
