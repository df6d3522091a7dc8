//! Which models another server has, and which one is meant.

use std::time::Duration;

use ipc::{Status, proto::Code};
use serde_json::Value;
use tokio::time::timeout;

use super::{OpenAi, http::Question};

/// How long the question may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a start waits to find out whether the server is there.
const GLANCE: Duration = Duration::from_secs(2);
/// Names in an error message.
const SHOWN: usize = 8;

impl OpenAi {
    /// Looks whether the server is there, and what it is. For the start: it blocks, and must not be called from async code.
    pub fn look(&self) -> Result<(), Status> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Status::internal(format!("cannot look for it: {error}")))?;
        runtime.block_on(async {
            let looked = timeout(GLANCE, async {
                let listed = self.list().await;
                if listed.is_ok() {
                    self.version().await;
                }
                listed
            });
            let Ok(listed) = looked.await else {
                let status = self.peer.lost("does not answer", None);
                self.peer.state().problem = Some(status.message.clone());
                return Err(status);
            };
            listed.map(drop)
        })
    }

    /// Those among which requests choose.
    pub(super) async fn offered(&self) -> Result<Vec<String>, Status> {
        let names = self.names_in_time().await?;
        let Some(model) = &self.peer.address.model else {
            return Ok(names);
        };
        // Some servers list nothing, or list it by another name and take this one all the same (Ollama's :latest).
        let known = |name: &String| name == model || name.strip_suffix(":latest") == Some(model);
        if names.is_empty() || names.iter().any(known) {
            return Ok(Vec::new());
        }
        Err(Status::not_found(format!(
            "the server at {} does not list {model:?}",
            self.peer.address
        ))
        .with_hint(format!("it lists: {}", shown(&names))))
    }

    /// The model that a request means.
    pub(super) async fn model(&self, asked: &str) -> Result<String, Status> {
        match (&self.peer.address.model, asked) {
            (Some(model), "") => return Ok(model.clone()),
            (Some(model), other) if model == other => return Ok(model.clone()),
            (Some(model), other) => {
                return Err(Status::not_found(format!(
                    "{} is the model {model:?} of another server, and {other:?} was asked for",
                    self.name
                ))
                .with_hint(format!(
                    "ask for {:?}; for all models of that server, start with --model {}=openai:URL without #MODEL",
                    self.name, self.name
                )));
            }
            (None, "") => {}
            (None, model) => return Ok(model.to_owned()),
        }
        let mut names = self.names_in_time().await?;
        match (names.pop(), names.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => Err(Status::failed_precondition(format!(
                "the server at {} lists no model",
                self.peer.address
            ))
            .with_hint("load one there, or name one: NAME/MODEL")),
            (Some(last), false) => {
                names.push(last);
                Err(Status::invalid_argument(format!(
                    "the server at {} has several models, and the request names none",
                    self.peer.address
                ))
                .with_hint(format!(
                    "set `model` to {}/MODEL with one of: {}",
                    self.name,
                    shown(&names)
                )))
            }
        }
    }

    /// Whether a prompt comes to the model as it is.
    pub(super) async fn takes_prompts(&self) -> Result<(), Status> {
        self.version().await;
        let kind = self.peer.state().kind.clone().unwrap_or_default();
        if kind.starts_with("Ollama") {
            return Err(Status::unimplemented(
                "a prompt is not possible with Ollama: it puts prompts into its own template",
            )
            .with_hint("ask with a chat"));
        }
        Ok(())
    }

    async fn names_in_time(&self) -> Result<Vec<String>, Status> {
        let listed = timeout(PATIENCE, self.list()).await;
        listed.unwrap_or_else(|_| Err(self.peer.lost("does not say which models it has", None)))
    }

    /// What it lists; nothing if it cannot list.
    async fn list(&self) -> Result<Vec<String>, Status> {
        let mut found = self.get(self.peer.path("/models")).await;
        if unknown(&found) {
            // Ollama's own list, which is older.
            found = self.get(self.peer.address.beside("/api/tags")).await;
        }
        if unknown(&found) {
            return Ok(Vec::new());
        }
        let (found, server) = found?;
        if self.peer.state().kind.is_none() {
            self.peer.state().kind = server;
        }
        let list = (found.get("data")).or_else(|| found.get("models"));
        let Some(Value::Array(list)) = list else {
            return Err(self.peer.strange("is no list of models"));
        };
        let name = |model: &Value| {
            let name = model.get("id").or_else(|| model.get("name"))?;
            name.as_str().map(super::refusal::plain)
        };
        Ok(list.iter().filter_map(name).collect())
    }

    /// Asks for what only Ollama answers.
    async fn version(&self) {
        let found = timeout(PATIENCE, self.get(self.peer.address.beside("/api/version"))).await;
        if let Ok(Ok((found, _))) = found
            && let Some(version) = found.get("version").and_then(Value::as_str)
        {
            let kind = format!("Ollama {}", super::refusal::plain(version));
            self.peer.state().kind = Some(kind);
        }
    }

    /// The JSON at a path, and what serves it.
    async fn get(&self, path: String) -> Result<(Value, Option<String>), Status> {
        let mut answer = self.peer.ask(Question::Get(path), None).await?;
        let whole = answer.whole().await?;
        let found = serde_json::from_slice(&whole)
            .map_err(|error| self.peer.strange(&format!("is no JSON: {error}")))?;
        let server = answer.server.as_deref().map(super::refusal::plain);
        Ok((found, server))
    }
}

/// The server does not know the path.
fn unknown(found: &Result<(Value, Option<String>), Status>) -> bool {
    matches!(found, Err(status) if matches!(status.code, Code::NotFound | Code::Unimplemented))
}

fn shown(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
