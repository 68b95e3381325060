//! The listeners: accepts, reads requests, logs them, and hands each to whoever answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::control;
use crate::fault::List;
use crate::hls::{self, Part};
use crate::http::{Answer, Conn, Head};
use crate::list_answer;
use crate::lists;
use crate::log::Request;
use crate::plan::{Account, Channel, Movie, SYNTHETIC_MOVIES};
use crate::provider::{AtAccept, Shared};
use crate::route::{Route, route};
use crate::session::{Session, Wish, drain};
use crate::token::Lead;

/// Size of a synthetic film or an episode.
const SYNTHETIC_FILM_BYTES: u64 = 10_000_000;
/// Pause after a failed accept: descriptors come back when connections end.
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);
/// Media type M3U lists are sent with.
const M3U: &str = "audio/x-mpegurl";

pub(crate) async fn accept(shared: Arc<Shared>, listener: TcpListener, edge: bool) {
    // Owned here, so that the end of this task is the end of its connections.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A client that is gone again, or no descriptor left: the next may fare better.
                let Ok((socket, peer)) = accepted else {
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                };
                // Without it small pieces would wait for acknowledgements; a socket already gone does not mind.
                socket.set_nodelay(true).ok();
                let id = shared.connections.fetch_add(1, Ordering::Relaxed);
                let conn = Conn::new(socket, id, peer, edge);
                connections.spawn(serve(shared.clone(), conn));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

/// What becomes of a connection after an answer.
enum After {
    Keep,
    Drain,
    Drop,
    Reset,
    Hang,
}

async fn serve(shared: Arc<Shared>, mut conn: Conn) {
    match shared.at_accept() {
        AtAccept::Serve => {}
        AtAccept::Reset => return conn.reset_on_drop(),
        AtAccept::Ignore => return hold(&conn.socket).await,
    }
    while let Some(head) = conn.read().await {
        match answer(&shared, &conn, &head).await {
            After::Keep => {}
            After::Drain => return drain(&conn).await,
            After::Drop => return,
            After::Reset => return conn.reset_on_drop(),
            After::Hang => {
                conn.gone().await;
                return;
            }
        }
    }
}

async fn hold(_socket: &TcpStream) {
    std::future::pending::<()>().await;
}

async fn answer(shared: &Arc<Shared>, conn: &Conn, head: &Head) -> After {
    let route = route(head);
    if matches!(route, Route::Control) {
        return plain(conn, head, &control::answer(shared, head)).await;
    }
    let lead = match &route {
        Route::Token { token } => shared.tokens.redeem(token),
        _ => None,
    };
    let account = who(shared, head, &route, lead.as_ref());
    let name = account.map_or("", |a| a.username.as_str());
    shared.logs.request(name, record(shared, conn, head));
    let Some(account) = account else {
        return stranger(conn, head, &route).await;
    };
    match route {
        Route::M3u | Route::OpenM3u => {
            let hls = head
                .parameter("output")
                .is_some_and(|o| matches!(o.as_str(), "m3u8" | "hls"));
            let pieces = lists::m3u(shared, account, if hls { "m3u8" } else { "ts" });
            list(shared, conn, head, account, (List::M3u, M3U, pieces)).await
        }
        Route::PlayerApi => {
            let action = head.parameter("action").unwrap_or_default();
            let (which, pieces) = lists::player_api(shared, account, &action, |name| head.parameter(name));
            list(shared, conn, head, account, (which, "application/json", pieces)).await
        }
        Route::Guide => {
            list(
                shared,
                conn,
                head,
                account,
                (List::Guide, "application/xml", lists::guide(shared)),
            )
            .await
        }
        Route::Live { id, extension, .. } => live(shared, conn, head, (account, id, extension), lead).await,
        Route::Token { .. } => {
            let Some(lead) = lead else {
                return stranger(conn, head, &route).await;
            };
            let (id, extension) = (lead.stream.clone(), lead.extension.clone());
            if extension == "mp4" {
                return file(shared, conn, head, account, &id, Some(lead)).await;
            }
            live(shared, conn, head, (account, &id, &extension), Some(lead)).await
        }
        Route::File { id, .. } => file(shared, conn, head, account, id, None).await,
        Route::Hls { id, part, .. } => match channel(shared, id) {
            Some(channel) => hls::serve(shared, conn, head, (account, &channel), part, None)
                .await
                .into(),
            None => plain(conn, head, &Answer::new(404, "text/html", "no such stream")).await,
        },
        Route::Control | Route::Unknown => {
            plain(conn, head, &Answer::new(404, "text/html", "not found")).await
        }
    }
}

/// The login a request is made with; `None`: a wrong one, or a token that is spent.
fn who<'a>(shared: &'a Shared, head: &Head, route: &Route<'_>, lead: Option<&Lead>) -> Option<&'a Account> {
    match route {
        Route::Live {
            login: Some((username, password)),
            ..
        }
        | Route::File {
            login: (username, password),
            ..
        }
        | Route::Hls {
            login: Some((username, password)),
            ..
        } => shared.login(username, password),
        Route::Live { login: None, .. } | Route::Hls { login: None, .. } => Some(shared.nobody()),
        Route::Token { .. } => shared.account(&lead?.account),
        Route::M3u | Route::PlayerApi | Route::Guide => {
            shared.login(&head.parameter("username")?, &head.parameter("password")?)
        }
        Route::OpenM3u | Route::Control | Route::Unknown => Some(shared.nobody()),
    }
}

async fn stranger(conn: &Conn, head: &Head, route: &Route<'_>) -> After {
    match route {
        Route::PlayerApi => list_answer::send(
            conn,
            head,
            None,
            list_answer::Content::new("application/json", lists::refused_login()),
        )
        .await
        .into(),
        _ => plain(conn, head, &Answer::new(403, "text/html", "forbidden")).await,
    }
}

async fn list(
    shared: &Shared,
    conn: &Conn,
    head: &Head,
    account: &Account,
    (which, kind, pieces): (List, &'static str, lists::Pieces),
) -> After {
    let fault = shared.board.strike_list(&account.username, which);
    let (pieces, version) = if shared.plan.versioned_lists {
        list_answer::versioned(&fault, pieces)
    } else {
        (pieces, None)
    };
    let is_known = version.is_some() && head.header("if-none-match") == version.as_deref();
    shared.logs.list(&account.username, !is_known);
    if is_known {
        let answer = Answer::new(304, kind, "").with("ETag", version.unwrap_or_default());
        return plain(conn, head, &answer).await;
    }
    let what = list_answer::Content {
        kind,
        version,
        pieces,
    };
    list_answer::send(conn, head, fault, what).await.into()
}

async fn live(
    shared: &Shared,
    conn: &Conn,
    head: &Head,
    (account, id, extension): (&Account, &str, &str),
    lead: Option<Lead>,
) -> After {
    let channel = channel(shared, id);
    if extension == "m3u8" {
        let Some(channel) = channel else {
            return plain(conn, head, &Answer::new(404, "text/html", "no such stream")).await;
        };
        let part = if channel.multivariant {
            Part::Multivariant
        } else {
            Part::Media
        };
        return hls::serve(shared, conn, head, (account, &channel), part, lead)
            .await
            .into();
    }
    // A list may call a file live.
    let file = || shared.plan.movies.iter().find(|movie| movie.id == id).cloned();
    let wish = match channel {
        Some(channel) => Wish::Live(Box::new(channel)),
        None => file().map_or(Wish::Nothing, Wish::File),
    };
    Session {
        shared,
        account,
        stream: id,
        extension,
        wish,
        lead,
    }
    .serve(conn, head)
    .await;
    After::Drop
}

async fn file(
    shared: &Shared,
    conn: &Conn,
    head: &Head,
    account: &Account,
    id: &str,
    lead: Option<Lead>,
) -> After {
    let given = shared.plan.movies.iter().find(|m| m.id == id).cloned();
    let made_up = || {
        let number = id
            .parse::<u64>()
            .ok()
            .filter(|n| *n >= u64::from(SYNTHETIC_MOVIES))?;
        let films = shared.plan.synthetic.movies + shared.plan.synthetic.series;
        (films > 0).then(|| Movie::new(number, "made up", SYNTHETIC_FILM_BYTES))
    };
    let wish = given.or_else(made_up).map_or(Wish::Nothing, Wish::File);
    Session {
        shared,
        account,
        stream: id,
        extension: "mp4",
        wish,
        lead,
    }
    .serve(conn, head)
    .await;
    After::Drop
}

fn channel(shared: &Shared, id: &str) -> Option<Channel> {
    let given = shared.plan.channels.iter().find(|c| c.id == id).cloned();
    given.or_else(|| lists::synthetic_channel(shared, id))
}

fn record(shared: &Shared, conn: &Conn, head: &Head) -> Request {
    Request {
        at: shared.started.elapsed(),
        connection: conn.id,
        peer: conn.peer,
        edge: conn.edge,
        method: head.method.clone(),
        path: head.path.clone(),
        query: head.query.clone(),
        headers: head.headers.clone(),
    }
}

async fn plain(conn: &Conn, head: &Head, answer: &Answer) -> After {
    match conn
        .write(&answer.bytes(head.keep_alive, head.method == "HEAD"))
        .await
    {
        Ok(()) if head.keep_alive => After::Keep,
        Ok(()) => After::Drain,
        Err(_) => After::Drop,
    }
}

impl From<hls::After> for After {
    fn from(after: hls::After) -> Self {
        match after {
            hls::After::Keep => Self::Keep,
            hls::After::Drain => Self::Drain,
            hls::After::Reset => Self::Reset,
            hls::After::Hang => Self::Hang,
        }
    }
}

impl From<list_answer::After> for After {
    fn from(after: list_answer::After) -> Self {
        match after {
            list_answer::After::Keep => Self::Keep,
            list_answer::After::Drain => Self::Drain,
            list_answer::After::Drop => Self::Drop,
            list_answer::After::Reset => Self::Reset,
            list_answer::After::Hang => Self::Hang,
        }
    }
}
