//! Transport streams over UDP, with RTP or without: multicast groups, and what is sent to a port of this machine.
//!
//! Nobody counts connections there: a group is joined beside any number of others, and no slot is taken. What the
//! datagrams hold is [`mpegts::rtp`]'s to say.
//!
//! A list may come from somebody who is not trusted with this machine. To join a group opens nothing: only what the
//! network carries anyway is heard. To listen at a port lets everybody who reaches it put pictures into a channel, and
//! keeps the port from a program that may want it: the operator has to permit that ([`Rules`]).

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use bytes::Bytes;
use mpegts::rtp::{Came, Receiver};
use relay::{Failure, FailureClass, Input};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use tracing::debug;

use super::open::Target;
use crate::config::{Origin, SourceConfig};

/// Said of an address that cannot be read.
const FORM: &str = "UDP and RTP addresses are understood as udp://@239.1.1.1:1234 or rtp://@239.1.1.1:5004, with an IPv4 \
                    address in numbers";

/// Said of ports of the system's own services.
const LOW_PORT: &str = "UDP and RTP addresses with a port below 1024 are not listened at";

/// Said of 224.0.0.0/24 (RFC 5771 clause 4).
const NETWORKS_OWN: &str = "UDP and RTP groups 224.0.0.x are the network's own";

/// Schemes, and the port that players take where the address names none.
const SCHEMES: [(&str, u16); 2] = [("udp", 1234), ("rtp", 5004)];

/// The first port that is not one of the system's own services (RFC 6335 clause 6).
const PORT_MIN: u16 = 1024;

/// Senders of one group that an address may name: as many as Linux takes in one socket, and a little less.
const SOURCES_MAX: usize = 8;

/// What the system is asked to keep until it is read. It gives what its own limit allows.
const KEPT_BYTES: usize = 4 << 20;

/// The longest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// Datagrams read at a time: half a megabyte of the usual ones.
const DATAGRAMS_AT_ONCE: usize = 400;

/// Opens a stream that comes in datagrams: it takes no connection. `None` where the target is of another kind.
pub async fn open(target: &Target, within: Duration) -> Option<Result<Datagrams, Failure>> {
    let address = Address::parse(target.url.expose())?;
    Some(match address {
        Ok(address) => address.open(target.datagrams, within).await,
        Err(reason) => Err(Failure::new(FailureClass::Unusable, reason)),
    })
}

/// Why an address is no file that could be asked for, where it leads to datagrams.
pub(super) fn no_request(url: &str) -> Option<&'static str> {
    Address::parse(url).map(|_| "UDP and RTP addresses lead to streams, not to files")
}

/// What an operator permits and prefers, for one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether a port of this machine may be listened at.
    pub listens: bool,
    /// The address of the interface at which groups are joined; absent: as the entry says, else as the system chooses.
    pub interface: Option<Ipv4Addr>,
}

impl Rules {
    /// As a source is configured. What stands in a file on this machine is taken for the operator's own word.
    #[must_use]
    pub fn of(config: &SourceConfig) -> Self {
        let is_file = matches!(config.origin, Origin::M3uFile(_));
        Self {
            listens: config.udp_listen.unwrap_or(is_file),
            interface: config.multicast_interface,
        }
    }
}

/// Where datagrams come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A group, or an address of this machine.
    at: Ipv4Addr,
    port: u16,
    /// Whose datagrams are wanted; empty: everybody's.
    sources: Vec<Ipv4Addr>,
    /// Where a group is joined, as the entry says (`localaddr`).
    local: Option<Ipv4Addr>,
}

