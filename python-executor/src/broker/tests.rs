use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket},
    os::{fd::OwnedFd, unix::net::UnixListener},
    process::Command,
    time::Duration,
};

use rustix::{
    fs::{OFlags, fcntl_getfl},
    io::{FdFlags, fcntl_getfd},
};
use tokio::time::Instant;

use super::{Broker, addresses::is_public};
use crate::protocol::work::Refused;

fn broker(allowed: &[&str]) -> Broker {
    let allowed: Vec<_> = allowed.iter().map(|text| text.parse().unwrap()).collect();
    Broker::new(&allowed)
}

/// The refusal of a connect that must not succeed.
async fn refusal(allowed: &[&str], asked: &str) -> Refused {
    broker(allowed).connect(asked).await.unwrap_err()
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Sends a word through the descriptor, and takes it at the other end.
fn heard(fd: OwnedFd, mut accepted: impl Read) {
    assert!(!fcntl_getfl(&fd).unwrap().contains(OFlags::NONBLOCK));
    assert!(fcntl_getfd(&fd).unwrap().contains(FdFlags::CLOEXEC));
    std::fs::File::from(fd).write_all(b"hello").unwrap();
    let mut text = String::new();
    accepted.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn what_the_policy_names_is_connected_and_handed_over() {
    let (listener, port) = listener();
    for asked in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        let fd = broker(&[&asked]).connect(&asked).await.unwrap();
        heard(fd, listener.accept().unwrap().0);
    }
}

#[tokio::test]
async fn nothing_else_is_connected() {
    let (listener, port) = listener();
    listener.set_nonblocking(true).unwrap();
    let asked = format!("127.0.0.1:{port}");
    for allowed in [
        vec![],
        vec![format!("127.0.0.1:{}", port - 1)],
        vec![format!("127.0.0.2:{port}")],
        // The name leads there, but the address was not named.
        vec![format!("localhost:{port}")],
        vec!["unix:/tmp/s".to_owned()],
    ] {
        let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
        let refused = refusal(&allowed, &asked).await;
        assert_eq!(refused.errno, libc::EACCES, "{refused:?}");
        let words = format!("{asked} is not in the tool's policy: it names ");
        assert!(refused.message.starts_with(&words), "{refused:?}");
    }
    assert!(listener.accept().is_err(), "somebody connected");
}

#[tokio::test]
async fn what_is_no_address_is_refused_whatever_is_allowed() {
    for asked in [
        "",
        "*.x.y:1",
        "127.1:80",
        "host",
        "unix:relative",
        "a:0",
        "\0:1",
    ] {
        let refused = refusal(&["*.x.y:1", "127.0.0.1:80"], asked).await;
        assert_eq!(refused.errno, libc::EINVAL, "{asked:?}: {refused:?}");
    }
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let (listener, port) = listener();
    drop(listener);
    let asked = format!("127.0.0.1:{port}");
    let refused = refusal(&[&asked], &asked).await;
    assert_eq!(refused.errno, libc::ECONNREFUSED, "{refused:?}");
}

#[tokio::test]
async fn a_connect_that_nobody_answers_ends() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("s");
    // A queue of one that nobody empties: a further connect waits.
    let listener = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    rustix::net::bind(&listener, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let asked = format!("unix:{}", path.display());
    let mut broker = broker(&[&asked]);
    broker.patience = Duration::from_millis(200);
    let _first = broker.connect(&asked).await.unwrap();
    let started = Instant::now();
    let refused = broker.connect(&asked).await.unwrap_err();
    assert_eq!(refused.errno, libc::ETIMEDOUT, "{refused:?}");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_unix_socket_is_reached_by_its_own_path_only() {
    let room = tempfile::tempdir().unwrap();
    let at = |name: &str| room.path().join(name);
    let listener = UnixListener::bind(at("s")).unwrap();
    std::os::unix::fs::symlink(at("s"), at("link")).unwrap();
    std::os::unix::fs::symlink(room.path(), at("dir")).unwrap();
    std::fs::write(at("file"), "").unwrap();
    let named = |name: &str| format!("unix:{}", at(name).display());
    let allowed = ["s", "link", "dir/s", "file", "none"].map(named);
    let allowed = broker(&allowed.each_ref().map(String::as_str));
    let fd = allowed.connect(&named("s")).await.unwrap();
    heard(fd, listener.accept().unwrap().0);
    for (name, errno) in [
        ("link", libc::ELOOP),
        ("dir/s", libc::ELOOP),
        ("file", libc::ENOTSOCK),
        ("none", libc::ENOENT),
        ("other", libc::EACCES),
    ] {
        let refused = allowed.connect(&named(name)).await.unwrap_err();
        assert_eq!(refused.errno, errno, "{name}: {refused:?}");
    }
}

#[tokio::test]
async fn a_call_connects_a_bounded_number_of_times() {
    let (listener, port) = listener();
    let asked = format!("127.0.0.1:{port}");
    let broker = broker(&[&asked]);
    for _ in 0..super::MOST {
        broker.connect(&asked).await.unwrap();
        listener.accept().unwrap();
    }
    let refused = broker.connect(&asked).await.unwrap_err();
    assert_eq!(refused.errno, libc::EMFILE, "{refused:?}");
}

#[test]
fn what_belongs_to_this_machine_or_its_neighbours_is_not_public() {
    for text in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "203.0.113.5",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "4000::1",
    ] {
        assert!(!is_public(text.parse().unwrap()), "{text}");
    }
    for text in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "128.0.0.1",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.1",
        "192.0.1.1",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.1",
        "223.255.255.255",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
        "2001:4860:4860::8888",
        "2002:101:101::",
        "2606:4700::1111",
        "2a00::1",
    ] {
        assert!(is_public(text.parse().unwrap()), "{text}");
    }
}

