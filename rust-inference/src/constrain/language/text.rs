//! Languages of strings.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use super::{
    Language, Valid,
    draft::{Classes, Draft},
    error::LanguageError,
    format::Format,
    pattern,
    table::Table,
    utf8::utf8,
};

/// Nodes of an automaton at most.
pub(super) const MOST_NODES: usize = 20_000;

/// What a string has to satisfy, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TextSpec {
    /// Regular expressions of ECMAScript, each to be found somewhere in it.
    pub patterns: Vec<String>,
    pub formats: Vec<Format>,
    /// The fewest characters.
    pub min: u32,
    /// The most characters.
    pub max: Option<u32>,
    /// What may occur nowhere in it.
    pub never: Vec<&'static str>,
}

/// Strings that satisfy `spec`, as UTF-8: all of them, but for formats, of which the usual forms are written.
pub fn text(spec: &TextSpec) -> Result<Language, LanguageError> {
    made(spec, &mut 0)
}

/// `spent`: the bytes of tables on the way are added to it.
pub(super) fn made(spec: &TextSpec, spent: &mut usize) -> Result<Language, LanguageError> {
    let mut min = spec.min;
    let mut max = spec.max;
    let mut lower = |most: Option<u32>| max = [max, most].into_iter().flatten().min();
    let mut draft: Option<Draft> = None;
    let mut complete = true;
    for pattern in &spec.patterns {
        let pattern = pattern::of_ecma(pattern, spent)?;
        min = min.max(pattern.min);
        lower(pattern.max);
        draft = Some(and(draft, &pattern.draft)?);
        complete &= pattern.complete;
    }
    let valid = match &draft {
        _ if complete && spec.formats.is_empty() => None,
        Some(draft) if complete => Some(Arc::new(Table::of_draft(draft.clone()))),
        _ => Some(usual(&spec.never, None)?),
    };
    for format in &spec.formats {
        lower(format.longest());
    }
    let table = match (draft, spec.formats.as_slice()) {
        (None, []) => usual(&spec.never, None)?,
        (None, &[format]) => usual(&spec.never, Some(format))?,
        (mut draft, formats) => {
            for format in formats {
                draft = Some(and(draft, format.draft())?);
            }
            let draft = draft.unwrap_or_else(utf8);
            Arc::new(Table::of_draft(without(draft, &spec.never)?))
        }
    };
    let mut language = Language::of_table(table).bounded(min, max)?;
    language.valid = valid.map(Valid::Text);
    *spent += language.size();
    Ok(language)
}

/// Any text, or that of one format, without what may not occur: one table for each such set, because callers keep much
/// about its nodes.
fn usual(never: &[&'static str], format: Option<Format>) -> Result<Arc<Table>, LanguageError> {
    type Tables = HashMap<(Vec<&'static str>, Option<Format>), Arc<Table>>;
    static TABLES: LazyLock<Mutex<Tables>> = LazyLock::new(Mutex::default);
    let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (never.to_vec(), format);
    if let Some(table) = tables.get(&key) {
        return Ok(Arc::clone(table));
    }
    let draft = format.map_or_else(utf8, |format| format.draft().clone());
    let table = Arc::new(Table::of_draft(without(draft, never)?));
    tables.insert(key, Arc::clone(&table));
    Ok(table)
}

fn and(one: Option<Draft>, other: &Draft) -> Result<Draft, LanguageError> {
    one.map_or_else(|| Ok(other.clone()), |one| both(&one, other))
}

fn both(one: &Draft, other: &Draft) -> Result<Draft, LanguageError> {
    one.both(other, MOST_NODES)
        .map(Draft::minimal)
        .ok_or(LanguageError::TooLarge)
}

/// Of these texts those in which none of `never` occurs.
fn without(mut draft: Draft, never: &[&'static str]) -> Result<Draft, LanguageError> {
    let (single, words): (Vec<&[u8]>, Vec<&[u8]>) =
        (never.iter().map(|part| part.as_bytes())).partition(|part| part.len() == 1);
    let single = single.concat();
    let mut automata = Vec::new();
    if !single.is_empty() {
        let classes = Classes::by(|byte| single.contains(&byte));
        let step = |(): &(), byte: u8| (!single.contains(&byte)).then_some(());
        automata.extend(Draft::explore(classes, (), 1, |()| true, step));
    }
    for word in words {
        let occurs =
            |&byte: &u8| (0..draft.len() as u32).any(|node| draft.step(node, byte).is_some());
        if word.iter().all(occurs) {
            automata.push(lacking(word));
        }
    }
    for automaton in automata {
        draft = both(&draft, &automaton)?;
    }
    Ok(draft)
}

/// All bytes in a row that do not contain `part`: how much of it has just been seen is the state.
fn lacking(part: &[u8]) -> Draft {
    let seen_after = |seen: usize, byte: u8| {
        let mut text = part.get(..seen).unwrap_or_default().to_vec();
        text.push(byte);
        (0..=text.len())
            .find_map(|from| text.get(from..).filter(|tail| part.starts_with(tail)))
            .map_or(0, <[u8]>::len)
    };
    let classes = Classes::by(|byte| part.contains(&byte).then_some(byte));
    let step = |&seen: &usize, byte| Some(seen_after(seen, byte)).filter(|&seen| seen < part.len());
    Draft::explore(classes, 0, part.len() + 1, |_| true, step).unwrap_or_else(Draft::nothing)
}
