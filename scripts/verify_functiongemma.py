#!/usr/bin/env python3
"""Compares rust-inference with transformers on a checkpoint: the chat template, token ids, logits and greedy answers.

    make verify-functiongemma MODEL=DIR
    python scripts/verify_functiongemma.py DIR [--against DIR] [--tokens N]
    python scripts/verify_functiongemma.py --self-test

DIR is a Hugging Face directory of a Gemma 3 text checkpoint, such as FunctionGemma 270M. transformers and torch are
needed (`.venv/bin/pip install torch transformers`). Exit status: 0 all the same, 1 not, 2 something is missing, 3 the
same where it was compared, but the model writes nothing that the rest could be compared by: random weights write no
calls. `--against` lets transformers load another directory than rust-inference; --self-test sees that the built-in
model and a random checkpoint pass, and that a weight, the template or a token that was tampered with does not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import make_random_model  # noqa: E402
import served  # noqa: E402
from verify_engines import TOLERANCE, MissingError, Ours, Theirs, libraries  # noqa: E402

TESTDATA = ROOT / "rust-inference" / "testdata"
DEFAULT = ROOT / "models" / "default"
SAME, NEAR, DIFFERENT, NOT_COMPARED = "same", "near", "DIFFERENT", "NOT COMPARED"
# The mean KL that smaller weights may cost: several times what they do cost, and far below what an error does.
NEAR_KL = {"bf16": 1e-3, "q8": 0.05, "q4": 0.5}


class Table:
    """What was compared, and what came of it."""

    def __init__(self) -> None:
        self.verdicts: dict[str, str] = {}

    def row(self, what: str, verdict: str, told: str) -> None:
        self.verdicts[what] = verdict
        print(f"{what:<24} {verdict:<12} {told}", flush=True)

    def status(self) -> int:
        """The exit status, which claims nothing of what was not compared."""
        told = set(self.verdicts.values())
        if DIFFERENT in told:
            print("NOT the same")
            return 1
        if NOT_COMPARED in told:
            left_out = ", ".join(what for what, verdict in self.verdicts.items() if verdict == NOT_COMPARED)
            print(f"the same as far as was compared, which leaves out: {left_out}")
            return 3
        print("all the same")
        return 0


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
    table.row("chat template", verdict(differing), f"{len(cases)} conversations" + named(differing))
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
    """With each kind of weights, where the tokens are the same: those that are not are another row's matter."""
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
    table.row("token ids", verdict(differing), f"{len(prompts)} prompts" + named(differing))
    for weights, found in zip(formats, apart, strict=True):
        if not found.rows:
            table.row(f"logits, {weights}", NOT_COMPARED, "no prompt has the same tokens")
        elif weights == "f32":
            table.row("logits, f32", SAME if found.worst < TOLERANCE else DIFFERENT, str(found))
        else:
            near = found.kl / found.rows < NEAR_KL[weights]
            table.row(f"logits, {weights}", NEAR if near else DIFFERENT, str(found))


def compare_answers(
    table: Table, theirs: Theirs, ours: Ours, cases: list[dict[str, Any]], prompts: list[str], tokens: int
) -> None:
    """Greedy answers as the model writes them, token by token, and the calls that they are."""
    differing, texts, written, ties = [], [], [], 0
    with served.Server(ours.program, "--model", ours.folder, "--weights", "f32", "--no-packed-cache") as server:
        for case, prompt in zip(cases, prompts, strict=True):
            answer, _ = server.done({"prompt": prompt, "max_tokens": tokens, "logprobs": 0})
            found = [token["id"] for token in answer.get("logprobs", [])]
            ids = theirs.ids(prompt)
            wanted = theirs.greedy(ids, tokens)
            written += wanted
            if found == wanted:
                texts.append((case, theirs.tokenizer.decode(wanted)))
            elif theirs.tied(ids, found, answer["finish_reason"] != "length"):
                # Either answer is the greedy one, and another call may be right behind each.
                ties += 1
            else:
                differing.append(case["name"])
                texts.append((case, theirs.tokenizer.decode(wanted)))
        told = f"{len(cases)} prompts, {len(written)} tokens, {len(set(written))} different ones, {ties} ties"
        table.row("greedy answers", verdict(differing), told + named(differing))
        compare_calls(table, ours, server, texts)


def compare_calls(table: Table, ours: Ours, server: served.Server, texts: list[tuple[dict[str, Any], str]]) -> None:
    """Where transformers writes valid calls freely, rust-inference writes these when it can write no others."""
    offered = [(case, text) for case, text in texts if case["chat"].get("tools")]
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
    told = f"{compared} of transformers' {len(offered)} answers to prompts with tools are valid calls"
    table.row("greedy calls", verdict(differing) if compared else NOT_COMPARED, told + named(differing))


