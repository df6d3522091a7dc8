//! A model's tokens, as constraints need them: found by their bytes, or by what they mean, and the tables of those that
//! fit into texts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{grammar::Symbol, language::Language, text_tokens::TextTokens};
use crate::tokenizer::{Tokenizer, Tokens, Tree};

/// Tables of text tokens that are kept: those of free text are met again and again.
const MAX_TABLES: usize = 512;

/// The tokens of a model, as constraints need them. Made once.
#[derive(Debug)]
pub struct Vocabulary {
    pub(super) tokenizer: Arc<Tokenizer>,
    /// Rows of the head.
    pub(super) size: usize,
    /// The ids that a control symbol may be written as.
    controls: HashMap<Symbol, Vec<u32>>,
    tables: Mutex<HashMap<TableKey, Arc<TextTokens>>>,
}

/// A language's table, a node of it, and whether strings of JSON are meant.
type TableKey = (u64, u32, bool);

impl Vocabulary {
    /// `ends`: the ids that end an answer. `size`: the rows of the head.
    pub fn new(tokenizer: &Arc<Tokenizer>, ends: &[u32], size: usize) -> Self {
        let id = |text: &str| tokenizer.control(text);
        let calls_end = id("<start_function_response>");
        let named = [
            (Symbol::Escape, id("<escape>")),
            (Symbol::StartCall, id("<start_function_call>")),
            (Symbol::EndCall, id("<end_function_call>")),
            (Symbol::EndCalls, calls_end),
        ];
        let mut controls: HashMap<Symbol, Vec<u32>> = named
            .map(|(symbol, id)| (symbol, id.into_iter().collect()))
            .into();
        let mut ends: Vec<u32> = ends
            .iter()
            .copied()
            .filter(|end| Some(*end) != calls_end)
            .collect();
        ends.sort_unstable();
        ends.dedup();
        controls.insert(Symbol::EndAnswer, ends);
        Self {
            size,
            controls,
            tables: Mutex::default(),
            tokenizer: tokenizer.clone(),
        }
    }

    /// The tokens of one kind by their bytes.
    pub(super) fn tree(&self, tokens: Tokens) -> Tree<'_> {
        self.tokenizer.tree(tokens)
    }

    /// The format's control tokens are all there, so that calls can be written.
    pub fn can_call(&self) -> bool {
        self.controls.values().all(|ids| !ids.is_empty())
    }

    /// The ids that a control symbol may be written as.
    pub(super) fn control(&self, symbol: Symbol) -> &[u32] {
        self.controls.get(&symbol).map_or(&[], Vec::as_slice)
    }

    /// What a token is, if it is one of the format's control tokens.
    pub(super) fn symbol(&self, id: u32) -> Option<Symbol> {
        let found = self.controls.iter().find(|(_, ids)| ids.contains(&id));
        found.map(|(symbol, _)| *symbol)
    }

    /// The tokens that may stand within a text at a node of its language.
    pub(super) fn text_tokens(
        &self,
        language: &Language,
        node: u32,
        json: bool,
    ) -> Arc<TextTokens> {
        let key = (language.id(), node, json);
        let lock = || self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&key) {
            return known.clone();
        }
        let table = Arc::new(TextTokens::new(
            self.tree(Tokens::All),
            language,
            node,
            json,
            self.size,
        ));
        let mut tables = lock();
        if tables.len() >= MAX_TABLES {
            tables.clear();
        }
        tables.insert(key, table.clone());
        table
    }
}
