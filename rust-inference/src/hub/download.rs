//! Brings a model's files into the cache: what was cut off is gone on with, what came is checked by its sum.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use super::{
    HubError,
    cache::{Cache, gguf},
    http::{Hub, Meta},
    id::Id,
    progress::Progress,
    verify::sum,
};
use crate::model::listed_shards;

/// How often a connection that breaks is made again before somebody is told.
const TRIES: u32 = 5;

/// Files of a checkpoint beside its weights: the name, and whether there must be one.
const FILES: [(&str, bool); 3] = [
    ("config.json", true),
    ("tokenizer.json", true),
    ("generation_config.json", false),
];
const INDEX: &str = "model.safetensors.index.json";

/// The directory or file that was downloaded.
pub(super) fn fetch(id: &Id, cache: &Cache) -> Result<PathBuf, HubError> {
    let hub = Hub::new(id)?;
    let (commit, names) = hub.list()?;
    let wanted = wanted(id, &names)?;
    let model = cache.of(id);
    let snapshot = model.join("snapshots").join(&commit);
    for name in &wanted {
        file(&hub, &model, &commit, name)?;
    }
    if wanted.iter().any(|name| name == INDEX) {
        let unusable = |error: crate::model::LoadError| HubError::Unusable {
            id: id.clone(),
            what: format!("is damaged: {error}"),
        };
        for name in listed_shards(&snapshot.join(INDEX)).map_err(unusable)? {
            file(&hub, &model, &commit, &name)?;
        }
    }
    // A name for what is there, last: whoever finds it finds all of it.
    if commit != id.revision {
        let name = model.join("refs").join(&id.revision);
        write(&name, commit.as_bytes())?;
    }
    Ok(match (&id.file, wanted.first()) {
        (Some(_), Some(name)) => snapshot.join(name),
        _ => snapshot,
    })
}

/// Files in directories below are other models.
fn is_gguf(name: &str) -> bool {
    let ends = Path::new(name).extension();
    ends.is_some_and(|ends| ends.eq_ignore_ascii_case("gguf")) && !name.contains('/')
}

/// The names of the files that are needed.
fn wanted(id: &Id, names: &[String]) -> Result<Vec<String>, HubError> {
    let unusable = |what: String| HubError::Unusable {
        id: id.clone(),
        what,
    };
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let ggufs = || {
        let ggufs: Vec<&str> = (names.iter().map(String::as_str))
            .filter(|name| is_gguf(name))
            .collect();
        match ggufs.as_slice() {
            [] => String::new(),
            some => format!("; give {}:FILE with one of {}", id.repo, some.join(", ")),
        }
    };
    if let Some(file) = &id.file {
        let found = gguf(names.iter().map(String::as_str), file);
        return match found.filter(|name| is_gguf(name)) {
            Some(name) => Ok(vec![name.to_owned()]),
            None => Err(unusable(format!("has no such GGUF{}", ggufs()))),
        };
    }
    let weights = if has("model.safetensors") {
        "model.safetensors"
    } else if has(INDEX) {
        INDEX
    } else {
        return Err(unusable(format!("has no model.safetensors{}", ggufs())));
    };
    if let Some((missing, _)) = FILES.iter().find(|(name, needed)| *needed && !has(name)) {
        return Err(unusable(format!("has no {missing}{}", ggufs())));
    }
    let others = FILES.iter().map(|(name, _)| *name).filter(|name| has(name));
    Ok(others.chain([weights]).map(Into::into).collect())
}

