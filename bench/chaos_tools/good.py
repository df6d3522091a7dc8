"""What well-behaved calls are measured by: a little arithmetic on typed arguments, and the same with numpy."""

from callspan import tool


@tool
def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a: One number
        b: The other
    """
    return a + b
