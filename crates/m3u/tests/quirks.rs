//! What lists in the field do wrong, quirk by quirk, with what is read of it: one odd line never costs another entry.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    reason = "a test panics where it fails"
)]

use m3u::{Entry, LooksLike, Reader};

/// A sound entry before and behind the odd one, so that nothing leaks either way.
fn read(odd: &str) -> Vec<Entry> {
    let list =
        format!("#EXTM3U\n#EXTINF:-1,Before\nhttp://h/before\n{odd}\n#EXTINF:-1,Behind\nhttp://h/behind\n");
    let (mut entries, report) = Reader::read(list.as_bytes());
    assert_eq!(report.looks_like, None, "{odd}");
    let (before, behind) = (entries.remove(0), entries.pop().expect("the entry behind"));
    assert_eq!(
        (before.name.as_str(), before.url.as_str()),
        ("Before", "http://h/before"),
        "{odd}"
    );
    assert_eq!(
        (behind.name.as_str(), behind.url.as_str()),
        ("Behind", "http://h/behind"),
        "{odd}"
    );
    assert!(
        before.attributes == behind.attributes && behind.headers.is_empty(),
        "{odd}: nothing leaks"
    );
    entries
}

/// Channel name, group, guide id and address of each entry.
fn check(odd: &str, expected: &[[&str; 4]]) {
    let entries = read(odd);
    let found: Vec<[&str; 4]> = entries
        .iter()
        .map(|entry| {
            let text = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
            let (group, guide) = (
                text(&entry.attributes.group_title),
                text(&entry.attributes.tvg_id),
            );
            [
                entry.channel_name(),
                group.leak(),
                guide.leak(),
                entry.url.as_str(),
            ]
        })
        .collect();
    assert_eq!(found, expected, "{odd}");
}

#[test]
fn names_quotes_and_groups() {
    const U: &str = "http://h/1";
    for (odd, name, group, guide) in [
        // M1: commas in the title and in values.
        (
            "#EXTINF:-1 group-title=\"News, UK\",BBC One, HD\nhttp://h/1",
            "BBC One, HD",
            "News, UK",
            "",
        ),
        // M2: quotes inside of quoted values.
        (
            "#EXTINF:-1 tvg-name=\"The \"Best\" Of\" group-title=\"G\",T\nhttp://h/1",
            "The \"Best\" Of",
            "G",
            "",
        ),
        // M3: the closing quote before the comma is missing.
        (
            "#EXTINF:-1 tvg-id=\"a\" group-title=\"News,BBC\nhttp://h/1",
            "BBC",
            "News",
            "a",
        ),
        // M4: every line end, marks and NUL bytes.
        (
            "\u{feff}#EXTINF:-1 tvg-id=\"a\",BBC\r\nhttp://h/1\r",
            "BBC",
            "",
            "a",
        ),
        ("#EXTINF:-1,B\0B\0C\rhttp://h/1", "BBC", "", ""),
        // M5: other quotes, and none.
        (
            "#EXTINF:-1 tvg-id=a group-title='News',BBC\nhttp://h/1",
            "BBC",
            "News",
            "a",
        ),
        // M6: the group in a line of its own, behind or before.
        ("#EXTINF:-1,BBC\n#EXTGRP:News\nhttp://h/1", "BBC", "News", ""),
        ("#EXTGRP:News\n#EXTINF:-1,BBC\nhttp://h/1", "BBC", "News", ""),
        (
            "#EXTINF:-1 group-title=\"Own\",BBC\n#EXTGRP:News\nhttp://h/1",
            "BBC",
            "Own",
            "",
        ),
        // M7: no guide id, or a blank one.
        (
            "#EXTINF:-1 tvg-id=\"\" tvg-name=\"\",BBC\nhttp://h/1",
            "BBC",
            "",
            "",
        ),
        ("#EXTINF:-1 tvg-id=\" \",BBC\nhttp://h/1", "BBC", "", ""),
        // M10: superscripts, boxes and what cannot be seen stay: the name is the channel's identity.
        (
            "#EXTINF:-1,UK│ BBC ᴴᴰ ⁶⁰\u{200b}\nhttp://h/1",
            "UK│ BBC ᴴᴰ ⁶⁰\u{200b}",
            "",
            "",
        ),
        // M11: a group called like the channel.
        ("#EXTINF:-1 group-title=\"BBC\",BBC\nhttp://h/1", "BBC", "BBC", ""),
    ] {
        check(odd, &[[name, group, guide, U]]);
    }
}

