//! Who is let in: the next in the queue, as soon as there is a place and memory for all that he can come to need.

use std::time::Instant;

use super::{
    super::{
        Job, Reading, Work, memory,
        queue::Front,
        read::Reader,
        sequence::{Need, Sequence},
    },
    Active, Engine, Reads, Turn,
};

impl Engine {
    /// Lets in whoever there is room for, in the order in which they came. Waits if nobody is at work; false if nobody
    /// will come.
    pub(super) fn admit(&mut self) -> bool {
        while self.at_work() < self.capacity.parallel {
            if self.next.is_none() {
                match self.queue.front(self.at_work() == 0) {
                    Front::Next(number, (work, since)) => self.next = Some((number, work, since)),
                    Front::Nobody => break,
                    Front::Closed => return self.at_work() > 0,
                }
                self.freed = true;
            }
            let Some((number, work, since)) = self.next.take_if(|_| self.freed) else {
                break;
            };
            let left = match work {
                Work::Write(job) => self.place_writer(number, job, since).map(Work::Write),
                Work::Read(reading) => self.place_reader(number, reading, since).map(Work::Read),
            };
            if let Some(work) = left {
                self.next = Some((number, work, since));
                self.freed = false;
                break;
            }
            self.report();
        }
        // Whoever has given up does not keep the others from their turn.
        let queue = &self.queue;
        self.next.take_if(|(number, ..)| !queue.waits(*number));
        true
    }

    fn at_work(&self) -> usize {
        self.active.len() + self.readers.len()
    }

    /// Gives the job back if there is no memory for it now.
    fn place_writer(&mut self, number: u64, job: Job, since: Instant) -> Option<Job> {
        let known = job.levers.prefix.then_some(&mut self.prefixes);
        let known = known.and_then(|prefixes| prefixes.longest(&job.prompt, job.adapter.as_ref()));
        let made = |job, known| {
            let sequence = Sequence::new(&self.model, job, known, since.elapsed());
            Active {
                reserved: self.reserved(&sequence),
                sequence,
                turn: Turn::Needs(Need::Nothing),
            }
        };
        let mut active = made(job, known);
        if self.bytes(Some(&active)) > self.capacity.kv_bytes {
            let job = active.sequence.undo();
            if self.at_work() > 0 {
                return Some(job);
            }
            // By itself it has room: that was seen when it came.
            active = made(job, None);
        }
        if self.queue.admit(number) {
            self.active.push(active);
        }
        None
    }

    /// The same for texts that are only to be read.
    fn place_reader(&mut self, number: u64, reading: Reading, since: Instant) -> Option<Reading> {
        let reserved = memory::of_reading(self.model.kv_shape(), &reading);
        if self.at_work() > 0 && self.bytes(None) + reserved > self.capacity.kv_bytes {
            return Some(reading);
        }
        if self.queue.admit(number) {
            self.readers.push_back(Reads {
                reader: Reader::new(reading, since.elapsed()),
                reserved,
            });
        }
        None
    }

    /// What the sequence's own positions may come to need.
    pub(super) fn reserved(&self, sequence: &Sequence) -> usize {
        let shared = sequence.lane().frozen().len();
        let own = sequence.most_tokens().saturating_sub(shared);
        let sharing = sequence.sharing().map_or(0, <[u32]>::len);
        memory::most_bytes(self.model.kv_shape(), own, sharing.saturating_sub(shared))
    }

    /// KV that those at work have reserved, and hold in common with others.
    pub(super) fn bytes(&self, another: Option<&Active>) -> usize {
        let all = || self.active.iter().chain(another);
        let reserved: usize = all().map(|active| active.reserved).sum();
        let reading: usize = self.readers.iter().map(|reads| reads.reserved).sum();
        let shared = memory::of_segments(all().map(|active| active.sequence.lane().frozen()));
        reserved + reading + shared
    }
}
