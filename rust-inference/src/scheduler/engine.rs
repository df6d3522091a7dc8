//! The thread that owns the model: pass after pass it lets the model see what all sequences at work need it to see.
//!
//! A pass costs mostly the reading of the weights, which many sequences share. In each one first everybody goes on as
//! far as he can, with the head computed for many at once; then what they wait for goes through the layers together. Who
//! comes is admitted between two passes, and who is gone frees his place there.

mod admission;
mod heads;

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use super::{
    Capacity, Finish, Gauges, Waiting, Work, plan,
    prefix::PrefixCache,
    queue::Queue,
    read::Reader,
    sequence::{Need, Sequence},
};
use crate::model::{Model, Span};

#[derive(Debug)]
pub(super) struct Engine {
    model: Arc<Model>,
    queue: Arc<Queue<Waiting>>,
    gauges: Arc<Gauges>,
    prefixes: PrefixCache,
    capacity: Capacity,
    /// The oldest first.
    active: Vec<Active>,
    /// Whose turn it is to read next first.
    readers: VecDeque<Reads>,
    /// Who is next, as soon as there is room: his number, what he wants, and since when.
    next: Option<(u64, Work, Instant)>,
    /// Somebody has left since there was no room for the next.
    freed: bool,
    /// Those of the last pass, in whose place the next ones come: megabytes that are new would be zeroed first.
    logits: Vec<f32>,
}

/// A sequence at work.
#[derive(Debug)]
struct Active {
    sequence: Sequence,
    turn: Turn,
    /// Bytes of KV that its own positions may come to need.
    reserved: usize,
}

/// Texts that are being read.
#[derive(Debug)]
struct Reads {
    reader: Reader,
    reserved: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Needs(Need),
    Ended(Finish),
    /// It panicked: its events end without a last.
    Failed,
}

impl Engine {
    pub(super) fn new(
        model: Arc<Model>,
        queue: Arc<Queue<Waiting>>,
        gauges: Arc<Gauges>,
        capacity: Capacity,
    ) -> Self {
        Self {
            model,
            queue,
            gauges,
            prefixes: PrefixCache::new(capacity.prefix_bytes),
            capacity,
            active: Vec::new(),
            readers: VecDeque::new(),
            next: None,
            freed: true,
            logits: Vec::new(),
        }
    }

    /// Until the queue is closed and everybody in it was served.
    pub(super) fn run(mut self) {
        while self.admit() {
            // A fault that is nobody's in particular ends who was at work, and costs who comes the model not.
            if catch_unwind(AssertUnwindSafe(|| self.pass())).is_err() {
                let readers = self.readers.drain(..).count();
                let writers = self.active.drain(..).count();
                self.left(readers + writers);
            }
            self.report();
        }
    }

    fn report(&self) {
        (self.gauges.kv_bytes).store(self.bytes(None), Ordering::Relaxed);
    }

    fn pass(&mut self) {
        self.look_who_is_gone();
        while self.go_on() {}
        self.look_who_is_gone();
        self.dismiss();
        self.see();
        self.share();
        self.read();
    }

    fn look_who_is_gone(&mut self) {
        for active in &mut self.active {
            if matches!(active.turn, Turn::Needs(_)) && active.sequence.gone() {
                active.turn = Turn::Ended(Finish::Cancelled);
            }
        }
    }

    /// Tells those that have ended, and frees what they had.
    fn dismiss(&mut self) {
        let mut at = 0;
        while let Some(active) = self.active.get(at) {
            let turn = active.turn;
            if let Turn::Needs(_) = turn {
                at += 1;
                continue;
            }
            let active = self.active.remove(at);
            if let Turn::Ended(finish) = turn {
                let ended = active.sequence.finish(finish, &mut self.prefixes);
                self.prefixes.report(&self.gauges);
                self.gauges.took(ended.took);
                self.left(1);
                ended.tell();
            } else {
                drop(active);
                self.left(1);
            }
        }
    }

    /// So many are no longer at work. Whoever sees that sees also what they gave back.
    fn left(&mut self, count: usize) {
        self.freed = true;
        self.report();
        (0..count).for_each(|_| self.queue.leave());
    }

