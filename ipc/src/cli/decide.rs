//! Questions that a server asks in the course of a request: may this tool be called? Whoever types the request says
//! beforehand which ones may; the others are denied, and each question is told with what was answered.
use std::io::{self, Write as _};

use super::{Fault, text};
use crate::{
    client::Ask,
    proto::{RunCode, ToolDecision, frame::Body},
};

/// Stands for every tool.
const ALL: &str = "all";
/// Characters of the arguments that are told.
const ARGUMENTS: usize = 200;

/// The names of the tools that may be called.
#[derive(Debug)]
pub(super) struct Allowed(Vec<String>);

impl Allowed {
    /// Refuses names that nobody would ask about.
    pub(super) fn new(names: Vec<String>, body: &Body) -> Result<Self, Fault> {
        if names.iter().any(String::is_empty) {
            return Err(Fault::usage(
                "--allow has an empty name",
                "such as --allow NAME,NAME, or --allow all",
            ));
        }
        if let (false, Body::RunCode(RunCode { decides: false, .. })) = (names.is_empty(), body) {
            return Err(Fault::usage(
                "--allow has no effect: without decides this snippet's calls are not asked about",
                "add \"decides\":true to the JSON, or leave --allow out",
            ));
        }
        Ok(Self(names))
    }

    /// Answers a question, and tells both on stderr.
    pub(super) fn decide(&self, ask: Ask) {
        let (name, arguments) = match &ask.request.call {
            Some(call) => (call.name.as_str(), call.arguments.as_str()),
            None => ("", ""),
        };
        let allowed = self.0.iter().any(|known| known == ALL || known == name);
        let (verdict, reason, hint) = if allowed {
            ("allow", "", String::new())
        } else {
            (
                "deny",
                "ipc call was not told to allow it",
                // A question that names no tool is allowed with all others only.
                match name {
                    "" => format!(" (--allow {ALL} allows it)"),
                    name => format!(" (--allow {} allows it)", text::escape(name)),
                },
            )
        };
        let asked = format!(
            "{} {}({})",
            text::escape(&ask.request.kind),
            text::escape(name),
            text::head(arguments, ARGUMENTS)
        );
        // What is decided does not depend on somebody watching.
        let _ = writeln!(io::stderr(), "asked: {asked}: {verdict}{hint}");
        ask.decide(ToolDecision {
            verdict: verdict.to_owned(),
            reason: reason.to_owned(),
            ..ToolDecision::default()
        });
    }
}
