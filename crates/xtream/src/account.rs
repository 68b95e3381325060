//! The login answer: what the account may do. Every action a panel does not know is answered with it as well.

use std::io::Read;

use serde::Deserialize;

use crate::{Error, Found, body, lenient};

/// The longest login answer that is read, in bytes.
pub const ACCOUNT_BYTES_MAX: u64 = 1024 * 1024;

/// What a panel says about a login and about itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// `auth`: whether the login is right; `None` where the panel does not say.
    pub auth: Option<bool>,
    /// `status`.
    pub status: Status,
    /// `message`, for a person to read.
    pub message: Option<String>,
    /// `username` as the panel spells it.
    pub username: Option<String>,
    /// `exp_date`, Unix seconds; `None` is never.
    pub expires_at: Option<i64>,
    /// `created_at`, Unix seconds.
    pub created_at: Option<i64>,
    /// `is_trial`.
    pub is_trial: bool,
    /// `max_connections`; `None` is unlimited (`0`) or not said. Panels are known to allow more or fewer.
    pub max_connections: Option<u32>,
    /// `active_cons`; lags behind by up to a minute. `None` where the panel does not say.
    pub active_connections: Option<u32>,
    /// `allowed_output_formats` in lower case, such as `ts` and `m3u8`. Empty where the panel does not say.
    pub allowed_output_formats: Vec<String>,
    /// `server_info`.
    pub server: Server,
}

impl Account {
    /// Whether streams can be expected at this login: it is accepted, and neither expired nor closed.
    ///
    /// `now` is in Unix seconds.
    #[must_use]
    pub fn is_usable(&self, now: i64) -> bool {
        let open = matches!(self.status, Status::Active | Status::Unknown | Status::Other(_));
        self.auth != Some(false) && open && self.expires_at.is_none_or(|end| end > now)
    }
}

/// The state of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Status {
    /// In use.
    Active,
    /// Its time is over.
    Expired,
    /// Closed by the provider.
    Banned,
    /// Switched off by the provider.
    Disabled,
    /// Another word of the panel.
    Other(String),
    /// The panel does not say.
    #[default]
    Unknown,
}

/// What a panel says about itself. The address the user typed in counts more than this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// `url`: a host name, mostly without scheme and port.
    pub host: Option<String>,
    /// `port` for plain HTTP.
    pub port: Option<u16>,
    /// `https_port`.
    pub https_port: Option<u16>,
    /// `server_protocol`: `http` or `https`.
    pub protocol: Option<String>,
    /// `timezone`, an IANA name: the zone of the guide's texts and of catch-up addresses.
    pub timezone: Option<String>,
    /// `timestamp_now`, Unix seconds.
    pub timestamp_now: Option<i64>,
    /// `time_now`, `YYYY-MM-DD hh:mm:ss` in [`Server::timezone`].
    pub time_now: Option<String>,
}

/// Reads the login answer.
///
/// # Errors
/// The body is not a login answer; a refused login is not an error but an [`Account`] whose `auth` is false.
pub fn account(body: impl Read) -> Result<Account, Error> {
    let unexpected = |found| Error::Unexpected {
        expected: "the login answer",
        found,
    };
    let json = body::object(body, ACCOUNT_BYTES_MAX)?.map_err(unexpected)?;
    match in_object(&json)? {
        Some(account) => Ok(account),
        None => Err(unexpected(not_a_login(&json))),
    }
}

/// The login answer in an object; `None` where it is another object.
pub(crate) fn in_object(json: &[u8]) -> Result<Option<Account>, serde_json::Error> {
    let answer: Answer = body::parse(json)?;
    if answer.user_info.is_none() && answer.server_info.is_none() && answer.auth.is_none() {
        return Ok(None);
    }
    let user = answer.user_info.unwrap_or_default();
    let server = answer.server_info.unwrap_or_default();
    Ok(Some(Account {
        auth: user.auth.or(answer.auth),
        status: Status::from(user.status),
        message: user.message,
        username: user.username,
        expires_at: user.exp_date,
        created_at: user.created_at,
        is_trial: user.is_trial,
        max_connections: user.max_connections.filter(|connections| *connections > 0),
        active_connections: user.active_cons,
        allowed_output_formats: user
            .allowed_output_formats
            .iter()
            .map(|f| f.to_ascii_lowercase())
            .collect(),
        server: Server {
            host: server.url,
            port: server.port.filter(|port| *port > 0),
            https_port: server.https_port.filter(|port| *port > 0),
            protocol: server
                .server_protocol
                .map(|protocol| protocol.to_ascii_lowercase()),
            timezone: server.timezone,
            timestamp_now: server.timestamp_now,
            time_now: server.time_now,
        },
    }))
}

/// What an object that is no login answer is.
pub(crate) fn not_a_login(json: &[u8]) -> Found {
    match body::first_key(json) {
        key if key.is_empty() => Found::EmptyObject,
        key => Found::Object(key),
    }
}

