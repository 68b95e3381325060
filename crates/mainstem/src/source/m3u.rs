//! An M3U list as a [`Listing`].

use std::borrow::Cow;
use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use catalog::listing::{Catchup, Extra, Fields, Header, Kind};
use catalog::{Listing, Secret, SourceName, StreamUrl};
use m3u::{Ending, LooksLike};
use url::Url;

use super::body::unpacked;
use super::failure::RefreshError;
use super::fetch::broken;

/// Bytes parsed at a time.
const READ_BYTES: usize = 64 << 10;

/// Endings of files that are passed through and not relayed.
pub(super) const FILE_ENDINGS: [&str; 10] = [
    "mp4", "mkv", "avi", "mov", "m4v", "webm", "flv", "wmv", "mpg", "mpeg",
];

/// Reads a whole list, and says how its bytes end. `base` is where it came from: relative addresses in it count from
/// there.
pub(super) fn read(
    source: &SourceName,
    base: Option<&Url>,
    entries_max: usize,
    body: &mut dyn Read,
) -> Result<(Listing, Ending), RefreshError> {
    let mut listing = Listing::new(source.clone());
    let mut too_many = false;
    let of_list = RefCell::new(m3u::Catchup::default());
    let mut take = |entry: m3u::Entry| {
        if listing.entries.len() >= entries_max {
            too_many = true;
        } else {
            push(&mut listing, base, &entry, &of_list.borrow());
        }
    };
    let mut reader = m3u::Reader::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut is_first = true;
    loop {
        let read = body.read(&mut buffer).map_err(|error| broken(&error))?;
        if read == 0 {
            break;
        }
        let mut bytes = buffer.get(..read).unwrap_or_default();
        if std::mem::take(&mut is_first) {
            // What the list says of itself is said of its first entries too.
            let line = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (line, rest) = bytes
                .split_at_checked(line.map_or(0, |end| end + 1))
                .unwrap_or((&[], bytes));
            reader.push(line, &mut take);
            of_list.replace(reader.report().header.catchup.clone());
            bytes = rest;
        }
        reader.push(bytes, &mut take);
        of_list.replace(reader.report().header.catchup.clone());
    }
    let report = reader.finish(&mut take);
    let what = match report.looks_like {
        Some(LooksLike::Hls) => Some("an HLS stream, not a list: put it into a list as an entry"),
        Some(LooksLike::Html) => Some("a web page, not a list"),
        Some(LooksLike::Json) => Some("JSON, not a list"),
        _ => None,
    };
    if let Some(what) = what {
        return Err(RefreshError::NotAList(format!("the address answers with {what}")));
    }
    if too_many {
        return Err(RefreshError::NotAList(
            "the list has more entries than limits.list_entries allows".to_owned(),
        ));
    }
    if listing.entries.is_empty() {
        return Err(RefreshError::Empty);
    }
    listing.malformed = report.malformed.count;
    listing.finish();
    Ok((listing, report.ending))
}

/// Reads an M3U from a file, packed or not, for rules to be tried on.
///
/// # Errors
/// A file that cannot be read, or is no list.
pub fn read_file(
    source: &SourceName,
    path: &Path,
    (entries_max, bytes_max): (usize, u64),
) -> Result<Listing, RefreshError> {
    let file = File::open(path).map_err(|error| broken(&error))?;
    let mut body = unpacked(file, bytes_max).map_err(|error| broken(&error))?;
    read(source, None, entries_max, &mut body).map(|(listing, _)| listing)
}

fn push(listing: &mut Listing, base: Option<&Url>, entry: &m3u::Entry, of_list: &m3u::Catchup) {
    let url = absolute(base, &entry.url);
    let kind = kind(&url);
    let attributes = &entry.attributes;
    let extra = Extra {
        catchup: (kind == Kind::Live)
            .then(|| catchup(&attributes.catchup, of_list))
            .flatten(),
        tvg_language: boxed(attributes.tvg_language.as_deref()),
        tvg_country: boxed(attributes.tvg_country.as_deref()),
        radio: attributes.radio.then(|| "true".into()),
        headers: headers(&entry.headers),
        ..Extra::default()
    };
    listing.push(Fields {
        tvg_name: attributes
            .tvg_name
            .as_deref()
            .filter(|name| !name.trim().is_empty()),
        title: if entry.name.is_empty() {
            entry.channel_name()
        } else {
            &entry.name
        },
        group: attributes.group_title.as_deref(),
        logo: attributes.tvg_logo.as_deref(),
        tvg_id: attributes.tvg_id.as_deref(),
        kind,
        url: StreamUrl::new(url),
        direct: None,
        stream_key: "",
        tvg_chno: attributes.tvg_chno.as_deref(),
        extra,
    });
}

