"""The contract with the executor: JSON text in, JSON text or one of three exceptions out."""

import json

import pytest

from callspan import runtime
from callspan.runtime import ToolFailure, ToolFileError, UnknownTool


def test_a_file_is_declared_and_its_tool_called(load, call):
    declared = load('''
        @tool
        def add(a: int, b: int = 2) -> int:
            """Add two numbers."""
            return a + b
    ''')
    assert declared["add"]["description"] == "Add two numbers."
    assert declared["add"]["parameters"]["required"] == ["a"]
    assert call("add", a=40) == 42
    assert call("add", a=1, b=1) == 2


def test_arguments_become_the_types_of_the_hints(load, call):
    load('''
        import datetime, enum

        class Colour(enum.Enum):
            RED = "red"

        @tool
        def kinds(day: datetime.date, colour: Colour):
            """Names."""
            return [type(day).__name__, day.year, colour is Colour.RED]
    ''')
    assert call("kinds", day="2024-02-29", colour="red") == ["date", 2024, True]


def test_arguments_that_the_types_refuse_are_a_failure_that_names_them(load):
    load('''
        import datetime

        @tool
        def weekday(day: datetime.date):
            """Weekday."""
    ''')
    with pytest.raises(ToolFailure) as caught:
        runtime.call_tool("weekday", '{"day": "2024-02-30", "more": 1}')
    assert caught.value.type_name == "InvalidArguments"
    assert "`day`" in caught.value.message
    assert "`more`" in caught.value.message


@pytest.mark.parametrize("text", ["", "[]", "{", "nul", '{"x": NaN}'])
def test_arguments_that_are_no_object_are_a_failure(load, text):
    load("""
        @tool
        def half(x: float = 1):
            return x / 2
    """)
    with pytest.raises(ToolFailure, match="InvalidArguments"):
        runtime.call_tool("half", text)


def test_async_tools_are_awaited(load, call):
    load("""
        import asyncio

        @tool
        async def later(x: int):
            await asyncio.sleep(0)
            return x
    """)
    assert call("later", x=3) == 3


def test_a_failure_tells_type_message_and_only_the_users_frames(load):
    load("""
        import json

        @tool
        def parse(text: str):
            return inner(text)

        def inner(text):
            return json.loads(text)
    """)
    with pytest.raises(ToolFailure) as caught:
        runtime.call_tool("parse", '{"text": "{"}')
    failure = caught.value
    assert failure.type_name == "JSONDecodeError"
    assert "column" in failure.message
    assert failure.traceback == "sample.py:7 in parse\nsample.py:10 in inner"


@pytest.mark.parametrize(
    ("body", "type_name", "message"),
    [
        ("raise ValueError('x' * 5000)", "ValueError", "x" * 2000),
        ("raise SystemExit(3)", "SystemExit", "3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("raise ValueError('\\ud800')", "ValueError", "\\ud800"),
        ("raise Hostile", "Hostile", "(its message could not be read)"),
        ("raise Renamed", "Renamed", "text"),
        ("return missing", "NameError", "name 'missing' is not defined"),
        ("return fail(1)", "RecursionError", "maximum recursion depth exceeded"),
    ],
)
def test_what_a_tool_raises_is_read_safely(load, body, type_name, message):
    load(f"""
        class Hostile(Exception):
            def __str__(self):
                raise SystemExit

        class Text(str):
            def __getitem__(self, key):
                raise SystemExit
            def encode(self, *args):
                raise SystemExit

        class Meta(type):
            def __getattribute__(cls, name):
                if name == "__name__":
                    raise SystemExit
                return super().__getattribute__(name)

        class Renamed(Exception, metaclass=Meta):
            def __str__(self):
                return Text("text")

        @tool
        def fail(x: int = 0):
            {body}
    """)
    with pytest.raises(ToolFailure) as caught:
        runtime.call_tool("fail", "{}")
    assert caught.value.type_name == type_name
    assert caught.value.message.startswith(message)
    assert len(caught.value.message) <= 2000
    assert type(caught.value.message) is str
    assert len(caught.value.traceback.splitlines()) <= 20


def test_an_unknown_tool_is_said_to_be_unknown():
    with pytest.raises(UnknownTool, match="no tool is named `nothing`"):
        runtime.call_tool("nothing", "{}")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = (", "broken.py:2: SyntaxError: "),
        ("import nowhere_to_be_found", "broken.py:2: ModuleNotFoundError: No module named"),
        ("def f():\n    1 / 0\nf()", "broken.py:3: ZeroDivisionError: division by zero"),
        ("raise SystemExit(2)", "broken.py:2: SystemExit: 2"),
        ("\n@tool\ndef f(x): ...", "broken.py:3: tool `f`: parameter `x` has no type hint"),
        (
            "@tool\ndef f(): ...\n@tool(name='f')\ndef g(): ...",
            "broken.py:4: a tool named `f` is already defined above",
        ),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, source, message):
    file = tmp_path / "broken.py"
    file.write_text("from callspan import tool\n" + source)
    with pytest.raises(ToolFileError) as caught:
        runtime.load_tool_file(str(file))
    assert str(caught.value).startswith(message)
    assert runtime._tools == {}


def test_files_that_are_no_python_are_refused(tmp_path):
    with pytest.raises(ToolFileError, match=r"gone\.py:1: no such file"):
        runtime.load_tool_file(str(tmp_path / "gone.py"))
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ToolFileError, match=r"must end in \.py"):
        runtime.load_tool_file(str(tmp_path / "notes.txt"))
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'\n")
    with pytest.raises(ToolFileError, match=r"^latin\.py:1: SyntaxError"):
        runtime.load_tool_file(str(tmp_path / "latin.py"))


def test_two_files_may_not_share_a_tool_name_and_a_reload_replaces(load, call):
    load("@tool\ndef one(): return 1\n@tool\ndef two(): return 2", "a.py")
    with pytest.raises(ToolFileError, match=r"b\.py:2: a tool named `one` is already defined in a\.py"):
        load("@tool\ndef one(): return 3", "b.py")
    assert call("one") == 1
    load("@tool\ndef one(): return 11", "a.py")
    assert call("one") == 11
    with pytest.raises(UnknownTool):
        call("two")


def test_a_helper_beside_the_tools_can_be_imported_and_its_tools_stay_its_own(load, call):
    load("@tool\ndef shared(): return 1\nNUMBER = 7", "helper_beside.py")
    declared = load("from helper_beside import NUMBER\n@tool\ndef number(): return NUMBER", "user.py")
    assert list(declared) == ["number"]
    assert call("number") == 7


def test_a_file_without_tools_declares_none(load):
    assert load("x = 1") == {}


def test_declarations_are_json_text(tmp_path):
    file = tmp_path / "t.py"
    file.write_text(
        'from callspan import tool\n@tool(name="größe", description="é")\ndef f(): ...'.replace("größe", "size")
    )
    text = runtime.load_tool_file(str(file))
    assert type(text) is str
    assert json.loads(text)[0] == {
        "name": "size",
        "description": "é",
        "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    }
