"""An MCP server for tests, by hand and of the standard library alone: it does whatever it is told, good or bad.

`python mcp_server.py MODE`: good; silent (says nothing); rubbish (says nothing but that); brief (ends at once, with a
word); names (has tools that cannot be mounted).
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time

MODE = sys.argv[1] if len(sys.argv) > 1 else "good"
NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
NOTHING = {"type": "object", "properties": {}}
lock = threading.Lock()
cancelled = set()
late = []


def say(**message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def text(words, **more):
    return {"content": [{"type": "text", "text": words}], **more}


def structured(value):
    return text(json.dumps(value), structuredContent=value)


def attempt(action):
    try:
        return structured({"did": action()})
    except BaseException as error:
        return structured({"refused": type(error).__name__})


def read(path):
    with open(path) as file:
        return file.read(100)


def write(path):
    with open(path, "w") as file:
        return file.write("x")


def connect(kind):
    family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
    socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    return "a socket"


def children(most):
    started = []
    try:
        while len(started) < most:
            started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
    except OSError:
        pass
    for child in started:
        child.kill()
    return len(started)


def leave_a_child():
    return subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)", "left-behind"], start_new_session=True
    ).pid


def wait(number, token):
    for step in range(1, 4):
        say(
            method="notifications/progress",
            params={"progressToken": token, "progress": step, "total": 4, "message": f"step {step}"},
        )
        time.sleep(0.05)
    while number not in cancelled:
        time.sleep(0.02)
    print(f"call {number} was cancelled", file=sys.stderr, flush=True)


def call(name, given):
    path = given.get("text", "")
    match name:
        case "add":
            return structured({"sum": given["a"] + given["b"]})
        case "greet":
            return text(f"hello {path}")
        case "promise":
            return text("not what was promised")
        case "fail":
            return text("there is no such town", isError=True)
        case "picture":
            blob = {"uri": "file:///x/data.bin", "mimeType": "application/octet-stream", "blob": "AAE="}
            return {
                "content": [
                    {"type": "image", "data": "iVBORw==", "mimeType": "image/png"},
                    {"type": "resource", "resource": blob},
                ]
            }
        case "read":
            return attempt(lambda: read(path))
        case "write":
            return attempt(lambda: write(path))
        case "connect":
            return attempt(lambda: connect(path))
        case "environment":
            return structured(dict(os.environ))
        case "where":
            return structured({"directory": os.getcwd(), "pid": os.getpid(), "user": os.getuid()})
        case "children":
            return attempt(lambda: children(given["a"]))
        case "leave":
            return structured({"pid": leave_a_child()})
        case "memory":
            return attempt(lambda: len(bytearray(given["a"] << 20)))
        case "huge":
            return text("x" * (given["a"] << 20))
        case "rubbish":
            with lock:
                print("Welcome to my server!", flush=True)
            return text("said")
        case "die":
            print("I give up", file=sys.stderr, flush=True)
            os._exit(7)
        case "hang":
            time.sleep(600)
        case "spin":
            while True:
                pass
        case "change":
            late.append("late")
            say(method="notifications/tools/list_changed")
            return text("changed")
        case "late":
            return text("late indeed")
    return None


def tools():
    if MODE == "names":
        plain = [tool(name, NOTHING) for name in ("fine", "good", "two words", "n" * 60)]
        return [*plain, tool("list", {"type": "array"})]
    plain = [
        "fail",
        "picture",
        "environment",
        "where",
        "leave",
        "rubbish",
        "die",
        "hang",
        "spin",
        "wait",
        "change",
        *late,
    ]
    promised = {**tool("promise", NOTHING), "outputSchema": {"type": "object", "properties": {"x": {"type": "string"}}}}
    return [
        {**tool("add", NUMBERS), "title": "Add", "annotations": {"readOnlyHint": True}},
        promised,
        *(tool(name, TEXT) for name in ("greet", "read", "write", "connect")),
        *(tool(name, {**NUMBERS, "required": ["a"]}) for name in ("children", "memory", "huge")),
        *(tool(name, NOTHING) for name in plain),
    ]


def tool(name, schema):
    return {"name": name, "description": f"The tool {name}.", "inputSchema": schema}


def main():
    if MODE == "brief":
        sys.exit("there is no configuration")
    if MODE == "rubbish":
        while True:
            print("rubbish", flush=True)
    print("started", file=sys.stderr, flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        number, params = message.get("id"), message.get("params", {})
        if MODE == "silent":
            continue
        match message["method"]:
            case "initialize":
                about = {"name": "test", "version": "1"}
                say(
                    id=number,
                    result={
                        "protocolVersion": "2025-06-18",
                        "capabilities": {"tools": {"listChanged": True}},
                        "serverInfo": about,
                    },
                )
            case "tools/list":
                # A page for each half.
                every = tools()
                half = len(every) // 2
                page = every[half:] if params.get("cursor") else every[:half]
                say(id=number, result={"tools": page, **({} if params.get("cursor") else {"nextCursor": "more"})})
            case "ping":
                say(id=number, result={})
            case "notifications/cancelled":
                cancelled.add(params["requestId"])
            case "tools/call":
                token = params.get("_meta", {}).get("progressToken")
                if params["name"] == "wait":
                    threading.Thread(target=wait, args=(number, token), daemon=True).start()
                    continue
                result = call(params["name"], params.get("arguments", {}))
                if result is None:
                    say(id=number, error={"code": -32602, "message": f"Unknown tool: {params['name']}"})
                else:
                    say(id=number, result=result)


main()
