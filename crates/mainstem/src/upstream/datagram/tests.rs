use super::*;

use std::net::UdpSocket as Sender;

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Long enough for whatever has to happen.
const SOON: Duration = Duration::from_secs(20);

/// What loopback takes a moment for, where nothing happens.
const MOMENT: Duration = Duration::from_millis(300);

fn packets(mark: u8) -> Vec<u8> {
    let mut packet = [mark; 188];
    packet[0] = 0x47;
    packet.repeat(7)
}

fn rtp(sequence: u16, payload_type: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    [&[0x80, payload_type, high, low, 0, 0, 0, 0, 0, 0, 0, 7], payload].concat()
}

fn rules(listens: bool) -> Rules {
    Rules {
        listens,
        interface: Some(LOOPBACK),
    }
}

/// A port that nobody has.
fn free_port() -> u16 {
    let socket = Sender::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

fn sender(from: Ipv4Addr) -> Sender {
    let socket = Sender::bind((from, 0)).unwrap();
    socket2::SockRef::from(&socket)
        .set_multicast_if_v4(&LOOPBACK)
        .unwrap();
    socket
}

/// Opens an address while somebody sends one datagram again and again.
async fn open_while(
    url: &str,
    rules: Rules,
    within: Duration,
    send: impl Fn(),
) -> Result<Datagrams, Failure> {
    let address = Address::parse(url).unwrap().unwrap();
    let mut opening = std::pin::pin!(address.open(rules, within));
    loop {
        send();
        if let Ok(opened) = timeout(Duration::from_millis(5), &mut opening).await {
            return opened;
        }
    }
}

async fn bytes(datagrams: &mut Datagrams) -> Vec<u8> {
    match timeout(SOON, datagrams.read()).await.unwrap().unwrap() {
        Input::Bytes(bytes) => bytes.to_vec(),
        Input::Restart => panic!("another sender"),
    }
}

#[test]
fn addresses_are_read_as_players_write_them() {
    let address = |at: [u8; 4], port, sources: &[[u8; 4]], local: Option<[u8; 4]>| {
        Some(Ok(Address {
            at: at.into(),
            port,
            sources: sources.iter().map(|source| (*source).into()).collect(),
            local: local.map(Into::into),
        }))
    };
    for (url, expected) in [
        ("udp://@239.1.1.1:1234", address([239, 1, 1, 1], 1234, &[], None)),
        (
            " UDP://239.1.1.1:5500/ ",
            address([239, 1, 1, 1], 5500, &[], None),
        ),
        ("udp://@239.1.1.1", address([239, 1, 1, 1], 1234, &[], None)),
        ("rtp://@239.1.1.1", address([239, 1, 1, 1], 5004, &[], None)),
        ("udp://@:1234", address([0; 4], 1234, &[], None)),
        ("udp://127.0.0.1:9000", address([127, 0, 0, 1], 9000, &[], None)),
        (
            "rtp://192.0.2.1@232.1.1.1:5004",
            address([232, 1, 1, 1], 5004, &[[192, 0, 2, 1]], None),
        ),
        (
            "udp://239.1.1.1:1234?pkt_size=1316&localaddr=10.0.0.2&sources=192.0.2.1,192.0.2.2&timeout=5#x",
            address(
                [239, 1, 1, 1],
                1234,
                &[[192, 0, 2, 1], [192, 0, 2, 2]],
                Some([10, 0, 0, 2]),
            ),
        ),
        ("udp://@tv.example:1234", Some(Err(FORM))),
        ("udp://@[ff02::1]:1234", Some(Err(FORM))),
        ("udp://@239.1.1.1:99999", Some(Err(FORM))),
        ("udp://@", Some(Err(FORM))),
        ("udp://", Some(Err(FORM))),
        ("udp://user:word@239.1.1.1:1234", Some(Err(FORM))),
        ("udp://@239.1.1.1:1234?localaddr=eth0", Some(Err(FORM))),
        ("udp://@:53", Some(Err(LOW_PORT))),
        ("udp://@239.1.1.1:0", Some(Err(LOW_PORT))),
        ("rtp://@224.0.0.251:5353", Some(Err(NETWORKS_OWN))),
        ("http://h.example/udp://@239.1.1.1:1234", None),
        ("udp:@239.1.1.1:1234", None),
        ("", None),
    ] {
        assert_eq!(Address::parse(url), expected, "{url}");
    }
    let sources = ["192.0.2.1"; 9].join(",");
    let url = format!("udp://@239.1.1.1:1234?sources={sources}");
    assert_eq!(Address::parse(&url), Some(Err(FORM)));
}

#[tokio::test]
async fn a_port_of_this_machine_is_opened_by_permission_only_and_for_one() {
    for url in ["udp://@:", "udp://@127.0.0.1:", "rtp://"] {
        let url = format!("{url}{}", if url == "rtp://" { "127.0.0.1" } else { "1234" });
        let address = Address::parse(&url).unwrap().unwrap();
        let failure = address.open(rules(false), SOON).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Unusable, "{url}");
        assert!(failure.text.contains("udp_listen"), "{failure}");
    }
    let (port, sender) = (free_port(), sender(LOOPBACK));
    let url = format!("udp://127.0.0.1:{port}");
    let send = || drop(sender.send_to(&packets(1), (LOOPBACK, port)));
    let first = open_while(&url, rules(true), SOON, send).await.unwrap();
    let second = open_while(&url, rules(true), SOON, || {}).await.unwrap_err();
    assert!(second.text.contains("is used"), "{second}");
    drop(first);
    assert!(open_while(&url, rules(true), SOON, send).await.is_ok());
    let elsewhere = open_while("udp://192.0.2.77:4000", rules(true), SOON, || {}).await;
    assert!(
        elsewhere
            .unwrap_err()
            .text
            .contains("nor an address of this machine")
    );
}

