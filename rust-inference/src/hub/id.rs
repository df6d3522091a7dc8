//! What a model is called on the Hub, told apart from a path that was mistyped.

use std::{fmt, path::Path};

use super::HubError;

/// A model on the Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id {
    /// `org/name`.
    pub(super) repo: String,
    /// A branch, a tag or a commit.
    pub(super) revision: String,
    /// A GGUF among the files: its name, or what it ends with (`Q8_0`).
    pub(super) file: Option<String>,
}

impl Id {
    /// What is no file or directory here, and no id either, is called a path: that is what it was meant as.
    pub(super) fn parse(text: &Path) -> Result<Self, HubError> {
        let no = |why: &str| HubError::NoSuchPath {
            path: text.into(),
            why: why.into(),
        };
        let Some(spelt) = text.to_str() else {
            return Err(no(""));
        };
        let (rest, file) = match spelt.split_once(':') {
            Some((rest, file)) => (rest, Some(file)),
            None => (spelt, None),
        };
        let (repo, revision) = match rest.split_once('@') {
            Some((repo, revision)) => (repo, revision),
            None => (rest, "main"),
        };
        let word = |word: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.chars().all(known)
        };
        // A path may begin with a directory that is there: then its rest was mistyped.
        let begins =
            (text.parent()).is_some_and(|parent| !parent.as_os_str().is_empty() && parent.is_dir());
        let names: Vec<&str> = repo.split('/').collect();
        let id = matches!(names.as_slice(), [org, name] if word(org) && word(name));
        let safe = |part: &str| part.split('/').all(word);
        if begins || !id || !safe(revision) || !file.is_none_or(safe) {
            let near = near(text).map(|near| format!("; did you mean {near}?"));
            return Err(no(&near.unwrap_or_else(|| {
                ": give a directory, a .gguf file, or a model of Hugging Face as org/name".into()
            })));
        }
        Ok(Self {
            repo: repo.into(),
            revision: revision.into(),
            file: file.map(Into::into),
        })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repo)?;
        if self.revision != "main" {
            write!(f, "@{}", self.revision)?;
        }
        self.file
            .as_ref()
            .map_or(Ok(()), |file| write!(f, ":{file}"))
    }
}

/// What is beside a path that is not there, and spelt much like it.
fn near(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let parent = match path.parent()? {
        parent if parent.as_os_str().is_empty() => Path::new("."),
        parent => parent,
    };
    let others = parent.read_dir().ok()?.filter_map(Result::ok);
    others
        .filter_map(|other| other.file_name().into_string().ok())
        .map(|other| (strsim::damerau_levenshtein(name, &other), other))
        .filter(|(distance, _)| *distance <= 2.max(name.len() / 4))
        .min()
        .map(|(_, other)| parent.join(other).to_string_lossy().into_owned())
}
