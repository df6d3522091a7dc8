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
    ecma::{DOT, Escapes, Translated, WIDE_DOT, translate},
};

/// Bytes that the automata may have on the way, so that no pattern costs much time or memory.
const MOST_NFA: usize = 1 << 19;
const MOST_DFA: usize = 1 << 19;
/// About what the smallest pattern costs.
const LEAST: usize = 1 << 11;
/// Parentheses within parentheses.
const DEEPEST: u32 = 100;
/// More repetitions than these are counted rather than multiplied.
const COUNTED: u32 = 8;
/// Where repetitions make an automaton too large, so many are kept.
const FEW: u32 = 32;

/// The texts that match a pattern.
#[derive(Debug)]
pub(in super::super) struct Pattern {
    pub(in super::super) draft: Draft,
    /// Of these the ones with so many characters.
    pub(in super::super) min: u32,
    pub(in super::super) max: Option<u32>,
    /// All of them are there.
    pub(in super::super) complete: bool,
}

/// The texts in which an ECMAScript pattern without lookahead is found: where all are too many, those with fewer
/// repetitions. If it is not `wanted` to be found, they are all there, and those in which others find it.
pub(super) fn found(
    pattern: &str,
    wanted: bool,
    spent: &mut usize,
) -> Result<(Pattern, Escapes), LanguageError> {
    let Translated { rust, escapes } = translate(pattern, if wanted { DOT } else { WIDE_DOT })?;
    let hir = parsed(&rust)?;
    if let Some((hir, min, max)) = counted(&hir).filter(|_| wanted) {
        let pattern = Pattern {
            draft: whole(&hir, spent)?,
            min,
            max,
            complete: true,
        };
        return Ok((pattern, escapes));
    }
    let hir = searched(hir);
    let all = whole(&hir, spent);
    let few = fewer(&hir).filter(|_| wanted && matches!(all, Err(LanguageError::TooLarge)));
    let (draft, complete) = match few {
        Some(few) => (whole(&few, spent)?, false),
        None => (all?, true),
    };
    let pattern = Pattern {
        draft,
        min: 0,
        max: None,
        complete,
    };
    Ok((pattern, escapes))
}

/// The texts that match an expression in Rust's notation from end to end.
pub(in super::super) fn of_rust(expression: &str) -> Result<Draft, LanguageError> {
    whole(&parsed(expression)?, &mut 0)
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

/// From the start of the text to its end, something of known length that may come often, and nothing else whose length can
/// differ: as often as one likes, and how long the text is then.
fn counted(hir: &Hir) -> Option<(Hir, u32, Option<u32>)> {
    let HirKind::Concat(parts) = hir.kind() else {
        return None;
    };
    let is = |hir: Option<&Hir>, look: Look| {
        hir.is_some_and(|hir| matches!(hir.kind(), HirKind::Look(is) if *is == look))
    };
    if !is(parts.first(), Look::Start) || !is(parts.last(), Look::End) {
        return None;
    }
    let mut often = None;
    let mut length = 0_u32;
    let mut loose = Vec::new();
    for part in parts {
        match (length_of(part), part.kind()) {
            (_, HirKind::Repetition(repetition))
                if often.is_none() && repetition.max.unwrap_or(repetition.min) > COUNTED =>
            {
                let each = length_of(&repetition.sub).filter(|&each| each > 0)?;
                often = Some((each, repetition.min, repetition.max));
                loose.push(Hir::repetition(Repetition {
                    min: 0,
                    max: None,
                    ..repetition.clone()
                }));
            }
            (Some(known), _) => {
                length = length.checked_add(known)?;
                loose.push(part.clone());
            }
            _ => return None,
        }
    }
    let (each, min, max) = often?;
    let total = |times: u32| times.checked_mul(each)?.checked_add(length);
    let max = match max {
        Some(max) => Some(total(max)?),
        None => None,
    };
    Some((Hir::concat(loose), total(min)?, max))
}

/// In characters, where all that matches has the same.
fn length_of(hir: &Hir) -> Option<u32> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(0),
        HirKind::Class(_) => Some(1),
        HirKind::Literal(literal) => {
            u32::try_from(std::str::from_utf8(&literal.0).ok()?.chars().count()).ok()
        }
        HirKind::Capture(capture) => length_of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.max == Some(repetition.min) => {
            length_of(&repetition.sub)?.checked_mul(repetition.min)
        }
        HirKind::Repetition(_) => None,
        HirKind::Concat(parts) => {
            (parts.iter()).try_fold(0_u32, |sum, part| sum.checked_add(length_of(part)?))
        }
        HirKind::Alternation(parts) => {
            let mut lengths = parts.iter().map(length_of);
            let first = lengths.next()??;
            lengths.all(|length| length == Some(first)).then_some(first)
        }
    }
}

/// The same with fewer repetitions, if there are many.
fn fewer(hir: &Hir) -> Option<Hir> {
    let all = |parts: &[Hir]| -> Option<Vec<Hir>> {
        let fewer: Vec<Option<Hir>> = parts.iter().map(fewer).collect();
        fewer.iter().any(Option::is_some).then(|| {
            (parts.iter().zip(fewer))
                .map(|(part, fewer)| fewer.unwrap_or_else(|| part.clone()))
                .collect()
        })
    };
    match hir.kind() {
        HirKind::Concat(parts) => all(parts).map(Hir::concat),
        HirKind::Alternation(parts) => all(parts).map(Hir::alternation),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.filter(|&max| max > FEW.max(repetition.min));
            let sub = fewer(&repetition.sub);
            (most.is_some() || sub.is_some()).then(|| {
                Hir::repetition(Repetition {
                    max: most.map_or(repetition.max, |_| Some(FEW.max(repetition.min))),
                    sub: Box::new(sub.unwrap_or_else(|| (*repetition.sub).clone())),
                    ..*repetition
                })
            })
        }
        _ => None,
    }
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

fn whole(hir: &Hir, spent: &mut usize) -> Result<Draft, LanguageError> {
    // Until it is known to be less; what fails takes longest.
    let before = *spent;
    *spent += 4 * MOST_DFA;
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
    *spent = before + LEAST + dfa.memory_usage();
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