/// How past programmes of an entry are played; what it does not say, the list may. No days are no past.
fn catchup(own: &m3u::Catchup, of_list: &m3u::Catchup) -> Option<Box<Catchup>> {
    let text = |of: fn(&m3u::Catchup) -> Option<&String>| of(own).or(of(of_list));
    let days = own.days.or(of_list.days);
    let mode = text(|catchup| catchup.mode.as_ref());
    let source = text(|catchup| catchup.source.as_ref());
    let is_any = days != Some(0) && (days.is_some() || mode.is_some() || source.is_some());
    is_any.then(|| {
        Box::new(Catchup {
            mode: mode.map(|mode| mode.as_str().into()),
            days,
            source: source.map(|source| Secret::from(source.as_str())),
            correction: own
                .correction
                .or(of_list.correction)
                .map(|hours| hours.to_string().into()),
        })
    })
}

fn boxed(text: Option<&str>) -> Option<Box<str>> {
    text.filter(|text| !text.is_empty()).map(Box::from)
}

fn headers(headers: &m3u::Headers) -> Vec<Header> {
    let header = |name: &str, value: &str| Header {
        name: name.into(),
        value: Secret::new(value),
    };
    let mut list = Vec::new();
    list.extend(
        headers
            .user_agent
            .as_deref()
            .map(|value| header("User-Agent", value)),
    );
    list.extend(headers.referer.as_deref().map(|value| header("Referer", value)));
    list.extend(headers.others.iter().map(|(name, value)| header(name, value)));
    list
}

fn absolute<'a>(base: Option<&Url>, url: &'a str) -> Cow<'a, str> {
    match base {
        Some(base) if !url.contains("://") => base
            .join(url)
            .map_or(Cow::Borrowed(url), |url| Cow::Owned(url.into())),
        _ => Cow::Borrowed(url),
    }
}

/// Whether an address leads to a live stream or to a file, by the path that panels use and by the file's ending.
fn kind(url: &str) -> Kind {
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut segments = path.split('/');
    let (_, last) = (segments.next(), segments.next_back().unwrap_or(path));
    let mut is_film = false;
    for folder in segments {
        match folder {
            "series" => return Kind::Episode,
            "movie" => is_film = true,
            _ => {}
        }
    }
    let ending = last.rsplit_once('.').map_or("", |(_, ending)| ending);
    if is_film
        || FILE_ENDINGS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(ending))
    {
        Kind::Film
    } else {
        Kind::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(text: &str) -> Result<Listing, RefreshError> {
        let base = Url::parse("http://lists.example/a/list.m3u").unwrap();
        read(&SourceName::new("s"), Some(&base), 1_000, &mut text.as_bytes()).map(|(listing, _)| listing)
    }

    #[test]
    fn names_are_as_the_reference_had_them() {
        let list = listing(concat!(
            "#EXTM3U\n#EXTINF:-1 tvg-name=\"BBC One\" group-title=\"UK\",BBC 1\nhttp://h.example/1.ts\n",
            "#EXTINF:-1, CNN HD \nlive/2.ts\n",
        ))
        .unwrap();
        let names: Vec<_> = list
            .entries
            .iter()
            .map(|entry| format!("{} {}", entry.name(), entry.url().expose()))
            .collect();
        assert_eq!(
            names,
            [
                "BBC One http://h.example/1.ts",
                "CNN HD http://lists.example/a/live/2.ts"
            ]
        );
    }

    #[test]
    fn what_is_no_list_says_what_it_is() {
        for (text, word) in [
            ("<html><body>blocked</body></html>", "web page"),
            ("{\"user_info\":{\"auth\":0}}", "JSON"),
            ("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\na.ts\n", "HLS"),
            ("", "empty"),
            ("#EXTM3U\n", "empty"),
        ] {
            let error = listing(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text:?}: {error}");
        }
    }

    #[test]
    fn files_are_told_from_live_streams() {
        for (url, expected) in [
            ("http://h/u/p/5", Kind::Live),
            ("http://h/live/u/p/5.ts", Kind::Live),
            ("http://h/live/u/p/5.m3u8", Kind::Live),
            ("http://h/movie/u/p/5.mkv", Kind::Film),
            ("http://h/x/film.MP4?token=a.ts", Kind::Film),
            ("http://h/movie/series/u/p/5", Kind::Episode),
            ("http://h/x/series", Kind::Live),
            ("http://h", Kind::Live),
            ("film.mkv", Kind::Film),
            ("http://h/series/u/p/5.mp4", Kind::Episode),
            ("udp://@239.0.0.1:1234", Kind::Live),
        ] {
            assert_eq!(kind(url), expected, "{url}");
        }
    }
}
