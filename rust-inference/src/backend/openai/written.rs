//! An answer of another server, from its first piece to its end.

use std::time::{Duration, Instant};

use ipc::{
    Status,
    proto::{TokenLogprob, Usage},
};

use super::{
    chunk::{Chunk, Cost},
    events::Events,
    gather::{Draft, Drafts},
    http::Answer,
    refusal,
};
use crate::backend::answer::stops::StopTexts;

/// How long is waited for what an answer cost, once it has ended.
const AFTERWORD: Duration = Duration::from_secs(2);

/// What a model wrote.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) text: String,
    drafts: Drafts,
    /// Why it ended, in the server's word.
    pub(super) reason: Option<String>,
    cost: Option<Cost>,
    pub(super) logprobs: Vec<TokenLogprob>,
    /// It thought, which is not passed on.
    pub(super) thought: bool,
    /// Something of an answer has come.
    begun: bool,
    /// One of the request's stop texts came.
    stopped: bool,
    /// Until its first piece came, and from there on; of what comes whole the first is not known.
    times: (Duration, Duration),
}

/// What becomes of the text as it comes.
pub(super) type Tell<'a> = dyn FnMut(&str) + Send + 'a;

impl Written {
    /// Reads an answer to its end. `streamed`: it was asked for in pieces, if its type does not say.
    pub(super) async fn read(
        mut answer: Answer<'_>,
        streamed: bool,
        stops: &[String],
        begun: Instant,
        tell: &mut Tell<'_>,
    ) -> Result<Self, Status> {
        let mut written = Self::default();
        let mut stops = StopTexts::new(stops.to_vec());
        match answer.media.as_deref() {
            Some("text/event-stream") => {}
            Some("application/json") => {
                let whole = answer.whole().await?;
                written.piece(&answer, &whole, &mut stops, begun, tell)?;
                if written.begun {
                    // It is whole, even if it does not say why it ended.
                    written.reason.get_or_insert_default();
                }
                written.ended(&answer, &mut stops, begun, tell)?;
                written.times = (Duration::ZERO, begun.elapsed());
                return Ok(written);
            }
            None if streamed => {}
            other => {
                let media = refusal::plain(other.unwrap_or("of no type"));
                return Err(answer
                    .peer
                    .strange(&format!("is {media}, which is not understood")));
            }
        }
        let (mut events, mut datas) = (Events::default(), Vec::new());
        let mut open = true;
        while open {
            match answer.portion().await {
                Ok(Some(bytes)) => events
                    .push(&bytes, &mut datas)
                    .map_err(|_| answer.peer.strange("has an event that is too large"))?,
                Ok(None) => {
                    std::mem::take(&mut events).finish(&mut datas);
                    open = false;
                }
                // It had said all.
                Err(_) if written.reason.is_some() => open = false,
                Err(status) => return Err(status),
            }
            for data in datas.drain(..) {
                if data.trim_ascii() == b"[DONE]" {
                    written.reason.get_or_insert_default();
                    open = false;
                    break;
                }
                written.piece(&answer, &data, &mut stops, begun, tell)?;
            }
            if written.stopped {
                break;
            }
            if written.reason.is_some() {
                answer.patience = answer.patience.min(AFTERWORD);
            }
        }
        written.ended(&answer, &mut stops, begun, tell)?;
        Ok(written)
    }

