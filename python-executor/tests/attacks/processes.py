"""Other processes and other programs: to start them, to signal them, to read them, to outlive the call."""

import ctypes
import fcntl
import os
import resource
import signal
import socket
import subprocess
import threading
import time

from arena import WORLD, escaped, give_up, libc, syscall

from callspan import tool

DECOY: int = WORLD["decoy"]


@tool
def fork() -> str:
    """Start a process."""
    if os.fork() == 0:
        os._exit(0)
    return escaped()


@tool
def fork_by_a_bare_call() -> str:
    """Start a process past the library."""
    if syscall("clone", 17, 0, 0, 0, 0) == 0:
        os._exit(0)
    return escaped()


@tool
def fork_by_the_newest_call() -> str:
    """Start a process by the call whose arguments no filter can read."""
    arguments = bytes(32) + (17).to_bytes(8, "little") + bytes(48)
    if syscall("clone3", arguments, 88) == 0:
        os._exit(0)
    return escaped()


@tool
def fork_sharing_memory() -> str:
    """Start a process by the oldest call for it."""
    if syscall("vfork") == 0:
        os._exit(0)
    return escaped()


@tool
def fork_bomb() -> str:
    """Start processes that start processes, a hundred at most."""
    for _ in range(100):
        if os.fork() == 0:
            time.sleep(2)
            os._exit(0)
    return escaped()


@tool
def run_a_program() -> str:
    """Run a program of the system."""
    return escaped(subprocess.run(["/usr/bin/id"], capture_output=True, check=True).stdout)


@tool
def become_a_program() -> str:
    """Become a program of the system."""
    os.execv("/usr/bin/true", ["true"])


@tool
def become_a_program_by_its_descriptor() -> str:
    """Become a program that is known by a descriptor only."""
    syscall("execveat", os.open("/usr/bin/true", os.O_RDONLY), b"\0", None, None, 0x1000)
    return escaped()


@tool
def become_a_file_in_memory() -> str:
    """Become a program that never was in a file system."""
    return escaped(os.memfd_create("program"))


@tool
def run_a_shell() -> str:
    """Have the C library run a shell."""
    status = os.system("true")
    return escaped() if status == 0 else "nothing"


@tool
def kill_the_decoy() -> str:
    """End another process."""
    os.kill(DECOY, signal.SIGKILL)
    return escaped()


@tool
def kill_a_group() -> str:
    """End all processes of another group."""
    os.kill(-DECOY, signal.SIGKILL)
    return escaped()


@tool
def kill_the_parent() -> str:
    """End the process that forked this one; where its number is 0, the own group."""
    os.kill(os.getppid(), signal.SIGKILL)
    return escaped()


@tool
def kill_by_a_handle() -> str:
    """Signal a process by a handle instead of its number."""
    syscall("pidfd_send_signal", syscall("pidfd_open", DECOY, 0), 9, None, 0)
    return escaped()


@tool
def kill_a_thread() -> str:
    """Signal a process by its thread."""
    syscall("tkill", DECOY, 9)
    return escaped()


@tool
def queue_a_signal() -> str:
    """Signal a process with a message."""
    syscall("rt_sigqueueinfo", DECOY, 9, bytes(128))
    return escaped()


@tool
def signal_by_a_socket() -> str:
    """Have the kernel send a signal of choice when a socket of the tool's can be read."""
    a, b = socket.socketpair()
    fcntl.fcntl(a, fcntl.F_SETOWN, DECOY)
    fcntl.fcntl(a, 10, signal.SIGKILL)
    fcntl.fcntl(a, fcntl.F_SETFL, fcntl.fcntl(a, fcntl.F_GETFL) | os.O_ASYNC)
    b.send(b"now")
    time.sleep(0.3)
    return "sent, to whoever may be hit"


@tool
def trace_the_decoy() -> str:
    """Take a process over."""
    syscall("ptrace", 16, DECOY, 0, 0)
    return escaped()


@tool
def read_the_decoys_memory() -> str:
    """Read another process's memory."""
    return escaped(syscall("process_vm_readv", DECOY, bytes(16), 1, bytes(16), 1, 0))


@tool
def write_the_decoys_memory() -> str:
    """Write another process's memory."""
    return escaped(syscall("process_vm_writev", DECOY, bytes(16), 1, bytes(16), 1, 0))


