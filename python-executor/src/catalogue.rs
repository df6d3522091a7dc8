//! The tools that there are: each file of the tools directory is described by a confined child, its tools' schemas
//! are compiled, and arguments are checked against them before anything runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ipc::proto::{Tool, ToolInfo, ToolProblem};
use jsonschema::Validator;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    call::{End, Executor, Finished},
    outcome,
    policy::{Declared, Deployment, Policy, Shortfall, effective, lines_for},
    protocol::Outcome,
    sandbox::Limits,
};

/// Loading a file may take longer than a call: it may import much.
const DESCRIBE_WALL: std::time::Duration = std::time::Duration::from_secs(20);

/// Bytes of what one tool says of itself: all of it is told to the model with every question.
const MAX_DECLARATION: usize = 64 << 10;
/// Bytes of what is said of wrong arguments.
const MAX_WORDS: usize = 2000;

/// One usable tool.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) tool: Tool,
    pub(crate) file: PathBuf,
    /// What its calls run under.
    pub(crate) policy: Policy,
    validator: Validator,
}

/// All tools, in the order of their files' names, and what could not be used.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    entries: Vec<Entry>,
    pub(crate) problems: Vec<ToolProblem>,
    /// What the one who deploys should know of policies.
    pub(crate) notes: Vec<String>,
    deployment: Deployment,
}

#[derive(Deserialize)]
struct Described {
    name: String,
    #[serde(default)]
    description: String,
    parameters: Value,
    /// What it declares of its own policy.
    #[serde(default)]
    policy: Value,
}

impl Catalogue {
    /// Reads the `*.py` files of a directory (not those whose name begins with `_`).
    pub(crate) async fn load(
        executor: &Executor,
        deployment: Deployment,
        dir: &Path,
    ) -> io::Result<Self> {
        let mut files: Vec<PathBuf> = fs::read_dir(dir)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()?;
        files.retain(|path| {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            path.extension().is_some_and(|extension| extension == "py") && !name.starts_with('_')
        });
        files.sort();
        // Reading a file's tools is nobody's call: it runs under what holds for all of them.
        let (policy, _) = effective(&deployment, Some(""), &Declared::default());
        let mut catalogue = Self {
            deployment,
            ..Self::default()
        };
        for file in files {
            let name = file
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            match describe(executor, &file, &policy).await {
                Ok(tools) => catalogue.add(&name, &file, tools),
                Err(message) => catalogue.problem(&name, message),
            }
        }
        let unknown = catalogue
            .deployment
            .named()
            .filter(|name| catalogue.find(name).is_none());
        let notes: Vec<String> = unknown
            .map(|name| format!("the policy file speaks of {name}, which is no tool here"))
            .collect();
        catalogue.notes.extend(notes);
        Ok(catalogue)
    }

    fn problem(&mut self, file: &str, message: impl Into<String>) {
        self.problems.push(ToolProblem {
            file: file.to_owned(),
            message: message.into(),
        });
    }

    fn add(&mut self, file_name: &str, file: &Path, tools: Vec<Described>) {
        for tool in tools {
            if let Some(other) = self.find(&tool.name) {
                let other = other.file.display().to_string();
                self.problem(
                    file_name,
                    format!("the tool {} exists already in {other}", tool.name),
                );
                continue;
            }
            if let Err(why) = sound(&tool) {
                self.problem(file_name, why);
                continue;
            }
            let declared = match tool.policy {
                Value::Null => Ok(Declared::default()),
                ref policy => Declared::from_json(policy),
            };
            let declared = match declared {
                Ok(declared) => declared,
                Err(why) => {
                    self.problem(file_name, format!("the policy of {}: {why}", tool.name));
                    continue;
                }
            };
            let (policy, short) = effective(&self.deployment, Some(&tool.name), &declared);
            match jsonschema::options()
                .with_draft(jsonschema::Draft::Draft202012)
                .build(&tool.parameters)
            {
                Ok(validator) => {
                    self.notes.extend(told(&tool.name, &short));
                    self.entries.push(Entry {
                        tool: Tool {
                            name: tool.name,
                            description: tool.description,
                            parameters: tool.parameters.to_string(),
                        },
                        file: file.to_owned(),
                        policy,
                        validator,
                    });
                }
                Err(error) => {
                    self.problem(
                        file_name,
                        format!("the schema of {} is not usable: {error}", tool.name),
                    );
                }
            }
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tool.name == name)
    }

