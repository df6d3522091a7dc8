//! Bytes from socket to socket, verbatim: each chunk goes on before a copy of it is kept for the viewer. Ends are passed
//! on as they are, too: a half-close as a half-close, a peer that is gone as a connection that is gone, because servers
//! tell the two apart (who hangs up cancels; who has only said all it had to say waits for the answer).
use std::{
    io::{self, Write as _},
    os::{fd::AsFd, unix::net},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::net::{Shutdown, shutdown};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, Interest},
    net::{
        UnixStream,
        unix::{ReadHalf, WriteHalf},
    },
};

use super::{
    connection::Connection,
    queue::{Direction, Feed, Queue},
};
use crate::cli::{text, why_not};

const CHUNK: usize = 64 << 10;
/// A pause while the server's backlog is full.
const BACKLOG_PAUSE: Duration = Duration::from_millis(5);

/// Says something about the tap itself.
pub(super) fn note(text: &str) {
    // Nobody is left to be told if this fails.
    let _ = writeln!(io::stderr(), "ipc tap: {}", text::escape(text));
}

/// Serves one client to its end.
pub(super) async fn connection(
    number: u64,
    mut client: UnixStream,
    upstream: PathBuf,
    queue: Arc<Queue>,
) {
    let mut server = match connect(&upstream).await {
        Ok(server) => server,
        Err(error) => {
            let (what, how) = why_not(&error, &upstream);
            let shown = upstream.display();
            note(&format!(
                "connection {number}: closed: cannot connect to {shown}: {what}: {how}"
            ));
            return;
        }
    };
    let connection = Arc::new(Connection::new(number));
    let up = Feed::new(queue.clone(), connection.clone(), Direction::Up);
    let down = Feed::new(queue, connection, Direction::Down);
    let (Ok(client_gone), Ok(server_gone)) = (Watch::new(&client), Watch::new(&server)) else {
        note(&format!(
            "connection {number}: closed: no file descriptor is free (see ulimit -n)"
        ));
        return;
    };
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    // In one task: an answer cannot be seen before its question, whose copy is kept in the same step that sent it.
    let up = async {
        pump(from_client, to_server, up).await;
        client_gone.wait().await;
    };
    let down = async {
        pump(from_server, to_client, down).await;
        server_gone.wait().await;
    };
    // When either peer is gone and its last byte is passed on, nobody is left on that side to send to.
    tokio::select! { () = up => {}, () = down => {} }
}

async fn connect(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(BACKLOG_PAUSE).await;
            }
            connected => return connected,
        }
    }
}

/// Forwards one direction up to its end.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut feed: Feed) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match from.read(&mut chunk).await {
            // A broken connection ends like a closed one.
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        let at = Instant::now();
        let bytes = chunk.get(..length).unwrap_or_default();
        if to.write_all(bytes).await.is_err() {
            // The sender is to learn that nobody reads, as it would without us. If even that fails, it is gone.
            let _ = shutdown(from.as_ref(), Shutdown::Read);
            feed.saw(bytes, at);
            return;
        }
        feed.saw(bytes, at);
    }
    // Fails if the peer is gone, which is then seen by its own direction.
    let _ = to.shutdown().await;
}

/// A second descriptor of a socket, to wait for the moment that its peer is gone, in both directions.
struct Watch(UnixStream);

impl Watch {
    fn new(socket: &UnixStream) -> io::Result<Self> {
        let socket = net::UnixStream::from(socket.as_fd().try_clone_to_owned()?);
        UnixStream::from_std(socket).map(Self)
    }

    async fn wait(&self) {
        loop {
            match self.0.ready(Interest::WRITABLE).await {
                Ok(ready) if !ready.is_write_closed() => {}
                _ => return,
            }
            // Room to write is no news: wait for the next change.
            let _ = self.0.try_io(Interest::WRITABLE, || {
                Err::<(), _>(io::ErrorKind::WouldBlock.into())
            });
        }
    }
}
