//! Connects for a tool, which can make no socket of its own: only to what its policy names, by the supervisor's own
//! resolver, and only then is the connected descriptor handed over.
//!
//! A name is not trusted to stay outside: one that turns out to be an address of this machine or of the local network
//! is refused, unless that address is named in the policy too. Otherwise whoever owns a permitted name could point it
//! at a service of ours.

mod addresses;
#[cfg(test)]
mod tests;
#[cfg_attr(not(target_os = "linux"), path = "no_unix.rs")]
mod unix;

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::{
    net::{TcpStream, lookup_host},
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use crate::{
    policy::{Endpoint, Host},
    protocol::work::Refused,
};

/// Longest time of one connect, all addresses of a name together.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connects of one call: its descriptors are bounded as well.
const MOST: usize = 64;
const AT_ONCE: usize = 8;

fn refused(errno: i32, message: impl Into<String>) -> Refused {
    Refused {
        errno,
        message: message.into(),
    }
}

/// What one call may connect to.
#[derive(Debug)]
pub(crate) struct Broker {
    allowed: Vec<Endpoint>,
    asked: AtomicUsize,
    at_once: Semaphore,
    patience: Duration,
}

impl Broker {
    pub(crate) fn new(allowed: &[Endpoint]) -> Self {
        Self {
            allowed: allowed.to_owned(),
            patience: PATIENCE,
            asked: AtomicUsize::new(0),
            at_once: Semaphore::new(AT_ONCE),
        }
    }

    /// A connected stream socket in blocking mode, closed on exec. `asked` is what tool code wrote. Dropped with the
    /// call, it is given up.
    pub(crate) async fn connect(&self, asked: &str) -> Result<OwnedFd, Refused> {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= MOST {
            return Err(refused(
                libc::EMFILE,
                format!("a call can connect {MOST} times"),
            ));
        }
        let endpoint: Endpoint = asked
            .parse()
            .map_err(|why: String| refused(libc::EINVAL, why))?;
        if !self.allows(&endpoint) {
            return Err(refused(
                libc::EACCES,
                format!("{endpoint} is not in the tool's policy: {}", self.named()),
            ));
        }
        let deadline = Instant::now() + self.patience;
        let connecting = async {
            // Never closed.
            let _place = self.at_once.acquire().await;
            match &endpoint {
                Endpoint::Tcp(Host::Address(address), port) => {
                    let only = SocketAddr::new(*address, *port);
                    self.tcp(&endpoint, vec![only], deadline).await
                }
                Endpoint::Tcp(Host::Name(name), port) => {
                    let found = self.resolve(name, *port).await?;
                    self.tcp(&endpoint, found, deadline).await
                }
                Endpoint::Tcp(Host::Below(_), _) => {
                    Err(refused(libc::EINVAL, "a name to connect to has no *"))
                }
                Endpoint::Unix(path) => unix::connect(path).await,
            }
        };
        match timeout_at(deadline, connecting).await {
            Ok(done) => done,
            Err(_) => Err(timed_out(&endpoint)),
        }
    }

    fn allows(&self, endpoint: &Endpoint) -> bool {
        self.allowed.iter().any(|allowed| allowed.covers(endpoint))
    }

    /// What the policy names, in words.
    fn named(&self) -> String {
        if self.allowed.is_empty() {
            return "it names no address".to_owned();
        }
        let list: Vec<String> = self.allowed.iter().map(Endpoint::to_string).collect();
        format!("it names {}", list.join(", "))
    }

    /// The addresses of a name that may be connected to.
    async fn resolve(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        let all: Vec<SocketAddr> = lookup_host((name, port))
            .await
            .map_err(|error| {
                let why = format!("the name {name} leads to no address: {error}");
                refused(libc::EHOSTUNREACH, why)
            })?
            .collect();
        let permitted = |address: &SocketAddr| {
            let ip = address.ip().to_canonical();
            let this_machine = name == "localhost" && ip.is_loopback();
            this_machine
                || addresses::is_public(ip)
                || self.allows(&Endpoint::Tcp(Host::Address(ip), port))
        };
        let kept: Vec<SocketAddr> = all.iter().copied().filter(permitted).collect();
        match all.first() {
            Some(first) if kept.is_empty() => {
                let address = Endpoint::Tcp(Host::Address(first.ip().to_canonical()), port);
                Err(refused(
                    libc::EACCES,
                    format!(
                        "{name} leads to {address}, which is not public; to allow it the policy names {address} too"
                    ),
                ))
            }
            Some(_) => Ok(kept),
            None => Err(refused(
                libc::EHOSTUNREACH,
                format!("the name {name} leads to no address"),
            )),
        }
    }

    /// Tries one address after the other; each has an equal part of the time that is left.
    async fn tcp(
        &self,
        endpoint: &Endpoint,
        addresses: Vec<SocketAddr>,
        deadline: Instant,
    ) -> Result<OwnedFd, Refused> {
        let mut failure = timed_out(endpoint);
        for (tried, address) in addresses.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let part = left / (addresses.len() - tried) as u32;
            match timeout_at(Instant::now() + part, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return blocking(stream.into_std()),
                Ok(Err(error)) => failure = told(endpoint, &error),
                Err(_) => failure = timed_out(endpoint),
            }
        }
        Err(failure)
    }
}

/// tokio's sockets do not block; the tool's do.
fn blocking(socket: io::Result<impl Into<OwnedFd>>) -> Result<OwnedFd, Refused> {
    let done = socket.and_then(|socket| {
        let fd = socket.into();
        rustix::io::ioctl_fionbio(&fd, false)?;
        Ok(fd)
    });
    done.map_err(|error| refused(error.raw_os_error().unwrap_or(libc::EIO), error.to_string()))
}

fn told(endpoint: &Endpoint, error: &io::Error) -> Refused {
    refused(
        error.raw_os_error().unwrap_or(libc::EIO),
        format!("cannot connect to {endpoint}: {error}"),
    )
}

fn timed_out(endpoint: &Endpoint) -> Refused {
    refused(libc::ETIMEDOUT, format!("{endpoint} does not answer"))
}
