"""Conversion between units of one dimension: a unit is a factor to its dimension's base unit, temperatures apart."""

import difflib

from callspan import tool

_DIMENSIONS = {
    "length": {
        1e-3: "mm millimeter millimetre",
        1e-2: "cm centimeter centimetre",
        1.0: "m meter metre",
        1e3: "km kilometer kilometre",
        0.0254: "in inch inches",
        0.3048: "ft foot feet",
        0.9144: "yd yard",
        1609.344: "mi mile",
        1852.0: "nmi nautical_mile",
    },
    "mass": {
        1e-6: "mg milligram",
        1e-3: "g gram",
        1.0: "kg kilogram kilo",
        1e3: "t tonne",
        0.028349523125: "oz ounce",
        0.45359237: "lb lbs pound",
        6.35029318: "st stone",
    },
    "volume": {
        1e-3: "ml milliliter millilitre",
        1.0: "l liter litre",
        1e3: "m3 cubic_meter cubic_metre",
        0.00492892159375: "tsp teaspoon",
        0.01478676478125: "tbsp tablespoon",
        0.2365882365: "cup",
        0.473176473: "pt pint",
        3.785411784: "gal gallon",
    },
    "time": {
        1e-3: "ms millisecond",
        1.0: "s sec second",
        60.0: "min minute",
        3600.0: "h hr hour",
        86400.0: "d day",
        604800.0: "week",
    },
    "speed": {
        1.0: "m/s mps",
        1 / 3.6: "km/h kmh kph",
        0.44704: "mph",
        1852 / 3600: "kn knot",
    },
    "area": {
        1.0: "m2 square_meter square_metre",
        1e6: "km2 square_kilometer square_kilometre",
        1e4: "ha hectare",
        4046.8564224: "acre",
        0.09290304: "ft2 square_foot square_feet",
    },
    "data": {1.0: "b byte", 1e3: "kb kilobyte", 1e6: "mb megabyte", 1e9: "gb gigabyte", 1e12: "tb terabyte"}
    | {1024.0: "kib kibibyte", 1024.0**2: "mib mebibyte", 1024.0**3: "gib gibibyte"},
    "temperature": {},
}
_TEMPERATURES = {
    "c": (lambda c: c, lambda c: c),
    "f": (lambda f: (f - 32) / 1.8, lambda c: c * 1.8 + 32),
    "k": (lambda k: k - 273.15, lambda c: c + 273.15),
}
_UNITS = {
    name: (dimension, factor)
    for dimension, units in _DIMENSIONS.items()
    for factor, names in units.items()
    for name in names.split()
} | {name: ("temperature", name[0]) for name in ("c", "celsius", "f", "fahrenheit", "k", "kelvin")}


@tool
def convert_units(value: float, from_unit: str, to_unit: str) -> dict[str, float | str]:
    """Convert a value from one unit to another.

    Args:
        value: The value
        from_unit: The unit to convert from
        to_unit: The unit to convert to
    """
    dimension, source = _unit(from_unit)
    other, target = _unit(to_unit)
    if dimension != other:
        raise ValueError(f"{from_unit} measures {dimension} and {to_unit} measures {other}")
    if dimension == "temperature":
        result = _TEMPERATURES[target][1](_TEMPERATURES[source][0](value))
    else:
        result = value * source / target
    return {"value": float(f"{result:.10g}"), "unit": to_unit}


def _unit(name: str) -> tuple[str, float | str]:
    """Look a unit up by symbol or name, in singular or plural, with spaces or degree signs as people write them."""
    key = name.strip().lower().removeprefix("degrees ").replace("°", "").replace(" ", "_")
    for known in (key, key.removesuffix("s"), key.removesuffix("es")):
        if known in _UNITS:
            return _UNITS[known]
    near = difflib.get_close_matches(key, _UNITS, n=3, cutoff=0.7)
    raise ValueError(f"unknown unit {name}" + (f"; near it: {', '.join(near)}" if near else ""))
