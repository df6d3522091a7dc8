//! The tools that there are: each file of the tools directory is described by a confined child, its tools' schemas
//! are compiled, and arguments are checked against them before anything runs. A file that has become broken keeps the
//! version that was not.

mod effort;
mod entry;
mod files;

use std::{
    collections::{HashMap, HashSet},
    io,
    path::Path,
    sync::{Arc, OnceLock},
};

use ipc::proto::{Tool, ToolInfo, ToolProblem};
use serde::Deserialize;
use serde_json::Value;

pub(crate) use entry::Entry;
use files::{Read, read_files};

use crate::{
    executor::Executor,
    mount::Server,
    outcome,
    policy::{Declared, Policy, Shortfall, effective, lines_for},
    profile::{Profile, ToolFile},
    protocol::work::Failure,
    sandbox::{Limits, grants},
    spares::WARMING,
    start::say,
    supervisor::Cold,
};

/// What the place of a server's tools begins with; no file's name does.
pub(crate) const MOUNTED: &str = "mcp:";

/// All tools, in the order of their files' names, and what could not be used.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    entries: Vec<Arc<Entry>>,
    pub(crate) problems: Vec<ToolProblem>,
    /// What the one who deploys should know of policies.
    pub(crate) notes: Vec<String>,
    /// What was last read, to know what has changed.
    files: Vec<Read>,
    /// Made for the first snippet.
    declarations: OnceLock<String>,
}

/// What the child that imported a file says of it.
#[derive(Debug, Deserialize)]
struct Description {
    tools: Vec<Described>,
    code: String,
}

/// What a file says of one of its tools.
#[derive(Debug, Deserialize)]
struct Described {
    name: String,
    #[serde(default)]
    description: String,
    parameters: Value,
    /// What it declares of its own policy.
    #[serde(default)]
    policy: Value,
    /// Parameters that may be null although their schema does not say so.
    #[serde(default)]
    nullable: Vec<String>,
}

impl Catalogue {
    /// Reads the `*.py` files of a directory (not those whose name begins with `_`). What is as it was in `before` is
    /// taken over. Nothing: all of it is.
    pub(crate) async fn load(
        executor: &Arc<Executor>,
        dir: &Path,
        before: Option<&Self>,
    ) -> io::Result<Option<Self>> {
        let files = read_files(dir)?;
        if before.is_some_and(|before| before.files == files) {
            return Ok(None);
        }
        let helpers = |files: &[Read]| -> Vec<Read> {
            files
                .iter()
                .filter(|file| file.is_helper)
                .cloned()
                .collect()
        };
        // What they import may have changed all of them.
        let same_helpers = before.is_some_and(|before| helpers(&before.files) == helpers(&files));
        let mut catalogue = Self::default();
        for file in files.iter().filter(|file| !file.is_helper) {
            let old = before
                .map(|before| before.of(&file.name))
                .unwrap_or_default();
            // What is wrong with a file is found anew: it may have been another file's doing.
            let unchanged = before.is_some_and(|before| {
                let same = |problem: &ToolProblem| problem.file == file.name;
                before.files.contains(file) && !before.problems.iter().any(same)
            });
            if same_helpers && unchanged && !old.is_empty() {
                catalogue.take_over(&file.name, old);
                continue;
            }
            match describe(executor, file).await {
                Ok((source, tools)) => catalogue.add(executor, &file.name, &source, tools),
                Err(why) if old.is_empty() => catalogue.problem(&file.name, why),
                Err(why) => {
                    let why = format!("{why}; its last good version stays in use");
                    catalogue.problem(&file.name, why);
                    catalogue.take_over(&file.name, old);
                }
            }
        }
        let unknown = executor
            .deployment
            .named()
            .filter(|name| catalogue.find(name).is_none());
        let notes: Vec<String> = unknown
            .map(|name| format!("the policy file speaks of {name}, which is no tool here"))
            .collect();
        catalogue.notes.extend(notes);
        catalogue.files = files;
        Ok(Some(catalogue))
    }

    /// The tools of the files, and those of the servers as they are now.
    #[must_use]
    pub(crate) fn with_servers(&self, servers: &[Arc<Server>]) -> Self {
        let of_files = |place: &str| !place.starts_with(MOUNTED);
        let mut all = Self {
            entries: (self.entries.iter().filter(|entry| of_files(&entry.file)))
                .cloned()
                .collect(),
            problems: (self
                .problems
                .iter()
                .filter(|problem| of_files(&problem.file)))
            .cloned()
            .collect(),
            notes: self.notes.clone(),
            files: self.files.clone(),
            declarations: OnceLock::new(),
        };
        for server in servers {
            let (entries, problems) = server.entries();
            all.problems.extend(problems);
            for entry in entries {
                let file = entry.file.clone();
                all.insert(&file, Arc::new(entry));
            }
        }
        all
    }

    fn problem(&mut self, file: &str, message: impl Into<String>) {
        self.problems.push(ToolProblem {
            file: file.to_owned(),
            message: message.into(),
        });
    }

    fn of(&self, file: &str) -> Vec<Arc<Entry>> {
        self.entries
            .iter()
            .filter(|entry| entry.file == file)
            .cloned()
            .collect()
    }

    fn take_over(&mut self, file: &str, entries: Vec<Arc<Entry>>) {
        for entry in entries {
            self.insert(file, entry);
        }
    }

