//! From a request to what the model is given: its prompt in tokens, and what may be written behind it.

use std::sync::Arc;

use ipc::{Status, proto::Generate};

use super::{
    before::Before,
    choice::{self, Form},
    offered::Compiler,
};
use crate::{
    constrain::{Guide, Mode, Unguided},
    functiongemma::Toolbox,
    tokenizer::Tokenizer,
};

/// A request made ready for the model.
pub(in crate::backend) struct Prepared {
    pub(in crate::backend) prompt: Vec<u32>,
    /// So many tokens at the prompt's beginning other questions have too.
    pub(in crate::backend) shared: usize,
    /// Says what may be written.
    pub(in crate::backend) guide: Box<dyn Guide>,
    /// Reads the calls out of what was written; nothing where there are none.
    pub(in crate::backend) toolbox: Option<Arc<Toolbox>>,
    /// Nothing but valid calls can be written.
    pub(in crate::backend) strict: bool,
    pub(in crate::backend) warnings: Vec<String>,
}

pub(in crate::backend) fn prepare(
    tokenizer: &Tokenizer,
    compiler: &Compiler,
    asked: &Generate,
) -> Result<Prepared, Status> {
    let form = choice::form(asked)?;
    let options = choice::options(asked)?;
    let before = Before::of("generate", tokenizer, asked.input.as_ref(), &asked.tools)?;
    let mut warnings = before.warnings;
    let (guide, toolbox, strict): (Box<dyn Guide>, _, _) = match form {
        Form::Json(schema) => {
            let offered = compiler.json(&schema, options)?;
            warnings.extend(offered.warnings());
            let guide = offered.constraint.json(&before.text).ok_or_else(broken)?;
            (Box::new(guide), None, offered.strict)
        }
        // Whoever writes the prompt by hand, and offers nothing, gets what the model writes.
        Form::Calls { .. } if before.raw && before.conversation.tools.is_empty() => {
            (Box::new(Unguided), None, true)
        }
        Form::Calls { mode, most } => {
            // Tools that are not to be called are only told of.
            let callable = match mode {
                Mode::None => &[],
                _ => before.conversation.tools.as_slice(),
            };
            let offered = compiler.tools(callable, options)?;
            warnings.extend(offered.warnings());
            let guide = offered.constraint.calls(&mode, most, &before.text);
            let guide = Box::new(guide.ok_or_else(broken)?);
            (guide, Some(offered.toolbox), offered.strict)
        }
    };
    Ok(Prepared {
        prompt: before.tokens,
        shared: before.shared,
        guide,
        toolbox,
        strict,
        warnings,
    })
}

/// What the answer is to be was checked against what is offered.
fn broken() -> Status {
    Status::internal("the answer's form does not fit what is offered")
}
