//! Who is counted, from when, until when, and what happens to one too many.

use std::time::{Duration, Instant};

use crate::client::{Client, End, SOON, plan, start};
use provider_double::{Account, CloseReason, Extent, Fault, OnLimit, RedirectForm};

#[tokio::test]
async fn the_peak_counts_every_socket_even_the_refused() {
    let provider = start(plan(1));
    let account = provider.account("u");
    let mut first = Client::live(&provider).await;
    assert_eq!(first.status().await, 200);
    assert_eq!((account.open_now(), account.peak(), account.counted()), (1, 1, 1));

    let mut second = Client::live(&provider).await;
    assert_eq!(second.status().await, 458);
    assert_eq!((account.open_now(), account.peak(), account.counted()), (2, 2, 1));
    assert_eq!(account.over_limit(), 1);

    drop((first, second));
    account.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    assert_eq!(
        (account.peak(), account.counted(), account.closes().len()),
        (2, 0, 2)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn closing_before_opening_is_never_counted_twice() {
    let provider = start(plan(1));
    for _ in 0..300 {
        let mut client = Client::live(&provider).await;
        assert_eq!(client.status().await, 200);
    }
    assert_eq!(
        (provider.account("u").peak(), provider.account("u").over_limit()),
        (1, 0)
    );
}

#[tokio::test]
async fn fin_and_rst_of_the_client_are_told_apart() {
    let provider = start(plan(2));
    let account = provider.account("u");
    // Film bytes stop after ten, so that nothing unread turns the client's FIN into an RST.
    provider.stream(9).fault(Fault::Stall(Extent::Bytes(10)));
    let mut fin = Client::get(provider.addr(), "/movie/u/p/9.mp4").await;
    fin.head().await;
    assert_eq!(fin.body(10).await.0.len(), 10);
    drop(fin);
    account
        .wait_until(|log| log.closes.len() == 1, SOON)
        .await
        .unwrap();

    let mut rst = Client::live(&provider).await;
    rst.head().await;
    socket2::SockRef::from(&rst.socket)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(rst);
    account
        .wait_until(|log| log.closes.len() == 2, SOON)
        .await
        .unwrap();
    let closes = account.closes();
    assert_eq!((closes[0].reason, closes[0].bytes), (CloseReason::ClientFin, 10));
    assert_eq!(closes[1].reason, CloseReason::ClientRst);
}

#[tokio::test]
async fn a_closed_connection_lingers_in_the_limit_but_not_in_the_log() {
    let lingering = Duration::from_millis(400);
    let mut plan = plan(1);
    plan.accounts[0].lingering = lingering;
    let provider = start(plan);
    let account = provider.account("u");
    let mut client = Client::live(&provider).await;
    assert_eq!(client.status().await, 200);
    let closed = Instant::now();
    drop(client);
    account.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    assert_eq!(account.counted(), 1);
    let mut refused = 0;
    while Client::live(&provider).await.status().await == 458 {
        refused += 1;
        assert!(closed.elapsed() < SOON);
    }
    assert!(
        refused > 0 && closed.elapsed() >= lingering,
        "{refused} in {:?}",
        closed.elapsed()
    );
    assert_eq!(account.peak(), 1);
}

#[tokio::test]
async fn the_oldest_is_cut() {
    let mut plan = plan(1);
    plan.accounts[0].on_limit = OnLimit::CutOldest;
    let provider = start(plan);
    let mut first = Client::live(&provider).await;
    assert_eq!(first.status().await, 200);
    let mut second = Client::live(&provider).await;
    assert_eq!(second.status().await, 200);
    assert_ne!(first.end().await, End::Open);
    let account = provider.account("u");
    account.wait_until(|log| log.open_now == 1, SOON).await.unwrap();
    assert_eq!(account.closes()[0].reason, CloseReason::Cut);
    assert_eq!(account.over_limit(), 1);
}

#[tokio::test]
async fn one_too_many_gets_the_limit_clip() {
    let mut plan = plan(1);
    plan.accounts[0].on_limit = OnLimit::Clip;
    let provider = start(plan);
    let mut first = Client::live(&provider).await;
    assert_eq!(first.status().await, 200);
    let mut second = Client::live(&provider).await;
    assert_eq!(second.status().await, 200);
    // The PMT of the clip "LIMIT" is on PID 0xa00; no other clip has it.
    let (body, _) = second.body(20_000).await;
    let pmts = |body: &[u8]| {
        body.chunks(188)
            .filter(|p| p[1] & 0x1f == 0x0a && p[2] == 0)
            .count()
    };
    assert!(crate::client::is_ts(&body) && pmts(&body) > 0);
    assert_eq!(pmts(&first.body(20_000).await.0), 0);
}

#[tokio::test]
async fn an_hls_session_counts_once_and_ends_by_idleness() {
    let account = Account::new("u", "p")
        .max_connections(1)
        .hls_idle(Duration::from_millis(300));
    let mut plan = plan(1);
    plan.accounts = vec![account];
    let provider = start(plan);
    let account = provider.account("u");
    for _ in 0..3 {
        assert_eq!(
            Client::get(provider.addr(), "/live/u/p/1.m3u8")
                .await
                .status()
                .await,
            200
        );
    }
    assert_eq!((account.open_now(), account.peak()), (1, 1));
    assert_eq!(Client::live(&provider).await.status().await, 458);
    account.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    assert!(account.closes().iter().any(|c| c.reason == CloseReason::Idle));
    assert_eq!(Client::live(&provider).await.status().await, 200);
}

#[tokio::test]
async fn a_hop_left_open_is_a_second_socket() {
    let provider = start(plan(0));
    provider.stream(1).fault(Fault::Redirect {
        hops: 1,
        form: RedirectForm::Relative,
    });
    let mut hop = Client::live(&provider).await;
    let head = hop.head().await;
    let location = head
        .split("Location: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap();
    let mut stream = Client::get(provider.addr(), location).await;
    assert_eq!(stream.status().await, 200);
    assert_eq!(
        (provider.account("u").open_now(), provider.account("u").peak()),
        (2, 2)
    );
}

#[tokio::test]
async fn waiting_in_vain_shows_the_log() {
    let provider = start(plan(1));
    let waited = provider
        .account("u")
        .wait_until(|log| log.peak == 9, Duration::from_millis(20))
        .await;
    assert_eq!(waited.unwrap_err().log.peak, 0);
}

#[tokio::test]
async fn the_end_of_the_provider_is_the_end_of_its_sockets() {
    let provider = start(plan(1));
    let addr = provider.addr();
    let mut client = Client::live(&provider).await;
    assert_eq!(client.status().await, 200);
    provider.stop().await;
    assert_ne!(client.end().await, End::Open);
    let mut again = plan(1);
    again.bind = addr;
    let provider = start(again);
    assert_eq!(Client::live(&provider).await.status().await, 200);
    drop(provider);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_watch_at_once() {
    let provider = start(plan(0));
    let mut clients = Vec::new();
    for _ in 0..500 {
        clients.push(Client::get(provider.addr(), "/live/u/p/2.ts").await);
    }
    for client in &mut clients {
        assert_eq!(client.status().await, 200);
        assert!(crate::client::is_ts(&client.body(4 * 1880).await.0));
    }
    assert_eq!(provider.account("u").peak(), 500);
}
