use super::*;

const ONE: &str = "#EXTM3U\n#EXTINF:-1 tvg-id=\"a\",A\nhttp://h/1\n";

/// (channel name, address) of each entry, and how many places are malformed.
fn check(list: &str, expected: &[(&str, &str)], malformed: u64) {
    let (entries, report) = Reader::read(list.as_bytes());
    let found: Vec<_> = entries
        .iter()
        .map(|entry| (entry.channel_name(), entry.url.as_str()))
        .collect();
    assert_eq!(found, expected, "{list}");
    assert_eq!(
        report.malformed.count, malformed,
        "{list}: {:?}",
        report.malformed
    );
    assert_eq!(report.entries, expected.len() as u64, "{list}");
}

fn one(list: &str) -> Entry {
    let (mut entries, report) = Reader::read(list.as_bytes());
    assert_eq!(entries.len(), 1, "{list} {report:?}");
    entries.remove(0)
}

#[test]
fn the_name_is_tvg_name_else_the_text_after_the_comma_else_tvg_id() {
    for (extinf, expected) in [
        ("-1 tvg-name=\"N\",T", "N"),
        ("-1 tvg-name=\" N \",T", " N "),
        ("-1 tvg-name=\" \",T", "T"),
        ("-1 tvg-name=\"\", T, U ", "T, U"),
        ("-1,T", "T"),
        ("-1 tvg-id=\"i\",", "i"),
        ("-1 tvg-id=\"i\", ", "i"),
        ("-1", ""),
        ("-1 TVG-NAME=\"N\",T", "N"),
        ("-1 tvg-name=\"N\" tvg-name=\"M\",T", "N"),
        ("-1,####### UK #######", "####### UK #######"),
        ("-1 tvg-name=\"BBC ᴴᴰ\",✦●✦ UK ✦●✦", "BBC ᴴᴰ"),
    ] {
        let entry = one(&format!("#EXTM3U\n#EXTINF:{extinf}\nhttp://h/1\n"));
        assert_eq!(entry.channel_name(), expected, "{extinf}");
    }
}

#[test]
fn durations() {
    for (extinf, seconds, name) in [
        ("#EXTINF:-1,N", Some(-1.0), "N"),
        ("#EXTINF:0 ,N", Some(0.0), "N"),
        ("#EXTINF:10.5 x=\"y\",N", Some(10.5), "N"),
        ("#EXTINF:,N", None, "N"),
        ("#EXTINF: -1 tvg-id=\"1\",N", Some(-1.0), "N"),
        ("#EXTINF:-1tvg-id=\"1\",N", Some(-1.0), "N"),
        ("#EXTINF:tvg-id=\"1\",N", None, "N"),
        ("#EXTINF:--,N", None, "N"),
        ("#extinf:-1,N", Some(-1.0), "N"),
    ] {
        let entry = one(&format!("{extinf}\nhttp://h/1"));
        assert_eq!((entry.duration, entry.name.as_str()), (seconds, name), "{extinf}");
    }
}

#[test]
fn line_ends_blank_lines_and_marks() {
    let expected = &[("A", "http://h/1")];
    check(&ONE.replace('\n', "\r\n"), expected, 0);
    check(&ONE.replace('\n', "\r"), expected, 0);
    check(&ONE.replace('\n', "\n\n \n"), expected, 0);
    check(&format!("\u{feff}{ONE}"), expected, 0);
    check(
        &format!("\n\n{ONE}\u{feff}#EXTM3U\n#EXTINF:-1,B\nhttp://h/2"),
        &[("A", "http://h/1"), ("B", "http://h/2")],
        0,
    );
    check(ONE.strip_prefix("#EXTM3U\n").unwrap(), expected, 0);
    let (_, report) = Reader::read(ONE.replace('\n', "\r\n").as_bytes());
    assert_eq!(
        (report.lines, report.saw_header, report.looks_like),
        (3, true, None)
    );
}

#[test]
fn encodings() {
    let mut list = b"#EXTM3U\n#EXTINF:-1,T\xe9l\xe9\nhttp://h/1\n".to_vec();
    list.extend("#EXTINF:-1,Télé\nhttp://h/2\n".bytes());
    let (entries, _) = Reader::read(&list);
    assert_eq!([&entries[0].name, &entries[1].name], ["Télé", "Télé"]);
}

