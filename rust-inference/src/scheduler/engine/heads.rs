//! The part of a pass behind the layers: the head for all who need it, then everybody goes on by himself, side by side.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    super::{
        plan,
        sequence::{Given, Need},
    },
    Active, Engine, Turn,
};

/// Rows of the head that are computed at once: each gives as many numbers as the vocabulary has tokens.
const HEAD_ROWS: usize = 32;

impl Engine {
    /// Gives whoever needs no more than the head what he needs, and lets him go on. False if there was nobody.
    pub(super) fn go_on(&mut self) -> bool {
        let guesses = plan::guesses(self.active.len());
        let (model, size) = (&self.model, self.model.config.hidden_size);
        let (mut ready, mut heads) = (Vec::new(), Vec::new());
        let mut rows = 0;
        for active in &mut self.active {
            match active.turn {
                Turn::Needs(Need::Head) if rows < HEAD_ROWS => {
                    rows += active.sequence.rows();
                    heads.push(active);
                }
                Turn::Needs(Need::Nothing | Need::Rows) => ready.push(active),
                _ => {}
            }
        }
        if ready.is_empty() && heads.is_empty() {
            return false;
        }
        let hidden: Vec<f32> = (heads.iter())
            .flat_map(|active| active.sequence.hidden(size))
            .copied()
            .collect();
        let mut rest = model.logits_into(&hidden, &mut self.logits);
        let mut work: Vec<Work<'_>> = Vec::new();
        for active in heads {
            let own = active.sequence.rows() * model.config.vocab_size;
            let logits = if let Some((own, others)) = rest.split_at_checked(own) {
                rest = others;
                Logits::Lent(own)
            } else {
                Logits::Failed
            };
            work.push(Work { active, logits });
        }
        for active in ready {
            let logits = if active.turn == Turn::Needs(Need::Rows) {
                let sequence = &active.sequence;
                let row = (sequence.hidden(size).get(..size)).unwrap_or_default();
                // The guide may name a row that there is not.
                let few = || model.logits_of(sequence.candidates(), row);
                catch_unwind(AssertUnwindSafe(few)).map_or(Logits::Failed, Logits::Own)
            } else {
                Logits::None
            };
            work.push(Work { active, logits });
        }
        // Drawing of a large vocabulary takes longer than its part of a pass.
        if let [alone] = work.as_mut_slice() {
            alone.run(guesses);
        } else {
            (model.threads()).chunks(&mut work, 1, &|_, work| {
                for work in work {
                    work.run(guesses);
                }
            });
        }
        true
    }
}

/// One that can go on, with what it needed.
struct Work<'a> {
    active: &'a mut Active,
    logits: Logits<'a>,
}

enum Logits<'a> {
    None,
    Lent(&'a [f32]),
    Own(Vec<f32>),
    Failed,
}

impl Work<'_> {
    /// A fault of one guide costs no other anything.
    fn run(&mut self, guesses: usize) {
        let given = match &self.logits {
            Logits::None => Given::Nothing,
            Logits::Lent(logits) => Given::Head(logits),
            Logits::Own(logits) => Given::Rows(logits),
            Logits::Failed => return self.active.turn = Turn::Failed,
        };
        let sequence = &mut self.active.sequence;
        let went = catch_unwind(AssertUnwindSafe(|| sequence.advance(given, guesses)));
        self.active.turn = match went {
            Ok(Ok(need)) => Turn::Needs(need),
            Ok(Err(finish)) => Turn::Ended(finish),
            Err(_) => Turn::Failed,
        };
    }
}
