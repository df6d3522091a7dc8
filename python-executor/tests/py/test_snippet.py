"""Snippets: what they give, what they keep, how they call tools, and that none can spoil its own answer."""

import json
import re
import sys

import pytest

from callspan import channel, logs, runtime
from callspan.runtime import ToolFailure

TOOLS = json.dumps(
    [
        {
            "name": "add",
            "description": "Add two numbers.",
            "parameters": {
                "type": "object",
                "properties": {
                    "b": {"type": "integer", "default": 2},
                    "a": {"type": "integer", "description": "The first"},
                },
                "required": ["a"],
            },
        },
        {"name": "file.read", "description": "", "parameters": {"type": "object", "properties": {}}},
        {"name": "odd", "description": "", "parameters": {"type": "object", "properties": {"from": {}, "a-b": {}}}},
    ]
)


def add(a, b=2):
    if a < 0:
        raise ValueError(f"{a} is negative")
    return a + b


@pytest.fixture(autouse=True)
def _one_session(monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(runtime, "_session", None)
    monkeypatch.setattr(channel, "current", channel.Recorder({"add": add, "odd": lambda **more: more}))
    with logs.installed():
        yield


def run(code):
    return json.loads(runtime.run_code(code, TOOLS))


def failure(code):
    with pytest.raises(ToolFailure) as caught:
        run(code)
    return caught.value


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("1 + 1", 2),
        ("x = 1", None),
        ("", None),
        ("# nothing", None),
        ("'a string'", "a string"),
        ("x = [1]\nx.append((2,))\nx", [1, [2]]),
        ("def f():\n    return 5\nf();", 5),
        ("print(1)", None),
        ("if True:\n    7", None),
        ("{1, 2}", "{1, 2}"),
        ("float('nan')", "nan"),
        ("[float('inf')]", "[inf]"),
        ("b'x'", "b'x'"),
        ("'\\ud800'", "'\\ud800'"),
        ("'x' * 2_000_000", "'" + "x" * 9_999 + "…"),
        ("import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: 'int'\nP(1)", {"x": 1}),
        ("from __future__ import annotations\n__name__", "__main__"),
        ("import asyncio\nawait asyncio.sleep(0, 6)", 6),
        ("async def f():\n    return 8\nx = await f()\nx", 8),
        (
            "import asyncio\nasync def count():\n    yield 1\n    yield 2\nsum([n async for n in count()])",
            3,
        ),
        ("import asyncio\nasyncio.run(asyncio.sleep(0, 4))", 4),
    ],
)
def test_the_value_is_the_last_expressions(code, value):
    assert run(code) == value


def test_names_functions_imports_and_the_event_loop_outlive_a_snippet():
    run("import math, asyncio\nx = 4\ndef root(): return math.sqrt(x)")
    run("lock = asyncio.Lock()\nawait lock.acquire()\nwaiting = asyncio.ensure_future(lock.acquire())\nx = 9")
    assert run("root()") == 3.0
    assert run("lock.release()\nawait waiting") is True
    assert run("sorted(name for name in dir() if not name.startswith('__'))") == [
        "add",
        "asyncio",
        "file_read",
        "lock",
        "math",
        "odd",
        "root",
        "waiting",
        "x",
    ]


def test_what_is_printed_is_printed_at_once(capfd):
    run("print('out')\nimport sys\nprint('err', file=sys.stderr)")
    assert capfd.readouterr() == ("out\n", "err\n")


@pytest.mark.parametrize("code", ["add(1, 3)", "add(a=1, b=3)", "add(1, b=3)"])
def test_tools_are_functions_by_position_or_keyword(code):
    assert run(code) == 4


def test_tools_say_what_they_are():
    assert run("add.__doc__") == "Add two numbers.\n\nArgs:\n    a: The first"
    assert run("import inspect\nstr(inspect.signature(add)), add.__name__") == ["(a, b=2)", "add"]
    assert run("add(40)") == 42
    assert run("odd(**{'from': 1, 'a-b': [2]})") == {"from": 1, "a-b": [2]}


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("add()", "TypeError", "add() needs `a`"),
        ("add(1, 2, 3)", "TypeError", "add() takes 2 arguments, and 3 were given"),
        ("add(1, a=1)", "TypeError", "add() got two values for `a`"),
        ("add(1, c=1)", "TypeError", "add() has no parameter `c`; it has a, b"),
        ("file_read(1)", "TypeError", "file_read() takes 0 arguments, and 1 were given"),
        ("add(float('nan'))", "BadResult", "arguments.… is nan, which JSON cannot hold"),
        ("add(-1)", "ToolError", "ValueError: -1 is negative"),
        ("file_read()", "PermissionError", "calling `file.read` was not allowed"),
    ],
)
def test_a_call_that_fails_raises_in_the_snippet(code, kind, message):
    told = failure(code)
    assert (told.type_name, told.message) == (kind, message)
    assert told.traceback == f"<snippet>:1 in <module>\n    {code}"


def test_a_snippet_can_catch_what_a_tool_raises():
    assert run(
        "import callspan\ntry:\n    add(-5)\nexcept callspan.ToolError as e:\n    x = [e.type, e.message]\nx"
    ) == [
        "ValueError",
        "-5 is negative",
    ]


def test_without_anyone_to_ask_a_tool_says_so(monkeypatch):
    monkeypatch.setattr(channel, "current", None)
    assert failure("add(1)").message == "Unavailable: nobody is here to call tools"


