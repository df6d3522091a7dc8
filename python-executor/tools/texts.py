"""Statistics of a text."""

import re
from collections import Counter

from callspan import tool

_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")


@tool
def analyze_text(text: str) -> dict[str, int | float | str]:
    """Analyze a text.

    Args:
        text: The text
    """
    words = [word.lower() for word in _WORD.findall(text)]
    sentences = [part for part in re.split(r"[.!?…]+(?:\s|$)", text) if part.strip()]
    counts: dict[str, int | float | str] = {
        "words": len(words),
        "characters": len(text),
        "sentences": len(sentences),
        "lines": len(text.splitlines()),
    }
    if words:
        counts["most_common"] = Counter(words).most_common(1)[0][0]
        counts["mean_word_length"] = round(sum(map(len, words)) / len(words), 2)
    return counts
