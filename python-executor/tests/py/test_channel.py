"""What a tool tells beside its result: progress, logs and artefacts, over the channel and within their bounds."""

import json
import logging
from pathlib import Path

import pytest

from callspan import Artefact, Context, channel, logs, runtime
from callspan.artefact import MAX_BYTES, plain_name
from callspan.runtime import BadResult, ToolFailure


@pytest.fixture
def told(monkeypatch):
    recorder = channel.Recorder()
    monkeypatch.setattr(channel, "current", recorder)
    with logs.installed():
        yield recorder


def test_a_context_is_given_and_the_model_hears_nothing_of_it(load, call, told):
    declared = load("""
        from callspan import Context

        @tool
        async def steps(ctx: Context, n: int):
            for step in range(n):
                ctx.progress(step, n, f"step {step}")
            ctx.progress(0.5)
            return n
    """)
    assert declared["steps"]["parameters"]["properties"] == {"n": {"type": "integer"}}
    assert declared["steps"]["parameters"]["required"] == ["n"]
    assert call("steps", n=2) == 2
    assert told.progress == [
        {"fraction": 0.0, "message": "step 0"},
        {"fraction": 0.5, "message": "step 1"},
        {"fraction": 0.5, "message": ""},
    ]
    with pytest.raises(ToolFailure, match="`ctx`: Extra inputs are not permitted"):
        call("steps", n=2, ctx={})


def test_progress_stays_within_0_and_1(told):
    ctx = Context()
    for done, total in [(-1, None), (7, None), (float("nan"), None), (3, 2), (5, 0), (float("inf"), 2)]:
        ctx.progress(done, total)
    assert [said["fraction"] for said in told.progress] == [0.0, 1.0, None, 1.0, 1.0, None]


def test_a_tool_that_describes_its_context_is_told_to_leave_it_out(load):
    with pytest.raises(runtime.ToolFileError, match=r"sample\.py:4: .*`ctx`, which the model does not pass"):
        load('''
            from callspan import Context
            @tool
            def f(ctx: Context):
                """F.

                Args:
                    ctx: the context
                """
        ''')


def test_the_scratch_directory_is_the_working_directory(load, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load("""
        from callspan import Context
        @tool
        def write(ctx: Context):
            (ctx.scratch / "note.txt").write_text("here")
    """)
    call("write")
    assert (tmp_path / "note.txt").read_text() == "here"


def test_what_the_library_and_the_context_log_goes_to_the_channel(load, call, told, monkeypatch):
    load("""
        import logging
        from callspan import Context

        @tool
        def talk(ctx: Context):
            logging.getLogger("mine").debug("not this")
            logging.getLogger("mine").info("so %s", "much")
            logging.warning("%d", "no number")
            try:
                1 / 0
            except ZeroDivisionError:
                logging.exception("caught")
            ctx.debug("from the context")
            ctx.error("wrong \\ud800")
    """)
    with monkeypatch.context() as patched:  # pytest's own handlers fail a test for a wrong format
        patched.setattr(logging.root, "handlers", [logs._handler])
        call("talk")
    assert [(said["level"], said["logger"], said["message"].split(" (")[0]) for said in told.logs] == [
        ("INFO", "mine", "so much"),
        ("WARNING", "root", "%d"),
        ("ERROR", "root", "caught\nZeroDivisionError: division by zero"),
        ("DEBUG", "tool", "from the context"),
        ("ERROR", "tool", "wrong \\ud800"),
    ]


def test_the_log_of_a_process_is_its_own_again_afterwards(capfd):
    handlers, level = logging.root.handlers[:], logging.root.level
    with logs.installed():
        assert logging.root.handlers == [*handlers, logs._handler]
        logging.getLogger("x").info("told to nobody")
        logging.getLogger("x").warning("nobody is there")
    assert (logging.root.handlers, logging.root.level) == (handlers, level)
    assert capfd.readouterr().err == "nobody is there\n"


def test_a_flood_of_records_is_cut_and_says_so(load, call, told):
    load("""
        import logging
        @tool
        def flood():
            for n in range(5000):
                logging.info("x" * 5000)
    """)
    for _ in range(2):
        told.logs.clear()
        call("flood")
        assert len(told.logs) == logs.MAX_RECORDS
        assert told.logs[-1]["message"] == "this is record 1000; no more are kept"
        assert len(told.logs[0]["message"]) == 2000


def test_artefacts_go_beside_the_result_and_a_few_words_stand_for_them(load, call, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load("""
        from pathlib import Path
        from callspan import Artefact, Context

        @tool
        def plot(ctx: Context):
            Path("table.csv").write_text("a,b")
            picture = Artefact(b"PNG", "image/png", "../plots/plot.png")
            other = Artefact(b"other", "image/png", "plot.png")
            early = ctx.artefact(b"early", name="plot.png")
            table = Artefact(Path("table.csv"))
            return {"picture": picture, "again": [picture], "other": other, "table": table, "e": early}
    """)
    picture = {"artefact": "plot-2.png", "media_type": "image/png", "bytes": 3}
    assert call("plot") == {
        "picture": picture,
        "again": [picture],
        "other": {"artefact": "plot-3.png", "media_type": "image/png", "bytes": 5},
        "table": {"artefact": "table.csv", "media_type": "application/octet-stream", "bytes": 3},
        "e": "plot.png",
    }
    assert told.artefacts == {
        "plot.png": ("application/octet-stream", b"early"),
        "plot-2.png": ("image/png", b"PNG"),
        "plot-3.png": ("image/png", b"other"),
        "table.csv": ("application/octet-stream", b"a,b"),
    }


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("[Artefact(bytes(3 << 20)), Artefact(bytes(3 << 20))]", "larger than 4 MiB together"),
        ("[Artefact(b'') for _ in range(65)]", "more than 64 artefacts"),
        ("changed('name', Text('x'))", "an artefact was changed"),
        ("changed('data', 'text')", "an artefact was changed"),
        ("lost()", "an artefact has lost its name"),
        ("Sub(b'x')", "is a Sub, which has no JSON form"),
    ],
)
def test_what_cannot_be_an_artefact_is_a_bad_result_and_nothing_is_sent(load, call, told, expression, why):
    load(f"""
        from callspan import Artefact

        class Sub(Artefact): ...
        class Text(str):
            def __eq__(self, other): raise SystemExit
            __hash__ = None

        def changed(name, value):
            made = Artefact(b"")
            setattr(made, name, value)
            return made

        def lost():
            made = Artefact(b"")
            del made.data
            return made

        @tool
        def give():
            return {expression}
    """)
    with pytest.raises(BadResult, match=why):
        call("give")
    assert told.artefacts == {}


