//! What the attacks would like to reach: a file, sockets, a process, shared memory, a variable. All of it is the test's
//! own, and tells afterwards whether anybody was there.

use std::{
    net::{TcpListener, UdpSocket},
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::{MetadataExt as _, PermissionsExt as _},
            net::{SocketAddr, UnixDatagram, UnixListener},
            process::CommandExt as _,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command},
};

use serde_json::json;

/// A variable of the executor's environment, and its value, which is also what stands in the file.
pub const VARIABLE: &str = "ARENA_SECRET";
pub const SECRET: &str = "b7c1e0-the-canary-sings";
/// The key of kernel objects that attacks try to leave.
const KEY: libc::key_t = 0x5CA9;

pub struct Planted {
    place: tempfile::TempDir,
    canary: PathBuf,
    tools: PathBuf,
    tools_before: String,
    host_paths: Vec<PathBuf>,
    tcp: TcpListener,
    udp: UdpSocket,
    unix: UnixListener,
    datagrams: UnixDatagram,
    abstract_unix: UnixListener,
    abstract_datagrams: UnixDatagram,
    name: String,
    decoy: Child,
    decoy_before: [u64; 4],
    segment: i32,
    queue: i32,
}

impl Planted {
    /// `owner`: whose file and process it is to be, so that only the sandbox is in the way.
    pub fn plant(owner: Option<u32>, room: &Path, tools: &Path) -> Self {
        let place = tempfile::Builder::new()
            .prefix("cs-planted-")
            .tempdir_in("/tmp")
            .unwrap();
        let path = |name: &str| place.path().join(name);
        let canary = path("canary");
        std::fs::write(&canary, SECRET).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind(tcp.local_addr().unwrap()).unwrap();
        let unix = UnixListener::bind(path("stream")).unwrap();
        let datagrams = UnixDatagram::bind(path("datagram")).unwrap();
        let name = place
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let address = |more: &str| SocketAddr::from_abstract_name(format!("{name}{more}")).unwrap();
        let abstract_unix = UnixListener::bind_addr(&address("")).unwrap();
        let abstract_datagrams = UnixDatagram::bind_addr(&address("-datagram")).unwrap();
        tcp.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        unix.set_nonblocking(true).unwrap();
        datagrams.set_nonblocking(true).unwrap();
        abstract_unix.set_nonblocking(true).unwrap();
        abstract_datagrams.set_nonblocking(true).unwrap();
        for name in ["stream", "datagram", "canary"] {
            std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(0o666)).unwrap();
            std::os::unix::fs::chown(path(name), owner, owner).unwrap();
        }
        std::os::unix::fs::chown(place.path(), owner, owner).unwrap();
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut decoy = Command::new("sleep");
        decoy.arg("600").process_group(0);
        if let Some(owner) = owner {
            decoy.uid(owner).gid(owner);
        }
        let decoy = decoy.spawn().unwrap();
        let (segment, queue) = memory();
        Self {
            tools_before: listing(tools),
            tools: tools.to_owned(),
            host_paths: vec![room.to_owned(), env!("CARGO_MANIFEST_DIR").into()],
            place,
            canary,
            tcp,
            udp,
            unix,
            datagrams,
            abstract_unix,
            abstract_datagrams,
            name,
            decoy_before: state(&decoy),
            decoy,
            segment,
            queue,
        }
    }

    /// Tells the attacks where everything is.
    pub fn tell(&self, executor: u32) {
        let world = json!({
            "canary": self.canary,
            "places": [self.place.path()],
            "host_paths": self.host_paths,
            "port": self.tcp.local_addr().unwrap().port(),
            "unix": self.place.path().join("stream"),
            "unix_datagram": self.place.path().join("datagram"),
            "abstract": self.name,
            "abstract_datagram": format!("{}-datagram", self.name),
            "decoy": self.decoy.id(),
            "executor": executor,
            "segment": self.segment,
            "queue": self.queue,
            "secret_variable": VARIABLE,
            "calls": super::table::calls(),
        });
        std::fs::write(self.tools.join("world.json"), world.to_string()).unwrap();
    }

    /// What of it was touched.
    pub fn touched(&mut self) -> Vec<String> {
        let mut touched = Vec::new();
        let mut unless = |untouched: bool, what: &str| {
            if !untouched {
                touched.push(what.to_owned());
            }
        };
        unless(self.tcp.accept().is_err(), "somebody connected by TCP");
        unless(self.udp.recv(&mut [0; 64]).is_err(), "a datagram came");
        unless(
            self.unix.accept().is_err(),
            "somebody connected to the Unix socket",
        );
        unless(
            self.datagrams.recv(&mut [0; 64]).is_err(),
            "a datagram came to the Unix socket",
        );
        unless(
            self.abstract_unix.accept().is_err(),
            "somebody connected to the abstract socket",
        );
        let datagram = self.abstract_datagrams.recv(&mut [0; 64]);
        unless(datagram.is_err(), "a datagram came to the abstract socket");
        unless(
            matches!(self.decoy.try_wait(), Ok(None)),
            "the decoy is dead",
        );
        unless(
            state(&self.decoy) == self.decoy_before,
            "the decoy's limits were changed",
        );
        let canary = std::fs::metadata(&self.canary);
        let whole = canary.is_ok_and(|file| file.mode() & 0o777 == 0o666 && file.mtime() > 1)
            && std::fs::read_to_string(&self.canary).is_ok_and(|text| text == SECRET);
        unless(whole, "the canary was changed");
        let names = std::fs::read_dir(self.place.path()).map_or(0, Iterator::count);
        unless(names == 3, "something was left beside the canary");
        unless(
            listing(&self.tools) == self.tools_before,
            "a tool file was changed",
        );
        for place in ["/tmp", "/var/tmp", "/dev/shm", "/run", "/"] {
            let left = Path::new(place).join("callspan-was-here");
            unless(
                !left.exists(),
                "a file was left in a place for temporary files",
            );
        }
        // SAFETY: these calls take numbers only, or no more than a null pointer.
        let kept = unsafe { libc::shmget(KEY, 0, 0) >= 0 || libc::semget(KEY, 0, 0) >= 0 };
        unless(!kept, "a kernel object was left");
        touched
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        let _ = self.decoy.kill();
        let _ = self.decoy.wait();
        // SAFETY: removes the test's own segment and queue; no pointer is read.
        unsafe {
            libc::shmctl(self.segment, libc::IPC_RMID, std::ptr::null_mut());
            libc::msgctl(self.queue, libc::IPC_RMID, std::ptr::null_mut());
        }
    }
}

