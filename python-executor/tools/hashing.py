"""Hashes and base64 of a text."""

import base64
import hashlib
from typing import Literal

from callspan import tool


@tool
def hash_text(text: str, algorithm: Literal["sha256", "md5"] = "sha256") -> str:
    """Hash a text.

    Args:
        text: The text
        algorithm: The algorithm
    """
    return hashlib.new(algorithm, text.encode(), usedforsecurity=False).hexdigest()


@tool
def encode_base64(text: str) -> str:
    """Encode a text as base64.

    Args:
        text: The text
    """
    return base64.b64encode(text.encode()).decode()
