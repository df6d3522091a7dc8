#!/usr/bin/env python3
"""Compares rust-inference with transformers on a checkpoint: the chat template, token ids, logits and greedy answers.

    make verify-functiongemma MODEL=DIR
    python scripts/verify_functiongemma.py DIR [--against DIR] [--tokens N]
    python scripts/verify_functiongemma.py --self-test

DIR is a Hugging Face directory of a Gemma 3 text checkpoint, such as FunctionGemma 270M. transformers and torch are
needed (`.venv/bin/pip install torch transformers`). Exit status: 0 all the same, 1 not, 2 something is missing.
`--against` lets transformers load another directory than rust-inference; --self-test makes a random checkpoint, and
sees that it passes, and that a weight, the template or a token that was tampered with does not.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import make_random_model  # noqa: E402
import served  # noqa: E402

CONVERSATIONS = ROOT / "rust-inference" / "testdata" / "format" / "conversations.json"
# How far logits in f32 may be from transformers' in f32.
TOLERANCE = 1e-4


class MissingError(Exception):
    """What is missing, and how to get it."""


class Table:
    """What was compared, and whether all of it was the same."""

    def __init__(self) -> None:
        self.same = True

    def row(self, what: str, verdict: bool | None, told: str) -> None:
        """`verdict`: nothing where a difference is expected, and only its size is told."""
        word = {True: "same", False: "DIFFERENT", None: "shown"}[verdict]
        self.same &= verdict is not False
        print(f"{what:<24} {word:<10} {told}", flush=True)


def libraries() -> tuple[Any, Any]:
    """torch and transformers, which nothing else here needs."""
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingError(
            f"{error.name} is missing; fix: {sys.executable} -m pip install torch transformers"
        ) from None
    return torch, transformers


class Theirs:
    """The checkpoint in transformers, in f32."""

    def __init__(self, folder: Path) -> None:
        torch, transformers = libraries()
        transformers.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        self.torch = torch
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        if self.tokenizer.chat_template is None:
            raise MissingError(
                f"{folder} has no chat template; fix: get its chat_template.jinja or tokenizer_config.json"
            )
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        # It is multiplied in the checkpoint's type, which rounds it.
        kept_as = json.loads((folder / "config.json").read_text("utf-8"))
        kept_as = kept_as.get("dtype") or kept_as.get("torch_dtype") or "float32"
        scale = torch.tensor(self.model.config.hidden_size**0.5).to(getattr(torch, kept_as)).float()
        self.model.model.embed_tokens.embed_scale = scale
        print(f"transformers {transformers.__version__}, torch {torch.__version__}; {folder}")

    def prompt(self, chat: dict[str, Any]) -> str:
        return self.tokenizer.apply_chat_template(
            chat["messages"], tools=chat.get("tools"), add_generation_prompt=True, tokenize=False
        )

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids

    def logits(self, ids: list[int]) -> Any:
        with self.torch.no_grad():
            return self.model(self.torch.tensor([ids])).logits[0]

    def greedy(self, ids: list[int], tokens: int) -> list[int]:
        """What it writes behind a prompt, without the token that ends it."""
        ends = self.model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        given = self.torch.tensor([ids])
        with self.torch.no_grad():
            whole = self.model.generate(
                given, attention_mask=self.torch.ones_like(given), do_sample=False, max_new_tokens=tokens
            )
        written = whole[0, len(ids) :].tolist()
        return next((written[:at] for at, token in enumerate(written) if token in ends), written)


class Ours:
    """The checkpoint in rust-inference."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program, self.folder = program, folder

    def lines(self, *command: str, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What a command answers with --batch."""
        given = "".join(json.dumps(line) + "\n" for line in lines)
        done = subprocess.run(
            [self.program, *command, "--batch"], input=given, capture_output=True, text=True, check=True
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def formats(self) -> list[str]:
        """What else than f32 weights can be kept as."""
        told = subprocess.run([self.program, "logits", "--help"], capture_output=True, text=True, check=True).stdout
        return sorted(set(re.findall(r"\b(?:bf16|q8|q4)\b", told)))

    def logits(self, texts: list[str], weights: str, torch: Any) -> Iterator[tuple[list[int], Any]]:
        """The ids and the logits of each text."""
        command = [self.program, "logits", "--model", self.folder, "--weights", weights]
        with tempfile.TemporaryFile() as given:
            given.write("".join(json.dumps(text) + "\n" for text in texts).encode())
            given.seek(0)
            with subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE) as process:
                for _ in texts:
                    head = process.stdout.readline()
                    if not head:
                        raise MissingError(
                            f"rust-inference cannot load {self.folder} with --weights {weights}: see above"
                        )
                    head = json.loads(head)
                    shape = (len(head["ids"]), head["columns"])
                    rows = bytearray(process.stdout.read(4 * shape[0] * shape[1]))
                    yield head["ids"], torch.frombuffer(rows, dtype=torch.float32).reshape(shape)


def compare_templates(table: Table, theirs: Theirs, ours: Ours, cases: list[dict[str, Any]]) -> list[str]:
    """Gives the prompts that transformers makes."""
    given = [
        {"id": at, "messages": case["chat"]["messages"], "tools": case["chat"].get("tools", [])}
        for at, case in enumerate(cases)
    ]
    answers = ours.lines("render", lines=given)
    prompts, differing = [], []
    for case, answer in zip(cases, answers, strict=True):
        prompts.append(theirs.prompt(case["chat"]))
        if not answer["ok"] or answer["result"]["prompt"] != prompts[-1]:
            differing.append(case["name"])
    table.row("chat template", not differing, f"{len(cases)} conversations" + named(differing))
    return prompts


class Apart:
    """How far two engines' logits are apart."""

    def __init__(self) -> None:
        self.rows, self.worst, self.kl, self.best = 0, 0.0, 0.0, 0

    def add(self, wanted: Any, found: Any) -> None:
        # A few rows at once: each is as long as the vocabulary.
        for theirs, ours in zip(wanted.split(32), found.split(32), strict=True):
            self.worst = max(self.worst, (theirs - ours).abs().max().item())
            # In f64: the sum is of a quarter of a million small terms of either sign.
            logs = theirs.double().log_softmax(-1)
            self.kl += (logs.exp() * (logs - ours.double().log_softmax(-1))).sum().item()
            self.best += (theirs.argmax(-1) == ours.argmax(-1)).sum().item()
        self.rows += len(wanted)

    def __str__(self) -> str:
        kl, best = self.kl / self.rows, self.best / self.rows
        return f"{self.rows} positions, at most {self.worst:.1e} apart, KL {kl:.1e}, the same best token at {best:.2%}"


def compare_logits(table: Table, theirs: Theirs, ours: Ours, prompts: list[str]) -> None:
    formats = ["f32", *ours.formats()]
    running = [ours.logits(prompts, weights, theirs.torch) for weights in formats]
    apart = [Apart() for _ in formats]
    differing = []
    for prompt, answers in zip(prompts, zip(*running, strict=True), strict=True):
        wanted = theirs.ids(prompt)
        if any(ids != wanted for ids, _ in answers):
            differing.append(repr(prompt[-40:]))
            continue
        logits = theirs.logits(wanted)
        for (_, found), sum_up in zip(answers, apart, strict=True):
            sum_up.add(logits, found)
    table.row("token ids", not differing, f"{len(prompts)} prompts" + named(differing))
    for weights, found in zip(formats, apart, strict=True):
        if found.rows:
            table.row(f"logits, {weights}", found.worst < TOLERANCE if weights == "f32" else None, str(found))


def compare_answers(
    table: Table, theirs: Theirs, ours: Ours, cases: list[dict[str, Any]], prompts: list[str], tokens: int
) -> None:
    """Greedy answers as the model writes them, and the calls among them where nothing but calls can be written."""
    differing, texts, written_by_them = [], [], 0
    with served.Server(ours.program, "--model", ours.folder, "--weights", "f32", "--no-packed-cache") as server:
        for case, prompt in zip(cases, prompts, strict=True):
            answer, _ = server.done({"prompt": prompt, "max_tokens": tokens, "logprobs": 0})
            found = [token["id"] for token in answer.get("logprobs", [])]
            wanted = theirs.greedy(theirs.ids(prompt), tokens)
            written_by_them += len(wanted)
            texts.append(theirs.tokenizer.decode(wanted))
            if found != wanted:
                differing.append(case["name"])
        table.row("greedy answers", not differing, f"{len(cases)} prompts, {written_by_them} tokens" + named(differing))
        compare_calls(table, ours, server, cases, texts)


def compare_calls(
    table: Table, ours: Ours, server: served.Server, cases: list[dict[str, Any]], texts: list[str]
) -> None:
    offered = [(case, text) for case, text in zip(cases, texts, strict=True) if case["chat"].get("tools")]
    lines = [{"id": 0, "tools": case["chat"]["tools"], "text": text} for case, text in offered]
    differing, compared = [], 0
    for (case, _), read in zip(offered, ours.lines("accept", lines=lines), strict=True):
        calls = read["result"].get("tool_calls") if read["ok"] and read["result"].get("accepted") else None
        if not calls:
            continue
        compared += 1
        tools = [tool.get("function", tool) for tool in case["chat"]["tools"]]
        answer, _ = server.done({"chat": {"messages": case["chat"]["messages"]}, "tools": tools})
        found = [(call["name"], json.loads(call["arguments"])) for call in answer.get("tool_calls", [])]
        if found != [(call["name"], call["arguments"]) for call in calls]:
            differing.append(case["name"])
    told = f"{compared} of {len(offered)} answers are valid calls" + named(differing)
    table.row("greedy calls", not differing if compared else None, told)


def named(differing: list[str]) -> str:
    return f"; not: {', '.join(differing[:3])}{' …' if len(differing) > 3 else ''}" if differing else ""


def conversations() -> list[dict[str, Any]]:
    """Those that transformers hands to the template as they are: what is null it leaves out."""
    cases = json.loads(CONVERSATIONS.read_text("utf-8"))
    return [
        case for case in cases if all(message.get("content", "") is not None for message in case["chat"]["messages"])
    ]


def verify(program: Path, folder: Path, against: Path, cases: list[dict[str, Any]], tokens: int) -> bool:
    theirs, ours, table = Theirs(against), Ours(program, folder), Table()
    prompts = compare_templates(table, theirs, ours, cases)
    compare_logits(table, theirs, ours, prompts)
    asked = [at for at, case in enumerate(cases) if case["chat"]["messages"][-1]["role"] == "user"]
    compare_answers(table, theirs, ours, [cases[at] for at in asked], [prompts[at] for at in asked], tokens)
    print("all the same" if table.same else "NOT the same")
    return table.same


def self_test(program: Path) -> bool:
    """A random checkpoint is the same; one of which a weight, the template or a token was changed is not."""
    template = (ROOT / "models" / "default" / "chat_template.jinja").read_text("utf-8")
    with tempfile.TemporaryDirectory() as room:
        whole = Path(room) / "whole"
        make_random_model.make(whole, tiny=True)
        (whole / "chat_template.jinja").write_text(template, "utf-8")
        # Some will do: what is tried is the comparison.
        cases = conversations()[::4]
        good = verify(program, whole, whole, cases, 8)
        for what, change in (("weight", damage_weight), ("template", damage_template), ("token", damage_token)):
            print(f"\nwith another {what}:")
            other = Path(room) / what
            shutil.copytree(whole, other)
            change(other)
            good &= not verify(program, whole, other, cases, 8)
    print("\nself-test:", "passed" if good else "FAILED")
    return good


def damage_weight(folder: Path) -> None:
    """One weight of the last norm, which every logit depends on."""
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 0x01
    path.write_bytes(data)


def damage_template(folder: Path) -> None:
    path = folder / "chat_template.jinja"
    path.write_text(path.read_text("utf-8").replace("<start_of_turn>user", "<start_of_turn>human"), "utf-8")


def damage_token(folder: Path) -> None:
    """Two tokens that change places."""
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text("utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["e"], vocabulary["o"] = vocabulary["o"], vocabulary["e"]
    path.write_text(json.dumps(tokenizer, ensure_ascii=False), "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Compares rust-inference with transformers on a checkpoint.")
    parser.add_argument("model", nargs="?", type=Path, metavar="DIR", help="a directory of a Gemma 3 text checkpoint")
    parser.add_argument("--against", type=Path, metavar="DIR", help="what transformers loads [default: the same]")
    parser.add_argument("--tokens", type=int, default=64, metavar="N", help="most tokens of a greedy answer")
    parser.add_argument(
        "--self-test", action="store_true", help="try it on a random checkpoint, whole and tampered with"
    )
    asked = parser.parse_args()
    try:
        if not asked.self_test and asked.model is None:
            raise MissingError("no checkpoint; fix: make verify-functiongemma MODEL=DIR")
        if not asked.self_test and not (asked.model / "config.json").is_file():
            raise MissingError(f"{asked.model} is no directory of a checkpoint: it has no config.json")
        libraries()
        program = served.build("dev")
        if asked.self_test:
            return 0 if self_test(program) else 1
        against = asked.against or asked.model
        return 0 if verify(program, asked.model, against, conversations(), asked.tokens) else 1
    except MissingError as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
