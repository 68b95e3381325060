//! Every fault, as a plain client sees it.

use std::time::{Duration, Instant};

use crate::client::{Client, End, SOON, is_ts, plan, start};
use provider_double::{
    AtAccept, CloseReason, Extent, Fault, HeadStyle, Now, Provider, RangeStyle, RedirectForm, Repeat,
};
use tokio::time::timeout;

/// Longer than what is not coming needs to come.
const WHILE: Duration = Duration::from_millis(150);

fn faulty(fault: Fault) -> Provider {
    let provider = start(plan(0));
    provider.stream(1).fault(fault);
    provider
}

async fn nothing_more(client: &mut Client) -> bool {
    timeout(WHILE, client.body(1)).await.is_err()
}

#[tokio::test]
async fn the_good_case() {
    let provider = start(plan(1));
    let mut client = Client::live(&provider).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Type: video/mp2t\r\n"));
    let (body, end) = client.body(500_000).await;
    assert!(is_ts(&body) && end == End::Open);
    let request = &provider.account("u").requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("GET", "/live/u/p/1.ts")
    );
    assert_eq!(request.header("user-agent"), Some("plain/1"));
}

#[tokio::test]
async fn wrong_logins_and_streams() {
    let provider = start(plan(1));
    for (path, status) in [
        ("/live/u/wrong/1.ts", 403),
        ("/live/x/p/1.ts", 403),
        ("/live/u/p/77.ts", 404),
        ("/what", 404),
    ] {
        assert_eq!(
            Client::get(provider.addr(), path).await.status().await,
            status,
            "{path}"
        );
    }
    assert_eq!(provider.account("").requests().len(), 3);
    assert_eq!(Client::get(provider.addr(), "/u/p/1").await.status().await, 200);
    assert_eq!(
        Client::get(provider.addr(), "/stream/1.ts").await.status().await,
        200
    );
    assert_eq!(provider.account("").peak(), 1);
    let head = Client::send(provider.addr(), "HEAD /live/u/p/2.ts HTTP/1.1\r\n\r\n")
        .await
        .status()
        .await;
    assert!(head == 405 || head == 458);
}

#[tokio::test]
async fn before_the_head() {
    let mut refused = Client::live(&faulty(Fault::Refuse)).await;
    assert_ne!(refused.end().await, End::Open);

    let provider = faulty(Fault::Refuse);
    let mut refused = Client::live(&provider).await;
    assert_eq!(refused.body(1).await, (vec![], End::Rst));
    assert_eq!(provider.account("u").closes()[0].reason, CloseReason::Rst);

    let provider = faulty(Fault::HangBeforeHead);
    assert!(nothing_more(&mut Client::live(&provider).await).await);

    let provider = faulty(Fault::SlowHead(WHILE));
    let asked = Instant::now();
    assert_eq!(Client::live(&provider).await.status().await, 200);
    assert!(asked.elapsed() >= WHILE);

    let provider = start(plan(0));
    provider.at_accept(AtAccept::Reset);
    let mut client = Client::live(&provider).await;
    assert_eq!(client.body(1).await, (vec![], End::Rst));
    provider.at_accept(AtAccept::Ignore);
    assert!(nothing_more(&mut Client::live(&provider).await).await);
    provider.at_accept(AtAccept::Serve);
    assert_eq!(Client::live(&provider).await.status().await, 200);
}

#[tokio::test]
async fn other_answers() {
    let status = Fault::Status {
        code: 509,
        body: "full".to_owned(),
        retry_after: Some(7),
    };
    for (fault, in_head, in_body) in [
        (status, "HTTP/1.1 509 ", "full"),
        (Fault::Html, "HTTP/1.1 200 OK", "<html>"),
        (Fault::Json, "application/json", "\"auth\":0"),
    ] {
        let provider = faulty(fault.clone());
        let mut client = Client::live(&provider).await;
        let head = client.head().await;
        let (body, end) = client.body(usize::MAX).await;
        assert!(head.contains(in_head), "{fault:?}: {head}");
        assert!(String::from_utf8(body).unwrap().contains(in_body), "{fault:?}");
        assert_eq!(end, End::Fin, "{fault:?}");
        assert_eq!(head.contains("Retry-After: 7\r\n"), in_body == "full");
    }
}

