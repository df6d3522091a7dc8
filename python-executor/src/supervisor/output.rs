//! What a tool prints: read as it comes, kept up to a limit, in whole characters.

use std::time::Duration;

use tokio::{
    net::unix::pipe::Receiver,
    time::{Instant, sleep_until},
};

/// Bytes read at once.
const PIECE: usize = 16 << 10;
/// Pieces read in one go: a pipe's worth, and then it is another's turn, even if more comes all the while.
const PIECES: usize = 8;

/// How long a pipe rests of which enough was taken: what is thrown away may not take a processor's time.
const REST: Duration = Duration::from_millis(1);

/// One of a child's two output streams.
#[derive(Debug)]
pub(crate) struct Output {
    pipe: Option<Receiver>,
    /// The beginning of a character whose rest has not come.
    held: Vec<u8>,
    /// All that was taken.
    pub(crate) text: String,
    taken: usize,
    /// There was more than was taken.
    pub(crate) truncated: bool,
    /// Bytes of `text` that were passed on.
    passed: usize,
    /// Until then it is not read.
    rests: Option<Instant>,
}

impl Output {
    pub(super) fn new(pipe: Receiver) -> Self {
        Self {
            pipe: Some(pipe),
            held: Vec::new(),
            text: String::new(),
            taken: 0,
            truncated: false,
            passed: 0,
            rests: None,
        }
    }

    /// All was read: nobody has the other end any more.
    pub(crate) fn is_done(&self) -> bool {
        self.pipe.is_none()
    }

    /// Waits until there is something to read. Nothing is lost if this is dropped before its end.
    pub(crate) async fn ready(&self) {
        if let Some(until) = self.rests {
            sleep_until(until).await;
        }
        match &self.pipe {
            // An error is found by who reads.
            Some(pipe) => _ = pipe.readable().await,
            None => std::future::pending().await,
        }
    }

    /// Reads of what has come as much as a pipe can hold, without waiting. Beyond `most` bytes it is thrown away.
    pub(crate) fn read(&mut self, most: usize) {
        self.rests = self.truncated.then(|| Instant::now() + REST);
        let mut buffer = [0; PIECE];
        for _ in 0..PIECES {
            let Some(pipe) = &self.pipe else { return };
            match pipe.try_read(&mut buffer) {
                Ok(n @ 1..) => self.take(buffer.get(..n).unwrap_or_default(), most),
                // It says so until the runtime has looked, although a child that has ended may have printed before.
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    match rustix::io::read(pipe, &mut buffer) {
                        Ok(n @ 1..) => self.take(buffer.get(..n).unwrap_or_default(), most),
                        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return,
                        _ => self.end(),
                    }
                }
                // An error of a pipe is its end.
                _ => self.end(),
            }
        }
    }

    /// What was read and not passed on yet.
    pub(crate) fn pass(&mut self) -> Option<&str> {
        let piece = self.text.get(self.passed..).unwrap_or_default();
        self.passed = self.text.len();
        (!piece.is_empty()).then_some(piece)
    }

    /// Everything so far, for one answer; what comes next begins anew.
    pub(crate) fn collect(&mut self) -> (String, bool) {
        self.taken = 0;
        self.passed = 0;
        (
            std::mem::take(&mut self.text),
            std::mem::take(&mut self.truncated),
        )
    }

    fn take(&mut self, bytes: &[u8], most: usize) {
        let kept = bytes.len().min(most.saturating_sub(self.taken));
        self.truncated |= kept < bytes.len();
        self.taken += kept;
        self.held
            .extend_from_slice(bytes.get(..kept).unwrap_or_default());
        let whole = match std::str::from_utf8(&self.held) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.held.len(),
        };
        let rest = self.held.split_off(whole);
        let piece = std::mem::replace(&mut self.held, rest);
        self.text.push_str(&String::from_utf8_lossy(&piece));
    }

    fn end(&mut self) {
        self.pipe = None;
        let held = std::mem::take(&mut self.held);
        self.text.push_str(&String::from_utf8_lossy(&held));
    }
}
