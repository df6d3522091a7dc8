"""What went wrong, as plain text that is safe to show: by file names, for paths would tell about the host."""

import itertools
from pathlib import Path

from pydantic import ValidationError

from callspan.errors import MAX_MESSAGE, ToolDefinitionError, ToolFailure, message_of, safe_name, text_of

MAX_FRAMES = 20

directories: set[str] = set()
"""Where the user's own files are: frames elsewhere are not shown."""


def broken(file: Path, error: BaseException) -> str:
    """Why a tool file cannot be used, with the line."""
    kind = type(error)
    if kind is ToolDefinitionError and error.line:
        return f"{Path(error.file).name}:{error.line}: {error}"
    if kind is FileNotFoundError and error.filename == str(file):
        return f"{file.name}:1: no such file: {file}"
    if issubclass(kind, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno or 1}: {safe_name(kind)}: {error.msg}"
    frames = frames_of(error)
    place = frames[-1].split(" in ")[0] if frames else f"{file.name}:1"
    return f"{place}: {safe_name(kind)}: {message_of(error)}"


def invalid(error: ValidationError) -> str:
    """Which arguments are wrong, and why."""
    parts = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
        place = ".".join(str(step) for step in item["loc"]) or "arguments"
        parts.append(f"`{place}`: {item['msg']}")
    return text_of("; ".join(parts), MAX_MESSAGE)


def failure(error: BaseException) -> ToolFailure:
    """What a tool raised."""
    return ToolFailure(safe_name(type(error)), message_of(error), "\n".join(frames_of(error)))


def frames_of(error: BaseException) -> list[str]:
    """The frames in the user's own files, outermost first, by file name only: paths would tell about the host."""
    step = BaseException.__dict__["__traceback__"].__get__(error)
    lines: list[str] = []
    while step is not None:
        code = step.tb_frame.f_code
        if str(Path(code.co_filename).parent) in directories:
            lines.append(f"{Path(code.co_filename).name}:{step.tb_lineno} in {code.co_name}")
        step = step.tb_next
    return shortened(lines)


def shortened(frames: list[str]) -> list[str]:
    """The last frames; those of a recursion are told once, with their number."""
    told = []
    for frame, same in itertools.groupby(frames):
        times = sum(1 for _ in same)
        place, line, text = frame.partition("\n")
        told.append(frame if times == 1 else f"{place} ({times} times){line}{text}")
    return told[-MAX_FRAMES:]
