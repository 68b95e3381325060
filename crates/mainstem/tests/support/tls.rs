//! TLS in front of a provider, with an authority of its own (`tls/make.sh` makes it).

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// The certificate of the authority that signed for the front's.
pub(crate) const AUTHORITY: &str = include_str!("tls/authority.pem");

/// Passes every connection on to a provider, unwrapped. Dropping it closes them all.
pub(crate) struct TlsFront {
    addr: SocketAddr,
    _tasks: JoinSet<()>,
}

impl TlsFront {
    /// In front of the provider at `behind`.
    pub(crate) async fn start(behind: SocketAddr) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(server()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let client = listener.accept().await.unwrap().0;
                connections.spawn(pass_on(acceptor.clone(), client, behind));
            }
        });
        Self { addr, _tasks: tasks }
    }

    /// Where it listens, at a name that its certificate is for.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.addr.port())
    }
}

/// Until either side ends. A client that does not trust the certificate is one that goes.
async fn pass_on(acceptor: TlsAcceptor, client: TcpStream, behind: SocketAddr) {
    let Ok(mut client) = acceptor.accept(client).await else {
        return;
    };
    let mut provider = TcpStream::connect(behind).await.unwrap();
    // However it ends, both sockets are dropped.
    drop(tokio::io::copy_bidirectional(&mut client, &mut provider).await);
}

fn server() -> ServerConfig {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}
