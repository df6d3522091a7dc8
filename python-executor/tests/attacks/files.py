"""The files of others: to read, to write, to change, or only to see that they are there."""

import mmap
import os
import shutil
import tempfile
import time
from pathlib import Path

from arena import CANARY, WORLD, escaped, give_up, syscall

from callspan import tool


@tool
def read_canary() -> str:
    """Read a file of the executor's user."""
    return escaped(Path(CANARY).read_text())


@tool
def read_canary_through_a_link() -> str:
    """Read it through a symbolic link in the scratch directory."""
    os.symlink(CANARY, "link")
    return escaped(Path("link").read_text())


@tool
def read_canary_through_a_hard_link() -> str:
    """Read it under a second name of its own."""
    os.link(CANARY, "hard")
    return escaped(Path("hard").read_text())


@tool
def read_canary_by_climbing() -> str:
    """Read it by a path of many parents."""
    return escaped(Path("../" * 40 + CANARY).read_text())


@tool
def read_canary_from_a_root_descriptor() -> str:
    """Open the root first, then the file relative to it."""
    root = os.open("/", os.O_PATH)
    return escaped(os.read(os.open(CANARY.lstrip("/"), os.O_RDONLY, dir_fd=root), 100))


@tool
def read_canary_by_a_path_descriptor() -> str:
    """Open it without reading, then open that for reading."""
    at = os.open(CANARY, os.O_PATH)
    return escaped(Path(f"/proc/self/fd/{at}").read_text())


@tool
def read_canary_by_openat2() -> str:
    """Read it by the newer system call."""
    how = (0).to_bytes(24, "little")
    return escaped(os.read(syscall("openat2", -100, CANARY.encode() + b"\0", how, 24), 100))


@tool
def read_canary_by_its_handle() -> str:
    """Ask for a file's handle, which opens it past its path."""
    handle = (128).to_bytes(4, "little") + bytes(132)
    return escaped(syscall("name_to_handle_at", -100, b".\0", handle, bytes(8), 0))


@tool
def open_by_handle() -> str:
    """Open a file by a made-up handle."""
    handle = (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2).to_bytes(8, "little")
    return escaped(syscall("open_by_handle_at", os.open(".", os.O_RDONLY), handle, 0))


@tool
def stat_canary() -> str:
    """See only that a file of the machine is there, and how long it is."""
    return escaped(os.stat(CANARY).st_size)


@tool
def chmod_canary() -> str:
    """Make the file everybody's; no rule of Landlock is about that."""
    os.chmod(CANARY, 0o777)
    return escaped()


@tool
def touch_canary() -> str:
    """Change the file's times, which no rule of Landlock is about either."""
    os.utime(CANARY, (1, 1))
    return escaped()


@tool
def set_an_attribute_of_canary() -> str:
    """Write an extended attribute."""
    os.setxattr(CANARY, "user.callspan", b"here")
    return escaped()


@tool
def write_canary() -> str:
    """Write the file."""
    Path(CANARY).write_text("spoilt")
    return escaped()


@tool
def truncate_canary() -> str:
    """Cut the file by its name, without opening it."""
    os.truncate(CANARY, 0)
    return escaped()


@tool
def remove_canary() -> str:
    """Remove the file."""
    os.unlink(CANARY)
    return escaped()


@tool
def rename_canary() -> str:
    """Move the file into the scratch directory."""
    os.rename(CANARY, "taken")
    return escaped(Path("taken").read_text())


@tool
def replace_canary() -> str:
    """Move a file of the tool's over it."""
    Path("mine").write_text("spoilt")
    os.replace("mine", CANARY)
    return escaped()


@tool
def plant_a_file_beside() -> str:
    """Leave a file beside the canary."""
    Path(CANARY).with_name("planted").write_text("spoilt")
    return escaped()


@tool
def list_the_canarys_directory() -> str:
    """List the directory of a file."""
    return escaped(os.listdir(Path(CANARY).parent))


@tool
def list_the_root() -> str:
    """List the root: it has the first names of all that other tools are granted."""
    return escaped(os.listdir("/"))


@tool
def list_the_processes() -> str:
    """List the processes of the machine."""
    return escaped(os.listdir("/proc"))


@tool
def read_own_maps() -> str:
    """Read where things are in the own memory, from the kernel."""
    return escaped(Path("/proc/self/maps").read_text()[:100])


@tool
def write_own_memory_file() -> str:
    """Write the own memory past its protection."""
    return escaped(os.open("/proc/self/mem", os.O_RDWR))


@tool
def read_the_kernels_settings() -> str:
    """Read what the kernel tells in its own file systems."""
    for path in ("/proc/version", "/sys/kernel/uevent_seqnum", "/proc/net/tcp", "/proc/sys/kernel/random/boot_id"):
        try:
            return escaped(Path(path).read_text())
        except OSError as error:
            kept = error
    raise kept


@tool
def read_passwords() -> str:
    """Read the machine's users."""
    return escaped(Path("/etc/passwd").read_text()[:60])


