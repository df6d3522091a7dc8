"""Docstrings, read as the model's documentation.

The schema says which types a tool takes; only the docstring says what they mean. Google's style is read because it
needs no markup: a first paragraph, and an `Args:` section with one `name: text` (or `name (type): text`) per parameter.
"""

import inspect
import re

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns?|Raises|Yields|Examples?|Notes?|Attributes|See Also):\s*$")
_ARGUMENT = re.compile(r"^(?P<name>[A-Za-z_]\w*)\s*(\([^)]*\))?:\s*(?P<text>.*)$")


def parse_docstring(text: str | None) -> tuple[str, dict[str, str]]:
    """Split a docstring into its first paragraph and the descriptions of its `Args:` section."""
    lines = inspect.cleandoc(text or "").splitlines()
    return _first_paragraph(lines), _arguments(lines)


def _first_paragraph(lines: list[str]) -> str:
    paragraph = []
    for line in lines:
        if not line.strip() or _SECTION.match(line):
            break
        paragraph.append(line.strip())
    return " ".join(paragraph)


def _arguments(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    inside, indent, current = False, None, None
    for line in lines:
        if section := _SECTION.match(line):
            inside, indent, current = section[1] in ("Args", "Arguments", "Parameters"), None, None
            continue
        if not inside or not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        if depth == 0:  # prose after the section
            inside = False
            continue
        indent = depth if indent is None else indent
        argument = _ARGUMENT.match(line.strip()) if depth <= indent else None
        if argument:
            current = argument["name"]
            found[current] = argument["text"].strip()
        elif current:  # a deeper line continues the description above it
            found[current] = f"{found[current]} {line.strip()}".strip()
    return found
