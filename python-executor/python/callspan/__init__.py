"""What a tool file needs: `from callspan import tool`.

A tool is a plain Python function with type hints and a docstring. The decorator turns the hints into a JSON Schema that
the model sees; the executor validates each call against it before any of the function's code runs.
"""

from callspan.decorator import Tool, ToolDefinitionError, tool

__all__ = ["Tool", "ToolDefinitionError", "tool"]
