"""The same for a tool whose file imports numpy."""

import numpy as np
from callspan import tool


@tool
def total(values: list[float]) -> float:
    """Add up numbers.

    Args:
        values: The numbers
    """
    return float(np.sum(np.asarray(values)))