#[tokio::test]
async fn redirects_lead_on_by_tokens_of_one_use() {
    for form in [
        RedirectForm::Absolute,
        RedirectForm::Relative,
        RedirectForm::OtherHost,
    ] {
        let provider = faulty(Fault::Redirect { hops: 3, form });
        let mut to = (provider.addr(), "/live/u/p/1.ts".to_owned());
        for _ in 0..3 {
            let mut client = Client::get(to.0, &to.1).await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 302 "), "{form:?}: {head}");
            let location = head
                .split("Location: ")
                .nth(1)
                .unwrap()
                .split("\r\n")
                .next()
                .unwrap();
            to = match location
                .strip_prefix("http://")
                .map(|l| l.split_at(l.find('/').unwrap()))
            {
                Some((host, path)) => (host.parse().unwrap(), path.to_owned()),
                None => (to.0, location.to_owned()),
            };
        }
        let host = if form == RedirectForm::OtherHost {
            provider.edge_addr()
        } else {
            provider.addr()
        };
        assert_eq!(to.0, host, "{form:?}");
        let mut client = Client::get(to.0, &to.1).await;
        assert_eq!(client.status().await, 200, "{form:?}");
        assert!(is_ts(&client.body(20_000).await.0));
        assert_eq!(
            Client::get(to.0, &to.1).await.status().await,
            403,
            "{form:?}: the token is spent"
        );
        let account = provider.account("u");
        assert_eq!(account.requests().len(), 4);
        // Each hop was closed before the next: the kernel knew it even where no task had read it yet.
        assert_eq!(account.peak(), 1, "{form:?}");
    }
}

#[tokio::test]
async fn forms_of_the_head() {
    for (style, begins, contains) in [
        (
            HeadStyle::Chunked,
            "HTTP/1.1 200 OK\r\n",
            "Transfer-Encoding: chunked\r\n",
        ),
        (
            HeadStyle::FakeLength,
            "HTTP/1.1 200 OK\r\n",
            "Content-Length: 2147483647\r\n",
        ),
        (HeadStyle::Http10, "HTTP/1.0 200 OK\r\n", "video/mp2t"),
        (HeadStyle::Icy, "ICY 200 OK\r\n", "video/mp2t"),
        (HeadStyle::LfOnly, "HTTP/1.1 200 OK\n", "video/mp2t\n"),
        (HeadStyle::WrongType, "HTTP/1.1 200 OK\r\n", "text/html"),
        (HeadStyle::NoType, "HTTP/1.1 200 OK\r\n", "Server"),
    ] {
        let provider = faulty(Fault::Head(style));
        provider.stream(1).fault(Fault::Eof(Extent::Bytes(18_800)));
        let mut client = Client::live(&provider).await;
        let head = client.head().await;
        assert!(
            head.starts_with(begins) && head.contains(contains),
            "{style:?}: {head}"
        );
        assert_eq!(head.contains("Content-Type"), style != HeadStyle::NoType);
        let body = match style {
            HeadStyle::Chunked => client.chunks().await.0,
            _ => client.body(usize::MAX).await.0,
        };
        assert!(is_ts(&body) && body.len() == 18_800, "{style:?}: {}", body.len());
    }
}

