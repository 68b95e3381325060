//! Files of a provider (films, episodes): one upstream per viewer, bytes and ranges passed through as they are.

use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use relay::Failure;

use super::answer::failure_of_status;
use super::http::Body;
use super::open::{Opening, Target};
use crate::slot::Purpose;

/// Headers of a viewer that a provider sees.
const ASKED: [HeaderName; 2] = [RANGE, IF_RANGE];

/// Headers of a provider that a viewer sees; everything else stays between us.
const TOLD: [HeaderName; 6] = [
    ACCEPT_RANGES,
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
    /// The bytes; `None` for 416.
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
    let slot = opening.slot(target, Purpose::File).await?;
    let mut request = opening.request(target)?;
    for name in ASKED {
        if let Some(value) = viewer.get(&name) {
            request.headers.insert(name, value.clone());
        }
    }
    let answer = opening.client.send(request, Some(slot)).await?;
    let out_of_range = answer.status == StatusCode::RANGE_NOT_SATISFIABLE;
    if let Some(failure) = failure_of_status(answer.status, &answer.headers)
        && !out_of_range
    {
        opening.rest_login(target, &failure);
        return Err(failure);
    }
    let headers = told(&answer.headers);
    let body = Some(answer.body).filter(|_| !out_of_range);
    Ok(FileAnswer {
        status: answer.status,
        headers,
        body,
    })
}

fn told(from: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in TOLD {
        if let Some(value) = from.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers
        .entry(ACCEPT_RANGES)
        .or_insert(HeaderValue::from_static("bytes"));
    headers
}
