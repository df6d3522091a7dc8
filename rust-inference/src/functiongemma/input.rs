//! Conversations and tools in the shapes that people send: `OpenAI`'s JSON, and our protocol's messages.

use serde::Deserialize;
use serde_json::{Map, Value};

/// What a prompt is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `system` and `developer`, which mean the same; only as the first message.
    Developer,
    User,
    /// `assistant`, on the wire `model`.
    Model,
    Tool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub role: Role,
    /// Parts of a list are trimmed and joined.
    pub content: String,
    /// Of the model.
    pub calls: Vec<Call>,
    /// Of a tool: its name, and what it gave.
    pub name: String,
    pub response: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub id: String,
    pub name: String,
    pub arguments: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    pub name: String,
    pub description: String,
    /// A JSON Schema of type object.
    pub parameters: Option<Map<String, Value>>,
}

/// What is wrong with a conversation or a tool, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct InputError {
    pub place: String,
    pub what: String,
}

impl InputError {
    pub(crate) fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
        }
    }

    /// The place as a JSON pointer; of what is no JSON it is the whole.
    pub fn pointer(&self) -> String {
        match self.place.as_str() {
            "JSON" => String::new(),
            place => format!("/{}", place.replace(['[', '.'], "/").replace(']', "")),
        }
    }
}

#[derive(Deserialize)]
#[serde(expecting = "an object {\"messages\": […], \"tools\": […]}")]
struct RawConversation {
    messages: Vec<RawMessage>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(expecting = "a message {\"role\", \"content\"}")]
struct RawMessage {
    role: String,
    #[serde(default)]
    content: Value,
    #[serde(default)]
    tool_calls: Option<Vec<RawCall>>,
    tool_call_id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "a call {\"function\": {\"name\", \"arguments\"}}")]
struct RawCall {
    #[serde(default)]
    id: Option<String>,
    function: Option<RawFunction>,
    name: Option<String>,
    arguments: Option<Value>,
}

#[derive(Deserialize)]
#[serde(expecting = "a function {\"name\", \"arguments\"}")]
struct RawFunction {
    name: String,
    #[serde(default)]
    arguments: Value,
}

impl Conversation {
    /// `{"messages": […], "tools": […]}` as `OpenAI` writes them; tools and calls with or without the `function`
    /// wrapper.
    pub fn from_json(text: &str) -> Result<Self, InputError> {
        let raw: RawConversation = serde_json::from_str(text)
            .map_err(|error| InputError::new("JSON", error.to_string()))?;
        let tools = raw.tools.unwrap_or_default();
        let mut conversation = Self {
            messages: Vec::new(),
            tools: (tools.iter().enumerate())
                .map(|(i, tool)| tool_from_json(&format!("tools[{i}]"), tool))
                .collect::<Result<_, _>>()?,
        };
        for (i, message) in raw.messages.into_iter().enumerate() {
            let place = format!("messages[{i}]");
            let calls = message
                .tool_calls
                .unwrap_or_default()
                .into_iter()
                .enumerate();
            let calls = calls
                .map(|(c, call)| {
                    let place = format!("{place}.tool_calls[{c}]");
                    let (name, arguments) = match call.function {
                        Some(function) => (function.name, function.arguments),
                        None => (
                            call.name.unwrap_or_default(),
                            call.arguments.unwrap_or_default(),
                        ),
                    };
                    let arguments = match arguments {
                        Value::String(text) => arguments_from_text(&place, &text)?,
                        Value::Object(map) => map,
                        Value::Null => Map::new(),
                        _ => return Err(InputError::new(place, "arguments are not an object")),
                    };
                    call_checked(&place, call.id.unwrap_or_default(), name, arguments)
                })
                .collect::<Result<_, _>>()?;
            let (content, response) = match message.content {
                Value::String(text) => (text.clone(), response_from_text(&text)),
                Value::Array(parts) if message.role != "tool" => {
                    (join_parts(&place, &parts)?, Value::Null)
                }
                // As Google's own examples answer several calls by one message.
                Value::Array(parts) if parts.iter().any(|part| part.get("response").is_some()) => {
                    for (p, part) in parts.into_iter().enumerate() {
                        let place = format!("{place}.content[{p}]");
                        let (name, response) = named_response(&place, part)?;
                        let tool = ("", name, response);
                        conversation.add(&place, &message.role, String::new(), Vec::new(), tool)?;
                    }
                    continue;
                }
                Value::Array(parts) if is_text(&parts) => {
                    let text = join_parts(&place, &parts)?;
                    (String::new(), response_from_text(&text))
                }
                Value::Null => (String::new(), Value::Null),
                other if message.role == "tool" => (String::new(), other),
                _ => {
                    return Err(InputError::new(
                        place,
                        "content is neither text nor a list of parts",
                    ));
                }
            };
            let id = message.tool_call_id.unwrap_or_default();
            let name = message.name.unwrap_or_default();
            conversation.add(&place, &message.role, content, calls, (&id, name, response))?;
        }
        Ok(conversation)
    }