impl Address {
    /// Reads an address as players write it: `udp://@group:port`, `rtp://source@group:port`, `udp://@:port`, with
    /// `localaddr` and `sources` in the query as ffmpeg has them. `None` where it is of another kind.
    ///
    /// # Errors
    /// Why it cannot be used, for people.
    pub fn parse(url: &str) -> Option<Result<Self, &'static str>> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let (_, port) = SCHEMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(scheme))?;
        Some(Self::parse_rest(rest, *port))
    }

    fn parse_rest(rest: &str, port: u16) -> Result<Self, &'static str> {
        let rest = rest.split('#').next().unwrap_or_default();
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let place = place.split('/').next().unwrap_or_default();
        let (source, place) = place.rsplit_once('@').unwrap_or(("", place));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, text)) => (host, text.parse().map_err(|_| FORM)?),
            None => (place, port),
        };
        let mut address = Self {
            at: match host {
                "" => Ipv4Addr::UNSPECIFIED,
                host => host.parse().map_err(|_| FORM)?,
            },
            port,
            sources: Vec::new(),
            local: None,
        };
        address.add_sources(source)?;
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("localaddr", local)) => address.local = Some(local.parse().map_err(|_| FORM)?),
                Some(("sources", sources)) => address.add_sources(sources)?,
                // How large things are, and how long they may take, is not the list's to say.
                _ => {}
            }
        }
        match address {
            _ if place.is_empty() || address.sources.len() > SOURCES_MAX => Err(FORM),
            Self { port, .. } if port < PORT_MIN => Err(LOW_PORT),
            Self { at, .. } if at.octets().starts_with(&[224, 0, 0]) => Err(NETWORKS_OWN),
            address => Ok(address),
        }
    }

    fn add_sources(&mut self, sources: &str) -> Result<(), &'static str> {
        for source in sources.split(',').filter(|source| !source.is_empty()) {
            self.sources.push(source.parse().map_err(|_| FORM)?);
        }
        Ok(())
    }

    /// Joins the group, or listens at the port, and waits until a transport stream comes in.
    ///
    /// # Errors
    /// When that is not permitted, the system refuses, or nothing, or nothing that can be played, comes in time.
    pub async fn open(&self, rules: Rules, within: Duration) -> Result<Datagrams, Failure> {
        let socket = self.socket(rules)?;
        let mut datagrams = Datagrams {
            socket,
            sources: self.sources.clone(),
            receiver: Receiver::default(),
            buffer: vec![0; DATAGRAM_BYTES_MAX].into(),
            ready: VecDeque::new(),
        };
        match timeout(within, datagrams.fill()).await {
            Ok(filled) => filled.map(|()| datagrams),
            Err(_) => Err(datagrams.silence(within)),
        }
    }

    fn socket(&self, rules: Rules) -> Result<UdpSocket, Failure> {
        let is_group = self.at.is_multicast();
        if !is_group && !rules.listens {
            let text = "to listen at a UDP port of this machine, `udp_listen: true` is needed at the source";
            return Err(Failure::new(FailureClass::Unusable, text));
        }
        let broken = |error: io::Error| {
            let text = format!("no UDP socket could be made: {error}");
            Failure::new(FailureClass::Transient, text)
        };
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).map_err(broken)?;
        socket.set_nonblocking(true).map_err(broken)?;
        if let Err(error) = socket.set_recv_buffer_size(KEPT_BYTES) {
            debug!(%error, "the system keeps as much of a stream as it likes");
        }
        if is_group {
            // Several may listen to a group. Of a port only the last one would get what comes: there it stays exclusive.
            socket.set_reuse_address(true).map_err(broken)?;
            // A group that another program joined is no news here.
            #[cfg(target_os = "linux")]
            socket.set_multicast_all_v4(false).map_err(broken)?;
        }
        let at = match self.local {
            Some(local) if self.at.is_unspecified() => local,
            _ => self.at,
        };
        // At the group and not at every address: what is sent to the port otherwise is another's.
        let bound = socket.bind(&SocketAddr::V4(SocketAddrV4::new(at, self.port)).into());
        bound.map_err(|error| unbound(&error))?;
        if is_group {
            let interface = rules.interface.or(self.local);
            self.join(&socket, interface)
                .map_err(|error| unjoined(interface, &error))?;
        }
        UdpSocket::from_std(socket.into()).map_err(broken)
    }

    /// The group is left when the socket is closed.
    fn join(&self, socket: &Socket, interface: Option<Ipv4Addr>) -> io::Result<()> {
        let interface = interface.unwrap_or(Ipv4Addr::UNSPECIFIED);
        if self.sources.is_empty() {
            return socket.join_multicast_v4(&self.at, &interface);
        }
        let mut sources = self.sources.iter();
        sources.try_for_each(|source| socket.join_ssm_v4(source, &self.at, &interface))
    }
}

