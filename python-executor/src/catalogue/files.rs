//! The Python files of the tools directory, as text. The supervisor reads them, so it reads only what is a plain file
//! of a bounded size; what they mean is found out by a confined child.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes of a file that is taken for a tool file.
const MAX_SOURCE: u64 = 1 << 20;

/// One file, and what is in it or why that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) source: Result<Arc<str>, String>,
    /// Other files import it; it has no tools.
    pub(super) is_helper: bool,
}

/// In the order of their names.
pub(super) fn read_files(dir: &Path) -> io::Result<Vec<Read>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "py"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        Read {
            is_helper: name.starts_with('_'),
            source: read(&path),
            name,
            path,
        }
    };
    Ok(paths.into_iter().map(read).collect())
}

fn read(path: &Path) -> Result<Arc<str>, String> {
    let unreadable = |error: io::Error| format!("it cannot be read: {error}");
    let file = OpenOptions::new()
        .read(true)
        // A pipe with nobody at its other end must not be waited for.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err("it is not a plain file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MAX_SOURCE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SOURCE {
        return Err(format!("it is larger than {MAX_SOURCE} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let newlines = error
            .as_bytes()
            .iter()
            .take(valid)
            .filter(|byte| **byte == b'\n');
        format!("line {}: it is not UTF-8", newlines.count() + 1)
    })?;
    Ok(text.into())
}
