//! The serving end: accepts connections, reads requests, watches deadlines, and answers for every service alike what
//! needs no service (hello, ping, health, describe, cancel). A service sees one request at a time and cannot stall,
//! starve or confuse a connection.
use std::{future::Future, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{net::UnixStream, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Status,
    frame::DEFAULT_MAX_FRAME_BYTES,
    listen::Listener,
    proto::{HealthReport, frame::Body},
};

mod connection;
mod dispatch;
mod hangup;
mod local;
mod request;

pub use local::{Local, LocalCall};
pub use request::{Answer, Request};

/// Connections served at once; more wait in the socket's backlog.
const MAX_CONNECTIONS: usize = 512;
/// How long a service may take to end a request that was stopped, before the library ends it.
const STOP_GRACE: Duration = Duration::from_millis(250);
/// How long requests under way may take after shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(5);

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    pub name: String,
    pub version: String,
    /// What `describe` answers for people to read.
    pub help: String,
    /// Names of the request bodies that the service answers; others get UNIMPLEMENTED without its being asked.
    pub methods: Vec<&'static str>,
    /// Largest frame accepted.
    pub max_frame_bytes: u32,
}

impl Default for ServerInfo {
    fn default() -> Self {
        Self {
            name: String::new(),
            version: String::new(),
            help: String::new(),
            methods: Vec::new(),
            max_frame_bytes: DEFAULT_MAX_FRAME_BYTES,
        }
    }
}

/// What answers requests.
pub trait Service: Send + Sync + 'static {
    /// Answers one request. Hello, ping, health, describe and cancel are answered by the library. When
    /// `request.cancelled` fires, end soon, with `answer.fail(request.stop_status())` or a body of your own; shortly
    /// after it, the library answers in your stead.
    fn handle(self: Arc<Self>, request: Request, answer: Answer)
    -> impl Future<Output = ()> + Send;

    /// Answers `health`, at once and even when all else is busy: the status and the details. The library fills in
    /// server, version, pid and uptime.
    fn health(&self) -> HealthReport;

    /// Tells a connection that the service takes over by its first line, of those that begin as lines of JSON do.
    /// Nothing: there are none.
    fn strangers(&self) -> Option<fn(&[u8]) -> bool> {
        None
    }

    /// Serves a connection that is such a stranger's, until it or the server ends.
    fn take_over(self: Arc<Self>, stranger: Stranger) -> impl Future<Output = ()> + Send {
        drop(stranger);
        std::future::ready(())
    }
}

/// A connection of someone who may speak to us, but does not speak frames.
#[derive(Debug)]
pub struct Stranger {
    /// What was read of it already.
    pub beginning: BytesMut,
    pub stream: UnixStream,
    /// The process at the other end; 0: not known.
    pub client: u32,
    /// Fires when the server is to end.
    pub shutdown: CancellationToken,
}

/// Why serving ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot accept connections: {0}")]
    Accept(#[from] std::io::Error),
}

/// What all connections of a server share.
struct Server<S> {
    info: ServerInfo,
    service: Arc<S>,
    started: Instant,
    shutdown: CancellationToken,
}

impl<S: Service> Server<S> {
    /// The answer to what needs no service.
    fn answer(&self, body: &Body) -> Option<Body> {
        use crate::proto::{Description, Pong, Welcome};
        Some(match body {
            Body::Hello(_) => Body::Welcome(Welcome {
                server: self.info.name.clone(),
                version: self.info.version.clone(),
                protocol: crate::PROTOCOL,
                max_frame_bytes: self.info.max_frame_bytes,
                methods: self.methods(),
            }),
            Body::Ping(ping) => Body::Pong(Pong {
                payload: ping.payload.clone(),
            }),
            Body::Health(_) => Body::HealthReport(HealthReport {
                server: self.info.name.clone(),
                version: self.info.version.clone(),
                pid: std::process::id(),
                uptime_ms: u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX),
                ..self.service.health()
            }),
            Body::Describe(_) => Body::Description(Description {
                descriptor_set: crate::DESCRIPTOR_SET.to_vec(),
                help: self.info.help.clone(),
            }),
            _ => return None,
        })
    }

    fn methods(&self) -> Vec<String> {
        let mut methods: Vec<String> = ["hello", "ping", "health", "describe", "cancel"]
            .into_iter()
            .map(str::to_owned)
            .collect();
        let more = self
            .info
            .methods
            .iter()
            .map(|name| (*name).to_owned())
            .filter(|name| !methods.contains(name));
        methods.extend(more.collect::<Vec<_>>());
        methods
    }

    fn unimplemented(&self, what: &str) -> Status {
        Status::unimplemented(format!("{} does not answer {what}", self.info.name))
            .with_hint(format!("it answers: {}", self.methods().join(", ")))
    }
}

/// Serves until `shutdown` fires: connections then hear `go_away`, requests under way have a few seconds to finish,
/// and the socket's file is removed.
pub async fn serve<S: Service>(
    listener: Listener,
    info: ServerInfo,
    service: Arc<S>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let server = Arc::new(Server {
        info,
        service,
        started: Instant::now(),
        shutdown: shutdown.clone(),
    });
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = connections.join_next() => continue,
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(stream) => drop(connections.spawn(connection::run(server.clone(), stream))),
                // Too many open files and its like pass; a listener that is broken does not.
                Err(error) if matches!(error.raw_os_error(), Some(EBADF | EINVAL | ENOTSOCK)) => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
    drop(listener);
    // Each connection ends by itself within DRAIN; the rest is for one whose peer does not read.
    let _ = tokio::time::timeout(DRAIN + Duration::from_secs(1), async {
        while connections.join_next().await.is_some() {}
    })
    .await;
    Ok(())
}

use rustix::io::Errno;
const EBADF: i32 = Errno::BADF.raw_os_error();
const EINVAL: i32 = Errno::INVAL.raw_os_error();
const ENOTSOCK: i32 = Errno::NOTSOCK.raw_os_error();
