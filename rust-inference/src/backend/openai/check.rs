//! Whether what another server's model wrote is what was asked for. Nothing constrained it: so every word of it is checked, by
//! the validator that checks our own engine's calls, before a client hears of a call.

use ipc::{Status, proto::ToolCall};
use jsonschema::Validator;
use serde_json::{Map, Value};

use super::{gather::Draft, unique};
use crate::{
    backend::{answer::report, request::choice::Form},
    constrain::Mode,
    functiongemma::{Tool, Toolbox, compile, lower_types},
};

/// What an answer must be.
#[derive(Debug)]
pub(super) enum Rule {
    Calls {
        mode: Mode,
        most: Option<usize>,
        toolbox: Toolbox,
    },
    Json(Box<Validator>),
}

/// Calls that are valid.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Checked {
    pub(super) calls: Vec<ToolCall>,
    pub(super) warnings: Vec<String>,
}

impl Rule {
    pub(super) fn new(form: Form, tools: &[Tool]) -> Result<Self, Status> {
        Ok(match form {
            Form::Calls { mode, most } => Self::Calls {
                mode,
                most,
                toolbox: Toolbox::new(tools)
                    .map_err(|error| Status::invalid_argument(error.to_string()))?,
            },
            Form::Json(schema) => Self::Json(Box::new(
                compile(&lower_types(&schema), false).map_err(|unusable| {
                    Status::invalid_argument(format!(
                        "response_format.schema is no usable JSON Schema: {} {}",
                        unusable.pointer, unusable.what
                    ))
                })?,
            )),
        })
    }

    /// Something of the answer must be as it is asked for, and nothing saw to it.
    pub(super) fn is_promise(&self, tools: &[Tool]) -> bool {
        match self {
            Self::Calls { .. } => !tools.is_empty(),
            Self::Json(_) => true,
        }
    }

    /// Text is not what is wanted: it would be told in vain.
    pub(super) fn wants_no_text(&self) -> bool {
        matches!(
            self,
            Self::Calls {
                mode: Mode::Required | Mode::Function(_),
                ..
            }
        )
    }

    /// The calls of an answer, or what is wrong with it. `cut`: a limit ended it, so that its end is nobody's fault.
    pub(super) fn check(&self, text: &str, drafts: &[Draft], cut: bool) -> Result<Checked, String> {
        let (mode, most, toolbox) = match self {
            Self::Calls {
                mode,
                most,
                toolbox,
            } => (mode, *most, toolbox),
            Self::Json(_) if cut => return Ok(Checked::default()),
            Self::Json(validator) => return json(validator, text, drafts),
        };
        if *mode == Mode::None && !drafts.is_empty() {
            return Err("it makes a call, and tool_choice is none".to_owned());
        }
        let mut checked = Checked::default();
        let kept = most.map_or(drafts.len(), |most| most.min(drafts.len()));
        for (index, draft) in drafts.iter().take(kept).enumerate() {
            match call(toolbox, mode, draft) {
                Ok(arguments) => checked.calls.push(ToolCall {
                    id: format!("call_{index}"),
                    name: draft.name.clone(),
                    arguments: Value::Object(arguments).to_string(),
                }),
                Err(_) if cut && index + 1 == drafts.len() => {
                    checked.warnings.push(report::CUT_OFF.to_owned());
                }
                Err(problem) => return Err(problem),
            }
        }
        if kept < drafts.len() {
            checked.warnings.push(format!(
                "the server wrote {} calls where {kept} may be: the others were left out",
                drafts.len()
            ));
        }
        match mode {
            Mode::Required | Mode::Function(_) if checked.calls.is_empty() && !cut => {
                Err("it makes no call, and tool_choice asks for one".to_owned())
            }
            _ => Ok(checked),
        }
    }
}

fn json(validator: &Validator, text: &str, drafts: &[Draft]) -> Result<Checked, String> {
    if !drafts.is_empty() {
        return Err("it makes a call, and response_format asks for JSON".to_owned());
    }
    let value = unique::parse(text).map_err(|error| format!("it is not JSON: {error}"))?;
    match validator.iter_errors(&value).next() {
        None => Ok(Checked::default()),
        Some(error) => Err(format!(
            "its JSON breaks the schema at {:?}: {error}",
            error.instance_path().to_string()
        )),
    }
}