    pub(crate) fn tools(&self) -> Vec<Tool> {
        self.entries
            .iter()
            .map(|entry| entry.tool.clone())
            .collect()
    }

    /// Of each tool, where it stands and what its calls run under.
    pub(crate) fn details(&self) -> Vec<ToolInfo> {
        let info = |entry: &Entry| ToolInfo {
            name: entry.tool.name.clone(),
            file: entry
                .file
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            // Every path is written as text; one that is none leaves the field empty.
            policy: serde_json::to_string(&entry.policy).unwrap_or_default(),
        };
        self.entries.iter().map(info).collect()
    }
}

impl Entry {
    /// What is wrong with the arguments of a call, and where (a JSON pointer).
    pub(crate) fn check(&self, arguments: &str) -> Result<(), String> {
        let value: Value = serde_json::from_str(arguments)
            .map_err(|error| format!("the arguments are not JSON: {error}"))?;
        if !value.is_object() {
            return Err("the arguments are not a JSON object".to_owned());
        }
        match self.validator.iter_errors(&value).next() {
            None => Ok(()),
            Some(error) => {
                let at = error.instance_path().to_string();
                let place = if at.is_empty() {
                    String::new()
                } else {
                    format!("{at}: ")
                };
                let mut words = format!("{place}{error}");
                // It repeats what is wrong, however long that is.
                if words.len() > MAX_WORDS {
                    words.truncate(words.floor_char_boundary(MAX_WORDS));
                    words.push('…');
                }
                Err(words)
            }
        }
    }
}

/// What our own package makes of a tool always is, but a file can change the package around it.
fn sound(tool: &Described) -> Result<(), String> {
    let name = &tool.name;
    let letters = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(letters) {
        let begin: String = name.chars().take(64).collect();
        return Err(format!("a tool has a name that cannot be: {begin:?}"));
    }
    if tool.parameters.get("type") != Some(&Value::from("object")) {
        return Err(format!("the parameters of {name} are no object"));
    }
    if tool.description.len() + tool.parameters.to_string().len() > MAX_DECLARATION {
        return Err(format!(
            "the description of {name} is longer than {MAX_DECLARATION} bytes"
        ));
    }
    Ok(())
}

/// What a tool asked for and does not get, and what would give it.
fn told(tool: &str, short: &[Shortfall]) -> Option<String> {
    if short.is_empty() {
        return None;
    }
    let parts: Vec<String> = short
        .iter()
        .map(|short| format!("{} {}, has {}", short.key, short.asked, short.has))
        .collect();
    let lines = lines_for(Some(tool), short).replace('\n', "\n    ");
    Some(format!(
        "{tool} asks for more than its policy allows: {}; to allow it, the policy file says:\n    {lines}",
        parts.join("; ")
    ))
}

async fn describe(
    executor: &Executor,
    file: &Path,
    policy: &Policy,
) -> Result<Vec<Described>, String> {
    let never = CancellationToken::new();
    let finished = executor
        .run(
            file.to_owned(),
            None,
            policy,
            DESCRIBE_WALL,
            &never,
            |_, _| {},
        )
        .await;
    match finished {
        Ok(Finished {
            end: End::Said(Outcome::Ok(json)),
            ..
        }) => serde_json::from_str(&json)
            .map_err(|error| format!("the description of its tools is not usable: {error}")),
        Ok(Finished {
            end: End::Said(Outcome::Exception { kind, message, .. }),
            ..
        }) => Err(if message.is_empty() { kind } else { message }),
        Ok(Finished {
            end: End::Said(Outcome::SandboxSetup(what)),
            ..
        }) => Err(format!("the sandbox: {what}")),
        Ok(Finished {
            end: End::TimedOut, ..
        }) => Err(format!("loading took longer than {DESCRIBE_WALL:?}")),
        Ok(finished) => {
            let (outcome, _, error) = outcome::words(&finished, &Limits::of(policy));
            Err(error.map_or(outcome.to_owned(), |error| error.message))
        }
        Err(error) => Err(error.to_string()),
    }
}
