//! Who is in: the stream sockets and HLS sessions of every account, the connection limit, and orders to those inside.
//! It tells the log; it writes nothing to a socket.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::fault::Now;
use crate::log::{Close, CloseReason, Logs, Open};
use crate::plan::{Account, OnLimit};

/// Up to so many sockets of an account are looked at whenever one more would be a new peak; beyond, only where the
/// limit depends on it, so that a benchmark of thousands does not pay for each.
const EXACT_PEAK_MAX: usize = 64;

/// What those inside are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    /// Nothing yet.
    Carry,
    /// The operator's word.
    Now(Now),
    /// Make room for a newer connection.
    Cut,
}

/// What the limit says to a new connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Admitted,
    Refused(u16),
    LimitClip,
}

struct Seat {
    connection: u64,
    stream: String,
    /// Counts against the limit; a refusal or a redirect on its way out does not.
    admitted: bool,
    bytes: Arc<AtomicU64>,
    orders: watch::Sender<Order>,
    kind: Kind,
}

enum Kind {
    Socket(Weak<TcpStream>),
    Hls { last_request: Instant },
}

#[derive(Default)]
struct Room {
    seats: Vec<Seat>,
    /// When each closed connection ceases to count.
    lingering: Vec<Instant>,
}

/// The rooms of all accounts.
pub(crate) struct Door {
    rooms: Mutex<HashMap<String, Room>>,
    logs: Arc<Logs>,
    started: Instant,
}

impl Door {
    pub(crate) fn new(logs: Arc<Logs>, started: Instant) -> Self {
        Self {
            rooms: Mutex::default(),
            logs,
            started,
        }
    }

    /// A stream request was read on `socket`: it counts from here on, whatever the verdict.
    pub(crate) fn enter(
        self: &Arc<Self>,
        account: &Account,
        stream: &str,
        connection: u64,
        socket: &Arc<TcpStream>,
    ) -> (Pass, Verdict) {
        let mut rooms = self.lock();
        let room = room_of(&mut rooms, &account.username);
        self.sweep_room(account, room, true);
        let bytes = Arc::new(AtomicU64::new(0));
        let (orders, watching) = watch::channel(Order::Carry);
        if let Some(reason) = ended(socket) {
            self.log_gone(account, stream, connection, reason);
            let pass = Pass {
                door: self.clone(),
                account: account.clone(),
                connection,
                bytes,
                orders: watching,
            };
            return (pass, Verdict::Admitted);
        }
        let verdict = self.judge(account, room);
        room.seats.push(Seat {
            connection,
            stream: stream.to_owned(),
            admitted: verdict == Verdict::Admitted,
            bytes: bytes.clone(),
            orders,
            kind: Kind::Socket(Arc::downgrade(socket)),
        });
        self.logs.open(
            &account.username,
            Open {
                at: self.started.elapsed(),
                connection,
                stream: stream.to_owned(),
            },
        );
        drop(rooms);
        let pass = Pass {
            door: self.clone(),
            account: account.clone(),
            connection,
            bytes,
            orders: watching,
        };
        (pass, verdict)
    }

    /// A client that had gone before its request was read. It may be the older one of two whose tasks ran in the other
    /// order, so it must not count beside the one its client made room for.
    fn log_gone(&self, account: &Account, stream: &str, connection: u64, reason: CloseReason) {
        let at = self.started.elapsed();
        let open = Open {
            at,
            connection,
            stream: stream.to_owned(),
        };
        let close = Close {
            at,
            connection,
            stream: stream.to_owned(),
            reason,
            bytes: 0,
        };
        self.logs.gone(&account.username, open, close);
    }

    /// An HLS request: it opens the session of that account and stream, or keeps it open.
    pub(crate) fn touch_hls(&self, account: &Account, stream: &str, connection: u64) -> Verdict {
        let mut rooms = self.lock();
        let room = room_of(&mut rooms, &account.username);
        self.sweep_room(account, room, true);
        let now = Instant::now();
        for seat in room.seats.iter_mut().filter(|s| s.stream == stream) {
            if let Kind::Hls { last_request } = &mut seat.kind {
                *last_request = now;
                return Verdict::Admitted;
            }
        }
        let verdict = self.judge(account, room);
        if verdict == Verdict::Admitted {
            room.seats.push(Seat {
                connection,
                stream: stream.to_owned(),
                admitted: true,
                bytes: Arc::default(),
                orders: watch::Sender::new(Order::Carry),
                kind: Kind::Hls { last_request: now },
            });
            self.logs.open(
                &account.username,
                Open {
                    at: self.started.elapsed(),
                    connection,
                    stream: stream.to_owned(),
                },
            );
        }
        verdict
    }

    /// Orders every open connection of the account, or of the stream.
    pub(crate) fn order(&self, account: Option<&str>, stream: Option<&str>, now: Now) {
        for (name, room) in self.lock().iter() {
            if account.is_some_and(|wanted| wanted != name) {
                continue;
            }
            for seat in room
                .seats
                .iter()
                .filter(|s| stream.is_none_or(|wanted| wanted == s.stream))
            {
                seat.orders.send_replace(Order::Now(now));
            }
        }
    }

    /// Connections that count against the limit now.
    pub(crate) fn counted(&self, account: &Account) -> usize {
        let mut rooms = self.lock();
        let room = room_of(&mut rooms, &account.username);
        self.sweep_room(account, room, true);
        counted(room)
    }