/// Set in the process that runs in namespaces of its own.
const INSIDE: &str = "CALLSPAN_TEST_INSIDE_NAMESPACES";
/// An address of the internet that only this network namespace has.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(11, 22, 33, 44);
const PUBLIC_AND_DEAD: Ipv4Addr = Ipv4Addr::new(11, 22, 33, 45);

#[test]
fn a_name_goes_the_whole_way_through_the_resolver() {
    if std::env::var_os(INSIDE).is_some() {
        return inside_namespaces();
    }
    let program = std::env::current_exe().unwrap();
    let itself = [
        "--exact",
        "broker::tests::a_name_goes_the_whole_way_through_the_resolver",
        "--nocapture",
    ];
    let root = rustix::process::geteuid().is_root();
    let ways: &[&[&str]] = &[
        &["unshare", "--net", "--mount"],
        &["unshare", "--user", "--map-root-user", "--net", "--mount"],
    ];
    for way in ways.iter().skip(usize::from(!root)) {
        let output = Command::new(way[0])
            .args(&way[1..])
            .arg(&program)
            .args(itself)
            .env(INSIDE, "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{way:?}: {told}");
        assert!(told.contains("1 passed"), "{way:?}: {told}");
    }
}

fn inside_namespaces() {
    loopback_up();
    let room = tempfile::tempdir().unwrap();
    let config = room.path().join("resolv.conf");
    std::fs::write(
        &config,
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    )
    .unwrap();
    let bound = Command::new("mount")
        .args([
            "--bind".as_ref(),
            config.as_os_str(),
            "/etc/resolv.conf".as_ref(),
        ])
        .status()
        .unwrap();
    assert!(bound.success());
    let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
    std::thread::spawn(move || answer_questions(&socket));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(names());
}

async fn names() {
    let public = TcpListener::bind((PUBLIC, 4321)).unwrap();
    let ours = TcpListener::bind("127.0.0.1:4321").unwrap();
    ours.set_nonblocking(true).unwrap();
    for name in [
        "public.test",
        "mixed.test",
        "second.test",
        "deep.under.test",
    ] {
        let asked = format!("{name}:4321");
        let fd = broker(&["*.test:4321"]).connect(&asked).await.unwrap();
        heard(fd, public.accept().unwrap().0);
    }
    for name in ["rebind.test", "private.test", "mapped.test"] {
        let refused = refusal(&["*.test:4321"], &format!("{name}:4321")).await;
        assert_eq!(refused.errno, libc::EACCES, "{name}: {refused:?}");
        assert!(
            refused.message.contains("which is not public"),
            "{refused:?}"
        );
    }
    assert!(ours.accept().is_err(), "a name led to this machine");
    let both = ["rebind.test:4321", "127.0.0.1:4321"];
    let fd = broker(&both).connect("rebind.test:4321").await.unwrap();
    ours.set_nonblocking(false).unwrap();
    heard(fd, ours.accept().unwrap().0);
    let refused = refusal(&["*.test:4321"], "none.test:4321").await;
    assert_eq!(refused.errno, libc::EHOSTUNREACH, "{refused:?}");
    assert!(refused.message.contains("none.test"), "{refused:?}");
}

