//! What a provider saw: per account, every request, every open and every close, from accept to its own read of FIN or
//! RST. `door` writes it; tests read it and wait on it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

/// Requests, opens and closes kept per account; the oldest go first.
pub const RECORDS_MAX: usize = 20_000;

/// One request, as it was read.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// Time since the provider's start.
    pub at: Duration,
    /// Which connection it came on; rises with every accept.
    pub connection: u64,
    /// Who asked.
    pub peer: SocketAddr,
    /// Whether it came to the second listener.
    pub edge: bool,
    /// `GET`, …
    pub method: String,
    /// Path without the query, as sent.
    pub path: String,
    /// What follows `?`; empty without.
    pub query: String,
    /// All header fields in the order and spelling sent.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The first field of that name, any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }
}

/// A stream socket that began to count: its request was read.
#[derive(Clone, Debug, Serialize)]
pub struct Open {
    /// Time since the provider's start.
    pub at: Duration,
    /// The connection.
    pub connection: u64,
    /// What was asked for.
    pub stream: String,
}

/// A stream socket that ceased to count.
#[derive(Clone, Debug, Serialize)]
pub struct Close {
    /// Time since the provider's start.
    pub at: Duration,
    /// The connection.
    pub connection: u64,
    /// What was asked for.
    pub stream: String,
    /// Who ended it, and how.
    pub reason: CloseReason,
    /// Bytes of body written to the socket.
    pub bytes: u64,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The client's FIN; a half-close after the request is one.
    ClientFin,
    /// The client's RST.
    ClientRst,
    /// We sent FIN.
    Eof,
    /// We sent RST.
    Rst,
    /// We ended it, because a newer connection took its place at the limit.
    Cut,
    /// An HLS session nobody asked for any more.
    Idle,
}

/// What is known of one account.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AccountLog {
    /// Stream sockets open now: from the read of the request to the read of FIN or RST, or to our own close. One that
    /// gets a refusal or a redirect counts like any other until it ends; an HLS session counts as one.
    pub open_now: usize,
    /// The most there ever were at once.
    pub peak: usize,
    /// Connections turned away, or cut, at the limit.
    pub over_limit: usize,
    /// Lists begun to be sent, faults of theirs included.
    pub lists_sent: usize,
    /// Lists not sent, because the client had them: 304.
    pub lists_unchanged: usize,
    /// Every request that named the account.
    pub requests: VecDeque<Request>,
    /// Every stream socket opened.
    pub opens: VecDeque<Open>,
    /// Every stream socket closed.
    pub closes: VecDeque<Close>,
}

/// The wait ran out before the log showed what was waited for.
#[derive(Clone, Debug)]
pub struct TimedOut {
    /// The account as it was then.
    pub log: AccountLog,
}

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not seen in time; the account's log is {:?}", self.log)
    }
}

impl std::error::Error for TimedOut {}

/// All accounts' logs, and a bell that rings at every change.
#[derive(Debug)]
pub(crate) struct Logs {
    accounts: Mutex<HashMap<String, AccountLog>>,
    bell: watch::Sender<u64>,
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self {
            accounts: Mutex::default(),
            bell: watch::Sender::new(0),
        }
    }

    pub(crate) fn request(&self, account: &str, request: Request) {
        self.change(account, |log| push(&mut log.requests, request));
    }

    pub(crate) fn open(&self, account: &str, open: Open) {
        self.change(account, |log| {
            log.open_now += 1;
            log.peak = log.peak.max(log.open_now);
            push(&mut log.opens, open);
        });
    }

    /// A stream socket that had ended before its request was read: recorded, and never counted.
    pub(crate) fn gone(&self, account: &str, open: Open, close: Close) {
        self.change(account, |log| {
            push(&mut log.opens, open);
            push(&mut log.closes, close);
        });
    }

    pub(crate) fn list(&self, account: &str, is_sent: bool) {
        self.change(account, |log| {
            log.lists_sent += usize::from(is_sent);
            log.lists_unchanged += usize::from(!is_sent);
        });
    }

    pub(crate) fn over_limit(&self, account: &str) {
        self.change(account, |log| log.over_limit += 1);
    }

    pub(crate) fn close(&self, account: &str, close: Close) {
        self.change(account, |log| {
            log.open_now = log.open_now.saturating_sub(1);
            push(&mut log.closes, close);
        });
    }

    pub(crate) fn read<T>(&self, account: &str, look: impl FnOnce(&AccountLog) -> T) -> T {
        match self.lock().get(account) {
            Some(log) => look(log),
            None => look(&AccountLog::default()),
        }
    }

    pub(crate) fn all(&self) -> HashMap<String, AccountLog> {
        self.lock().clone()
    }

    /// Rings when anything changes; subscribe before looking.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    fn change(&self, account: &str, with: impl FnOnce(&mut AccountLog)) {
        let mut accounts = self.lock();
        match accounts.get_mut(account) {
            Some(log) => with(log),
            None => with(accounts.entry(account.to_owned()).or_default()),
        }
        drop(accounts);
        self.bell.send_modify(|rung| *rung = rung.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, AccountLog>> {
        // Every change leaves the log whole, so a panic elsewhere does not spoil it.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push<T>(to: &mut VecDeque<T>, record: T) {
    if to.len() >= RECORDS_MAX {
        to.pop_front();
    }
    to.push_back(record);
}
