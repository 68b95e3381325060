//! Parts of files: whatever a provider makes of ranges, a viewer gets what direct access to a good one gives.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use provider_double::{Account, Extent, Fault, HeadStyle, Movie, Plan, Provider, RangeStyle, RedirectForm};
use support::origin::{Origin, Page};
use support::process::QUICK;
use support::{Answer, Launch, Mainstem, SOON, eventually, get_json, request};

const BYTES: u64 = 700_000;

/// Where a connection dies that does. More than it must bring to count as one that works.
const DIES_AT: u64 = 300_000;

/// The day the double's files were made.
const MADE: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

/// What a provider does, film by film.
fn ways() -> Vec<(&'static str, Vec<Fault>)> {
    let ranges = |style| vec![Fault::Ranges(style)];
    let chunked = || Fault::Head(HeadStyle::Chunked);
    let tokens = |form| Fault::Redirect { hops: 2, form };
    vec![
        ("good", vec![]),
        ("no total", ranges(RangeStyle::NoTotal)),
        ("no place", ranges(RangeStyle::NoPlace)),
        ("unasked", ranges(RangeStyle::Unasked)),
        ("ignored", ranges(RangeStyle::Ignored)),
        ("refused", ranges(RangeStyle::Refused)),
        ("unconditional", ranges(RangeStyle::Unconditional)),
        ("chunked", vec![chunked()]),
        (
            "chunked, no total",
            vec![chunked(), Fault::Ranges(RangeStyle::NoTotal)],
        ),
        ("tokens", vec![tokens(RedirectForm::Absolute)]),
        ("tokens elsewhere", vec![tokens(RedirectForm::OtherHost)]),
        ("eof", vec![Fault::Eof(Extent::Bytes(DIES_AT))]),
        ("rst", vec![Fault::Rst(Extent::Bytes(DIES_AT))]),
        ("chunked eof", vec![chunked(), Fault::Eof(Extent::Bytes(DIES_AT))]),
        (
            "tokens, rst",
            vec![
                tokens(RedirectForm::OtherHost),
                Fault::Rst(Extent::Bytes(DIES_AT)),
            ],
        ),
        (
            "ignored, eof",
            vec![
                Fault::Ranges(RangeStyle::Ignored),
                Fault::Eof(Extent::Bytes(DIES_AT)),
            ],
        ),
        (
            "no total, rst",
            vec![
                Fault::Ranges(RangeStyle::NoTotal),
                Fault::Rst(Extent::Bytes(DIES_AT)),
            ],
        ),
    ]
}

/// What a viewer asks for; `ETAG` stands for the file's own.
const ASKED: [&[(&str, &str)]; 21] = [
    &[],
    &[("Range", "bytes=0-")],
    &[("Range", "bytes=0-0")],
    &[("Range", "bytes=1000-1999")],
    &[("Range", "bytes=123456-")],
    &[("Range", "bytes=10-600000")],
    &[("Range", "bytes=-500")],
    &[("Range", "bytes=-9999999")],
    &[("Range", "bytes=699999-")],
    &[("Range", "bytes=699000-9999999")],
    &[("Range", "bytes=700000-")],
    &[("Range", "bytes=-0")],
    &[("Range", "bytes=0-9,20-29")],
    &[("Range", "bytes=5-4")],
    &[("Range", "pages=1-2")],
    &[("Range", "bytes=1000-1999"), ("If-Range", "ETAG")],
    &[("Range", "bytes=1000-1999"), ("If-Range", "\"another\"")],
    &[("Range", "bytes=1000-1999"), ("If-Range", "W/ETAG")],
    &[("Range", "bytes=1000-1999"), ("If-Range", MADE)],
    &[
        ("Range", "bytes=1000-1999"),
        ("If-Range", "Wed, 21 Oct 2015 07:28:01 GMT"),
    ],
    &[("If-Range", "\"another\"")],
];