#[test]
fn entries_without_addresses_and_addresses_without_entries() {
    check(
        "#EXTM3U\n#EXTINF:-1,A\n#EXTINF:-1,B\nhttp://h/2\n",
        &[("B", "http://h/2")],
        1,
    );
    check(
        "#EXTM3U\n#EXTINF:-1,A\nhttp://h/1\n#EXTINF:-1,B",
        &[("A", "http://h/1")],
        1,
    );
    // Spares of one channel.
    check(
        "#EXTINF:-1,A\nhttp://h/1\nhttp://h/2\n",
        &[("A", "http://h/1"), ("A", "http://h/2")],
        0,
    );
    // A plain list of addresses.
    check(
        "http://h/x/1.ts\nhttp://h/u?password=p\n",
        &[("1.ts", "http://h/x/1.ts"), ("u", "http://h/u?password=p")],
        0,
    );
    // A download script's error in the file.
    check(
        "#EXTINF:-1,A\ncurl: (28) Operation timed out\nhttp://h/1\n",
        &[("A", "http://h/1")],
        1,
    );
    check("Not found\n", &[], 1);
    check("#EXTINF:-1,A\nlive/1.ts\n", &[("A", "live/1.ts")], 0);
    check(
        "#EXTINF:-1,A\n udp://@239.0.0.1:1234 \n",
        &[("A", "udp://@239.0.0.1:1234")],
        0,
    );
    check("#EXTINF:-1,A\nhttp://h/a b\n", &[("A", "http://h/a b")], 0);
}

#[test]
fn malformed_places_are_described_without_their_text() {
    let list = "#EXTM3U\n".to_owned() + &"#EXTINF:-1,secret\n".repeat(50) + "http://h/1";
    let (_, report) = Reader::read(list.as_bytes());
    assert_eq!(
        (report.malformed.count, report.malformed.samples.len()),
        (49, MALFORMED_SAMPLES_MAX)
    );
    assert_eq!(
        report.malformed.samples[0],
        Sample {
            line: 2,
            reason: Reason::MissingUrl
        }
    );
    assert!(!format!("{report:?}").contains("secret"));
}

#[test]
fn groups() {
    for (list, group) in [
        ("#EXTINF:-1 group-title=\"G\",A\n#EXTGRP:H\nhttp://h/1", Some("G")),
        ("#EXTINF:-1,A\n#EXTGRP: H \nhttp://h/1", Some("H")),
        ("#EXTGRP:H\n#EXTINF:-1 group-title=\"\",A\nhttp://h/1", Some("H")),
        ("#EXTINF:-1,A\n#EXTGRP:\nhttp://h/1", None),
    ] {
        assert_eq!(one(list).attributes.group_title.as_deref(), group, "{list}");
    }
    let (entries, _) = Reader::read(b"#EXTINF:-1,A\n#EXTGRP:H\nhttp://h/1\n#EXTINF:-1,B\nhttp://h/2");
    assert_eq!(
        entries[1].attributes.group_title, None,
        "a group belongs to one entry"
    );
    let entry = one("#EXTINF:-1 group-title=\"UK; News;\",A\nhttp://h/1");
    assert_eq!(entry.groups().collect::<Vec<_>>(), ["UK", "News"]);
}

#[test]
fn headers_in_all_notations() {
    let list = "#EXTINF:-1,A\n#EXTVLCOPT:http-user-agent=\"V\"\n#EXTVLCOPT:http-referrer=http://r/\n\
        #EXTVLCOPT:program=5\n#KODIPROP:inputstream.adaptive.stream_headers=X-A=1%202\n#KODIPROP:mimetype=x\n\
        #EXTHTTP:{\"cookie\":\"c\"}\nhttp://h/1|User-Agent=K\nhttp://h/2\n#EXTINF:-1,B\nhttp://h/3\n";
    let (entries, report) = Reader::read(list.as_bytes());
    assert_eq!((entries.len(), report.malformed.count), (3, 0));
    let agents: Vec<_> = entries
        .iter()
        .map(|entry| entry.headers.user_agent.as_deref())
        .collect();
    assert_eq!(
        agents,
        [Some("K"), Some("V"), None],
        "an address's own headers are not its spare's"
    );
    assert_eq!(entries[0].url, "http://h/1");
    assert_eq!(entries[0].headers.referer.as_deref(), Some("http://r/"));
    let others: Vec<_> = entries[0]
        .headers
        .others
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(others, [("X-A", "1 2"), ("cookie", "c")]);
    let properties: Vec<_> = entries[0]
        .properties
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(properties, [("program", "5"), ("mimetype", "x")]);
    assert!(entries[2].headers.is_empty() && entries[2].properties.is_empty());
}