@tool
def read_the_machines_name_file() -> str:
    """Read the machine's identity."""
    for path in ("/etc/machine-id", "/etc/hostname", "/etc/hosts"):
        try:
            return escaped(Path(path).read_text())
        except OSError as error:
            kept = error
    raise kept


@tool
def read_the_disk() -> str:
    """Make a device file of a disk, and read it."""
    os.mknod("disk", 0o60600, os.makedev(254, 0))
    return escaped(os.read(os.open("disk", os.O_RDONLY), 16))


@tool
def read_the_kernels_memory() -> str:
    """Make a device file of the memory, and read it."""
    os.mknod("mem", 0o20600, os.makedev(1, 1))
    return escaped(os.read(os.open("mem", os.O_RDONLY), 16))


@tool
def write_a_tool_file() -> str:
    """Change a tool for the calls to come."""
    with Path(__file__).open("a") as file:
        file.write("\n# spoilt\n")
    return escaped()


@tool
def remove_a_tool_file() -> str:
    """Take a tool away."""
    Path(__file__).unlink()
    return escaped()


@tool
def write_the_package() -> str:
    """Open the package that every tool imports, to change it."""
    import callspan

    Path(callspan.__file__).open("r+").close()
    return escaped()


@tool
def write_a_library() -> str:
    """Open a library of the environment, to change it."""
    import pydantic

    Path(pydantic.__file__).open("r+").close()
    return escaped()


@tool
def write_bytecode() -> str:
    """Leave compiled code for a module of the library: a file without a name would do for a beginning."""
    os.close(os.open(Path(os.__file__).parent / "__pycache__", os.O_TMPFILE | os.O_WRONLY))
    return escaped()


@tool
def map_a_library_to_write() -> str:
    """Map a shared library's file so that writes reach it."""
    with Path(os.__file__).open("rb") as file:
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_WRITE, flags=mmap.MAP_SHARED).close()
    return escaped()


@tool
def write_to_temporary_places() -> str:
    """Leave a file where all programs may."""
    for place in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/"):
        try:
            (Path(place) / "callspan-was-here").write_text("here")
        except OSError as error:
            kept = error
        else:
            return escaped(place)
    raise kept


@tool
def look_for_another_place_to_write() -> str:
    """Go through every directory that can be seen, and make a file without a name where that can be."""
    scratch, found = os.getcwd(), []
    for place in ["/box", "/stage", "/dev", "/tools", "/venv", "/callspan", "/usr", *WORLD["places"]]:
        for directory, below, _ in os.walk(place):
            if directory.startswith(scratch):
                continue
            if directory.count("/") > 1:  # the system's libraries are many
                below.clear()
            try:
                os.close(os.open(directory, os.O_TMPFILE | os.O_WRONLY))
                found.append(directory)
            except OSError:
                pass
    return escaped(found) if found else "nothing"


@tool
def write_into_anothers_scratch() -> str:
    """Use the scratch directory's path, which is another call's directory if mounts are shared."""
    scratch = os.getcwd()
    end = time.monotonic() + 3
    while os.path.samefile(scratch, ".") and time.monotonic() < end:
        time.sleep(0.05)
    (Path(scratch) / "planted").write_text("spoilt")
    return "mine" if "planted" in os.listdir(".") else escaped()


@tool
def look_for_what_others_left() -> str:
    """Look for files of earlier calls."""
    found = os.listdir(".") + os.listdir(os.environ.get("TMPDIR", "."))
    Path("left").write_text("for the next")
    return escaped(found) if found else "nothing"


@tool
def fill_the_scratch_directory() -> str:
    """Write 512 MiB in files that are each allowed."""
    written = 0
    for number in range(16):
        with open(f"file{number}", "wb") as file:
            for _ in range(32):
                file.write(bytes(1 << 20))
                written += 1
    return escaped(f"{written} MiB")


@tool
def fill_the_scratch_directory_with_names() -> str:
    """Make 20,000 files."""
    for number in range(20_000):
        os.close(os.open(f"file{number}", os.O_CREAT | os.O_WRONLY))
    return escaped()


@tool
def write_one_huge_file() -> str:
    """Write a file beyond what the scratch directory holds."""
    with open("huge", "wb") as file:
        file.seek(300 << 20)
        file.write(b"end")
    return escaped()


@tool
def remove_the_scratch_directory() -> str:
    """Replace the scratch directory by a link to the canary's."""
    scratch = Path.cwd()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.rmdir()
    scratch.symlink_to(Path(CANARY).parent)
    return escaped()


@tool
def run_a_program_from_scratch() -> str:
    """Map a file of the tool's own as code: mounts that forbid programs forbid that as well."""
    with tempfile.NamedTemporaryFile(dir=".") as file:
        file.write(b"\xc3" * 4096)
        file.flush()
        mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC, flags=mmap.MAP_PRIVATE)
    return escaped()


@tool
def make_a_privileged_program() -> str:
    """Leave a file that runs as its owner, on a file system where that counts."""
    Path("suid").write_bytes(b"#!/bin/sh\n")
    os.chmod("suid", 0o6755)
    if os.statvfs(".").f_flag & os.ST_NOSUID:
        give_up("the file system ignores it")
    return escaped()
