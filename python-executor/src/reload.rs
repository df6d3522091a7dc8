//! Notices when a file of the tools directory changes, and puts the new version in the old one's place: for the calls
//! that come then, not for those under way.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time;

use crate::{
    catalogue::{self, Catalogue},
    service::Tooling,
    start::say,
};

/// How often the directory is looked at. A look costs a few microseconds for each file, and works on every file system.
const OFTEN: Duration = Duration::from_millis(500);

/// For how long nothing may change before what is there is read.
const SETTLING: Duration = Duration::from_millis(100);

/// What of a file changes when the file does.
type Mark = (PathBuf, Option<SystemTime>, u64);

/// Never ends by itself.
pub(crate) async fn watch(service: Arc<Tooling>, dir: PathBuf) {
    // Whatever changed since the tools were read first is found at the first look.
    let mut seen = HashSet::new();
    loop {
        time::sleep(OFTEN).await;
        let now = marks(&dir);
        if now == seen {
            continue;
        }
        // Whoever is writing a file is given the time to end.
        time::sleep(SETTLING).await;
        if marks(&dir) != now {
            continue;
        }
        seen = now;
        let before = service.catalogue();
        match Catalogue::load(&service.executor, &dir, Some(&before)).await {
            Ok(Some(catalogue)) => replace(&service, &before, &catalogue),
            Ok(None) => {}
            Err(error) => say(&format!(
                "{}: {error}; the tools stay as they were",
                dir.display()
            )),
        }
    }
}

fn replace(service: &Tooling, before: &Catalogue, catalogue: &Catalogue) {
    for problem in &catalogue.problems {
        if !before.problems.contains(problem) {
            say(&format!("{}: {}", problem.file, problem.message));
        }
    }
    for note in &catalogue.notes {
        say(note);
    }
    say(&format!("{} tools, read anew", catalogue.tools().len()));
    // It may wait for new zygotes.
    tokio::task::block_in_place(|| catalogue::prepare(&service.executor, catalogue));
    let catalogue = catalogue.with_servers(&service.servers);
    service.catalogue.send_replace(Arc::new(catalogue));
    // One that changed meanwhile.
    service.publish();
}

fn marks(dir: &Path) -> HashSet<Mark> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .map(|path| {
            let about = path.metadata().ok();
            let changed = about.as_ref().and_then(|about| about.modified().ok());
            let size = about.map_or(0, |about| about.len());
            (path, changed, size)
        })
        .collect()
}