impl From<Option<String>> for Status {
    fn from(status: Option<String>) -> Self {
        let Some(status) = status else {
            return Self::Unknown;
        };
        match status.to_ascii_lowercase().as_str() {
            "active" => Self::Active,
            "expired" => Self::Expired,
            "banned" => Self::Banned,
            "disabled" => Self::Disabled,
            _ => Self::Other(status),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "lenient::object")]
    user_info: Option<User>,
    #[serde(default, deserialize_with = "lenient::object")]
    server_info: Option<ServerInfo>,
    /// Some panels leave out the object around it when they refuse.
    #[serde(default, deserialize_with = "lenient::answer")]
    auth: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct User {
    #[serde(deserialize_with = "lenient::answer")]
    auth: Option<bool>,
    #[serde(deserialize_with = "lenient::text")]
    status: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    message: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    username: Option<String>,
    #[serde(deserialize_with = "lenient::time")]
    exp_date: Option<i64>,
    #[serde(deserialize_with = "lenient::time")]
    created_at: Option<i64>,
    #[serde(deserialize_with = "lenient::flag")]
    is_trial: bool,
    #[serde(deserialize_with = "lenient::count")]
    max_connections: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    active_cons: Option<u32>,
    #[serde(deserialize_with = "lenient::ids")]
    allowed_output_formats: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ServerInfo {
    #[serde(deserialize_with = "lenient::text")]
    url: Option<String>,
    #[serde(deserialize_with = "lenient::count")]
    port: Option<u16>,
    #[serde(deserialize_with = "lenient::count")]
    https_port: Option<u16>,
    #[serde(deserialize_with = "lenient::text")]
    server_protocol: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    timezone: Option<String>,
    #[serde(deserialize_with = "lenient::time")]
    timestamp_now: Option<i64>,
    #[serde(deserialize_with = "lenient::text")]
    time_now: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Account {
        account(json.as_bytes()).unwrap()
    }

    #[test]
    fn the_usual_answer() {
        let account = read(
            r#"{"user_info":{"username":"u","password":"p","message":"","auth":1,"status":"Active",
            "exp_date":"1893456000","is_trial":"0","active_cons":"1","created_at":"1600000000","max_connections":"2",
            "allowed_output_formats":["m3u8","TS"]},"server_info":{"xui":true,"url":"h","port":"8080",
            "https_port":"","server_protocol":"http","rtmp_port":"0","timezone":"Europe/London",
            "timestamp_now":1700000000,"time_now":"2023-11-14 22:13:20","process":true}}"#,
        );
        assert_eq!(
            (account.auth, &account.status, account.is_trial),
            (Some(true), &Status::Active, false)
        );
        assert_eq!(
            (account.max_connections, account.active_connections),
            (Some(2), Some(1))
        );
        assert_eq!((account.expires_at, account.message), (Some(1_893_456_000), None));
        assert_eq!(account.allowed_output_formats, ["m3u8", "ts"]);
        assert_eq!(
            (account.server.port, account.server.https_port),
            (Some(8080), None)
        );
        assert_eq!(account.server.timezone.as_deref(), Some("Europe/London"));
    }

    #[test]
    fn whether_an_account_is_usable() {
        for (user, expected) in [
            (r#"{"auth":1,"status":"Active","exp_date":null}"#, true),
            (r#"{"auth":"1","status":"active","exp_date":"200"}"#, true),
            (r#"{"auth":true,"exp_date":""}"#, true),
            (r#"{"auth":1,"status":"Active","exp_date":"100"}"#, false),
            (r#"{"auth":1,"status":"Expired"}"#, false),
            (r#"{"auth":1,"status":"Banned"}"#, false),
            (r#"{"auth":0}"#, false),
            (r#"{"auth":"0"}"#, false),
            (r#"{"auth":false}"#, false),
            ("[]", true),
        ] {
            assert_eq!(
                read(&format!(r#"{{"user_info":{user}}}"#)).is_usable(150),
                expected,
                "{user}"
            );
        }
        assert_eq!(read(r#"{"auth":0}"#).auth, Some(false));
    }

    #[test]
    fn what_panels_send_for_numbers() {
        for (field, connections, active) in [
            (r#""max_connections":"0","active_cons":"N/A""#, None, None),
            (r#""max_connections":null,"active_cons":null"#, None, None),
            (r#""max_connections":3.0,"active_cons":"0""#, Some(3), Some(0)),
            (r#""max_connections":"-1","active_cons":[]"#, None, None),
        ] {
            let account = read(&format!(r#"{{"user_info":{{{field}}}}}"#));
            assert_eq!(
                (account.max_connections, account.active_connections),
                (connections, active),
                "{field}"
            );
        }
    }

    #[test]
    fn what_is_no_login_answer_is_named() {
        for (body, expected) in [
            ("", Found::Empty),
            ("[]", Found::EmptyList),
            ("[1]", Found::Text),
            ("[{}]", Found::List),
            ("{}", Found::EmptyObject),
            ("null", Found::Null),
            (r#"{"error":"x"}"#, Found::Object("error".to_owned())),
            ("<html>", Found::Html),
        ] {
            match account(body.as_bytes()) {
                Err(Error::Unexpected { found, .. }) => {
                    assert!(
                        found == expected || (body == "[1]" && found == Found::Scalar),
                        "{body}: {found:?}"
                    );
                }
                other => panic!("{body}: {other:?}"),
            }
        }
        assert!(matches!(
            account(&br#"{"user_info":{"auth":1"#[..]),
            Err(Error::Syntax(_))
        ));
        let endless = std::io::repeat(b' ');
        assert!(matches!(
            account((&b"{\"a\":"[..]).chain(endless)),
            Err(Error::TooLong(ACCOUNT_BYTES_MAX))
        ));
    }
}
