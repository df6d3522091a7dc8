"""Tests against the real server, of CALLSPAN_BIN_DIR or PATH, with its built-in model: python3 -m unittest."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from callspan_client import Client, ServerError
from chat import TOOLS, chat

# An answer that lasts: so many numbers take the model seconds.
ENDLESS = {
    "chat": {"messages": [{"role": "user", "content": "Hello"}]},
    "stream": True,
    "response_format": {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"numbers": {"type": "array", "items": {"type": "integer"}, "minItems": 1000}},
            "required": ["numbers"],
        },
    },
}


def find(name: str) -> str:
    where = os.environ.get("CALLSPAN_BIN_DIR")
    found = shutil.which(name, path=where)
    if found is None:
        raise FileNotFoundError(
            f"{name} is not in {where or 'PATH'}: put Callspan's bin on PATH, or set CALLSPAN_BIN_DIR"
        )
    return found


class Server:
    """rust-inference in a directory of its own."""

    def __init__(self) -> None:
        program = find("rust-inference")
        # Short, because the path of a Unix socket holds about 100 bytes.
        self.room = tempfile.mkdtemp(prefix="cs-", dir="/tmp")
        self.path = Path(self.room) / "s"
        self.process = subprocess.Popen([program, "--socket", self.path, "--max-tokens", "100000"])
        deadline = time.monotonic() + 60
        while True:
            try:
                with Client(self.path):
                    return
            except ConnectionError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.end()
                    raise RuntimeError("rust-inference does not start; it says why on standard error") from None
                time.sleep(0.01)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.room)


class ClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server()
        cls.addClassCleanup(cls.server.end)

    def setUp(self) -> None:
        self.client = self.enterContext(Client(self.server.path, timeout_s=60))

    def test_a_call_is_valid_by_its_schema(self) -> None:
        request = {"chat": {"messages": [{"role": "user", "content": "Wake me"}]}, "tools": TOOLS}
        done = self.client.last(generate=request | {"tool_choice": "required", "max_calls": 1})["done"]
        [call] = done["tool_calls"]
        self.assertEqual(call["name"], "set_alarm")
        self.assertIn(json.loads(call["arguments"])["hour"], range(24))

    def test_a_tool_is_called_and_its_result_told(self) -> None:
        shown: list[str] = []
        answer = chat(self.client, "Set an alarm for 7", shown.append)
        self.assertRegex("".join(shown), r'set_alarm \{"hour":\d+\} = \{"set": "\d\d:00"\}\n')
        self.assertTrue(answer)
        self.assertTrue("".join(shown).endswith(answer + "\n"))

    def test_a_stream_is_the_answer_in_pieces(self) -> None:
        request = {"chat": {"messages": [{"role": "user", "content": "Hello, who are you?"}]}, "stream": True}
        *pieces, last = self.client.ask(generate=request)
        self.assertTrue(last["done"]["content"])
        self.assertEqual("".join(piece["delta"].get("text", "") for piece in pieces), last["done"]["content"])

    def test_what_is_cancelled_ends_and_the_connection_goes_on(self) -> None:
        frames = self.client.ask(generate=ENDLESS)
        self.assertIn("delta", next(frames))
        self.client.cancel()
        with self.assertRaises(ServerError) as raised:
            list(frames)
        self.assertEqual(raised.exception.code, "CANCELLED")
        self.assertEqual(self.client.last(ping={"payload": "here"})["pong"], {"payload": "here"})

    def test_a_stream_that_is_left_is_cancelled(self) -> None:
        before = self.cancelled()
        frames = self.client.ask(generate=ENDLESS)
        next(frames)
        frames.close()
        deadline = time.monotonic() + 30
        while self.cancelled() == before:
            self.assertLess(time.monotonic(), deadline, "it was not cancelled")
            time.sleep(0.01)

    def cancelled(self) -> int:
        """How many requests the server has counted as cancelled."""
        text = self.client.last(metrics={})["metrics_report"]["text"]
        found = re.search(r'^callspan_inference_requests_total\{.*"cancelled".*\} (\d+)$', text, re.MULTILINE)
        return int(found[1]) if found else 0

    def test_a_bad_request_is_told(self) -> None:
        with self.assertRaisesRegex(ServerError, "INVALID_ARGUMENT: .*sometimes"):
            self.client.last(generate={"prompt": "x", "tool_choice": "sometimes"})

    def test_a_server_that_is_not_there_is_named(self) -> None:
        with self.assertRaisesRegex(ConnectionError, "/proc/nowhere.*start it: rust-inference"):
            Client("/proc/nowhere")


if __name__ == "__main__":
    unittest.main()
