"""What of the kernel a tool could touch: each call here has been, or has led to, a way through it."""

import ctypes
import os
import socket

from arena import WORLD, escaped, give_up, libc, syscall

from callspan import tool


@tool
def new_user_namespace() -> str:
    """Become root in a namespace of one's own."""
    syscall("unshare", 0x10000000)
    return escaped()


@tool
def clone_a_user_namespace() -> str:
    """The same by starting a process there."""
    if syscall("clone", 0x10000011, 0, 0, 0, 0) == 0:
        os._exit(0)
    return escaped()


@tool
def enter_a_namespace() -> str:
    """Enter the namespaces of another process."""
    syscall("setns", os.open(".", os.O_RDONLY), 0)
    return escaped()


@tool
def mount() -> str:
    """Mount a file system."""
    syscall("mount", b"none\0", b".\0", b"tmpfs\0", 0, None)
    return escaped()


@tool
def mount_anew() -> str:
    """Make a read-only mount writable."""
    syscall("mount", None, b"/usr\0", None, 0x1020, None)
    return escaped()


@tool
def mount_by_the_new_calls() -> str:
    """Open a file system without mounting it."""
    syscall("fsopen", b"tmpfs\0", 0)
    return escaped()


@tool
def copy_a_mount() -> str:
    """Take a copy of a mount along."""
    syscall("open_tree", -100, b"/\0", 1)
    return escaped()


@tool
def change_a_mount() -> str:
    """Take a mount's restrictions off."""
    syscall("mount_setattr", -100, b"/usr\0", 0, (0).to_bytes(8, "little") + (1).to_bytes(24, "little"), 32)
    return escaped()


@tool
def unmount() -> str:
    """Uncover what lies below a mount."""
    syscall("umount2", b"/box/scratch\0", 2)
    return escaped()


@tool
def change_the_root() -> str:
    """Leave the root by making another."""
    syscall("chroot", b".\0")
    return escaped()


@tool
def swap_the_root() -> str:
    """Get at the old root."""
    syscall("pivot_root", b".\0", b".\0")
    return escaped()


@tool
def load_a_program_into_the_kernel() -> str:
    """Run code in the kernel."""
    return escaped(syscall("bpf", 0, bytes(128), 128))


@tool
def second_way_to_call() -> str:
    """Make a ring through which calls go past the filter."""
    return escaped(syscall("io_uring_setup", 4, bytes(120)))


@tool
def stop_the_kernel_in_the_middle() -> str:
    """Answer page faults of the kernel when it suits."""
    return escaped(syscall("userfaultfd", 1))


@tool
def watch_the_machine() -> str:
    """Count what the processor does, for others too."""
    attributes = bytes(4) + (128).to_bytes(4, "little") + bytes(120)
    return escaped(syscall("perf_event_open", attributes, 0, -1, -1, 0))


@tool
def read_the_kernels_log() -> str:
    """Read what the kernel logs."""
    return escaped(syscall("syslog", 3, bytes(100), 100))


@tool
def use_the_kernels_keys() -> str:
    """Read the keys of the session."""
    return escaped(syscall("keyctl", 0, -3, 0))


@tool
def add_a_key() -> str:
    """Leave something in the kernel's memory beyond the call."""
    return escaped(syscall("add_key", b"user\0", b"callspan\0", b"x", 1, -4))


@tool
def request_a_key() -> str:
    """Have the kernel start a helper program."""
    return escaped(syscall("request_key", b"user\0", b"callspan\0", b"x\0", -4))


@tool
def load_a_module() -> str:
    """Load code into the kernel."""
    return escaped(syscall("init_module", b"", 0, b"\0"))


@tool
def load_another_kernel() -> str:
    """Replace the kernel."""
    return escaped(syscall("kexec_load", 0, 0, None, 0))


@tool
def reboot() -> str:
    """Ask for a restart, with numbers that make it none."""
    return escaped(syscall("reboot", 0, 0, 0))


@tool
def set_the_clock() -> str:
    """Change the machine's time, to what it is."""
    import time

    time.clock_settime(time.CLOCK_REALTIME, time.time())
    return escaped()


@tool
def swap() -> str:
    """Use a file as memory."""
    return escaped(syscall("swapon", b"none\0", 0))


@tool
def rename_the_machine() -> str:
    """Change the machine's name."""
    socket.sethostname("escaped")
    return escaped()


@tool
def see_the_machines_name() -> str:
    """Learn where one is."""
    name = os.uname().nodename
    return "callspan" if name == "callspan" else escaped(name)


