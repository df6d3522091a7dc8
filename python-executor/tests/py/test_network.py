"""The library's network code, in a process that can make no socket, through a broker that connects for it."""

import contextlib
import http.server
import json
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "python"
HEAD = "import socket, ssl, json, asyncio, http.client, urllib.request\n"


class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"hello {self.path}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args): ...


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            while data := self.request.recv(1000):
                self.request.sendall(data.upper())


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """What the broker connects each name to."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(HERE / "certificates/certificate.pem", HERE / "certificates/key.pem")
    path = str(tmp_path_factory.mktemp("unix") / "s")
    with (
        Server(("127.0.0.1", 0), Hello) as web,
        Server(("127.0.0.1", 0), Hello) as secure,
        Server(("127.0.0.1", 0), Echo) as echo,
        UnixServer(path, Echo) as unix,
    ):
        secure.socket = tls.wrap_socket(secure.socket, server_side=True)
        started = (web, secure, echo, unix)
        for server in started:
            threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        yield {
            "service.test:80": web.server_address,
            "service.test:443": secure.server_address,
            "echo.test:7": echo.server_address,
            "[::1]:7": echo.server_address,
            "10.0.0.7:7": echo.server_address,
            "unix:/run/echo": path,
        }
        for server in started:
            server.shutdown()


@pytest.fixture
def run(servers):
    """Run code in a process without sockets; gives what it prints as JSON, and what it asked to connect to."""

    def inner(code, granted=("echo.test:7", "service.test:443")):
        here, there = socket.socketpair()
        asked = []

        def broker():
            while address := here.recv(1000).decode():
                asked.append(address)
                if address == "slow.test:1":
                    here.send(b"110")
                elif address not in servers:
                    here.send(b"13")
                else:
                    target = servers[address]
                    with socket.socket(socket.AF_UNIX if isinstance(target, str) else socket.AF_INET) as made:
                        made.connect(target)
                        socket.send_fds(here, [b"+"], [made.fileno()])

        thread = threading.Thread(target=broker)
        thread.start()
        try:
            ran = subprocess.run(
                [sys.executable, "-B", HERE / "without_sockets.py", str(there.fileno()), *granted],
                input=HEAD + code,
                env={"PYTHONPATH": str(PACKAGE), "CERTIFICATE": str(HERE / "certificates/certificate.pem")},
                pass_fds=[there.fileno()],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            there.close()
            thread.join()
            here.close()
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout), asked

    return inner


def test_without_a_grant_there_are_no_sockets(run):
    code = """
for make in (socket.socket, lambda: socket.create_connection(("127.0.0.1", 1))):
    try:
        make()
    except PermissionError as error:
        print(json.dumps(error.errno)) if make is socket.socket else None
"""
    assert run(code, granted=()) == (1, [])


def test_a_plain_socket_connects_through_the_broker(run):
    code = """
