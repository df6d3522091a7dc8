"""An agent of Pydantic AI's, whose model is ours: it asks, runs its own Python function as it is told to, tells the
result and has an answer, with nothing in it that knows of us but an address."""

from __future__ import annotations

from typing import Any

import pytest
from front import WAYS, Front
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

pytestmark = pytest.mark.anyio

TO_METRES = {"km": 1000.0, "miles": 1609.344}


def convert_units(value: float, from_unit: str, to_unit: str) -> dict[str, float | str]:
    """Convert a value from one unit to another.

    Args:
        value: The value
        from_unit: The unit to convert from
        to_unit: The unit to convert to
    """
    return {"value": round(value * TO_METRES[from_unit] / TO_METRES[to_unit], 3), "unit": to_unit}


def get_time(city: str) -> dict[str, str]:
    """Get the current time in a city.

    Args:
        city: The city
    """
    return {"city": city, "time": "09:30"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [OpenAIChatModel, OpenAIResponsesModel])
async def test_an_agent_calls_its_tool_and_answers(shared_front: Front, model: str, kind: Any, way: str) -> None:
    async with shared_front.async_openai(way) as client:
        agent = Agent(kind(model, provider=OpenAIProvider(openai_client=client)), tools=[convert_units, get_time])
        run = await agent.run("How many miles is 12 km?", model_settings={"temperature": 0})
        calls = [part for message in run.new_messages() for part in message.parts if isinstance(part, ToolCallPart)]
        assert [call.tool_name for call in calls] == ["convert_units"]
        assert "7.456" in run.output
        assert run.usage.requests == 2
        assert run.usage.input_tokens > 0

        # The conversation goes on behind what was said.
        again = await agent.run("What time is it in Tokyo?", message_history=run.all_messages())
        assert again.output


@pytest.mark.parametrize("kind", [OpenAIChatModel, OpenAIResponsesModel])
async def test_an_agent_reads_a_stream(shared_front: Front, model: str, kind: Any) -> None:
    async with shared_front.async_openai() as client:
        agent = Agent(kind(model, provider=OpenAIProvider(openai_client=client)), tools=[convert_units])
        async with agent.run_stream("How many miles is 12 km?", model_settings={"temperature": 0}) as run:
            pieces = [piece async for piece in run.stream_text(delta=True, debounce_by=None)]
    assert "7.456" in "".join(pieces)
    assert len(pieces) > 1


async def test_an_agents_output_is_an_object_of_its_class(shared_front: Front, model: str) -> None:
    class Conversion(BaseModel):
        """A conversion of a value from one unit to another."""

        value: float
        from_unit: str
        to_unit: str

    async with shared_front.async_openai() as client:
        ours = OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client))
        agent = Agent(ours, output_type=Conversion)
        run = await agent.run("How many miles is 12 km?", model_settings={"temperature": 0})
    assert run.output == Conversion(value=12, from_unit="km", to_unit="miles")
