use super::*;
use crate::account::account;

const LIVE: &str = r#"[{"num":1,"name":"One","stream_type":"live","stream_id":11,"stream_icon":"http://i/1",
"epg_channel_id":"one.uk","added":"1600000000","is_adult":"0","category_id":"5","category_ids":[5,6],
"custom_sid":"","tv_archive":1,"direct_source":"","tv_archive_duration":7,"thumbnail":""},
{"num":2,"name":"Two \"2\" [x] {y}","stream_type":"live","stream_id":12,"stream_icon":"",
"epg_channel_id":null,"added":"1600000000","is_adult":"0","category_id":"5","category_ids":[5],
"custom_sid":"","tv_archive":0,"direct_source":"","tv_archive_duration":0,"thumbnail":""}]"#;

fn live(json: &[u8]) -> (Vec<LiveStream>, Result<Summary, ListError>) {
    let mut streams = Vec::new();
    let result = live_streams(json, |stream| streams.push(stream));
    (streams, result)
}

/// The ids of the streams and the number of bad records.
fn check(json: &str, ids: &[&str], bad: u64) {
    let (streams, result) = live(json.as_bytes());
    let summary = result.unwrap_or_else(|error| panic!("{json}: {error}"));
    assert_eq!(
        streams
            .iter()
            .map(|stream| stream.stream_id.as_str())
            .collect::<Vec<_>>(),
        ids,
        "{json}"
    );
    assert_eq!((summary.records, summary.bad), (ids.len() as u64, bad), "{json}");
}

#[test]
fn the_usual_list() {
    let (streams, result) = live(LIVE.as_bytes());
    assert_eq!(result.unwrap().bad, 0);
    let one = LiveStream {
        num: Some(1),
        name: "One".to_owned(),
        stream_id: "11".to_owned(),
        icon: Some("http://i/1".to_owned()),
        epg_channel_id: Some("one.uk".to_owned()),
        category_ids: vec!["5".to_owned(), "6".to_owned()],
        added: Some(1_600_000_000),
        tv_archive: true,
        tv_archive_days: Some(7),
        direct_source: None,
        is_adult: false,
    };
    assert_eq!(streams[0], one);
    assert_eq!(
        (streams[1].name.as_str(), &streams[1].icon),
        ("Two \"2\" [x] {y}", &None)
    );
}

