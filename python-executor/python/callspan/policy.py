"""What a tool says that it needs or can do with: the words of `@tool(…)` that are policy.

They can only restrict what the deployment allows, and ask for what it must grant. Here they are checked in form, so
that a mistake is told with its line; the executor decides.
"""

import difflib
import re
from typing import Any, Literal, TypedDict


class Policy(TypedDict, total=False):
    """The one vocabulary, the same in the executor's policy file."""

    wall_ms: int
    cpu_s: int
    memory_mib: int
    scratch_mib: int
    output_kib: int
    read: list[str]
    write: list[str]
    network: list[str]
    environment: list[str]
    approval: Literal["auto", "ask"]


_PORT = r"(?P<port>[1-9][0-9]{0,4})"
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_ENDPOINTS = (
    re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*\.?:{_PORT}"),
    re.compile(rf"\[[0-9A-Fa-f:.]{{2,45}}\]:{_PORT}"),
    re.compile(r"unix:/[^\x00]{1,107}"),
)
_FORMS: dict[str, tuple[Any, str]] = {
    "read": (lambda text: text.startswith(("/", "~/")) and "\0" not in text, "an absolute path, or one in ~/"),
    "write": (lambda text: text.startswith(("/", "~/")) and "\0" not in text, "an absolute path, or one in ~/"),
    "network": (lambda text: _is_endpoint(text), "host:port, [::1]:80 or unix:/path"),
    "environment": (re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch, "the name of an environment variable"),
}


def wrong(policy: dict[str, Any]) -> str | None:
    """What is wrong with the policy that a decorator gives, if anything is."""
    for key, value in policy.items():
        if key not in Policy.__annotations__:
            near = difflib.get_close_matches(key, [*Policy.__annotations__, "name", "description"], n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(Policy.__annotations__)}"
            return f"@tool has no argument `{key}`; {hint}"
        if why := _wrong_value(key, value):
            return f"`{key}={value!r}`: {why}"
    return None


def _wrong_value(key: str, value: Any) -> str | None:
    if key == "approval":
        return None if value in ("auto", "ask") else 'write "auto" or "ask"'
    if key not in _FORMS:
        good = type(value) is int and 0 < value < 1 << 32
        return None if good else "write a whole number greater than 0"
    fits, form = _FORMS[key]
    if type(value) not in (list, tuple):
        return f'write a list, such as `{key}=["…"]`'
    for item in value:
        if type(item) is not str or not fits(item):
            return f"{item!r} is not {form}"
    return None


def _is_endpoint(text: str) -> bool:
    found = next(filter(None, (form.fullmatch(text) for form in _ENDPOINTS)), None)
    return found is not None and int(found.groupdict().get("port") or 1) < 1 << 16
