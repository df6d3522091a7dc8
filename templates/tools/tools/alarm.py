"""Alarms."""

from typing import Annotated

from callspan import tool
from pydantic import Field


@tool
def set_alarm(hour: Annotated[int, Field(ge=0, le=23)], label: str = "wake up") -> dict:
    """Set an alarm.

    Args:
        hour: The hour
        label: What it is for
    """
    return {"set": f"{hour:02}:00", "label": label}
