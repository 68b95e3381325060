//! The provider as its user holds it: start, addresses, handles to accounts and streams. The wire is in `server`.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::board::{Board, Target};
use crate::door::Door;
use crate::fault::{Fault, List, ListFault, Now};
use crate::log::{AccountLog, Close, Logs, Request, TimedOut};
use crate::plan::{Account, Plan};
use crate::server;
use crate::token::Tokens;

/// How often idle HLS sessions are looked for.
const SWEEP: Duration = Duration::from_millis(100);

/// Connections that wait to be accepted: thousands may come at once, and one too many waits a second for its next SYN.
const BACKLOG: i32 = 4096;

/// What becomes of every new connection, whoever it is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtAccept {
    /// It is served.
    #[default]
    Serve,
    /// RST.
    Reset,
    /// It is held open and never read.
    Ignore,
}

/// What all connections of one provider share.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) addr: SocketAddr,
    pub(crate) edge_addr: SocketAddr,
    pub(crate) started: Instant,
    pub(crate) logs: Arc<Logs>,
    pub(crate) board: Board,
    pub(crate) door: Arc<Door>,
    pub(crate) tokens: Tokens,
    pub(crate) connections: AtomicU64,
    at_accept: AtomicU8,
    /// Stands for requests without a login; it has no limit.
    nobody: Account,
}

impl Shared {
    pub(crate) fn nobody(&self) -> &Account {
        &self.nobody
    }

    /// A login with its right password.
    pub(crate) fn login(&self, username: &str, password: &str) -> Option<&Account> {
        self.plan
            .accounts
            .iter()
            .find(|a| a.username == username && a.password == password)
    }

    pub(crate) fn account(&self, username: &str) -> Option<&Account> {
        if username.is_empty() {
            return Some(&self.nobody);
        }
        self.plan.accounts.iter().find(|a| a.username == username)
    }

    pub(crate) fn at_accept(&self) -> AtAccept {
        match self.at_accept.load(Ordering::Relaxed) {
            1 => AtAccept::Reset,
            2 => AtAccept::Ignore,
            _ => AtAccept::Serve,
        }
    }

    pub(crate) fn set_at_accept(&self, what: AtAccept) {
        let code = match what {
            AtAccept::Serve => 0,
            AtAccept::Reset => 1,
            AtAccept::Ignore => 2,
        };
        self.at_accept.store(code, Ordering::Relaxed);
    }
}

/// A running provider. Dropping it ends every listener, connection and stream.
pub struct Provider {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Provider {
    /// Starts on the runtime of the caller.
    ///
    /// # Errors
    /// An address of the plan cannot be bound.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    pub fn start(plan: Plan) -> io::Result<Self> {
        let (listener, addr) = listen(plan.bind)?;
        let (edge, edge_addr) = listen(plan.edge_bind)?;
        let started = Instant::now();
        let logs = Arc::new(Logs::new());
        let shared = Arc::new(Shared {
            plan,
            addr,
            edge_addr,
            started,
            door: Arc::new(Door::new(logs.clone(), started)),
            logs,
            board: Board::default(),
            tokens: Tokens::default(),
            connections: AtomicU64::new(0),
            at_accept: AtomicU8::new(0),
            nobody: Account::new("", "").max_connections(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(server::accept(shared.clone(), listener, false));
        tasks.spawn(server::accept(shared.clone(), edge, true));
        tasks.spawn(sweep(shared.clone()));
        Ok(Self { shared, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// Where its second host listens, the one redirects of [`RedirectForm::OtherHost`](crate::RedirectForm) lead to.
    #[must_use]
    pub fn edge_addr(&self) -> SocketAddr {
        self.shared.edge_addr
    }

    /// `http://127.0.0.1:port`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.shared.addr)
    }

    /// The address of the login's list: `http://…/get.php?username=U&password=P&type=m3u_plus`; of the nameless login
    /// `http://…/list.m3u`. An Xtream client wants [`Provider::base_url`].
    #[must_use]
    pub fn m3u_url(&self, username: &str) -> String {
        if username.is_empty() {
            return format!("http://{}/list.m3u", self.shared.addr);
        }
        let password = self.password(username);
        format!(
            "http://{}/get.php?username={username}&password={password}&type=m3u_plus",
            self.shared.addr
        )
    }

    /// The address of a live stream: `http://…/live/U/P/ID.ts`, and `http://…/stream/ID.ts` of the nameless login "".
    /// An unknown account gives one that is refused.
    #[must_use]
    pub fn live_url(&self, username: &str, id: impl fmt::Display) -> String {
        self.stream_url("live", username, id, "ts")
    }

    /// The address of a live stream's HLS playlist: `http://…/live/U/P/ID.m3u8`.
    #[must_use]
    pub fn hls_url(&self, username: &str, id: impl fmt::Display) -> String {
        self.stream_url("live", username, id, "m3u8")
    }

    /// The address of a film: `http://…/movie/U/P/ID.mp4`.
    #[must_use]
    pub fn movie_url(&self, username: &str, id: impl fmt::Display) -> String {
        self.stream_url("movie", username, id, "mp4")
    }

    /// A login of the plan. The name "" stands for requests that named no account, or an unknown one.
    #[must_use]
    pub fn account(&self, username: &str) -> AccountHandle {
        AccountHandle {
            shared: self.shared.clone(),
            username: username.to_owned(),
        }
    }

    /// A live channel or a film, by the id in its address.
    #[must_use]
    pub fn stream(&self, id: impl fmt::Display) -> StreamHandle {
        StreamHandle {
            shared: self.shared.clone(),
            id: id.to_string(),
        }
    }

    /// Sets what becomes of new connections from now on.
    pub fn at_accept(&self, what: AtAccept) {
        self.shared.set_at_accept(what);
    }

    /// All accounts' logs, by username.
    #[must_use]
    pub fn logs(&self) -> HashMap<String, AccountLog> {
        self.shared.logs.all()
    }

    /// Ends it and waits until every socket is closed, so that its port is free again.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    fn stream_url(&self, kind: &str, username: &str, id: impl fmt::Display, extension: &str) -> String {
        if username.is_empty() {
            return format!("http://{}/stream/{id}.{extension}", self.shared.addr);
        }
        let password = self.password(username);
        format!(
            "http://{}/{kind}/{username}/{password}/{id}.{extension}",
            self.shared.addr
        )
    }
}

impl Provider {
    fn password(&self, username: &str) -> &str {
        self.shared.account(username).map_or("none", |a| &a.password)
    }
}

fn listen(at: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    // A provider that comes back at the address it had finds it free.
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket.into())?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

async fn sweep(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(SWEEP);
    loop {
        tick.tick().await;
        for account in shared.plan.accounts.iter().chain([shared.nobody()]) {
            shared.door.sweep(account);
        }
    }
}

/// One account: what it did, and what is done to it.
#[derive(Clone)]
pub struct AccountHandle {
    shared: Arc<Shared>,
    username: String,
}

impl AccountHandle {
    /// Stream sockets open now; see [`AccountLog::open_now`].
    #[must_use]
    pub fn open_now(&self) -> usize {
        self.shared.logs.read(&self.username, |log| log.open_now)
    }

    /// The most stream sockets there ever were at once.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.shared.logs.read(&self.username, |log| log.peak)
    }

    /// Connections turned away, or cut, at the limit.
    #[must_use]
    pub fn over_limit(&self) -> usize {
        self.shared.logs.read(&self.username, |log| log.over_limit)
    }

    /// Connections that count against the limit now, those that linger included.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.shared
            .account(&self.username)
            .map_or(0, |account| self.shared.door.counted(account))
    }

    /// Every request that named the account, lists and streams alike.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared
            .logs
            .read(&self.username, |log| log.requests.iter().cloned().collect())
    }

