//! URLs as the configuration takes them.

use std::path::{Path, PathBuf};

use catalog::secret::Secret;
use url::Url;

/// Why a text is not the URL that is wanted. No message holds any of the text: it may carry credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    #[error("not a URL: {0}")]
    Syntax(#[from] url::ParseError),
    #[error("`{0}` is not possible here; write http:// or https://")]
    Scheme(String),
    #[error("the URL names no host")]
    NoHost,
    #[error("links cannot begin with a URL that has a query or fragment (`?…`, `#…`)")]
    Tail,
    #[error("a file URL must name a local path: file:///path/to/list.m3u")]
    FilePath,
}

/// What links begin with: without `/` at its end; `None` for an empty text.
pub(super) fn public_url(text: &str) -> Result<Option<String>, AddressError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let url = web(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(AddressError::Tail);
    }
    Ok(Some(text.trim_end_matches('/').to_owned()))
}

/// An Xtream server.
#[derive(Debug, PartialEq)]
pub(super) struct XtreamAddress {
    /// Without `/` at its end.
    pub(super) base: String,
    /// From the query of a playlist link that was pasted whole.
    pub(super) credentials: Option<(Secret, Secret)>,
}

/// The server of an Xtream account. A link to one of its scripts, as providers mail it
/// (`…/get.php?username=…&password=…`), says the same and more.
pub(super) fn xtream(text: &str) -> Result<XtreamAddress, AddressError> {
    let mut url = web(text.trim())?;
    let value = |name: &str| {
        let pair = url.query_pairs().find(|(key, _)| key == name);
        pair.map(|(_, value)| Secret::new(value.into_owned()))
    };
    let credentials = value("username").zip(value("password"));
    url.set_query(None);
    url.set_fragment(None);
    let script = url.path().rsplit_once('/').and_then(|(folder, file)| {
        ["get.php", "player_api.php", "panel_api.php", "xmltv.php"]
            .contains(&file)
            .then(|| folder.to_owned())
    });
    if let Some(folder) = script {
        url.set_path(&folder);
    }
    Ok(XtreamAddress {
        base: url.as_str().trim_end_matches('/').to_owned(),
        credentials,
    })
}

/// Where an M3U list is.
#[derive(Debug, PartialEq)]
pub(super) enum ListAddress {
    Web(String),
    File(PathBuf),
}

/// A list: an http(s) URL, a file URL, or a path, which starts at `folder` when it is relative.
pub(super) fn list(text: &str, folder: &Path) -> Result<ListAddress, AddressError> {
    let text = text.trim();
    let scheme = text
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("file") => {
            let path = Url::parse(text)?.to_file_path();
            path.map(ListAddress::File).map_err(|()| AddressError::FilePath)
        }
        // `http:/host` is a mistyped URL, not a file called so.
        Some("http" | "https") => web(text).map(|_| ListAddress::Web(text.to_owned())),
        _ if text.contains("://") => Err(AddressError::Scheme(scheme.unwrap_or_default())),
        _ => Ok(ListAddress::File(folder.join(text))),
    }
}

fn web(text: &str) -> Result<Url, AddressError> {
    let url = Url::parse(text)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(AddressError::Scheme(url.scheme().to_owned()));
    }
    if !text.contains("://") || url.host_str().is_none_or(str::is_empty) {
        return Err(AddressError::NoHost);
    }
    Ok(url)
}
