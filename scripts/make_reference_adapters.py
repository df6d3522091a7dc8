#!/usr/bin/env python3
"""Makes the data of rust-inference/tests/lora.rs: random PEFT adapters of a random checkpoint, and peft's logits.

Needs torch, transformers and peft (versions are written into the data). Run once, behind make_reference_logits.py:
    python scripts/make_reference_adapters.py rust-inference/testdata
"""

import json
import sys
from pathlib import Path

import peft
import torch
import transformers
from make_reference_logits import load
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

BASE = "several-kv-heads"
EVERY = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "plain": LoraConfig(r=4, lora_alpha=8, target_modules=EVERY, task_type="CAUSAL_LM"),
    "patterned": LoraConfig(
        r=2,
        lora_alpha=3,
        target_modules=["q_proj", "v_proj", "down_proj"],
        use_rslora=True,
        rank_pattern={"down_proj": 5, r"layers\.1\.self_attn\.q_proj": 3},
        alpha_pattern={"v_proj": 7, "model.layers.0.mlp.down_proj": 1.5},
        task_type="CAUSAL_LM",
    ),
}


def main():
    out = Path(sys.argv[1])
    tokens = load_file(out / f"{BASE}.reference")["tokens"]
    logits = {}
    for seed, (name, config) in enumerate(ADAPTERS.items()):
        torch.manual_seed(seed)
        model = get_peft_model(load(out / BASE, torch.float32), config)
        with torch.no_grad():
            for key, value in model.named_parameters():
                if "lora_" in key:
                    value.copy_(torch.randn(value.shape) * 0.2)
        folder = out / "adapters" / name
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        path = folder / "adapter_config.json"
        written = json.loads(path.read_text()) | {"base_model_name_or_path": BASE}
        path.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n")
        # As whoever is given the files has it.
        loaded = PeftModel.from_pretrained(load(out / BASE, torch.float32), folder).eval()
        with torch.no_grad():
            logits[name] = loaded(tokens.long().unsqueeze(0)).logits[0].contiguous()
            merged = loaded.merge_and_unload()(tokens.long().unsqueeze(0)).logits[0]
        print(name, "merged differs by", (merged - logits[name]).abs().max().item())
    versions = {"peft": peft.__version__, "transformers": transformers.__version__, "torch": torch.__version__}
    save_file(logits | {"tokens": tokens}, out / "adapters" / "reference", metadata=versions)


if __name__ == "__main__":
    main()
