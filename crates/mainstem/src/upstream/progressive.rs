//! One endless response that is a transport stream.

use bytes::Bytes;
use relay::{Failure, FailureClass, Input};

use super::http::{Body, HttpError};
use super::icy::TitleReader;
use super::titles::Teller;
use crate::slot::Purpose;

/// A transport stream over HTTP, with the bytes that were read to know it as one.
#[derive(Debug)]
pub struct Progressive {
    head: Option<Bytes>,
    body: Body,
    titles: Option<(TitleReader, Teller)>,
}

impl Progressive {
    /// `head` was read from `body` already. Where titles stand between the bytes, they are taken out and told.
    #[must_use]
    pub fn new(head: Bytes, body: Body, titles: Option<(TitleReader, Teller)>) -> Self {
        Self {
            head: Some(head).filter(|head| !head.is_empty()),
            body,
            titles,
        }
    }

    /// The next bytes. Cancel-safe.
    ///
    /// # Errors
    /// When the response ends, breaks, or its connection is taken back.
    pub async fn read(&mut self) -> Result<Input, Failure> {
        if let Some(head) = self.head.take() {
            return Ok(Input::Bytes(self.without_titles(head)));
        }
        match self.body.read_unless_revoked().await {
            None => Err(taken_back()),
            Some(read) => self.input(read),
        }
    }

    /// What has come, at once.
    pub fn look(&mut self) -> Option<Result<Input, Failure>> {
        if let Some(head) = self.head.take() {
            return Some(Ok(Input::Bytes(self.without_titles(head))));
        }
        if self.body.is_revoked() {
            return Some(Err(taken_back()));
        }
        let read = self.body.look()?;
        Some(self.input(read))
    }

    /// Resolves when the connection is taken back. Cancel-safe.
    pub async fn taken_back(&self) -> Failure {
        self.body.revoked().await;
        taken_back()
    }

    fn input(&mut self, read: Result<Option<Bytes>, HttpError>) -> Result<Input, Failure> {
        match read {
            Ok(Some(bytes)) => Ok(Input::Bytes(self.without_titles(bytes))),
            Ok(None) => Err(Failure::new(
                FailureClass::Transient,
                "the provider ended the stream",
            )),
            Err(error) => Err(error.into()),
        }
    }

    fn without_titles(&mut self, bytes: Bytes) -> Bytes {
        let Some((reader, teller)) = &mut self.titles else {
            return bytes;
        };
        let (bytes, title) = reader.push(bytes);
        if let Some(title) = title {
            teller.tell(&title);
        }
        bytes
    }

    /// It is looked at from now on, and not read.
    pub fn looks_from_now_on(&mut self) {
        self.body.looks_from_now_on();
    }

    /// Makes the connection one that carries viewers.
    pub fn promote(&mut self) {
        if let Some(slot) = self.body.slot_mut() {
            slot.promote(Purpose::Live);
        }
    }

    /// Says whether anybody watches.
    pub fn set_watched(&mut self, watched: bool) {
        if let Some(slot) = self.body.slot_mut() {
            slot.set_watched(watched);
        }
    }
}