def verdict(differing: list[str]) -> str:
    return DIFFERENT if differing else SAME


def named(differing: list[str]) -> str:
    return f"; not: {', '.join(differing[:3])}{' …' if len(differing) > 3 else ''}" if differing else ""


def conversations() -> list[dict[str, Any]]:
    """Those that transformers hands to the template as they are: what is null it leaves out."""
    cases = json.loads((TESTDATA / "format" / "conversations.json").read_text("utf-8"))
    return [
        case for case in cases if all(message.get("content", "") is not None for message in case["chat"]["messages"])
    ]


def requests(of_each: int) -> list[dict[str, Any]]:
    """Everyday sentences, which a trained model answers with calls, and one with so many tools that its prompt crosses
    the window of the sliding layers."""
    groups = json.loads((TESTDATA / "utterances.json").read_text("utf-8"))
    asked = [(text, group["tools"]) for group in groups for text in group["sentences"][:of_each]]
    asked.append((groups[0]["sentences"][0], [tool for group in groups for tool in group["tools"]]))
    return [
        {"name": text, "chat": {"messages": [{"role": "user", "content": text}], "tools": tools}}
        for text, tools in asked
    ]


def verify(
    program: Path,
    folder: Path,
    against: Path,
    talks: list[dict[str, Any]],
    asked: list[dict[str, Any]],
    tokens: int,
) -> Table:
    """`talks` are compared in their logits, what a user said last in them and `asked` by the answers to it."""
    theirs, ours, table = Theirs(against), Ours(program, folder), Table()
    prompts = compare_templates(table, theirs, ours, talks + asked)
    compare_logits(table, theirs, ours, prompts[: len(talks) + 1])
    cases = list(zip(talks + asked, prompts, strict=True))
    answered = [(case, prompt) for case, prompt in cases if case["chat"]["messages"][-1]["role"] == "user"]
    compare_answers(table, theirs, ours, [case for case, _ in answered], [prompt for _, prompt in answered], tokens)
    return table


def self_test(program: Path) -> bool:
    """Each row can tell: where all is the same, where something was changed, and where there is nothing to compare."""
    good = True
    with tempfile.TemporaryDirectory() as room:
        random = Path(room) / "random"
        make_random_model.make(random, tiny=True)
        loosen(random)
        shutil.copyfile(DEFAULT / "chat_template.jinja", random / "chat_template.jinja")
        # Some will do: what is tried is the comparison.
        talks, asked = conversations()[::8], requests(1)[3:]
        for folder, name, change, status, row, wanted in (
            (DEFAULT, "the built-in model", None, 0, "greedy calls", SAME),
            (DEFAULT, "the built-in model, a layer forgotten", forget_layer, 1, "greedy calls", DIFFERENT),
            (random, "random weights", None, 3, "greedy calls", NOT_COMPARED),
            (random, "random weights, one changed", damage_weight, 1, "logits, f32", DIFFERENT),
            (random, "random weights, another layer", forget_layer, 1, "greedy answers", DIFFERENT),
            (random, "another template", damage_template, 1, "chat template", DIFFERENT),
            (random, "another token", damage_token, 1, "token ids", DIFFERENT),
        ):
            print(f"\n{name}:")
            other = Path(room) / "other"
            shutil.copytree(folder, other)
            if change:
                change(other)
            table = verify(program, folder, other, talks, asked, 48)
            as_expected = table.status() == status and table.verdicts[row] == wanted
            print("as it should be" if as_expected else f"NOT as it should be: {row} is to be {wanted}")
            good &= as_expected
            shutil.rmtree(other)
    print("\nself-test:", "passed" if good else "FAILED")
    return good


def loosen(folder: Path) -> None:
    """Random weights write one token again and again, since they give what they were given: embeddings are their own
    head. Smaller embeddings leave more to the layers, and the last norm makes up for them."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"] /= 64
    weights["model.norm.weight"] = (weights["model.norm.weight"] + 1) * 64 - 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def forget_layer(folder: Path) -> None:
    """The first layer's MLP adds nothing."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.down_proj.weight"] *= 0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


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
    parser.add_argument("--self-test", action="store_true", help="try it on checkpoints, whole and tampered with")
    asked = parser.parse_args()
    try:
        if not asked.self_test:
            if asked.model is None:
                raise MissingError("no checkpoint; fix: make verify-functiongemma MODEL=DIR")
            for folder in filter(None, (asked.model, asked.against)):
                if not (folder / "config.json").is_file():
                    raise MissingError(f"{folder} is no directory of a checkpoint: it has no config.json")
        libraries()
        program = served.build("dev")
        if asked.self_test:
            return 0 if self_test(program) else 1
        against = asked.against or asked.model
        return verify(program, asked.model, against, conversations(), requests(3), asked.tokens).status()
    except MissingError as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
