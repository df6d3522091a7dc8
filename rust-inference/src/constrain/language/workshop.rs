//! The languages of one grammar.
//!
//! A schema may have thousands of patterns, each of them as expensive as one pattern may be. What is asked for twice is made
//! once, and all that is made together has a limit, so that no schema costs more than a second or two, or more than tens
//! of megabytes.

use std::collections::HashMap;

use super::{Language, NumberSpec, TextSpec, disjoint, error::LanguageError, number, text};

/// Bytes of tables on the way, of all languages together.
const MOST_BYTES: usize = 64 << 20;
/// Pairs of states at which languages are compared, of all comparisons together.
const MOST_PAIRS: usize = 20_000_000;

/// Makes languages as long as its means last.
#[derive(Debug)]
pub struct Workshop {
    texts: HashMap<TextSpec, Result<Language, LanguageError>>,
    numbers: HashMap<(NumberSpec, bool), Result<Language, LanguageError>>,
    bytes: usize,
    pairs: usize,
}

impl Default for Workshop {
    fn default() -> Self {
        Self {
            texts: HashMap::new(),
            numbers: HashMap::new(),
            bytes: MOST_BYTES,
            pairs: MOST_PAIRS,
        }
    }
}

impl Workshop {
    /// See [`text()`](super::text()).
    pub fn text(&mut self, spec: &TextSpec) -> Result<Language, LanguageError> {
        if spec.patterns.is_empty() && spec.formats.len() < 2 {
            return super::text(spec);
        }
        if let Some(known) = self.texts.get(spec) {
            return known.clone();
        }
        let made = self.within(|spent| text::made(spec, spent));
        self.texts.insert(spec.clone(), made.clone());
        made
    }

    /// See [`integer`](super::integer).
    pub fn integer(&mut self, spec: &NumberSpec) -> Result<Language, LanguageError> {
        self.of_numbers(spec, true)
    }

    /// See [`number`](super::number()).
    pub fn number(&mut self, spec: &NumberSpec) -> Result<Language, LanguageError> {
        self.of_numbers(spec, false)
    }

    fn of_numbers(&mut self, spec: &NumberSpec, whole: bool) -> Result<Language, LanguageError> {
        let key = (spec.clone(), whole);
        if let Some(known) = self.numbers.get(&key) {
            return known.clone();
        }
        let made = self.within(|spent| number::made(spec, whole, spent));
        self.numbers.insert(key, made.clone());
        made
    }

    fn within(
        &mut self,
        make: impl FnOnce(&mut usize) -> Result<Language, LanguageError>,
    ) -> Result<Language, LanguageError> {
        if self.bytes == 0 {
            return Err(LanguageError::Spent);
        }
        let mut spent = 0;
        let made = make(&mut spent);
        self.bytes = self.bytes.saturating_sub(spent);
        made
    }

    /// Whether certainly nothing that one of the two writes is valid for the other, however it is spelt; false where that
    /// cannot be found out in time.
    pub fn disjoint(&mut self, one: &Language, other: &Language) -> bool {
        disjoint::disjoint(one, other, &mut self.pairs)
    }
}