    /// Every end of a stream socket.
    #[must_use]
    pub fn closes(&self) -> Vec<Close> {
        self.shared
            .logs
            .read(&self.username, |log| log.closes.iter().cloned().collect())
    }

    /// A copy of the account's log.
    #[must_use]
    pub fn log(&self) -> AccountLog {
        self.shared.logs.read(&self.username, Clone::clone)
    }

    /// Returns as soon as `seen` is true of the account's log. The log stands still while `seen` looks: it must not ask
    /// this provider for anything.
    ///
    /// # Errors
    /// It did not become true within that time.
    pub async fn wait_until(
        &self,
        mut seen: impl FnMut(&AccountLog) -> bool,
        within: Duration,
    ) -> Result<(), TimedOut> {
        let mut changes = self.shared.logs.changes();
        let look = async {
            while !self.shared.logs.read(&self.username, &mut seen) {
                if changes.changed().await.is_err() {
                    // The bell lives as long as the log that `self` holds.
                    std::future::pending::<()>().await;
                }
            }
        };
        timeout(within, look)
            .await
            .map_err(|_elapsed| TimedOut { log: self.log() })
    }

    /// Sets a fault for every new stream request of the account; one of the same kind gives way.
    pub fn fault(&self, fault: Fault) {
        self.shared
            .board
            .set(Target::Account(self.username.clone()), fault, None);
    }

    /// Sets a fault for the next `times` stream requests.
    pub fn fault_times(&self, fault: Fault, times: u32) {
        self.shared
            .board
            .set(Target::Account(self.username.clone()), fault, Some(times));
    }

    /// Sets a fault for every list request of the account.
    pub fn list_fault(&self, fault: ListFault) {
        self.shared.board.set_list(&self.username, None, fault, None);
    }

    /// Sets a fault for requests of one list; it goes before one for all.
    pub fn list_fault_on(&self, list: List, fault: ListFault) {
        self.shared
            .board
            .set_list(&self.username, Some(list), fault, None);
    }

    /// Takes back all faults set for the account, lists' included.
    pub fn clear(&self) {
        self.shared.board.clear(&Target::Account(self.username.clone()));
        self.shared.board.clear_lists(&self.username);
    }

    /// Does something to all of the account's open streams at once.
    pub fn now(&self, now: Now) {
        self.shared.door.order(Some(&self.username), None, now);
    }
}

/// One stream, live or a file, whoever asks for it.
#[derive(Clone)]
pub struct StreamHandle {
    shared: Arc<Shared>,
    id: String,
}

impl StreamHandle {
    /// Sets a fault for every new request of the stream; one of the same kind gives way.
    pub fn fault(&self, fault: Fault) {
        self.shared
            .board
            .set(Target::Stream(self.id.clone()), fault, None);
    }

    /// Sets a fault for the next `times` requests.
    pub fn fault_times(&self, fault: Fault, times: u32) {
        self.shared
            .board
            .set(Target::Stream(self.id.clone()), fault, Some(times));
    }

    /// Takes back all faults set for the stream.
    pub fn clear(&self) {
        self.shared.board.clear(&Target::Stream(self.id.clone()));
    }

    /// Does something to all open connections of the stream at once.
    pub fn now(&self, now: Now) {
        self.shared.door.order(None, Some(&self.id), now);
    }
}
