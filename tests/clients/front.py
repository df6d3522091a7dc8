"""A rust-inference with its front door open, over TCP and over a Unix socket, and the ways to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
import httpx2
from openai import AsyncOpenAI, OpenAI
from prometheus_client.openmetrics.parser import text_string_to_metric_families

WAYS = ["tcp", "unix"]


@dataclass
class Front:
    server: harness.Server
    url: str
    path: Path

    def address(self, way: str) -> dict[str, Any]:
        """What a client of httpx2 is told. The name in the URL of a Unix socket is only shown to the server."""
        if way == "tcp":
            return {"base_url": self.url}
        return {"base_url": "http://localhost/v1", "uds": str(self.path)}

    def openai(self, way: str = "tcp", **options: Any) -> OpenAI:
        address = self.address(way)
        transport = httpx2.HTTPTransport(uds=address.pop("uds", None))
        http_client = httpx2.Client(transport=transport, timeout=harness.PATIENCE_S)
        return OpenAI(**{"api_key": "unused", "max_retries": 0, "http_client": http_client} | address | options)

    def async_openai(self, way: str = "tcp", **options: Any) -> AsyncOpenAI:
        address = self.address(way)
        limits = httpx2.Limits(max_connections=None)
        transport = httpx2.AsyncHTTPTransport(uds=address.pop("uds", None), limits=limits)
        http_client = httpx2.AsyncClient(transport=transport, timeout=harness.PATIENCE_S)
        return AsyncOpenAI(**{"api_key": "unused", "max_retries": 0, "http_client": http_client} | address | options)

    def health(self) -> dict[str, str]:
        """What the server says of itself over its protocol."""
        with harness.Wire(self.server.socket) as wire:
            return wire.ask(1, health={})["health_report"]["details"]

    def until_idle(self) -> None:
        harness.until(lambda: self.health()["running"] == "0", "the model to be free", 10)

    def until_ended(self, how: dict[str, int]) -> None:
        """Waits until so many ended so, and no others: the model is free a moment before they are counted."""
        self.until_idle()
        harness.until(lambda: self.ended() == how, f"{how} to be counted", 10)

    def ended(self) -> dict[str, int]:
        """How many generations ended how."""
        with harness.Wire(self.server.socket) as wire:
            text = wire.ask(1, metrics={})["metrics_report"]["text"]
        [family] = (it for it in text_string_to_metric_families(text) if it.name == "callspan_inference_requests")
        generations = (sample for sample in family.samples if sample.labels["method"] == "generate")
        return {sample.labels["outcome"]: int(sample.value) for sample in generations}


def opened(server: harness.Server, path: Path) -> Front:
    """Where the server says that its door is."""
    found = harness.until(lambda: re.search(r"http at (http://\S+/v1)\s", server.said()), "the address of HTTP")
    return Front(server, found[1], path)