#[test]
fn attributes_have_types() {
    let entry = one(
        "#EXTINF:-1 logo=\"l\" channel-number=\"5.1\" tvg-shift=\"-1.5\" radio=\"TRUE\" catchup-type=\"fs\" \
        tvg-rec=\"3\" timeshift=\"x\" parent-code=\"1\" Foo=\"Bar\",A\nhttp://h/1",
    );
    let attributes = entry.attributes;
    assert_eq!(attributes.tvg_logo.as_deref(), Some("l"));
    assert_eq!(attributes.tvg_chno.as_deref(), Some("5.1"));
    assert_eq!((attributes.tvg_shift, attributes.radio), (Some(-1.5), true));
    assert_eq!(
        (attributes.catchup.mode.as_deref(), attributes.catchup.days),
        (Some("fs"), Some(3))
    );
    let others: Vec<_> = attributes
        .others
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(others, [("timeshift", "x"), ("parent-code", "1"), ("foo", "Bar")]);
}

#[test]
fn headers_of_lists() {
    let list = "#EXTM3U url-tvg=\"http://g/1?a=1,2,http://g/2\" x-tvg-url=http://g/2,http://g/3 refresh=\"60\"\n\
        #EXTM3U catchup=\"xc\" catchup-days=7 tvg-url=\"\"\n#EXTINF:-1,A\nhttp://h/1";
    let header = Reader::read(list.as_bytes()).1.header;
    assert_eq!(
        header.guide_urls,
        ["http://g/1?a=1,2", "http://g/2", "http://g/3"]
    );
    assert_eq!(
        (header.catchup.mode.as_deref(), header.catchup.days),
        (Some("xc"), Some(7))
    );
    assert_eq!(header.others, [("refresh".to_owned(), "60".to_owned())]);
}

#[test]
fn what_is_no_list_is_recognised() {
    use LooksLike::{Hls, Html, Json};
    for (text, expected) in [
        ("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n1.ts\n", Some(Hls)),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n", Some(Hls)),
        ("#EXTM3U\n#EXTINF:6,\n1.ts\n#EXT-X-TARGETDURATION:6\n", Some(Hls)),
        ("<!DOCTYPE html>\n<p>blocked</p>", Some(Html)),
        (" {\"user_info\":{\"auth\":0}}", Some(Json)),
        ("[ {\"a\":1}]", Some(Json)),
        ("[]", Some(Json)),
        ("#EXTM3U\n#EXTINF:-1,[UK] x\nhttp://h/1", None),
        (ONE, None),
        ("", None),
        (
            "<br />\n<b>Warning</b>: foo\n#EXTM3U\n#EXTINF:-1,A\nhttp://h/1",
            None,
        ),
    ] {
        let (entries, report) = Reader::read(text.as_bytes());
        assert_eq!(report.looks_like, expected, "{text}");
        assert!(
            expected.is_none() || entries.is_empty() || expected == Some(Hls),
            "{text}"
        );
    }
    let quoted = format!("{ONE}#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://h/2\n");
    assert_eq!(
        Reader::read(quoted.as_bytes()).1.looks_like,
        None,
        "described channels stay a list"
    );
}

#[test]
fn how_a_list_ends() {
    for (list, expected) in [
        ("", Ending::Clean),
        (ONE, Ending::Clean),
        (ONE.trim_end(), Ending::MidLine),
        ("#EXTM3U\n#EXTINF:-1,A\n", Ending::MidEntry),
        ("#EXTM3U\n#EXTINF:-1 tvg", Ending::MidEntry),
    ] {
        assert_eq!(Reader::read(list.as_bytes()).1.ending, expected, "{list}");
    }
}

