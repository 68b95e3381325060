//! Links as clients need them: straight, behind proxies, under a sub-path, and behind a real nginx.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test panics where it fails"
)]

#[path = "support/control.rs"]
mod control;
mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use control::{channels, until_names};
use support::ts::Report;
use support::{Launch, Mainstem, SOON, Viewer, eventually, get, get_json, request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CARD: &str = "sources: [{name: card, type: testcard}]\n";

async fn link(mainstem: &Mainstem, path: &str, headers: &[(&str, &str)]) -> String {
    let answer = request("GET", &mainstem.url(path), headers).await;
    assert_eq!(answer.status, 200, "{path}");
    let (_, address) = channels(&answer.text()).remove(0);
    address
        .rsplit_once("/stream/")
        .expect("a link to a stream")
        .0
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn links_follow_who_may_say_so() {
    let forwarded: &[(&str, &str)] = &[
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "tv.example"),
        ("X-Forwarded-Prefix", "/tv/"),
    ];
    let standard: &[(&str, &str)] = &[("Forwarded", "for=1.2.3.4;proto=https;host=\"tv.example:8443\"")];

    let open = Mainstem::start(CARD).await;
    let own = open.base_url().to_owned();
    for headers in [&[][..], forwarded, standard] {
        assert_eq!(
            link(&open, "/playlist.m3u8", headers).await,
            own,
            "a stranger's {headers:?}"
        );
    }

    let trusting = Mainstem::start(&format!("trusted_proxies: [127.0.0.0/8]\n{CARD}")).await;
    assert_eq!(link(&trusting, "/playlist.m3u8", &[]).await, trusting.base_url());
    assert_eq!(
        link(&trusting, "/playlist.m3u8", forwarded).await,
        "https://tv.example/tv"
    );
    assert_eq!(
        link(&trusting, "/playlist.m3u8", standard).await,
        "https://tv.example:8443"
    );

    let fixed = Mainstem::start(&format!(
        "public_url: https://x.example/live/\ntrusted_proxies: [127.0.0.1]\n{CARD}"
    ))
    .await;
    for path in ["/playlist.m3u8", "/live/playlist.m3u8"] {
        assert_eq!(
            link(&fixed, path, forwarded).await,
            "https://x.example/live",
            "{path}"
        );
    }
    let streams = get_json(&fixed.url("/live/streams")).await;
    let full = streams["streams"][0]["full_url"].as_str().unwrap();
    assert!(full.starts_with("https://x.example/live/stream/"), "{full}");
    let id = streams["streams"][0]["id"].as_str().unwrap();
    let direct = get(&fixed.url(&format!("/direct/{id}"))).await;
    assert_eq!(direct.header("location"), full, "the card leads to itself");
    assert_eq!(
        get(&fixed.url("/livestatus")).await.status,
        404,
        "a sub-path ends at a slash"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_public_url_works_from_the_reload_on() {
    let mainstem = Mainstem::start(&format!("public_url: https://x.example/old\n{CARD}")).await;
    let config = mainstem.folder().join("config.yaml");
    std::fs::write(config, format!("public_url: https://x.example/new\n{CARD}")).unwrap();
    mainstem.signal("HUP");
    eventually("links are new", || async {
        (link(&mainstem, "/playlist.m3u8", &[]).await == "https://x.example/new").then_some(())
    })
    .await;
    assert_eq!(get(&mainstem.url("/new/status")).await.status, 200);
    assert_eq!(get(&mainstem.url("/old/status")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playlist_leads_to_the_form_that_is_asked_for() {
    let film = "#EXTM3U\n#EXTINF:-1,Film\nhttp://127.0.0.1:9/movie/u/p/1.mp4\n";
    let config = |more: &str| {
        format!(
            "{more}sources:\n  - {{name: card, type: testcard}}\n  - {{name: films, type: m3u, url: films.m3u}}\n"
        )
    };
    for (default, more) in [
        ("", ""),
        ("", "playlist_output: ts\n"),
        (".m3u8", "playlist_output: hls\n"),
    ] {
        let mainstem = Launch::new(&config(more)).file("films.m3u", film).ready().await;
        until_names(&mainstem, &["mainstem test card", "Film"]).await;
        let (mut tags, mut last) = (std::collections::HashSet::new(), String::new());
        // Oftener than lists are kept ready.
        for (query, form) in [
            ("", default),
            ("?output=hls", ".m3u8"),
            ("?output=m3u8", ".m3u8"),
            ("?output=ts", ""),
            ("?output=mpegts", ""),
            ("?output=rtmp", default),
            ("?output=hls&kind=live", ".m3u8"),
            ("?output=ts&kind=live", ""),
            ("?kind=live", default),
            ("?output=hls&device=tv", ".m3u8?device=tv"),
            ("?output=hls", ".m3u8"),
        ] {
            let answer = get(&mainstem.url(&format!("/playlist.m3u8{query}"))).await;
            tags.insert(answer.header("etag").to_owned());
            last = answer.text();
            for (name, address) in channels(&last) {
                let id = address.rsplit_once("/stream/").unwrap().1;
                // A file is the same file in either form.
                let expected = if name.ends_with(",Film") {
                    form.trim_start_matches(".m3u8")
                } else {
                    form
                };
                assert_eq!(&id[16..], expected, "{more} {query} {name}");
            }
        }
        assert_eq!(channels(&last).len(), 2);
        // Both forms, of all and of what is live, and the one with a token, which has none.
        assert_eq!(tags.len(), 5, "{tags:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn players_in_pages_of_other_sites_may_have_playlist_and_streams_and_nothing_else() {
    let mainstem = Mainstem::start(CARD).await;
    let (_, stream) = channels(&get(&mainstem.url("/playlist.m3u8")).await.text()).remove(0);
    let origin = ("Origin", "https://player.example");
    let playlist = mainstem.url("/playlist.m3u8");
    for (method, url) in [
        ("GET", &*playlist),
        ("HEAD", &playlist),
        ("HEAD", &stream),
        ("GET", &mainstem.url("/stream/none")),
        ("POST", &playlist),
    ] {
        let answer = request(method, url, &[origin]).await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "*",
            "{method} {url}"
        );
        let readable = answer.header("access-control-expose-headers");
        for name in ["Content-Length", "Content-Range", "Accept-Ranges"] {
            assert!(readable.contains(name), "{method} {url}: {readable}");
        }
    }
    let viewer = Viewer::open_as(&stream, &[origin]).await;
    assert_eq!(viewer.headers["access-control-allow-origin"], "*");
    drop(viewer);
    for url in [&*playlist, &stream] {
        let asking = [
            origin,
            ("Access-Control-Request-Method", "GET"),
            ("Access-Control-Request-Headers", "range, x-of-a-player"),
        ];
        let allowed = request("OPTIONS", url, &asking).await;
        assert_eq!((allowed.status, allowed.body.len()), (204, 0), "{url}");
        assert_eq!(allowed.header("access-control-allow-origin"), "*");
        assert_eq!(
            allowed.header("access-control-allow-headers"),
            "range, x-of-a-player"
        );
        for method in ["GET", "HEAD"] {
            assert!(allowed.header("access-control-allow-methods").contains(method));
        }
        let plain = request("OPTIONS", url, &[]).await;
        assert_eq!(plain.status, 204);
        assert!(plain.header("access-control-allow-headers").contains("Range"));
    }
    for path in [
        "/status",
        "/streams",
        "/active-streams",
        "/direct/none",
        "/api/preview",
    ] {
        for method in ["GET", "OPTIONS"] {
            let answer = request(method, &mainstem.url(path), &[origin]).await;
            assert_eq!(
                answer.header("access-control-allow-origin"),
                "",
                "{method} {path}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_header_cannot_write_into_the_playlist() {
    let mainstem = Mainstem::start(CARD).await;
    let mut raw = support::Raw::connect(&mainstem.url("/"), false).await;
    raw.send(b"GET /playlist.m3u8 HTTP/1.1\r\nHost: evil\"/<script>\r\nConnection: close\r\n\r\n")
        .await;
    // Whatever the answer is, it is one, and others go on.
    raw.drain().await;
    let answer = request(
        "GET",
        &mainstem.url("/playlist.m3u8"),
        &[("X-Forwarded-Host", "evil\"")],
    )
    .await;
    assert!(!answer.text().contains("evil"), "{}", answer.text());
}

/// Debian's nginx in a folder of its own; ended with the test.
struct Nginx {
    _process: tokio::process::Child,
}

impl Nginx {
    /// `None` where there is no nginx to start.
    async fn start(folder: &Path, port: u16, locations: &str) -> Option<Self> {
        let at = folder.display();
        // One process, so that ending it ends all of it.
        let config = format!(
            "daemon off;\nmaster_process off;\npid {at}/nginx.pid;\nerror_log {at}/error.log;\nevents {{}}\nhttp {{\n\
             access_log off;\nclient_body_temp_path {at}/body;\nproxy_temp_path {at}/proxy;\nfastcgi_temp_path {at}/fastcgi;\n\
             uwsgi_temp_path {at}/uwsgi;\nscgi_temp_path {at}/scgi;\n\
             server {{\nlisten 127.0.0.1:{port};\n{locations}\n}}\n}}\n"
        );
        std::fs::write(folder.join("nginx.conf"), config).unwrap();
        let mut command = tokio::process::Command::new("nginx");
        command
            .args(["-p", &at.to_string(), "-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let process = match command.spawn() {
            Ok(process) => process,
            Err(error) => {
                assert!(
                    std::env::var_os("MAINSTEM_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
                    "nginx is needed: {error}"
                );
                eprintln!("skipped: there is no nginx ({error})");
                return None;
            }
        };
        eventually("nginx listens", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Some(Self { _process: process })
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playlist_and_its_streams_work_through_nginx_under_a_sub_path() {
    let port = free_port();
    let outside = format!("http://127.0.0.1:{port}");
    let by_headers = Mainstem::start(&format!("trusted_proxies: [127.0.0.1]\n{CARD}")).await;
    let by_config = Mainstem::start(&format!("public_url: {outside}/set\n{CARD}")).await;
    let keeping = Mainstem::start(&format!("public_url: {outside}/kept\n{CARD}")).await;
    for mainstem in [&by_headers, &by_config, &keeping] {
        until_names(mainstem, &["mainstem test card"]).await;
    }
    let locations = format!(
        "location /tv/ {{ proxy_pass {}/; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; \
         proxy_set_header X-Forwarded-Prefix /tv; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }}\n\
         location /set/ {{ proxy_pass {}/; }}\nlocation /kept/ {{ proxy_pass {}; }}\n",
        by_headers.base_url(),
        by_config.base_url(),
        keeping.base_url()
    );
    let folder = tempfile::tempdir().unwrap();
    let Some(_nginx) = Nginx::start(folder.path(), port, &locations).await else {
        return;
    };
    for path in ["tv", "set", "kept"] {
        let list = get(&format!("{outside}/{path}/playlist.m3u8")).await;
        assert_eq!(list.status, 200, "{path}");
        let (_, address) = channels(&list.text()).remove(0);
        assert!(
            address.starts_with(&format!("{outside}/{path}/stream/")),
            "{path}: {address}"
        );
        assert_eq!(request("HEAD", &address, &[]).await.status, 200, "{path}");
        let viewer = Viewer::open(&address).await;
        assert_eq!(
            (viewer.status, viewer.headers["content-type"].to_str().unwrap()),
            (200, "video/mp2t")
        );
        viewer.media(Duration::from_secs(2), SOON).await;
        Report::of(&viewer.bytes()).assert_clean(path);
        let unknown = get(&format!("{outside}/{path}/stream/none")).await;
        assert_eq!(
            (unknown.status, &unknown.json()["error"]),
            (404, &"unknown_channel".into())
        );
    }
    // Behind a trusted proxy the viewer is who it names, not the proxy.
    let viewer = Viewer::open_as(
        &channels(&get(&format!("{outside}/tv/playlist.m3u8")).await.text())
            .remove(0)
            .1,
        &[("X-Forwarded-For", "203.0.113.9")],
    )
    .await;
    viewer.more(188).await;
    // Bytes are there a moment before the page says who gets them.
    eventually("the viewer is who the proxy names", || async {
        let active = get_json(&format!("{outside}/tv/active-streams")).await;
        let clients = active["broadcasts"][0]["clients"].to_string();
        clients.contains("203.0.113.9").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_host_links_name_the_listening_address() {
    let mainstem = Launch::new(CARD).ready().await;
    let base = mainstem.base_url();
    let mut socket = tokio::net::TcpStream::connect(support::http::split(base).0)
        .await
        .unwrap();
    socket
        .write_all(b"GET /playlist.m3u8 HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    tokio::time::timeout(SOON, socket.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    assert!(text.contains(&format!("{base}/stream/")), "{text}");
}
