"""The channel to the executor and the two outputs: to forge, to flood, to go on after the end."""

import os
import socket
import sys
import threading
import time
from typing import Any

from arena import escaped, give_up

from callspan import channel, runtime, tool
from callspan.context import Context

_RESULT, _READY, _NOTE, _QUESTION, _CONNECT, _WORK, _ARTEFACT = (bytes([byte]) for byte in b"KRNQCTF")


def _frame(kind: bytes, content: bytes, seal: bytes) -> bytes:
    return (len(seal) + 1 + len(content)).to_bytes(4, "little") + seal + kind + content


def _seal() -> bytes:
    """The seal of this child: what is said is led over a socket of the tool's own, and read there."""
    assert channel.current is not None
    mine, other = socket.socketpair()
    kept = os.dup(3)
    os.dup2(mine.fileno(), 3)
    channel.current.notify("progress", "{}")
    os.dup2(kept, 3)
    return other.recv(4096)[4:20]


@tool
def forge_a_result() -> str:
    """Write a result to the channel, without its seal."""
    os.write(3, _frame(_RESULT, b'"escaped"', b""))
    time.sleep(5)
    return escaped()


@tool
def forge_a_result_with_a_guess() -> str:
    """Write a result with a seal that is none."""
    os.write(3, _frame(_RESULT, b'"escaped"', bytes(16)))
    time.sleep(5)
    return escaped()


@tool
def write_to_every_descriptor() -> str:
    """Write a result wherever anything can be written."""
    for number in range(1024):
        try:
            os.write(number, _frame(_RESULT, b'"for all"', b""))
        except OSError:
            pass
    time.sleep(5)
    return escaped()


@tool
def announce_four_gigabytes() -> str:
    """Begin a frame that never ends."""
    os.write(3, b"\xff\xff\xff\xff")
    time.sleep(5)
    return escaped()


@tool
def close_the_channel() -> str:
    """Hang up, and go on."""
    os.close(3)
    time.sleep(60)
    return escaped()


@tool
def close_everything() -> str:
    """Close all descriptors, and go on."""
    os.closerange(0, 1024)
    time.sleep(60)
    return escaped()


@tool
def steal_the_seal() -> str:
    """Speak with the own seal: for itself."""
    os.write(3, _frame(_RESULT, b'"for myself"', _seal()))
    os._exit(0)


@tool
def a_second_result() -> str:
    """Write a result with the own seal, and give another."""
    os.write(3, _frame(_RESULT, b'"for myself"', _seal()))
    return "mine"


@tool
def a_result_from_a_thread() -> str:
    """Give a result, and write another when it was given."""
    seal = _seal()
    socket_of_ours = os.dup(3)

    def later() -> None:
        while True:
            try:
                os.write(socket_of_ours, _frame(_RESULT, b'"for myself"', seal))
            except OSError:
                return

    threading.Thread(target=later).start()
    return "mine"


@tool
def a_result_that_is_no_json() -> str:
    """Write rubbish with the own seal."""
    os.write(3, _frame(_RESULT, b"\xff\x00{", _seal()))
    os._exit(0)


@tool
def a_result_of_two_megabytes() -> str:
    """Write more than a result may have, past the encoder."""
    _write_all(_frame(_RESULT, b'"' + b"x" * (2 << 20) + b'"', _seal()))
    os._exit(0)


@tool
def a_result_nested_deep() -> str:
    """Write what a reader's stack does not hold, past the encoder."""
    _write_all(_frame(_RESULT, b"[" * 400_000 + b"]" * 400_000, _seal()))
    os._exit(0)


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(3, data) :]


@tool
def speak_as_the_executor() -> str:
    """Write what only the executor says, with the own seal."""
    os.write(3, _frame(_WORK, b'{"Call":{"name":"x","arguments":"{}"}}', _seal()))
    time.sleep(5)
    return escaped()


@tool
def be_ready_again() -> str:
    """Say that it is warm, and describe tools that it has not."""
    os.write(3, _frame(_READY, b'[{"name":"escaped"}]', _seal()))
    time.sleep(5)
    return escaped()


@tool
def an_artefact_past_the_checks() -> str:
    """Write a file with a hostile name to the channel itself."""
    os.write(3, _frame(_ARTEFACT, b'{"name":"../escaped","media_type":"a/b"}\nx', _seal()))
    time.sleep(5)
    return escaped()


