//! Secrets print redacted, and come back whole from the store.

use catalog::{
    Kind, Listing, Secret, StreamUrl,
    listing::{Catchup, Entries, Extra, Fields, Header},
    secret,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Account {
    password: Secret,
    url: StreamUrl,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredAccount {
    #[serde(with = "secret::exposed")]
    password: Secret,
    #[serde(with = "secret::exposed")]
    url: StreamUrl,
}

#[test]
fn plain_derives_give_nothing_away() {
    let account = Account {
        password: "hunter2".into(),
        url: "http://u:hunter2@h/live/hunter2/1.ts".into(),
    };
    let printed = format!(
        "{account:?} {} {} {}",
        account.password,
        account.url,
        serde_json::to_string(&account).unwrap()
    );
    assert!(!printed.contains("hunter2"), "{printed}");
    let read: Account = serde_json::from_str(r#"{"password":"hunter2","url":"http://h"}"#).unwrap();
    assert_eq!(
        (read.password.expose(), read.url.expose()),
        ("hunter2", "http://h")
    );
    assert!(serde_json::from_str::<Account>(&serde_json::to_string(&account).unwrap()).is_err());
    let stored = StoredAccount {
        password: account.password,
        url: account.url,
    };
    let text = serde_json::to_string(&stored).unwrap();
    let back: StoredAccount = serde_json::from_str(&text).unwrap();
    assert_eq!((back.password, back.url), (stored.password, stored.url));
}

#[test]
fn a_url_shows_scheme_and_host_only() {
    let table = [
        ("http://h/live/user/pass/1.ts", "http://h/…"),
        (
            "https://user:pass@h.example:8443/x?token=pass",
            "https://h.example:8443/…",
        ),
        ("http://h?password=pass", "http://h/…"),
        ("http://h#pass", "http://h/…"),
        ("http://user:pass/x", "[redacted]"),
        ("http://[::1]/pass", "http://[::1]/…"),
        ("http://[::1]:8080/pass", "http://[::1]:8080/…"),
        ("rtmp://us@er:p@ss@h/pass", "rtmp://h/…"),
        ("http://user:pa/ss@h/x", "[redacted]"),
        ("http://h\\@pass/x", "[redacted]"),
        ("http://pass?@h/x", "[redacted]"),
        ("user:pass", "[redacted]"),
        ("pass", "[redacted]"),
        ("", "[redacted]"),
        ("pass word://h/x", "[redacted]"),
        ("http://pass word/x", "[redacted]"),
    ];
    for (url, expected) in table {
        let url = StreamUrl::from(url);
        assert_eq!(url.redacted(), expected);
        assert_eq!(format!("{url} {url:?}"), format!("{expected} {expected}"));
    }
}

/// Wherever stray delimiters get into an address, the password does not get out.
#[test]
fn no_mangled_url_shows_its_password() {
    let urls = [
        "http://user:hunter2@host.example:8080/live/a/b/1.ts",
        "http://host.example:8080/live/user/hunter2/1.ts?token=hunter2#hunter2",
        "https://[::1]/get.php?username=a@b.example&password=hunter2",
        "rtsp://hunter2@host/x",
    ];
    let strays = [
        "/", "?", "#", "@", "\\", ":", " ", "%", "[", "]", "é", "\n", "//", "://",
    ];
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap_or(0)
    };
    for round in 0..20_000 {
        let mut url = urls[round % urls.len()].to_owned();
        // Behind the scheme, and not inside the password, which would then be another one.
        let places: Vec<usize> = url
            .char_indices()
            .map(|(at, _)| at)
            .filter(|&at| at > 8 && !in_password(&url, at))
            .collect();
        url.insert_str(places[random(places.len())], strays[random(strays.len())]);
        assert!(
            !StreamUrl::from(url.as_str()).redacted().contains("hunter2"),
            "{url}"
        );
    }
}

fn in_password(url: &str, at: usize) -> bool {
    url.match_indices("hunter2")
        .any(|(start, word)| start < at && at < start + word.len())
}

fn sample() -> Listing {
    let mut listing = Listing::new("a".into());
    listing.malformed = 2;
    listing.push(Fields {
        title: "plain",
        url: "http://h/1".into(),
        ..Fields::default()
    });
    listing.push(Fields {
        tvg_name: Some("CNN"),
        title: "CNN \"HD\"\n\\",
        group: Some("Nëws"),
        logo: Some("http://h/l.png"),
        tvg_id: Some("cnn.us"),
        kind: Kind::Film,
        url: "http://u:hunter2@h/2".into(),
        direct: Some("http://cdn/hunter2/2".into()),
        stream_key: "77",
        tvg_chno: Some("5.1"),
        extra: Extra {
            tvg_url: Some("http://h/xmltv.php?password=hunter2".into()),
            other: vec![("catchup".into(), "default".into())],
            catchup: Some(Box::new(Catchup {
                mode: Some("append".into()),
                days: Some(7),
                source: Some("?utc={utc}&password=hunter2".into()),
                correction: Some("-1.5".into()),
            })),
            headers: vec![Header {
                name: "Cookie".into(),
                value: "hunter2".into(),
            }],
            ..Extra::default()
        },
    });
    listing
}

#[test]
fn the_store_brings_a_listing_back_whole() {
    let listing = sample();
    assert!(!format!("{listing:?}").contains("hunter2"));
    assert!(!format!("{:?}", listing.entries.get(1).unwrap().extra()).contains("hunter2"));
    let mut bytes = Vec::new();
    listing.entries.write(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(text.matches("hunter2").count(), 5);
    let back = Entries::read(&mut bytes.as_slice()).unwrap();
    assert_eq!(back, *listing.entries);
    assert_eq!(
        back.get(1).unwrap().extra(),
        listing.entries.get(1).unwrap().extra()
    );
    let mut grown = listing.clone();
    grown.entries = back.into();
    grown.push_copy(listing.entries.get(1).unwrap());
    assert_eq!(grown.entries.get(2), listing.entries.get(1));
}

#[test]
fn damaged_bytes_make_an_error_or_entries_and_no_panic() {
    let mut bytes = Vec::new();
    sample().entries.write(&mut bytes).unwrap();
    for end in 0..bytes.len() {
        assert!(Entries::read(&mut &bytes[..end]).is_err(), "cut at {end}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            if let Ok(entries) = Entries::read(&mut damaged.as_slice()) {
                // Every text is looked at.
                assert!(entries == entries.clone());
            }
        }
    }
}

#[test]
fn an_entry_cuts_what_has_no_end() {
    let endless = "é".repeat(100_000);
    let mut listing = Listing::new("a".into());
    listing.push(Fields {
        title: &endless,
        group: Some("g"),
        ..Fields::default()
    });
    let entry = listing.entries.first().unwrap();
    assert_eq!(entry.title().len(), catalog::listing::TEXT_BYTES_MAX);
    assert_eq!(
        (entry.group(), entry.logo(), entry.name()),
        (Some("g"), None, entry.title())
    );
}

#[test]
fn an_address_beside_another_is_part_of_its_entry() {
    let mut listing = Listing::new("a".into());
    let long = format!("http://h/{}", "x".repeat(catalog::listing::TEXT_BYTES_MAX));
    for (url, direct) in [
        ("http://h/a/1", None),
        ("http://h/a/1", Some("http://d/b/1")),
        ("http://h/a/1", Some("http://d/b/2")),
        ("1", Some("2")),
        ("http://h/a/1", Some("")),
        ("http://h/a/1", Some(long.as_str())),
        ("http://h/a/1\nb", Some("c\nd")),
    ] {
        listing.push(Fields {
            url: url.into(),
            direct: direct.map(Into::into),
            ..Fields::default()
        });
    }
    let all: Vec<_> = listing.entries.iter().collect();
    let found: Vec<_> = all
        .iter()
        .map(|entry| {
            (
                entry.url().expose().to_owned(),
                entry.direct().map(|url| url.expose().to_owned()),
            )
        })
        .collect();
    let expected = [
        ("http://h/a/1", None),
        ("http://h/a/1", Some("http://d/b/1")),
        ("http://h/a/1", Some("http://d/b/2")),
        ("1", Some("2")),
        ("http://h/a/1", None),
        ("http://h/a/1", None),
        ("http://h/a/1", None),
    ];
    let expected: Vec<_> = expected
        .map(|(url, direct)| (url.to_owned(), direct.map(str::to_owned)))
        .into();
    assert_eq!(found, expected);
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] == all[4]);
}
