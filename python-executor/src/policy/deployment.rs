//! What the one who runs the executor allows: a policy file, and the flags that bound it.

use std::{
    collections::BTreeMap,
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    section::{KEYS, Section, Written, unknown_key},
    server::{Server, server},
};

const TOP: [&str; 5] = ["grant_declared", "default", "tools", "code", "mcp"];
/// A policy file is written by hand.
const MAX_FILE: u64 = 1 << 20;

/// What all of a deployment's tools are held to. Nothing said: the defaults of [`super::Policy`], and no grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deployment {
    /// Where the file says nothing of a grant, a tool gets what it declares.
    pub(crate) grant_declared: bool,
    /// Flags: the file cannot allow more.
    pub(crate) wall_ms: Option<u64>,
    pub(crate) cpu_s: Option<u64>,
    pub(super) default: Section,
    pub(super) tools: BTreeMap<String, Section>,
    /// Snippets of code that a model wrote.
    pub(super) code: Section,
    /// MCP servers.
    pub(super) servers: BTreeMap<String, Server>,
}

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadPolicy {
    #[error("cannot read the policy file {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("{}:{line}: {why}", path.display())]
    Wrong {
        path: PathBuf,
        line: usize,
        why: String,
    },
}

/// What is wrong, and where in the text.
pub(super) type Fault = (Range<usize>, String);

impl Deployment {
    pub(crate) fn load(path: &Path) -> Result<Self, BadPolicy> {
        let unreadable = |error| BadPolicy::Unreadable {
            path: path.to_owned(),
            error,
        };
        if fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE {
            return Err(unreadable(io::Error::other(format!(
                "it is larger than {MAX_FILE} bytes"
            ))));
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let whole = std::path::absolute(path).map_err(unreadable)?;
        Self::parse(&text, whole.parent()).map_err(|(at, why)| BadPolicy::Wrong {
            path: path.to_owned(),
            line: text
                .get(..at.start)
                .map_or(1, |before| before.matches('\n').count() + 1),
            why,
        })
    }

    /// Relative paths begin at `base`.
    pub(super) fn parse(text: &str, base: Option<&Path>) -> Result<Self, Fault> {
        let file = DeTable::parse(text)
            .map_err(|error| (error.span().unwrap_or(0..0), error.message().to_owned()))?
            .into_inner();
        let mut deployment = Self::default();
        for (key, value) in &file {
            match key.get_ref().as_ref() {
                "grant_declared" => {
                    deployment.grant_declared = value.get_ref().as_bool().ok_or_else(|| {
                        let why = "grant_declared is true or false".to_owned();
                        (value.span(), why)
                    })?;
                }
                "default" => deployment.default = section(value, base)?,
                "code" => deployment.code = section(value, base)?,
                "tools" => {
                    for (name, tool) in table(value)? {
                        deployment
                            .tools
                            .insert(name.get_ref().clone().into_owned(), section(tool, base)?);
                    }
                }
                "mcp" => {
                    for (name, said) in table(value)? {
                        deployment
                            .servers
                            .insert(name.get_ref().clone().into_owned(), server(said, base)?);
                    }
                }
                unknown => {
                    // The keys of a policy stand in a section.
                    let why = if KEYS.contains(&unknown) {
                        format!("{unknown} stands in a section: write [default] above it")
                    } else {
                        unknown_key(unknown, &TOP)
                    };
                    return Err((key.span(), why));
                }
            }
        }
        Ok(deployment)
    }

    /// Tools that the file speaks of.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        self.tools.keys().map(String::as_str)
    }
}

pub(super) fn table<'a, 'i>(value: &'a Spanned<DeValue<'i>>) -> Result<&'a DeTable<'i>, Fault> {
    value
        .get_ref()
        .as_table()
        .ok_or_else(|| (value.span(), "this is a section: write [name]".to_owned()))
}

pub(super) fn section(value: &Spanned<DeValue<'_>>, base: Option<&Path>) -> Result<Section, Fault> {
    let table = table(value)?;
    for key in table.keys() {
        if !KEYS.contains(&key.get_ref().as_ref()) {
            return Err((key.span(), unknown_key(key.get_ref(), &KEYS)));
        }
    }
    let spanned = Spanned::new(value.span(), table.clone());
    let written = Written::deserialize(toml::de::Deserializer::from(spanned)).map_err(|error| {
        let at = error.span().unwrap_or_else(|| value.span());
        (at, error.message().to_owned())
    })?;
    written.settle(base).map_err(|wrong| {
        let at = table
            .iter()
            .find(|(key, _)| key.get_ref() == wrong.key)
            .map_or_else(|| value.span(), |(_, value)| value.span());
        (at, format!("{}: {}", wrong.key, wrong.why))
    })
}
