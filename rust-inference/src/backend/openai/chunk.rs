//! What comes from another server: whole answers and pieces of them, read as they are meant, however the server writes them.

use ipc::proto::{TokenLogprob, TopLogprob};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// A whole answer or a piece of one.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an answer {\"choices\": […]}")]
pub(super) struct Chunk {
    pub(super) choices: Option<Vec<Choice>>,
    pub(super) usage: Option<Cost>,
    pub(super) error: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    index: Option<u64>,
    delta: Option<Said>,
    message: Option<Said>,
    /// Of a raw prompt.
    text: Option<String>,
    pub(super) finish_reason: Option<String>,
    logprobs: Option<Logprobs>,
}

/// What was written.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Said {
    content: Option<Value>,
    /// In place of content.
    refusal: Option<String>,
    /// What was thought before, by its two names.
    reasoning_content: Option<Value>,
    reasoning: Option<Value>,
    pub(super) tool_calls: Option<Vec<Fragment>>,
}

/// A call or a piece of one.
#[derive(Debug, Deserialize)]
pub(super) struct Fragment {
    pub(super) index: Option<u64>,
    id: Option<Value>,
    function: Option<Function>,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<Box<RawValue>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Cost {
    pub(super) prompt_tokens: Option<u32>,
    pub(super) completion_tokens: Option<u32>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Details {
    cached_tokens: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Logprobs {
    content: Option<Vec<Likely>>,
}

#[derive(Debug, Deserialize)]
struct Likely {
    token: String,
    logprob: f32,
    top_logprobs: Option<Vec<Likely>>,
}

impl Choice {
    /// Only one answer was asked for.
    pub(super) fn is_first(&self) -> bool {
        self.index.unwrap_or(0) == 0
    }

    /// It is no piece of an answer.
    pub(super) fn is_whole(&self) -> bool {
        self.delta.is_none() && self.message.is_some()
    }

    /// What was written, and the text of it.
    pub(super) fn said(&mut self) -> Result<(Said, String), String> {
        let mut said = (self.delta.take())
            .or_else(|| self.message.take())
            .unwrap_or_default();
        let mut text = content(said.content.take())?;
        text.push_str(self.text.as_deref().unwrap_or_default());
        text.push_str(said.refusal.as_deref().unwrap_or_default());
        Ok((said, text))
    }

    pub(super) fn logprobs(&mut self) -> Vec<TokenLogprob> {
        let told = self.logprobs.take().and_then(|told| told.content);
        // The ids are not told.
        let top = |likely: Likely| TopLogprob {
            id: 0,
            token: likely.token,
            logprob: likely.logprob,
        };
        (told.unwrap_or_default().into_iter())
            .map(|likely| TokenLogprob {
                id: 0,
                token: likely.token,
                logprob: likely.logprob,
                top: (likely.top_logprobs.unwrap_or_default().into_iter())
                    .map(top)
                    .collect(),
            })
            .collect()
    }
}

impl Said {
    /// Whether it thought about it.
    pub(super) fn thinks(&self) -> bool {
        [&self.reasoning_content, &self.reasoning]
            .into_iter()
            .flatten()
            .any(|value| value.as_str().is_none_or(|text| !text.is_empty()))
    }
}

impl Fragment {
    pub(super) fn id(&self) -> String {
        match &self.id {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(id)) => id.clone(),
            Some(other) => other.to_string(),
        }
    }

    pub(super) fn name(&self) -> &str {
        let function = self.function.as_ref();
        (function.and_then(|function| function.name.as_deref())).unwrap_or_default()
    }

    /// As JSON text: some write it in a string, which is how it is meant, some as it is.
    pub(super) fn arguments(&self) -> String {
        let function = self.function.as_ref();
        let Some(raw) = function.and_then(|function| function.arguments.as_ref()) else {
            return String::new();
        };
        match serde_json::from_str(raw.get()) {
            Ok(Value::String(text)) => text,
            Ok(Value::Null) => String::new(),
            _ => raw.get().to_owned(),
        }
    }
}

impl Cost {
    pub(super) fn cached(&self) -> u32 {
        (self.prompt_tokens_details.and_then(|of| of.cached_tokens)).unwrap_or_default()
    }
}

/// Text, or parts that are text.
fn content(content: Option<Value>) -> Result<String, String> {
    match content {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text),
        Some(Value::Array(parts)) => parts
            .iter()
            .map(|part| {
                let text = part.as_str().or_else(|| part.get("text")?.as_str());
                text.ok_or_else(|| "has a part that is no text".to_owned())
            })
            .collect(),
        Some(_) => Err("has a content that is neither text nor a list".to_owned()),
    }
}
