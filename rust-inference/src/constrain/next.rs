//! What a guide and the loop that decodes say to each other.

use std::sync::Arc;

/// The tokens that are possible at one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidates {
    /// All of the vocabulary.
    All,
    /// These, ascending: few enough that only their rows of the head are worth computing.
    List(Vec<u32>),
    /// Those whose bit is set (`bits[id / 64] >> (id % 64) & 1`): most of the vocabulary.
    Mask(Vec<u64>),
}

impl Candidates {
    pub fn contains(&self, id: u32) -> bool {
        match self {
            Self::All => true,
            Self::List(ids) => ids.binary_search(&id).is_ok(),
            Self::Mask(bits) => {
                (bits.get(id as usize / 64)).is_some_and(|word| word >> (id % 64) & 1 == 1)
            }
        }
    }
}

/// The next step of a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing is to be chosen: these tokens come next, at least one. The guide has taken them already.
    Forced(Vec<u32>),
    /// One of these, to be chosen by their logits and told to the guide with [`Guide::push`].
    Choose {
        candidates: Arc<Candidates>,
        /// Running text, where what comes next may be copied from the prompt.
        free: bool,
    },
    /// The answer is complete.
    End,
}

/// Says what may come next. One is made for each generation.
pub trait Guide: Send {
    /// What comes next when `left` more tokens may be written. Asked again without a [`Guide::push`] after
    /// [`Next::Choose`], it says the same. Asked with nothing left, whether the answer is complete as it is.
    fn next(&mut self, left: usize) -> Next;

    /// The token that was chosen of the candidates. The end of a turn is one of them where the answer may end.
    fn push(&mut self, token: u32);
}

/// Everything is possible; the tokens that end a generation are the loop's affair.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unguided;

impl Guide for Unguided {
    fn next(&mut self, _left: usize) -> Next {
        Next::Choose {
            candidates: Arc::new(Candidates::All),
            free: true,
        }
    }

    fn push(&mut self, _token: u32) {}
}
