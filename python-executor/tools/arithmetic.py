"""Arithmetic, evaluated from the syntax tree: nothing but numbers, operators and a few functions can be reached."""

import ast
import math
import operator

from callspan import tool

MAX_BITS = 4096
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_FUNCTIONS = {
    name: getattr(math, name) for name in ("sqrt", "sin", "cos", "tan", "log", "log2", "log10", "exp", "floor", "ceil")
} | {"abs": abs, "round": round, "min": min, "max": max}
_CONSTANTS = {"pi": math.pi, "e": math.e}


@tool
def calculate(expression: str) -> float:
    """Calculate an expression.

    Args:
        expression: The expression
    """
    if len(expression) > 1000:
        raise ValueError("the expression is longer than 1000 characters")
    try:
        tree = ast.parse(expression.replace("^", "**").strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"not an arithmetic expression: {error.msg}") from None
    try:
        return _value(tree.body)
    except OverflowError:
        raise ValueError("the result is too large") from None


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner)
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return _value(inner)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left), _value(right))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _bounded(_OPERATORS[type(op)](_value(left), _value(right)))
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*map(_value, args)))
    raise ValueError(f"`{ast.unparse(node)[:80]}` is not arithmetic; known functions: {', '.join(sorted(_FUNCTIONS))}")


def _power(base: float, exponent: float) -> float:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MAX_BITS:
        raise ValueError(f"`{base} ** {exponent}` is too large" if base.bit_length() < 64 else "the power is too large")
    return _bounded(base**exponent)


def _bounded(number: float) -> float:
    """Refuse what JSON cannot hold, and numbers that only cost time."""
    if isinstance(number, complex):
        raise ValueError("the result is not a real number")
    if isinstance(number, float) and not math.isfinite(number):
        raise ValueError("the result is too large")
    if isinstance(number, int) and number.bit_length() > MAX_BITS:
        raise ValueError("the result is too large")
    return number
