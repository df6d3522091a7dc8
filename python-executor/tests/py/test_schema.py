"""What the model is told: a table of hints and the schema that each becomes, and what is refused at load."""

import json

import pytest
from pydantic import ValidationError

from callspan import inputs as inputs_module
from callspan import runtime
from callspan.quick import Unsure
from callspan.runtime import ToolFailure, ToolFileError

HEADER = """
import dataclasses, datetime, enum
from typing import Annotated, Any, Literal, Optional
from pydantic import BaseModel, Field

class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

class Level(enum.IntEnum):
    LOW = 1

@dataclasses.dataclass
class Point:
    x: int
    label: Optional[str] = None

class Line(BaseModel):
    title: str
    ends: list[Point]

class Node(BaseModel):
    value: int
    children: list["Node"]
"""
POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "label": {"type": "string"}},
    "required": ["x"],
    "additionalProperties": False,
}
OPEN_POINT = {key: value for key, value in POINT.items() if key != "additionalProperties"}


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("str", {"type": "string"}),
        ("'int'", {"type": "integer"}),
        ("Literal['a', 'b']", {"type": "string", "enum": ["a", "b"]}),
        ("Literal['a']", {"type": "string", "enum": ["a"]}),
        ("Colour", {"type": "string", "enum": ["red", "blue"]}),
        ("Level", {"type": "integer", "enum": [1]}),
        ("Optional[str]", {"type": ["string", "null"]}),
        ("int | str", {"type": ["integer", "string"]}),
        ("Optional[str] = None", {"type": "string"}),
        ("int | str | None = None", {"type": ["integer", "string"]}),
        ("Colour | None = None", {"type": "string", "enum": ["red", "blue"]}),
        ("Point | None = None", POINT),
        ("Annotated[int | None, Field(ge=1)] = None", {"type": "integer", "minimum": 1}),
        ("str = 'a'", {"type": "string", "default": "a"}),
        ("float = float('inf')", {"type": "number"}),
        ("list", {"type": "array"}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("list[Colour]", {"type": "array", "items": {"type": "string", "enum": ["red", "blue"]}}),
        ("dict", {"type": "object"}),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        ("datetime.date", {"type": "string", "format": "date"}),
        ("datetime.datetime", {"type": "string", "format": "date-time"}),
        ("Annotated[int, Field(ge=0, le=9)]", {"type": "integer", "minimum": 0, "maximum": 9}),
        ("Annotated[str, Field(description='Own')]", {"type": "string", "description": "Own"}),
        ("Annotated[str, Field(max_length=3)] = 'x'", {"type": "string", "maxLength": 3, "default": "x"}),
        ("Point", POINT),
        (
            "Line",
            {
                "type": "object",
                "properties": {"title": {"type": "string"}, "ends": {"type": "array", "items": OPEN_POINT}},
                "required": ["title", "ends"],
            },
        ),
    ],
)
def test_hints_become_small_schemas(load, hint, schema):
    declared = load(HEADER + f"\n@tool\ndef f(x: {hint}): ...\n")["f"]["parameters"]
    assert declared == {
        "type": "object",
        "properties": {"x": schema},
        "required": [] if " = " in hint else ["x"],
        "additionalProperties": False,
    }


def test_only_recursive_types_keep_a_definition(load):
    declared = load(HEADER + "\n@tool\ndef f(node: Node, point: Point, other: Point): ...\n")["f"]["parameters"]
    assert list(declared["$defs"]) == ["Node"]
    assert declared["properties"]["point"] == declared["properties"]["other"] == POINT
    assert declared["$defs"]["Node"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}


@pytest.mark.parametrize("name", ["json", "copy", "model_config", "schema", "title", "type", "properties", "_private"])
def test_any_parameter_name_works(load, call, name):
    declared = load(f"@tool\ndef f({name}: int): return {name}\n")["f"]["parameters"]
    assert declared["properties"] == {name: {"type": "integer"}}
    assert call("f", **{name: 5}) == 5


def test_the_docstring_describes_the_tool_and_its_parameters(load):
    declared = load('''
        from typing import Annotated
        from pydantic import Field

        @tool
        def f(a: int, b: str = "x", c: Annotated[int, Field(description="Own")] = 1, d: int = 2):
            """Do a thing
            in two lines.

            More that the model need not read.

            Args:
                a (int): The first,
                    on two lines: with a colon
                b: The second
                c: Not this

            Returns:
                nothing: at all
            """
    ''')["f"]
    assert declared["description"] == "Do a thing in two lines."
    described = {name: part.get("description") for name, part in declared["parameters"]["properties"].items()}
    assert described == {"a": "The first, on two lines: with a colon", "b": "The second", "c": "Own", "d": None}


def test_the_docstring_of_a_parameter_wins_over_that_of_its_type(load):
    declared = load('''
        import dataclasses

        @dataclasses.dataclass
        class Place:
            """Any place."""
            name: str

        @tool
        def f(a: Place, b: Place):
            """F.

            Args:
                a: From here
            """
    ''')["f"]["parameters"]["properties"]
    assert declared["a"]["description"] == "From here"
    assert declared["b"]["description"] == "Any place."