    /// The protocol's messages, whose arguments, parameters and results are JSON text.
    pub fn from_proto(
        chat: &ipc::proto::Chat,
        tools: &[ipc::proto::Tool],
    ) -> Result<Self, InputError> {
        let mut conversation = Self::default();
        for (i, tool) in tools.iter().enumerate() {
            let place = format!("tools[{i}]");
            let parameters = match tool.parameters.trim() {
                "" => None,
                text => Some(object(&format!("{place}.parameters"), text)?),
            };
            let (name, description) = (tool.name.clone(), tool.description.clone());
            conversation
                .tools
                .push(tool_checked(&place, name, description, parameters)?);
        }
        for (i, message) in chat.messages.iter().enumerate() {
            let place = format!("messages[{i}]");
            let calls = (message.tool_calls.iter().enumerate())
                .map(|(c, call)| {
                    let place = format!("{place}.tool_calls[{c}]");
                    let arguments = arguments_from_text(&place, &call.arguments)?;
                    call_checked(&place, call.id.clone(), call.name.clone(), arguments)
                })
                .collect::<Result<_, _>>()?;
            let response = response_from_text(&message.content);
            let tool = (
                message.tool_call_id.as_str(),
                message.name.clone(),
                response,
            );
            conversation.add(&place, &message.role, message.content.clone(), calls, tool)?;
        }
        Ok(conversation)
    }

    fn add(
        &mut self,
        place: &str,
        role: &str,
        content: String,
        calls: Vec<Call>,
        (call_id, name, response): (&str, String, Value),
    ) -> Result<(), InputError> {
        let wrong = |what: &str| Err(InputError::new(place, what));
        let role = match role {
            "system" | "developer" if self.messages.is_empty() => Role::Developer,
            "system" | "developer" => {
                return wrong("a system or developer message can only be the first");
            }
            "user" => Role::User,
            "assistant" | "model" => Role::Model,
            "tool" => Role::Tool,
            "" => {
                return wrong(
                    "role is missing; expected system, developer, user, assistant or tool",
                );
            }
            other => {
                let what = format!(
                    "role {other:?} is unknown; expected system, developer, user, assistant or tool"
                );
                return wrong(&what);
            }
        };
        if role != Role::Model && !calls.is_empty() {
            return wrong("only an assistant message has tool_calls");
        }
        let mut name = name;
        if role == Role::Tool {
            let last = self
                .messages
                .iter()
                .rev()
                .find(|message| message.role == Role::Model);
            let called = last.and_then(|m| {
                m.calls
                    .iter()
                    .find(|c| !call_id.is_empty() && c.id == call_id)
            });
            match called {
                Some(call) if name.is_empty() || name == call.name => name.clone_from(&call.name),
                Some(call) => {
                    return wrong(&format!(
                        "name is {name:?}, but the call {call_id:?} was of {:?}",
                        call.name
                    ));
                }
                None if name.is_empty() => {
                    return wrong(
                        "a tool message needs its tool's name, or the tool_call_id of a call before it",
                    );
                }
                None => {}
            }
        }
        self.messages.push(Message {
            role,
            content,
            calls,
            name,
            response,
        });
        Ok(())
    }
}

/// Tools alone: a list of them as in a conversation, or what else has such a list as its `tools`.
pub fn tools_from_json(text: &str) -> Result<Vec<Tool>, InputError> {
    let list = match serde_json::from_str(text) {
        Ok(Value::Object(mut map)) => map.remove("tools").unwrap_or_default(),
        Ok(list) => list,
        Err(error) => return Err(InputError::new("JSON", error.to_string())),
    };
    // Whatever else it is, taking it for no tools would turn every call into one of an unknown function.
    let Value::Array(tools) = list else {
        return Err(InputError::new("tools", "they are not a list"));
    };
    (tools.iter().enumerate())
        .map(|(i, tool)| tool_from_json(&format!("tools[{i}]"), tool))
        .collect()
}