#[test]
fn an_overlong_line_costs_one_entry() {
    let long = "x".repeat(LINE_BYTES_MAX);
    let after = "#EXTINF:-1,Z\nhttp://h/z\n";
    for before in [
        format!("{ONE}#EXTINF:-1,{long}\nhttp://h/long\n"),
        format!("{ONE}#EXTINF:-1,B\nhttp://h/{long}\n"),
    ] {
        check(
            &format!("{before}{after}"),
            &[("A", "http://h/1"), ("Z", "http://h/z")],
            1,
        );
    }
    check(
        &format!("{ONE}#{long}\n{after}"),
        &[("A", "http://h/1"), ("Z", "http://h/z")],
        0,
    );
    let exact = format!("http://h/{}", "x".repeat(LINE_BYTES_MAX - 9));
    check(&format!("#EXTINF:-1,A\n{exact}\n"), &[("A", &exact)], 0);
    let mut reader = Reader::new();
    for _ in 0..50 {
        reader.push(long.as_bytes(), &mut |_| ());
    }
    assert!(
        reader.partial.capacity() <= 2 * LINE_BYTES_MAX,
        "memory does not grow with a line"
    );
}

/// Everything a list can hold, for the tests that divide and mangle it.
const CORPUS: &str = "\u{feff}#EXTM3U url-tvg=\"http://g/1,http://g/2\" catchup=\"xc\"\r\n\
    #EXTINF:-1 tvg-id=\"a\" tvg-name=\"BBC \"One\"\" group-title=\"UK, News\",BBC, One\r\n\
    #EXTVLCOPT:http-user-agent=V\r#EXTHTTP:{\"Cookie\":\"a\\\"b\"}\nhttp://h/live/u/p/1.ts|Referer=r%20s&X=y\n\
    http://h/2\n#EXTINF:-1 tvg-name='x' logo=l\n\n#EXTGRP:g\n#KODIPROP:a=b\nrtmp://h/3\n#EXTINF:0 tvg-id=\"open,Cut\n\
    http://h/4\ncurl: (7) no\n#EXTINF:-1,####\n#EXTM3U\n#EXTINF:-1 tvg-shift=\"1\" catchup-days=\"3\",Z\nudp://@1:2\n";

fn in_pieces(list: &[u8], mut size: impl FnMut() -> usize) -> (Vec<Entry>, Report) {
    let (mut entries, mut reader, mut rest) = (Vec::new(), Reader::new(), list);
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(size().min(rest.len()));
        reader.push(piece, &mut |entry| entries.push(entry));
        rest = tail;
    }
    let report = reader.finish(&mut |entry| entries.push(entry));
    (entries, report)
}

#[test]
fn the_division_of_the_bytes_does_not_matter() {
    let whole = Reader::read(CORPUS.as_bytes());
    assert_eq!(whole.0.len(), 5);
    for size in 1..CORPUS.len() {
        assert_eq!(in_pieces(CORPUS.as_bytes(), || size), whole, "pieces of {size}");
    }
}

/// xorshift64*: repeatable noise.
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % bound.max(1)
    }
}

#[test]
fn mangled_lists_keep_the_invariants() {
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    for _ in 0..5_000 {
        let mut list = CORPUS.as_bytes().to_vec();
        for _ in 0..=noise.below(8) {
            let at = noise.below(list.len());
            match noise.below(4) {
                0 => list[at] = u8::try_from(noise.below(256)).unwrap(),
                1 => list[at] = b"\"',=\r\n#|\0\xff {["[noise.below(12)],
                2 => drop(list.remove(at)),
                _ => {
                    let piece = list[at..]
                        .iter()
                        .copied()
                        .take(noise.below(40))
                        .collect::<Vec<_>>();
                    let to = noise.below(list.len());
                    list.splice(to..to, piece);
                }
            }
        }
        let whole = Reader::read(&list);
        let mut sizes = Noise(noise.0);
        assert_eq!(in_pieces(&list, || 1 + sizes.below(30)), whole);
        assert_eq!(whole.1.entries, whole.0.len() as u64);
        for entry in &whole.0 {
            assert!(
                !entry.url.is_empty() && !entry.url.contains(['\r', '\n']),
                "{entry:?}"
            );
            let headers = [&entry.headers.user_agent, &entry.headers.referer];
            assert!(
                headers
                    .iter()
                    .all(|h| h.as_deref().is_none_or(|h| !h.chars().any(char::is_control)))
            );
        }
        written_again(&whole.0);
    }
}

/// Whatever was read can be written, and reads back as the same channels.
fn written_again(entries: &[Entry]) {
    let mut writer = crate::Writer::new(String::new(), &crate::Header::default()).unwrap();
    for entry in entries {
        writer.entry(entry).unwrap();
    }
    let (again, report) = Reader::read(writer.into_inner().as_bytes());
    assert_eq!(
        (again.len(), report.malformed.count),
        (entries.len(), 0),
        "{entries:?}"
    );
}