async fn scene() -> (Provider, Mainstem) {
    let names = ways();
    let mut plan = Plan::new().account(Account::new("one", "secret").max_connections(1));
    for (id, (name, _)) in (900..).zip(&names) {
        plan = plan.movie(Movie::new(id, name, BYTES));
    }
    let provider = Provider::start(plan).unwrap();
    let entries: String = (900..)
        .zip(&names)
        .map(|(id, (name, _))| format!("#EXTINF:-1,{}\n{}\n", plain(name), provider.movie_url("one", id)))
        .collect();
    let config = format!(
        "{QUICK}log_level: DEBUG\nsources:\n  - {{name: one, type: m3u, url: one.m3u, max_connections: 1}}\n"
    );
    let mainstem = Launch::new(&config)
        .file("one.m3u", &format!("#EXTM3U\n{entries}"))
        .ready()
        .await;
    (provider, mainstem)
}

/// A name without a comma.
fn plain(name: &str) -> String {
    name.replace(',', " and")
}

async fn ask(url: &str, etag: &str, asked: &[(&str, &str)]) -> Answer {
    let asked: Vec<(&str, String)> = asked
        .iter()
        .map(|(name, value)| (*name, value.replace("ETAG", etag)))
        .collect();
    let asked: Vec<(&str, &str)> = asked.iter().map(|(name, value)| (*name, &**value)).collect();
    request("GET", url, &asked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_is_what_direct_access_gives_whatever_the_provider_does() {
    let (provider, mainstem) = scene().await;
    // The good film, asked for directly, says what is right.
    let good = provider.movie_url("one", 900);
    let account = provider.account("one");
    let mut right = Vec::new();
    for asked in ASKED {
        right.push(ask(&good, "\"900-aae60\"", asked).await);
        account.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    }
    let mut wrong = Vec::new();
    for (id, (name, faults)) in (900..).zip(ways()) {
        let url = mainstem.stream_url(&plain(name)).await;
        let etag = format!("\"{id}-aae60\"");
        for (asked, right) in ASKED.iter().zip(&right) {
            // What dies dies once for each request; everything else is for ever.
            for fault in &faults {
                match fault {
                    Fault::Eof(_) | Fault::Rst(_) => provider.stream(id).fault_times(fault.clone(), 1),
                    fault => provider.stream(id).fault(fault.clone()),
                }
            }
            let answer = ask(&url, &etag, asked).await;
            provider.stream(id).clear();
            let chunked = faults.contains(&Fault::Head(HeadStyle::Chunked));
            let mut differs = compare(&answer, right, chunked);
            if answer.status < 300 && answer.header("etag") != etag {
                differs.push(format!("etag {}", answer.header("etag")));
            }
            if !differs.is_empty() {
                wrong.push(format!("{name}: {asked:?}: {}", differs.join(", ")));
            }
        }
        let head = request("HEAD", &url, &[]).await;
        assert_eq!(
            (
                head.header("content-length"),
                head.header("content-type"),
                head.header("etag")
            ),
            ("700000", "video/mp4", &*etag),
            "{name}: HEAD says what is remembered"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(account.over_limit(), 0);
    assert_eq!(account.peak(), 1, "never two sockets for one viewer");
    account.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
}

/// What of an answer is not as it should be. Nobody knows how long a whole file in chunks is.
fn compare(answer: &Answer, right: &Answer, chunked: bool) -> Vec<String> {
    let mut differs = Vec::new();
    if answer.status != right.status {
        differs.push(format!("{} for {}", answer.status, right.status));
    }
    for name in ["content-type", "content-range", "content-length", "accept-ranges"] {
        let (is, should) = (answer.header(name), right.header(name));
        let unknown = name == "content-length" && is.is_empty() && chunked && answer.status == 200;
        let of_nothing = answer.status == 416 && name != "content-range";
        if is != should && !unknown && !of_nothing {
            differs.push(format!("{name} '{is}' for '{should}'"));
        }
    }
    if answer.body != right.body {
        differs.push(format!("{} bytes for {}", answer.body.len(), right.body.len()));
    }
    differs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_far_into_what_only_comes_whole_is_answered_with_the_whole() {
    const MANY: u64 = 90_000_000;
    let film = Movie::new(900, "Long", MANY).bytes_per_second(50_000_000);
    let plan = Plan::new().account(Account::new("one", "secret")).movie(film);
    let provider = Provider::start(plan).unwrap();
    provider.stream(900).fault(Fault::Ranges(RangeStyle::Ignored));
    let config = format!("{QUICK}log_level: DEBUG\nsources: [{{name: one, type: m3u, url: one.m3u}}]\n");
    let list = format!("#EXTM3U\n#EXTINF:-1,Long\n{}\n", provider.movie_url("one", 900));
    let mainstem = Launch::new(&config).file("one.m3u", &list).ready().await;
    let url = mainstem.stream_url("Long").await;
    let far = support::Viewer::open_as(&url, &[("Range", "bytes=80000000-")]).await;
    assert_eq!(far.status, 200);
    assert_eq!(far.headers["content-length"], "90000000");
    far.until(SOON, "the beginning", |bytes| bytes.len() > 8).await;
    assert_eq!(&far.bytes()[4..8], b"ftyp");
    let account = provider.account("one");
    assert_eq!((account.peak(), account.over_limit()), (1, 0));
    assert_eq!(account.requests().len(), 1, "one request is enough");
}

/// A film at an origin, and behind it, where `second` says so, the same at a good provider.
async fn at_origin(text: &str, second: bool) -> (Origin, Provider, Mainstem, String) {
    let origin = Origin::start().await;
    origin.put("/movie/1.mp4", Page::text(text));
    let plan = Plan::new().account(Account::new("two", "secret"));
    let provider = Provider::start(plan.movie(Movie::new(900, "Film", BYTES))).unwrap();
    let list = |url: &str| format!("#EXTM3U\n#EXTINF:-1,Film\n{url}\n");
    let sources = ["one", "two"].map(|name| format!("  - {{name: {name}, type: m3u, url: {name}.m3u}}\n"));
    let config = format!(
        "{QUICK}log_level: DEBUG\nsources:\n{}",
        sources[..1 + usize::from(second)].concat()
    );
    let mainstem = Launch::new(&config)
        .file("one.m3u", &list(&origin.url("/movie/1.mp4")))
        .file("two.m3u", &list(&provider.movie_url("two", 900)))
        .ready()
        .await;
    let url = mainstem.stream_url("Film").await;
    (origin, provider, mainstem, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_no_film_though_a_part_of_one_was_asked_for() {
    let (origin, _provider, mainstem, url) = at_origin("<!DOCTYPE html><title>Sorry</title>", true).await;
    // The lists come in any order.
    let streams = mainstem.url("/streams");
    eventually("both sources are there", || async {
        let list = get_json(&streams).await;
        (list["streams"][0]["sources"] == 2).then_some(())
    })
    .await;
    for range in ["bytes=0-499", "bytes=0-7"] {
        let answer = request("GET", &url, &[("Range", range)]).await;
        assert_eq!(answer.status, 206, "{}", answer.text());
        assert_eq!(&answer.body[4..8], b"ftyp", "{range}: the other source's film");
    }
    let asked = origin.asked();
    assert!(asked.iter().any(|asked| asked.status == 206), "{asked:?}");
}

/// A browser would else run what a provider sends as a page of ours.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_provider_calls_a_film_it_is_no_page() {
    let text = format!("A film?{}<script>alert()</script>", " ".repeat(2_000));
    let (_origin, _provider, _mainstem, url) = at_origin(&text, false).await;
    for (range, status) in [
        (None, 200),
        (Some("bytes=0-2020"), 206),
        (Some("bytes=2000-2030"), 206),
    ] {
        let headers: Vec<(&str, &str)> = range.map(|range| ("Range", range)).into_iter().collect();
        let answer = request("GET", &url, &headers).await;
        assert_eq!(answer.status, status, "{range:?}");
        assert_eq!(
            answer.header("content-type"),
            "application/octet-stream",
            "{range:?}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{range:?}");
    }
}
