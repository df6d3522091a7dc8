//! The Model Context Protocol, by the official SDK (rmcp): here the tools are served to whoever speaks it, and here is how
//! its messages travel both ways. What a call
//! is, who may run how much, and what confines it is the rest of this program's; here words are translated.

mod face;
mod lines;
mod news;
mod words;

use std::sync::Arc;

use ipc::server::{Local, Stranger};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::{
    places::Who,
    service::{self, Tooling},
};
use face::Face;
pub(crate) use lines::Lines;

/// Bytes of a message that is taken.
const MAX_LINE: usize = ipc::frame::DEFAULT_MAX_FRAME_BYTES as usize;

/// Whether the first line of a connection is one of MCP's, which are JSON-RPC: an object with the member `jsonrpc`.
pub(crate) fn is_its(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Line {
        #[serde(rename = "jsonrpc")]
        _version: serde::de::IgnoredAny,
    }
    serde_json::from_slice::<Line>(line).is_ok()
}

/// Serves the process that started this one, until it closes our input or `shutdown` fires.
pub(crate) async fn on_stdio(tooling: Arc<Tooling>, shutdown: &CancellationToken) {
    let client = std::os::unix::process::parent_id();
    let (reader, writer) = (tokio::io::stdin(), tokio::io::stdout());
    serve(tooling, client, reader, writer, shutdown).await;
}

/// Serves one connection of the socket.
pub(crate) async fn on_socket(tooling: Arc<Tooling>, stranger: Stranger) {
    let (reader, writer) = stranger.stream.into_split();
    let reader = std::io::Cursor::new(stranger.beginning).chain(reader);
    serve(tooling, stranger.client, reader, writer, &stranger.shutdown).await;
}

async fn serve(
    tooling: Arc<Tooling>,
    client: Who,
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
    shutdown: &CancellationToken,
) {
    // Fires when the peer has said its last word, too: its calls are stopped then, for nobody waits for them.
    let gone = shutdown.child_token();
    let mut changes = tooling.catalogue.subscribe();
    let lines = Lines::new(reader, writer, MAX_LINE, gone.clone());
    let calls = Local::new(service::info(), tooling.clone(), shutdown.clone()).for_client(client);
    let face = Face::new(tooling, calls, gone.clone());
    // What went wrong before there was a session was told to the peer, if it could be.
    let Ok(session) = rmcp::serve_server(face, lines).await else {
        return;
    };
    let peer = session.peer().clone();
    let telling = async {
        while changes.changed().await.is_ok() {
            // Those of newer revisions, which say no `initialize`, ask for changes by `subscriptions/listen`.
            if peer.peer_info().is_some() && peer.notify_tool_list_changed().await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let stopper = session.cancellation_token();
    let ending = async {
        gone.cancelled().await;
        stopper.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = session.waiting() => {}
        () = telling => {}
        () = ending => {}
    }
}
