"""Conversations about tools that no model knows, and what the tests of fine-tuning ask of its programs."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from callspan.finetune.data import formats

ROOT = Path(__file__).parents[3]
DEFAULT = ROOT / "models" / "default"
BEDS, SIDES = ("rose", "herb", "bean", "lily"), ("north", "south")
WATER = {
    "name": "water_plants",
    "description": "Water the plants of a bed",
    "parameters": {
        "type": "object",
        "properties": {
            "bed": {"type": "string", "description": "Which bed"},
            "litres": {"type": "integer", "description": "How much water"},
        },
        "required": ["bed", "litres"],
    },
}
VENT = {
    "name": "open_vent",
    "description": "Open a vent of the greenhouse",
    "parameters": {
        "type": "object",
        "properties": {"side": {"type": "string", "enum": list(SIDES), "description": "Which side"}},
        "required": ["side"],
    },
}


def call(name: str, **arguments: object) -> dict:
    return {
        "role": "assistant",
        "tool_calls": [{"type": "function", "function": {"name": name, "arguments": arguments}}],
    }


def conversation(number: int) -> dict:
    bed, litres, side = BEDS[number % 4], 2 + number % 9, SIDES[number % 2]
    messages = [
        {"role": "user", "content": f"give the {bed} bed {litres} litres"},
        call("water_plants", bed=bed, litres=litres),
    ]
    if number % 3 == 0:
        messages = [{"role": "user", "content": f"open the {side} vent"}, call("open_vent", side=side)]
    if number % 4 == 3:
        messages.append(
            {"role": "tool", "name": messages[-1]["tool_calls"][0]["function"]["name"], "content": {"ok": True}}
        )
        messages.append({"role": "assistant", "content": "It is done."})
    return {"messages": messages, "tools": [{"type": "function", "function": tool} for tool in (WATER, VENT)]}


def write(path: Path, count: int = 32) -> Path:
    path.write_text("".join(json.dumps(conversation(number)) + "\n" for number in range(count)), "utf-8")
    return path


def pairs(count: int = 6) -> list[tuple[str, str]]:
    return [formats.pair(formats.conversation(conversation(number))) for number in range(count)]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "python-executor" / "python"), "OMP_NUM_THREADS": "1"}


def command(*arguments: object, launcher: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, *launcher, "-m", *map(str, arguments)]


def run(*arguments: object, launcher: tuple[str, ...] = (), status: int = 0) -> tuple[str, str]:
    """What a program says, on both streams."""
    done = subprocess.run(command(*arguments, launcher=launcher), env=environment(), capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def train(*arguments: object, **more: object) -> tuple[dict, str]:
    said, talk = run("callspan.finetune", "--accumulation", 1, *arguments, **more)
    [line] = said.splitlines()
    return json.loads(line), talk


def lora(base: Path, data: Path, out: Path, steps: int) -> list[str]:
    """What a run of so many steps is asked with."""
    return list(map(str, ("--base", base, "--data", data, "--out", out, "--lora", "--max-steps", steps)))


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def logprobs(model, tokenizer, prompt: str, completion: str) -> tuple[list[int], list[float]]:
    """transformers' logarithms of the probabilities of a completion's tokens."""
    import torch

    before = tokenizer(prompt, add_special_tokens=False).input_ids
    behind = tokenizer(completion, add_special_tokens=False).input_ids
    with torch.no_grad():
        rows = model(torch.tensor([before + behind])).logits[0, len(before) - 1 : -1].log_softmax(-1)
    return behind, [rows[place, token].item() for place, token in enumerate(behind)]