@tool
def take_the_decoys_descriptor() -> str:
    """Take a descriptor out of another process."""
    return escaped(syscall("pidfd_getfd", syscall("pidfd_open", DECOY, 0), 0, 0))


@tool
def compare_with_the_decoy() -> str:
    """Learn of another process's memory by comparing."""
    return escaped(syscall("kcmp", DECOY, os.getpid(), 0, 0, 0))


@tool
def find_the_decoy() -> str:
    """See only that a process is there."""
    return escaped(os.getsid(DECOY))


@tool
def count_the_processes() -> str:
    """Try all low numbers, as each that answers is a process."""
    found = []
    for number in range(2, 3000):
        try:
            os.getpgid(number)
            found.append(number)
        except ProcessLookupError:
            pass
    return escaped(found[:5]) if found else "nothing"


@tool
def limit_the_decoy() -> str:
    """Set another process's limits: without processor time it is killed."""
    resource.prlimit(DECOY, resource.RLIMIT_CPU, (0, 0))
    return escaped()


@tool
def limit_the_executor() -> str:
    """Take the executor's descriptors away from it."""
    resource.prlimit(WORLD["executor"], resource.RLIMIT_NOFILE, (0, 0))
    return escaped()


@tool
def slow_the_decoy() -> str:
    """Let another process wait for all others."""
    os.setpriority(os.PRIO_PROCESS, DECOY, 19)
    return escaped()


@tool
def slow_the_decoy_by_its_class() -> str:
    """Let another process run only when nothing else does."""
    os.sched_setscheduler(DECOY, os.SCHED_IDLE, os.sched_param(0))
    return escaped()


@tool
def pin_the_decoy() -> str:
    """Bind another process to one processor."""
    os.sched_setaffinity(DECOY, {0})
    return escaped()


@tool
def move_the_decoys_memory() -> str:
    """Have another process's pages moved about."""
    syscall("migrate_pages", DECOY, 64, (1).to_bytes(8, "little"), (1).to_bytes(8, "little"))
    return escaped()


@tool
def take_the_processor() -> str:
    """Run before all others."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    return escaped()


@tool
def take_more_of_the_processor() -> str:
    """Be nicer to oneself than to others."""
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    return escaped()


@tool
def leave_the_session() -> str:
    """Leave the group that is killed as a whole."""
    os.setpgid(0, 0) if os.getpgid(0) != os.getpid() else os.setsid()
    return escaped()


@tool
def see_the_group() -> str:
    """Be in a session with others, whom a signal to the group hits."""
    if os.getsid(0) == os.getpid() == os.getpgid(0):
        give_up("it is alone in its session")
    return escaped(os.getsid(0))


@tool
def hide_from_the_clock() -> str:
    """Ignore every signal that can be ignored, and wait."""
    for number in signal.valid_signals():
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    libc.prctl(1, 0)
    time.sleep(60)
    return escaped()


@tool
def hang() -> str:
    """Wait for nothing."""
    threading.Event().wait(8)
    return escaped()


@tool
def hang_in_c() -> str:
    """Hold the interpreter's lock and never give it back."""
    ctypes.PyDLL(None).sleep(60)
    return escaped()


@tool
def stay_in_a_thread() -> str:
    """Give a result while a thread goes on."""
    threading.Thread(target=time.sleep, args=(60,)).start()
    return "the call is over"


@tool
def stay_in_an_exit_handler() -> str:
    """Give a result and hang on the way out."""
    import atexit

    atexit.register(time.sleep, 60)
    return "the call is over"


@tool
def spin() -> str:
    """Use a processor for longer than is allowed."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass
    return escaped()


@tool
def thread_bomb() -> str:
    """Start a thousand threads, of whose stacks the memory that is allowed has room for half."""
    threading.stack_size(1 << 20)
    wait = threading.Event()
    try:
        for _ in range(1000):
            threading.Thread(target=wait.wait, args=(20,), daemon=True).start()
    finally:
        wait.set()
    return escaped()


@tool
def more_threads_than_allowed() -> str:
    """Start forty threads that take little memory."""
    threading.stack_size(32 << 10)
    wait = threading.Event()
    try:
        for _ in range(40):
            threading.Thread(target=wait.wait, args=(20,), daemon=True).start()
    finally:
        wait.set()
    return escaped()
