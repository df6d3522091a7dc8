//! One connection of a server: finds out what the peer speaks, reads requests and starts them, and ends when the peer
//! is gone or everything is said. Reading and writing run in one task side by side, so that neither waits for the
//! other. A service may take over connections whose first line is no frame: their lines are not read here.
use std::{
    io::{self, Cursor},
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use futures_core::Stream as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixStream, unix::OwnedReadHalf},
    time::{sleep, timeout},
};
use tokio_util::codec::FramedRead;

use super::{
    DRAIN, STOP_GRACE, Server, Service, Stranger, dispatch::receive, hangup::hangup, request::Board,
};
use crate::{
    Status,
    codec::{
        Decoder, Encoding, Flaw,
        detect::{Detected, detect, refusal},
    },
    outbox::Outbox,
    proto::{Frame, GoAway, frame::Body},
};

/// How long requests under way may go on after shutdown was asked for; the rest of `DRAIN` is for their answers.
const FINISH: Duration = Duration::from_secs(4);
/// How long a peer may take to hear the last words.
const LINGER: Duration = Duration::from_millis(500);

pub(super) async fn run<S: Service>(server: Arc<Server<S>>, mut stream: UnixStream) {
    let mut first = [0];
    let peeked = tokio::select! {
        () = server.shutdown.cancelled() => return,
        peeked = peek(&stream, &mut first) => peeked,
    };
    if !matches!(peeked, Ok(1)) {
        return;
    }
    let [byte] = first;
    let detected = detect(byte);
    let Detected::Frames(encoding) = detected else {
        if let Some(text) = refusal(detected, &server.info.name, &server.info.help) {
            // To a stranger, and its loss costs nothing.
            let _ = timeout(LINGER, refuse(&mut stream, &text)).await;
        }
        return;
    };
    let client = stream.peer_cred().ok().and_then(|peer| peer.pid());
    let client = client.and_then(|pid| u32::try_from(pid).ok());
    let client = client.unwrap_or_default();
    let mut beginning = BytesMut::new();
    if let (Encoding::JsonLines, Some(is_its)) = (encoding, server.service.strangers()) {
        let line = tokio::select! {
            () = server.shutdown.cancelled() => return,
            line = first_line(&mut stream, &mut beginning, server.info.max_frame_bytes) => line,
        };
        match line {
            Err(_) => return,
            Ok(Some(end)) if beginning.get(..end).is_some_and(is_its) => {
                let stranger = Stranger {
                    beginning,
                    stream,
                    client,
                    shutdown: server.shutdown.clone(),
                };
                return server.service.clone().take_over(stranger).await;
            }
            Ok(_) => {}
        }
    }
    let outbox = Arc::new(Outbox::new(encoding));
    let board = Arc::new(Board::new(outbox.clone(), client));
    let (reader, writer) = stream.into_split();
    let gone = {
        let write = outbox.write_to(writer);
        tokio::pin!(write);
        tokio::select! {
            read = read(&server, &board, encoding, beginning, reader) => match read {
                Some(reader) => !last_words(&server, write, reader).await,
                None => true,
            },
            // Only a broken connection ends the writer before the reader closes the outbox.
            _ = &mut write => true,
        }
    };
    outbox.close();
    if gone {
        board.stop_all(&Status::cancelled("the client hung up"));
    }
}

/// Writes what waits for a peer that may be slow to read it, and may have hung up. Returns whether all was written.
async fn last_words<S>(
    server: &Server<S>,
    write: impl Future<Output = io::Result<()>>,
    reader: OwnedReadHalf,
) -> bool {
    let lost = async {
        tokio::select! {
            _ = hangup(reader.as_ref()) => {}
            () = async { server.shutdown.cancelled().await; sleep(DRAIN).await } => {}
        }
    };
    let written = tokio::select! {
        written = write => written.is_ok(),
        () = lost => false,
    };
    linger(reader).await;
    written
}

