//! Guesses running text: what a call says is mostly copied from the prompt, so what followed the same words there will
//! often follow here.
//!
//! A guess goes through the model together with the token that has to anyway. That costs more than one token alone and
//! less than one after the other: it pays if every third guessed token or so is right. So guesses are short until one
//! came true, and rarer the longer none does.

/// Tokens of a guess at first, and after one that was right to its end.
const SHORT: usize = 3;
const LONG: usize = 8;
/// Written tokens that are looked for.
const CONTEXT: usize = 3;
/// After so many wrong guesses in a row the pauses do not grow any more.
const MOST_MISSES: u32 = 5;

/// When to guess, and how far.
#[derive(Debug)]
pub(super) struct Speculation {
    most: usize,
    misses: u32,
    pause: usize,
    /// Of the guess at work: how long it was, and how much of it was right.
    guessed: usize,
    right: usize,
}

impl Default for Speculation {
    fn default() -> Self {
        Self {
            most: SHORT,
            misses: 0,
            pause: 0,
            guessed: 0,
            right: 0,
        }
    }
}

impl Speculation {
    /// What may follow `tokens`, of which the last `written` are the running text so far; at most `most`, often nothing.
    pub(super) fn guess<'a>(
        &mut self,
        tokens: &'a [u32],
        written: usize,
        most: usize,
    ) -> &'a [u32] {
        self.learn();
        let guess = (1..=written.min(CONTEXT))
            .rev()
            .find_map(|len| followed(tokens, len))
            .unwrap_or_default();
        if guess.is_empty() {
            return guess;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return &[];
        }
        guess.get(..self.most.min(most)).unwrap_or(guess)
    }

    /// So many tokens of a guess go through the model.
    pub(super) fn begin(&mut self, guessed: usize) {
        (self.guessed, self.right) = (guessed, 0);
    }

    pub(super) fn right(&mut self) {
        self.right += 1;
    }

    fn learn(&mut self) {
        if self.guessed == 0 {
            return;
        }
        if self.right == 0 {
            self.misses = (self.misses + 1).min(MOST_MISSES);
            self.pause = (1 << self.misses) - 1;
        } else {
            self.misses = 0;
        }
        self.most = if self.right == self.guessed {
            LONG
        } else {
            SHORT
        };
        self.guessed = 0;
    }
}

/// What followed the last `len` tokens where they stood before, the last time.
fn followed(tokens: &[u32], len: usize) -> Option<&[u32]> {
    let (before, last) = tokens.split_at_checked(tokens.len().checked_sub(len)?)?;
    // They may overlap with themselves, but something has to follow them.
    let at = (0..before.len())
        .rev()
        .find(|at| tokens.get(*at..at + len) == Some(last))?;
    tokens.get(at + len..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_the_longest_matches_is_continued() {
        let mut speculation = Speculation::default();
        let mut guess = |tokens: &[u32], written| speculation.guess(tokens, written, 8).to_vec();
        assert_eq!(guess(&[1, 2, 3, 4, 5, 9, 3, 6, 7, 8, 2, 3], 2), [4, 5, 9]);
        assert_eq!(guess(&[1, 2, 3, 4, 5, 9, 3, 6, 7, 8, 2, 3], 1), [6, 7, 8]);
        assert_eq!(guess(&[1, 2, 3, 4, 9, 3, 5, 6, 3], 3), [5, 6, 3]);
        assert_eq!(guess(&[7, 7, 7], 2), [7]);
        assert_eq!(guess(&[1, 2, 3], 3), [0; 0]);
        assert_eq!(guess(&[1, 2, 1, 2], 0), [0; 0]);
        assert_eq!(guess(&[], 0), [0; 0]);
    }

    #[test]
    fn guesses_grow_when_they_are_right_and_get_rare_when_they_are_wrong() {
        let tokens: Vec<u32> = (0..20).chain(0..5).collect();
        let mut speculation = Speculation::default();
        let mut outcome = |right: bool| {
            let guess = speculation.guess(&tokens, 3, 8).len();
            speculation.begin(guess);
            (0..guess)
                .filter(|_| right)
                .for_each(|_| speculation.right());
            guess
        };
        assert_eq!([true, true, false].map(&mut outcome), [SHORT, LONG, LONG]);
        let wrong = (0..1000).filter(|_| outcome(false) > 0).count();
        assert!(wrong <= 4 + 1000 / 32, "{wrong}");
        while outcome(true) == 0 {}
        assert_eq!([true, true].map(&mut outcome), [LONG, LONG]);
    }
}
