//! Arguments in the format's notation, as the renderer writes them: what a perfect model would say.

use rust_inference::functiongemma::{Call, Conversation, Message, Role, render};
use serde_json::Value;

/// The text of one call.
pub fn call(name: &str, arguments: &Value) -> String {
    let call = Call {
        id: String::new(),
        name: name.to_owned(),
        arguments: arguments.as_object().unwrap().clone(),
    };
    let message = |role, calls| Message {
        role,
        content: String::new(),
        calls,
        name: name.to_owned(),
        response: Value::Null,
    };
    let conversation = Conversation {
        messages: vec![
            message(Role::Model, vec![call]),
            message(Role::Tool, Vec::new()),
        ],
        tools: Vec::new(),
    };
    let prompt = render(&conversation).unwrap().text();
    let (text, _) = prompt.rsplit_once("<start_function_response>").unwrap();
    text.strip_prefix("<bos><start_of_turn>model\n")
        .unwrap()
        .to_owned()
}
