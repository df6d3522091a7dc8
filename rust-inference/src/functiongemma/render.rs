//! Conversations to prompts.

use super::{
    Conversation, Message, Prompt, Role, control, declaration,
    prompt::Writer,
    value::{self, Keys},
};
use serde_json::{Map, Value};

/// The sentence that makes the model call functions. It is the last of the developer turn's text; where no developer
/// or system message is given it is the whole of it.
pub const TRIGGER: &str =
    "You are a model that can do function calling with the following functions";

/// Why a conversation has no prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error("the conversation has no message")]
    Empty,
    #[error("messages[{0}]: a tool message must follow an assistant message with tool_calls")]
    NoCall(usize),
    #[error(
        "messages[{message}]: a response of {name:?}, but the calls that wait for one are of: {waiting}"
    )]
    NotCalled {
        message: usize,
        name: String,
        waiting: String,
    },
    #[error(
        "messages[{message}]: {calls} tool_calls were followed by {responses} tool messages; each needs one"
    )]
    Unanswered {
        message: usize,
        calls: usize,
        responses: usize,
    },
    #[error("the number {0} is too large")]
    Number(String),
    #[error("values or schemas are nested deeper than {0}")]
    TooDeep(usize),
}

/// The prompt behind which the model writes its answer.
pub fn render(conversation: &Conversation) -> Result<Prompt, RenderError> {
    let mut out = Writer::default();
    out.control(control::BOS);
    let messages = developer(&mut out, conversation)?;
    if conversation.messages.is_empty() {
        return Err(RenderError::Empty);
    }
    let first = conversation.messages.len() - messages.len();
    // The model's turn is open: its calls were made and answered, and it goes on in the same turn.
    let mut open = false;
    // The calls that wait for a response, by the names of their functions.
    let mut calls: Vec<&str> = Vec::new();
    for (i, message) in messages.iter().enumerate() {
        let i = first + i;
        match message.role {
            Role::Tool if calls.is_empty() => return Err(RenderError::NoCall(i)),
            Role::Tool => {
                let Some(call) = calls.iter().position(|name| *name == message.name) else {
                    return Err(RenderError::NotCalled {
                        message: i,
                        name: message.name.clone(),
                        waiting: calls.join(", "),
                    });
                };
                calls.remove(call);
                response(&mut out, message)?;
            }
            _ if !calls.is_empty() => return Err(unanswered(messages, first, i, calls.len())),
            Role::Model => {
                if !std::mem::replace(&mut open, true) {
                    turn(&mut out, "model");
                }
                out.text(message.content.trim());
                for call in &message.calls {
                    out.control(control::START_CALL);
                    out.text(&format!("call:{}", call.name));
                    value::object(&mut out, &call.arguments, Keys::Bare, 0)?;
                    out.control(control::END_CALL);
                }
                calls = message
                    .calls
                    .iter()
                    .map(|call| call.name.as_str())
                    .collect();
                if calls.is_empty() {
                    end_turn(&mut out, &mut open);
                }
            }
            Role::User | Role::Developer => {
                if open {
                    end_turn(&mut out, &mut open);
                }
                turn(&mut out, "user");
                out.text(message.content.trim());
                end_turn(&mut out, &mut open);
            }
        }
    }
    if !calls.is_empty() {
        return Err(unanswered(
            messages,
            first,
            conversation.messages.len(),
            calls.len(),
        ));
    }
    if !open {
        turn(&mut out, "model");
    }
    Ok(out.finish())
}

/// The developer turn, if there is one; gives the messages that are left.
fn developer<'a>(
    out: &mut Writer,
    conversation: &'a Conversation,
) -> Result<&'a [Message], RenderError> {
    let (text, rest) = match conversation.messages.split_first() {
        Some((first, rest)) if first.role == Role::Developer => (first.content.trim(), rest),
        _ if conversation.tools.is_empty() => ("", conversation.messages.as_slice()),
        _ => (TRIGGER, conversation.messages.as_slice()),
    };
    if text.is_empty() && conversation.tools.is_empty() {
        return Ok(rest);
    }
    if !conversation.tools.is_empty() && !text.contains(TRIGGER) {
        out.warn(format!(
            "the system message lacks the sentence {TRIGGER:?}: the model may answer in prose"
        ));
    }
    turn(out, "developer");
    out.text(text);
    for tool in &conversation.tools {
        declaration::write(out, tool)?;
    }
    out.control(control::END_TURN);
    out.shared();
    out.text("\n");
    Ok(rest)
}

/// Unlike a call, which the model has made and will make again in the same way, a response is whatever a tool has made up:
/// one that the notation cannot hold (nested too deep, or with a number too large) is told as its JSON text.
fn response(out: &mut Writer, message: &Message) -> Result<(), RenderError> {
    let wrapped = |value| Map::from_iter([("value".to_owned(), value)]);
    let map = match &message.response {
        Value::Object(map) => map.clone(),
        scalar => wrapped(scalar.clone()),
    };
    let map = if value::object(&mut Writer::default(), &map, Keys::Bare, 0).is_ok() {
        map
    } else {
        wrapped(Value::String(message.response.to_string()))
    };
    out.control(control::START_RESPONSE);
    out.text(&format!("response:{}", message.name));
    value::object(out, &map, Keys::Bare, 0)?;
    out.control(control::END_RESPONSE);
    Ok(())
}

fn turn(out: &mut Writer, role: &str) {
    out.control(control::START_TURN);
    out.text(role);
    out.text("\n");
}

fn end_turn(out: &mut Writer, open: &mut bool) {
    out.control(control::END_TURN);
    out.text("\n");
    *open = false;
}

fn unanswered(messages: &[Message], first: usize, at: usize, missing: usize) -> RenderError {
    let before = messages.get(..at - first).unwrap_or_default();
    let asked = before
        .iter()
        .rposition(|message| message.role == Role::Model)
        .unwrap_or(0);
    let calls = before.get(asked).map_or(0, |message| message.calls.len());
    RenderError::Unanswered {
        message: first + asked,
        calls,
        responses: calls - missing,
    }
}
