"""Sockets for tools whose policy names addresses.

No tool may make a socket: that system call is refused. The executor connects for it, if the policy says so, and hands
over the descriptor of a socket that is connected already. Here the standard library's own class learns to wait for
that descriptor until `connect`, so that what is built on it works as it is: http.client, urllib, ssl, asyncio, and
libraries from elsewhere. Names are not looked up here; they go to the executor as they are.
"""

import errno
import ipaddress
import os
import socket
import ssl
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from callspan import channel

_FLAGS = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_SERVICES = {"http": 80, "https": 443}

_raw: Any = socket.socket.__base__
_python: dict[str, Any] = dict(vars(socket.socket))
_allowed: list[str] = []


@dataclass
class _Waiting:
    """What was said to a socket that is not connected yet."""

    family: int
    type: int
    proto: int
    timeout: float | None
    options: list[tuple[Any, ...]] = field(default_factory=list)


_waiting: "weakref.WeakKeyDictionary[socket.socket, _Waiting]" = weakref.WeakKeyDictionary()


def grant_network(addresses: list[str]) -> None:
    """Let this process connect, through the executor, to what its policy names. There is no way back."""
    _allowed[:] = addresses
    kind: Any = socket.socket
    kind.__init__, kind.connect, kind.connect_ex = _init, _connect, _connect_ex
    kind.settimeout, kind.gettimeout, kind.timeout = _settimeout, _gettimeout, property(_gettimeout)
    kind.setblocking, kind.getblocking = _setblocking, _getblocking
    kind.setsockopt, kind.getsockopt = _setsockopt, _getsockopt
    for name in ("family", "type", "proto"):
        setattr(kind, name, property(_attribute(name)))
    for name in ("recv", "recv_into", "send", "sendall", "sendmsg", "shutdown", "getpeername", "getsockname"):
        setattr(kind, name, _when_connected(name))
    for name in ("bind", "listen", "accept"):
        setattr(kind, name, _never(name))
    socket.getaddrinfo = _getaddrinfo
    socket.gethostbyname = lambda hostname: hostname
    ssl.SSLSocket._real_connect = _connect_ssl  # type: ignore[attr-defined]


def _refuse(what: str) -> PermissionError:
    may = f"it may connect to {', '.join(_allowed)}" if _allowed else "its policy names no address"
    return PermissionError(errno.EACCES, f"a tool cannot {what}; {may}")


def _init(self: socket.socket, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:  # noqa: A002
    if fileno is not None and fileno != -1:
        _python["__init__"](self, family, type, proto, fileno)
        return
    family = socket.AF_INET if family == -1 else family
    type = socket.SOCK_STREAM if type == -1 else type & ~_FLAGS  # noqa: A001
    if family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX) or type != socket.SOCK_STREAM:
        raise _refuse("use other sockets than streams over TCP or Unix sockets")
    self._io_refs, self._closed = 0, False  # type: ignore[attr-defined]
    _waiting[self] = _Waiting(family, type, max(proto, 0), socket.getdefaulttimeout())


def _connect(self: socket.socket, address: Any) -> None:
    if self not in _waiting:
        known = errno.EISCONN if self.fileno() >= 0 else errno.EBADF
        raise OSError(known, os.strerror(known))
    if channel.current is None:
        raise _refuse("connect here")
    descriptor = channel.current.connect(_text(_waiting[self].family, address))
    before = _waiting.pop(self)
    _raw.__init__(self, fileno=descriptor)
    _raw.settimeout(self, before.timeout)
    for option in before.options:
        try:
            _raw.setsockopt(self, *option)
        except OSError:  # an option of another kind of socket than that which the name led to
            continue


def _connect_ex(self: socket.socket, address: Any) -> int:
    try:
        self.connect(address)
    except OSError as error:
        if error.errno is None:
            raise
        return error.errno
    return 0


