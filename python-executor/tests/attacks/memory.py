"""More memory than is allowed, by every way that there is; each has an end of its own, in case that nobody stops it."""

import ctypes
import fcntl
import mmap
import os
import socket
import sys

from arena import escaped, give_up, libc, syscall

from callspan import tool

_MOST = 2 << 30
_ENOUGH = 64 << 20


@tool
def one_large_block() -> str:
    """Ask for 2 GiB at once."""
    return escaped(len(bytearray(_MOST)))


@tool
def many_blocks() -> str:
    """Ask for 2 GiB in pieces."""
    blocks = [bytes(1 << 20) for _ in range(_MOST >> 20)]
    return escaped(len(blocks))


@tool
def map_anonymous() -> str:
    """Map 2 GiB that are shared with nobody."""
    maps = [mmap.mmap(-1, 256 << 20) for _ in range(_MOST >> 28)]
    return escaped(len(maps))


@tool
def many_small_maps() -> str:
    """Make 100,000 mappings, which cost the kernel more than the process."""
    maps = []
    for number in range(100_000):
        protection = mmap.PROT_READ if number % 2 else mmap.PROT_READ | mmap.PROT_WRITE
        maps.append(mmap.mmap(-1, 8192, prot=protection))
    return escaped(len(maps))


@tool
def files_in_memory() -> str:
    """Make files that are memory and are not counted as the process's."""
    return escaped(os.memfd_create("memory"))


@tool
def secret_memory() -> str:
    """Make memory that not even the kernel maps."""
    return escaped(syscall("memfd_secret", 0))


@tool
def lock_memory() -> str:
    """Keep memory from being swapped out."""
    syscall("mlockall", 1)
    return escaped()


@tool
def raise_the_limits() -> str:
    """Raise the limits again."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return escaped()


@tool
def a_core_dump() -> str:
    """Have the kernel write the memory to a file on the machine."""
    import resource

    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        give_up("there is none")
    return escaped()


@tool
def queue_signals() -> str:
    """Keep thousands of signals waiting, which are kernel memory."""
    import signal

    signal.pthread_sigmask(signal.SIG_BLOCK, {34})
    made = ctypes.c_void_p()
    event = ctypes.create_string_buffer((0).to_bytes(8, "little") + (34).to_bytes(4, "little") + bytes(52))
    for _ in range(2000):
        if libc.timer_create(1, event, ctypes.byref(made)) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return escaped()


@tool
def many_descriptors() -> str:
    """Open 1,000 files."""
    return escaped(len([os.dup(0) for _ in range(1000)]))


@tool
def large_pipes() -> str:
    """Keep 256 MiB in pipes."""
    kept = 0
    try:
        for _ in range(256):
            _, end = os.pipe()
            fcntl.fcntl(end, 1031, 1 << 20)
            os.set_blocking(end, False)
            kept += os.write(end, bytes(1 << 20))
    except OSError:
        pass
    return escaped(kept) if kept > _ENOUGH else "no more than the descriptors hold"


@tool
def large_socket_buffers() -> str:
    """Keep 256 MiB in the buffers of sockets, which no limit of the process counts."""
    kept, pairs = 0, []
    while kept < 256 << 20:
        try:
            pairs.append(socket.socketpair())
        except OSError:
            break
        for end in pairs[-1]:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
            end.setblocking(False)
            try:
                while kept < 256 << 20:
                    kept += end.send(bytes(64 << 10))
            except BlockingIOError:
                pass
    return escaped(kept) if kept > _ENOUGH else "no more than the descriptors hold"


@tool
def rules_as_memory() -> str:
    """Keep memory in rules of Landlock, of which a process may make as many as it likes."""
    for _ in range(2):
        rules = syscall("landlock_create_ruleset", bytes(8) + (3).to_bytes(8, "little"), 16, 0)
        for port in range(1 << 16):
            syscall("landlock_add_rule", rules, 2, (1).to_bytes(8, "little") + port.to_bytes(8, "little"), 0)
    return escaped()


@tool
def recurse_in_python() -> str:
    """Call without end."""

    def again(n: int) -> int:
        return again(n + 1) + 1

    return escaped(again(0))


@tool
def recurse_in_c() -> str:
    """Call without end where Python does not count."""
    sys.setrecursionlimit(1 << 30)
    nested: list[object] = []
    for _ in range(1_000_000):
        nested = [nested]
    return escaped(len(repr(nested)))


@tool
def read_what_is_not_there() -> str:
    """Read where no memory is."""
    return escaped(ctypes.string_at(16, 1))


@tool
def a_huge_number() -> str:
    """Compute for longer than anyone waits, in one operation."""
    return escaped(len(str(7 ** (7**10))))


@tool
def a_slow_pattern() -> str:
    """Match a pattern that takes ages."""
    import re

    return escaped(re.match(r"(a+)+$", "a" * 60 + "b"))


@tool
def a_growing_text() -> str:
    """Double a text until it does not fit."""
    text = "x"
    while len(text) < _MOST:
        text += text
    return escaped(len(text))
