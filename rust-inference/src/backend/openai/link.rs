//! The way to another server: a stream over TCP, TLS or a Unix socket, one for each request. Connections are not kept: one that
//! the other end has closed meanwhile would have to be told from one that failed, and to a server nearby a new one costs
//! next to nothing.

use std::{io, sync::Arc};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;

use super::address::Way;
use crate::tls::certificates;

/// What HTTP is spoken over.
pub(super) trait Link: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Link for T {}

/// Makes links to one server.
#[derive(Debug)]
pub(super) struct Dialer {
    way: Way,
    tls: Option<Arc<ClientConfig>>,
}

impl Dialer {
    pub(super) fn new(way: Way) -> Result<Self, String> {
        let tls = match &way {
            Way::Tcp { tls: true, .. } => Some(Arc::new(config()?)),
            _ => None,
        };
        Ok(Self { way, tls })
    }

    pub(super) async fn dial(&self) -> io::Result<Box<dyn Link>> {
        let (host, port) = match &self.way {
            Way::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
            Way::Tcp { host, port, .. } => (host.trim_matches(['[', ']']), *port),
        };
        let stream = TcpStream::connect((host, port)).await?;
        // What is sent is a whole request: nothing will come that it could wait for.
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(tls.clone());
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

fn config() -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates()?.certs);
    let provider = Arc::new(rustls_graviola::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