@tool
def notes_without_end() -> str:
    """Say more than can be read, for ever: nothing else is to be heard, not even the clock."""
    frame = _frame(_NOTE, b'{"kind":"progress","payload":"{}"}', _seal())
    for _ in range(3_000_000):
        _write_all(frame * 1000)
    return "said"


@tool
def notes_of_a_megabyte() -> str:
    """Say long things."""
    assert channel.current is not None
    for _ in range(200):
        channel.current.notify("log", '{"level":"info","logger":"x","message":"' + "x" * (1 << 20) + '"}')
    return "said"


@tool
def notes_that_are_none() -> str:
    """Say what is no note."""
    assert channel.current is not None
    for payload in ("", "{", "null", '{"fraction":1e999}', '{"fraction":"x","message":[]}', "\0" * 100, "[" * 5000):
        channel.current.notify("progress", payload)
        channel.current.notify("log", payload)
        channel.current.notify("escape", payload)
    return "said"


@tool
def progress_without_end(ctx: Context) -> str:
    """Tell of progress a hundred thousand times."""
    for n in range(100_000):
        ctx.progress(n / 100_000, message="\x1b[2J" * 100)
    return "told"


@tool
def questions_of_a_tool() -> str:
    """Ask for another tool, which only snippets may."""
    assert channel.current is not None
    return channel.current.ask("tool", '{"name":"canary_of_a_tool","arguments":{}}')


@tool
def questions_without_end() -> str:
    """Ask ten thousand times at once and wait for no answer: the time of a question does not count."""
    seal = _seal()
    asked = _frame(_QUESTION, b'{"kind":"tool","payload":"{}"}', seal) + _frame(_CONNECT, b"127.0.0.1:1", seal)
    for _ in range(100):
        _write_all(asked * 100)
    time.sleep(60)
    return escaped()


@tool
def questions_that_are_none() -> str:
    """Ask for what nobody knows."""
    assert channel.current is not None
    answers = [channel.current.ask(kind, text) for kind in ("tool", "x", "") for text in ("", "{", "null", "[1]")]
    return escaped() if any('"ok"' in answer for answer in answers) else "nothing"


@tool
def many_voices() -> str:
    """Ask and tell from eight threads at once."""

    def talk() -> None:
        assert channel.current is not None
        for _ in range(10):
            channel.current.notify("progress", "{}")
            channel.current.ask("tool", "{}")

    threading.stack_size(64 << 10)
    threads = [threading.Thread(target=talk) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "said"


@tool
def hand_over_descriptors() -> str:
    """Give the executor descriptors, to fill its table."""
    with socket.socket(fileno=os.dup(3)) as ours:
        for _ in range(100):
            socket.send_fds(ours, [b"x"], [0] * 60)
    time.sleep(5)
    return escaped()


@tool
def do_not_listen() -> str:
    """Ask without end, and never read an answer, so that the executor cannot write."""
    frame = _frame(_QUESTION, b'{"kind":"tool","payload":"{}"}', _seal())
    for _ in range(1_000_000):
        _write_all(frame)
    return "asked"


@tool
def flood_the_output() -> str:
    """Print 200 MB."""
    line = b"x" * 65_536
    for _ in range(3200):
        os.write(1, line)
    return "printed"


@tool
def print_without_end() -> str:
    """Print for ever: nothing else is to be heard."""
    while True:
        os.write(1, b"\n" * 65_536)
        os.write(2, b"\n" * 65_536)


@tool
def print_no_text() -> str:
    """Print bytes that are no text, and codes of a terminal."""
    os.write(1, bytes(range(256)) * 10 + b"\xf0\x9f")
    os.write(2, b"\xed\xa0\x80\xc0\xaf")
    return "printed"


@tool
def print_after_the_end() -> str:
    """Give a result while a thread prints on."""

    def go_on() -> None:
        while True:
            os.write(1, b"more\n")

    threading.Thread(target=go_on).start()
    return "the call is over"


@tool
def replace_the_runtime() -> str:
    """Replace what calls the tool: only its own answer is spoilt."""

    def stolen(*_: Any) -> str:
        return '"for myself"'

    runtime.encode = stolen  # type: ignore[attr-defined]
    sys.modules["json"].dumps = stolen
    return "mine"


@tool
def read_the_channel() -> str:
    """Read what the executor says to others."""
    try:
        with socket.socket(fileno=os.dup(3)) as ours:
            return escaped(ours.recv(4096, socket.MSG_DONTWAIT))
    except BlockingIOError:
        give_up("there is nothing to read")
