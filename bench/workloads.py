"""The work that both engines are given, one function a kind, each giving figures by name: see bench/engine.py."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

import peer
from engines import Llama, Ours
from levers import request

PREFILLS = (64, 512, 2048)
DEPTHS = (0, 512, 4096)
BATCHES = (1, 2, 4, 8, 16)
DECODED = 32
CROWDS = (1, 4, 16, 32)
Figures = dict[str, float]


@dataclass
class Setting:
    """What is compared, and on what."""

    program: Path
    model: Path
    ggufs: dict[str, Path]
    threads: int
    launcher: list[str]
    flags: list[str]
    seed: int = 0

    def fresh(self) -> int:
        """A seed that was not used before: a prompt that no cache knows."""
        self.seed += 1
        return self.seed

    def ours(self, cache: Path) -> Ours:
        return Ours(self.program, self.model, self.threads, self.launcher, cache, *self.flags)

    def llama(self, kind: str, slots: int, context: int, *flags: str) -> Llama:
        return Llama(kind, self.ggufs[kind], self.threads, self.launcher, slots, context, *flags)


def ours_passes(setting: Setting, ours: Ours) -> Figures:
    """Tokens a second of prompts and of decoding, milliseconds of small batches, as the server itself counts them."""
    figures = {}
    for tokens in PREFILLS:
        answer = ours.complete(tokens, 1, setting.fresh(), cached=False)
        figures[f"prefill {tokens}"] = 1e6 * answer.prompt / answer.told["prefill_us"]
    for depth in DEPTHS:
        asked = {"prompt": " a" * max(depth, 1), "max_tokens": DECODED + 1, "without": ["speculation"]}
        answer = ours.generate(asked)
        figures[f"decode {depth}"] = 1e6 * (answer.written - 1) / answer.told["decode_us"]
    for batch in BATCHES:
        ours.complete(400, 1, setting.fresh(), after=400)
        answer = ours.complete(400 + batch, 1, setting.fresh(), after=400)
        figures[f"batch {batch}"] = answer.told["prefill_us"] / 1000
    return figures


def llama_passes(setting: Setting, kind: str) -> Figures:
    """The same of llama-bench, which counts neither sampling nor HTTP."""
    figures = {}
    for what in (
        ["-p", ",".join(map(str, PREFILLS)), "-n", "0"],
        ["-p", "0", "-n", str(DECODED), "-d", ",".join(map(str, DEPTHS))],
        ["-p", ",".join(map(str, BATCHES)), "-n", "0", "-d", "400"],
    ):
        for line in peer.measured(setting.ggufs[kind], setting.threads, setting.launcher, *what, "-r", "1"):
            if line["n_gen"]:
                figures[f"decode {line['n_depth']}"] = line["avg_ts"]
            elif line["n_depth"]:
                figures[f"batch {line['n_prompt']}"] = line["avg_ns"] / 1e6
            else:
                figures[f"prefill {line['n_prompt']}"] = line["avg_ts"]
    return figures


def asked_twice(setting: Setting, engine: Ours | Llama) -> Figures:
    """400 tokens of prompt and 40 of answer, milliseconds: never seen before, and the same once more."""
    seed = setting.fresh()
    cold, warm = engine.complete(400, 40, seed), engine.complete(400, 40, seed)
    for answer in (cold, warm):
        if answer.written != 40:
            raise SystemExit(f"{engine.name} wrote {answer.written} tokens, not 40")
    return {"400+40 cold": 1000 * cold.whole, "400+40 warm": 1000 * warm.whole}


def crowd(setting: Setting, engine: Ours | Llama, clients: int, requests: int) -> Figures:
    """So many clients at once, each with one request after the other: 128 tokens of prompt, 48 of answer."""
    answers = []
    failed: list[BaseException] = []
    seeds = [[setting.fresh() for _ in range(requests)] for _ in range(clients)]

    def ask(seeds: list[int]) -> None:
        try:
            answers.extend([engine.complete(128, 48, seed) for seed in seeds])
        except BaseException as error:  # a thread's error is raised where it is waited for
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in seeds]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    if failed:
        raise failed[0]
    firsts = sorted(1000 * answer.first for answer in answers)
    cuts = quantiles(firsts, n=100, method="inclusive") if len(firsts) > 1 else firsts * 99
    return {
        f"{clients} clients": sum(answer.written for answer in answers) / took,
        f"{clients} clients, p50": cuts[49],
        f"{clients} clients, p99": cuts[98],
    }


class Calls:
    """The call of bench/levers.py: 'create_event' among six tools, with a question that the second time is another."""

    QUESTIONS = ("the first of May", "the third of June")

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        chat = request("NONCE", "QUESTION", [])
        conversation = json.dumps({"messages": chat["chat"]["messages"], "tools": self.tools(chat)})
        rendered = subprocess.run(
            [setting.program, "render"], input=conversation, capture_output=True, text=True, check=True
        )
        self.prompt = rendered.stdout

    @staticmethod
    def tools(chat: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {"type": "function", "function": tool | {"parameters": json.loads(tool["parameters"])}}
            for tool in chat["tools"]
        ]

    def ours(self, ours: Ours) -> tuple[Figures, int]:
        nonce = f"{self.setting.fresh():06}"
        answers = [ours.generate(request(nonce, question, [])) for question in self.QUESTIONS]
        cold, warm = answers
        return {"call cold": 1000 * cold.whole, "call warm": 1000 * warm.whole}, warm.written

    def llama(self, llama: Llama, written: int, grammar: str | None) -> Figures:
        nonce = f"{self.setting.fresh():06}"
        figures = {}
        for warmth, question in zip(("cold", "warm"), self.QUESTIONS, strict=True):
            prompt = llama.server.tokenize(self.prompt.replace("NONCE", nonce).replace("QUESTION", question))
            answer = llama.generate(prompt, written, **({"grammar": grammar} if grammar else {}))
            if answer.written != written:
                raise SystemExit(f"llama-server wrote {answer.written} tokens of a call, not {written}")
            figures[f"call {warmth}"] = 1000 * answer.whole
        return figures


# What ours is held to by the tool's schema, up to the title, which goes on to the last token in both.
GRAMMAR = r"""
root ::= "<start_function_call>call:create_event{date:<escape>" date "<escape>,minutes:" minutes ",title:<escape>" title
date ::= "20" [2-3] [0-9] "-0" [1-9] "-" [0-2] [1-8]
minutes ::= "15" | [2-8] [05] | "90"
title ::= [^<]+
"""


def started(setting: Setting, kind: str) -> Figures:
    """Milliseconds from the start of the process to its first token, the first and the second time, and the megabytes
    that it holds in memory after an answer."""
    figures = {}
    for packed in setting.model.glob("*.packed") if kind == "ours" else ():
        packed.unlink()
    with tempfile.TemporaryDirectory() as cache:
        for start in ("first", "second"):
            engine = setting.ours(Path(cache)) if kind == "ours" else setting.llama(kind, 1, 2048)
            with engine:
                engine.complete(1, 1, setting.fresh())
                figures[f"{start} start"] = 1000 * (time.perf_counter() - engine.began)
                engine.complete(400, 40, setting.fresh())
                figures["resident"] = engine.resident()
    return figures