/// What others could have changed of a process: its limit of processor time, its class, how nice it is, where it runs.
fn state(process: &Child) -> [u64; 4] {
    let pid = process.id() as i32;
    // SAFETY: the pointers are null or to locals that live through the calls; zeroed, both are valid.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::prlimit(pid, libc::RLIMIT_CPU, std::ptr::null(), &raw mut limit);
        let mut processors: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(pid, size_of_val(&processors), &raw mut processors);
        [
            limit.rlim_cur,
            libc::sched_getscheduler(pid) as u64,
            libc::CPU_COUNT(&processors) as u64,
            u64::from(libc::getpriority(libc::PRIO_PROCESS, pid as libc::id_t) > 10),
        ]
    }
}

/// A segment of shared memory and a queue with a message, for everybody.
fn memory() -> (i32, i32) {
    #[repr(C)]
    struct Message(libc::c_long, [u8; 8]);
    // SAFETY: the message lives through the call, and its length is given; the other calls take numbers.
    unsafe {
        let segment = libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o666);
        let queue = libc::msgget(libc::IPC_PRIVATE, libc::IPC_CREAT | 0o666);
        let message = Message(1, *b"for you!");
        assert_eq!(libc::msgsnd(queue, (&raw const message).cast(), 8, 0), 0);
        assert!(segment >= 0 && queue >= 0, "no shared memory can be made");
        (segment, queue)
    }
}

/// The names and lengths of a directory's Python files.
fn listing(directory: &Path) -> String {
    let files = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<String> = files
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "py"))
        .map(|entry| {
            let length = entry.metadata().unwrap().len();
            format!("{} {length}", entry.file_name().display())
        })
        .collect();
    files.sort();
    files.join("\n")
}
