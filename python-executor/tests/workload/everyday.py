"""What well-behaved tools do with the system: the lists of system calls are compared with what this really calls."""

import asyncio
import concurrent.futures
import fcntl
import logging
import mmap
import os
import pathlib
import queue
import random
import resource
import select
import selectors
import shutil
import signal
import sqlite3
import stat
import tempfile
import threading
import time
import zoneinfo

from callspan import Artefact, Context, tool


@tool
def files() -> list[str]:
    """Make, read, change and remove files."""
    here = pathlib.Path.cwd()
    (here / "a" / "b").mkdir(parents=True)
    text = here / "a" / "text"
    text.write_text("one\ntwo\n")
    with text.open("r+") as file:
        file.seek(4)
        file.write("2")
        file.flush()
        os.fsync(file.fileno())
        os.fdatasync(file.fileno())
        file.truncate(6)
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.lockf(file, fcntl.LOCK_UN)
        os.pread(file.fileno(), 3, 0)
        os.pwrite(file.fileno(), b"O", 0)
        os.preadv(file.fileno(), [bytearray(2)], 0)
        os.pwritev(file.fileno(), [b"O"], 0)
        os.readv(file.fileno(), [bytearray(2)])
        os.writev(file.fileno(), [b"x"])
        os.posix_fallocate(file.fileno(), 0, 100)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        os.fchmod(file.fileno(), 0o600)
        os.fstat(file.fileno())
        os.dup2(os.dup(file.fileno()), 40)
        os.isatty(file.fileno())
        file.fileno()
    os.truncate(text, 5)
    os.rename(text, here / "a" / "renamed")
    os.replace(here / "a" / "renamed", here / "a" / "text")
    os.link(text, here / "hard")
    os.symlink("hard", here / "soft")
    os.readlink(here / "soft")
    os.chmod(text, 0o644)
    os.utime(text, (1, 1))
    os.access(text, os.R_OK)
    shutil.copy2(text, here / "copy")
    shutil.copytree(here / "a", here / "c")
    for name in os.listdir(here):
        stat.filemode(os.lstat(name).st_mode)
    list(os.walk(here))
    list(os.scandir(here))
    os.chdir("a")
    os.chdir(here)
    os.statvfs(here)
    os.umask(0o077)
    shutil.disk_usage(here)
    shutil.rmtree(here / "c")
    os.rmdir(here / "a" / "b")
    os.mkfifo(here / "fifo")
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    with tempfile.TemporaryFile() as file, mmap.mmap(-1, 4096) as memory:
        file.write(bytes(8192))
        file.flush()
        with mmap.mmap(file.fileno(), 4096) as mapped:
            mapped[0] = 1
            mapped.flush()
            mapped.madvise(mmap.MADV_WILLNEED)
        memory[0] = 1
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, b"x")
    os.sendfile(writing, os.open(here / "copy", os.O_RDONLY), 0, 1)
    os.copy_file_range(os.open(here / "copy", os.O_RDONLY), os.open(here / "copied", os.O_CREAT | os.O_WRONLY), 3)
    base = sqlite3.connect("base.sqlite")
    base.execute("create table t (x)")
    base.executemany("insert into t values (?)", [(i,) for i in range(100)])
    base.commit()
    base.close()
    return sorted(os.listdir(here))


@tool
def waits() -> float:
    """Wait in every way that there is."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    select.select([reading], [writing], [], 0.01)
    poll = select.poll()
    poll.register(reading)
    poll.poll(1)
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        selector.select(0.01)
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(0.03)
    signal.alarm(0)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    signal.sigpending()
    signal.sigtimedwait([signal.SIGUSR1], 0.01)
    signal.set_wakeup_fd(-1)
    time.clock_getres(time.CLOCK_MONOTONIC)
    time.process_time()
    time.thread_time()
    time.clock_gettime(time.CLOCK_BOOTTIME)
    os.times()
    zoneinfo.ZoneInfo("Europe/Paris")
    return random.random()


@tool
def threads() -> int:
    """Compute with threads."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        total = sum(pool.map(lambda n: n * n, range(100)))
    line = queue.Queue()
    lock = threading.Lock()
    worker = threading.Thread(target=lambda: line.put(lock.acquire()))
    worker.start()
    line.get(timeout=1)
    worker.join()
    threading.Timer(0.01, lambda: None).start()
    threading.Event().wait(0.03)
    os.sched_yield()
    os.sched_getaffinity(0)
    os.cpu_count()
    os.getppid(), os.getpgid(0), os.getsid(0), os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups()
    os.getresuid(), os.getresgid(), os.uname(), os.getpriority(os.PRIO_PROCESS, 0), threading.get_native_id()
    resource.getrlimit(resource.RLIMIT_AS)
    resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    return total


@tool
async def asynchronous() -> int:
    """Wait for several things at once."""
    loop = asyncio.get_running_loop()
    first = await loop.run_in_executor(None, lambda: 1)
    second = await asyncio.to_thread(lambda: 2)
    await asyncio.wait_for(asyncio.sleep(0.01), 1)
    return first + second


@tool
def numbers() -> float:
    """Compute with numpy."""
    import numpy as np

    a = np.random.default_rng(1).random((300, 300))
    np.save("a.npy", a)
    b = np.load("a.npy", mmap_mode="r")
    np.linalg.inv(a @ b)
    np.sort(np.fft.fft(a).real, axis=0)
    return float(np.linalg.norm(a))


@tool
def frames() -> str:
    """Compute with pandas."""
    import pandas as pd

    frame = pd.DataFrame({"day": pd.date_range("2026-01-01", periods=100), "n": range(100)})
    frame.to_csv("frame.csv", index=False)
    again = pd.read_csv("frame.csv", parse_dates=["day"])
    grouped = again.groupby(again["day"].dt.month)["n"].sum()
    return grouped.to_json()


@tool
def tells(ctx: Context) -> Artefact:
    """Tell how far it is, log, and return a file."""
    ctx.progress(1, 2, "half")
    logging.getLogger("everyday").warning("careful")
    pathlib.Path("note.txt").write_text("kept")
    return Artefact(pathlib.Path("note.txt"), "text/plain", "note.txt")


@tool
def memory() -> int:
    """Use memory, and give it back."""
    pieces = [bytearray(1 << 20) for _ in range(50)]
    big = bytearray(64 << 20)
    big.extend(bytes(64 << 20))
    return len(pieces) + len(big)
