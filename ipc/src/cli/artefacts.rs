//! Files that a tool returned. In JSON they are base64: a megabyte of it on a terminal is of use to nobody, so there
//! only their names are shown, and a directory takes the files themselves.
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Component, Path, PathBuf},
};

use super::{Fault, text};
use crate::proto::{Artefact, frame::Body};

/// What becomes of the bytes of artefacts.
#[derive(Debug)]
pub(super) enum Artefacts {
    /// They stay in the JSON.
    Kept,
    /// They are left out of it, which is told.
    LeftOut,
    /// They are written to files in this directory.
    Saved(PathBuf),
}

impl Artefacts {
    /// Takes the bytes out of a body, unless they stay in it, and returns what to tell of them, a line each. A file
    /// that cannot be written stays in the body: a tool may have run for an hour to make it.
    pub(super) fn take(&self, body: &mut Body) -> (Vec<String>, Option<Fault>) {
        let Body::ToolResult(result) = body else {
            return (Vec::new(), None);
        };
        let (mut lines, mut fault) = (Vec::new(), None);
        for artefact in &mut result.artefacts {
            match self.take_one(artefact) {
                Ok(Some(line)) => lines.push(text::escape(&line)),
                Ok(None) => {}
                Err(first) => fault = fault.or(Some(first)),
            }
        }
        (lines, fault)
    }

    fn take_one(&self, artefact: &mut Artefact) -> Result<Option<String>, Fault> {
        let what = format!("{}, {} bytes", artefact.media_type, artefact.data.len());
        let line = match self {
            Self::Kept => return Ok(None),
            Self::LeftOut => format!(
                "artefact {} ({what}): not shown; --artefacts DIR saves it",
                artefact.name
            ),
            Self::Saved(directory) => {
                let path = save(directory, artefact)?;
                format!("artefact {} ({what})", path.display())
            }
        };
        artefact.data.clear();
        Ok(Some(line))
    }
}

/// A new file: the name is the server's choice, so it leads nowhere else and replaces nothing.
fn save(directory: &Path, artefact: &Artefact) -> Result<PathBuf, Fault> {
    let name = Path::new(&artefact.name);
    let mut components = name.components();
    let plain = matches!(
        (components.next(), components.next()),
        (Some(Component::Normal(only)), None) if only == artefact.name.as_str()
    );
    if !plain || artefact.name.contains(char::is_control) {
        return Err(Fault::other(
            format!("{:?} is no file name: it was not saved", artefact.name),
            "its bytes are in the answer above, in base64",
        ));
    }
    let path = directory.join(name);
    let write = || -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        file.write_all(&artefact.data)
    };
    write().map_err(|error| {
        Fault::other(
            format!("cannot save {}: {error}", path.display()),
            "name an empty directory with --artefacts; its bytes are in the answer above, in base64",
        )
    })?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use crate::proto::ToolResult;

    use super::*;

    fn returning(name: &str) -> Body {
        Body::ToolResult(ToolResult {
            artefacts: vec![Artefact {
                name: name.into(),
                media_type: "text/plain".into(),
                data: b"abc".to_vec(),
            }],
            ..ToolResult::default()
        })
    }

    fn data(body: &Body) -> &[u8] {
        match body {
            Body::ToolResult(result) => &result.artefacts[0].data,
            _ => &[],
        }
    }

    #[test]
    fn a_terminal_is_told_of_a_file_and_not_its_bytes() {
        let mut body = returning("a\u{1b}");
        let (lines, fault) = Artefacts::LeftOut.take(&mut body);
        assert_eq!(
            lines,
            ["artefact a\\x1b (text/plain, 3 bytes): not shown; --artefacts DIR saves it"]
        );
        assert!(fault.is_none() && data(&body).is_empty());
        let mut body = returning("a");
        let (lines, _) = Artefacts::Kept.take(&mut body);
        assert!(lines.is_empty() && data(&body) == b"abc");
    }

    #[test]
    fn a_file_is_written_once_and_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("new");
        let saved = Artefacts::Saved(directory.clone());
        let mut body = returning("a");
        assert!(saved.take(&mut body).1.is_none() && data(&body).is_empty());
        assert_eq!(fs::read(directory.join("a")).unwrap(), b"abc");
        std::os::unix::fs::symlink(root.path().join("b"), directory.join("b")).unwrap();
        let bad = [
            "a", "b", "", ".", "..", "../c", "/c", "x/c", "./c", "c/", "c\n",
        ];
        for name in bad {
            let mut body = returning(name);
            assert!(saved.take(&mut body).1.is_some(), "{name:?}");
            assert_eq!(data(&body), b"abc", "{name:?}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
    }
}
