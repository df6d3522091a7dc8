"""Ways out: sockets of every family, and what leads past them."""

import asyncio
import ctypes
import os
import socket
import urllib.request

from arena import WORLD, escaped, libc, syscall

from callspan import channel, tool


@tool
def connect_by_tcp() -> str:
    """Connect to a server of this machine."""
    socket.create_connection(("127.0.0.1", WORLD["port"]), 2)
    return escaped()


@tool
def connect_by_a_bare_call() -> str:
    """Make the socket and connect it past the library."""
    fd = syscall("socket", 2, 1, 0)
    address = (2).to_bytes(2, "little") + WORLD["port"].to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
    syscall("connect", fd, address, 16)
    return escaped()


@tool
def connect_by_tcp6() -> str:
    """The same in the newer protocol."""
    socket.create_connection(("::ffff:127.0.0.1", WORLD["port"]), 2)
    return escaped()


@tool
def fetch_a_page() -> str:
    """Ask for a page as any program does."""
    return escaped(urllib.request.urlopen(f"http://127.0.0.1:{WORLD['port']}/", timeout=2).status)


@tool
def connect_by_asyncio() -> str:
    """Ask for a connection in a loop of the tool's own."""
    asyncio.run(asyncio.open_connection("127.0.0.1", WORLD["port"]))
    return escaped()


@tool
def send_by_udp() -> str:
    """Send a datagram, which needs no connection."""
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"escaped", ("127.0.0.1", WORLD["port"]))
    return escaped()


@tool
def resolve_a_name() -> str:
    """Carry words out in a name that is looked up."""
    return escaped(socket.getaddrinfo("secret.invalid", 80))


@tool
def make_a_raw_socket() -> str:
    """Forge packets."""
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
    return escaped()


@tool
def make_a_packet_socket() -> str:
    """Listen to what the machine sends."""
    socket.socket(17, socket.SOCK_RAW, 0)
    return escaped()


@tool
def make_a_netlink_socket() -> str:
    """Ask the kernel for its interfaces."""
    socket.socket(16, socket.SOCK_RAW, 0)
    return escaped()


@tool
def make_a_vsock() -> str:
    """Reach the machine's host: no network namespace holds that."""
    syscall("socket", 40, 1, 0)
    return escaped()


@tool
def make_a_crypto_socket() -> str:
    """Use the kernel's ciphers, whose sockets have been a way into it."""
    syscall("socket", 38, 5, 0)
    return escaped()


@tool
def listen_for_visitors() -> str:
    """Serve."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return escaped()


@tool
def connect_to_a_unix_socket() -> str:
    """Connect to another program's socket."""
    socket.socket(socket.AF_UNIX).connect(WORLD["unix"])
    return escaped()


@tool
def connect_to_an_abstract_socket() -> str:
    """Connect to a socket that is no file."""
    socket.socket(socket.AF_UNIX).connect("\0" + WORLD["abstract"])
    return escaped()


def _datagrams() -> int:
    pair = (ctypes.c_int * 2)()
    syscall("socketpair", 1, 2, 0, pair)
    return pair[0]


def _address(name: bytes) -> bytes:
    return (1).to_bytes(2, "little") + name


@tool
def send_from_a_pair_to_a_path() -> str:
    """Half of a pair of datagram sockets sends to any address, without a call that makes or connects one."""
    address = _address(WORLD["unix_datagram"].encode() + b"\0")
    syscall("sendto", _datagrams(), b"escaped", 7, 0, address, len(address))
    return escaped()


@tool
def send_from_a_raw_pair_to_a_path() -> str:
    """The kernel takes a raw pair for one of datagrams."""
    pair = (ctypes.c_int * 2)()
    syscall("socketpair", 1, 3, 0, pair)
    address = _address(WORLD["unix_datagram"].encode() + b"\0")
    syscall("sendto", pair[0], b"escaped", 7, 0, address, len(address))
    return escaped()


@tool
def send_from_a_pair_to_an_abstract_name() -> str:
    """The same to a socket that is no file."""
    address = _address(b"\0" + WORLD["abstract_datagram"].encode())
    syscall("sendto", _datagrams(), b"escaped", 7, 0, address, len(address))
    return escaped()


@tool
def connect_half_of_a_pair() -> str:
    """Lead a pair's half elsewhere."""
    pair = (ctypes.c_int * 2)()
    syscall("socketpair", 1, 1, 0, pair)
    address = _address(WORLD["unix"].encode() + b"\0")
    syscall("connect", pair[0], address, len(address))
    return escaped()


@tool
def connect_the_channel() -> str:
    """Lead the channel's own socket elsewhere."""
    address = _address(WORLD["unix"].encode() + b"\0")
    syscall("connect", 3, address, len(address))
    return escaped()


@tool
def ask_the_broker() -> str:
    """Ask the executor to connect, without a grant."""
    assert channel.current is not None
    return escaped(channel.current.connect(f"127.0.0.1:{WORLD['port']}"))


@tool
def ask_the_broker_for_a_unix_socket() -> str:
    """Ask the executor to connect to its own socket."""
    assert channel.current is not None
    return escaped(channel.current.connect(f"unix:{WORLD['unix']}"))


@tool
def ask_the_broker_in_other_words() -> str:
    """Write the address as libraries understand it, and rules may not."""
    assert channel.current is not None
    kept: OSError | None = None
    for host in (
        "localhost",
        "127.1",
        "0x7f000001",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "0",
        "[::1]",
        "\0",
        "a" * 70_000,
    ):
        try:
            return escaped(channel.current.connect(f"{host}:{WORLD['port']}"))
        except OSError as error:
            kept = error
    raise kept or OSError()


@tool
def see_the_machines_interfaces() -> str:
    """Ask a descriptor that is a socket already for the interfaces of its network."""
    names = (ctypes.c_char * 40)()
    number = (1).to_bytes(4, "little")
    names[16:20] = number
    if libc.ioctl(3, 0x8910, names) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    names[16:20] = bytes(4)
    others = []
    for index in range(2, 64):
        names[16:20] = index.to_bytes(4, "little")
        if libc.ioctl(3, 0x8910, names) == 0:
            others.append(names.value.decode())
    return escaped(others) if others else "only lo"