#[test]
fn entries_that_are_none_or_many() {
    // M8: films and episodes between the channels.
    check(
        "#EXTINF:-1,Film\nhttp://h/movie/u/p/1.mkv\n#EXTINF:3600,S01E01\nhttp://h/series/u/p/2.mp4",
        &[
            ["Film", "", "", "http://h/movie/u/p/1.mkv"],
            ["S01E01", "", "", "http://h/series/u/p/2.mp4"],
        ],
    );
    // M9: separators are entries; what they mean is a matter of rules.
    check(
        "#EXTINF:-1,### UK ###\nhttp://h/none",
        &[["### UK ###", "", "", "http://h/none"]],
    );
    check(
        "#EXTINF:-1,✦●✦ UK ✦●✦\n#EXTINF:-1,BBC\nhttp://h/1",
        &[["BBC", "", "", "http://h/1"]],
    );
    // M15: a script that fetched the list wrote its errors into it.
    check(
        "curl: (28) Operation timed out after 5000 milliseconds\n#EXTINF:-1,BBC\nhttp://h/1",
        &[["BBC", "", "", "http://h/1"]],
    );
    check(
        "#EXTINF:-1,BBC\ncurl: (6) Could not resolve host\nhttp://h/1",
        &[["BBC", "", "", "http://h/1"]],
    );
    // M18: the same channel again is a backup.
    check(
        "#EXTINF:-1,BBC\nhttp://h/1\n#EXTINF:-1,BBC\nhttp://h/2\nhttp://h/3",
        &[
            ["BBC", "", "", "http://h/1"],
            ["BBC", "", "", "http://h/2"],
            ["BBC", "", "", "http://h/3"],
        ],
    );
}

#[test]
fn headers_numbers_and_catch_up() {
    // M12: headers of one entry, in every notation.
    for odd in [
        "#EXTINF:-1,A\n#EXTVLCOPT:http-user-agent=UA\n#EXTVLCOPT:http-referrer=http://r\nhttp://h/1",
        "#EXTINF:-1,A\nhttp://h/1|User-Agent=UA&Referer=http://r",
        "#EXTINF:-1,A\n#EXTHTTP:{\"User-Agent\":\"UA\",\"Referer\":\"http://r\"}\nhttp://h/1",
        "#EXTINF:-1,A\n#KODIPROP:inputstream.adaptive.stream_headers=User-Agent=UA&Referer=http://r\nhttp://h/1",
    ] {
        let entry = read(odd).remove(0);
        let headers = (
            entry.headers.user_agent.as_deref(),
            entry.headers.referer.as_deref(),
        );
        assert_eq!(
            (entry.url.as_str(), headers),
            ("http://h/1", (Some("UA"), Some("http://r"))),
            "{odd}"
        );
    }
    // M13: numbers with a point, none, and what is none.
    for (odd, expected) in [
        ("tvg-chno=\"5.1\"", Some("5.1")),
        ("channel-number=7", Some("7")),
        ("ch-number='x9'", Some("x9")),
        ("tvg-chno=\"\"", None),
    ] {
        let entry = read(&format!("#EXTINF:-1 {odd},A\nhttp://h/1")).remove(0);
        assert_eq!(entry.attributes.tvg_chno.as_deref(), expected, "{odd}");
    }
    // M14: the dialects of catch-up.
    for (odd, mode, days) in [
        ("catchup=\"default\" catchup-days=\"7\"", Some("default"), Some(7)),
        (
            "catchup-type=\"flussonic\" tvg-rec=\"3\"",
            Some("flussonic"),
            Some(3),
        ),
        ("timeshift=\"2\"", None, Some(2)),
        ("catchup=xc catchup-days='many'", Some("xc"), None),
    ] {
        let catchup = read(&format!("#EXTINF:-1 {odd},A\nhttp://h/1"))
            .remove(0)
            .attributes
            .catchup;
        assert_eq!((catchup.mode.as_deref(), catchup.days), (mode, days), "{odd}");
    }
}

#[test]
fn the_head_of_a_list() {
    // M17: both keys, several addresses.
    let list = b"#EXTM3U url-tvg=\"http://g/1.xml,http://g/2.xml\" x-tvg-url=\"http://g/2.xml\"\n#EXTINF:-1,A\nhttp://h/1\n";
    assert_eq!(
        Reader::read(list).1.header.guide_urls,
        ["http://g/1.xml", "http://g/2.xml"]
    );
    // M15: an error page in place of a list is no list.
    for (body, expected) in [
        ("<!DOCTYPE html><html>", Some(LooksLike::Html)),
        ("{\"user_info\":{\"auth\":0}}", Some(LooksLike::Json)),
        ("curl: (22) The requested URL returned error: 403\n", None),
    ] {
        let (entries, report) = Reader::read(body.as_bytes());
        assert_eq!((entries.len(), report.looks_like), (0, expected), "{body}");
    }
}
