//! llguidance behind the same face as ours, with the same tokenizer.

use std::sync::Arc;

use llguidance::{
    Matcher, ParserFactory,
    api::TopLevelGrammar,
    toktrie::{
        InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv,
    },
};
use rust_inference::tokenizer::{Piece, Tokenizer};

use crate::{
    Result,
    calls::{VOCABULARY, Workload},
    lark::{self, Strings},
    measure::{Engine, Possible, Step},
};

/// The tokens that end an answer to llguidance.
const EOS: TokenId = 1;

struct Env {
    tokenizer: Tokenizer,
    trie: TokTrie,
}

impl TokenizerEnv for Env {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        // Bytes that are no text yet are cut as far as they are.
        let (text, rest) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, &[][..]),
            Err(error) => {
                let (text, rest) = bytes.split_at(error.valid_up_to());
                (std::str::from_utf8(text).unwrap_or_default(), rest)
            }
        };
        let mut ids = (self.tokenizer.encode(&[Piece::Text(text)])).unwrap_or_default();
        ids.extend(self.trie.greedy_tokenize(rest));
        ids
    }
}

pub struct Llguidance<const EXACT: bool> {
    factory: ParserFactory,
}

impl<const EXACT: bool> Engine for Llguidance<EXACT> {
    type Compiled = Matcher;
    type Session = Matcher;

    fn new(tokenizer: Tokenizer) -> Result<Self> {
        let words: Vec<Vec<u8>> = (0..VOCABULARY as u32)
            .map(|id| {
                let mut bytes = tokenizer.bytes(id).to_vec();
                if tokenizer.is_control(id) {
                    bytes.insert(0, TokTrie::SPECIAL_TOKEN_MARKER);
                }
                bytes
            })
            .collect();
        let trie = TokTrie::from(&TokRxInfo::new(VOCABULARY as u32, EOS), &words);
        let env: TokEnv = Arc::new(Env { tokenizer, trie });
        let capabilities = InferenceCapabilities {
            ff_tokens: true,
            ..InferenceCapabilities::default()
        };
        // The parts of the vocabulary that it prepares, made for what our strings may hold, as its own are for JSON's.
        let slices = ["[^<]{1,10}", "[^<]{1,30}", "[^<]+"].map(str::to_owned);
        let mut factory = ParserFactory::new(&env, capabilities, &slices)?;
        factory.quiet();
        Ok(Self { factory })
    }

    fn compile(&self, workload: &Workload) -> Result<Matcher> {
        let strings = if EXACT {
            Strings::Exact
        } else {
            Strings::Plain
        };
        let grammar = TopLevelGrammar::from_lark(lark::grammar(&workload.tools, strings));
        let matcher = Matcher::new(self.factory.create_parser(grammar));
        match matcher.get_error() {
            Some(error) => Err(error.into()),
            None => Ok(matcher),
        }
    }

    /// A clone shares what was found out about the grammar so far.
    fn start(compiled: &Matcher) -> Result<Matcher> {
        Ok(compiled.clone())
    }

    fn next(session: &mut Matcher) -> Result<Step> {
        let forced = session.compute_ff_tokens();
        if !forced.is_empty() {
            session.consume_tokens(&forced)?;
            return Ok(Step::Forced(forced));
        }
        if session.is_stopped() {
            return Ok(Step::End);
        }
        Ok(Step::Choose(Box::new(Mask(session.compute_mask()?))))
    }

    fn push(session: &mut Matcher, token: u32) -> Result<()> {
        Ok(session.consume_token(token)?)
    }
}

struct Mask(SimpleVob);

impl Possible for Mask {
    fn count(&self) -> usize {
        self.0.num_set()
    }

    fn contains(&self, token: u32) -> bool {
        self.0.is_allowed(token)
    }
}
