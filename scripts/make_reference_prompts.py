#!/usr/bin/env python3
"""Makes the reference prompts that the renderer's tests compare with.

The chat template of the default model, which was written apart from our renderer, renders each conversation in
rust-inference/testdata/format/ as transformers would (its Jinja environment's settings are in
transformers/utils/chat_template_utils.py): conversations.json to prompts.json, which ours must equal, and
departures.json to departed.json, from which ours differs for a reason that a test tells. Needs jinja2
(`pip install jinja2`). Run it only to add a conversation:

    python3 scripts/make_reference_prompts.py
"""

import json
from pathlib import Path

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "rust-inference" / "testdata" / "format"


def render(template: Template, source: str, target: str) -> None:
    prompts = {
        case["name"]: template.render(
            messages=case["chat"]["messages"],
            tools=case["chat"].get("tools"),
            bos_token="<bos>",
            add_generation_prompt=True,
        )
        for case in json.loads((DATA / source).read_text())
    }
    (DATA / target).write_text(json.dumps(prompts, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(prompts)} prompts in {DATA / target}")


def main() -> None:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((ROOT / "models" / "default" / "chat_template.jinja").read_text())
    render(template, "conversations.json", "prompts.json")
    render(template, "departures.json", "departed.json")


if __name__ == "__main__":
    main()
