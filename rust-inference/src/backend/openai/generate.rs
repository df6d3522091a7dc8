//! `generate` with another server's model: asked as it understands it, believed in nothing. What is not valid may be written
//! once more, as long as the client has heard nothing of it.

use std::time::Instant;

use ipc::{
    Status,
    proto::{Delta, Done, Generate, ToolCall, ToolCallDelta, Usage, generate::Input},
};
use tokio::task::block_in_place;

use super::{
    OpenAi,
    ask::Asked,
    check::{Checked, Rule},
    http::Question,
    written::Written,
};
use crate::backend::{Guarantee, Task, answer::report};

/// What every answer says whose form was promised.
const UNCONSTRAINED: &str =
    "another server wrote this: it was not constrained here, only checked behind";

impl OpenAi {
    pub(super) async fn write(&self, asked: Generate, task: &Task) -> Result<Done, Status> {
        let _place = self.place()?;
        let model = self.model(&asked.model).await?;
        if matches!(asked.input, Some(Input::Prompt(_))) {
            self.takes_prompts().await?;
        }
        let (name, address) = (model.clone(), self.peer.address.clone());
        let (stream, stops, max_tokens) = (asked.stream, asked.stop.clone(), self.max_tokens);
        // A conversation or schemas of megabytes take a while: not on the threads that serve sockets.
        let prepared = tokio::task::spawn_blocking(move || {
            let asked = Asked::new(&asked, &address, name, max_tokens)?;
            let rule = Rule::new(asked.form.clone(), &asked.tools)?;
            Ok::<_, Status>((asked, rule))
        });
        let (mut question, rule) = prepared.await.map_err(|error| {
            Status::internal(format!("preparing the request failed: {error}"))
        })??;
        let mut done = Done {
            model: self.told(&model),
            guarantee: Guarantee::Checked.word().to_owned(),
            warnings: std::mem::take(&mut question.warnings),
            ..Done::default()
        };
        done.warnings.extend(report::unknown_fields(&task.request));
        if rule.is_promise(&question.tools) {
            done.warnings.push(UNCONSTRAINED.to_owned());
        }
        let mut told = false;
        let mut tell = |text: &str| {
            if stream && !rule.wants_no_text() {
                told = true;
                task.answer.delta(Delta {
                    text: text.to_owned(),
                    ..Delta::default()
                });
            }
        };
        let mut usage = Usage::default();
        let first = self
            .once(&question, stream, &stops, task, &mut tell)
            .await?;
        let mut costs_known = first.count(&mut usage);
        let mut found = judge(&rule, &first);
        let mut written = first;
        if let Err(problem) = &found
            && !told
        {
            question.again(&written.raw(), problem);
            written = self
                .once(&question, false, &stops, task, &mut |_| {})
                .await?;
            costs_known &= written.count(&mut usage);
            done.warnings.push(format!(
                "the first answer was not valid ({problem}): it was asked for once more"
            ));
            found = judge(&rule, &written);
        }
        if !costs_known {
            done.warnings
                .push("the server did not say what it cost".to_owned());
        }
        if done_without_words(&written) {
            done.warnings.push(
                "the model only thought, which is not passed on: give it a larger max_tokens"
                    .to_owned(),
            );
        }
        if question.body.contains_key("logprobs") && written.logprobs.is_empty() {
            done.warnings
                .push("the server gives no log probabilities".to_owned());
        }
        done.usage = Some(usage);
        done.logprobs = std::mem::take(&mut written.logprobs);
        match found {
            Ok(checked) => {
                if stream {
                    let text = if told { "" } else { &*written.text };
                    task.answer.delta(delta(text, &checked.calls));
                }
                Ok(concluded(done, written, checked))
            }
            Err(problem) => Ok(failed(done, &written, &problem)),
        }
    }

    /// Asks once, and reads the answer to its end.
    async fn once(
        &self,
        question: &Asked,
        stream: bool,
        stops: &[String],
        task: &Task,
        tell: &mut super::written::Tell<'_>,
    ) -> Result<Written, Status> {
        let begun = Instant::now();
        let body = question.body(stream);
        let path = self.peer.path(question.method);
        let answer = self
            .peer
            .ask(Question::Post(path, &body), super::trace(task))
            .await?;
        Written::read(answer, stream, stops, begun, &mut |text| {
            task.first_token();
            tell(text);
        })
        .await
    }
}

/// The calls of an answer, or what is wrong with it. How long a check lasts is up to the schema: sockets must not wait for it.
fn judge(rule: &Rule, written: &Written) -> Result<Checked, String> {
    if written.is_empty_call() {
        return Err("it says that it makes a call, and there is none".to_owned());
    }
    block_in_place(|| rule.check(&written.text, written.calls(), written.is_cut()))
}

fn done_without_words(written: &Written) -> bool {
    written.thought && written.text.is_empty() && written.calls().is_empty()
}

/// Text and calls at once, the calls as fragments, too.
fn delta(text: &str, calls: &[ToolCall]) -> Delta {
    let fragment = |(index, call): (usize, &ToolCall)| ToolCallDelta {
        index: index as u32,
        id: call.id.clone(),
        name: call.name.clone(),
        arguments: call.arguments.clone(),
    };
    Delta {
        text: text.to_owned(),
        tool_calls: calls.to_vec(),
        call_deltas: calls.iter().enumerate().map(fragment).collect(),
        ..Delta::default()
    }
}

fn concluded(mut done: Done, written: Written, checked: Checked) -> Done {
    let reason = match () {
        () if written.is_cut() => "length",
        () if checked.calls.is_empty() => "stop",
        () => "tool_calls",
    };
    reason.clone_into(&mut done.finish_reason);
    (done.content, done.tool_calls) = (written.text, checked.calls);
    done.warnings.extend(checked.warnings);
    done
}

fn failed(mut done: Done, written: &Written, problem: &str) -> Done {
    done.content = written.raw();
    "invalid_call".clone_into(&mut done.finish_reason);
    let status = Status::invalid_argument(format!("the model's answer is not valid: {problem}"))
        .with_hint("no call of it was passed on; ask again, or in other words");
    done.error = Some(status.into());
    done
}
