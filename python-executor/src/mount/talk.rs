//! What a server says beside its answers, in our log with its name: bounded, for nobody else would bound it.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

use crate::start::say;

/// Lines that are shown of each window, and bytes of each.
const LINES: usize = 200;
const WINDOW: Duration = Duration::from_secs(10);
const MAX_LINE: usize = 2000;
/// The last lines are kept for who asks why it ended.
const LAST: usize = 3;

#[derive(Debug)]
pub(super) struct Talk {
    name: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    since: Instant,
    lines: usize,
    last: VecDeque<String>,
}

impl Talk {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: Mutex::new(State {
                since: Instant::now(),
                lines: 0,
                last: VecDeque::new(),
            }),
        }
    }

    pub(super) fn line(&self, line: &str) {
        let mut shown: String = line.chars().filter(|c| !c.is_control()).collect();
        shown.truncate(shown.floor_char_boundary(MAX_LINE));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.elapsed() > WINDOW {
            state.since = Instant::now();
            state.lines = 0;
        }
        state.lines += 1;
        match state.lines.cmp(&LINES) {
            std::cmp::Ordering::Less => say(&format!("{}: {shown}", self.name)),
            std::cmp::Ordering::Equal => say(&format!(
                "{}: {shown} (what follows in the next seconds is not shown)",
                self.name
            )),
            std::cmp::Ordering::Greater => {}
        }
        state.last.push_back(shown);
        if state.last.len() > LAST {
            state.last.pop_front();
        }
    }

    /// The last thing that was said.
    pub(super) fn last(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut said = state.last.iter().rev();
        said.find(|line| !line.trim().is_empty()).cloned()
    }

    /// Forgets what was said before a new start.
    pub(super) fn forget(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last.clear();
    }

    /// Passes on lines until there are no more. What is too long for one line is several.
    pub(super) async fn listen(&self, errors: impl AsyncRead + Unpin) {
        let mut errors = BufReader::new(errors);
        loop {
            let mut line = Vec::new();
            let read = (&mut errors)
                .take(MAX_LINE as u64)
                .read_until(b'\n', &mut line)
                .await;
            if !matches!(read, Ok(1..)) {
                return;
            }
            self.line(&String::from_utf8_lossy(line.trim_ascii_end()));
        }
    }
}