    /// Ends what has ended: idle HLS sessions, and sockets whose FIN or RST is there.
    pub(crate) fn sweep(&self, account: &Account) {
        if let Some(room) = self.lock().get_mut(&account.username) {
            self.sweep_room(account, room, false);
        }
    }

    fn judge(&self, account: &Account, room: &mut Room) -> Verdict {
        let limit = usize::try_from(account.max_connections).unwrap_or(usize::MAX);
        if limit == 0 || counted(room) < limit {
            return Verdict::Admitted;
        }
        self.logs.over_limit(&account.username);
        match account.on_limit {
            OnLimit::Refuse { status } => Verdict::Refused(status),
            OnLimit::Clip => Verdict::LimitClip,
            OnLimit::CutOldest => {
                if let Some(at) = room.seats.iter().position(|s| s.admitted) {
                    let seat = room.seats.remove(at);
                    seat.orders.send_replace(Order::Cut);
                    self.log_close(&account.username, &seat, CloseReason::Cut);
                }
                Verdict::Admitted
            }
        }
    }

    fn sweep_room(&self, account: &Account, room: &mut Room, arriving: bool) {
        let now = Instant::now();
        room.lingering.retain(|until| *until > now);
        let at_limit = account.max_connections != 0
            && counted(room) >= usize::try_from(account.max_connections).unwrap_or(usize::MAX);
        let peek = arriving && (room.seats.len() <= EXACT_PEAK_MAX || at_limit);
        let mut ended = Vec::new();
        room.seats
            .retain_mut(|seat| match ending(seat, account, now, peek) {
                None => true,
                Some(reason) => {
                    ended.push(seat.admitted);
                    self.log_close(&account.username, seat, reason);
                    false
                }
            });
        linger(
            room,
            account,
            ended.into_iter().filter(|admitted| *admitted).count(),
            now,
        );
    }

    fn leave(&self, account: &Account, connection: u64, reason: Option<CloseReason>) {
        let mut rooms = self.lock();
        let Some(room) = rooms.get_mut(&account.username) else {
            return;
        };
        // Not there: it was cut, or its FIN was seen at the door before its own task read it.
        let Some(at) = room
            .seats
            .iter()
            .position(|s| s.connection == connection && matches!(s.kind, Kind::Socket(_)))
        else {
            return;
        };
        let seat = room.seats.remove(at);
        if seat.admitted {
            linger(room, account, 1, Instant::now());
        }
        self.log_close(&account.username, &seat, reason.unwrap_or(CloseReason::Rst));
    }

    fn admit(&self, account: &Account, connection: u64, admitted: bool) {
        if let Some(room) = self.lock().get_mut(&account.username) {
            for seat in room.seats.iter_mut().filter(|s| s.connection == connection) {
                seat.admitted = admitted;
            }
        }
    }

    fn log_close(&self, account: &str, seat: &Seat, reason: CloseReason) {
        let close = Close {
            at: self.started.elapsed(),
            connection: seat.connection,
            stream: seat.stream.clone(),
            reason,
            bytes: seat.bytes.load(Ordering::Relaxed),
        };
        self.logs.close(account, close);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Room>> {
        // Every change leaves the rooms whole, so a panic elsewhere does not spoil them.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn room_of<'a>(rooms: &'a mut HashMap<String, Room>, account: &str) -> &'a mut Room {
    rooms.entry(account.to_owned()).or_default()
}

fn counted(room: &Room) -> usize {
    room.seats.iter().filter(|s| s.admitted).count() + room.lingering.len()
}

fn linger(room: &mut Room, account: &Account, connections: usize, now: Instant) {
    if account.lingering > Duration::ZERO {
        room.lingering
            .extend(std::iter::repeat_n(now + account.lingering, connections));
    }
}

fn ending(seat: &Seat, account: &Account, now: Instant, peek: bool) -> Option<CloseReason> {
    match &seat.kind {
        Kind::Hls { last_request } => {
            (now.duration_since(*last_request) >= account.hls_idle).then_some(CloseReason::Idle)
        }
        Kind::Socket(socket) if peek => socket.upgrade().and_then(|socket| ended(&socket)),
        Kind::Socket(_) => None,
    }
}

/// Whether FIN or RST has arrived. Asks the kernel and not the runtime: what a client did before it made its next
/// connection has to be known when that one is judged, whichever task runs first.
fn ended(socket: &TcpStream) -> Option<CloseReason> {
    let mut one = [MaybeUninit::<u8>::uninit(); 1];
    match SockRef::from(socket).peek(&mut one) {
        Ok(0) => Some(CloseReason::ClientFin),
        Ok(_) => None,
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => None,
        Err(_) => Some(CloseReason::ClientRst),
    }
}

/// One stream socket's stay. Dropped without [`Pass::leave`] it leaves all the same.
pub(crate) struct Pass {
    door: Arc<Door>,
    account: Account,
    connection: u64,
    /// Body bytes written.
    pub(crate) bytes: Arc<AtomicU64>,
    /// What it is told to do.
    pub(crate) orders: watch::Receiver<Order>,
}

impl Pass {
    /// Ceases to count against the limit while it is still open: it gets no stream.
    pub(crate) fn give_up_place(&self) {
        self.door.admit(&self.account, self.connection, false);
    }

    pub(crate) fn leave(self, reason: CloseReason) {
        self.door.leave(&self.account, self.connection, Some(reason));
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.door.leave(&self.account, self.connection, None);
    }
}
