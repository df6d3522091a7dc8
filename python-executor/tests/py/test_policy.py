"""The words of policy in the decorator: told as they were given, or refused with their line."""

import pytest

from callspan.runtime import ToolFileError


def test_what_was_given_is_told_and_nothing_else(load):
    declared = load("""
        NETWORK = ("host:443", "[::1]:80", "unix:/run/x.sock")

        @tool(wall_ms=2000, read=["/data", "~/notes"], network=NETWORK, approval="ask")
        def f(): ...

        @tool
        def g(): ...
    """)
    assert declared["f"]["policy"] == {
        "wall_ms": 2000,
        "read": ["/data", "~/notes"],
        "network": ["host:443", "[::1]:80", "unix:/run/x.sock"],
        "approval": "ask",
    }
    assert "policy" not in declared["g"]


@pytest.mark.parametrize(
    ("argument", "why"),
    [
        ("wall_s=1", "@tool has no argument `wall_s`; did you mean `wall_ms`?"),
        ("descripton='x'", "did you mean `description`?"),
        ("zzz=1", "@tool has no argument `zzz`; there are wall_ms, cpu_s, memory_mib, "),
        ("wall_ms=0", "`wall_ms=0`: write a whole number greater than 0"),
        ("cpu_s=True", "`cpu_s=True`: write a whole number"),
        ("memory_mib=1.5", "write a whole number"),
        ("output_kib='1'", "write a whole number"),
        ("scratch_mib=1 << 32", "write a whole number"),
        ("read='/data'", "`read='/data'`: write a list"),
        ("read=['data']", "'data' is not an absolute path, or one in ~/"),
        ("write=['~root/x']", "'~root/x' is not an absolute path"),
        ("write=[1]", "1 is not an absolute path"),
        ("network=['host']", "'host' is not host:port, [::1]:80 or unix:/path"),
        ("network=['host:0']", "'host:0' is not host:port"),
        ("network=['host:65536']", "'host:65536' is not host:port"),
        ("network=['http://host:80']", "is not host:port"),
        ("network=['::1:80']", "is not host:port"),
        ("network=['a.*.b:80']", "is not host:port"),
        ("network=['unix:x']", "is not host:port"),
        ("environment=['A=B']", "'A=B' is not the name of an environment variable"),
        ("approval='never'", '`approval=\'never\'`: write "auto" or "ask"'),
    ],
)
def test_a_wrong_word_is_refused_with_its_line(load, argument, why):
    with pytest.raises(ToolFileError) as caught:
        load(f"@tool({argument})\ndef f(): ...\n")
    assert str(caught.value).startswith("sample.py:2: tool `f`: ")
    assert why in str(caught.value)


@pytest.mark.parametrize("endpoint", ["host:65535", "127.0.0.1:8080", "*.example.com:443", "my_host.local.:1"])
def test_endpoints_of_every_form_are_taken(load, endpoint):
    assert load(f"@tool(network=[{endpoint!r}])\ndef f(): ...\n")["f"]["policy"] == {"network": [endpoint]}