def test_the_decorator_takes_a_name_and_a_description(load, call):
    declared = load('@tool(name="a.b-c", description="Given")\ndef f():\n    """Own."""\n    return 1\n')
    assert declared["a.b-c"]["description"] == "Given"
    assert call("a.b-c") == 1


def test_the_decorated_function_stays_a_function(load, call):
    load("@tool\ndef one(): return 1\n@tool\ndef two(): return one() + one()\n")
    assert call("two") == 2


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def f(x): ...", "parameter `x` has no type hint: write for example `x: str`"),
        ("def f(*args: int): ...", "`*args: int` cannot be described to the model: name each parameter"),
        ("def f(**more: int): ...", "`**more: int` cannot be described"),
        ("def f(x: int, /): ...", "`x` is positional-only"),
        ("def f(x: 'Missing'): ...", "a type hint uses 'Missing', which is not defined in its file"),
        ("def f(x: object()): ...", "a type hint has no JSON form"),
        (
            "def f(x: __import__('typing').Annotated[int, __import__('pydantic').Field(alias='y')]): ...",
            "`y` is the alias of a parameter: give the parameter itself that name",
        ),
        ("def f(x: type(lambda: 0)): ...", "a type hint has no JSON form"),
        ("def f():\n    yield 1", "return a list instead of yielding"),
        ("async def f():\n    yield 1", "return a list instead of yielding"),
        (
            "def f(x: int):\n    '''F.\n\n    Args:\n        y: wrong\n    '''",
            "the docstring describes `y`",
        ),
    ],
)
def test_what_cannot_be_described_is_refused_at_load(load, source, why):
    with pytest.raises(ToolFileError) as caught:
        load(f"@tool\n{source}\n")
    assert str(caught.value).startswith("sample.py:2: tool `f`: ")
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("@tool\nclass F: ...", "@tool is for functions, and this is a type"),
        ("tool(print)", "@tool is for functions, and this is a builtin_function_or_method"),
        ("@tool(name='no spaces')\ndef f(): ...", "a name starts with a letter"),
        ("@tool(name='')\ndef f(): ...", "a name starts with a letter"),
        (
            "from pydantic import Field\n@tool\ndef f(x: int = Field(1)): ...",
            "a Field cannot stand for the default",
        ),
    ],
)
def test_a_wrong_use_of_the_decorator_is_refused_at_load(load, source, why):
    with pytest.raises(ToolFileError, match=r"^sample\.py:\d+: ") as caught:
        load(source)
    assert why in str(caught.value)


COMMON = [
    ("int", ["1", "true", "1.0", "1.5", '"1"', '"x"', "null", "[]"]),
    ("float", ["1", "1.5", '"1.5"', "NaN", "1e999", "null"]),
    ("bool", ["true", "1", '"yes"', '"maybe"']),
    ("str", ['"a"', "1", "null"]),
    ("int | None", ["1", "null", '"x"']),
    ("Optional[str] = None", ["null", '"x"', "1"]),
    ("int | str", ["1", '"1"', '"x"', "1.5"]),
    ("Literal['a', 1]", ['"a"', "1", "true", '"b"']),
    ("list", ["[]", "{}"]),
    ("list[float]", ["[1, 2.5]", '["x"]', "[NaN]", "1"]),
    ("dict[str, int]", ['{"a": 1}', '{"a": "x"}', "[]"]),
    ("datetime.date", ['"2024-02-29"', '"2024-02-30"', "1"]),
    ("datetime.datetime", ['"2024-02-29T01:00:00Z"', '"x"']),
    ("Annotated[int, Field(ge=0, le=9)]", ["0", "9", "10", "-1"]),
    ("Annotated[str, Field(pattern='^a')]", ['"ab"', '"b"']),
    ("Annotated[list[int], Field(max_length=1)]", ["[1]", "[1, 2]"]),
]


@pytest.mark.parametrize(("hint", "values"), COMMON)
def test_the_quick_validator_judges_as_pydantics_own(load, hint, values):
    load(HEADER + f"\n@tool\ndef f(x: {hint}): ...\n")
    inputs = runtime._tools["f"][0].inputs
    assert all(inputs_module._is_common(one) for one in inputs._hints.values())

    def judged(validator, text):
        try:
            return repr(validator.validate_json(text))
        except ValidationError as error:
            return error.errors(include_url=False)

    quick, whole = inputs.validator(), inputs._adapter(inputs._hints).validator
    for text in ["{}", "[]", '{"x": 1, "y": 2}', "{", *(f'{{"x": {value}}}' for value in values)]:
        assert repr(judged(quick, text)) == repr(judged(whole, text)), text


