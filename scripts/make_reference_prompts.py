#!/usr/bin/env python3
"""Makes the reference prompts that the renderer's tests compare with.

The chat template of the default model, which was written apart from our renderer, renders each conversation of
rust-inference/testdata/format/conversations.json as transformers would (its Jinja environment's settings are in
transformers/utils/chat_template_utils.py). Needs jinja2 (`pip install jinja2`). Run it only to add a conversation:

    python3 scripts/make_reference_prompts.py
"""

import json
from pathlib import Path

from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "rust-inference" / "testdata" / "format"


def main() -> None:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((ROOT / "models" / "default" / "chat_template.jinja").read_text())
    prompts = {
        case["name"]: template.render(
            messages=case["chat"]["messages"],
            tools=case["chat"].get("tools"),
            bos_token="<bos>",
            add_generation_prompt=True,
        )
        for case in json.loads((DATA / "conversations.json").read_text())
    }
    (DATA / "prompts.json").write_text(json.dumps(prompts, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(prompts)} prompts in {DATA / 'prompts.json'}")


if __name__ == "__main__":
    main()
