//! Players that come first, of a source that sends in real time from the first byte: they have what they read before
//! their first picture, and do not notice that bytes are gathered for them from then on.

use std::thread;
use std::time::Duration;

use provider_double::{Account, Channel, Clip, Fault, Now, Plan, Provider};
use tokio::runtime::Runtime;

use crate::player::Player;
use crate::program::terminate;
use crate::server::{List, Server};

/// How long they watch.
const WATCHES: Duration = Duration::from_secs(20);

/// What passes until the first picture: ffplay reads 5 s first, which take as long here, and a busy machine more.
const START_MAX: Duration = Duration::from_secs(9);

/// When half of the sources fall silent. Nothing is there in its place for 5 s.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// Channels, of which the sources of the later half fall silent: what their players say is what a stop looks like.
const CHANNELS: usize = 6;

#[test]
fn who_comes_first_does_not_notice_that_bytes_are_gathered() {
    let players = || [Player::mpv(), Player::ffplay(), Player::vlc()];
    let falls_silent = |id: usize| id > CHANNELS / 2;
    let runtime = Runtime::new().expect("a runtime");
    let inside = runtime.enter();
    let name = |id: usize| format!("channel {id}");
    let login = |id: usize| format!("login{id}");
    let plan = (1..=CHANNELS).fold(Plan::new(), |plan, id| {
        plan.account(Account::new(&login(id), "secret").max_connections(1))
            .channel(Channel::new(id, &name(id), Clip::H264Closed))
    });
    let provider = Provider::start(plan).expect("a provider");
    let entries = (1..=CHANNELS).map(|id| (name(id), provider.live_url(&login(id), id)));
    let list = List {
        name: "first",
        max_connections: CHANNELS,
        entries: entries.collect(),
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    crate::card::open_to_all(folder.path());
    let server = Server::of_lists(folder.path(), &[list]);
    drop(inside);
    let mut watching = Vec::new();
    for (id, player) in (1..).zip(players().into_iter().chain(players())) {
        let Some(player) = player else { continue };
        let folder = tempfile::tempdir_in(folder.path()).expect("a folder");
        let child = player.start(&server.channel_of_name(&name(id)), folder.path());
        watching.push((id, player, child, folder));
    }
    thread::sleep(SILENT_AFTER);
    for id in (1..=CHANNELS).filter(|id| falls_silent(*id)) {
        let stream = provider.stream(id);
        stream.fault(Fault::Refuse);
        stream.now(Now::Stall);
    }
    thread::sleep(WATCHES - SILENT_AFTER);
    for (id, player, mut child, folder) in watching {
        let goes_on = child.try_wait().expect("it is ours").is_none();
        assert!(goes_on, "{player}: it ended");
        terminate(child.id());
        child.wait().expect("it ends");
        let watched = player.watched(folder.path());
        eprintln!("{player}, {}: {watched}", name(id));
        if falls_silent(id) {
            assert!(
                !watched.stops.is_empty(),
                "{player} tells when there is nothing: {watched}"
            );
        } else {
            assert!(watched.shown + START_MAX >= WATCHES, "{player}: {watched}");
            assert!(watched.stops.is_empty(), "{player}: {watched}");
        }
    }
}
