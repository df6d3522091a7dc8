#!/usr/bin/env python3
"""Builds llama.cpp for this very processor, as those who want it fast do, into bench/.venv: what ours is compared with.

The sources are those that PyPI's llama-cpp-python carries; cmake and ninja come from PyPI too. Nothing is done twice.
Its own programs are built, not the Python package, so that it pays nothing for being asked from Python.
usage: bench/setup_llama.py
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from pathlib import Path

BENCH = Path(__file__).resolve().parent
VENV = BENCH / ".venv"
BARRIER = VENV / "amx_barrier.h"
VERSION = "0.3.36"
PROGRAMS = ("llama-server", "llama-bench", "llama-quantize")
TOOLS = ("cmake>=3.30,<5", "ninja>=1.11")
# Everything else is as its authors set it: -O3, all that this processor has (AMX included), OpenMP, repacked weights.
FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
    f"-DCMAKE_CXX_FLAGS=-include {BARRIER}",
)

# GCC 12's _tile_loadconfig tells the compiler that it reads eight bytes of the sixty-four, so that llama.cpp's stores
# to the others are optimised away and its AMX code crashes. With this, included by force, all are made before.
BARRIER_TEXT = """
#if defined(__x86_64__) && defined(__AMX_TILE__)
#include <immintrin.h>
#define _tile_loadconfig(config) \\
    do { __asm__ volatile("" : : "r"(config) : "memory"); _tile_loadconfig(config); } while (0)
#endif
"""


def say(what: str) -> None:
    print(f"setup_llama: {what}", file=sys.stderr, flush=True)


def programs() -> Path:
    """The directory of its programs, built if they are not there."""
    recipe = hashlib.sha256(repr((FLAGS[:-1], BARRIER_TEXT)).encode()).hexdigest()[:8]
    built = VENV / f"llama-{VERSION}-{recipe}"
    if all((built / name).is_file() for name in PROGRAMS):
        return built
    say(f"building llama.cpp of llama-cpp-python {VERSION} in {VENV}: about fifteen minutes of one core, once")
    started = time.monotonic()
    if not (VENV / "bin" / "python").exists():
        venv.create(VENV, with_pip=True)
    python = VENV / "bin" / "python"
    BARRIER.write_text(BARRIER_TEXT, "utf-8")
    run(python, "-m", "pip", "install", "--quiet", *TOOLS)
    with tempfile.TemporaryDirectory(dir=VENV) as room:
        say("downloading the sources")
        tree = sources(python, Path(room))
        build = Path(room) / "build"
        run(
            VENV / "bin" / "cmake",
            "-G",
            "Ninja",
            "-S",
            tree,
            "-B",
            build,
            f"-DCMAKE_MAKE_PROGRAM={VENV}/bin/ninja",
            *FLAGS,
        )
        say("compiling")
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        run(VENV / "bin" / "cmake", "--build", build, "--parallel", jobs, "--target", *PROGRAMS)
        half = Path(room) / "bin"
        half.mkdir()
        for name in PROGRAMS:
            (build / "bin" / name).rename(half / name)
        half.rename(built)
    say(f"done after {(time.monotonic() - started) / 60:.1f} minutes: {built}")
    return built


def sources(python: Path, room: Path) -> Path:
    """llama.cpp's tree, unpacked."""
    run(
        python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python",
        "--dest", room, f"llama-cpp-python=={VERSION}",
    )  # fmt: skip
    (archive,) = room.glob("llama_cpp_python-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(room, filter="data")
    return room / archive.name.removesuffix(".tar.gz") / "vendor" / "llama.cpp"


def run(*command: str | Path) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode:
        raise SystemExit(f"setup_llama: {command[0]} failed; its last words:\n{done.stdout[-3000:]}")


if __name__ == "__main__":
    print(programs())
