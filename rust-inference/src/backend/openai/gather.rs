//! Calls out of fragments. What belongs together is told by index, id and name, and servers differ in which of these they give:
//! some give none but the name, some the same index for all.

use ipc::Status;

use super::chunk::Fragment;

/// Calls of one answer; more are not read.
const MAX_CALLS: usize = 128;

/// A call as it was written: nothing of it is known to be right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    index: Option<u64>,
    id: String,
    pub(super) name: String,
    /// JSON text, if it is what it should be.
    pub(super) arguments: String,
}

/// The calls of an answer as they come.
#[derive(Debug, Default)]
pub(super) struct Drafts(pub(super) Vec<Draft>);

impl Drafts {
    /// `whole`: what comes is no fragment but a call.
    pub(super) fn add(&mut self, fragment: &Fragment, whole: bool) -> Result<(), Status> {
        let (id, name, arguments) = (fragment.id(), fragment.name(), fragment.arguments());
        let at = if whole {
            None
        } else {
            (self.0.iter())
                .rposition(|draft| match (fragment.index, draft.index) {
                    (Some(index), Some(of)) => index == of,
                    _ if !id.is_empty() => id == draft.id,
                    // It says nothing of where it belongs: to the last.
                    _ => true,
                })
                .filter(|at| !(self.0.get(*at)).is_some_and(|it| begins(it, &id, name, &arguments)))
        };
        if let Some(draft) = at.and_then(|at| self.0.get_mut(at)) {
            if draft.name.is_empty() {
                name.clone_into(&mut draft.name);
            }
            draft.arguments.push_str(&arguments);
            return Ok(());
        }
        if self.0.len() == MAX_CALLS {
            return Err(Status::resource_exhausted(format!(
                "the model makes more than {MAX_CALLS} calls in one answer"
            )));
        }
        self.0.push(Draft {
            index: fragment.index,
            id,
            name: name.to_owned(),
            arguments,
        });
        Ok(())
    }
}

/// Whether a fragment that seems to belong to `draft` begins a call of its own.
fn begins(draft: &Draft, id: &str, name: &str, arguments: &str) -> bool {
    if name.is_empty() || draft.name.is_empty() {
        return false;
    }
    if !id.is_empty() && id != draft.id {
        return true;
    }
    // Some repeat the name with each fragment; but behind a whole call nothing more of it can come.
    let whole = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    name != draft.name || (whole(&draft.arguments) && !arguments.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(fragments: &[&str]) -> Vec<(String, String)> {
        let mut drafts = Drafts::default();
        for fragment in fragments {
            drafts
                .add(&serde_json::from_str(fragment).unwrap(), false)
                .unwrap();
        }
        (drafts.0.into_iter())
            .map(|draft| (draft.name, draft.arguments))
            .collect()
    }

    fn calls(of: &[(&str, &str)]) -> Vec<(String, String)> {
        (of.iter())
            .map(|(name, arguments)| ((*name).to_owned(), (*arguments).to_owned()))
            .collect()
    }

    #[test]
    fn fragments_are_put_together_however_a_server_marks_them() {
        let two = calls(&[("f", r#"{"a":1}"#), ("g", "{}")]);
        for fragments in [
            // As OpenAI, LM Studio, llama-server and vLLM: by index.
            &[
                r#"{"index":0,"id":"1","type":"function","function":{"name":"f","arguments":""}}"#,
                r#"{"index":0,"function":{"arguments":"{\"a\""}}"#,
                r#"{"index":0,"id":null,"function":{"name":null,"arguments":":1}"}}"#,
                r#"{"index":1,"id":"2","function":{"name":"g","arguments":"{"}}"#,
                r#"{"index":1,"function":{"arguments":"}"}}"#,
            ][..],
            // Interleaved.
            &[
                r#"{"index":0,"id":"1","function":{"name":"f","arguments":"{\"a\""}}"#,
                r#"{"index":1,"id":"2","function":{"name":"g","arguments":"{"}}"#,
                r#"{"index":0,"function":{"arguments":":1}"}}"#,
                r#"{"index":1,"function":{"arguments":"}"}}"#,
            ],
            // As Ollama: each whole, with one index for all, none, or without an id.
            &[
                r#"{"index":0,"id":"call_a","function":{"name":"f","arguments":"{\"a\":1}"}}"#,
                r#"{"index":0,"id":"call_b","function":{"name":"g","arguments":"{}"}}"#,
            ],
            &[
                r#"{"index":0,"id":"","function":{"name":"f","arguments":{"a":1}}}"#,
                r#"{"index":0,"id":"","function":{"name":"g","arguments":{}}}"#,
            ],
            &[
                r#"{"function":{"name":"f","arguments":"{\"a\":1}"}}"#,
                r#"{"function":{"name":"g","arguments":"{}"}}"#,
            ],
            // By id alone, and the name with each fragment.
            &[
                r#"{"id":1,"function":{"name":"f","arguments":"{\"a\":"}}"#,
                r#"{"id":1,"function":{"name":"f","arguments":"1}"}}"#,
                r#"{"id":2,"function":{"name":"g"}}"#,
                r#"{"id":2,"function":{"name":"g","arguments":"{}"}}"#,
            ],
        ] {
            assert_eq!(gathered(fragments), two, "{fragments:?}");
        }
    }

    #[test]
    fn two_calls_of_one_tool_are_two_even_with_one_id() {
        let call = r#"{"index":0,"id":"call_x","function":{"name":"f","arguments":"{\"a\":1}"}}"#;
        let one = ("f", r#"{"a":1}"#);
        assert_eq!(gathered(&[call, call]), calls(&[one, one]));
        // Of a tool without arguments, only the ids tell.
        let bare = |id: &str| {
            format!(r#"{{"index":0,"id":"{id}","function":{{"name":"g","arguments":""}}}}"#)
        };
        assert_eq!(
            gathered(&[&bare("a"), &bare("b")]),
            calls(&[("g", ""), ("g", "")])
        );
        // What ends with an empty fragment is one.
        let end = r#"{"index":0,"id":"call_x","function":{"name":"f","arguments":""}}"#;
        assert_eq!(gathered(&[call, end]), calls(&[one]));
    }

    #[test]
    fn what_has_no_name_yet_is_no_call_of_its_own() {
        let named = [
            r#"{"index":0,"id":"1"}"#,
            r#"{"index":0,"function":{"name":"f"}}"#,
            r#"{"index":0,"function":{"arguments":null}}"#,
        ];
        assert_eq!(gathered(&named), calls(&[("f", "")]));
    }

    #[test]
    fn calls_without_end_are_bounded() {
        let mut drafts = Drafts::default();
        let call = |index: usize| {
            let text = format!(r#"{{"index":{index},"function":{{"name":"f"}}}}"#);
            serde_json::from_str::<Fragment>(&text).unwrap()
        };
        for index in 0..MAX_CALLS {
            drafts.add(&call(index), false).unwrap();
        }
        assert!(drafts.add(&call(MAX_CALLS), false).is_err());
        assert!(drafts.add(&call(0), true).is_err());
    }
}
