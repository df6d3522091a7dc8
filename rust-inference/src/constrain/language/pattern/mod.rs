//! Regular expressions as `pattern` has them: ECMAScript's, searched for anywhere in the text.

mod ecma;
mod lookahead;
mod regular;

pub(super) use regular::{Pattern, of_rust};

use ecma::Escapes;

use super::{
    draft::Draft,
    error::LanguageError,
    text::MOST_NODES,
    utf8::{ascii, utf8},
};

/// The texts in which an ECMAScript pattern is found; only those on which validators agree, and where repetitions are too
/// many, only those with fewer.
/// `spent`: the bytes of tables on the way are added to it.
pub(super) fn of_ecma(pattern: &str, spent: &mut usize) -> Result<Pattern, LanguageError> {
    let split = lookahead::split(pattern);
    let (mut all, mut escapes) = regular::found(&split.rest, true, spent)?;
    for ahead in &split.ahead {
        let (pattern, others) = regular::found(&ahead.pattern, ahead.wanted, spent)?;
        escapes = escapes.and(others);
        all.min = all.min.max(pattern.min);
        all.max = [all.max, pattern.max].into_iter().flatten().min();
        all.complete &= pattern.complete && ahead.wanted;
        let texts = if ahead.wanted {
            Some(pattern.draft)
        } else {
            utf8().except(&pattern.draft, MOST_NODES)
        };
        all.draft = and(&all.draft, &texts.ok_or(LanguageError::TooLarge)?)?;
    }
    if let Some(agreed) = agreed(escapes, !split.ahead.is_empty())? {
        all.complete = false;
        all.draft = and(&all.draft, &agreed)?;
    }
    Ok(all)
}

/// Texts on which validators agree. Those that translate ECMAScript's escapes do not do it where there is lookahead.
fn agreed(escapes: Escapes, lookahead: bool) -> Result<Option<Draft>, LanguageError> {
    if escapes.boundaries || (escapes.words && lookahead) {
        return Ok(Some(ascii()));
    }
    let digits = if escapes.digits { "\\p{Nd}" } else { "" };
    let spaces = if escapes.spaces {
        "\\x{85}\\x{FEFF}"
    } else {
        ""
    };
    if !lookahead || (digits.is_empty() && spaces.is_empty()) {
        return Ok(None);
    }
    of_rust(&format!("(?:[0-9]|[^{digits}{spaces}])*")).map(Some)
}

fn and(one: &Draft, other: &Draft) -> Result<Draft, LanguageError> {
    one.both(other, MOST_NODES)
        .map(Draft::minimal)
        .ok_or(LanguageError::TooLarge)
}
