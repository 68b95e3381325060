//! The tail of a connection whose answer has no end of its own (RFC 9112 §6.3, rule 8): its bytes are the stream's, and
//! the HTTP library has nothing left to say about them. Tuners and most restreamers answer so.
//!
//! It is looked at, never waited for. All streams of a worker are read into the same memory, which is warm then.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::net::TcpStream;
use std::task::{Poll, ready};

use bytes::{Bytes, BytesMut};

use super::http::HttpError;
use super::socket::{LOOK_BYTES, at_once};

thread_local! {
    /// Where the next look reads to. Who has looked before has done with it by then, or else keeps it and it is replaced.
    static SPACE: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// What is left of a connection.
#[derive(Debug)]
pub(super) struct Tail {
    /// What the library had read already, in order.
    before: VecDeque<Result<Option<Bytes>, HttpError>>,
    /// Fails until it is dropped where the socket could not be had.
    socket: io::Result<TcpStream>,
    /// The last look found less than there was room for: the next one would find nothing.
    is_drained: bool,
}

impl Tail {
    /// `before` and `buffered` come before what `socket` has.
    pub(super) fn new(
        mut before: VecDeque<Result<Option<Bytes>, HttpError>>,
        buffered: Bytes,
        socket: io::Result<TcpStream>,
    ) -> Self {
        if !buffered.is_empty() {
            before.push_back(Ok(Some(buffered)));
        }
        Self {
            before,
            socket,
            is_drained: false,
        }
    }

    /// What is there; `None` at the end. `Pending` wakes nobody: whoever reads looks again.
    pub(super) fn look(&mut self) -> Poll<Result<Option<Bytes>, HttpError>> {
        if let Some(before) = self.before.pop_front() {
            return Poll::Ready(before);
        }
        if std::mem::take(&mut self.is_drained) {
            return Poll::Pending;
        }
        let bytes = ready!(self.read()).map_err(|error| HttpError::Broken(error.to_string()))?;
        // An end is no lack of more.
        self.is_drained = !bytes.is_empty() && bytes.len() < LOOK_BYTES;
        Poll::Ready(Ok(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    fn read(&mut self) -> Poll<io::Result<Bytes>> {
        let socket = match &mut self.socket {
            Ok(socket) => socket,
            Err(error) => return Poll::Ready(Err(error.kind().into())),
        };
        SPACE.with_borrow_mut(|space| {
            space.resize(LOOK_BYTES, 0);
            let read = ready!(at_once(|| socket.read(space)))?;
            let bytes = space.split_to(read).freeze();
            space.clear();
            Poll::Ready(Ok(bytes))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Write as _};
    use std::net::TcpListener;

    fn pair() -> (Tail, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ours.set_nonblocking(true).unwrap();
        let before = VecDeque::from([Ok(Some(Bytes::from_static(b"read ")))]);
        let tail = Tail::new(before, Bytes::from_static(b"buffered "), Ok(ours));
        (tail, listener.accept().unwrap().0)
    }

    /// Looks until something is there.
    fn next(tail: &mut Tail) -> Result<Option<Bytes>, HttpError> {
        loop {
            if let Poll::Ready(seen) = tail.look() {
                return seen;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn all_comes_in_order_to_the_end_and_what_is_kept_stays_what_it_was() {
        let (mut tail, mut provider) = pair();
        let sent: Vec<u8> = (0..1_000_000u32)
            .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
            .collect();
        let sends = std::thread::spawn({
            let sent = sent.clone();
            move || provider.write_all(&sent)
        });
        let mut kept = Vec::new();
        while let Some(bytes) = next(&mut tail).unwrap() {
            assert!(bytes.len() <= LOOK_BYTES);
            kept.push(bytes);
        }
        sends.join().unwrap().unwrap();
        assert!(kept.concat() == [&b"read buffered "[..], &sent].concat());
    }

    #[test]
    fn streams_of_a_worker_do_not_write_over_each_other() {
        let (mut one, mut first) = pair();
        let (mut other, mut second) = pair();
        first.write_all(&[1; 1_000]).unwrap();
        second.write_all(&[2; 1_000]).unwrap();
        let mut seen = Vec::new();
        for tail in [&mut one, &mut other] {
            next(tail).unwrap();
            next(tail).unwrap();
        }
        for _ in 0..2 {
            seen.push((next(&mut one).unwrap().unwrap(), 1));
            seen.push((next(&mut other).unwrap().unwrap(), 2));
            first.write_all(&[1; 500]).unwrap();
            second.write_all(&[2; 500]).unwrap();
        }
        for (bytes, whose) in seen {
            assert!(bytes.iter().all(|byte| *byte == whose));
        }
    }

    #[test]
    fn nothing_there_is_no_end_and_a_reset_is_no_end_either() {
        let (mut tail, provider) = pair();
        next(&mut tail).unwrap();
        next(&mut tail).unwrap();
        assert!(tail.look().is_pending());
        socket2::SockRef::from(&provider)
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap();
        drop(provider);
        assert!(matches!(next(&mut tail), Err(HttpError::Broken(_))));
    }

    #[test]
    fn a_socket_that_could_not_be_had_fails() {
        let mut tail = Tail::new(VecDeque::new(), Bytes::new(), Err(ErrorKind::Unsupported.into()));
        assert!(matches!(next(&mut tail), Err(HttpError::Broken(_))));
    }
}
