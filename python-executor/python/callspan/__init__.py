"""What a tool file needs: `from callspan import tool`.

A tool is a plain Python function with type hints and a docstring. The decorator turns the hints into a JSON Schema that
the model sees; the executor validates each call against it before any of the function's code runs.
"""

from callspan.artefact import Artefact
from callspan.context import Context
from callspan.decorator import Tool, tool
from callspan.errors import ToolDefinitionError, ToolError

__all__ = ["Artefact", "Context", "Tool", "ToolDefinitionError", "ToolError", "tool"]
