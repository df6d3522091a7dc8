//! A line on standard error that says how far a download is: redrawn for a person, written once for a log.

use std::{
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

/// How often a person's line is redrawn.
const REDRAW: Duration = Duration::from_millis(100);
const WIDTH: u64 = 30;

pub(super) struct Progress {
    file: String,
    done: u64,
    total: u64,
    started: Instant,
    /// Of what was there when it started nothing is to be said of speed.
    before: u64,
    drawn: Option<Instant>,
    person: bool,
}

impl Progress {
    pub(super) fn new(file: &str, before: u64, total: u64) -> Self {
        let person = stderr().is_terminal();
        if !person {
            // Nobody may be reading any more.
            let _ = writeln!(stderr(), "downloading {file} ({})", megabytes(total));
        }
        Self {
            file: file.into(),
            done: before,
            total,
            started: Instant::now(),
            before,
            drawn: None,
            person,
        }
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.done += bytes;
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW);
        if self.person && due {
            self.drawn = Some(Instant::now());
            let _ = write!(stderr(), "\r\x1b[K{}", self.line());
        }
    }

    pub(super) fn end(self) {
        if self.person {
            let _ = writeln!(stderr(), "\r\x1b[K{}", self.line());
        }
    }

    fn line(&self) -> String {
        let full = (self.done * WIDTH)
            .checked_div(self.total)
            .unwrap_or(WIDTH)
            .min(WIDTH);
        let (bar, rest) = (
            "█".repeat(full as usize),
            " ".repeat((WIDTH - full) as usize),
        );
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let speed = (self.done - self.before) as f64 / 1e6 / seconds;
        format!(
            "{} ▕{bar}{rest}▏ {} of {}, {speed:.1} MB/s",
            self.file,
            megabytes(self.done),
            megabytes(self.total)
        )
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
