"""Test a tool: `call` within the test's own process, `Sandbox` in the real executor.

Both check arguments and read results as production does, and give the same Result; so a test can begin with the one,
which needs no server and stops at breakpoints, and end with the other, which has limits and no network.
"""

import base64
import contextlib
import functools
import io
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from callspan import channel, logs, runtime
from callspan.decorator import Tool
from callspan.encode import encode
from callspan.errors import BadResult, ToolError, ToolFailure, ToolFileError

_OUTCOMES = {"MemoryError": "memory", "SystemExit": "exited"}


@dataclass
class Result:
    """How a call ended, and what the tool told."""

    outcome: str
    """`ok`, `invalid_arguments`, `exception`, `bad_result`; from the sandbox also `timeout` and its like."""
    json: str = ""
    error: ToolError | None = None
    traceback: str = ""
    stdout: str = ""
    stderr: str = ""
    progress: list[dict[str, Any]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    artefacts: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Media type and bytes, by name."""

    @property
    def value(self) -> Any:
        """The result, as the model gets it; raises the tool's failure as a ToolError if there is none."""
        if self.error is not None:
            raise self.error
        return json.loads(self.json)


def call(function: Callable[..., Any], /, **arguments: Any) -> Result:
    """Call a tool within this process, with the checks of production, in a scratch directory of its own."""
    given = encode(arguments, what="arguments")
    tool = _tool(function)
    result, told = Result("ok"), channel.Recorder()
    try:
        nullable = tool.inputs.nullable()
        checked = {name: one for name, one in json.loads(given).items() if one is not None or name not in nullable}
        wrong = next(_schema_validator(function).iter_errors(checked), None)
        if wrong is not None:
            place = "".join(f"/{step}" for step in wrong.absolute_path)
            raise ToolFailure("invalid_arguments", f"{place}: {wrong.message}" if place else wrong.message)
        with _scratch(), _channel(told), _printed(result), logs.installed():
            result.json = runtime.run(tool, given)
    except ToolFailure as failure:
        known = "invalid_arguments" if failure.type_name == "invalid_arguments" else "exception"
        result.outcome = _OUTCOMES.get(failure.type_name, known)
        result.error = ToolError(failure.type_name, failure.message)
        result.traceback = failure.traceback
    except BadResult as bad:
        result.outcome, result.error = "bad_result", ToolError("bad_result", str(bad))
    result.progress, result.logs, result.artefacts = told.progress, told.logs, told.artefacts
    return result


@functools.cache
def _tool(function: Callable[..., Any]) -> Tool:
    return Tool(function, None, None)


@functools.cache
def _schema_validator(function: Callable[..., Any]) -> Any:
    try:
        from jsonschema import Draft202012Validator
    except ImportError as error:
        raise ImportError("callspan.testing needs jsonschema: pip install 'callspan[testing]'") from error
    return Draft202012Validator(_tool(function).declaration()["parameters"])


@contextlib.contextmanager
def _scratch() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="callspan-") as directory, contextlib.chdir(directory):
        yield


@contextlib.contextmanager
def _channel(told: channel.Recorder) -> Iterator[None]:
    before, channel.current = channel.current, told
    try:
        yield
    finally:
        channel.current = before


@contextlib.contextmanager
def _printed(result: Result) -> Iterator[None]:
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield
    finally:
        result.stdout, result.stderr = out.getvalue(), err.getvalue()


class Sandbox:
    """A running python-executor with the tools of a directory; a context manager, good for a pytest fixture.

    >>> with Sandbox("mytools") as sandbox:
    ...     assert sandbox.call("set_alarm", hour=7).value == {"set": "07:00", "label": "wake up"}
    """

    def __init__(self, tools: str | Path, *arguments: str | Path, program: str | Path | None = None) -> None:
        """Take the directory, further arguments of the program, and the program if it is not on the PATH."""
        self._tools, self._arguments, self._program = Path(tools), arguments, program
        self.process: subprocess.Popen[bytes] | None = None
        self._stack = contextlib.ExitStack()
        self._id = 0

    def __enter__(self) -> Self:
        """Start it; a tool file that cannot be used is an error."""
        with self._stack:
            room = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="callspan-"))
            path = Path(room) / "s"
            command = [_find(self._program), "--socket", path, "--tools", self._tools, *self._arguments]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  (the caller's program)
            self._stack.callback(_end, self.process)
            self._file = self._stack.enter_context(_connect(path, self.process).makefile("rw", encoding="utf-8"))
            if problems := self._ask({"list_tools": {}})[-1]["tools"].get("problems"):
                raise ToolFileError("; ".join(f"{one['file']}: {one['message']}" for one in problems))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End it, and what it started."""
        self._stack.close()

    def call(self, name: str, /, **arguments: Any) -> Result:
        """Call a tool by name, as a client would."""
        given = encode(arguments, what="arguments")
        return _result(self._ask({"call_tool": {"name": name, "arguments": json.loads(given)}}))

    def run_code(self, code: str, allow: Container[str] = ()) -> Result:
        """Run a snippet; its calls of the tools that are named in `allow` are approved, all others denied."""
        return _result(self._ask({"run_code": {"code": code, "decides": True}}, allow))

    def _ask(self, body: dict[str, Any], allow: Container[str] = ()) -> list[dict[str, Any]]:
        """Send one request; gives the deltas of its answer, and its end."""
        self._id += 1
        self._send({"id": self._id, **body})
        frames = []
        for line in self._file:
            frame = json.loads(line)
            if "tool_request" in frame:
                good = frame["tool_request"]["call"]["name"] in allow
                decision = {"verdict": "allow"} if good else {"verdict": "deny", "reason": "the test does not allow it"}
                self._send({"id": frame["id"], "tool_decision": decision})
            elif frame.get("id") == self._id:
                frames.append(frame)
                if "delta" not in frame:
                    return frames
        raise ConnectionError("python-executor has ended; what it said is on standard error")

    def _send(self, frame: dict[str, Any]) -> None:
        self._file.write(json.dumps(frame) + "\n")
        self._file.flush()


def _result(frames: list[dict[str, Any]]) -> Result:
    *deltas, last = frames
    if "error" in last:
        raise ToolError(last["error"].get("code", "error"), last["error"].get("message", ""))
    ended, told = last["tool_result"], [frame.get("delta", {}) for frame in deltas]
    result = Result(ended["outcome"], ended.get("result", ""))
    if "error" in ended:
        result.error = ToolError(ended["error"].get("type", ""), ended["error"].get("message", ""))
        result.traceback = ended["error"].get("traceback", "")
    result.stdout, result.stderr = ended.get("stdout", ""), ended.get("stderr", "")
    result.progress = [delta["progress"] for delta in told if "progress" in delta]
    result.logs = [record for delta in told for record in delta.get("logs", [])]
    result.artefacts = {
        one["name"]: (one["media_type"], base64.b64decode(one.get("data", ""))) for one in ended.get("artefacts", [])
    }
    return result


def _find(program: str | Path | None) -> str:
    built = Path(__file__).parents[3] / "bin" / "python-executor"
    found = program or shutil.which("python-executor") or (built if built.exists() else None)
    if found is None:
        raise FileNotFoundError("python-executor is not on the PATH: install it, or say where it is with program=")
    return str(found)


def _connect(path: Path, process: subprocess.Popen[bytes]) -> socket.socket:
    deadline = time.monotonic() + 60
    while True:
        made = socket.socket(socket.AF_UNIX)
        try:
            made.connect(str(path))
        except OSError:
            made.close()
            if process.poll() is not None:
                raise ConnectionError("python-executor does not start; it says why on standard error") from None
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return made


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