/// The failure of a connection that somebody else needs more.
#[must_use]
pub fn taken_back() -> Failure {
    Failure::new(FailureClass::Revoked, "the connection was needed more elsewhere")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::{Login, Place, Pools, Wish};
    use crate::upstream::http::{Client, Request};
    use catalog::SourceName;
    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::timeout;
    use tokio_rustls::TlsAcceptor;

    const SOON: Duration = Duration::from_secs(20);

    fn wish() -> Wish {
        let source = SourceName::new("s");
        let place = Place {
            login: Login::of_entry(None, &source, "http://provider.example/live.ts"),
            limit: 1,
            release_delay: Duration::ZERO,
        };
        Wish::at(place, source, Purpose::Live)
    }

    /// A TLS server whose certificate nobody trusts.
    fn server() -> TlsAcceptor {
        let certificate = include_bytes!("../../tests/support/tls/server.pem");
        let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
        let key = include_bytes!("../../tests/support/tls/server.key");
        let key = PrivateKeyDer::from_pem_slice(key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// How a provider answers.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Form {
        /// Until the connection ends.
        Plain,
        Chunked,
        Tls,
    }

    impl Form {
        fn framed(self, bytes: &[u8]) -> Vec<u8> {
            match self {
                Self::Plain | Self::Tls => bytes.to_vec(),
                Self::Chunked => [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat(),
            }
        }

        fn end(self) -> &'static [u8] {
            match self {
                Self::Plain | Self::Tls => b"",
                Self::Chunked => b"0\r\n\r\n",
            }
        }
    }

    trait Connection: AsyncRead + AsyncWrite + Unpin {}
    impl<T: AsyncRead + AsyncWrite + Unpin> Connection for T {}

    /// A stream that is looked at, and the provider's end of it.
    async fn looked_at(pools: &Pools, form: Form) -> (Progressive, Box<dyn Connection>) {
        let (mut stream, provider) = open(pools, form).await;
        stream.looks_from_now_on();
        (stream, provider)
    }

    /// A stream that has been opened, and the provider's end of it.
    async fn open(pools: &Pools, form: Form) -> (Progressive, Box<dyn Connection>) {
        let slot = pools.acquire(wish(), SOON).await.unwrap();
        let provider = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if form == Form::Tls { "https" } else { "http" };
        let url = format!("{scheme}://{}/", provider.local_addr().unwrap());
        let client = Client::new(SOON, 0).unwrap();
        let answer = async {
            let socket = provider.accept().await.unwrap().0;
            let mut socket: Box<dyn Connection> = match form {
                Form::Tls => Box::new(server().accept(socket).await.unwrap()),
                Form::Plain | Form::Chunked => Box::new(socket),
            };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            let head: &[u8] = match form {
                Form::Chunked => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                Form::Plain | Form::Tls => b"HTTP/1.1 200 OK\r\n\r\n",
            };
            let answer = [head, &form.framed(b"first")].concat();
            socket.write_all(&answer).await.unwrap();
            socket.flush().await.unwrap();
            socket
        };
        let mut request = Request::get(&url, SOON).unwrap();
        request.insecure_tls = true;
        let request = client.send(request, Some(slot));
        let (response, socket) = tokio::join!(request, answer);
        let stream = Progressive::new(Bytes::from_static(b"head "), response.unwrap().body, None);
        (stream, socket)
    }

    /// Looks until there is something.
    async fn next(stream: &mut Progressive) -> Result<Input, Failure> {
        let look = async {
            loop {
                if let Some(seen) = stream.look() {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(SOON, look).await.unwrap()
    }

    async fn take(stream: &mut Progressive, expected: &[u8]) {
        let mut all = Vec::new();
        while all.len() < expected.len() {
            match next(stream).await.unwrap() {
                Input::Bytes(bytes) => all.extend_from_slice(&bytes),
                Input::Restart => panic!("nothing begins anew"),
            }
        }
        assert_eq!(all, expected);
    }

    #[tokio::test]
    async fn a_stream_that_is_looked_at_has_all_that_comes_however_it_is_framed() {
        for form in [Form::Plain, Form::Chunked, Form::Tls] {
            has_all_that_comes(form).await;
        }
    }

    async fn has_all_that_comes(form: Form) {
        let pools = Pools::new(1);
        let (mut stream, mut provider) = looked_at(&pools, form).await;
        take(&mut stream, b"head first").await;
        assert!(stream.look().is_none());
        for piece in [&b"second"[..], &[b'x'; 100_000], b"last"] {
            provider.write_all(&form.framed(piece)).await.unwrap();
            provider.flush().await.unwrap();
            take(&mut stream, piece).await;
        }
        provider.write_all(form.end()).await.unwrap();
        drop(provider);
        let end = next(&mut stream).await.unwrap_err();
        assert_eq!(end.class, FailureClass::Transient);
        drop(stream);
        assert_eq!(pools.usage().total, 0);
    }

    #[tokio::test]
    async fn a_stream_that_ended_before_it_is_looked_at_has_its_last_bytes_and_its_end() {
        for form in [Form::Plain, Form::Chunked] {
            let pools = Pools::new(1);
            let (mut stream, mut provider) = open(&pools, form).await;
            provider.write_all(form.end()).await.unwrap();
            drop(provider);
            // The library reads on until the end, while nobody has taken what came before it.
            for expected in [&b"head "[..], b"first"] {
                let read = timeout(SOON, stream.read()).await.unwrap().unwrap();
                assert!(
                    matches!(&read, Input::Bytes(bytes) if bytes == expected),
                    "{read:?}"
                );
            }
            stream.looks_from_now_on();
            let end = next(&mut stream).await.unwrap_err();
            assert_eq!(end.class, FailureClass::Transient, "{form:?}");
        }
    }

    #[tokio::test]
    async fn a_stream_that_is_looked_at_hears_that_its_connection_is_needed_elsewhere() {
        let pools = Pools::new(1);
        let (mut stream, _provider) = looked_at(&pools, Form::Tls).await;
        take(&mut stream, b"head first").await;
        stream.set_watched(false);
        let give_back = async {
            let told = stream.taken_back().await;
            assert_eq!(told.class, FailureClass::Revoked);
            let seen = stream.look().unwrap().unwrap_err();
            assert_eq!(seen.class, FailureClass::Revoked);
            drop(stream);
        };
        let (slot, ()) = timeout(SOON, async {
            tokio::join!(pools.acquire(wish(), SOON), give_back)
        })
        .await
        .unwrap();
        assert!(slot.is_ok());
    }
}
