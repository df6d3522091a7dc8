//! One child: its channel, what it prints, its process.

use std::{sync::Arc, time::Duration};

use tokio::time;

use super::{Channel, Maker, Output, Process};
use crate::{
    protocol::{channel::Kind, work::Failure},
    sandbox::Group,
};

/// A child that was started, and gets or is warm.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) zygote: Arc<Maker>,
    pub(crate) channel: Channel,
    /// Standard output and error.
    pub(crate) outputs: [Output; 2],
    pub(crate) process: Process,
    /// Its limits beyond what a process can be given, where they are to be had.
    pub(crate) group: Option<Group>,
    /// It has said that it is warm.
    pub(crate) warm: bool,
    /// Processor time that it used before its work began.
    pub(crate) cpu_before_us: u64,
    /// Where it writes, if it has no file system of its own; gone with it.
    pub(crate) scratch: Option<tempfile::TempDir>,
}

/// Why a child did not get warm.
#[derive(Debug)]
pub(crate) enum Cold {
    /// It said so.
    Failure(Failure),
    /// It ended, or said something else.
    Ended,
    TooSlow,
}

impl Child {
    /// Waits until it is warm; gives what it told of its file.
    pub(crate) async fn warmed(&mut self, most: Duration, output: usize) -> Result<Vec<u8>, Cold> {
        let warming = async {
            loop {
                let [stdout, stderr] = &mut self.outputs;
                tokio::select! {
                    biased;
                    said = self.channel.next() => return match said {
                        Ok(Some(said)) if said.kind == Kind::Ready => Ok(said.content),
                        Ok(Some(said)) if said.kind == Kind::Failure => Err(
                            serde_json::from_slice(&said.content).map_or(Cold::Ended, Cold::Failure)
                        ),
                        _ => Err(Cold::Ended),
                    },
                    // What is printed while a file is imported is the first call's.
                    () = stdout.ready() => stdout.read(output),
                    () = stderr.ready() => stderr.read(output),
                }
            }
        };
        let told = time::timeout(most, warming)
            .await
            .unwrap_or(Err(Cold::TooSlow))?;
        self.warm = true;
        self.cpu_before_us = self.process.used().map_or(0, |used| used.cpu_us);
        Ok(told)
    }

    /// One that waits for work and can be given it.
    pub(crate) fn is_waiting(&mut self) -> bool {
        !self.process.look() && self.channel.is_quiet()
    }
}
