//! From what a deployment allows and what a tool declares to what holds: limits are the lower ones, grants what both
//! name. What a tool asked for and does not get is told, with the lines of a policy file that would give it.

use std::path::PathBuf;

use super::{Approval, Declared, Deployment, Endpoint, Policy, paths, section::Section};

/// What a tool declares and does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shortfall {
    pub(crate) key: &'static str,
    /// What it asked for, in a policy file's form.
    pub(crate) asked: String,
    /// What it has of it instead.
    pub(crate) has: String,
    /// The line of a policy file that would give it.
    pub(crate) line: String,
}

/// What holds for a tool, or, without a name, for a snippet of code.
pub(crate) fn effective(
    deployment: &Deployment,
    tool: Option<&str>,
    declared: &Declared,
) -> (Policy, Vec<Shortfall>) {
    let own = match tool {
        Some(name) => deployment.tools.get(name),
        None => Some(&deployment.code),
    };
    let merge = Merge {
        own,
        default: &deployment.default,
        declared: &declared.0,
        grant_declared: deployment.grant_declared,
        short: Vec::new(),
    };
    merge.policy(deployment)
}

/// The part of a policy file that ends these shortfalls.
pub(crate) fn lines_for(tool: Option<&str>, shortfalls: &[Shortfall]) -> String {
    let mut lines = match tool {
        Some(name) => format!("[tools.{}]", key(name)),
        None => "[code]".to_owned(),
    };
    for shortfall in shortfalls {
        lines.push('\n');
        lines.push_str(&shortfall.line);
    }
    lines
}

/// A key of TOML: some names of tools have a dot.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        toml::Value::from(name).to_string()
    }
}

fn toml_list(texts: impl IntoIterator<Item = String>) -> String {
    toml::Value::Array(texts.into_iter().map(toml::Value::String).collect()).to_string()
}

struct Merge<'a> {
    own: Option<&'a Section>,
    default: &'a Section,
    declared: &'a Section,
    grant_declared: bool,
    short: Vec<Shortfall>,
}

impl<'a> Merge<'a> {
    fn policy(mut self, deployment: &Deployment) -> (Policy, Vec<Shortfall>) {
        let base = Policy::default();
        let mut policy = Policy {
            wall_ms: self.limit("wall_ms", |s| s.wall_ms, deployment.wall_ms, base.wall_ms),
            cpu_s: self.limit("cpu_s", |s| s.cpu_s, deployment.cpu_s, base.cpu_s),
            memory_mib: self.limit("memory_mib", |s| s.memory_mib, None, base.memory_mib),
            scratch_mib: self.limit("scratch_mib", |s| s.scratch_mib, None, base.scratch_mib),
            output_kib: self.limit("output_kib", |s| s.output_kib, None, base.output_kib),
            read: self.granted(|s| s.read.as_ref(), paths::both),
            write: self.granted(|s| s.write.as_ref(), paths::both),
            network: self.granted(|s| s.network.as_ref(), both_endpoints),
            environment: self.granted(
                |s| s.environment.as_ref(),
                |ours, theirs| {
                    ours.iter()
                        .filter(|name| theirs.contains(name))
                        .cloned()
                        .collect()
                },
            ),
            approval: self.approval(),
        };
        let shown = |path: &PathBuf| path.display().to_string();
        let writable = policy.write.clone();
        self.lacking(
            "read",
            |s| s.read.as_ref(),
            &policy.read,
            shown,
            |path, has| paths::contains(has, path) || paths::contains(&writable, path),
        );
        self.lacking(
            "write",
            |s| s.write.as_ref(),
            &policy.write,
            shown,
            |path, has| paths::contains(has, path),
        );
        self.lacking(
            "network",
            |s| s.network.as_ref(),
            &policy.network,
            Endpoint::to_string,
            |endpoint, has| has.iter().any(|ours| ours.covers(endpoint)),
        );
        self.lacking(
            "environment",
            |s| s.environment.as_ref(),
            &policy.environment,
            String::clone,
            |name, has| has.contains(name),
        );
        // What can be written can be read: said once.
        policy
            .read
            .retain(|path| !paths::contains(&policy.write, path));
        (policy, self.short)
    }

