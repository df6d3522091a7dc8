//! Paths of a policy, by name only: nothing here looks at the file system, so that no symbolic link is ever followed
//! while a policy is read. What opens the paths later refuses symbolic links.

use std::path::{Component, Path, PathBuf};

/// What can never be granted: with these a tool would see all of the machine.
const NEVER: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The path with its `~`, `.` and `..` worked out; a relative one begins at `base`, if there is one.
pub(super) fn absolute(text: &str, base: Option<&Path>) -> Result<PathBuf, String> {
    if text.chars().any(char::is_control) {
        return Err("a path has no control characters".to_owned());
    }
    let whole = match (text.strip_prefix('~'), base) {
        (Some(rest), _) if rest.is_empty() || rest.starts_with('/') => {
            let home = std::env::var_os("HOME")
                .map(PathBuf::from)
                .filter(|home| home.is_absolute())
                .ok_or("HOME is not set, so ~ is no directory")?;
            home.join(rest.trim_start_matches('/'))
        }
        (Some(_), _) => return Err("of ~ only one's own is known: write ~/…".to_owned()),
        (None, _) if text.starts_with('/') => PathBuf::from(text),
        (None, Some(base)) if !text.is_empty() => base.join(text),
        _ => return Err("a path begins with / or ~".to_owned()),
    };
    let mut path = PathBuf::from("/");
    for part in whole.components() {
        match part {
            Component::ParentDir => _ = path.pop(),
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(path)
}

/// The same, for a path that is to be granted.
pub(super) fn grantable(text: &str, base: Option<&Path>) -> Result<PathBuf, String> {
    let path = absolute(text, base).map_err(|why| format!("{text:?}: {why}"))?;
    if path.parent().is_none() || NEVER.iter().any(|never| path.starts_with(never)) {
        return Err(format!(
            "{text:?}: {} cannot be granted: name the files or directories that are needed",
            path.display()
        ));
    }
    Ok(path)
}

/// Sorted, and without what stands below another of them.
pub(super) fn fewest(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort();
    // A directory sorts before all that is in it.
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in paths {
        if !contains(&kept, &path) {
            kept.push(path);
        }
    }
    kept
}

pub(super) fn contains(paths: &[PathBuf], path: &Path) -> bool {
    paths.iter().any(|outer| path.starts_with(outer))
}

/// What stands in both.
pub(super) fn both(ours: &[PathBuf], theirs: &[PathBuf]) -> Vec<PathBuf> {
    let below = |inner: &[PathBuf], outer: &[PathBuf]| -> Vec<PathBuf> {
        inner
            .iter()
            .filter(|path| contains(outer, path))
            .cloned()
            .collect()
    };
    fewest([below(ours, theirs), below(theirs, ours)].concat())
}
