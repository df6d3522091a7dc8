//! The thread that looks: takes what was forwarded, decodes it, writes lines. Where stdout blocks, this thread blocks
//! and nothing else does; where stdout is gone, it stops looking, and bytes go on.
use std::{
    env, io,
    io::{IsTerminal as _, Write as _},
    sync::{Arc, PoisonError},
    time::{Instant, SystemTime},
};

use tokio::sync::oneshot;

use super::{
    Color, Format, forward,
    queue::{Event, Queue, What},
    shown::{self, Place},
};

/// Output is written at least this often within a batch.
const WRITE: usize = 64 << 10;

/// Starts looking; what is returned ends when the queue was closed and everything in it was shown.
pub(super) fn start(
    queue: Arc<Queue>,
    format: Format,
    color: Color,
) -> io::Result<oneshot::Receiver<()>> {
    let (done, flushed) = oneshot::channel();
    let viewer = Viewer {
        format,
        color: colored(color),
        started: (Instant::now(), SystemTime::now()),
        out: String::new(),
    };
    std::thread::Builder::new()
        .name("viewer".into())
        .spawn(move || {
            if let Err(error) = viewer.look(&queue) {
                queue.look_away();
                if error.kind() != io::ErrorKind::BrokenPipe {
                    forward::note(&format!(
                        "cannot write to stdout: {error}; bytes are still forwarded"
                    ));
                }
            }
            // Nobody waits any more if the time to flush is up.
            let _ = done.send(());
        })?;
    Ok(flushed)
}

struct Viewer {
    format: Format,
    color: bool,
    /// One moment on both clocks.
    started: (Instant, SystemTime),
    out: String,
}

impl Viewer {
    fn look(mut self, queue: &Queue) -> io::Result<()> {
        while let Some(events) = queue.take() {
            for event in events {
                self.show(event);
                if self.out.len() > WRITE {
                    self.write()?;
                }
            }
            self.write()?;
        }
        Ok(())
    }

    fn show(&mut self, event: Event) {
        let Event {
            connection,
            direction,
            at,
            what,
        } = event;
        let place = Place {
            at: self.started.1 + at.saturating_duration_since(self.started.0),
            connection: connection.number,
            direction,
        };
        if let (Format::Hex, What::Bytes(bytes)) = (self.format, &what) {
            return shown::hex(place, bytes, &mut self.out);
        }
        let mut lanes = connection
            .lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for seen in lanes.take(direction, at, what) {
            match self.format {
                Format::Json => shown::object(place, &seen, &mut self.out),
                Format::Line | Format::Hex => shown::line(place, &seen, self.color, &mut self.out),
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(self.out.as_bytes())?;
        stdout.flush()?;
        self.out.clear();
        Ok(())
    }
}

fn colored(color: Color) -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR") => false,
        Color::Auto
            if set("CLICOLOR_FORCE") && env::var_os("CLICOLOR_FORCE").is_none_or(|v| v != "0") =>
        {
            true
        }
        Color::Auto => {
            io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}
