//! What was made, by its name below the documents' directory, and how it differs from what is there.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use ipc::program::Failure;

#[derive(Debug, Default)]
pub(crate) struct Pages(BTreeMap<PathBuf, String>);

impl Pages {
    pub(crate) fn add(&mut self, name: impl Into<PathBuf>, text: String) {
        self.0.insert(name.into(), text);
    }

    /// Writes what differs, and removes from `folders`, which hold nothing else, what is no longer made.
    pub(crate) fn write(&self, docs: &Path, folders: &[&str]) -> Result<(), Failure> {
        let told = |path: &Path, error: io::Error| {
            Failure::new(format!("{}: {error}", path.display()), "")
        };
        for (name, text) in self.differing(docs) {
            let path = docs.join(name);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(|error| told(folder, error))?;
            }
            fs::write(&path, text).map_err(|error| told(&path, error))?;
        }
        for name in self.left_over(docs, folders)? {
            let path = docs.join(name);
            fs::remove_file(&path).map_err(|error| told(&path, error))?;
        }
        Ok(())
    }

    pub(crate) fn check(&self, docs: &Path, folders: &[&str]) -> Result<(), Failure> {
        let stale: Vec<_> = self
            .differing(docs)
            .map(|(name, _)| name.to_owned())
            .chain(self.left_over(docs, folders)?)
            .map(|name| docs.join(name).display().to_string())
            .collect();
        if stale.is_empty() {
            return Ok(());
        }
        Err(Failure::new(
            format!(
                "not as it would be made of the programs: {}",
                stale.join(", ")
            ),
            "make docs-reference, and commit what it changes",
        ))
    }

    fn differing<'a>(&'a self, docs: &'a Path) -> impl Iterator<Item = (&'a PathBuf, &'a String)> {
        self.0.iter().filter(|(name, text)| {
            fs::read(docs.join(name)).ok().as_deref() != Some(text.as_bytes())
        })
    }

    fn left_over(&self, docs: &Path, folders: &[&str]) -> Result<Vec<PathBuf>, Failure> {
        let mut found = Vec::new();
        for folder in folders {
            let entries = match fs::read_dir(docs.join(folder)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Failure::new(format!("{folder}: {error}"), "")),
            };
            for entry in entries {
                let entry =
                    entry.map_err(|error| Failure::new(format!("{folder}: {error}"), ""))?;
                let name = Path::new(folder).join(entry.file_name());
                if !self.0.contains_key(&name) {
                    found.push(name);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_and_mended_and_what_is_not_made_any_more_goes() {
        let docs = tempfile::tempdir().unwrap();
        let mut pages = Pages::default();
        pages.add("man/a.1", "a".to_owned());
        pages.add("man/b.1", "b".to_owned());
        fs::create_dir(docs.path().join("man")).unwrap();
        fs::write(docs.path().join("man/a.1"), "older").unwrap();
        fs::write(docs.path().join("man/gone.1"), "").unwrap();

        let told = pages.check(docs.path(), &["man"]).unwrap_err().what;
        for name in ["a.1", "b.1", "gone.1"] {
            assert!(told.contains(name), "{told}");
        }
        pages.write(docs.path(), &["man"]).unwrap();
        pages.check(docs.path(), &["man"]).unwrap();
        assert!(!docs.path().join("man/gone.1").exists());
    }
}