#[tokio::test]
async fn ends_at_exactly_that_byte() {
    for bytes in [0, 1, 187, 50_001] {
        for (fault, expected, reason) in [
            (Fault::Eof(Extent::Bytes(bytes)), End::Fin, Some(CloseReason::Eof)),
            (Fault::Rst(Extent::Bytes(bytes)), End::Rst, Some(CloseReason::Rst)),
            (Fault::Stall(Extent::Bytes(bytes)), End::Open, None),
        ] {
            let provider = faulty(fault.clone());
            let mut client = Client::live(&provider).await;
            let enough = usize::try_from(bytes).unwrap();
            if expected == End::Rst {
                // What is still on its way when an RST comes is lost, head included: that is what an RST is.
                let (body, end) = client.body(usize::MAX).await;
                assert!(end == End::Rst && body.len() <= enough + 400, "{fault:?}");
            } else {
                client.head().await;
                assert_eq!(client.body(enough).await.0.len(), enough, "{fault:?}");
            }
            if expected == End::Open {
                assert!(nothing_more(&mut client).await, "{fault:?}");
                continue;
            }
            assert_eq!(
                reason,
                Some(provider.account("u").closes()[0].reason),
                "{fault:?}"
            );
            assert_eq!(provider.account("u").closes()[0].bytes, bytes, "{fault:?}");
            if expected == End::Fin {
                assert_eq!(client.end().await, End::Fin, "{fault:?}");
            }
        }
    }
}

#[tokio::test]
async fn ends_after_that_time() {
    for (fault, expected) in [
        (Fault::Eof(Extent::After(WHILE)), End::Fin),
        (Fault::Rst(Extent::After(WHILE)), End::Rst),
    ] {
        let provider = faulty(fault.clone());
        let asked = Instant::now();
        let mut client = Client::live(&provider).await;
        let (body, end) = client.body(usize::MAX).await;
        assert!(asked.elapsed() >= WHILE && body.len() > 1000, "{fault:?}");
        assert_eq!(end, expected, "{fault:?}");
    }
    let provider = faulty(Fault::Stall(Extent::After(WHILE)));
    let mut client = Client::live(&provider).await;
    while timeout(WHILE, client.body(1)).await.is_ok() {}
    assert_eq!(provider.account("u").open_now(), 1);
}

#[tokio::test]
async fn no_body() {
    let provider = faulty(Fault::Silence);
    let mut client = Client::live(&provider).await;
    assert_eq!(client.status().await, 200);
    assert!(nothing_more(&mut client).await);
    let provider = faulty(Fault::EmptyBody);
    let mut client = Client::live(&provider).await;
    assert_eq!(client.status().await, 200);
    assert_eq!(client.body(1).await, (vec![], End::Fin));
}

#[tokio::test]
async fn other_bytes() {
    let provider = faulty(Fault::Garbage);
    let mut client = Client::live(&provider).await;
    client.head().await;
    let body = client.body(20_000).await.0;
    assert!(body.chunks(188).filter(|p| p[0] == 0x47).count() < 10);
    let provider = faulty(Fault::Mp4);
    let mut client = Client::live(&provider).await;
    client.head().await;
    assert_eq!(&client.body(20_000).await.0[4..8], b"ftyp");
}

#[tokio::test]
async fn packets_that_never_stand_where_they_should() {
    let provider = faulty(Fault::SyncLoss);
    let mut client = Client::live(&provider).await;
    client.head().await;
    let body = client.body(100_000).await.0;
    // Three in a row are what a reader goes by.
    let is_aligned = |at: &usize| (0..3).all(|n| body.get(at + n * 188) == Some(&0x47));
    let aligned = (0..body.len() - 3 * 188).filter(is_aligned).count();
    assert!(aligned < 20, "{aligned} places");
    // All packets are there, nevertheless: 0x47 and the PID of the clip's video.
    let packets = body
        .windows(3)
        .filter(|w| w[0] == 0x47 && w[1] & 0x1f == 1 && w[2] == 0);
    assert!(packets.count() > 200);
}