s = socket.socket()
s.settimeout(7)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
before = [s.fileno(), s.family.name, s.type.name, s.gettimeout(), s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)]
s.connect(("echo.test", 7))
s.sendall(b"abc")
after = [s.recv(10).decode(), s.family.name, s.gettimeout(), s.timeout, s.getpeername()[0]]
after.append(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
with s, s.makefile("rwb") as file:
    file.write(b"line\\n")
    file.flush()
    after.append(file.readline().decode())
print(json.dumps([before, after, s.fileno()]))
"""
    told, asked = run(code)
    assert told == [
        [-1, "AF_INET", "SOCK_STREAM", 7.0, 1],
        ["ABC", "AF_INET", 7.0, 7.0, "127.0.0.1", 1, "LINE\n"],
        -1,
    ]
    assert asked == ["echo.test:7"]


@pytest.mark.parametrize(
    ("connect", "asked"),
    [
        ("socket.create_connection(('echo.test', 7), timeout=5)", "echo.test:7"),
        ("socket.create_connection(('::1', 7))", "[::1]:7"),
        ("socket.create_connection(('10.0.0.7', '7'))", "10.0.0.7:7"),
        ("(s := socket.socket(socket.AF_UNIX), s.connect('/run/echo'))[0]", "unix:/run/echo"),
        ("(s := socket.socket(socket.AF_INET6), s.connect_ex(('::1', 7, 0, 0)))[0]", "[::1]:7"),
    ],
)
def test_addresses_of_every_kind(run, connect, asked):
    assert run(f"s = {connect}\ns.send(b'x')\nprint(json.dumps(s.recv(9).decode()))") == ("X", [asked])


@pytest.mark.parametrize(
    ("fetch", "asked"),
    [
        ("urllib.request.urlopen('http://service.test/a').read()", "service.test:80"),
        ("urllib.request.urlopen('https://service.test/b', context=tls).read()", "service.test:443"),
        (
            "(c := http.client.HTTPSConnection('service.test', context=tls), c.request('GET', '/c'))[0]"
            ".getresponse().read()",
            "service.test:443",
        ),
    ],
)
def test_the_librarys_clients_work(run, fetch, asked):
    tls = "import os\ntls = ssl.create_default_context(cafile=os.environ['CERTIFICATE'])\n"
    code = f"{tls}print(json.dumps({fetch}.decode()))"
    told, connected = run(code)
    assert told.startswith("hello /")
    assert connected == [asked]


@pytest.mark.parametrize("first", ["wrap", "connect"])
def test_a_socket_may_be_wrapped_before_it_connects_or_after(run, first):
    code = f"""
import os
tls = ssl.create_default_context(cafile=os.environ["CERTIFICATE"])
s = socket.socket()
if {first!r} == "connect":
    s.connect(("service.test", 443))
s = tls.wrap_socket(s, server_hostname="service.test")
if {first!r} == "wrap":
    s.settimeout(9)
    s.connect(("service.test", 443))
version = s.version()
s.sendall(b"GET /tls HTTP/1.0\\r\\n\\r\\n")
text = b""
while part := s.recv(1000):
    text += part
print(json.dumps([text.decode()[-10:], version[:3]]))
"""
    assert run(code) == (["hello /tls", "TLS"], ["service.test:443"])


def test_a_certificate_of_another_name_is_refused(run):
    code = """
import os
tls = ssl.create_default_context(cafile=os.environ["CERTIFICATE"])
try:
    tls.wrap_socket(socket.create_connection(("service.test", 443)), server_hostname="other.test")
except ssl.SSLCertVerificationError as error:
    print(json.dumps(error.verify_message))
"""
    assert "other.test" in run(code)[0]


@pytest.mark.parametrize(
    ("port", "tls"), [(80, "None"), (443, "ssl.create_default_context(cafile=os.environ['CERTIFICATE'])")]
)
def test_asyncio_streams_work(run, port, tls):
    code = f"""
import os
async def fetch(path):
    reader, writer = await asyncio.open_connection("service.test", {port}, ssl={tls})
    writer.write(f"GET {{path}} HTTP/1.0\\r\\n\\r\\n".encode())
    text = await reader.read()
    writer.close()
    return text.decode()[-8:]
async def both():
    return await asyncio.gather(fetch("/1"), fetch("/2"))
print(json.dumps(asyncio.run(both())))
"""
    assert run(code) == (["hello /1", "hello /2"], [f"service.test:{port}"] * 2)


REFUSED = "; it may connect to echo.test:7, service.test:443"


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("socket.create_connection(('elsewhere.test', 1))", "PermissionError", "[Errno 13] Permission denied"),
        ("socket.create_connection(('slow.test', 1))", "TimeoutError", "[Errno 110] Connection timed out"),
        ("urllib.request.urlopen('http://elsewhere.test')", "URLError", "Permission denied"),
        ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM)", "PermissionError", f"or Unix sockets{REFUSED}"),
        ("socket.socket(socket.AF_INET, socket.SOCK_RAW)", "PermissionError", REFUSED),
        ("socket.socket(socket.AF_NETLINK)", "PermissionError", REFUSED),
        ("socket.socket().bind(('', 0))", "PermissionError", f"a tool cannot bind: it takes no connections{REFUSED}"),
        ("socket.socket().listen()", "PermissionError", "a tool cannot listen"),
        ("socket.create_server(('', 0))", "PermissionError", "a tool cannot bind"),
        ("asyncio.run(asyncio.start_server(print, '127.0.0.1', 0))", "PermissionError", "a tool cannot bind"),
        ("socket.socket().send(b'x')", "OSError", "not connected"),
        ("socket.socket().recv(1)", "OSError", "not connected"),
        ("socket.socket().getpeername()", "OSError", "not connected"),
        ("(s := socket.create_connection(('echo.test', 7))).connect(('echo.test', 7))", "OSError", "already connected"),
        ("(s := socket.socket(), s.close(), s.send(b''))", "OSError", "not connected"),
        ("socket.getaddrinfo('x', 'gopher')", "gaierror", "give the port as a number"),
        ("socket.getaddrinfo('x', 1, type=socket.SOCK_DGRAM)", "gaierror", "stream sockets only"),
        ("socket.getaddrinfo('x', 1, flags=socket.AI_NUMERICHOST)", "gaierror", "no address in numbers"),
        ("socket.getaddrinfo('::1', 1, socket.AF_INET)", "gaierror", "no address of that family"),
    ],
)
def test_what_a_tool_cannot_do_is_said(run, code, kind, message):
    told, _ = run(
        f"try:\n    {code}\nexcept OSError as error:\n    print(json.dumps([type(error).__name__, str(error)]))"
    )
    assert told[0] == kind
    assert message in told[1]


def test_names_are_passed_on_unresolved(run):
    code = """
asked = [socket.getaddrinfo("nowhere.test", "https")[0][4], socket.getaddrinfo("::1", 80)[0][4]]
print(json.dumps([*asked, socket.gethostbyname("nowhere.test"), socket.socket().connect_ex(("bücher.test", 1))]))
"""
    told, asked = run(code)
    assert told == [["nowhere.test", 443], ["::1", 80, 0, 0], "nowhere.test", 13]
    assert asked == ["xn--bcher-kva.test:1"]
