"""What is counted, scraped by an HTTP client and read by Prometheus' own parser, which is strict: a family without its
type, a sample out of its family or a histogram whose buckets do not add up is an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import harness
import httpx2
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families


@pytest.mark.parametrize("over", ["tcp", "unix"])
def test_prometheus_own_parser_reads_what_is_scraped(
    start: Callable[..., harness.Server], room: Path, over: str
) -> None:
    server = start("--metrics", "127.0.0.1:0" if over == "tcp" else room / "metrics")
    if over == "tcp":
        found = re.search(r"metrics at (http://\S+)", server.said())
        assert found, server.said()
        url, transport = found[1], httpx2.HTTPTransport()
    else:
        url, transport = "http://localhost/metrics", httpx2.HTTPTransport(uds=str(room / "metrics"))
    question = {"chat": {"messages": [{"role": "user", "content": "Hello, who are you?"}]}}
    with harness.Wire(server.socket) as wire:
        answers = [wire.ask(number, generate=question)["done"] for number in (1, 3)]

    with httpx2.Client(transport=transport) as client:
        answer = client.get(url)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    # A generator: what it finds wrong, it raises when it is asked for the next.
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    [asked] = families["callspan_inference_requests"].samples
    tokens = {sample.labels["kind"]: sample.value for sample in families["callspan_inference_tokens"].samples}
    assert (asked.labels["method"], asked.labels["outcome"], asked.value) == ("generate", "stop", 2)
    assert tokens["prompt"] == sum(answer["usage"]["prompt_tokens"] for answer in answers)
    assert tokens["cached"] == sum(answer["usage"].get("cached_tokens", 0) for answer in answers)