#[tokio::test]
async fn a_black_clip_in_place_of_the_stream() {
    let provider = faulty(Fault::BlackClip(Repeat::Once));
    let mut client = Client::live(&provider).await;
    client.head().await;
    let (once, end) = client.body(10_000_000).await;
    assert!(is_ts(&once) && once.len() < 100_000, "{} bytes", once.len());
    assert_eq!(end, End::Fin);
    let provider = faulty(Fault::BlackClip(Repeat::Endless));
    let mut client = Client::live(&provider).await;
    client.head().await;
    let endless = client.body(once.len() + 188).await.0;
    assert_eq!(endless[once.len()..][..188], once[..188], "it begins again");
}

/// Bytes that came in the time between, less what came at once.
async fn rate(client: &mut Client, during: Duration) -> usize {
    let mut bytes = 0;
    let until = Instant::now() + during;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        bytes += timeout(left, client.body(1))
            .await
            .map_or(0, |(body, _)| body.len());
    }
    bytes
}

#[tokio::test]
async fn paces() {
    // The clip has about 22 kB per second of media, so 2.2 MB/s at a hundred times the speed.
    let during = Duration::from_millis(500);
    let mut rates = Vec::new();
    for fault in [Fault::Trickle(0.1), Fault::Trickle(1.0), Fault::WireSpeed] {
        let provider = faulty(fault);
        let mut client = Client::live(&provider).await;
        client.head().await;
        rates.push(rate(&mut client, during).await);
    }
    assert!((10_000..=200_000).contains(&rates[0]), "{rates:?}");
    assert!((250_000..=1_500_000).contains(&rates[1]), "{rates:?}");
    assert!(rates[2] > 3 * rates[1], "{rates:?}");

    let provider = faulty(Fault::Bursts(Duration::from_secs(60)));
    let mut client = Client::live(&provider).await;
    client.head().await;
    // Sixty seconds at a hundred times the speed, all at once: 130 MB are on their way.
    assert!(rate(&mut client, during).await > 3 * rates[1]);
}

#[tokio::test]
async fn orders_strike_open_connections() {
    let provider = start(plan(0));
    let mut client = Client::live(&provider).await;
    client.head().await;
    client.body(10_000).await;
    provider.stream(1).now(Now::Stall);
    while timeout(WHILE, client.body(1)).await.is_ok() {}
    provider.stream(1).now(Now::Resume);
    assert!(is_ts(&client.body(100_000).await.0));
    provider.account("u").now(Now::Garbage);
    let (body, _) = client.body(500_000).await;
    assert!(!is_ts(&body[400_000..]));
    provider.stream(1).now(Now::Trickle(0.0));
    while timeout(WHILE, client.body(1)).await.is_ok() {}
    provider.stream(2).now(Now::Rst);
    assert!(nothing_more(&mut client).await);
    provider.stream(1).now(Now::Rst);
    assert_eq!(client.end().await, End::Rst);

    let mut client = Client::live(&provider).await;
    client.head().await;
    provider.account("u").now(Now::Eof);
    assert_eq!(client.end().await, End::Fin);
    let reasons: Vec<_> = provider.account("u").closes().iter().map(|c| c.reason).collect();
    assert_eq!(reasons, [CloseReason::Rst, CloseReason::Eof]);
}

/// How often the continuity counter of a PID does not go on.
fn lost(body: &[u8]) -> usize {
    let mut last = std::collections::HashMap::new();
    let packets = body.as_chunks::<188>().0.iter().filter(|p| p[3] & 0x10 != 0);
    packets
        .filter(|p| {
            let before = last.insert((p[1] & 0x1f, p[2]), p[3] & 0x0f);
            before.is_some_and(|before| (before + 1) & 0x0f != p[3] & 0x0f)
        })
        .count()
}

