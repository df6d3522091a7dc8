"""Reads and writes training data in the shapes that others use.

Three are read, each recognised by itself, a JSON object a line:

- TRL's conversations: `{"messages": […], "tools": […]}`, the last message being the assistant's.
- mobile-actions: the same with `metadata` and arguments as objects; messages of a `developer`, types in capitals.
- recordings of our own sessions: what `ipc tap --format json` prints; each answered `generate` gives one example.

The first two are written.
"""

from callspan.finetune.data.formats.conversations import Example, conversation, pair, split
from callspan.finetune.data.formats.reading import FormatError, read
from callspan.finetune.data.formats.writing import SHAPES, write

__all__ = ["SHAPES", "Example", "FormatError", "conversation", "pair", "read", "split", "write"]