    /// Takes a piece, or the whole.
    fn piece(
        &mut self,
        answer: &Answer<'_>,
        data: &[u8],
        stops: &mut StopTexts,
        begun: Instant,
        tell: &mut Tell<'_>,
    ) -> Result<(), Status> {
        let peer = answer.peer;
        let chunk: Chunk = serde_json::from_slice(data)
            .map_err(|error| peer.strange(&format!("is not understood: {error}")))?;
        if let Some(error) = &chunk.error {
            return Err(peer.hush(refusal::told(&peer.address, error)));
        }
        self.cost = chunk.usage.or(self.cost);
        for mut choice in chunk.choices.unwrap_or_default() {
            if !choice.is_first() {
                continue;
            }
            let whole = choice.is_whole();
            let (said, text) = choice.said().map_err(|what| peer.strange(&what))?;
            self.thought |= said.thinks();
            self.logprobs.extend(choice.logprobs());
            let calls = said.tool_calls.unwrap_or_default();
            if self.times.0.is_zero() && (!text.is_empty() || !calls.is_empty() || self.thought) {
                self.times.0 = begun.elapsed();
            }
            let text = stops.push(&text);
            self.add(&text, tell);
            if stops.found {
                self.stopped = true;
                return Ok(());
            }
            for call in &calls {
                self.drafts.add(call, whole)?;
            }
            // Some write an empty one with each piece.
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                self.reason = Some(reason);
            }
            self.begun = true;
        }
        Ok(())
    }

    fn add(&mut self, text: &str, tell: &mut Tell<'_>) {
        self.text.push_str(text);
        if !text.is_empty() {
            tell(text);
        }
    }

    /// Nothing more comes: is it an answer?
    fn ended(
        &mut self,
        answer: &Answer<'_>,
        stops: &mut StopTexts,
        begun: Instant,
        tell: &mut Tell<'_>,
    ) -> Result<(), Status> {
        let rest = stops.finish();
        self.add(&rest, tell);
        if self.times.0.is_zero() {
            self.times.0 = begun.elapsed();
        }
        self.times.1 = begun.elapsed().saturating_sub(self.times.0);
        if self.stopped {
            self.drafts = Drafts::default();
            self.reason = Some("stop".to_owned());
            return Ok(());
        }
        match self.reason.as_deref() {
            None => Err(answer.peer.lost("ended its answer in the middle", None)),
            Some("content_filter") => Err(Status::failed_precondition(format!(
                "the server at {} keeps its answer back: its content filter found something",
                answer.peer.address
            ))
            .with_hint("ask in other words")),
            Some(_) => Ok(()),
        }
    }

    pub(super) fn calls(&self) -> &[Draft] {
        &self.drafts.0
    }

    /// A limit ended it.
    pub(super) fn is_cut(&self) -> bool {
        matches!(
            self.reason.as_deref(),
            Some("length" | "max_tokens" | "model_length")
        )
    }

    /// It says that it makes calls, and there are none.
    pub(super) fn is_empty_call(&self) -> bool {
        self.drafts.0.is_empty()
            && matches!(self.reason.as_deref(), Some("tool_calls" | "function_call"))
    }

    /// All of it as text, for people and for the model to look at.
    pub(super) fn raw(&self) -> String {
        let mut raw = self.text.clone();
        for draft in self.calls() {
            if !raw.is_empty() {
                raw.push('\n');
            }
            let arguments = match draft.arguments.trim() {
                "" => "{}",
                text => text,
            };
            let name = serde_json::Value::from(&*draft.name);
            raw += &[
                r#"{"name":"#,
                &name.to_string(),
                r#","arguments":"#,
                arguments,
                "}",
            ]
            .concat();
        }
        raw
    }

    /// Adds what it cost; false: that was not told.
    pub(super) fn count(&self, usage: &mut Usage) -> bool {
        let us = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        usage.prefill_us = usage.prefill_us.saturating_add(us(self.times.0));
        usage.decode_us = usage.decode_us.saturating_add(us(self.times.1));
        let cost = self.cost.unwrap_or_default();
        let completion = cost.completion_tokens.unwrap_or_default();
        let prompt = cost.prompt_tokens.unwrap_or_default();
        usage.prompt_tokens = usage.prompt_tokens.saturating_add(prompt);
        usage.cached_tokens = usage.cached_tokens.saturating_add(cost.cached());
        usage.completion_tokens = usage.completion_tokens.saturating_add(completion);
        // Nothing forced or constrained them.
        usage.free_tokens = usage.completion_tokens;
        self.cost.is_some()
    }
}
