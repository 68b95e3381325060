//! Files of a provider (films, episodes): one upstream per viewer, bytes and ranges passed through as they are.

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE,
    LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, StatusCode};
use relay::{Failure, FailureClass};

use super::http::Body;
use super::open::{Opening, Target};
use super::sniff::Content;
use crate::slot::Purpose;

/// Headers of a viewer that a provider sees.
const ASKED: [HeaderName; 2] = [RANGE, IF_RANGE];

/// Headers of a provider that a viewer sees; everything else stays between us.
const TOLD: [HeaderName; 7] = [
    ACCEPT_RANGES,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
];

/// A provider's answer for a file.
#[derive(Debug)]
pub struct FileAnswer {
    /// 200, 206 or 416.
    pub status: StatusCode,
    /// The headers a viewer may see.
    pub headers: HeaderMap,
    /// The first bytes, read to tell a film from a web page.
    pub head: Bytes,
    /// The rest; `None` for 416.
    pub body: Option<Body>,
}

/// Asks for a file, or the part of it the viewer's headers ask for.
///
/// # Errors
/// A [`Failure`] that says whose fault it is.
pub async fn open_file(
    opening: &Opening,
    target: &Target,
    viewer: &HeaderMap,
) -> Result<FileAnswer, Failure> {
    let mut more = HeaderMap::new();
    for name in ASKED {
        if let Some(value) = viewer.get(&name) {
            more.insert(name, value.clone());
        }
    }
    let mut answer = opening.ask(target, Purpose::File, &more).await?;
    let out_of_range = answer.status == StatusCode::RANGE_NOT_SATISFIABLE;
    let mut headers = told(&answer.headers);
    if out_of_range {
        headers.remove(CONTENT_TYPE);
        headers.remove(CONTENT_LENGTH);
    }
    // A part of a file may begin with anything; pages and errors come whole.
    let head = if answer.status == StatusCode::OK {
        film(opening.first_bytes(&mut answer.body).await?)?
    } else {
        Bytes::new()
    };
    let body = Some(answer.body).filter(|_| !out_of_range);
    Ok(FileAnswer {
        status: answer.status,
        headers,
        head,
        body,
    })
}

/// Panels answer with a page or an error object and 200 where they mean no.
fn film((head, content): (Bytes, Content)) -> Result<Bytes, Failure> {
    match content {
        Content::Html | Content::Json => Err(Failure::new(
            FailureClass::Unusable,
            format!(
                "the provider answered with {} instead of a file",
                content.as_str()
            ),
        )),
        _ => Ok(head),
    }
}

fn told(from: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in TOLD {
        if let Some(value) = from.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers
}
