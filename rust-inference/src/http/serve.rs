//! Connections of HTTP: a bounded number, each bounded in how long it may take to ask and to read, and all of them ended
//! when the server ends: what is being answered is answered first.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;

use super::{Endpoint, Front, guard::Door, router};

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    All,
    /// `/metrics`, for scrapers.
    Metrics,
}

/// How much clients may take.
#[derive(Clone, Copy)]
struct Limits {
    /// At once; more wait.
    connections: usize,
    /// For a request's head, and between two requests.
    head: Duration,
    /// Without reading anything of what is written to them.
    unread: Duration,
    keep_alive: bool,
}

impl Pages {
    fn limits(self) -> Limits {
        match self {
            Self::All => Limits {
                connections: 512,
                head: Duration::from_mins(1),
                unread: Duration::from_mins(1),
                keep_alive: true,
            },
            Self::Metrics => Limits {
                connections: 64,
                head: Duration::from_secs(5),
                unread: Duration::from_secs(5),
                keep_alive: false,
            },
        }
    }
}

/// What is written to one connection and not yet read, beside what the system keeps.
const BUFFER: usize = 64 << 10;
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// How long requests under way may go on after shutdown was asked for; then they hear why they end.
const FINISH: Duration = Duration::from_secs(4);
/// And how long their clients may take to hear it.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Endpoint {
    /// Answers until the server is asked to end, and then what was asked before. A socket's file is gone at once.
    pub async fn serve(self, front: Arc<Front>, pages: Pages) {
        let door = self.door();
        let limits = pages.limits();
        let places = Arc::new(Semaphore::new(limits.connections));
        let graceful = GracefulShutdown::new();
        let one = |watcher| (front.clone(), door, pages, watcher);
        let accept = async {
            // It is never closed.
            while let Ok(place) = places.clone().acquire_owned().await {
                let accepted = match &self {
                    Self::Tcp(listener, _) => listener.accept().await.map(|(stream, _)| {
                        // A piece of an answer is small and must not wait for the next.
                        let _ = stream.set_nodelay(true);
                        let (front, door, pages, watcher) = one(graceful.watcher());
                        tokio::spawn(async move {
                            connection(stream, front, door, pages, limits, watcher).await;
                            drop(place);
                        })
                    }),
                    Self::Unix(listener) => listener.accept().await.map(|stream| {
                        let (front, door, pages, watcher) = one(graceful.watcher());
                        tokio::spawn(async move {
                            connection(stream, front, door, pages, limits, watcher).await;
                            drop(place);
                        })
                    }),
                };
                if accepted.is_err() {
                    // Too many open files and its like pass.
                    sleep(Duration::from_millis(100)).await;
                }
            }
        };
        tokio::select! {
            () = accept => {}
            () = front.shutdown.cancelled() => {}
        }
        drop(self);
        let over = graceful.shutdown();
        tokio::pin!(over);
        if timeout(FINISH, &mut over).await.is_err() {
            front.late.cancel();
            let _ = timeout(LAST_WORDS, over).await;
        }
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + 'static,
    front: Arc<Front>,
    door: Door,
    pages: Pages,
    limits: Limits,
    watcher: Watcher,
) {
    let mut stream = Box::pin(TimeoutStream::new(stream));
    stream
        .as_mut()
        .set_write_timeout_pinned(Some(limits.unread));
    let service = service_fn(|request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(router::answer(&front, door, pages, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .keep_alive(limits.keep_alive)
        .max_buf_size(BUFFER)
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever hangs up, or writes what is no HTTP, is nobody's loss.
    let _ = watcher.watch(connection).await;
}

#[cfg(test)]
mod tests {
    use ipc::{
        proto::{Delta, HealthReport, frame::Body},
        server::{Answer, Local, Request, ServerInfo, Service},
    };
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// Writes without end, until it is told to stop.
    struct Flood {
        stopped: CancellationToken,
    }

    impl Service for Flood {
        async fn handle(self: Arc<Self>, request: Request, answer: Answer) {
            while !request.cancelled.is_cancelled() {
                if let Body::Generate(_) = request.body {
                    answer.delta(Delta {
                        text: "word ".repeat(100),
                        ..Delta::default()
                    });
                }
                sleep(Duration::from_millis(1)).await;
            }
            self.stopped.cancel();
            answer.fail(request.stop_status());
        }

        fn health(&self) -> HealthReport {
            HealthReport::default()
        }
    }

    #[tokio::test]
    async fn who_reads_nothing_for_long_is_let_go_and_what_he_asked_for_ends() {
        let stopped = CancellationToken::new();
        let service = Arc::new(Flood {
            stopped: stopped.clone(),
        });
        let info = ServerInfo {
            methods: vec!["generate"],
            ..ServerInfo::default()
        };
        let local = Local::new(info, service, CancellationToken::new());
        let limits = Limits {
            unread: Duration::from_millis(200),
            ..Pages::All.limits()
        };
        let (mut client, server) = duplex(4096);
        let graceful = GracefulShutdown::new();
        let front = Arc::new(Front::new(local, None));
        let served = tokio::spawn(connection(
            server,
            front,
            Door::Owner,
            Pages::All,
            limits,
            graceful.watcher(),
        ));
        let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}"#;
        let head =
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        client.write_all(request.as_bytes()).await.unwrap();
        let mut some = [0; 1024];
        client.read_exact(&mut some).await.unwrap();
        assert!(some.starts_with(b"HTTP/1.1 200"));
        timeout(Duration::from_secs(20), async {
            stopped.cancelled().await;
            served.await.unwrap();
        })
        .await
        .unwrap();
    }
}