/// The arguments of a call that is right.
fn call(toolbox: &Toolbox, mode: &Mode, draft: &Draft) -> Result<Map<String, Value>, String> {
    let name = &draft.name;
    if let Mode::Function(wanted) = mode
        && wanted != name
    {
        return Err(format!(
            "it calls {name:?}, and tool_choice asks for {wanted:?}"
        ));
    }
    let text = match draft.arguments.trim() {
        "" => "{}",
        text => text,
    };
    let arguments = unique::parse(text)
        .map_err(|error| format!("the arguments of {name:?} are not JSON: {error}"))?;
    toolbox.check_call(name, &arguments)?;
    match arguments {
        Value::Object(arguments) => Ok(arguments),
        other => Err(format!("the arguments of {name:?} are no object: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::gather::Drafts, *};

    fn drafts(calls: &[(&str, &str)]) -> Vec<Draft> {
        let mut drafts = Drafts::default();
        for (name, arguments) in calls {
            let call = json!({"function": {"name": name, "arguments": arguments}}).to_string();
            drafts
                .add(&serde_json::from_str(&call).unwrap(), true)
                .unwrap();
        }
        drafts.0
    }

    fn rule(mode: Mode, most: Option<usize>) -> Rule {
        let tools = r#"[{"name":"f","parameters":{"type":"object","properties":{"n":{"type":"integer","minimum":1}},"required":["n"]}},{"name":"g"}]"#;
        let tools = crate::functiongemma::tools_from_json(tools).unwrap();
        Rule::new(Form::Calls { mode, most }, &tools).unwrap()
    }

    #[test]
    fn only_calls_that_are_valid_and_asked_for_pass() {
        let named = || Mode::Function("g".to_owned());
        for (mode, calls, problem) in [
            (Mode::Auto, &[("f", r#"{"n":1}"#), ("g", "")][..], None),
            (Mode::Auto, &[][..], None),
            (Mode::Auto, &[("f", r#"{"n":0}"#)], Some("minimum of 1")),
            (Mode::Auto, &[("f", "")], Some("required")),
            (Mode::Auto, &[("f", r#"{"n":"#)], Some("not JSON")),
            (Mode::Auto, &[("f", "[1]")], Some("f")),
            (
                Mode::Auto,
                &[("f", r#"{"n":1,"n":2}"#)],
                Some("comes twice"),
            ),
            (
                Mode::Auto,
                &[("g", r#"{"n":1}"#)],
                Some("takes no arguments"),
            ),
            (Mode::Auto, &[("g", "[1]")], Some("no object")),
            (Mode::Auto, &[("", "{}")], Some("unknown function")),
            (
                Mode::Auto,
                &[("rm", "{}")],
                Some("unknown function \"rm\"; expected one of: f, g"),
            ),
            (Mode::None, &[("g", "{}")], Some("tool_choice is none")),
            (Mode::Required, &[], Some("makes no call")),
            (Mode::Required, &[("g", "{}")], None),
            (named(), &[("g", "{}")], None),
            (named(), &[], Some("makes no call")),
            (named(), &[("f", r#"{"n":1}"#)], Some("asks for \"g\"")),
        ] {
            let found = rule(mode.clone(), None).check("", &drafts(calls), false);
            match (problem, found) {
                (None, Ok(checked)) => assert_eq!(checked.calls.len(), calls.len()),
                (Some(problem), Err(told)) => assert!(told.contains(problem), "{told}"),
                other => panic!("{mode:?} {calls:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn calls_beyond_the_limit_are_left_out_and_told_of() {
        let written = drafts(&[("g", "{}"), ("rm", "{}")]);
        let checked = rule(Mode::Auto, Some(1))
            .check("", &written, false)
            .unwrap();
        assert_eq!(checked.calls.len(), 1);
        assert!(checked.warnings[0].contains("2 calls where 1 may be"));
    }

    #[test]
    fn only_the_last_call_may_be_cut_off() {
        let cut = drafts(&[("g", "{}"), ("f", r#"{"n":"#)]);
        let checked = rule(Mode::Required, None).check("", &cut, true).unwrap();
        assert_eq!(checked.calls.len(), 1);
        assert!(checked.warnings[0].contains("cut off"));
        assert!(rule(Mode::Required, None).check("", &cut, false).is_err());
        let early = drafts(&[("f", r#"{"n":"#), ("g", "{}")]);
        assert!(rule(Mode::Auto, None).check("", &early, true).is_err());
    }

    #[test]
    fn json_is_valid_against_its_schema_or_told_what_is_wrong() {
        let schema =
            json!({"type": "OBJECT", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let rule = Rule::new(Form::Json(schema), &[]).unwrap();
        assert!(rule.check(" {\"n\": 1}\n", &[], false).is_ok());
        for (text, problem) in [
            ("```json\n{\"n\":1}\n```", "not JSON"),
            ("", "not JSON"),
            ("{\"n\":\"1\"}", "at \"/n\""),
            ("{\"n\":1,\"n\":2}", "comes twice"),
        ] {
            let told = rule.check(text, &[], false).unwrap_err();
            assert!(told.contains(problem), "{told}");
        }
        assert!(rule.check("{}", &drafts(&[("g", "{}")]), false).is_err());
        // What the limit ended is told by finish_reason length.
        assert!(rule.check("{\"n\":", &[], true).is_ok());
    }
}
