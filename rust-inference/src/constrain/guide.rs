//! One generation's way through the grammar.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    canonical::Segment,
    choices::{Choices, Work},
    grammar::Symbol,
    limit,
    machine::{DEAD, StateId},
    next::{Candidates, Guide, Next},
    vocabulary::Vocabulary,
};
use crate::tokenizer::Tokens;

/// Steers one generation.
#[derive(Clone, Debug)]
pub struct Steering {
    work: Arc<Mutex<Work>>,
    vocabulary: Arc<Vocabulary>,
    state: StateId,
    segment: Segment,
}

impl Steering {
    /// `before`: the text behind the prompt's last control token, which what is written goes on with.
    pub(super) fn new(
        work: Arc<Mutex<Work>>,
        vocabulary: Arc<Vocabulary>,
        state: StateId,
        before: &str,
    ) -> Self {
        let segment = Segment::new(&vocabulary, before);
        Self {
            work,
            vocabulary,
            state,
            segment,
        }
    }

    /// Nothing more is to be written.
    pub fn is_complete(&self) -> bool {
        lock(&self.work).machine.is_complete(self.state)
    }

    /// How many tokens the shortest way to the end needs.
    pub fn needed(&self) -> usize {
        limit::needed(
            &lock(&self.work),
            &self.vocabulary,
            self.state,
            &self.segment,
        )
    }

    /// Writes what has to come next, as far as nothing has to be chosen.
    fn forced(&mut self, work: &mut Work) -> Vec<u32> {
        let mut tokens = Vec::new();
        loop {
            // The bytes that have to come, the state behind each, and the control token behind them.
            let (mut run, mut states, mut control) = (Vec::new(), vec![self.state], None);
            let mut state = self.state;
            while let Some((symbol, next)) = work.sole(state) {
                state = next;
                match symbol {
                    Symbol::Byte(byte) => {
                        run.push(byte);
                        states.push(next);
                    }
                    other => {
                        control = Some(other);
                        break;
                    }
                }
            }
            let ids = if control.is_some() {
                self.segment.whole(&self.vocabulary, &run)
            } else {
                let end = states.last().copied().unwrap_or(DEAD);
                self.segment.beginning(&self.vocabulary, &run, |behind| {
                    continues(work, &self.vocabulary, behind, end)
                })
            };
            // None: these bytes are no text by themselves, so the tokens are chosen one by one.
            let Some(ids) = ids else {
                return tokens;
            };
            let mut bytes = 0;
            for id in ids {
                bytes += self.vocabulary.tokenizer.bytes(id).len();
                self.segment.push(&self.vocabulary, id);
                tokens.push(id);
            }
            self.state = states.get(bytes).copied().unwrap_or(DEAD);
            let Some(control) = control else {
                return tokens;
            };
            // Of several tokens that end an answer any will do.
            let Some(id) = self.vocabulary.control(control).first() else {
                return tokens;
            };
            tokens.push(*id);
            self.segment.clear();
            self.state = state;
            if work.machine.is_complete(state) {
                return tokens;
            }
        }
    }

    fn take(&mut self, work: &mut Work, token: u32) {
        if let Some(symbol) = self.vocabulary.symbol(token) {
            self.state = work.machine.step(self.state, symbol);
            self.segment.clear();
        } else {
            let bytes = self.vocabulary.tokenizer.bytes(token);
            self.state = work.step_bytes(self.state, bytes);
            self.segment.push(&self.vocabulary, token);
        }
    }
}

impl Guide for Steering {
    fn next(&mut self, left: usize) -> Next {
        let shared = self.work.clone();
        let work = &mut *lock(&shared);
        let forced = self.forced(work);
        if !forced.is_empty() {
            return Next::Forced(forced);
        }
        if self.state == DEAD || work.machine.is_complete(self.state) {
            return Next::End;
        }
        let choices = limit::within(work, &self.vocabulary, self.state, &self.segment, left);
        let Choices { candidates, free } = match choices {
            limit::Within::Choices(choices) => choices,
            limit::Within::Only(tokens) => {
                for token in &tokens {
                    self.take(work, *token);
                }
                return Next::Forced(tokens);
            }
        };
        if let Candidates::List(ids) = &*candidates
            && let [only] = ids.as_slice()
        {
            self.take(work, *only);
            return Next::Forced(vec![*only]);
        }
        Next::Choose { candidates, free }
    }

    fn push(&mut self, token: u32) {
        let shared = self.work.clone();
        self.take(&mut lock(&shared), token);
    }
}

/// The work is whole between any two statements, so what a panic left behind is good.
pub(super) fn lock(work: &Mutex<Work>) -> MutexGuard<'_, Work> {
    work.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a token begins with `behind`, the end of what is written, and goes on with what may come in `state`.
fn continues(work: &mut Work, vocabulary: &Vocabulary, behind: &[u8], state: StateId) -> bool {
    let found = std::cell::Cell::new(false);
    vocabulary.tree(Tokens::All).walk_behind(
        behind,
        state,
        |state, byte| {
            let next = work.machine.step(state, Symbol::Byte(byte));
            (next != DEAD && !found.get()).then_some(next)
        },
        |_, _| found.set(true),
    );
    found.get()
}