    /// What the deployment says of a key.
    fn allowed<T>(&self, of: impl Fn(&'a Section) -> Option<T>) -> Option<T> {
        self.own.and_then(&of).or_else(|| of(self.default))
    }

    fn limit(
        &mut self,
        key: &'static str,
        of: impl Fn(&'a Section) -> Option<u64>,
        flag: Option<u64>,
        default: u64,
    ) -> u64 {
        let file = self.allowed(&of);
        let ceiling = match (file, flag) {
            (Some(file), Some(flag)) => file.min(flag),
            (file, flag) => file.or(flag).unwrap_or(default),
        };
        match of(self.declared) {
            Some(asked) if asked > ceiling => {
                let flag = match flag {
                    Some(flag) if flag < asked => {
                        format!(" # and the flag --{} {asked}", key.replace('_', "-"))
                    }
                    _ => String::new(),
                };
                self.short.push(Shortfall {
                    key,
                    asked: asked.to_string(),
                    has: ceiling.to_string(),
                    line: format!("{key} = {asked}{flag}"),
                });
                ceiling
            }
            asked => asked.unwrap_or(ceiling),
        }
    }

    /// A person is asked unless the deployment says otherwise and the tool does not object.
    fn approval(&mut self) -> Approval {
        let allowed = self.allowed(|s| s.approval).unwrap_or_default();
        match (allowed, self.declared.approval) {
            (Approval::Auto, None | Some(Approval::Auto)) => Approval::Auto,
            (Approval::Ask, Some(Approval::Auto)) => {
                self.short.push(Shortfall {
                    key: "approval",
                    asked: "\"auto\"".to_owned(),
                    has: "\"ask\"".to_owned(),
                    line: "approval = \"auto\"".to_owned(),
                });
                Approval::Ask
            }
            _ => Approval::Ask,
        }
    }

    fn granted<T: Clone + 'a>(
        &self,
        of: impl Fn(&'a Section) -> Option<&'a Vec<T>>,
        both: impl Fn(&[T], &[T]) -> Vec<T>,
    ) -> Vec<T> {
        match (self.allowed(&of), of(self.declared)) {
            (Some(allowed), Some(declared)) => both(allowed, declared),
            (Some(allowed), None) => allowed.clone(),
            (None, Some(declared)) if self.grant_declared => declared.clone(),
            (None, _) => Vec::new(),
        }
    }

    /// Notes what is declared and not `covered` by what it `has`.
    fn lacking<T: Clone + Ord + 'a>(
        &mut self,
        key: &'static str,
        of: impl Fn(&'a Section) -> Option<&'a Vec<T>>,
        has: &[T],
        shown: impl Fn(&T) -> String,
        covered: impl Fn(&T, &[T]) -> bool,
    ) {
        let lacking: Vec<T> = of(self.declared)
            .into_iter()
            .flatten()
            .filter(|asked| !covered(asked, has))
            .cloned()
            .collect();
        if lacking.is_empty() {
            return;
        }
        // The line stands in for what the deployment said before, so it says that again.
        let mut whole: Vec<T> = self.allowed(&of).cloned().unwrap_or_default();
        whole.extend(lacking.iter().cloned());
        whole.sort();
        whole.dedup();
        self.short.push(Shortfall {
            key,
            asked: toml_list(lacking.iter().map(&shown)),
            has: toml_list(has.iter().map(&shown)),
            line: format!("{key} = {}", toml_list(whole.iter().map(&shown))),
        });
    }
}

fn both_endpoints(ours: &[Endpoint], theirs: &[Endpoint]) -> Vec<Endpoint> {
    let within = |inner: &[Endpoint], outer: &[Endpoint]| -> Vec<Endpoint> {
        inner
            .iter()
            .filter(|inner| outer.iter().any(|outer| outer.covers(inner)))
            .cloned()
            .collect()
    };
    let mut both = [within(ours, theirs), within(theirs, ours)].concat();
    both.sort();
    both.dedup();
    both
}
