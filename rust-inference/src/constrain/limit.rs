//! Close to the limit of tokens only that is possible which can still be completed.

use std::{collections::HashMap, sync::Arc};

use super::{
    canonical::Segment,
    choices::{Choices, Work},
    grammar::Symbol,
    machine::{Frame, StateId},
    text_tokens::candidates,
    vocabulary::Vocabulary,
};

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
    let mut known: HashMap<StateId, bool> = HashMap::new();
    let leading = work.leading(vocabulary, state);
    let mut fits = |work: &Work, to: StateId| {
        *(known.entry(to)).or_insert_with(|| can_end(work, vocabulary, to, segment, left))
    };
    let all = leading.iter().all(|choice| fits(work, choice.to));
    if all {
        return Within::Choices(choices);
    }
    let fitting: Vec<&Vec<u32>> = (leading.iter())
        .filter(|choice| fits(work, choice.to))
        .map(|choice| &choice.ids)
        .collect();
    if !fitting.is_empty() {
        let count = fitting.iter().map(|ids| ids.len()).sum();
        let candidates = candidates(fitting.into_iter(), count, vocabulary.size);
        return Within::Choices(Choices {
            candidates: Arc::new(candidates),
            free: choices.free,
        });
    }
    let (tokens, needed) = shortest(work, vocabulary, state, segment);
    if needed <= left {
        return Within::Only(tokens);
    }
    // Nothing fits any more, so nothing is gained by holding it short.
    Within::Choices(choices)
}

/// Whether the text can be completed from `to`, one token behind `segment`. Prose may be cut off anywhere.
fn can_end(
    work: &Work,
    vocabulary: &Vocabulary,
    to: StateId,
    segment: &Segment,
    left: usize,
) -> bool {
    let machine = &work.machine;
    let in_prose = |stack: &u32| matches!(machine.top(*stack), Some((Frame::Prose { .. }, _)));
    if machine.stacks_of(to).iter().any(in_prose) || machine.is_complete(to) {
        return true;
    }
    let Some(left) = left.checked_sub(1) else {
        return false;
    };
    // The token that ends the answer needs no room.
    if (machine.cost(to) as usize).saturating_sub(1) <= left {
        return true;
    }
    // A token is seldom longer than this: what has so many bytes need not be cut.
    if machine.cost(to) as usize > left.saturating_mul(vocabulary.longest) {
        return false;
    }
    // What was written last is taken for a token's end: the segment that begins behind it is cut by itself.
    let _ = segment;
    shortest(work, vocabulary, to, &Segment::default()).1 <= left
}

/// The tokens of the shortest way to the end, and how many of them need room.
fn shortest(
    work: &Work,
    vocabulary: &Vocabulary,
    state: StateId,
    segment: &Segment,
) -> (Vec<u32>, usize) {
    let mut segment = segment.clone();
    let (mut tokens, mut run) = (Vec::new(), Vec::new());
    let mut needed = 0;
    for symbol in work.machine.finish(state) {
        if let Symbol::Byte(byte) = symbol {
            run.push(byte);
            continue;
        }
        tokens.extend(segment.whole(vocabulary, &run).unwrap_or_default());
        needed = tokens.len();
        run.clear();
        segment.clear();
        tokens.extend(vocabulary.control(symbol).first());
        if !matches!(symbol, Symbol::EndAnswer | Symbol::EndCalls) {
            needed = tokens.len();
        }
    }
    (tokens, needed)
}
