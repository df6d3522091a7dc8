"""Whether calls are the expected ones, as the Berkeley Function Calling Leaderboard's AST checker sees it.

Names are equal, every argument is among its accepted values, none is missing that must be there ("" among the accepted
values: it may be), none is there that was not expected, and the order of several calls says nothing. Strings are equal
if they are so without case and the characters ` ,./-_*^`, and with `'` for `"`; strictly, if they are the same. In a
list the order counts. Objects within arguments have lists of accepted values for their keys, at any depth.

What a tool's schema requires must be there, whatever the accepted values say.

It differs from BFCL's in that JSON, not Python, is compared: 3 and 3.0 are one number wherever they stand (there only
for a float parameter), true is no number, strings deep in lists and objects are compared as all are, and several calls
are matched as well as they can be, not in the first order found.
"""

import re
from typing import Any

# https://github.com/ShishirPatil/gorilla, bfcl_eval/eval_checker/ast_eval/ast_checker.py: standardize_string.
_UNHEARD = re.compile(r"[ ,./\-_*^]")


def standard(text: str) -> str:
    """A string as far as it matters."""
    return _UNHEARD.sub("", text).lower().replace("'", '"')


def difference(
    calls: list[dict[str, Any]], expected: list[dict[str, Any]], tools: list[dict[str, Any]], *, strict: bool = False
) -> str:
    """What is wrong with the calls `{"name", "arguments"}` of these tools, in a few words; "" if nothing is."""
    if len(calls) != len(expected):
        return f"{_count(len(calls))} instead of {_count(len(expected))}"
    required = {tool["name"]: tool["parameters"].get("required") or [] for tool in tools}
    found = [[_one(call, want, required.get(want["name"], []), strict) for call in calls] for want in expected]
    owner: dict[int, int] = {}
    for number, want in enumerate(expected):
        if not _assign(number, found, owner, set()):
            # Of several candidates the one with the right name says most.
            named = [what for call, what in zip(calls, found[number], strict=True) if call["name"] == want["name"]]
            return next((what for what in named if what), None) or f"no call of {want['name']} that is right"
    return ""


def _count(calls: int) -> str:
    return f"{calls or 'no'} call{'s' * (calls != 1)}"


def _assign(want: int, found: list[list[str]], owner: dict[int, int], tried: set[int]) -> bool:
    """Give the expected call one that is right, moving others to another of theirs if need be (Kuhn's algorithm)."""
    for call, what in enumerate(found[want]):
        if not what and call not in tried:
            tried.add(call)
            if call not in owner or _assign(owner[call], found, owner, tried):
                owner[call] = want
                return True
    return False


def _one(call: dict[str, Any], want: dict[str, Any], required: list[str], strict: bool) -> str:
    if call["name"] != want["name"]:
        return f"{call['name']} instead of {want['name']}"
    given, expected = call["arguments"], want["arguments"]
    if not isinstance(given, dict):
        return "the arguments are no object"
    for name, value in given.items():
        if name not in expected:
            return f"{name} was not expected"
        if not _accepted(value, expected[name], strict):
            return f"{name} is {value!r}"
    missing = [name for name in required if name not in given]
    missing += [name for name, accepted in expected.items() if name not in given and "" not in accepted]
    return f"{missing[0]} is missing" if missing else ""


def _accepted(value: Any, accepted: list[Any], strict: bool) -> bool:
    return any(_same(value, one, strict) for one in accepted)


def _same(value: Any, want: Any, strict: bool) -> bool:
    if isinstance(value, bool) or isinstance(want, bool):
        return value is want
    if isinstance(value, int | float) and isinstance(want, int | float):
        return value == want
    if isinstance(value, str) and isinstance(want, str):
        return value == want if strict else standard(value) == standard(want)
    if isinstance(value, list) and isinstance(want, list):
        return len(value) == len(want) and all(_same(a, b, strict) for a, b in zip(value, want, strict=True))
    if isinstance(value, dict) and isinstance(want, dict):
        return _same_object(value, want, strict)
    return value is None and want is None


def _same_object(value: dict[str, Any], want: dict[str, Any], strict: bool) -> bool:
    for key, one in value.items():
        if key not in want:
            return False
        alternatives = want[key] if isinstance(want[key], list) else [want[key]]
        # What stands there may also be the value itself: a list, where no alternatives were meant.
        if not _accepted(one, alternatives, strict) and not _same(one, want[key], strict):
            return False
    return all(key in value or (isinstance(one, list) and "" in one) for key, one in want.items())
