//! `ipc tap`: a drop-in for `socat -v UNIX-LISTEN:LISTEN,fork UNIX-CONNECT:UPSTREAM` that understands frames. Its first
//! duty is to change nothing: bytes go on as they came, before anybody looks at them, and whoever looks (a decoder, a
//! slow terminal) can only miss something, never hold it up. The rooms: `forward` (bytes from socket to socket),
//! `queue` (bounded, between forwarding and looking), `viewer` (the thread that looks), `lane` (bytes of one direction
//! → frames), `connection` (frames → who answers whom), `shown` and `summary` (frames → lines).
use std::{io, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, ValueEnum};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use crate::{
    cli::Fault,
    listen::{ListenError, Listener, all_taken},
};
use queue::Queue;

mod connection;
mod forward;
mod lane;
mod queue;
mod shown;
mod summary;
mod viewer;

/// How long what was seen may take to be shown once the tap is to end.
const FLUSH: Duration = Duration::from_secs(2);
/// A pause where no connection can be accepted (too many open files, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const HELP: &str = "A line has the time (UTC), the connection's number, → for what the client sends and ← for what the \
server answers, the request's id, the frame's name and size, on the last answer the time since the request, and the \
beginning of what it says. Bytes are forwarded first: where they come faster than they can be shown, they are left \
out, and the gap is told.

Examples:
  ipc tap /tmp/tapped.sock /tmp/inf.sock
  ipc tap /tmp/tapped.sock /tmp/inf.sock --format json | jq -c 'select(.latency_us > 1e5)'

Colour: --color, else NO_COLOR, CLICOLOR_FORCE, else whether stdout is a terminal.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct TapArgs {
    /// Where clients connect: a socket that the tap makes
    listen: PathBuf,
    /// The server's socket
    upstream: PathBuf,
    /// How frames are shown
    #[arg(long, value_enum, default_value_t = Format::Line)]
    format: Format,
    /// Whether lines are coloured
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,
    /// Bytes that may wait to be shown; more are forwarded without being shown
    #[arg(long, value_name = "N", default_value_t = 8 << 20)]
    queue_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line a frame, for people
    Line,
    /// One JSON object a frame, for programs
    Json,
    /// The bytes as they went, undecoded
    Hex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// Taps until SIGINT or SIGTERM.
pub(crate) async fn run(args: TapArgs) -> Result<u8, Fault> {
    refuse_itself(&args)?;
    let cannot_wait =
        |error| Fault::other(format!("cannot watch for signals: {error}"), "try again");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot_wait)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot_wait)?;
    let listener = Listener::bind(&args.listen).map_err(|error| cannot_listen(&error))?;
    all_taken().map_err(|error| {
        Fault::other(
            error.to_string(),
            "listen on the path that the socket unit has",
        )
    })?;
    let queue = Arc::new(Queue::new(args.queue_bytes));
    let flushed = viewer::start(queue.clone(), args.format, args.color).map_err(|error| {
        Fault::other(
            format!("cannot start a thread: {error}"),
            "look at ulimit -u",
        )
    })?;

    let mut connections = JoinSet::new();
    let mut number = 0;
    let stopped = async {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
    };
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok(client) => {
                    number += 1;
                    connections.spawn(forward::connection(number, client, args.upstream.clone(), queue.clone()));
                }
                Err(error) => {
                    forward::note(&format!("cannot accept a connection: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    // Ends every connection; what was seen of it is in the queue by then.
    connections.shutdown().await;
    queue.close();
    if tokio::time::timeout(FLUSH, flushed).await.is_err() {
        forward::note("stdout is not read: the last frames seen are not shown");
    }
    let unseen = queue.dropped();
    if unseen > 0 {
        forward::note(&format!(
            "{unseen} bytes were forwarded and not shown: they came faster than they could be (see --queue-bytes)"
        ));
    }
    Ok(0)
}

/// A tap on its own socket would connect to itself without end.
fn refuse_itself(args: &TapArgs) -> Result<(), Fault> {
    let same = match (
        std::path::absolute(&args.listen),
        std::path::absolute(&args.upstream),
    ) {
        (Ok(listen), Ok(upstream)) => listen == upstream,
        _ => args.listen == args.upstream,
    };
    if same {
        return Err(Fault::usage(
            "LISTEN and UPSTREAM are the same socket",
            "give the tap a socket of its own: ipc tap /tmp/tapped.sock SERVER",
        ));
    }
    Ok(())
}

fn cannot_listen(error: &ListenError) -> Fault {
    match error {
        ListenError::Io { source, .. } if source.kind() != io::ErrorKind::PermissionDenied => {
            Fault::other(error.to_string(), "check the directory of LISTEN")
        }
        ListenError::Io { .. } => Fault::usage(
            error.to_string(),
            "choose a directory that you may write to",
        ),
        error => Fault::usage(error.to_string(), "such as ipc tap /tmp/tapped.sock SERVER"),
    }
}
