"""How people type what they want: courtesies, capitals, marks at the end, several requests in one message."""

from __future__ import annotations

import random
import re

from callspan.finetune.data.wording import AFTER, BEFORE, LINKS

# A request that has one of these is polite enough, or a question.
COURTESY = re.compile(
    r"\b(please|could|can|would|hey|hi|hello|thanks|I|I'm|I'd|what|how|is|are|where|when|who|which|do|does|did)\b"
)
# Beginnings of what is no command: no courtesy fits in front of them.
STATEMENT = re.compile(
    r"(?i)(the|a|an|my|our|your|his|her|their|this|that|these|those|it|its|they|we|you|he|she|there|time|no|not|any|"
    r"some|all|nobody|somebody|everybody|someone|everyone|too|i|let's|if|for|at|on|in|from|to|with|and|but|so)\b"
)
QUESTION = re.compile(r"(?i)(can|could|would|will|what|how|where|when|who|which|is|are|do|does|did|any)\b")


def decorate(text: str, rng: random.Random, value_first: bool = False) -> str:
    """A request as it is typed: courtesies around it, a capital (but not of a value), a mark at its end, or none."""
    roll = rng.random()
    command = not (value_first or STATEMENT.match(text) or COURTESY.search(text) or re.match(r"[{\d\"']", text))
    if command and roll < 0.16 and re.match(r"[a-z]+ ", text):
        text = f"{rng.choice(BEFORE)} {text}"
    elif command and roll < 0.28 and text[-1] not in "?!.":
        text = f"{text}{rng.choice((', ', ' '))}{rng.choice(AFTER)}"
    if rng.random() < 0.6 and not value_first:
        text = text[0].upper() + text[1:]
    if text[-1] not in ".?!" and rng.random() < 0.4:
        text += rng.choice("???." if QUESTION.match(text) else "....!")
    elif text[-1] == "?" and rng.random() < 0.15:
        text = text[:-1]
    return text


def join(texts: list[str], rng: random.Random, keep: bool) -> str:
    """Several requests as one sentence, or, unless their beginnings are to `keep`, as several."""
    texts = [re.sub(r"[.?!]$", "", text) if i + 1 < len(texts) else text for i, text in enumerate(texts)]
    texts = [text if i == 0 else re.sub(r"^(please|hey|hi|ok|okay),? ", "", text) for i, text in enumerate(texts)]
    style = rng.random()
    if style < 0.2 and not keep:
        return " ".join(f"{text[0].upper()}{text[1:]}." if text[-1] not in ".?!" else text for text in texts)
    link = rng.choice(LINKS)
    if len(texts) > 2 and rng.random() < 0.6:
        return ", ".join(texts[:-1]) + link + texts[-1]
    return link.join(texts)
