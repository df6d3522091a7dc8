"""An MCP server of the official Python SDK, as its quickstart has it: the one that the tests mount."""

import asyncio
import os
from pathlib import Path
from typing import TypedDict

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("weather")


class Forecast(TypedDict):
    city: str
    forecast: str


@server.tool()
def get_forecast(city: str) -> Forecast:
    """Get the weather forecast for a city."""
    return {"city": city, "forecast": os.environ.get("FORECAST", "fog")}


@server.tool()
def get_alerts(state: str) -> str:
    """Get weather alerts for a US state."""
    if len(state) != 2:
        raise ToolError(f"{state} is no state's abbreviation")
    return f"no alerts in {state}"


@server.tool()
def read_file(path: str) -> str:
    """Read a file."""
    try:
        return Path(path).read_text()
    except OSError as error:
        raise ToolError(type(error).__name__) from error


@server.tool()
async def look_up(host: str) -> str:
    """Connect to a host."""
    try:
        _, writer = await asyncio.open_connection(host, 80)
    except OSError as error:
        raise ToolError(type(error).__name__) from error
    writer.close()
    return "connected"


@server.tool()
async def wait_for_rain(seconds: float, context: Context) -> str:
    """Wait for rain."""
    for step in range(1, 4):
        await context.report_progress(step, 4, f"step {step}")
    await asyncio.sleep(seconds)
    return "it rains"


server.run()