    fn add(&mut self, executor: &Executor, file: &str, source: &ToolFile, tools: Vec<Described>) {
        let mut profiles: Vec<Arc<Profile>> = Vec::new();
        for tool in tools {
            let declared = match &tool.policy {
                Value::Null => Ok(Declared::default()),
                policy => Declared::from_json(policy),
            };
            let declared = match declared {
                Ok(declared) => declared,
                Err(why) => {
                    self.problem(file, format!("the policy of {}: {why}", tool.name));
                    continue;
                }
            };
            let (policy, short) = effective(&executor.deployment, Some(&tool.name), &declared);
            // Tools of one file and policy share their children.
            let same = profiles.iter().find(|profile| profile.policy == policy);
            let profile = same
                .cloned()
                .unwrap_or_else(|| Profile::new(Some(source.clone()), policy));
            profiles.push(profile.clone());
            match Entry::new(
                file,
                &profile,
                tool.name,
                tool.description,
                &tool.parameters,
                tool.nullable,
            ) {
                Ok(entry) => {
                    self.notes.extend(told(&entry.tool.name, &short));
                    self.insert(file, Arc::new(entry));
                }
                Err(why) => self.problem(file, why),
            }
        }
    }

    fn insert(&mut self, file: &str, entry: Arc<Entry>) {
        if let Some(other) = self.find(&entry.tool.name) {
            let why = format!(
                "the tool {} exists already in {}",
                entry.tool.name, other.file
            );
            self.problem(file, why);
        } else {
            self.entries.push(entry);
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Entry>> {
        self.entries.iter().find(|entry| entry.tool.name == name)
    }

    pub(crate) fn entries(&self) -> &[Arc<Entry>] {
        &self.entries
    }

    pub(crate) fn tools(&self) -> Vec<Tool> {
        self.entries
            .iter()
            .map(|entry| entry.tool.clone())
            .collect()
    }

    /// Of each tool, where it stands and what its calls run under.
    pub(crate) fn details(&self) -> Vec<ToolInfo> {
        let info = |entry: &Arc<Entry>| ToolInfo {
            name: entry.tool.name.clone(),
            file: entry.file.clone(),
            // Every path is written as text; one that is none leaves the field empty.
            policy: serde_json::to_string(&entry.profile.policy).unwrap_or_default(),
        };
        self.entries.iter().map(info).collect()
    }

    /// What snippets are told of the tools: JSON text.
    pub(crate) fn declarations(&self) -> &str {
        self.declarations.get_or_init(|| self.declare())
    }

    fn declare(&self) -> String {
        let declare = |entry: &Arc<Entry>| {
            let tool = &entry.tool;
            let parameters: Value = serde_json::from_str(&tool.parameters).unwrap_or_default();
            serde_json::json!({
                "name": tool.name,
                "description": tool.description,
                "parameters": parameters,
            })
        };
        self.entries
            .iter()
            .map(declare)
            .collect::<Value>()
            .to_string()
    }

    /// What children are made for.
    pub(crate) fn profiles(&self) -> HashMap<u64, Arc<Profile>> {
        let profile = |entry: &Arc<Entry>| (entry.profile.id, entry.profile.clone());
        let of_files = self.entries.iter().filter(|entry| entry.mounted.is_none());
        of_files.map(profile).collect()
    }
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

/// Drops the spares that nobody wants any more, and makes those that are wanted.
pub(crate) fn prepare(executor: &Arc<Executor>, catalogue: &Catalogue) {
    let profiles = catalogue.profiles();
    let granted = profiles
        .values()
        .flat_map(|profile| grants(&profile.policy));
    if let Err(no) = executor.supervisor.grant(granted.collect()) {
        say(&format!(
            "what policies grant cannot be had: {}; fix: {}",
            no.what, no.fix
        ));
    }
    let code = [&executor.snippet, &executor.session];
    let ids = profiles.keys().copied();
    let wanted: HashSet<u64> = ids.chain(code.map(|profile| profile.id)).collect();
    executor.spares.keep(&wanted);
    for profile in profiles.values().chain([&executor.snippet]) {
        executor.spares.refill(executor, profile);
    }
}

/// What a file's tools are, by a child of its own that imports it.
async fn describe(
    executor: &Arc<Executor>,
    file: &Read,
) -> Result<(ToolFile, Vec<Described>), String> {
    let source = file.source.clone()?;
    let mut tools = ToolFile {
        path: file.path.clone(),
        source,
        code: Arc::default(),
    };
    let policy: &Policy = &executor.base;
    let profile = Profile::new(Some(tools.clone()), policy.clone());
    let mut child = executor
        .child(&profile, true)
        .await
        .map_err(|error| error.to_string())?;
    match child.warmed(WARMING, policy.output()).await {
        Ok(json) => {
            let described: Description = serde_json::from_slice(&json)
                .map_err(|error| format!("the description of its tools is not usable: {error}"))?;
            tools.code = described.code.into();
            Ok((tools, described.tools))
        }
        Err(Cold::Failure(Failure::Exception { kind, message, .. })) => {
            Err(if message.is_empty() { kind } else { message })
        }
        Err(Cold::Failure(Failure::SandboxSetup(what))) => Err(format!("the sandbox: {what}")),
        Err(Cold::Failure(Failure::BadResult(what))) => Err(what),
        Err(Cold::TooSlow) => Err(format!("loading took longer than {WARMING:?}")),
        Err(Cold::Ended) => Err(match child.process.over().await {
            Some(ended) => outcome::died(ended.status, ended.cpu_us, &Limits::of(policy)).2,
            None => "the process that runs tools was lost".to_owned(),
        }),
    }
}
