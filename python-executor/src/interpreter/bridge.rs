//! What tool code can ask of the supervisor: the object behind `callspan.channel.current`.
//!
//! Nothing here is a privilege: whatever comes over the channel is judged by the supervisor, whoever in this process
//! wrote it.

use std::{
    io,
    os::fd::{IntoRawFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pyo3::{
    exceptions::{PyOSError, PyPermissionError, PyRuntimeError},
    prelude::*,
};

use crate::{
    child::Channel,
    protocol::{
        channel::Kind,
        work::{ArtefactHead, Failure, Note, Question, Refused},
    },
};

/// The channel, shared by the child's own loop and by Python.
#[pyclass(frozen)]
#[derive(Clone, Debug)]
pub(crate) struct Bridge {
    channel: Arc<Mutex<Channel>>,
}

impl Bridge {
    pub(crate) fn new(channel: Arc<Mutex<Channel>>) -> Self {
        Self { channel }
    }

    fn lock(&self) -> MutexGuard<'_, Channel> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn say(&self, kind: Kind, parts: &[&[u8]]) -> io::Result<()> {
        self.lock().say(kind, parts)
    }

    pub(crate) fn fail(&self, failure: &Failure) -> io::Result<()> {
        self.lock().fail(failure)
    }

    pub(crate) fn next(&self) -> io::Result<Option<(Kind, Vec<u8>)>> {
        self.lock().next()
    }

    /// Says something and waits for what is answered, with no other thread's words between.
    fn exchange(
        &self,
        kind: Kind,
        said: &[u8],
        expected: Kind,
    ) -> io::Result<(Option<OwnedFd>, Vec<u8>)> {
        let mut channel = self.lock();
        channel.say(kind, &[said])?;
        match channel.next()? {
            Some((kind, answer)) if kind == expected => Ok((channel.passed(), answer)),
            _ => Err(io::Error::other("the executor does not answer")),
        }
    }
}

#[pymethods]
impl Bridge {
    /// Says how far the tool is, or what it logs.
    fn notify(&self, py: Python<'_>, kind: String, payload: String) -> PyResult<()> {
        let note = json(&Note { kind, payload })?;
        Ok(py.detach(|| self.say(Kind::Note, &[&note]))?)
    }

    /// Gives a file to whoever called the tool.
    fn artefact(
        &self,
        py: Python<'_>,
        name: String,
        media_type: String,
        data: &[u8],
    ) -> PyResult<()> {
        let head = json(&ArtefactHead { name, media_type })?;
        Ok(py.detach(|| self.say(Kind::Artefact, &[&head, b"\n", data]))?)
    }

    /// Asks, and waits for the answer.
    fn ask(&self, py: Python<'_>, kind: String, payload: String) -> PyResult<String> {
        let question = json(&Question { kind, payload })?;
        let (_, answer) = py.detach(|| self.exchange(Kind::Question, &question, Kind::Answer))?;
        String::from_utf8(answer).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    /// A descriptor that is connected to the address.
    fn connect(&self, py: Python<'_>, address: &str) -> PyResult<i32> {
        let (descriptor, answer) =
            py.detach(|| self.exchange(Kind::Connect, address.as_bytes(), Kind::Connection))?;
        if let Some(descriptor) = descriptor {
            return Ok(descriptor.into_raw_fd());
        }
        let refused: Refused = serde_json::from_slice(&answer)
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        Err(match refused.errno {
            libc::EACCES | libc::EPERM => {
                PyPermissionError::new_err((refused.errno, refused.message))
            }
            errno => PyOSError::new_err((errno, refused.message)),
        })
    }
}

fn json(value: &impl serde::Serialize) -> PyResult<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| PyRuntimeError::new_err(error.to_string()))
}
