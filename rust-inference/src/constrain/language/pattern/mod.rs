//! Regular expressions as `pattern` has them: ECMAScript's, searched for anywhere in the text.

mod ecma;
mod lookahead;
mod regular;

pub(super) use regular::{Pattern, of_rust};

use super::{
    draft::Draft,
    error::LanguageError,
    text::MOST_NODES,
    utf8::{ascii, utf8},
};

/// The texts in which an ECMAScript pattern is found.
pub(super) fn of_ecma(pattern: &str) -> Result<Pattern, LanguageError> {
    let split = lookahead::split(pattern);
    let mut all = regular::found(&split.rest, true)?;
    for ahead in &split.ahead {
        let pattern = regular::found(&ahead.pattern, ahead.wanted)?;
        all.min = all.min.max(pattern.min);
        all.max = [all.max, pattern.max].into_iter().flatten().min();
        all.complete &= pattern.complete;
        let texts = if ahead.wanted {
            Some(pattern.draft)
        } else {
            utf8().except(&pattern.draft, MOST_NODES)
        };
        all.draft = and(&all.draft, &texts.ok_or(LanguageError::TooLarge)?)?;
    }
    if !all.complete {
        all.draft = and(&all.draft, &ascii())?;
    }
    Ok(all)
}

fn and(one: &Draft, other: &Draft) -> Result<Draft, LanguageError> {
    one.both(other, MOST_NODES)
        .map(Draft::minimal)
        .ok_or(LanguageError::TooLarge)
}
