//! What all calls share, and where a call gets its child from: one that waits, or a fresh one.

use std::{io, sync::Arc};

use crate::{
    policy::{Deployment, Endpoint, Policy},
    profile::Profile,
    protocol::work::Warm,
    sandbox::{Confinement, Limits, grants},
    spares::Spares,
    supervisor::{Child, Supervisor},
};

#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) spares: Spares,
    /// What is allowed here.
    pub(crate) deployment: Deployment,
    /// Under which files are asked for their tools.
    pub(crate) base: Policy,
    /// Children for one snippet, and for a session of them.
    pub(crate) snippet: Arc<Profile>,
    pub(crate) session: Arc<Profile>,
    /// Where each call gets a directory of its own to write to, unless the jail is full. If this process is killed, the
    /// zygote removes it, where there is one.
    pub(crate) scratch: Option<tempfile::TempDir>,
}

/// Where a call's child came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Spare,
    Fork,
    Session,
}

impl Origin {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Spare => "spare",
            Self::Fork => "fork",
            Self::Session => "session",
        }
    }
}

impl Executor {
    /// A child for one piece of work: one that waits, or a fresh one.
    pub(crate) async fn take(&self, profile: &Profile) -> io::Result<(Child, Origin)> {
        match self.spares.take(profile) {
            Some(child) => Ok((child, Origin::Spare)),
            None => Ok((self.child(profile, false).await?, Origin::Fork)),
        }
    }

    /// A fresh child, which gets warm by itself.
    pub(crate) async fn child(&self, profile: &Profile, describe: bool) -> io::Result<Child> {
        let scratch = self
            .scratch
            .as_ref()
            .map(tempfile::tempdir_in)
            .transpose()?;
        let file = profile.file.as_ref();
        let warm = Warm {
            confinement: Confinement {
                scratch: scratch
                    .as_ref()
                    .map(|scratch| scratch.path().to_owned())
                    .unwrap_or_default(),
                grants: grants(&profile.policy),
                limits: Limits::of(&profile.policy),
            },
            file: file.map(|file| file.path.clone()),
            // Who is given the file's code has no use for its text.
            source: file
                .filter(|file| file.code.is_empty())
                .map(|file| file.source.to_string()),
            code: file.map(|file| file.code.to_string()).unwrap_or_default(),
            describe,
            environment: environment(&profile.policy),
            network: profile
                .policy
                .network
                .iter()
                .map(Endpoint::to_string)
                .collect(),
            seal: <_>::default(),
        };
        let mut child = self.supervisor.child(warm).await?;
        child.scratch = scratch;
        Ok(child)
    }

    /// Sees a child off that is not wanted any more.
    pub(crate) async fn release(&self, mut child: Child, patience: std::time::Duration) {
        child.channel.close();
        if !child.process.finish(patience).await {
            self.supervisor.retire(&child.zygote);
        }
    }
}

/// The variables that a policy names, as far as this process has them.
fn environment(policy: &Policy) -> Vec<(String, String)> {
    let names = policy.environment.iter();
    names
        .filter_map(|name| Some((name.clone(), std::env::var(name).ok()?)))
        .collect()
}
