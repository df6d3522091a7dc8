"""The two engines that verify_functiongemma.py compares: transformers, and rust-inference as a user runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# How far logits in f32 may be from transformers' in f32.
TOLERANCE = 1e-4


class MissingError(Exception):
    """What is missing, and how to get it."""


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
        try:
            self.model = transformers.AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, attn_implementation="eager"
            ).eval()
        except OSError as error:
            raise MissingError(f"transformers cannot load {folder}: {error}") from None
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

    def ends(self) -> list[int]:
        ends = self.model.generation_config.eos_token_id
        return ends if isinstance(ends, list) else [ends]

    def greedy(self, ids: list[int], tokens: int) -> list[int]:
        """What it writes behind a prompt, without the token that ends it."""
        given = self.torch.tensor([ids])
        with self.torch.no_grad():
            whole = self.model.generate(
                given, attention_mask=self.torch.ones_like(given), do_sample=False, max_new_tokens=tokens
            )
        written = whole[0, len(ids) :].tolist()
        ends = self.ends()
        return next((written[:at] for at, token in enumerate(written) if token in ends), written)

    def tied(self, ids: list[int], written: list[int], ended: bool) -> bool:
        """Whether each token written behind a prompt is a best one too, by less than two engines are apart in f32."""
        given = self.torch.tensor([ids + written])
        with self.torch.no_grad():
            rows = self.model(given, logits_to_keep=len(written) + 1).logits[0]
        best = rows.max(-1).values
        near = [(best[at] - rows[at, token]).item() for at, token in enumerate(written)]
        if ended:
            near.append((best[-1] - rows[-1, self.ends()].max()).item())
        return all(below < 2 * TOLERANCE for below in near)


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
        [listed] = re.findall(r"possible\s+values:\s+([^]]+)\]", told)
        return [name for name in re.split(r",\s*", listed) if name != "f32"]

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
