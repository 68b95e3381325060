//! Streams that come over UDP: from ffmpeg, with RTP and without, to a port and to a multicast group.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::net::UdpSocket;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use provider_double::{Account, Channel, Clip, Plan, Provider};
use support::decode::{Colour, decode_aside, has_tool};
use support::process::QUICK;
use support::ts::Report;
use support::{Launch, SOON, Viewer, all_at_once, eventually, get_json};
use tokio::process::{Child, Command};

/// A way in which ffmpeg sends, and how the list says so.
struct Form {
    name: &'static str,
    /// Format and address for ffmpeg.
    sent: (&'static str, String),
    listed: String,
}

fn forms() -> Vec<Form> {
    let port = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().port()
    };
    let (udp, rtp, group, rtp_group) = (port(), port(), port(), port());
    vec![
        Form {
            name: "Udp",
            sent: ("mpegts", format!("udp://127.0.0.1:{udp}?pkt_size=1316")),
            listed: format!("udp://@127.0.0.1:{udp}"),
        },
        Form {
            name: "Rtp",
            sent: ("rtp_mpegts", format!("rtp://127.0.0.1:{rtp}")),
            listed: format!("rtp://@127.0.0.1:{rtp}"),
        },
        Form {
            name: "Group",
            sent: (
                "mpegts",
                format!("udp://239.255.77.1:{group}?localaddr=127.0.0.1&ttl=0"),
            ),
            listed: format!("udp://239.255.77.1:{group}?localaddr=127.0.0.1"),
        },
        Form {
            name: "Rtp group",
            sent: (
                "rtp_mpegts",
                format!("rtp://232.255.77.2:{rtp_group}?localaddr=127.0.0.1&ttl=0"),
            ),
            listed: format!("rtp://127.0.0.1@232.255.77.2:{rtp_group}?localaddr=127.0.0.1"),
        },
    ]
}

/// Sends a clip over and over, at the pace of the clock, until it is killed.
fn send((format, address): &(&str, String)) -> Child {
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("../provider-double/clips/d.ts");
    Command::new("ffmpeg")
        .args(["-v", "error", "-re", "-stream_loop", "-1", "-i"])
        .arg(clip)
        .args(["-c", "copy", "-f", format, address])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_over_udp_plays_and_gives_way_to_another_source_when_its_sender_dies() {
    if !has_tool("ffmpeg") {
        return;
    }
    let forms = forms();
    let (mut plan, mut list, mut backup) = (Plan::new(), "#EXTM3U\n".to_owned(), "#EXTM3U\n".to_owned());
    for (id, form) in forms.iter().enumerate() {
        plan = plan
            .account(Account::new(&format!("user{id}"), "secret"))
            .channel(Channel::new(id, form.name, Clip::H264Closed));
        list.push_str(&format!("#EXTINF:-1,{}\n{}\n", form.name, form.listed));
    }
    let provider = Provider::start(plan).unwrap();
    for (id, form) in forms.iter().enumerate() {
        let url = provider.live_url(&format!("user{id}"), id);
        backup.push_str(&format!("#EXTINF:-1,{}\n{url}\n", form.name));
    }
    // No connection of the list's is to spare: datagrams take none.
    let config = format!(
        "{QUICK}log_level: DEBUG\nsources:\n  - {{name: udp, type: m3u, url: udp.m3u, max_connections: 1}}\n  - {{name: \
         backup, type: m3u, url: backup.m3u}}\n"
    );
    let mainstem = Launch::new(&config)
        .file("udp.m3u", &list)
        .file("backup.m3u", &backup)
        .ready()
        .await;
    // The lists come in any order.
    let url = mainstem.url("/streams");
    eventually("every channel has both sources", || async {
        let list = get_json(&url).await;
        let channels = list["streams"].as_array()?.clone();
        let have_both = channels.iter().all(|channel| channel["sources"] == 2);
        (channels.len() == forms.len() && have_both).then_some(())
    })
    .await;
    let mut checks = Vec::new();
    for (id, form) in forms.into_iter().enumerate() {
        let mut sender = send(&form.sent);
        let url = mainstem.stream_url(form.name).await;
        let login = provider.account(&format!("user{id}"));
        checks.push((form.name.to_owned(), async move {
            let viewer = Viewer::open(&url).await;
            assert_eq!(viewer.status, 200, "{}", form.name);
            viewer.media(Duration::from_secs(4), SOON).await;
            sender.kill().await.unwrap();
            login.wait_until(|log| log.open_now == 1, SOON).await.unwrap();
            viewer.more_media(Duration::from_secs(4), SOON).await;
            let bytes = viewer.bytes();
            drop(viewer);
            Report::of(&bytes).assert_clean(form.name);
            let decoded = decode_aside(bytes).await.unwrap();
            let scenes = decoded.scenes();
            assert!(scenes[0].is_like(Colour::PURPLE), "{}: {scenes:?}", form.name);
            let last = scenes.last().unwrap();
            assert!(last.is_like(Colour::DARK_RED), "{}: {scenes:?}", form.name);
        }));
    }
    all_at_once(checks.into_iter()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_over_udp_is_told_apart_by_a_test_of_the_channel() {
    if !has_tool("ffmpeg") {
        return;
    }
    let forms = forms();
    let (sent, silent) = (&forms[1], &forms[2]);
    let list = format!(
        "#EXTM3U\n#EXTINF:-1,Sent\n{}\n#EXTINF:-1,Silent\n{}\n",
        sent.listed, silent.listed
    );
    let config = format!(
        "{QUICK}sources:\n  - {{name: file, type: m3u, url: one.m3u}}\n  - {{name: not permitted, type: m3u, url: two.m3u, \
         udp_listen: false}}\n"
    );
    let forbidden = format!("#EXTM3U\n#EXTINF:-1,Forbidden\n{}\n", sent.listed);
    let mainstem = Launch::new(&config)
        .file("one.m3u", &list)
        .file("two.m3u", &forbidden)
        .ready()
        .await;
    let _sender = send(&sent.sent);
    for (name, found, error) in [
        ("Sent", "transport stream", None),
        ("Silent", "nothing", Some("no datagram came")),
        ("Forbidden", "nothing", Some("udp_listen")),
    ] {
        let id = mainstem.channel_id(name).await;
        let tested = get_json(&mainstem.url(&format!("/debug/{id}"))).await;
        let stream = &tested["streams"][0];
        assert_eq!(stream["found"], found, "{tested}");
        let said = stream["error"].as_str().unwrap_or_default();
        assert!(said.contains(error.unwrap_or_default()), "{tested}");
    }
}