/// Makes sure that a file is in the cache, and named in the snapshot.
fn file(hub: &Hub<'_>, model: &Path, commit: &str, name: &str) -> Result<(), HubError> {
    let pointer = model.join("snapshots").join(commit).join(name);
    if pointer.is_file() {
        return Ok(());
    }
    let meta = hub.meta(commit, name)?;
    let blob = model.join("blobs").join(&meta.sum);
    if !blob.is_file() {
        let part = model.join("blobs").join(format!("{}.incomplete", meta.sum));
        make_room(&part)?;
        let disk = |source| HubError::Disk {
            path: part.clone(),
            source,
        };
        let mut open = OpenOptions::new();
        let mut opened = open
            .create(true)
            .append(true)
            .read(true)
            .open(&part)
            .map_err(disk)?;
        // Two programs may want the same model: the second waits, and finds it there.
        opened.lock().map_err(disk)?;
        if !blob.is_file() {
            download(hub, commit, name, &meta, &part, &mut opened)?;
            fs::rename(&part, &blob).map_err(disk)?;
        }
    }
    make_room(&pointer)?;
    let disk = |source| HubError::Disk {
        path: pointer.clone(),
        source,
    };
    match std::os::unix::fs::symlink(Path::new("../../blobs").join(&meta.sum), &pointer) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(disk(error)),
        _ => Ok(()),
    }
}

/// Downloads what of a file is not there yet, and checks the whole.
fn download(
    hub: &Hub<'_>,
    commit: &str,
    name: &str,
    meta: &Meta,
    part: &Path,
    file: &mut File,
) -> Result<(), HubError> {
    let disk = |source| HubError::Disk {
        path: part.into(),
        source,
    };
    let mut there = file.metadata().map_err(disk)?.len();
    if there > meta.len {
        file.set_len(0).map_err(disk)?;
        there = 0;
    }
    let mut progress = Progress::new(name, there, meta.len);
    let mut tries = 0;
    while there < meta.len {
        match portion(hub, commit, name, file, there, &mut progress) {
            Ok(()) => {}
            Err(Stop::Disk(source)) => return Err(disk(source)),
            Err(Stop::Told(error)) => return Err(error),
            Err(Stop::Cut(_)) if tries < TRIES => {}
            Err(Stop::Cut(source)) => return Err(hub.unreachable(source)),
        }
        let now = file.metadata().map_err(disk)?.len();
        // A server that sends something goes on as long as it takes.
        tries = if now > there { 0 } else { tries + 1 };
        if now <= there {
            sleep(Duration::from_millis(100) * 2u32.pow(tries));
        }
        if tries > TRIES {
            return Err(hub.unreachable(format!("{name} does not come")));
        }
        there = now;
    }
    progress.end();
    let damaged = |what: String| HubError::Damaged {
        file: name.into(),
        what,
    };
    let found = sum(&meta.sum, there, File::open(part).map_err(disk)?).map_err(disk)?;
    if there == meta.len && found.as_ref().is_none_or(|found| *found == meta.sum) {
        return Ok(());
    }
    // What is wrong would be gone on with.
    fs::remove_file(part).map_err(disk)?;
    Err(damaged(format!(
        "its sum is {}, the server says {}; try again",
        found.unwrap_or_default(),
        meta.sum
    )))
}

/// Why a portion ended early.
enum Stop {
    Cut(Box<dyn std::error::Error + Send + Sync>),
    Disk(io::Error),
    Told(HubError),
}

/// Adds to the file what the server sends, until it stops.
fn portion(
    hub: &Hub<'_>,
    commit: &str,
    name: &str,
    file: &mut File,
    from: u64,
    progress: &mut Progress,
) -> Result<(), Stop> {
    let (behind, body) = match hub.get(commit, name, from) {
        Ok(answer) => answer,
        Err(HubError::Unreachable { source, .. }) => return Err(Stop::Cut(source)),
        Err(error) => return Err(Stop::Told(error)),
    };
    if from > 0 && !behind {
        file.set_len(0).map_err(Stop::Disk)?;
    }
    let mut reader = body.into_reader();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                let bytes = buffer.get(..read).unwrap_or_default();
                file.write_all(bytes).map_err(Stop::Disk)?;
                progress.add(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Stop::Cut(error.into())),
        }
    }
}

/// The directory that a file shall be in.
fn make_room(path: &Path) -> Result<(), HubError> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|source| HubError::Disk {
        path: parent.into(),
        source,
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), HubError> {
    make_room(path)?;
    fs::write(path, bytes).map_err(|source| HubError::Disk {
        path: path.into(),
        source,
    })
}