def test_a_traceback_has_the_snippets_frames_with_their_lines():
    run("def outer(x):\n    return inner(x)\n")
    told = failure("import json\ndef inner(text):\n    return json.loads(text)\n\nouter('{')  # here")
    assert told.type_name == "JSONDecodeError"
    assert told.traceback == (
        "<snippet 2>:5 in <module>\n    outer('{')  # here\n"
        "<snippet>:2 in outer\n    return inner(x)\n"
        "<snippet 2>:3 in inner\n    return json.loads(text)"
    )


@pytest.mark.parametrize(
    ("code", "kind", "message", "place"),
    [
        ("x = 1\ny = (", "SyntaxError", "'(' was never closed", "<snippet>:2\n    y = ("),
        (
            "if 1:\nx",
            "IndentationError",
            "expected an indented block after 'if' statement on line 1",
            "<snippet>:2\n    x",
        ),
        ("return 1", "SyntaxError", "'return' outside function", "<snippet>:1\n    return 1"),
        ("a\x0cb = (", "SyntaxError", None, "<snippet>:1\n    a\x0cb = ("),
        ("\r\n\r\nx = = 1", "SyntaxError", "invalid syntax", "<snippet>:3\n    x = = 1"),
    ],
)
def test_what_is_no_python_is_told_with_its_line(code, kind, message, place):
    told = failure(code)
    assert told.type_name == kind
    assert message in (None, told.message)
    assert told.traceback == place


def test_a_recursion_is_told_once_with_its_depth():
    told = failure("def f(n):\n    return f(n + 1)\n\nf(0)")
    first, line, second, source = told.traceback.splitlines()
    assert (first, line, source) == ("<snippet>:4 in <module>", "    f(0)", "    return f(n + 1)")
    assert re.fullmatch(r"<snippet>:2 in f \([89]\d\d times\)", second)


HOSTILE = """
class H(Exception):
    def __repr__(self): raise SystemExit
    __str__ = __repr__
"""


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("exit()", "SystemExit", "None"),
        ("import sys\nsys.exit(3)", "SystemExit", "3"),
        ("def f(): f()\nf()", "RecursionError", "maximum recursion depth exceeded"),
        ("import sys\nsys.setrecursionlimit(60)\ndef f(): f()\nf()", "RecursionError", "maximum recursion depth"),
        (HOSTILE + "raise H", "H", "(its message could not be read)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("raise SyntaxError('x', ([], 1, 1, ''))", "SyntaxError", "x ("),
        ("raise SyntaxError('x', ('<snippet>', 10**9, 1, ''))", "SyntaxError", "x"),
        (
            "import builtins\nbuiltins.len = builtins.isinstance = builtins.type = None\n1 / 0",
            "ZeroDivisionError",
            "division",
        ),
        ("import sys\nsys.settrace(lambda *a: 1 / 0)\nint('x')", "ValueError", "invalid literal"),
        ("import sys\nsys.setprofile(lambda *a: 1 / 0)\nint('x')", "ZeroDivisionError", "division"),
        ("import sys\ndel sys.stdout\nint('x')", "ValueError", "invalid literal"),
        ("(" * 300, "SyntaxError", "too many nested parentheses"),
        ("-" * 100_000 + "1", "", ""),
        ("x = 'a\x00b'", "", "null bytes"),
        ("raise BaseExceptionGroup('g', [KeyboardInterrupt()])", "BaseExceptionGroup", "g (1 sub-exception)"),
        ("class E(Exception):\n    __traceback__ = property(exit)\nraise E('mine')", "E", "mine"),
    ],
)
def test_no_failure_keeps_the_answer_from_being_given(code, kind, message):
    told = failure(code)
    assert told.type_name.startswith(kind)
    assert message in told.message
    assert run("len(str(isinstance(add(1), int)))") == 4


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (HOSTILE + "H()", "<H: its repr raises SystemExit>"),
        (HOSTILE + "[{1: H()}]", "<list: its repr raises SystemExit>"),
        (
            "class S(str):\n    __len__ = __getitem__ = encode = exit\n"
            "class R:\n    def __repr__(self): return S('ok')\nR()",
            "ok",
        ),
        ("class R:\n    def __repr__(self): return 5\nR()", "<R: its repr raises TypeError>"),
        (
            "import builtins\nbuiltins.str = builtins.type = builtins.id = builtins.any = None\n[1, {'a': 2}]",
            [1, {"a": 2}],
        ),
        (
            "class R:\n    def __repr__(self):\n        import builtins\n        builtins.len = None\n"
            "        return 'r'\nR()",
            "r",
        ),
        ("import sys, io\nsys.stdout = io.StringIO()\nsys.stdout.close()\n3", 3),
        ("x = []\nfor _ in range(100000): x = [x]\nx", "<list: its repr raises RecursionError>"),
        ("def f(): f()\ntry: f()\nexcept RecursionError: pass\n'deep'", "deep"),
    ],
)
def test_no_value_keeps_the_answer_from_being_given(code, value):
    assert run(code) == value
    assert run("len(repr(type(5)))") == 13


def test_logs_and_artefacts_of_a_snippet_go_to_the_channel():
    code = "import logging, callspan\nlogging.getLogger('s').info('hello')\n[callspan.Artefact(b'x', name='f.txt')]"
    assert run(code) == [{"artefact": "f.txt", "media_type": "application/octet-stream", "bytes": 1}]
    assert channel.current.logs == [{"level": "INFO", "logger": "s", "message": "hello"}]
    assert channel.current.artefacts == {"f.txt": ("application/octet-stream", b"x")}


def test_a_name_that_a_snippet_gave_stays_until_the_tools_change():
    run("add = 5")
    assert run("add") == 5
    assert json.loads(runtime.run_code("add(1)", TOOLS + " ")) == 3