@tool
def weaken_randomisation() -> str:
    """Have the next program's addresses be known."""
    return escaped(syscall("personality", 0x0040000))


@tool
def shared_memory_of_others() -> str:
    """Attach a segment that another process made."""
    libc.shmat.restype = ctypes.c_void_p
    ctypes.set_errno(0)
    address = libc.shmat(WORLD["segment"], None, 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return escaped(ctypes.string_at(address, 8))


@tool
def shared_memory_that_stays() -> str:
    """Make a segment that outlives the call."""
    return escaped(syscall("shmget", 0x5CA9, 4096, 0o1666))


@tool
def list_the_shared_memory() -> str:
    """Count the segments of the machine."""
    told = (ctypes.c_int * 32)()
    if libc.shmctl(0, 14, told) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return escaped(told[0]) if told[0] else "there are none"


@tool
def messages_of_others() -> str:
    """Take a message out of another process's queue."""
    if libc.msgrcv(WORLD["queue"], ctypes.create_string_buffer(64), 32, 0, 0o4000) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return escaped()


@tool
def a_queue_that_stays() -> str:
    """Make a message queue that outlives the call."""
    return escaped(syscall("mq_open", b"callspan\0", 0o102, 0o600, None))


@tool
def semaphores_that_stay() -> str:
    """Make semaphores that outlive the call."""
    return escaped(syscall("semget", 0x5CA9, 1, 0o1666))


@tool
def watch_files() -> str:
    """Watch what others do to files."""
    return escaped(syscall("inotify_init1", 0))


@tool
def watch_all_files() -> str:
    """Watch everything on a mount."""
    return escaped(syscall("fanotify_init", 0, 0))


@tool
def take_a_capability() -> str:
    """Raise all capabilities."""
    header, sets = (0x20080522).to_bytes(4, "little") + bytes(4), b"\xff" * 24
    syscall("capset", header, sets)
    return escaped()


@tool
def see_the_capabilities() -> str:
    """Be allowed what root is."""
    header, sets = (0x20080522).to_bytes(4, "little") + bytes(4), ctypes.create_string_buffer(24)
    syscall("capget", header, sets)
    if not any(sets.raw):
        give_up("there are none")
    return escaped(sets.raw.hex())


@tool
def become_root() -> str:
    """Become root."""
    os.setresuid(0, 0, 0)
    return escaped()


@tool
def become_somebody() -> str:
    """Become another user."""
    os.setgroups([0])
    os.setresuid(1, 1, 1)
    return escaped()


@tool
def gain_by_a_program() -> str:
    """Keep the way open by which programs give privileges."""
    if libc.prctl(39, 0, 0, 0, 0) == 0:
        return escaped()
    give_up("it is closed, or nothing is told of it")


@tool
def let_others_read() -> str:
    """Let other processes of the user read this one."""
    if libc.prctl(4, 1, 0, 0, 0) == 0:
        return escaped()
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@tool
def loosen_the_filter() -> str:
    """Put a filter that allows all over the one that does not, and try again."""
    instruction = (6).to_bytes(2, "little") + bytes(2) + (0x7FFF0000).to_bytes(4, "little")
    code = ctypes.create_string_buffer(instruction)
    program = (1).to_bytes(8, "little") + ctypes.addressof(code).to_bytes(8, "little")
    libc.prctl(22, 2, program)
    socket.socket()
    return escaped()


@tool
def loosen_landlock() -> str:
    """Put rules that allow all over those that do not, and try again."""
    attributes = (0x1FFF).to_bytes(8, "little")
    rules = syscall("landlock_create_ruleset", attributes, 8, 0)
    root = os.open("/", os.O_PATH)
    syscall("landlock_add_rule", rules, 1, (0x1FFF).to_bytes(8, "little") + root.to_bytes(4, "little"), 0)
    syscall("landlock_restrict_self", rules, 0)
    return escaped(os.listdir("/"))


@tool
def a_call_of_another_architecture() -> str:
    """Use numbers of the older 32-bit calls under the same number space."""
    return escaped(syscall("x32_getpid"))


@tool
def a_call_that_does_not_exist() -> str:
    """Use a number beyond all calls."""
    if libc.syscall(ctypes.c_long(9999)) != -1:
        return escaped()
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@tool
def push_words_to_a_terminal() -> str:
    """Type into the terminal of whoever started the executor."""
    if libc.ioctl(0, 0x5412, b"x") == 0 or libc.ioctl(2, 0x5412, b"x") == 0:
        return escaped()
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
