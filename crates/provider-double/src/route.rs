//! What an address asks for. Values only.

use crate::hls::Part;
use crate::http::{Head, decode};

/// An address, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/get.php`
    M3u,
    /// `/list.m3u`, for everybody.
    OpenM3u,
    /// `/player_api.php`
    PlayerApi,
    /// `/xmltv.php`
    Guide,
    /// `/live/U/P/ID.ts`, `/U/P/ID`, and for everybody `/stream/ID.ts`.
    Live {
        login: Option<(String, String)>,
        id: &'a str,
        extension: &'a str,
    },
    /// `/movie/U/P/ID.mp4`, `/series/U/P/ID.mp4`
    File { login: (String, String), id: &'a str },
    /// `/hls/U/P/ID/index.m3u8`, `/hls/U/P/ID/17.ts`; for everybody the first two elements are empty.
    Hls {
        login: Option<(String, String)>,
        id: &'a str,
        part: Part,
    },
    /// `/token/T/ID.ts`
    Token { token: &'a str },
    /// `/_control`
    Control,
    /// Nothing we know.
    Unknown,
}

pub(crate) fn route(head: &Head) -> Route<'_> {
    of_path(&head.path)
}

fn of_path(path: &str) -> Route<'_> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["get.php"] => Route::M3u,
        ["list.m3u"] => Route::OpenM3u,
        ["player_api.php"] => Route::PlayerApi,
        ["xmltv.php"] => Route::Guide,
        ["_control", ..] => Route::Control,
        ["stream", name] => live(None, name),
        ["token", token, _] => Route::Token { token },
        ["live", username, password, name] | [username, password, name] => {
            live(Some((decode(username, false), decode(password, false))), name)
        }
        ["movie" | "series", username, password, name] => Route::File {
            login: (decode(username, false), decode(password, false)),
            id: split(name).0,
        },
        ["hls", username, password, id, name] => part(name).map_or(Route::Unknown, |part| {
            let login = (!username.is_empty()).then(|| (decode(username, false), decode(password, false)));
            Route::Hls { login, id, part }
        }),
        _ => Route::Unknown,
    }
}

fn live<'a>(login: Option<(String, String)>, name: &'a str) -> Route<'a> {
    let (id, extension) = split(name);
    Route::Live { login, id, extension }
}

/// Id and extension; without one it is TS.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or((name, "ts"))
}

fn part(name: &str) -> Option<Part> {
    match split(name) {
        ("master", "m3u8") => Some(Part::Multivariant),
        ("index", "m3u8") => Some(Part::Media),
        (number, "ts") => number.parse().ok().map(Part::Segment),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let login = |u: &str, p: &str| Some((u.to_owned(), p.to_owned()));
        let live = |login, id, extension| Route::Live { login, id, extension };
        for (path, expected) in [
            ("/get.php", Route::M3u),
            ("/live/u/p/7.ts", live(login("u", "p"), "7", "ts")),
            ("/live/u/p/7.m3u8", live(login("u", "p"), "7", "m3u8")),
            ("/u%40x/p/7", live(login("u@x", "p"), "7", "ts")),
            ("/stream/7.ts", live(None, "7", "ts")),
            (
                "/movie/u/p/9.mp4",
                Route::File {
                    login: ("u".into(), "p".into()),
                    id: "9",
                },
            ),
            (
                "/hls/u/p/7/41.ts",
                Route::Hls {
                    login: login("u", "p"),
                    id: "7",
                    part: Part::Segment(41),
                },
            ),
            (
                "/hls///7/index.m3u8",
                Route::Hls {
                    login: None,
                    id: "7",
                    part: Part::Media,
                },
            ),
            ("/token/abc/7.ts", Route::Token { token: "abc" }),
            ("/", Route::Unknown),
            ("/a/b/c/d/e/f", Route::Unknown),
        ] {
            assert_eq!(of_path(path), expected, "{path}");
        }
    }
}