PLAIN = [
    ("int", ["0", "-0", "7", str(2**70), "9" * 5000, "1.0", "1e3", "true", '"1"', "null"]),
    (
        "float",
        ["0", "-0", "-0.0", "1", "0.1", "1e3", "1e999", "NaN", "Infinity", str(2**53 + 1), "9" * 400, "true", '"1"'],
    ),
    ("bool", ["true", "false", "1", "0", '"true"']),
    ("str", ['"a"', '"\\u00e9"', '"\\ud800"', '"\\ud83d\\ude00"', '"é😀"', '"\\n"', '"\n"', "1", "null"]),
    ("Literal['a', 'b']", ['"a"', '"c"', '""', "1", "null"]),
    ("Optional[int]", ["null", "1", '"1"', "1.0"]),
    ("float | None", ["null", "1", "1.5", '"x"']),
    ("list[str]", ["[]", '["a"]', "[1]", '"a"', '[["a"]]', "[null]"]),
    ("list[list[float]]", ["[[1], [2.5]]", "[[NaN]]", "[1]"]),
    ("'int'", ["1", '"x"']),
]


@pytest.mark.parametrize(("hint", "values"), PLAIN)
def test_what_is_read_without_pydantic_is_what_pydantic_would_have_read(load, hint, values):
    load(HEADER + f"\n@tool\ndef f(x: {hint}, *, y: int = 1): ...\n@tool\ndef g(x: {hint} = 0, y: int = 1): ...\n")
    texts = [f'{{"x": {value}}}' for value in values]
    texts += ["{}", "[]", "", "{", '{"x": 1, "z": 1}', '{"x": 1, "x": "a"}', '{"y": 2}', '{"x": 1} 2', '\ufeff{"x": 1}']
    for name in "fg":
        one, sure = runtime._tools[name][0], 0
        for text in texts:
            try:
                quick = one.quick.read(text)
            except Unsure:
                continue
            sure += 1
            assert repr(quick) == repr(one.validator.validate_json(text)), text
        assert sure >= 1


@pytest.mark.parametrize(
    "signature",
    ["x: Point", "x: datetime.date", "x: Annotated[int, Field(ge=1)]", "x: list", "x: int | str", "x: Level", "x: Any"],
)
def test_what_is_not_plain_is_left_to_pydantic(load, signature):
    load(HEADER + f"\n@tool\ndef f({signature}): ...\n")
    assert runtime._tools["f"][0].quick is None


def test_a_function_with_attributes_or_a_wrapper_is_left_to_pydantic(load, call):
    load("""
        import functools

        def twice(function):
            @functools.wraps(function)
            def wrapper(*args, **more):
                return 2 * function(*args, **more)
            return wrapper

        @tool
        @twice
        def f(x: int): return x
    """)
    assert runtime._tools["f"][0].quick is None
    assert call("f", x=2) == 4


@pytest.mark.parametrize(
    ("hint", "given", "arrived"),
    [
        ("Colour", '"red"', "Colour.RED"),
        ("Point", '{"x": 1}', "Point(x=1, label=None)"),
        ("list[Point]", '[{"x": 1, "label": "a"}]', "[Point(x=1, label='a')]"),
        ("Line", '{"title": "t", "ends": [{"x": 1}]}', "Line(title='t', ends=[Point(x=1, label=None)])"),
        ("Node", '{"value": 1, "children": []}', "Node(value=1, children=[])"),
        ("Optional[int]", "null", "None"),
        ("Optional[int] = None", "null", "None"),
        ("Literal['a']", '"a"', "'a'"),
        ("Annotated[int, Field(ge=1)]", "1", "1"),
        ("datetime.datetime", '"2024-01-01T00:00:00"', "datetime.datetime(2024, 1, 1, 0, 0)"),
        ("tuple[int, str]", '[1, "a"]', "(1, 'a')"),
        ("set[int]", "[1, 1]", "{1}"),
        ("__import__('decimal').Decimal", '"1.10"', "Decimal('1.10')"),
        ("__import__('uuid').UUID", f'"{"0" * 32}"', f"UUID('{'0' * 8}-0000-0000-0000-{'0' * 12}')"),
        ("__import__('pathlib').Path", '"a/b"', "PosixPath('a/b')"),
    ],
)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_arguments_arrive_as_the_types_of_their_hints(load, kind, hint, given, arrived):
    load(HEADER + f"\n@tool\n{kind} f(x: {hint}): return repr(x) if not isinstance(x, Colour) else str(x)\n")
    assert json.loads(runtime.call_tool("f", f'{{"x": {given}}}')) == arrived


def test_what_may_be_null_is_told_to_the_executor_and_not_to_the_model(load):
    declared = load(
        HEADER + "\n@tool\ndef f(a: Optional[int] = None, b: int = None, c: Point | None = None, d: int = 1): ...\n"
    )
    assert declared["f"]["nullable"] == ["a", "c"]
    assert declared["f"]["parameters"]["properties"]["a"] == {"type": "integer"}
    assert runtime.call_tool("f", '{"a": null, "c": null}') == "null"


def test_null_is_refused_where_the_type_does_not_take_it(load):
    load("@tool\ndef f(x: int = 1): ...\n")
    with pytest.raises(ToolFailure, match="`x`: Input should be a valid integer"):
        runtime.call_tool("f", '{"x": null}')