/// PCR bases, 90 kHz.
fn clocks(body: &[u8]) -> Vec<i64> {
    let packets = body.as_chunks::<188>().0.iter();
    let with_pcr = packets.filter(|p| p[3] & 0x20 != 0 && p[4] > 0 && p[5] & 0x10 != 0);
    with_pcr
        .map(|p| i64::from(u32::from_be_bytes([p[6], p[7], p[8], p[9]])) << 1)
        .collect()
}

#[tokio::test]
async fn clocks_jump_and_packets_are_lost() {
    let provider = start(plan(0));
    let mut client = Client::live(&provider).await;
    client.head().await;
    let (body, _) = client.body(100_000).await;
    assert!(
        lost(&body) == 0
            && clocks(&body)
                .windows(2)
                .all(|w| (0..9000).contains(&(w[1] - w[0])))
    );
    // Half a second of it: the order strikes soon after the first bytes.
    let mut client = Client::live(&provider).await;
    client.head().await;
    let mut body = client.body(10_000).await.0;
    provider.stream(1).now(Now::Jump(900_000));
    body.extend(client.body(1_000_000).await.0);
    assert_eq!(lost(&body), 0);
    assert_eq!(
        clocks(&body)
            .windows(2)
            .filter(|w| (w[1] - w[0] - 900_000).abs() < 18_000)
            .count(),
        1
    );
    let mut client = Client::live(&provider).await;
    client.head().await;
    let mut body = client.body(10_000).await.0;
    provider.stream(1).now(Now::Lose(7));
    body.extend(client.body(1_000_000).await.0);
    assert!(lost(&body) > 0);
}

#[tokio::test]
async fn a_fault_strikes_as_often_as_it_was_told() {
    let provider = start(plan(0));
    provider.stream(1).fault_times(Fault::Html, 2);
    provider.account("u").fault_times(Fault::HlsFrozen, 1);
    let mut html = Vec::new();
    for _ in 0..3 {
        html.push(Client::live(&provider).await.head().await.contains("text/html"));
    }
    assert_eq!(html, [true, true, false]);
    provider.account("u").fault(Fault::Html);
    assert!(Client::live(&provider).await.head().await.contains("text/html"));
    provider.account("u").clear();
    assert!(!Client::live(&provider).await.head().await.contains("text/html"));
}

#[tokio::test]
async fn files_in_ranges() {
    let provider = start(plan(0));
    let get = async |fields: &str| {
        let request = format!("GET /movie/u/p/9.mp4 HTTP/1.1\r\n{fields}\r\n");
        let mut client = Client::send(provider.addr(), &request).await;
        let head = client.head().await;
        (head, client.body(usize::MAX).await.0)
    };
    let (head, whole) = get("").await;
    assert!(head.contains("Content-Length: 100000\r\n") && head.contains("Accept-Ranges: bytes\r\n"));
    let etag = head.split("ETag: ").nth(1).unwrap().split("\r\n").next().unwrap();
    assert_eq!(whole.len(), 100_000);
    let (head, part) = get("Range: bytes=40000-40099\r\n").await;
    assert!(
        head.starts_with("HTTP/1.1 206 ") && head.contains("Content-Range: bytes 40000-40099/100000\r\n")
    );
    assert_eq!(part, whole[40_000..40_100]);
    assert_eq!(get("Range: bytes=-10\r\n").await.1, whole[99_990..]);
    assert!(
        get("Range: bytes=100000-\r\n")
            .await
            .0
            .starts_with("HTTP/1.1 416 ")
    );
    let fresh = format!("Range: bytes=0-0\r\nIf-Range: {etag}\r\n");
    assert_eq!(get(&fresh).await.1.len(), 1);
    assert_eq!(
        get("Range: bytes=0-0\r\nIf-Range: \"other\"\r\n").await.1.len(),
        100_000
    );
    let mut client = Client::send(provider.addr(), "HEAD /movie/u/p/9.mp4 HTTP/1.1\r\n\r\n").await;
    assert!(client.head().await.contains("Content-Length: 100000\r\n"));
    assert_eq!(client.body(1).await, (vec![], End::Fin));
    drop(client);
    provider.stream(9).fault(Fault::Eof(Extent::Bytes(777)));
    assert_eq!(get("").await.1, whole[..777]);
    provider
        .account("u")
        .wait_until(|log| log.open_now == 0, SOON)
        .await
        .unwrap();
}

