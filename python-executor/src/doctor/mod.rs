//! `doctor`: what protects this machine from tools, found out by a tool. A child is started as for a call and tries what a
//! tool must not do, and the kernel tells what it has left.

#[cfg(zygotes)]
mod evidence;
#[cfg(zygotes)]
mod rows;
#[cfg(not(zygotes))]
mod unverified;

use std::{io::Write as _, os::fd::OwnedFd, sync::Arc, time::Duration};

use ipc::program::Failure;
#[cfg(zygotes)]
use rows::{Evidence, rows};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
#[cfg(not(zygotes))]
use unverified::{Evidence, rows};

use crate::{
    call::{self, Bounds, End, Listener, Stream},
    cli::Serve,
    executor::Executor,
    protocol::work::{Note, Question, Refused, Work},
    sandbox::Level,
    start,
};

const PROBE: &str = include_str!("probe.py");
const WALL: Duration = Duration::from_secs(20);

/// One line of the table.
#[derive(Debug, Serialize)]
struct Row {
    mechanism: &'static str,
    state: &'static str,
    stops: &'static str,
    /// What was seen of it.
    seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
}

/// The table on standard output. A failure: it is less than full.
pub(crate) fn doctor(json: bool, args: &Serve) -> Result<(), Failure> {
    let (executor, _) = start::prepare(&Serve {
        spares: 0,
        zygotes: 1,
        ..args.clone()
    })?;
    let executor = Arc::new(executor);
    let evidence = start::runtime()?
        .block_on(examine(&executor))
        .map_err(|why| Failure::new(format!("the examination failed: {why}"), ""))?;
    let protection = &executor.supervisor.protection;
    let rows = rows(protection, &evidence);
    let level = protection.level.name();
    let text = if json {
        let table = serde_json::json!({ "level": level, "mechanisms": rows });
        table.to_string()
    } else {
        table(&rows)
    };
    // Nobody need read it: the exit status says the same.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
    let broken = rows.iter().find(|row| row.state == "broken");
    match (protection.level, broken) {
        (Level::Full, None) => Ok(()),
        (_, Some(row)) => Err(Failure::new(
            format!(
                "{} is in force but does not hold: {}",
                row.mechanism, row.seen
            ),
            "do not run tools that you do not trust, and report this",
        )),
        _ => {
            let mut cures: Vec<String> = rows.into_iter().filter_map(|row| row.cure).collect();
            cures.dedup();
            let what = format!("the sandbox is {level}, not full");
            Err(Failure::new(what, cures.join("; ")))
        }
    }
}

/// Has a child try, and asks the kernel about it while it lives.
async fn examine(executor: &Executor) -> Result<Evidence, String> {
    let canary = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    let name = serde_json::json!(canary.path());
    let mut child = executor
        .child(&executor.snippet, false)
        .await
        .map_err(|error| error.to_string())?;
    let work = Work::Code {
        code: format!("CANARY = {name}\n{PROBE}"),
        tools: "[]".to_owned(),
        stay: true,
    };
    let bounds = Bounds {
        wall: WALL,
        output: 4096,
        watched: Duration::ZERO,
    };
    let cancelled = CancellationToken::new();
    let finished = call::run(&mut child, &work, bounds, &cancelled, &Nobody).await;
    let evidence = match finished.end {
        End::Result(json) => Evidence::of(&json, &child.process).map_err(|error| error.to_string()),
        other => Err(format!("{other:?} {}", finished.stderr)),
    };
    executor.release(child, Duration::ZERO).await;
    evidence
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec![format!(
        "{:18} {:8} {}",
        "mechanism", "state", "what it stops"
    )];
    for row in rows {
        lines.push(format!(
            "{:18} {:8} {}",
            row.mechanism, row.state, row.stops
        ));
        if row.state != "active" {
            lines.push(format!("{:27} seen: {}", "", row.seen));
        }
        if let Some(cure) = &row.cure {
            lines.push(format!("{:27} fix: {cure}", ""));
        }
    }
    lines.join("\n")
}

/// The examination talks to nobody.
struct Nobody;

impl Listener for Nobody {
    fn output(&self, _stream: Stream, _text: &str) {}

    fn note(&self, _note: Note) {}

    async fn ask(&self, _question: Question) -> String {
        serde_json::json!({"error": {"type": "PermissionError", "message": "there is nobody to ask"}}).to_string()
    }

    async fn connect(&self, _address: String) -> Result<OwnedFd, Refused> {
        Err(Refused {
            errno: libc::EACCES,
            message: "nothing is granted".to_owned(),
        })
    }
}
