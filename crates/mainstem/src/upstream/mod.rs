//! Open connections to streams at the providers: an address and a slot in, bytes out.
//!
//! Lives here: the HTTP requests of streams and lists ([`http`]), what kind of answer came ([`sniff`]), which addresses
//! cannot be asked at all ([`unsupported`](mod@unsupported)), which of two is asked ([`ways`]), where the past is kept
//! ([`catchup`]), which part of a file is meant ([`range`]), stream titles ([`icy`], [`titles`]), and one reader for each
//! kind: [`progressive`] transport streams, raw [`radio`], [`hls`], streams in [datagrams](mod@datagram), the built-in
//! [`card`], and [files](mod@file).
//! Does not live here: which stream is opened, who watches, what is inside a transport stream.

pub mod answer;
mod body;
pub mod card;
pub mod catchup;
pub mod datagram;
pub mod file;
pub mod hls;
pub mod http;
pub mod icy;
pub mod open;
pub mod progressive;
pub mod radio;
pub mod range;
pub mod sniff;
mod socket;
mod status_line;
mod tail;
pub mod titles;
pub mod tls;
pub mod unsupported;
pub mod ways;

use std::time::Duration;

use relay::{Failure, Input};

/// An open stream of any kind, for a broadcast.
pub enum Upstream {
    /// A transport stream over one endless response.
    Progressive(Box<progressive::Progressive>),
    /// Raw sound over one endless response, made a transport stream.
    Radio(Box<radio::Radio>),
    /// Segments of a live playlist.
    Hls(Box<hls::HlsUpstream>),
    /// A transport stream over UDP or RTP.
    Datagrams(Box<datagram::Datagrams>),
    /// The built-in test card.
    Card(card::Card),
}

impl relay::Upstream for Upstream {
    async fn read(&mut self) -> Result<Input, Failure> {
        match self {
            Self::Progressive(progressive) => progressive.read().await,
            Self::Radio(radio) => radio.read().await,
            Self::Hls(hls) => hls.read().await,
            Self::Datagrams(datagrams) => datagrams.read().await,
            Self::Card(card) => Ok(card.read()),
        }
    }

    fn set_watched(&mut self, watched: bool) {
        match self {
            Self::Progressive(progressive) => progressive.set_watched(watched),
            Self::Radio(radio) => radio.set_watched(watched),
            Self::Hls(hls) => hls.set_watched(watched),
            Self::Datagrams(_) | Self::Card(_) => {}
        }
    }

    fn burst(&self) -> Duration {
        match self {
            Self::Hls(hls) => hls.burst(),
            Self::Progressive(_) | Self::Radio(_) | Self::Datagrams(_) | Self::Card(_) => Duration::ZERO,
        }
    }

    fn looks_from_now_on(&mut self) -> bool {
        match self {
            Self::Progressive(progressive) => {
                progressive.looks_from_now_on();
                true
            }
            // The system keeps too little of one in datagrams for it to be looked at now and then.
            Self::Radio(_) | Self::Hls(_) | Self::Datagrams(_) | Self::Card(_) => false,
        }
    }

    fn look(&mut self) -> Option<Result<Input, Failure>> {
        match self {
            Self::Progressive(progressive) => progressive.look(),
            Self::Radio(_) | Self::Hls(_) | Self::Datagrams(_) | Self::Card(_) => None,
        }
    }

    async fn taken_back(&mut self) -> Failure {
        match self {
            Self::Progressive(progressive) => progressive.taken_back().await,
            Self::Radio(_) | Self::Hls(_) | Self::Datagrams(_) | Self::Card(_) => {
                std::future::pending().await
            }
        }
    }

    fn take_over(&mut self) {
        match self {
            Self::Progressive(progressive) => progressive.promote(),
            Self::Radio(radio) => radio.promote(),
            Self::Hls(hls) => hls.promote(),
            Self::Datagrams(_) | Self::Card(_) => {}
        }
    }
}
