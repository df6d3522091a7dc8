"""A server serves its owner and root, nobody else, even if a socket's permissions were opened."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from harness import Server

NOBODY = 65534
CLIENT = """
import os, socket, sys
os.setgroups([])
os.setuid(int(sys.argv[2]))
client = socket.socket(socket.AF_UNIX)
client.settimeout(30)
client.connect(sys.argv[1])
try:
    client.sendall(b'{"id":1,"health":{}}\\n')
    print(client.recv(1000))
except OSError:
    print(b"")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("program", ["rust-inference", "python-executor"])
def test_another_user_is_not_heard(program: str, start) -> None:
    server: Server = start(program)
    server.socket.parent.chmod(0o755)
    server.socket.chmod(0o666)

    def answer_to(user: int) -> str:
        command = [sys.executable, "-c", CLIENT, server.socket, str(user)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert answer_to(NOBODY) == "b''\n"
    assert "SERVING" in answer_to(0)
    with socket.socket(socket.AF_UNIX) as again:
        again.connect(str(server.socket))
