//! `--metrics`: what is counted, over HTTP, for a Prometheus that scrapes it.
//!
//! On this machine only, unless more is asked for by name: the numbers tell who works when. A scraper that hangs costs a
//! connection of a bounded number, for a bounded time.

use std::{
    convert::Infallible, fmt, io, net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc,
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Bytes,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use ipc::listen::{ListenError, Listener};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};

/// Scrapers at once; more wait.
const MAX_SCRAPERS: usize = 64;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// Whether others than this machine's users could scrape it.
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
        let address = text.replacen("localhost:", "127.0.0.1:", 1);
        let address = address.parse();
        address.map(Self::Tcp).map_err(|_| {
            "give 127.0.0.1:PORT (port 0: any), or a socket's path with a / in it".to_owned()
        })
    }
}

/// Why it cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    #[error("cannot listen on {address} for --metrics: {source}")]
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
    Tcp(TcpListener),
    Unix(Listener, PathBuf),
}

impl Endpoint {
    pub async fn bind(address: &Address) -> Result<Self, ScrapeError> {
        match address {
            Address::Tcp(address) => match TcpListener::bind(address).await {
                Ok(listener) => Ok(Self::Tcp(listener)),
                Err(source) => Err(ScrapeError::Tcp {
                    address: *address,
                    source,
                }),
            },
            Address::Unix(path) => Ok(Self::Unix(Listener::bind(path)?, path.clone())),
        }
    }

    /// Answers scrapers with what `text` gives, for as long as it is polled.
    pub async fn serve(self, text: impl Fn() -> String + Clone + Send + Sync + 'static) {
        let places = Arc::new(Semaphore::new(MAX_SCRAPERS));
        // It is never closed.
        while let Ok(place) = places.clone().acquire_owned().await {
            let text = text.clone();
            let accepted = match &self {
                Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                    tokio::spawn(async move {
                        answer(stream, text).await;
                        drop(place);
                    })
                }),
                Self::Unix(listener, _) => listener.accept().await.map(|stream| {
                    tokio::spawn(async move {
                        answer(stream, text).await;
                        drop(place);
                    })
                }),
            };
            if accepted.is_err() {
                // Too many open files and its like pass.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Where it is to be found.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "http://{address}/metrics"),
                Err(error) => write!(f, "an address that is not known: {error}"),
            },
            Self::Unix(_, path) => write!(f, "/metrics of {}", path.display()),
        }
    }
}

/// One connection, one answer.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    text: impl Fn() -> String + Clone + Send + Sync,
) {
    let service = service_fn(|request| {
        let answer = page(&request, &text);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever hangs up, or writes what is no HTTP, is nobody's loss.
    let _ = timeout(PATIENCE, connection).await;
}

fn page<B>(request: &Request<B>, text: impl Fn() -> String) -> Response<Full<Bytes>> {
    let refuse = |status, what: &'static str| {
        let mut refusal = Response::new(Full::from(what));
        *refusal.status_mut() = status;
        refusal
    };
    if request.uri().path() != "/metrics" {
        return refuse(StatusCode::NOT_FOUND, "try /metrics\n");
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut refusal = refuse(StatusCode::METHOD_NOT_ALLOWED, "GET it\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refusal.headers_mut().insert(ALLOW, allowed);
        return refusal;
    }
    let mut response = Response::new(Full::from(text()));
    let kind = HeaderValue::from_static(crate::service::METRICS_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
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
    }
}
