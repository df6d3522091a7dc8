//! Close to the limit of tokens only that is possible which can still be completed.

use std::sync::Arc;

use rustc_hash::FxHashMap as HashMap;

use super::{
    canonical::{Segment, cut},
    choices::{Choices, Work},
    grammar::{Form, Symbol},
    machine::{Frame, StackId, StateId},
    options::Notation,
    text_tokens::candidates,
    vocabulary::Vocabulary,
};

/// Tokens beyond what a step may be expected to add to the way to the end: from there on every choice is looked at.
const MARGIN: usize = 64;

pub(super) enum Within {
    Choices(Choices),
    /// The one way to the end that is short enough.
    Only(Vec<u32>),
}

/// What may be chosen in a state when `left` more tokens may be written.
pub(super) fn within(
    work: &mut Work,
    vocabulary: &Vocabulary,
    state: StateId,
    segment: &Segment,
    left: usize,
) -> Within {
    let choices = work.choices(vocabulary, state);
    let machine = &work.machine;
    let far = (machine.rules.spread.saturating_mul(4)).saturating_add(machine.cost(state));
    if left > far as usize + MARGIN {
        return Within::Choices(choices);
    }
    // Were every token as long as the longest: a way to the end that cannot be gone need not be written out each time.
    let least = machine.cost(state) as usize / vocabulary.tokenizer.longest().max(1);
    if least > left + 2 {
        return Within::Choices(choices);
    }
    let leading = work.leading(vocabulary, state);
    let mut known: HashMap<StateId, bool> = HashMap::default();
    let mut fits =
        |to: StateId| *(known.entry(to)).or_insert_with(|| can_end(work, vocabulary, to, left));
    let fit: Vec<bool> = leading.iter().map(|choice| fits(choice.to)).collect();
    if fit.iter().all(|fits| *fits) {
        return Within::Choices(choices);
    }
    let fitting = || {
        let pairs = leading.iter().zip(&fit).filter(|(_, fits)| **fits);
        pairs.map(|(choice, _)| &*choice.ids)
    };
    let count = fitting().map(<[u32]>::len).sum();
    if count > 0 {
        let candidates = candidates(fitting(), count, vocabulary.size);
        return Within::Choices(Choices {
            candidates: Arc::new(candidates),
            free: choices.free,
        });
    }
    let (tokens, needed) = shortest(vocabulary, &work.machine.finish(state), segment.clone());
    if needed <= left {
        return Within::Only(tokens);
    }
    // Nothing fits any more, so nothing is gained by holding it short.
    Within::Choices(choices)
}

/// Tokens that need room on the shortest way from a state to the end.
pub(super) fn needed(
    work: &Work,
    vocabulary: &Vocabulary,
    state: StateId,
    segment: &Segment,
) -> usize {
    shortest(vocabulary, &work.machine.finish(state), segment.clone()).1
}

/// Whether the text can be completed when one of `left` tokens was taken to come to `to`. Prose may be cut off anywhere.
fn can_end(work: &mut Work, vocabulary: &Vocabulary, to: StateId, left: usize) -> bool {
    let machine = &work.machine;
    let in_prose = |stack: &u32| matches!(machine.top(*stack), Some((Frame::Prose { .. }, _)));
    if machine.is_complete(to) || machine.stacks_of(to).iter().any(in_prose) {
        return true;
    }
    let Some(left) = left.checked_sub(1) else {
        return false;
    };
    // What ends the answer needs no room.
    if (machine.cost(to) as usize).saturating_sub(1) <= left {
        return true;
    }
    let stacks = machine.stacks_of(to).to_vec();
    (stacks.into_iter()).any(|stack| tokens_from(work, vocabulary, stack) as usize <= left)
}

/// Tokens that need room on the shortest way from a stack to the end.
fn tokens_from(work: &mut Work, vocabulary: &Vocabulary, stack: StackId) -> u32 {
    if let Some(known) = work.needed.get(&stack) {
        return *known;
    }
    let needed = tokens_anew(work, vocabulary, stack);
    work.needed.insert(stack, needed);
    needed
}

fn tokens_anew(work: &mut Work, vocabulary: &Vocabulary, stack: StackId) -> u32 {
    let machine = &work.machine;
    // A string of a call stands between control tokens, so what is behind it is known for all its places at once.
    if machine.rules.notation == Notation::Call
        && let Some((Frame::Text { shape, place, .. }, below)) = machine.top(stack)
        && let Some(Form::Text { language }) = machine.rules.form(shape.node, shape.shape)
    {
        let rest = language.shortest(place);
        let own = cut(vocabulary, &rest).map_or(rest.len(), |ids| ids.len()) as u32;
        return tokens_from(work, vocabulary, below).saturating_add(own + 1);
    }
    // Too long to be cut, and to be ever written.
    if machine.cost_of(stack) > MAX_CUT {
        return machine.cost_of(stack);
    }
    let symbols = machine.finish_stack(stack);
    shortest(vocabulary, &symbols, Segment::default()).1 as u32
}

/// Symbols of a way to the end that is looked at in tokens.
const MAX_CUT: u32 = 1 << 16;

/// Symbols as tokens, and how many of these need room.
fn shortest(
    vocabulary: &Vocabulary,
    symbols: &[Symbol],
    mut segment: Segment,
) -> (Vec<u32>, usize) {
    let (mut tokens, mut run) = (Vec::new(), Vec::new());
    let mut needed = 0;
    for symbol in symbols {
        if let Symbol::Byte(byte) = symbol {
            run.push(*byte);
            continue;
        }
        tokens.extend(segment.whole(vocabulary, &run).unwrap_or_default());
        needed = tokens.len();
        run.clear();
        segment.clear();
        tokens.extend(vocabulary.control(*symbol).first());
        if !matches!(symbol, Symbol::EndAnswer | Symbol::EndCalls) {
            needed = tokens.len();
        }
    }
    (tokens, needed)
}
