//! `ipc health`: one server's report, for people in a short table, for scripts in the exit status or as JSON.
use std::io::{self, Write as _};

use clap::Args;

use super::{Fault, Server, call::CONNECT, text};
use crate::{
    client::Client,
    codec::Encoding,
    proto::{Code, Health, HealthReport, Meta, frame::Body},
};

/// Health is answered even when all else is busy.
const PATIENCE_MS: u32 = 5000;

const HELP: &str = "Exit status: 0 SERVING, 1 not serving, 2 wrong usage, 3 no server to talk to, or one that does \
not answer.

Examples:
  ipc health /tmp/inf.sock
  ipc health /tmp/inf.sock --json | jq .details";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    server: Server,
    /// Print the report as one line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: HealthArgs) -> Result<u8, Fault> {
    let path = args.server.socket;
    let client = Client::connect_with(&path, Encoding::Binary, CONNECT)
        .await
        .map_err(|error| Fault::of_connect(&error, &path))?;
    let meta = Meta {
        timeout_ms: PATIENCE_MS,
        ..Meta::default()
    };
    let report = match client.ask(Body::Health(Health {}), meta).await {
        Ok(Body::HealthReport(report)) => report,
        Ok(other) => {
            return Err(Fault::other(
                format!("health was answered with {}", other.name()),
                "is this a Callspan server?",
            ));
        }
        Err(status) if matches!(status.code, Code::Unavailable | Code::DeadlineExceeded) => {
            return Err(Fault::unreachable(
                format!("{} gives no report: {}", path.display(), status.message),
                "look at the server's log, or restart it",
            ));
        }
        Err(status) => return Err(Fault::of_status(&status)),
    };
    let shown = if args.json {
        let json = serde_json::to_string(&report).map_err(|error| {
            Fault::other(
                format!("a report that has no JSON form: {error}"),
                "leave out --json",
            )
        })?;
        text::escape_json(&json) + "\n"
    } else {
        table(&report)
    };
    match io::stdout().write_all(shown.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(Fault::of_stdout(&error));
        }
        _ => {}
    }
    Ok(u8::from(report.status != "SERVING"))
}

fn table(report: &HealthReport) -> String {
    let mut rows = vec![
        ("status", report.status.clone()),
        ("server", format!("{} {}", report.server, report.version)),
        ("pid", report.pid.to_string()),
        ("up", uptime(report.uptime_ms)),
    ];
    let mut details: Vec<_> = report.details.iter().collect();
    details.sort();
    rows.extend(
        details
            .into_iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, value)| (text::escape(name), text::escape(value)))
        .collect();
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let lines = rows
        .iter()
        .map(|(name, value)| format!("{name:<width$}  {value}"));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn uptime(ms: u32) -> String {
    match ms / 1000 {
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min {} s", s / 60, s % 60),
        s => format!("{} h {} min", s / 3600, s / 60 % 60),
    }
}