async fn peek(stream: &UnixStream, first: &mut [u8; 1]) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        let peeked = stream.try_io(tokio::io::Interest::READABLE, || {
            Ok(rustix::net::recv(stream, &mut first[..], rustix::net::RecvFlags::PEEK)?.1)
        });
        match peeked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            peeked => return peeked,
        }
    }
}

/// Reads until there is a line that is not empty, and returns where it ends: the last needs no newline. Nothing: there
/// is none in `most` bytes.
async fn first_line(
    stream: &mut UnixStream,
    read: &mut BytesMut,
    most: u32,
) -> io::Result<Option<usize>> {
    let mut searched = 0;
    while searched <= most as usize {
        let new = read.get(searched..).unwrap_or_default();
        let blank = |line: &[u8]| line.trim_ascii().is_empty();
        match memchr::memchr(b'\n', new).map(|at| searched + at) {
            Some(end) if read.get(..end).is_some_and(blank) => searched = end + 1,
            Some(end) => return Ok(Some(end)),
            None => {
                searched = read.len();
                if stream.read_buf(read).await? == 0 {
                    return Ok(Some(searched));
                }
            }
        }
    }
    Ok(None)
}

async fn refuse(stream: &mut UnixStream, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    let mut sink = [0; 4096];
    while stream.read(&mut sink).await? > 0 {}
    Ok(())
}

/// Reads on for a moment after the last word, because closing with unread bytes may take that word from the peer.
async fn linger(mut reader: OwnedReadHalf) {
    let mut sink = [0; 4096];
    let _ = timeout(LINGER, async {
        while matches!(reader.read(&mut sink).await, Ok(1..)) {}
    })
    .await;
}

/// Reads requests to the end. Returns the reader when all answers are queued and the outbox closed, nothing when the
/// peer is gone.
async fn read<S: Service>(
    server: &Arc<Server<S>>,
    board: &Arc<Board>,
    encoding: Encoding,
    beginning: BytesMut,
    reader: OwnedReadHalf,
) -> Option<OwnedReadHalf> {
    let decoder = Decoder::new(encoding, server.info.max_frame_bytes).reporting_unknown();
    let mut frames = FramedRead::new(Cursor::new(beginning).chain(reader), decoder);
    let end = loop {
        board.outbox.room().await;
        let next = std::future::poll_fn(|cx| std::pin::Pin::new(&mut frames).poll_next(cx));
        let item = tokio::select! {
            () = server.shutdown.cancelled() => break End::Shutdown,
            item = next => item,
        };
        match item {
            None => break End::Said,
            Some(Err(_)) => return None,
            Some(Ok(Ok(inbound))) => receive(server, board, inbound),
            Some(Ok(Err(Flaw { id, status, fatal }))) => {
                board.outbox.push(Frame::new(id, status.into_body()));
                if fatal {
                    break End::Said;
                }
            }
        }
    };
    let (_, reader) = frames.into_inner().into_inner();
    match end {
        End::Said => {
            board.stop_asking();
            tokio::select! {
                () = board.idle() => {}
                () = async { server.shutdown.cancelled().await; drain(board).await } => {}
                _ = hangup(reader.as_ref()) => return None,
            }
        }
        End::Shutdown => {
            let reason = format!("{} is shutting down", server.info.name);
            board
                .outbox
                .push(Frame::new(0, Body::GoAway(GoAway { reason })));
            tokio::select! {
                () = drain(board) => {}
                _ = hangup(reader.as_ref()) => return None,
            }
        }
    }
    board.outbox.close();
    Some(reader)
}

enum End {
    /// The peer has no more requests.
    Said,
    Shutdown,
}

/// Lets requests under way finish, and stops those that do not.
async fn drain(board: &Arc<Board>) {
    if timeout(FINISH, board.idle()).await.is_err() {
        board.stop_all(
            &Status::unavailable("the server is shutting down").with_retry_after_ms(1000),
        );
        let _ = timeout(2 * STOP_GRACE, board.idle()).await;
    }
}