/// Answers as a name server does, until the process ends.
fn answer_questions(socket: &UdpSocket) {
    let mut packet = [0u8; 512];
    while let Ok((length, from)) = socket.recv_from(&mut packet) {
        // The header has 12 bytes; the name follows, each part behind its length; then type and class.
        let mut name = Vec::new();
        let mut at = 12;
        while packet[at] != 0 {
            let end = at + 1 + usize::from(packet[at]);
            name.push(String::from_utf8_lossy(&packet[at + 1..end]).into_owned());
            at = end;
        }
        let end = at + 5;
        assert!(end <= length);
        let wants_v4 = packet[at + 2] == 1;
        let loopback = Ipv4Addr::LOCALHOST;
        let known: Option<&[IpAddr]> = match name.join(".").as_str() {
            "public.test" | "deep.under.test" => Some(&[IpAddr::V4(PUBLIC)]),
            "mixed.test" => Some(&[IpAddr::V4(loopback), IpAddr::V4(PUBLIC)]),
            "second.test" => Some(&[IpAddr::V4(PUBLIC_AND_DEAD), IpAddr::V4(PUBLIC)]),
            "rebind.test" => Some(&[IpAddr::V4(loopback)]),
            "private.test" => Some(&[IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3))]),
            "mapped.test" => Some(&[IpAddr::V6(loopback.to_ipv6_mapped())]),
            _ => None,
        };
        let records: Vec<&IpAddr> = known
            .unwrap_or_default()
            .iter()
            .filter(|address| address.is_ipv4() == wants_v4)
            .collect();
        let mut reply = packet[..end].to_vec();
        reply[2..4].copy_from_slice(if known.is_some() {
            &[0x85, 0x80]
        } else {
            &[0x85, 0x83]
        });
        reply[6..12].copy_from_slice(&[0, records.len() as u8, 0, 0, 0, 0]);
        for address in records {
            let (kind, data) = match address {
                IpAddr::V4(address) => (1, address.octets().to_vec()),
                IpAddr::V6(address) => (28, address.octets().to_vec()),
            };
            // The question's name, type, class IN, one second to live.
            reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 1, 0, data.len() as u8]);
            reply.extend(data);
        }
        socket.send_to(&reply, from).unwrap();
    }
}

/// A new network namespace has a loopback device that is down; it also gets the public addresses.
fn loopback_up() {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let request = |name: &str| {
        // SAFETY: all its parts are numbers, for which zero is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *place = byte as libc::c_char;
        }
        request
    };
    let control = |number: libc::c_ulong, request: &libc::ifreq| {
        use std::os::fd::AsRawFd;
        // SAFETY: these requests read an ifreq, which lives through the call.
        let done = unsafe { libc::ioctl(socket.as_raw_fd(), number as _, &raw const *request) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    };
    let mut up = request("lo");
    up.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    control(libc::SIOCSIFFLAGS as _, &up);
    for (name, address) in [("lo:1", PUBLIC), ("lo:2", PUBLIC_AND_DEAD)] {
        let mut alias = request(name);
        let place = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: 0,
            sin_addr: libc::in_addr {
                s_addr: u32::from_ne_bytes(address.octets()),
            },
            sin_zero: [0; 8],
        };
        // SAFETY: a sockaddr_in is one of the forms of a sockaddr, and as large.
        alias.ifr_ifru.ifru_addr =
            unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(place) };
        control(libc::SIOCSIFADDR as _, &alias);
    }
}
