//! What supervisor and child say over their channel: what a child is to be, what it is to do, and how that ended.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::channel::Seal;
use crate::sandbox::Confinement;

/// What a child is to be: it reads this before it confines itself, and knows no more of the host than this.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Warm {
    pub(crate) confinement: Confinement,
    /// The file of tools to import; none for snippets.
    pub(crate) file: Option<PathBuf>,
    /// That file's text.
    pub(crate) source: Option<String>,
    /// What Python's compiler made of it in the child that described the file; empty: to be compiled.
    pub(crate) code: String,
    /// Tell what the file's tools are.
    pub(crate) describe: bool,
    /// Variables of the tool's environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Addresses that it may connect to.
    pub(crate) network: Vec<String>,
    /// Begins each frame that the child writes.
    pub(crate) seal: Seal,
}

/// What a warm child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Call a tool of the file, and end. The arguments are JSON text.
    Call { name: String, arguments: String },
    /// Run a snippet, in which these tools are functions (JSON text), and wait for more if there is a session.
    Code {
        code: String,
        tools: String,
        stay: bool,
    },
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    Exception {
        kind: String,
        message: String,
        traceback: String,
    },
    BadResult(String),
    SandboxSetup(String),
}

/// What a tool says while it works.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) kind: String,
    /// JSON text.
    pub(crate) payload: String,
}

/// What a tool wants to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) kind: String,
    /// JSON text.
    pub(crate) payload: String,
}

/// Of a file that a tool returns.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ArtefactHead {
    pub(crate) name: String,
    pub(crate) media_type: String,
}

/// Why there is no connection, as Python's `OSError` wants it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) errno: i32,
    pub(crate) message: String,
}
