//! Passes on to the client what a tool says while it works.

use std::os::fd::OwnedFd;

use ipc::{
    proto::{Delta, LogRecord, Progress},
    server::Answer,
};
use serde::Deserialize;

use crate::{
    broker::Broker,
    call::{Listener, Stream},
    protocol::work::{Note, Question, Refused},
};

/// The client of one request.
pub(super) struct ToClient<'a> {
    pub(super) answer: &'a Answer,
    /// What the tool may connect to.
    pub(super) broker: Broker,
}

impl Listener for ToClient<'_> {
    fn output(&self, stream: Stream, text: &str) {
        let text = text.to_owned();
        self.answer.delta(match stream {
            Stream::Out => Delta {
                stdout: text,
                ..Delta::default()
            },
            Stream::Err => Delta {
                stderr: text,
                ..Delta::default()
            },
        });
    }

    fn note(&self, note: Note) {
        if let Some(delta) = delta(&note) {
            self.answer.delta(delta);
        }
    }

    async fn ask(&self, _question: Question) -> String {
        let error = serde_json::json!({"error": {
            "type": "PermissionError",
            "message": "a tool cannot call other tools; only snippets can",
        }});
        error.to_string()
    }

    async fn connect(&self, address: String) -> Result<OwnedFd, Refused> {
        self.broker.connect(&address).await
    }
}

/// What a note is to a client; nothing if it is no note of ours.
fn delta(note: &Note) -> Option<Delta> {
    #[derive(Deserialize)]
    struct How {
        fraction: Option<f64>,
        #[serde(default)]
        message: String,
    }
    #[derive(Deserialize)]
    struct Logged {
        level: String,
        #[serde(default)]
        logger: String,
        message: String,
    }
    match note.kind.as_str() {
        "progress" => {
            let how: How = serde_json::from_str(&note.payload).ok()?;
            let progress = Progress {
                fraction: how.fraction.map(|fraction| fraction.clamp(0.0, 1.0)),
                message: how.message,
            };
            Some(Delta {
                progress: Some(progress),
                ..Delta::default()
            })
        }
        "log" => {
            let logged: Logged = serde_json::from_str(&note.payload).ok()?;
            let record = LogRecord {
                level: logged.level,
                logger: logged.logger,
                message: logged.message,
            };
            Some(Delta {
                logs: vec![record],
                ..Delta::default()
            })
        }
        _ => None,
    }
}