/// What the schema of a tool's arguments is called: by `OpenAI`, by MCP, by Anthropic. Overlooked, a tool would seem to take
/// no arguments.
const SCHEMA_KEYS: [&str; 3] = ["parameters", "inputSchema", "input_schema"];

fn tool_from_json(place: &str, tool: &Value) -> Result<Tool, InputError> {
    let function = tool.get("function").unwrap_or(tool);
    let text = |key: &str| match function.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(InputError::new(
            format!("{place}.{key}"),
            "expected a string",
        )),
    };
    let schema = SCHEMA_KEYS
        .iter()
        .find_map(|key| Some((key, function.get(*key)?)));
    let parameters = match schema {
        None | Some((_, Value::Null)) => None,
        Some((_, Value::Object(map))) => Some(map.clone()),
        Some((key, _)) => {
            return Err(InputError::new(
                format!("{place}.{key}"),
                "expected a JSON Schema object",
            ));
        }
    };
    tool_checked(place, text("name")?, text("description")?, parameters)
}

/// A name is written bare into the prompt and read back up to its brace: it must be able to stand there.
fn name_checked(place: &str, name: &str) -> Result<(), InputError> {
    if name.is_empty() {
        return Err(InputError::new(
            place,
            r#"name is missing; a tool is {"name", "description", "parameters"}"#,
        ));
    }
    let bad = |c: char| c.is_control() || c.is_whitespace() || "{}[]<>,:".contains(c);
    match name.chars().find(|c| bad(*c)) {
        Some(c) => Err(InputError::new(
            place,
            format!("name {name:?} contains {c:?}, which the format cannot carry"),
        )),
        None => Ok(()),
    }
}

fn tool_checked(
    place: &str,
    name: String,
    description: String,
    parameters: Option<Map<String, Value>>,
) -> Result<Tool, InputError> {
    name_checked(place, &name)?;
    let kind = parameters.as_ref().and_then(|schema| schema.get("type"));
    if let Some(kind) = kind.filter(|kind| !is_object(kind)) {
        return Err(InputError::new(
            format!("{place}.parameters"),
            format!("type is {kind}; arguments are always an object"),
        ));
    }
    Ok(Tool {
        name,
        description,
        parameters,
    })
}

/// The type of JSON Schema, or as Google's own data spells it.
fn is_object(kind: &Value) -> bool {
    kind.as_str()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("object"))
}

fn call_checked(
    place: &str,
    id: String,
    name: String,
    arguments: Map<String, Value>,
) -> Result<Call, InputError> {
    name_checked(place, &name)?;
    Ok(Call {
        id,
        name,
        arguments,
    })
}

fn arguments_from_text(place: &str, text: &str) -> Result<Map<String, Value>, InputError> {
    match text.trim() {
        "" => Ok(Map::new()),
        text => object(&format!("{place}.arguments"), text),
    }
}

fn object(place: &str, text: &str) -> Result<Map<String, Value>, InputError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(InputError::new(place, "expected a JSON object")),
        Err(error) => Err(InputError::new(
            place,
            format!("expected a JSON object: {error}"),
        )),
    }
}

/// A tool's result is JSON; what is not JSON is a text.
fn response_from_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// One of several responses in a tool message: `{"name", "response"}`.
fn named_response(place: &str, part: Value) -> Result<(String, Value), InputError> {
    if let Value::Object(mut part) = part
        && let (Some(Value::String(name)), Some(response)) =
            (part.remove("name"), part.remove("response"))
    {
        return Ok((name, response));
    }
    Err(InputError::new(
        place,
        r#"expected {"name", "response"}, like the other parts"#,
    ))
}

fn is_text(parts: &[Value]) -> bool {
    !parts.is_empty()
        && parts
            .iter()
            .all(|part| part.get("text").is_some() && part.get("type").is_some())
}

fn join_parts(place: &str, parts: &[Value]) -> Result<String, InputError> {
    let mut joined = String::new();
    for (i, part) in parts.iter().enumerate() {
        let text = part.get("text").and_then(Value::as_str);
        match (part.get("type").and_then(Value::as_str), text) {
            (Some("text") | None, Some(text)) => joined.push_str(text.trim()),
            (kind, _) => {
                let what = format!(
                    "part of type {:?} is not supported; expected text",
                    kind.unwrap_or("none")
                );
                return Err(InputError::new(format!("{place}.content[{i}]"), what));
            }
        }
    }
    Ok(joined)
}
