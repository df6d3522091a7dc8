//! One usable tool: what the model is told of it, and the check of what it is called with.

use std::sync::Arc;

use ipc::proto::Tool;
use jsonschema::Validator;
use serde_json::Value;

use super::effort;
use crate::{mount::Mounted, policy::Approval, profile::Profile};

/// Bytes of what one tool says of itself: all of it is told to the model with every question.
const MAX_DECLARATION: usize = 64 << 10;
/// Bytes of what is said of wrong arguments.
const MAX_WORDS: usize = 2000;

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) tool: Tool,
    /// The name of the file that defines it.
    pub(crate) file: String,
    pub(crate) profile: Arc<Profile>,
    /// The server whose tool it is, if it is not a file's.
    pub(crate) mounted: Option<Mounted>,
    validator: Validator,
    /// Its schema refers to itself.
    recursive: bool,
    /// Parameters that may be null, which is as good as to leave them out; the model is only told the latter.
    nullable: Vec<String>,
}

impl Entry {
    pub(super) fn new(
        file: &str,
        profile: &Arc<Profile>,
        name: String,
        description: String,
        parameters: &Value,
        nullable: Vec<String>,
    ) -> Result<Self, String> {
        sound(&name, &description, parameters)?;
        let unusable =
            |why: &dyn std::fmt::Display| format!("the schema of {name} is not usable: {why}");
        let effort::Recursive(recursive) =
            effort::bounded(parameters).map_err(|why| unusable(&why))?;
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            // Takes a time that grows with the text only, as does the one that pydantic uses.
            .with_pattern_options(jsonschema::PatternOptions::regex())
            .build(parameters)
            .map_err(|error| unusable(&error))?;
        Ok(Self {
            tool: Tool {
                name,
                description,
                parameters: parameters.to_string(),
            },
            file: file.to_owned(),
            profile: profile.clone(),
            mounted: None,
            validator,
            recursive,
            nullable,
        })
    }

    /// A tool of a server.
    pub(crate) fn mounted(
        place: &str,
        profile: &Arc<Profile>,
        name: String,
        mounted: Mounted,
    ) -> Result<Self, String> {
        let tool = &mounted.tool;
        let description = tool.description.clone().unwrap_or_default().into_owned();
        let parameters = Value::Object((*tool.input_schema).clone());
        let entry = Self::new(place, profile, name, description, &parameters, Vec::new())?;
        Ok(Self {
            mounted: Some(mounted),
            ..entry
        })
    }

    /// A snippet may call it with nobody's approval.
    pub(crate) fn runs_unasked(&self) -> bool {
        self.profile.policy.approval == Approval::Auto
    }

    /// What is wrong with the arguments of a call, and where (a JSON pointer).
    pub(crate) fn check(&self, arguments: &str) -> Result<(), String> {
        let mut value: Value = serde_json::from_str(arguments)
            .map_err(|error| format!("the arguments are not JSON: {error}"))?;
        let Some(members) = value.as_object_mut() else {
            return Err("the arguments are not a JSON object".to_owned());
        };
        members.retain(|name, member| !(member.is_null() && self.nullable.contains(name)));
        // It remembers what it has judged, which the search for the place does not.
        if self.validator.is_valid(&value) {
            return Ok(());
        }
        if self.recursive {
            return Err("the arguments do not fit the tool's schema".to_owned());
        }
        match self.validator.iter_errors(&value).next() {
            None => Ok(()),
            Some(error) => {
                let at = error.instance_path().to_string();
                let place = if at.is_empty() {
                    String::new()
                } else {
                    format!("{at}: ")
                };
                let mut words = format!("{place}{error}");
                // It repeats what is wrong, however long that is.
                if words.len() > MAX_WORDS {
                    words.truncate(words.floor_char_boundary(MAX_WORDS));
                    words.push('…');
                }
                Err(words)
            }
        }
    }
}

/// What our own package makes of a tool always is, but a file can change the package around it.
fn sound(name: &str, description: &str, parameters: &Value) -> Result<(), String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(letters) {
        let begin: String = name.chars().take(64).collect();
        return Err(format!("a tool has a name that cannot be: {begin:?}"));
    }
    if parameters.get("type") != Some(&Value::from("object")) {
        return Err(format!("the parameters of {name} are no object"));
    }
    if description.len() + parameters.to_string().len() > MAX_DECLARATION {
        return Err(format!(
            "the description of {name} is longer than {MAX_DECLARATION} bytes"
        ));
    }
    Ok(())
}
