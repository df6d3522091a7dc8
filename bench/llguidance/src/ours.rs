//! Our own constraint behind the face that llguidance has here, too.

use std::sync::Arc;

use rust_inference::{
    constrain::{
        Candidates, Constraint, Grammar, Guide, Mode, Next, Options, Steering, Vocabulary,
    },
    tokenizer::Tokenizer,
};

use crate::{
    Result,
    calls::{VOCABULARY, Workload},
    measure::{Engine, Possible, Step},
};

/// Tokens that may still be written: so many that the limit steers nothing.
const LEFT: usize = 10_000;

pub struct Ours {
    vocabulary: Arc<Vocabulary>,
}

impl Engine for Ours {
    type Compiled = Constraint;
    type Session = Steering;

    fn new(tokenizer: Tokenizer) -> Result<Self> {
        let ends: Vec<u32> = ["<eos>", "<end_of_turn>", "<start_function_response>"]
            .iter()
            .filter_map(|end| tokenizer.control(end))
            .collect();
        // What the vocabulary is made for is made when it is first needed: here, so that it is measured.
        tokenizer.trees();
        let vocabulary = Arc::new(Vocabulary::new(&Arc::new(tokenizer), &ends, VOCABULARY));
        Ok(Self { vocabulary })
    }

    fn compile(&self, workload: &Workload) -> Result<Constraint> {
        let grammar = Grammar::of_tools(&workload.tools, &Options::default())
            .map_err(|notes| format!("the schemas cannot be honoured: {notes:?}"))?;
        Ok(Constraint::new(grammar, self.vocabulary.clone()))
    }

    fn start(compiled: &Constraint) -> Result<Steering> {
        Ok(compiled
            .calls(&Mode::Required, None, "")
            .ok_or("no calls are possible")?)
    }

    fn next(session: &mut Steering) -> Result<Step> {
        Ok(match session.next(LEFT) {
            Next::Forced(tokens) => Step::Forced(tokens),
            Next::Choose { candidates, .. } => Step::Choose(Box::new(candidates)),
            Next::End => Step::End,
        })
    }

    fn push(session: &mut Steering, token: u32) -> Result<()> {
        session.push(token);
        Ok(())
    }
}

impl Possible for Arc<Candidates> {
    fn count(&self) -> usize {
        match &**self {
            Candidates::All => VOCABULARY,
            Candidates::List(ids) => ids.len(),
            Candidates::Mask(bits) => bits.iter().map(|word| word.count_ones() as usize).sum(),
        }
    }

    fn contains(&self, token: u32) -> bool {
        Candidates::contains(self, token)
    }
}
