"""Bills."""

from callspan import tool


@tool(wall_ms=1000)
def split_bill(total: float, people: int) -> dict:
    """Split a bill.

    Args:
        total: The total
        people: How many people pay
    """
    if people < 1:
        raise ValueError("nobody is there to pay")
    return {"each": round(total / people, 2)}
