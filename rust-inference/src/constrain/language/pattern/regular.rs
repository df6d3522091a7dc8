//! Regular expressions as automata.

use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton, StartKind, dense},
    nfa::thompson::{self, WhichCaptures},
    util::{primitives::StateID, start},
};
use regex_syntax::{
    ParserBuilder,
    hir::{Dot, Hir, HirKind, Look, Repetition},
};

use super::{
    super::{
        draft::{Classes, Draft},
        error::LanguageError,
        text::MOST_NODES,
    },
    ecma::translate,
};

/// Bytes that the automata may have on the way, so that no pattern costs much time or memory.
const MOST_NFA: usize = 1 << 19;
const MOST_DFA: usize = 1 << 20;
/// Parentheses within parentheses.
const DEEPEST: u32 = 100;
/// So many repetitions of one character are counted rather than multiplied.
const COUNTED: u32 = 8;

/// The texts that match a pattern.
#[derive(Debug)]
pub(in super::super) struct Pattern {
    pub(in super::super) draft: Draft,
    /// Of these the ones with so many characters.
    pub(in super::super) min: u32,
    pub(in super::super) max: Option<u32>,
    /// All of them are there, not only those on which validators agree.
    pub(in super::super) complete: bool,
}

/// The texts in which an ECMAScript pattern without lookahead is found.
pub(super) fn found(pattern: &str, counting: bool) -> Result<Pattern, LanguageError> {
    let translated = translate(pattern)?;
    let hir = parsed(&translated.rust)?;
    if let Some((hir, min, max)) = counted(&hir).filter(|_| counting) {
        return Ok(Pattern {
            draft: whole(&hir)?,
            min,
            max,
            complete: true,
        });
    }
    Ok(Pattern {
        draft: whole(&searched(hir))?,
        min: 0,
        max: None,
        complete: !translated.words,
    })
}

/// The texts that match an expression in Rust's notation from end to end.
pub(in super::super) fn of_rust(expression: &str) -> Result<Draft, LanguageError> {
    whole(&parsed(expression)?)
}

fn parsed(expression: &str) -> Result<Hir, LanguageError> {
    let mut parser = ParserBuilder::new().nest_limit(DEEPEST).build();
    parser.parse(expression).map_err(|error| {
        LanguageError::Pattern(match error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            error => error.to_string(),
        })
    })
}

/// One character, so and so often, from the start of the text to its end: as often as one likes, and how often that is.
fn counted(hir: &Hir) -> Option<(Hir, u32, Option<u32>)> {
    let HirKind::Concat(parts) = hir.kind() else {
        return None;
    };
    let [start, repeated, end] = parts.as_slice() else {
        return None;
    };
    let HirKind::Repetition(repetition) = repeated.kind() else {
        return None;
    };
    let is = |hir: &Hir, look| matches!(hir.kind(), HirKind::Look(is) if *is == look);
    let is_large = repetition.max.unwrap_or(repetition.min) > COUNTED;
    let is_one = matches!(repetition.sub.kind(), HirKind::Class(_));
    (is(start, Look::Start) && is(end, Look::End) && is_large && is_one).then(|| {
        let often = repetition.with((*repetition.sub).clone());
        let often = Repetition {
            min: 0,
            max: None,
            ..often
        };
        (Hir::repetition(often), repetition.min, repetition.max)
    })
}

/// The whole text, when `hir` is to be somewhere in it.
fn searched(hir: Hir) -> Hir {
    let anything = || {
        Hir::repetition(Repetition {
            min: 0,
            max: None,
            greedy: true,
            sub: Box::new(Hir::dot(Dot::AnyChar)),
        })
    };
    let from_start = hir.properties().look_set_prefix().contains(Look::Start);
    let to_end = hir.properties().look_set_suffix().contains(Look::End);
    let mut parts = vec![hir];
    if !from_start {
        parts.insert(0, anything());
    }
    if !to_end {
        parts.push(anything());
    }
    Hir::concat(parts)
}

fn whole(hir: &Hir) -> Result<Draft, LanguageError> {
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .nfa_size_limit(Some(MOST_NFA))
                .which_captures(WhichCaptures::None),
        )
        .build_from_hir(hir)
        .map_err(|_| LanguageError::TooLarge)?;
    let dfa = dense::Builder::new()
        .configure(
            dense::Config::new()
                .match_kind(MatchKind::All)
                .start_kind(StartKind::Anchored)
                .accelerate(false)
                .dfa_size_limit(Some(MOST_DFA))
                .determinize_size_limit(Some(MOST_DFA)),
        )
        .build_from_nfa(&nfa)
        .map_err(|_| LanguageError::TooLarge)?;
    let start = (dfa.start_state(&start::Config::new().anchored(Anchored::Yes)))
        .map_err(|_| LanguageError::TooLarge)?;
    let bytes = dfa.byte_classes();
    let accepts = |&state: &StateID| dfa.is_match_state(dfa.next_eoi_state(state));
    let step = |&state: &StateID, byte: u8| {
        let next = dfa.next_state(state, byte);
        (!dfa.is_dead_state(next) && !dfa.is_quit_state(next)).then_some(next)
    };
    Draft::explore(
        Classes::by(|byte| bytes.get(byte)),
        start,
        MOST_NODES,
        accepts,
        step,
    )
    .map(Draft::minimal)
    .ok_or(LanguageError::TooLarge)
}
