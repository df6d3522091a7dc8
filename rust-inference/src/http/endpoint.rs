//! Where HTTP is spoken: an address of TCP, or a Unix socket that is its owner's alone.

use std::{fmt, io, net::SocketAddr, path::PathBuf, str::FromStr};

use ipc::listen::{ListenError, Listener};
use tokio::net::TcpListener;

use super::guard::Door;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// An address of TCP.
    ///
    /// # Errors
    /// If the text is none.
    pub fn tcp(text: &str) -> Result<Self, String> {
        let address = text.replacen("localhost:", "127.0.0.1:", 1);
        let address = address.parse();
        address
            .map(Self::Tcp)
            .map_err(|_| "give 127.0.0.1:PORT (port 0: any)".to_owned())
    }

    /// Whether others than this machine's users could reach it.
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Tcp(address) if !address.ip().is_loopback())
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return Ok(Self::Unix(text.into()));
        }
        Self::tcp(text).map_err(|what| format!("{what}, or a socket's path with a / in it"))
    }
}

/// Why it cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error("cannot listen on {address}: {source}")]
    Tcp {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Unix(#[from] ListenError),
}

/// A listening endpoint.
#[derive(Debug)]
pub enum Endpoint {
    Tcp(TcpListener, SocketAddr),
    Unix(Listener),
}

impl Endpoint {
    pub async fn bind(address: &Address) -> Result<Self, EndpointError> {
        match address {
            Address::Tcp(address) => {
                let bound = TcpListener::bind(address).await.and_then(|listener| {
                    let bound = listener.local_addr()?;
                    Ok(Self::Tcp(listener, bound))
                });
                bound.map_err(|source| EndpointError::Tcp {
                    address: *address,
                    source,
                })
            }
            Address::Unix(path) => Ok(Self::Unix(Listener::bind(path)?)),
        }
    }

    pub(super) fn door(&self) -> Door {
        match self {
            Self::Unix(_) => Door::Owner,
            Self::Tcp(_, address) if address.ip().is_loopback() => Door::Machine,
            Self::Tcp(..) => Door::World,
        }
    }

    /// Where a path of it is to be found.
    pub fn place(&self, path: &str) -> impl fmt::Display {
        match self {
            Self::Tcp(_, address) => format!("http://{address}{path}"),
            Self::Unix(listener) => format!("{path} of {}", listener.path().display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_addresses_are_not_public() {
        for (text, public) in [
            ("127.0.0.1:9100", false),
            ("localhost:0", false),
            ("[::1]:9100", false),
            ("/run/metrics.sock", false),
            ("./metrics.sock", false),
            ("0.0.0.0:9100", true),
            ("[::]:9100", true),
            ("192.168.1.2:80", true),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.is_public(), public, "{text}");
        }
        for text in ["", "9100", "127.0.0.1", "example.org:80"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        assert!(Address::tcp("/run/http.sock").is_err());
    }
}