#[test]
fn shapes_of_lists() {
    check("[]", &[], 0);
    check(r#"{"0":{"stream_id":1},"7":{"stream_id":"2"}}"#, &["1", "2"], 0);
    check(
        " \u{feff}[ {\"stream_id\":1} , , {\"stream_id\":2}, ] trailing",
        &["1", "2"],
        0,
    );
    check("<b>Warning</b>: x[0]\n[{\"stream_id\":1}]<br />", &["1"], 0);
    check(
        r#"[{"stream_id":1},null,5,"x",[],{"stream_id":2}]"#,
        &["1", "2"],
        4,
    );
    check(
        r#"[{"stream_id":1},{"stream_id":null},{},{"stream_id":2}]"#,
        &["1", "2"],
        2,
    );
    check(
        r#"[{"stream_id":1,"x":1e999,"y":[[[{}]]]},{"stream_id":2,oops},{"stream_id":3}]"#,
        &["1", "3"],
        1,
    );
    check(r#"[{"stream_id":1,"name":"\ud83d"}]"#, &["1"], 0);
}

#[test]
fn what_is_no_list_is_named() {
    for (body, expected) in [
        ("", "an empty body"),
        ("null", "null"),
        ("false", "false"),
        ("{}", "an empty object"),
        ("<!DOCTYPE html><html>", "an HTML page"),
        (r#"{"user_info":{"auth":0}}"#, "a refused login"),
        (
            r#"{"user_info":{"auth":1,"status":"Active"},"server_info":[]}"#,
            "the login answer",
        ),
        (r#"{"error":"no"}"#, "an object with the key \"error\""),
        (r#"{"error":"no"#, "an object with the key \"error\""),
    ] {
        match live(body.as_bytes()).1 {
            Err(ListError {
                kind: ListErrorKind::NotAList(found),
                summary,
            }) => {
                assert_eq!(
                    (found.to_string().as_str(), summary),
                    (expected, Summary::default()),
                    "{body}"
                );
            }
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn a_list_cut_anywhere_is_an_error_that_counts_what_came() {
    let second = LIVE.find(",\n{\"num\":2").unwrap();
    for end in 1..LIVE.len() {
        let (streams, result) = live(&LIVE.as_bytes()[..end]);
        let error = result.unwrap_err();
        assert!(matches!(error.kind, ListErrorKind::Truncated), "{end}: {error}");
        let whole = u64::from(end >= second) + u64::from(end == LIVE.len() - 1);
        assert_eq!(
            (error.summary.records, streams.len() as u64),
            (whole, whole),
            "{end}"
        );
    }
}

#[test]
fn a_broken_connection_loses_nothing_that_came_before() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    let mut count = 0;
    let body = LIVE.as_bytes()[..LIVE.len() - 1].chain(Broken);
    let error = live_streams(body, |_| count += 1).unwrap_err();
    assert!(matches!(error.kind, ListErrorKind::Io(_)), "{error}");
    assert_eq!((count, error.summary.records), (2, 2));
}

/// Longer than any memory: the reader must not keep it.
#[test]
fn memory_does_not_grow_with_the_list() {
    struct Endless(u64, Vec<u8>);
    impl Read for Endless {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            if self.1.is_empty() {
                self.0 += 1;
                self.1 = format!(
                    "{}{{\"stream_id\":{}}}",
                    if self.0 == 1 { '[' } else { ',' },
                    self.0
                )
                .into_bytes();
            }
            let length = to.len().min(self.1.len());
            to[..length].copy_from_slice(&self.1[..length]);
            self.1.drain(..length);
            Ok(length)
        }
    }
    let mut records = Records::begin(Endless(0, Vec::new()).take(3_000_000)).unwrap();
    let mut count = 0;
    while let Ok(Some(_)) = records.next() {
        count += 1;
    }
    assert!(count > 100_000);
    assert!(records.record.capacity() < 1024);
    let long = format!(
        "[{{\"stream_id\":1}},{{\"name\":\"{}\"}}]",
        "x".repeat(RECORD_BYTES_MAX)
    );
    let error = live(long.as_bytes()).1.unwrap_err();
    assert!(
        matches!(error.kind, ListErrorKind::Broken(_)) && error.summary.records == 1,
        "{error}"
    );
}

/// Every field of a catalogue through every JSON type: never an error, never fewer records unless the id is lost.
#[test]
fn any_field_may_have_any_type() {
    const VALUES: [&str; 14] = [
        "1",
        "-7",
        "1.5",
        "12.0",
        "\"1\"",
        "\"x\"",
        "\"\"",
        "null",
        "true",
        "false",
        "[]",
        "{}",
        "[1,[2],{\"a\":3}]",
        "{\"0\":\"1\"}",
    ];
    let fields: Vec<(&str, &str)> = vec![
        ("num", "1"),
        ("name", "\"One\""),
        ("stream_id", "11"),
        ("series_id", "11"),
        ("category_id", "\"5\""),
        ("category_name", "\"News\""),
        ("category_ids", "[5,6]"),
        ("stream_icon", "\"http://i\""),
        ("cover", "\"http://i\""),
        ("epg_channel_id", "\"one.uk\""),
        ("added", "\"1600000000\""),
        ("last_modified", "\"1600000000\""),
        ("is_adult", "\"0\""),
        ("tv_archive", "1"),
        ("tv_archive_duration", "7"),
        ("direct_source", "\"\""),
        ("container_extension", "\"mkv\""),
        ("rating", "\"7.5\""),
        ("plot", "\"p\""),
        ("releaseDate", "\"2020-01-01\""),
        ("release_date", "\"2020-01-01\""),
        ("unknown", "{}"),
    ];
    for (changed, _) in &fields {
        for value in VALUES.iter().map(Some).chain([None]) {
            let list = catalogue(&fields, changed, value.copied());
            let lost = |id: &str| u64::from(*changed == id && !has_id(value.copied()));
            let read = |result: Result<Summary, ListError>| {
                result.unwrap_or_else(|e| panic!("{changed} {value:?} {e}"))
            };
            for (id, summary) in [
                ("stream_id", read(live_streams(list.as_bytes(), drop))),
                ("stream_id", read(vod_streams(list.as_bytes(), drop))),
                ("series_id", read(series(list.as_bytes(), drop))),
                ("category_id", read(categories(list.as_bytes(), drop))),
            ] {
                assert_eq!(
                    (summary.records, summary.bad),
                    (3 - lost(id), lost(id)),
                    "{changed} {value:?}"
                );
            }
        }
    }
}

fn has_id(value: Option<&str>) -> bool {
    !matches!(
        value,
        None | Some("\"\"" | "null" | "true" | "false" | "[]" | "{}" | "[1,[2],{\"a\":3}]" | "{\"0\":\"1\"}")
    )
}

/// Three records; in the middle one, `changed` has `value` or is absent.
fn catalogue(fields: &[(&str, &str)], changed: &str, value: Option<&str>) -> String {
    let record = |changed: Option<&str>| {
        let fields = fields.iter().filter_map(|(name, usual)| {
            let value = if changed == Some(*name) { value? } else { usual };
            Some(format!("\"{name}\":{value}"))
        });
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    };
    format!("[{},{},{}]", record(None), record(Some(changed)), record(None))
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
fn mangled_bodies_keep_the_invariants() {
    let mut noise = Noise(0xD1B5_4A32_D192_ED03);
    let keyed = LIVE
        .replacen("[{", "{\"0\":{", 1)
        .replacen(",\n{\"num\":2", ",\"1\":{\"num\":2", 1)
        .replace("}]", "}}");
    assert_eq!(live(keyed.as_bytes()).0.len(), 2);
    for round in 0..20_000 {
        let mut body = if round % 2 == 0 { LIVE } else { keyed.as_str() }
            .as_bytes()
            .to_vec();
        for _ in 0..=noise.below(6) {
            if body.is_empty() {
                break;
            }
            let at = noise.below(body.len());
            match noise.below(3) {
                0 => body[at] = b"\"\\{}[],:\0\xff u1"[noise.below(13)],
                1 => drop(body.remove(at)),
                _ => body.truncate(at + 1),
            }
        }
        let (streams, result) = live(&body);
        let summary = result.unwrap_or_else(|error| error.summary);
        assert_eq!(summary.records, streams.len() as u64);
        assert!(summary.samples.len() <= BAD_SAMPLES_MAX && summary.samples.len() as u64 <= summary.bad);
        assert!(streams.iter().all(|stream| !stream.stream_id.is_empty()));
        assert!(!matches!(account(body.as_slice()), Err(Error::Io(_))));
        drop(crate::series_info(body.as_slice()));
    }
}
