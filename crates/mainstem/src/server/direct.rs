//! Endless answers written straight to the socket, past the HTTP library.
//!
//! Whoever makes such an answer says so in its extensions. Where it is the first answer of its connection, the server
//! takes the socket back and gives it away with the head to be sent; everywhere else the same answer is an ordinary
//! body. Its end is the connection's (RFC 9112 clause 6.3, rule 8), so that nothing frames it.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{CONNECTION, DATE};

use super::wire::Wire;

/// Bytes of a usual head.
const HEAD_BYTES: usize = 512;

/// An answer without an end of its own.
pub(crate) trait Endless: Send + 'static {
    /// Writes the head, and then the answer until it ends or the client goes.
    fn write(self: Box<Self>, wire: Wire) -> Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>>;

    /// The same as a body.
    fn body(self: Box<Self>) -> Body;
}

/// The mark of such an answer, in its extensions. Clones share the one answer.
#[derive(Clone)]
pub(crate) struct Direct(Arc<Mutex<Option<Box<dyn Endless>>>>);

impl Direct {
    /// Makes `endless` the body of a response, and marks it.
    pub(crate) fn answer(endless: Box<dyn Endless>) -> Response {
        let direct = Self(Arc::new(Mutex::new(Some(endless))));
        let otherwise = direct.clone();
        let body = futures_util::stream::once(async move {
            let body = otherwise.take().map_or_else(Body::empty, Endless::body);
            body.into_data_stream()
        });
        let mut response = Response::new(Body::from_stream(body.flatten()));
        response.extensions_mut().insert(direct);
        response
    }

    fn take(&self) -> Option<Box<dyn Endless>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// An answer on its way from the router to whoever owns the socket.
pub(super) struct Taken {
    pub(super) head: Bytes,
    pub(super) endless: Box<dyn Endless>,
}

impl Taken {
    /// Takes the answer out of a response that is marked; of any other there is none.
    pub(super) fn take(response: &Response) -> Option<Self> {
        let endless = response.extensions().get::<Direct>()?.take()?;
        let head = head(response);
        Some(Self { head, endless })
    }
}

/// The head as it is sent (RFC 9112 clause 2.1).
fn head(response: &Response) -> Bytes {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    // Writing to memory cannot fail.
    write!(head, "HTTP/1.1 {}\r\n", response.status()).unwrap_or_default();
    for (name, value) in response.headers() {
        if name == CONNECTION {
            continue;
        }
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    let now = jiff::Timestamp::now();
    if let Ok(date) = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now) {
        write!(head, "{DATE}: {date}\r\n").unwrap_or_default();
    }
    head.extend_from_slice(b"connection: close\r\n\r\n");
    head.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    struct Short;

    impl Endless for Short {
        fn write(self: Box<Self>, _: Wire) -> Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>> {
            Box::pin(async { Ok(()) })
        }

        fn body(self: Box<Self>) -> Body {
            Body::from("as a body")
        }
    }

    #[tokio::test]
    async fn an_answer_is_written_directly_or_as_a_body_and_never_both() {
        let body = axum::body::to_bytes(Direct::answer(Box::new(Short)).into_body(), 100);
        assert_eq!(body.await.unwrap(), "as a body");
        let response = Direct::answer(Box::new(Short));
        let direct = response.extensions().get::<Direct>().unwrap().clone();
        assert!(Taken::take(&response).is_some());
        assert!(direct.take().is_none());
        assert!(Taken::take(&Response::new(Body::empty())).is_none());
    }

    #[test]
    fn the_head_is_whole_and_says_that_the_connection_ends_the_answer() {
        let mut response = Direct::answer(Box::new(Short));
        let type_ = HeaderValue::from_static("video/mp2t");
        response.headers_mut().insert("content-type", type_);
        let keep = HeaderValue::from_static("keep-alive");
        response.headers_mut().insert(CONNECTION, keep);
        let head = String::from_utf8(head(&response).to_vec()).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.ends_with("\r\nconnection: close\r\n\r\n"), "{head}");
        assert!(head.contains("\r\ncontent-type: video/mp2t\r\n"), "{head}");
        assert!(head.contains(" GMT\r\n"), "{head}");
        assert!(!head.contains("keep-alive"), "{head}");
    }
}