def _connect_ssl(self: Any, address: Any, connect_ex: bool) -> int | None:
    """Connect first and wrap then: the library does it the other way round, with a descriptor that is not there yet."""
    if self.server_side or self._connected or self._sslobj is not None:
        raise ValueError("this socket cannot connect")
    done = _connect_ex(self, address) if connect_ex else _connect(self, address)
    if not done:
        self._connected = True
        self._sslobj = self.context._wrap_socket(self, False, self.server_hostname, owner=self, session=self._session)
        if self.do_handshake_on_connect:
            self.do_handshake()
    return done


def _text(family: int, address: Any) -> str:
    """An address in the words of a policy."""
    if family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(address)}"
    host, port = address[0], address[1]
    host = host.decode("ascii") if isinstance(host, bytes | bytearray) else host
    host = host if host.isascii() else host.encode("idna").decode()
    return f"[{host}]:{port}" if ":" in host else f"{host or '127.0.0.1'}:{port}"


def _settimeout(self: socket.socket, value: float | None) -> None:
    if self in _waiting:
        _waiting[self].timeout = value
    else:
        _raw.settimeout(self, value)


def _gettimeout(self: socket.socket) -> float | None:
    return _waiting[self].timeout if self in _waiting else _raw.gettimeout(self)


def _setblocking(self: socket.socket, flag: bool) -> None:
    _settimeout(self, None if flag else 0.0)


def _getblocking(self: socket.socket) -> bool:
    return _gettimeout(self) != 0.0


def _setsockopt(self: socket.socket, *option: Any) -> None:
    if self in _waiting:
        _waiting[self].options.append(option)
    else:
        _raw.setsockopt(self, *option)


def _getsockopt(self: socket.socket, level: int, name: int, size: int = 0) -> int | bytes:
    if self not in _waiting:
        return _raw.getsockopt(self, level, name, size) if size else _raw.getsockopt(self, level, name)
    known = {(option[0], option[1]): option[2] for option in _waiting[self].options if len(option) == 3}
    return {(socket.SOL_SOCKET, socket.SO_TYPE): _waiting[self].type, **known}.get((level, name), 0)


def _attribute(name: str) -> Callable[[socket.socket], Any]:
    before = _python.get(name)
    read = before.fget if before else getattr(_raw, name).__get__
    kinds: dict[str, Callable[[int], Any]] = {"family": socket.AddressFamily, "type": socket.SocketKind, "proto": int}

    def get(self: socket.socket) -> Any:
        return kinds[name](getattr(_waiting[self], name)) if self in _waiting else read(self)

    return get


def _when_connected(name: str) -> Callable[..., Any]:
    method = getattr(_raw, name)

    def call(self: socket.socket, *values: Any, **more: Any) -> Any:
        try:
            return method(self, *values, **more)
        except OSError:
            if self not in _waiting:
                raise
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    return call


def _never(name: str) -> Callable[..., NoReturn]:
    def call(self: socket.socket, *values: Any) -> NoReturn:  # noqa: ARG001
        raise _refuse(f"{name}: it takes no connections")

    return call


def _getaddrinfo(
    host: Any,
    port: Any,
    family: int = 0,
    type: int = 0,  # noqa: A002
    proto: int = 0,  # noqa: ARG001
    flags: int = 0,
) -> list[tuple[Any, ...]]:
    """Pass a name through as its own address: the executor looks it up when it connects."""
    if type & ~_FLAGS not in (0, socket.SOCK_STREAM):
        raise socket.gaierror(socket.EAI_SOCKTYPE, "a tool has stream sockets only")
    host = host.decode("idna") if isinstance(host, bytes) else host or "127.0.0.1"
    port = port.decode() if isinstance(port, bytes) else port or 0
    if isinstance(port, str):
        port = int(port) if port.isdecimal() else _SERVICES.get(port)
    if port is None:
        raise socket.gaierror(socket.EAI_SERVICE, "give the port as a number")
    try:
        version = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    except ValueError:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} is no address in numbers") from None
        version = family or socket.AF_INET
    if family not in (0, version):
        raise socket.gaierror(socket.EAI_ADDRFAMILY, f"{host} is no address of that family")
    address = (host, port) if version == socket.AF_INET else (host, port, 0, 0)
    return [(socket.AddressFamily(version), socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)]
