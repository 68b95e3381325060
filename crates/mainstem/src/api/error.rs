//! Errors as JSON: a stable code for programs, a sentence for people. `detail` is the reference's key.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode, Uri};
use relay::{Failure, FailureClass};
use serde_json::{Value, json};

use crate::audience::NotServed;

/// When to come back while nothing can be had, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// An error a client gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
        }
    }

    /// No channel has this id.
    #[must_use]
    pub fn unknown_channel(id: &str) -> Self {
        let detail = format!("No channel has the id '{id}'. GET /streams lists all ids.");
        Self::new(StatusCode::NOT_FOUND, "unknown_channel", detail)
    }

    /// No source has this name.
    #[must_use]
    pub fn unknown_source(name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown_source",
            format!("Source '{name}' not found."),
        )
    }

    /// The source has no such series.
    #[must_use]
    pub fn unknown_series(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown_series",
            format!("The source has no series '{id}'."),
        )
    }

    /// The source's provider could not be asked.
    #[must_use]
    pub fn source_failed(reason: &str) -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "source_failed",
            format!("The source could not be asked: {reason}."),
        )
    }

    /// A request that changes something does not look like one of a program.
    #[must_use]
    pub fn not_json() -> Self {
        let detail = "Send it with the header 'Content-Type: application/json': pages of other sites cannot.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail)
    }

    /// A number in the query is none.
    #[must_use]
    pub fn bad_query(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_query", detail)
    }

    /// The rules to be tried cannot be used.
    #[must_use]
    pub fn bad_rules(problems: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_rules",
            problems.to_string(),
        )
    }

    /// As many previews are made as may be.
    #[must_use]
    pub fn busy() -> Self {
        let detail = "Another preview is being made.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
    }

    /// The path cannot be read.
    #[must_use]
    pub fn bad_path(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_path", detail)
    }

    /// The channel is a film or another file.
    #[must_use]
    pub fn not_live(channel: &str) -> Self {
        let detail = format!("'{channel}' is a file; it is served at /stream/{{id}}, and not as HLS.");
        Self::new(StatusCode::NOT_FOUND, "not_live", detail)
    }

    /// No source keeps what was on at the channel.
    #[must_use]
    pub fn no_catch_up(channel: &str) -> Self {
        let detail =
            format!("No source of '{channel}' keeps what was on, or none in a way that can be played.");
        Self::new(StatusCode::NOT_FOUND, "no_catch_up", detail)
    }

    /// What was on so long ago is kept no longer.
    #[must_use]
    pub fn no_longer_kept(channel: &str) -> Self {
        let detail = format!("No source of '{channel}' keeps what was on so long ago.");
        Self::new(StatusCode::NOT_FOUND, "no_longer_kept", detail)
    }

    /// A segment that was let go of, or never was.
    #[must_use]
    pub fn no_segment() -> Self {
        let detail = "There is no such segment any more; the playlist lists those there are.";
        Self::new(StatusCode::NOT_FOUND, "no_segment", detail)
    }

    /// A further sound that the channel does not have, or not yet.
    #[must_use]
    pub fn no_sound() -> Self {
        let detail = "The channel has no such sound now; the multivariant playlist lists those there are.";
        Self::new(StatusCode::NOT_FOUND, "no_sound", detail)
    }

    /// `direct: false`.
    #[must_use]
    pub fn direct_disabled() -> Self {
        let detail =
            "Redirects to providers are switched off (direct: false), as they show a provider's credentials.";
        Self::new(StatusCode::FORBIDDEN, "direct_disabled", detail)
    }

    /// `limits.viewers` is reached.
    #[must_use]
    pub fn too_many_viewers() -> Self {
        let detail = "As many viewers as limits.viewers allows are watching.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_viewers", detail)
    }

    /// Why a client is not served.
    #[must_use]
    pub fn not_served(why: NotServed) -> Self {
        match why {
            NotServed::TooMany => Self::too_many_viewers(),
            NotServed::AddressFull => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "address_limit",
                "As many watch as HLS from this address as one may have; behind a proxy, see trusted_proxies.",
            ),
            NotServed::ClientFull => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "client_limit",
                "This client watches as many channels as limits.channels_per_client allows.",
            ),
        }
    }

    /// The program is going down.
    #[must_use]
    pub fn shutting_down() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "shutting_down",
            "mainstem is shutting down.",
        )
    }

    /// mainstem's own fault.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "A fault in mainstem; its log says more.",
        )
    }

    /// No source of a channel can ever be played.
    #[must_use]
    pub fn unsupported(channel: &str, reason: &str) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unsupported",
            format!("'{channel}' cannot be played: {reason}."),
        )
    }

    /// No source of a channel could be opened.
    #[must_use]
    pub fn unavailable(channel: &str, failure: &Failure) -> Self {
        let status = match failure.class {
            FailureClass::Gone => StatusCode::NOT_FOUND,
            FailureClass::Transient | FailureClass::NoSlot | FailureClass::Limit => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::BAD_GATEWAY,
        };
        let detail = format!(
            "No source of '{channel}' can be played now. The last one said: {}.",
            failure.text
        );
        Self::new(status, failure.class.as_str(), detail)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = json_response(self.status, &json!({ "error": self.code, "detail": self.detail }));
        if [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&self.status) {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}

/// A JSON answer.
#[must_use]
pub fn json_response(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A JSON answer with status 200.
#[must_use]
pub fn ok(value: &Value) -> Response {
    json_response(StatusCode::OK, value)
}

pub(super) async fn unknown_path(uri: Uri) -> ApiError {
    let detail = format!("Nothing is served at {}. GET / lists the endpoints.", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, "unknown_path", detail)
}

pub(super) async fn method_not_allowed() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "Only GET and HEAD are served here.",
    )
}