def test_without_anyone_to_take_it_an_artefact_is_a_bad_result(load, call):
    load("from callspan import Artefact\n@tool\ndef give(): return Artefact(b'')")
    with pytest.raises(BadResult, match="nobody takes artefacts here"):
        call("give")


def test_an_artefact_is_checked_where_it_is_made(tmp_path):
    with pytest.raises(TypeError, match=r"not of str; encode a text: text\.encode\(\)"):
        Artefact("text")
    with pytest.raises(ValueError, match="'png' is no media type"):
        Artefact(b"", "png")
    with pytest.raises(ValueError, match="larger than 4 MiB"):
        Artefact(bytes(MAX_BYTES + 1))
    with pytest.raises(ValueError, match="is no plain file"):
        Artefact(Path("/dev/null"))
    with pytest.raises(FileNotFoundError):
        Artefact(tmp_path / "none")
    (tmp_path / "large").write_bytes(bytes(MAX_BYTES + 1))
    with pytest.raises(ValueError, match="larger than 4 MiB"):
        Artefact(tmp_path / "large")
    assert Artefact(bytes(MAX_BYTES)).name == "artefact"


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("plot.png", "plot.png"),
        ("/etc/passwd", "passwd"),
        ("..", "artefact"),
        ("a/../..", "artefact"),
        ("C:\\dir\\x.txt", "x.txt"),
        (".bashrc", "bashrc"),
        ("a\nb\x1b[1m.txt", "a_b_[1m.txt"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("x" * 300 + ".png", "x" * 96 + ".png"),
        ("größe \ud800.csv", "größe _.csv"),
        ("", "artefact"),
    ],
)
def test_a_name_is_that_of_a_plain_file(name, plain):
    assert plain_name(name) == plain


def test_a_recorder_answers_with_the_tools_that_it_was_given():
    recorder = channel.Recorder({"double": lambda x: 2 * x})

    def ask(name, **arguments):
        return json.loads(recorder.ask("tool", json.dumps({"name": name, "arguments": arguments})))

    assert ask("double", x=4) == {"ok": 8}
    assert ask("double")["error"]["type"] == "TypeError"
    assert ask("other")["error"] == {"type": "PermissionError", "message": "calling `other` was not allowed"}
    with pytest.raises(PermissionError, match="no broker here"):
        recorder.connect("host:1")


def test_the_example_of_the_readme_does_what_is_said_there(load, call, told):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    declared = load(readme.split("```python\n")[1].split("```")[0])["draw"]
    assert declared["policy"] == {"wall_ms": 2000, "read": ["/srv/maps"], "approval": "ask"}
    picture = {"artefact": "points.svg", "media_type": "image/svg+xml", "bytes": 137}
    assert call("draw", points=[{"x": 1, "y": 2}, {"x": 3, "y": 4}]) == {"points": 2, "picture": picture}
    assert json.dumps(picture) in readme
    assert [said["message"] for said in told.logs] == ["drew 2 points as dots"]