fn unbound(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::AddrInUse => {
            let text = "the UDP port is used by another program, or by another channel";
            Failure::new(FailureClass::Transient, text)
        }
        ErrorKind::AddrNotAvailable => {
            let text = "the UDP address is neither a multicast group nor an address of this machine";
            Failure::new(FailureClass::Unusable, text)
        }
        _ => Failure::new(
            FailureClass::Transient,
            format!("the UDP port could not be listened at: {error}"),
        ),
    }
}

fn unjoined(interface: Option<Ipv4Addr>, error: &io::Error) -> Failure {
    let at = match interface {
        Some(interface) => format!("at the interface {interface}"),
        None => "where the system would (see `multicast_interface`)".to_owned(),
    };
    let text = format!("the multicast group could not be joined {at}: {error}");
    Failure::new(FailureClass::Transient, text)
}

/// A stream that comes in datagrams. Dropping it closes the socket, and leaves the group.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    sources: Vec<Ipv4Addr>,
    receiver: Receiver<SocketAddr>,
    buffer: Box<[u8]>,
    ready: VecDeque<Input>,
}

impl Datagrams {
    /// The next packets. Cancel-safe.
    ///
    /// # Errors
    /// When the socket breaks. A sender who falls silent is no error here: it is seen as of any other stream.
    pub async fn read(&mut self) -> Result<Input, Failure> {
        loop {
            if let Some(input) = self.ready.pop_front() {
                return Ok(input);
            }
            self.fill().await?;
        }
    }

    /// Waits until there is something to be read.
    async fn fill(&mut self) -> Result<(), Failure> {
        while self.ready.is_empty() {
            // What nobody wants may come as fast as it is read: others have their turn all the same.
            tokio::task::coop::consume_budget().await;
            let read = match self.socket.readable().await {
                Ok(()) => self.gather(),
                Err(error) => Err(error),
            };
            read.map_err(|error| {
                let text = format!("the UDP socket broke: {error}");
                Failure::new(FailureClass::Transient, text)
            })?;
        }
        Ok(())
    }

    /// Takes what has come.
    fn gather(&mut self) -> io::Result<()> {
        let mut out = Vec::new();
        for _ in 0..DATAGRAMS_AT_ONCE {
            let (length, from) = match self.socket.try_recv_from(&mut self.buffer) {
                Ok(came) => came,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            if !self.is_wanted(from.ip()) {
                continue;
            }
            let before = out.len();
            let datagram = self.buffer.get(..length).unwrap_or_default();
            if self.receiver.push(from, datagram, &mut out) == Came::OtherSender {
                let of_other = out.split_off(before);
                self.is_ready(std::mem::replace(&mut out, of_other));
                self.ready.push_back(Input::Restart);
            }
        }
        self.is_ready(out);
        Ok(())
    }

    fn is_ready(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.ready.push_back(Input::Bytes(Bytes::from(bytes)));
        }
    }

    fn is_wanted(&self, from: IpAddr) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|source| IpAddr::V4(*source) == from)
    }

    /// Why nothing came that can be played.
    fn silence(&self, within: Duration) -> Failure {
        let within = within.as_secs();
        if let Some(number) = self.receiver.other_payload() {
            let text = format!("RTP without a transport stream in it comes in (payload type {number})");
            return Failure::new(FailureClass::Unusable, text);
        }
        if self.receiver.counts().foreign > 0 {
            let text = "what comes in over UDP is no transport stream";
            return Failure::new(FailureClass::Unusable, text);
        }
        let text = format!("opened, but no datagram came within {within} s");
        Failure::new(FailureClass::Transient, text)
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        let counts = self.receiver.counts();
        debug!(counts.lost, counts.late, counts.foreign, "datagrams end");
    }
}

#[cfg(test)]
mod tests;
