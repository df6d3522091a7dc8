//! `ipc call`: one request by hand, each answer frame as a line of JSON.
use std::{
    io::{self, IsTerminal as _, Read as _, Write as _},
    path::PathBuf,
};

use clap::Args;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Duration, timeout},
};

use super::{Fault, Server, artefacts::Artefacts, decide::Allowed, request, text};
use crate::{
    Status,
    client::{Call, Client},
    codec::{Encoding, json},
    proto::{Frame, frame::Body},
};

/// How long a server may take to accept the connection.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// How long a cancelled request may take to end.
const STOPPING: Duration = Duration::from_secs(2);
/// What shells report for a process that SIGINT ended.
const INTERRUPTED: u8 = 130;

const HELP: &str = "The JSON is the body of the request as in the protocol, without a frame around it; a field that the \
protocol does not know is an error. Answers go to stdout, a line each; an error frame is told on stderr. Questions \
that the server asks in turn (tool_request) are denied but for the tools that --allow names, and told on stderr. Files \
that a tool returns are base64 in the JSON; on a terminal they are left out. Ctrl-C cancels the request.

Exit status: 0 answered, 1 an error frame, 2 wrong usage, 3 no server to talk to, 130 interrupted.

Examples:
  ipc call /tmp/inf.sock ping '{\"payload\":\"hi\"}'
  ipc call /tmp/exec.sock list_tools
  ipc call /tmp/exec.sock run_code '{\"code\":\"1+1\"}'
  ipc call /tmp/exec.sock run_code '{\"code\":\"now()\",\"decides\":true}' --allow now
  echo '{\"prompt\":\"Hello\",\"max_tokens\":8}' | ipc call /tmp/inf.sock generate -";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct CallArgs {
    #[command(flatten)]
    server: Server,
    /// hello, generate, embed, score, `call_tool`, `run_code`, `list_tools`, health, metrics, models, describe or ping
    method: String,
    /// The request's fields; - reads them from stdin
    #[arg(default_value = "{}", hide_default_value = true)]
    json: String,
    /// How long to wait for the answer; 0: as long as the server allows
    #[arg(long, value_name = "N", default_value_t = 0)]
    timeout_ms: u32,
    /// Speak binary frames instead of JSON lines
    #[arg(long)]
    binary: bool,
    /// The W3C trace context that this belongs to
    #[arg(long, value_name = "T")]
    traceparent: Option<String>,
    /// Tools that the server may call when it asks; all: every one
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    allow: Vec<String>,
    /// Write the files that a tool returns into this directory, and leave them out of the JSON
    #[arg(long, value_name = "DIR")]
    artefacts: Option<PathBuf>,
}

pub(super) async fn run(args: CallArgs) -> Result<u8, Fault> {
    let meta = request::meta(args.timeout_ms, args.traceparent.as_deref())?;
    let fields = if args.json == "-" {
        stdin()?
    } else {
        args.json
    };
    let body = request::body(&args.method, &fields)?;
    let allowed = Allowed::new(args.allow, &body)?;
    let artefacts = match args.artefacts {
        Some(directory) => Artefacts::Saved(directory),
        None if io::stdout().is_terminal() => Artefacts::LeftOut,
        None => Artefacts::Kept,
    };
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|error| Fault::other(format!("cannot watch for Ctrl-C: {error}"), "try again"))?;
    let encoding = if args.binary {
        Encoding::Binary
    } else {
        Encoding::JsonLines
    };
    let path = args.server.socket;
    let client = Client::connect_with(&path, encoding, CONNECT)
        .await
        .map_err(|error| Fault::of_connect(&error, &path))?;
    let mut asks = client.asks();
    let mut call = client
        .call(body, meta)
        .await
        .map_err(|error| Fault::of_connect(&error, &path))?;
    {
        let printing = print(&mut call, &artefacts);
        tokio::pin!(printing);
        loop {
            tokio::select! {
                done = &mut printing => return done,
                Some(ask) = asks.recv() => allowed.decide(ask),
                _ = interrupt.recv() => break,
            }
        }
    }
    // What is asked from now on is denied.
    drop(asks);
    stop(&mut call, &artefacts, &mut interrupt).await;
    Ok(INTERRUPTED)
}

fn stdin() -> Result<String, Fault> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| {
        Fault::usage(
            format!("cannot read the JSON from stdin: {error}"),
            "write UTF-8 JSON to stdin",
        )
    })?;
    Ok(text)
}

/// Prints what is answered, to the end.
async fn print(call: &mut Call, artefacts: &Artefacts) -> Result<u8, Fault> {
    while let Some(answer) = call.next().await {
        let mut body = answer.map_err(|status| Fault::of_status(&status))?;
        let (told, fault) = artefacts.take(&mut body);
        match show(call.id(), body) {
            // Whoever reads has seen enough (`| head -1`); the call is dropped, which cancels it.
            Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(0),
            Ok(Err(error)) => return Err(Fault::of_stdout(&error)),
            Ok(Ok(())) => {}
            Err(status) => return Err(Fault::of_status(&status)),
        }
        for line in told {
            // Talk: the answer itself is written.
            let _ = writeln!(io::stderr(), "{line}");
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
    }
    Ok(0)
}

fn show(id: u32, body: Body) -> Result<io::Result<()>, Status> {
    let line = text::escape_json(&json::to_line(&Frame::new(id, body))?);
    let mut stdout = io::stdout().lock();
    Ok(writeln!(stdout, "{line}").and_then(|()| stdout.flush()))
}

/// Cancels, and shows what still comes; a second Ctrl-C does not wait for it.
async fn stop(call: &mut Call, artefacts: &Artefacts, interrupt: &mut Signal) {
    call.stop();
    tokio::select! {
        ended = timeout(STOPPING, print(call, artefacts)) => match ended {
            Ok(Err(fault)) => fault.report(),
            Ok(Ok(_)) => {}
            Err(_) => Fault::other("the server did not end the cancelled request", "look at its log").report(),
        },
        _ = interrupt.recv() => {}
    }
}
