"""The model's own format, through `rust-inference render` and `parse`, kept running beside: a line in, a line out."""

import contextlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from callspan.evaluate.cases import Case
from callspan.evaluate.errors import Trouble


class Format:
    """Writes prompts and reads calls as the server would."""

    def __init__(self, program: str | Path | None = None) -> None:
        """Take the program, if it is not on the PATH and not in the checkout's bin/."""
        built = Path(__file__).parents[4] / "bin" / "rust-inference"
        found = program or shutil.which("rust-inference") or (built if built.exists() else None)
        if found is None:
            raise Trouble(
                "rust-inference is not on the PATH: --unconstrained writes prompts and reads calls with it",
                "make build, or say where it is: --program PATH",
            )
        self._running = {what: _start(str(found), what) for what in ("render", "parse")}

    def close(self) -> None:
        """End both."""
        for process in self._running.values():
            for pipe in (process.stdin, process.stdout):
                # What a program that is gone was still to be told is lost with it.
                with contextlib.suppress(OSError):
                    pipe.close()
            process.wait()

    def prompt(self, case: Case) -> str:
        """The prompt of a case, control tokens included."""
        answer = self._ask("render", {"tools": case.tools, "messages": case.messages})
        if not answer.get("ok"):
            raise Trouble(f"{case.id} has no prompt: {answer['error'].get('message')}", "take the case out")
        return answer["result"]["prompt"]

    def read(self, case: Case, text: str) -> tuple[str, list[dict[str, Any]], str]:
        """The prose, the calls and what was wrong with them of what the model wrote; schemas are left to who judges."""
        tools = [{"name": tool["name"], "parameters": {"type": "object"}} for tool in case.tools]
        answer = self._ask("parse", {"tools": tools, "text": text})
        if not answer.get("ok"):
            return text, [], answer["error"].get("message", "")
        result = answer["result"]
        return result.get("content", "").strip(), result.get("tool_calls", []), ""

    def _ask(self, what: str, question: dict[str, Any]) -> dict[str, Any]:
        process = self._running[what]
        try:
            process.stdin.write(json.dumps({"id": 1} | question) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())
        except (OSError, ValueError):
            raise Trouble(
                f"rust-inference {what} --batch gave no answer", "try it by hand: README.md says how"
            ) from None


def _start(program: str, what: str) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(  # noqa: S603  (our own program, or the one that was named)
            [program, what, "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
    except OSError as error:
        raise Trouble(f"{program} cannot be started: {error.strerror or error}", "--program PATH") from None
