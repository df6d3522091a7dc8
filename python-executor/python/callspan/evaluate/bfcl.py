"""The Berkeley Function Calling Leaderboard's own files, as cases.

Read are the single-turn categories in Python's words: simple, multiple, parallel, parallel_multiple, irrelevance, and
the same of live_, with live_relevance. A file `BFCL_v3_NAME.json` (v4 as well) holds a case a line: `{"id", "question":
[[message]], "function": [tool]}`, `possible_answer/` beside it `{"id", "ground_truth": [{NAME: {ARGUMENT: [VALUE]}}]}`.
Tools become what BFCL sends to models with function calling of their own: its types as JSON Schema's, and dots in names
as underscores. Left away is the sentence that BFCL adds to descriptions of floats.
"""

import re
from pathlib import Path
from typing import Any

from callspan.evaluate.cases import BadCase, Case, from_json, json_lines
from callspan.evaluate.errors import Trouble

_FILE = re.compile(
    r"BFCL_v\d+_((?:live_)?(?:simple|simple_python|multiple|parallel|parallel_multiple|(?:ir)?relevance))\.json"
)
# https://github.com/ShishirPatil/gorilla, bfcl_eval/constants/type_mappings.py; any other is a string, as there.
_TYPES = {
    **dict.fromkeys(("integer", "byte", "short", "long", "Bigint"), "integer"),
    **dict.fromkeys(("number", "float", "double"), "number"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("array", "list", "tuple", "Array", "ArrayList", "Queue", "Stack"), "array"),
    **dict.fromkeys(("object", "dict", "HashMap", "Hashtable"), "object"),
}


def read(directory: Path) -> tuple[list[Case], list[str]]:
    """The cases of a directory, by category, and the names of BFCL's files there that are not read."""
    files = sorted(directory.glob("BFCL_v*.json"))
    known = {file: match[1] for file in files if (match := _FILE.fullmatch(file.name))}
    if not known:
        raise Trouble(
            f"{directory} has no file of BFCL's that is read here",
            "name the directory with BFCL_v3_simple.json and its like, and possible_answer/ beside them",
        )
    cases = [case for file, category in known.items() for case in _category(file, category)]
    return cases, [file.name for file in files if file not in known]


def _category(file: Path, category: str) -> list[Case]:
    truths: dict[str, Any] = {}
    if "relevance" not in category:
        answers = file.parent / "possible_answer" / file.name
        for number, line in json_lines(answers, "BFCL keeps its answers in possible_answer/, a JSON object a line"):
            name, truth = (line.get("id"), line.get("ground_truth")) if isinstance(line, dict) else (None, None)
            if not isinstance(name, str) or not isinstance(truth, list):
                raise Trouble(f"{answers}, line {number}: no `id` with a list `ground_truth`", "")
            truths[name] = truth
    cases = []
    for number, line in json_lines(file, "BFCL's files hold a JSON object a line"):
        try:
            cases.append(_case(line, category, truths))
        except BadCase as bad:
            raise Trouble(f"{file}, line {number}: {bad}", "") from None
    return cases


def _case(line: Any, category: str, truths: dict[str, Any]) -> Case:
    if not isinstance(line, dict) or not all(isinstance(line.get(key), list) for key in ("question", "function")):
        raise BadCase("a case of BFCL's is an object with the lists `question` and `function`")
    if not isinstance(line.get("id"), str):
        raise BadCase("`id` is missing")
    # One turn: its messages, in a list of turns or not.
    turns = line["question"]
    messages = turns[0] if turns and isinstance(turns[0], list) else turns
    tools: dict[str, Any] = {}
    for function in line["function"]:
        tool = _tool(function)
        # Of two with one name BFCL's checker knows the first.
        tools.setdefault(tool["name"], tool)
    case = {
        "id": line["id"],
        "kind": category.removesuffix("_python"),
        "split": "live" if category.startswith("live_") else "non_live",
        "tools": list(tools.values()),
        "messages": messages,
        "expect": _expect(line["id"], category, truths),
    }
    return from_json(case)


def _expect(name: str, category: str, truths: dict[str, Any]) -> dict[str, Any]:
    if category.endswith("irrelevance"):
        return {"no_call": "refuse"}
    if category.endswith("relevance"):
        return {"calls": "any"}
    if name not in truths:
        raise BadCase(f"possible_answer/ has none for {name}")
    calls = []
    for truth in truths[name]:
        if not isinstance(truth, dict) or len(truth) != 1 or not isinstance(*truth.values(), dict):
            raise BadCase(f"a ground truth of {name} is no object with the arguments of one name")
        ((function, arguments),) = truth.items()
        # A few lists have no accepted value, so that there nothing is right; what is meant is the empty list.
        arguments = {name: accepted or [[]] for name, accepted in arguments.items()}
        calls.append({"name": _name(function), "arguments": arguments})
    return {"calls": calls}


def _tool(function: Any) -> dict[str, Any]:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadCase("a function has no `name`")
    parameters = function.get("parameters", {"type": "dict", "properties": {}})
    return {
        "name": _name(function["name"]),
        "description": function.get("description", ""),
        "parameters": _schema(parameters),
    }


def _name(name: str) -> str:
    return name.replace(".", "_")


def _schema(schema: Any) -> Any:
    """A schema in JSON Schema's words; what is a default or an enum's value is left as it is."""
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    if isinstance(schema.get("type"), str):
        made["type"] = _TYPES.get(schema["type"], "string")
    if isinstance(schema.get("properties"), dict):
        made["properties"] = {name: _schema(one) for name, one in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in schema:
            made[key] = _schema(schema[key])
    return made
