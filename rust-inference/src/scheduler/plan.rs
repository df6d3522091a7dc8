//! How many tokens of each sequence go through the model in the next pass.
//!
//! Whoever writes needs a few tokens a pass, and each pass that takes long holds all of them up: what they need goes
//! first. Prompts are long: they get what a pass has left, a part each, so that none waits for another's end.

/// What needs at most so many tokens gets them, and is not cut, whatever it guesses: who writes, with what was forced or guessed, and the last of a prompt.
/// With 16 at once they cost less than a chunk of a prompt does.
const FEW: usize = 32;
const _: () = assert!(FEW > super::sequence::LONGEST_GUESS);

/// Tokens of prompts in a pass beside those who write, whom they hold up for 60 ms of two cores with the shape of 270M. Of
/// 16 clients at once half as many cost a tenth of all tokens and let the last wait for a third longer; twice as many won
/// a twentieth.
const BESIDE: usize = 128;

/// Tokens of prompts in a pass that holds nobody up: more are no faster each, and who comes or goes is noticed later.
pub(super) const ALONE: usize = 512;

/// Guessed tokens in a pass, of all sequences. Alone a guess costs little beside the weights that are read anyway; the
/// tokens of many sequences make up for the reading already.
const GUESSED: usize = 16;

/// The share of each, of those that need so many, the oldest first. 0 is for who needs nothing.
pub(super) fn shares(needed: &[usize]) -> Vec<usize> {
    let few = |needed: usize| needed > 0 && needed <= FEW;
    let mut left = if needed.iter().any(|needed| few(*needed)) {
        BESIDE
    } else {
        ALONE
    };
    let long = needed.iter().filter(|needed| **needed > FEW).count();
    // Half is for all alike: nobody starves, however many come with less.
    let fair = (left / 2).checked_div(long).unwrap_or(0).max(1);
    let mut shares: Vec<usize> = needed
        .iter()
        .map(|needed| {
            if *needed <= FEW {
                return *needed;
            }
            let share = fair.min(*needed);
            left = left.saturating_sub(share);
            share
        })
        .collect();
    // The other half is for those who lack least, of equals the oldest: so all are done sooner on the average.
    let mut lacking: Vec<(usize, &mut usize)> = (needed.iter().zip(&mut shares))
        .map(|(needed, share)| (needed - *share, share))
        .collect();
    lacking.sort_by_key(|(lacks, _)| *lacks);
    for (lacks, share) in lacking {
        let more = lacks.min(left);
        *share += more;
        left -= more;
    }
    shares
}

/// How many tokens each of so many may guess.
pub(super) fn guesses(active: usize) -> usize {
    (GUESSED / active.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_writes_goes_first_and_prompts_share_what_is_left() {
        assert_eq!(shares(&[]), [0usize; 0]);
        assert_eq!(shares(&[1, 4, 17]), [1, 4, 17]);
        // A prompt alone goes fast; beside somebody who writes it does not hold him up.
        assert_eq!(shares(&[2000]), [ALONE]);
        assert_eq!(shares(&[2000, 1]), [BESIDE, 1]);
        assert_eq!(shares(&[200, 0]), [200, 0]);
        // Of several the one that lacks least gets most, and each some.
        assert_eq!(shares(&[2000, 100]), [ALONE - 100, 100]);
        assert_eq!(shares(&[2000, 2000]), [ALONE * 3 / 4, ALONE / 4]);
        assert_eq!(shares(&[2000, 900, 1]), [BESIDE / 4, BESIDE * 3 / 4, 1]);
    }

    #[test]
    fn a_short_prompt_is_done_long_before_a_long_one_and_the_long_one_goes_on() {
        let mut needed = [30_000, 500, 1];
        let mut passes = 0;
        while needed[1] > 0 {
            let share = shares(&needed);
            assert!(share[0] >= BESIDE / 4);
            needed = [needed[0] - share[0], needed[1] - share[1], 1];
            passes += 1;
        }
        assert!(passes <= 12, "{passes}");
    }

    proptest! {
        #[test]
        fn nobody_starves_and_a_pass_is_bounded(
            needed in prop::collection::vec(prop_oneof![0usize..40, 0usize..5000], 0..40),
        ) {
            let shares = shares(&needed);
            prop_assert_eq!(shares.len(), needed.len());
            let mut prompts = 0;
            for (share, needed) in shares.iter().zip(&needed) {
                prop_assert!(share <= needed);
                prop_assert!((*share > 0) == (*needed > 0));
                if *needed <= FEW {
                    prop_assert_eq!(share, needed);
                } else {
                    prompts += share;
                }
            }
            prop_assert!(prompts <= ALONE);
            // Nothing of the pass is left unused.
            let wanted: usize = needed.iter().filter(|needed| **needed > FEW).sum();
            prop_assert!(prompts >= wanted.min(BESIDE));
        }
    }
}