/// Whether the system is in a group, as it says itself.
#[cfg(target_os = "linux")]
fn is_member(group: Ipv4Addr) -> bool {
    let name = format!("{:08X}", u32::from_le_bytes(group.octets()));
    std::fs::read_to_string("/proc/net/igmp").unwrap().contains(&name)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_group_is_joined_beside_others_without_permission_and_left_in_the_end() {
    let (group, port) = (Ipv4Addr::new(239, 255, 76, 1), free_port());
    let sender = sender(LOOPBACK);
    let url = format!("udp://@{group}:{port}");
    let send = || drop(sender.send_to(&packets(1), (group, port)));
    let mut first = open_while(&url, rules(false), SOON, send).await.unwrap();
    let mut second = open_while(&url, rules(false), SOON, send).await.unwrap();
    assert!(is_member(group));
    drop(bytes(&mut first).await);
    assert_eq!(bytes(&mut second).await[..1316], packets(1));
    drop(first);
    assert!(is_member(group), "the other one is still there");
    drop(second);
    assert!(!is_member(group));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn of_a_group_with_a_source_only_its_datagrams_are_heard() {
    let (group, port) = (Ipv4Addr::new(232, 255, 76, 2), free_port());
    let (ours, other) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
    let url = format!("rtp://{ours}@{group}:{port}");
    let (wanted, foreign) = (sender(ours), sender(other));
    let send_foreign = || drop(foreign.send_to(&rtp(1, 33, &packets(9)), (group, port)));
    let failure = open_while(&url, rules(false), MOMENT, send_foreign).await;
    assert_eq!(failure.unwrap_err().class, FailureClass::Transient);
    let send = || {
        send_foreign();
        wanted.send_to(&rtp(1, 33, &packets(2)), (group, port)).unwrap();
    };
    let mut datagrams = open_while(&url, rules(false), SOON, send).await.unwrap();
    assert_eq!(bytes(&mut datagrams).await, packets(2));
}

/// Time stands still but for timers: nothing comes at all.
#[tokio::test(start_paused = true)]
async fn a_group_that_is_silent_fails_as_a_stream_that_is_silent() {
    let url = format!("udp://@239.255.76.3:{}", free_port());
    let address = Address::parse(&url).unwrap().unwrap();
    let failure = address.open(rules(false), Duration::from_secs(8)).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.class, FailureClass::Transient);
    assert_eq!(failure.text, "opened, but no datagram came within 8 s");
}

#[tokio::test]
async fn what_is_no_transport_stream_is_told() {
    let sender = sender(LOOPBACK);
    for (datagram, said) in [
        (rtp(1, 96, &[0x67; 900]), "payload type 96"),
        (b"hello".to_vec(), "no transport stream"),
    ] {
        let port = free_port();
        let send = || drop(sender.send_to(&datagram, (LOOPBACK, port)));
        // It is known when the time is over, and one has to have come by then.
        let within = Duration::from_secs(2);
        let opened = open_while(&format!("rtp://127.0.0.1:{port}"), rules(true), within, send).await;
        let failure = opened.unwrap_err();
        assert_eq!(failure.class, FailureClass::Unusable);
        assert!(failure.text.contains(said), "{failure}");
    }
}

#[tokio::test]
async fn a_stream_goes_on_in_order_and_another_sender_begins_anew() {
    let (port, first, other) = (free_port(), sender(LOOPBACK), sender(LOOPBACK));
    let url = format!("rtp://127.0.0.1:{port}");
    let send = |sender: &Sender, sequence: u16, mark: u8| {
        let datagram = rtp(sequence, 33, &packets(mark));
        sender.send_to(&datagram, (LOOPBACK, port)).unwrap();
    };
    let mut datagrams = open_while(&url, rules(true), SOON, || {
        let datagram = rtp(1, 33, &packets(1));
        drop(first.send_to(&datagram, (LOOPBACK, port)));
    })
    .await
    .unwrap();
    assert_eq!(bytes(&mut datagrams).await, packets(1));
    for (sequence, mark) in [(3, 3), (2, 2), (4, 4)] {
        send(&first, sequence, mark);
        send(&other, sequence, 9);
    }
    let mut came = Vec::new();
    while came.len() < 3 * 1316 {
        came.extend(bytes(&mut datagrams).await);
    }
    assert_eq!(came, [packets(2), packets(3), packets(4)].concat());
    // The first one is gone.
    for sequence in 5..70 {
        send(&other, sequence, 9);
    }
    assert!(matches!(datagrams.read().await, Ok(Input::Restart)));
    assert_eq!(bytes(&mut datagrams).await[..1316], packets(9));
}

#[test]
fn a_list_in_a_file_may_listen_and_one_by_url_only_where_the_operator_says_so() {
    let rules = |keys: &str| {
        let text = format!("sources: [{{name: a, type: m3u, {keys}}}]");
        let loaded = crate::config::parse(&text, std::path::Path::new("config.yaml"), &|_| None);
        Rules::of(&loaded.unwrap().config.sources[0])
    };
    for (keys, listens) in [
        ("url: a.m3u", true),
        ("url: a.m3u, udp_listen: false", false),
        ("url: 'http://h.example/a.m3u'", false),
        ("url: 'http://h.example/a.m3u', udp_listen: true", true),
    ] {
        assert_eq!(rules(keys).listens, listens, "{keys}");
    }
    let interface = rules("url: a.m3u, multicast_interface: 192.0.2.7").interface;
    assert_eq!(interface, Some(Ipv4Addr::new(192, 0, 2, 7)));
}
