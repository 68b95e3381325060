//! TLS in front of a provider, with an authority of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Passes every connection on to a provider, unwrapped. Dropping it closes them all.
pub(crate) struct TlsFront {
    addr: SocketAddr,
    authority_pem: String,
    _tasks: JoinSet<()>,
}

impl TlsFront {
    /// In front of the provider at `behind`.
    pub(crate) async fn start(behind: SocketAddr) -> Self {
        let (config, authority_pem) = server();
        let acceptor = TlsAcceptor::from(Arc::new(config));
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
        Self {
            addr,
            authority_pem,
            _tasks: tasks,
        }
    }

    /// Where it listens, at a name that its certificate is for.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.addr.port())
    }

    /// The certificate of the authority that signed for it.
    pub(crate) fn authority_pem(&self) -> &str {
        &self.authority_pem
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

fn server() -> (ServerConfig, String) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    (config, authority_pem)
}
