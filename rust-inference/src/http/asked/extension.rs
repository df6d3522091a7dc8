//! What only this server has is asked for under one key, `callspan`, so that no field of the API can ever come to mean
//! something else.

use ipc::proto::Generate;

use crate::http::{error::ApiError, fields::Fields};

/// What `callspan` says.
#[derive(Debug, Default, PartialEq)]
pub(in crate::http) struct Extension {
    pub(in crate::http) timeout_ms: u32,
    adapter: String,
    argument_order: String,
    max_calls: u32,
}

impl Extension {
    pub(in crate::http) fn apply(self, generate: &mut Generate) {
        generate.adapter = self.adapter;
        generate.argument_order = self.argument_order;
        generate.max_calls = self.max_calls;
    }
}

/// The same where nothing is generated.
pub(in crate::http) fn timeout_ms(request: &mut Fields) -> Result<u32, ApiError> {
    let Some(mut fields) = request.object("callspan")? else {
        return Ok(0);
    };
    let timeout_ms = fields.count("timeout_ms", 1..=u32::MAX)?.unwrap_or(0);
    fields.end()?;
    Ok(timeout_ms)
}

pub(in crate::http) fn extension(request: &mut Fields) -> Result<Extension, ApiError> {
    let Some(mut fields) = request.object("callspan")? else {
        return Ok(Extension::default());
    };
    let asked = Extension {
        timeout_ms: fields.count("timeout_ms", 1..=u32::MAX)?.unwrap_or(0),
        adapter: fields.text("adapter")?.unwrap_or_default(),
        argument_order: fields.text("argument_order")?.unwrap_or_default(),
        max_calls: fields.count("max_calls", 1..=u32::MAX)?.unwrap_or(0),
    };
    fields.end()?;
    Ok(asked)
}