    /// One pass through the layers.
    fn see(&mut self) {
        let needed: Vec<usize> = (0..self.active.len()).map(|at| self.needed(at)).collect();
        let shares: Vec<usize> = (plan::shares(&needed).into_iter().zip(&self.active))
            .map(|(share, active)| active.sequence.lane().portion(share))
            .collect();
        let seeing = || shares.iter().filter(|share| **share > 0);
        let requests = seeing().count();
        if requests == 0 {
            return;
        }
        self.gauges.passed(requests);
        let mut spans: Vec<Span<'_>> = (self.active.iter_mut().zip(&shares))
            .filter(|(_, share)| **share > 0)
            .map(|(active, share)| active.sequence.span(*share))
            .collect();
        let hidden = catch_unwind(AssertUnwindSafe(|| self.model.forward_batch(&mut spans)));
        let size = self.model.config.hidden_size;
        let seeing = (self.active.iter_mut().zip(shares)).filter(|(_, share)| *share > 0);
        let Ok(hidden) = hidden else {
            seeing.for_each(|(active, _)| active.turn = Turn::Failed);
            return;
        };
        let mut rest = hidden.as_slice();
        for (active, share) in seeing {
            let (own, others) = rest.split_at_checked(share * size).unwrap_or_default();
            rest = others;
            active.sequence.saw(own, size);
            if active.sequence.unseen() == 0 && active.sequence.sharing().is_none() {
                active.turn = Turn::Needs(Need::Nothing);
            }
        }
    }

    /// Tokens that it needs seen; none while an older one sees a beginning that is its own, too.
    fn needed(&self, at: usize) -> usize {
        let Some(active) = self.active.get(at) else {
            return 0;
        };
        let older = self.active.iter().take(at);
        let waits = active.sequence.sharing().is_some()
            && older
                .filter(|other| {
                    other.sequence.adapter().map(Arc::as_ptr)
                        == active.sequence.adapter().map(Arc::as_ptr)
                })
                .filter_map(|other| other.sequence.sharing())
                .any(|beginning| gains(&active.sequence, beginning));
        if waits { 0 } else { active.sequence.unseen() }
    }

    /// Keeps the beginnings that were just seen, and hands them to those who wait for them.
    fn share(&mut self) {
        for at in 0..self.active.len() {
            let Some(active) = self.active.get_mut(at) else {
                return;
            };
            let Some((tokens, frozen)) = active.sequence.share() else {
                continue;
            };
            let beginning = tokens.to_vec();
            self.prefixes.keep(tokens, frozen.clone());
            self.prefixes.report(&self.gauges);
            active.turn = Turn::Needs(Need::Nothing);
            for other in self.active.iter_mut().skip(at + 1) {
                if frozen.is_of(other.sequence.adapter())
                    && other.sequence.sharing().is_some()
                    && gains(&other.sequence, &beginning)
                {
                    other.sequence.resume(&self.model, &frozen);
                    if other.sequence.sharing().is_none() {
                        other.turn = Turn::Needs(Need::Nothing);
                    }
                }
            }
            let reserved: Vec<usize> = (self.active.iter())
                .map(|active| self.reserved(&active.sequence))
                .collect();
            for (active, reserved) in self.active.iter_mut().zip(reserved) {
                active.reserved = reserved;
            }
        }
    }

    /// One pass for texts that are only read, which nobody waits for token by token: in turn, if there are several.
    fn read(&mut self) {
        let Some(mut reads) = self.readers.pop_front() else {
            return;
        };
        let step = catch_unwind(AssertUnwindSafe(|| reads.reader.step(&self.model)));
        if let Ok(true) = step {
            self.gauges.passed(1);
            return self.readers.push_back(reads);
        }
        self.left(1);
        if step.is_ok() {
            let stats = reads.reader.finish();
            self.gauges.took(stats.prefill);
        }
    }
}

/// Whether it begins so, and has not seen it yet.
fn gains(sequence: &Sequence, beginning: &[u32]) -> bool {
    let (tokens, seen) = (sequence.lane().tokens(), sequence.lane().seen());
    seen < beginning.len() && beginning.len() < tokens.len() && tokens.starts_with(beginning)
}
