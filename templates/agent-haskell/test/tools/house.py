"""What the tests have the agent do: a tool that works, and one that does not."""

from callspan import tool


@tool
def get_lamp_status() -> str:
    """Get the lamp status."""
    return "lit-since-noon"


@tool
def get_door_status() -> str:
    """Get the door status."""
    raise ValueError("the door is stuck")
