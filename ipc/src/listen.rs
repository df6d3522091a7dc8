//! Names and who may speak to them. A socket is ours alone from the moment it exists (mode 0600 before bind, peers
//! checked after accept), one server at a time holds it (a lock file, because a stale socket and a live one look the
//! same), and nobody's live socket is ever displaced. `interprocess` makes the listener; input and output are tokio's
//! own, because `interprocess` streams cannot be half-closed.
use std::{
    env,
    fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use interprocess::{
    local_socket::{GenericFilePath, ListenerOptions, ToFsName},
    os::unix::{local_socket::ListenerOptionsExt, uds_local_socket},
};
use tokio::net::{UnixListener, UnixStream};

mod inherited;

/// Longest socket path: `sun_path` with its closing zero.
const MAX_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A killed server's children may hold its lock and its socket for a moment longer than it lived.
const LOCK_TRIES: u32 = 20;
const PROBES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// Why a socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("the socket path {} has {length} bytes, at most {MAX_PATH} are possible: choose a shorter one", path.display())]
    TooLong { path: PathBuf, length: usize },
    #[error("another server is listening on {}: stop it, or choose another path", .0.display())]
    InUse(PathBuf),
    #[error("{} exists and is no socket: remove it, or choose another path", .0.display())]
    NotASocket(PathBuf),
    #[error("the socket path {} names no file", .0.display())]
    NoName(PathBuf),
    #[error("XDG_RUNTIME_DIR is not set to an absolute path: set it, or give --socket PATH")]
    NoRuntimeDir,
    #[error("the service manager passed sockets (LISTEN_FDS) that nobody listens on: {0}")]
    NotTaken(String),
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ListenError {
    let path = path.to_owned();
    move |source| ListenError::Io { what, path, source }
}

/// Where a server listens when nothing else is said: `$XDG_RUNTIME_DIR/callspan/NAME.sock`.
pub fn default_socket(name: &str) -> Result<PathBuf, ListenError> {
    let dir = env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute());
    Ok(dir
        .ok_or(ListenError::NoRuntimeDir)?
        .join("callspan")
        .join(format!("{name}.sock")))
}

/// Fails if a socket was passed that no [`Listener`] took: its clients would wait there for ever. To be asked when all
/// are bound.
pub fn all_taken() -> Result<(), ListenError> {
    let left = inherited::left();
    if left.is_empty() {
        return Ok(());
    }
    Err(ListenError::NotTaken(left.join(", ")))
}

/// A listening socket; dropping it removes its file.
#[derive(Debug)]
pub struct Listener {
    inner: UnixListener,
    path: PathBuf,
    /// What we bound; none when the socket was handed to us, and is then not ours to remove.
    bound: Option<Bound>,
}

#[derive(Debug)]
struct Bound {
    device: u64,
    inode: u64,
    /// Held for as long as the socket is ours.
    lock: File,
}

impl Listener {
    /// Listens on `path`. A listening socket of that path that the service manager passed (`LISTEN_FDS`) is taken
    /// instead of making one. Needs a tokio runtime.
    pub fn bind(path: &Path) -> Result<Self, ListenError> {
        let length = path.as_os_str().len();
        if length > MAX_PATH {
            return Err(ListenError::TooLong {
                path: path.to_owned(),
                length,
            });
        }
        if let Some(listener) = inherited::take(path) {
            return Self::register(listener, path, None);
        }
        if path.file_name().is_none() {
            return Err(ListenError::NoName(path.to_owned()));
        }
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .map_err(failed("create the directory", dir))?;
        }
        let lock = lock(path)?;
        remove_stale(path)?;
        let name = path
            .to_fs_name::<GenericFilePath>()
            .map_err(failed("name a socket", path))?;
        let listener: uds_local_socket::Listener = ListenerOptions::new()
            .name(name)
            .mode(0o600)
            .reclaim_name(false)
            .create_sync_as()
            .map_err(failed("listen on", path))?;
        let made = path.symlink_metadata().map_err(failed("look at", path))?;
        let bound = Bound {
            device: made.dev(),
            inode: made.ino(),
            lock,
        };
        Self::register(listener.into(), path, Some(bound))
    }

    fn register(
        listener: std::os::unix::net::UnixListener,
        path: &Path,
        bound: Option<Bound>,
    ) -> Result<Self, ListenError> {
        let inner = listener
            .set_nonblocking(true)
            .and_then(|()| UnixListener::from_std(listener));
        Ok(Self {
            inner: inner.map_err(failed("listen on", path))?,
            path: path.to_owned(),
            bound,
        })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection of a peer that may speak to us; others are closed unheard.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.inner.accept().await?;
            if trusted(&stream) {
                return Ok(stream);
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let Some(bound) = &self.bound else { return };
        let ours = |found: Metadata| found.dev() == bound.device && found.ino() == bound.inode;
        // The lock is still held: what is there now is ours, or was put there by someone who does not know the lock.
        if self.path.symlink_metadata().is_ok_and(ours) {
            // Best effort: a file that stays is stale, and the next server removes it.
            let _ = std::fs::remove_file(&self.path);
        }
        // Not left to closing the file: a process that we are just starting may still have it open.
        let _ = bound.lock.unlock();
    }
}

/// Whether the peer is ourselves or root.
pub(crate) fn trusted(stream: &UnixStream) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == ours || peer.uid() == 0)
}

/// Takes `<socket>.lock`, which stays behind: removing it would let two servers lock two files of one name.
fn lock(path: &Path) -> Result<File, ListenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
        .open(&name)
        .map_err(failed("open the lock file", &name))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(source)) => return Err(failed("lock", &name)(source)),
        }
    }
    Err(ListenError::InUse(path.to_owned()))
}

/// Removes what a killed server left. Only under the lock, and only if nobody answers: not every program that
/// listens knows our lock.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", path)(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ListenError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    for _ in 0..PROBES {
        match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return std::fs::remove_file(path).map_err(failed("remove the stale socket", path));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            _ => std::thread::sleep(PAUSE),
        }
    }
    Err(ListenError::InUse(path.to_owned()))
}
