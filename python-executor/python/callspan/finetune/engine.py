"""Our engine, run beside Python to be compared with it: its `logits` for numbers, its server for the rest."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from callspan.finetune.errors import FinetuneError

PROGRAM = "rust-inference"
# Computed exactly, by one thread, leaving nothing beside the model.
EXACT = ("--weights", "f32")
START = 600.0


def program() -> Path:
    """The program: that of CALLSPAN_BIN, of a checkout, or of the path."""
    name = Path(os.environ["CALLSPAN_BIN"]) if "CALLSPAN_BIN" in os.environ else None
    checkout = Path(__file__).resolve().parents[4] / "bin"
    for folder in filter(None, (name, checkout)):
        if (folder / PROGRAM).is_file():
            return folder / PROGRAM
    found = shutil.which(PROGRAM)
    if not found:
        raise FinetuneError(f"{PROGRAM} is not found", "make build, or say where it is: CALLSPAN_BIN=DIR")
    return Path(found)


def logits(model: Path, texts: Sequence[str]) -> Iterator[tuple[list[int], bytes]]:
    """Of each text the ids, and a row of little-endian f32 for each of them."""
    command = [program(), "logits", "--model", model, *EXACT]
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as talk:
        given.write("".join(json.dumps(text) + "\n" for text in texts).encode())
        given.seek(0)
        with subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, stderr=talk) as process:  # noqa: S603
            for _ in texts:
                head = process.stdout.readline() if process.stdout else b""
                if not head:
                    process.wait()
                    talk.seek(0)
                    said = talk.read().decode(errors="replace").strip()
                    raise FinetuneError(f"rust-inference does not take {model}: {said}", status=1)
                found = json.loads(head)
                yield found["ids"], process.stdout.read(4 * len(found["ids"]) * found["columns"])


class Server:
    """A server with a model, and one connection to it; `with` ends both."""

    def __init__(self, model: Path, *flags: str | Path) -> None:
        """`flags` are the server's, as `--lora DIR`."""
        self.room = tempfile.TemporaryDirectory()
        path = Path(self.room.name) / "s"
        command = [program(), "--socket", path, "--model", model, *EXACT, "--threads", "1", "--no-packed-cache", *flags]
        with (Path(self.room.name) / "talk").open("wb") as talk:
            self.process = subprocess.Popen(command, stderr=talk)  # noqa: S603
        self.number = -1
        self.connection = socket.socket(socket.AF_UNIX)
        end = time.monotonic() + START
        while True:
            try:
                self.connection.connect(str(path))
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    said = (Path(self.room.name) / "talk").read_text("utf-8", errors="replace").strip()
                    self.__exit__()
                    raise FinetuneError(f"rust-inference does not serve {model}: {said}", status=1) from None
                time.sleep(0.02)
        self.lines = self.connection.makefile("rb")

    def __enter__(self) -> Self:
        """It serves already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the server."""
        self.connection.close()
        self.process.terminate()
        self.process.wait()
        self.room.cleanup()

    def ask(self, what: str, question: dict[str, Any]) -> dict[str, Any]:
        """The terminal answer to a question."""
        self.number += 2
        self.connection.sendall(json.dumps({"id": self.number, what: question}).encode() + b"\n")
        for line in self.lines:
            answer = json.loads(line)
            if answer.get("id") == self.number and "delta" not in answer:
                if "error" in answer:
                    raise FinetuneError(f"rust-inference refuses: {answer['error']}", status=1)
                return answer
        raise FinetuneError("rust-inference closed the connection", status=1)

    def score(self, prompt: str, completion: str) -> list[tuple[int, float]]:
        """The completion's tokens behind a prompt, and the logarithms of their probabilities."""
        found = self.ask("score", {"prompt": prompt, "completion": completion})["scores"]["logprobs"]
        # A zero, of a token that is certain, is left out as all defaults are.
        return [(token["id"], token.get("logprob", 0.0)) for token in found]