#[tokio::test]
async fn files_whose_ranges_are_odd() {
    let provider = start(plan(0));
    let range = "Range: bytes=40000-40099\r\n";
    let fresh = format!("{range}If-Range: \"other\"\r\n");
    for (style, fields, begins, place, count) in [
        (
            RangeStyle::NoTotal,
            range,
            "206",
            Some("bytes 40000-40099/*"),
            100,
        ),
        (RangeStyle::NoPlace, range, "206", None, 100),
        (
            RangeStyle::Unasked,
            "",
            "206",
            Some("bytes 0-99999/100000"),
            100_000,
        ),
        (RangeStyle::Ignored, range, "200", None, 100_000),
        (RangeStyle::Refused, range, "416", None, 0),
        (RangeStyle::Refused, "", "200", None, 100_000),
        (
            RangeStyle::Unconditional,
            &fresh,
            "206",
            Some("bytes 40000-40099/100000"),
            100,
        ),
    ] {
        provider.stream(9).fault(Fault::Ranges(style));
        let request = format!("GET /movie/u/p/9.mp4 HTTP/1.1\r\n{fields}\r\n");
        let mut client = Client::send(provider.addr(), &request).await;
        let head = client.head().await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {begins} ")),
            "{style:?}: {head}"
        );
        let said = head.split("Content-Range: ").nth(1);
        let said = said.and_then(|rest| rest.split("\r\n").next());
        assert_eq!(said, place, "{style:?}");
        assert_eq!(client.body(usize::MAX).await.0.len(), count, "{style:?}");
    }
    provider.stream(9).clear();
    provider.stream(9).fault(Fault::Head(HeadStyle::Chunked));
    let request = "GET /movie/u/p/9.mp4 HTTP/1.1\r\n\r\n";
    let mut client = Client::send(provider.addr(), request).await;
    let head = client.head().await;
    assert!(
        head.contains("chunked") && !head.contains("Content-Length"),
        "{head}"
    );
    assert_eq!(client.chunks().await.0.len(), 100_000);
}

#[tokio::test]
async fn control_over_http() {
    let provider = start(plan(0));
    let post = async |body: &str| {
        let request = format!(
            "POST /_control HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Client::send(provider.addr(), &request).await.status().await
    };
    assert_eq!(
        post(r#"{"stream":"1","fault":{"eof":{"bytes":5}},"times":1}"#).await,
        200
    );
    let mut client = Client::live(&provider).await;
    client.head().await;
    assert_eq!(client.body(usize::MAX).await.0.len(), 5);
    assert_eq!(
        post(r#"[{"account":"u","list_fault":{"body":"null"},"list":"live"}]"#).await,
        200
    );
    assert_eq!(post(r#"{"account":"u","list_fault":"hang"}"#).await, 200);
    assert_eq!(post(r#"{"account":"u","clear":true}"#).await, 200);
    assert_eq!(post(r#"{"fault":"html"}"#).await, 400);
    assert_eq!(post(r#"{"stream":"1","fault":"nonsense"}"#).await, 400);
    let mut open = Client::live(&provider).await;
    open.head().await;
    assert_eq!(post(r#"{"stream":"1","now":"rst"}"#).await, 200);
    assert_eq!(open.end().await, End::Rst);
    let mut log = Client::get(provider.addr(), "/_control").await;
    let head = log.head().await;
    let length: usize = head
        .split("Content-Length: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&log.body(length).await.0).unwrap();
    assert_eq!(json["u"]["closes"][0]["reason"], "eof");
    assert_eq!(json["u"]["peak"], 1);
}
