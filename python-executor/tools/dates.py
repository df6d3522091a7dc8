"""Dates and time zones, from the time zone database of the system or of the `tzdata` package."""

import datetime
import difflib
import zoneinfo

from callspan import tool


@tool
def add_days(date: datetime.date, days: int) -> dict[str, str]:
    """Add days to a date.

    Args:
        date: The date
        days: The number of days
    """
    try:
        result = date + datetime.timedelta(days=days)
    except OverflowError:
        raise ValueError(f"{days} days from {date} is outside the years 1 to 9999") from None
    return {"date": result.isoformat(), "weekday": f"{result:%A}"}


@tool
def get_time(city: str) -> dict[str, str]:
    """Get the current time in a city.

    Args:
        city: The city
    """
    zone = _zone(city)
    now = datetime.datetime.now(zoneinfo.ZoneInfo(zone))
    return {"time": f"{now:%H:%M}", "date": f"{now:%Y-%m-%d}", "zone": zone}


def _zone(city: str) -> str:
    """The zone named `Europe/Oslo`, or the one whose last part is the city."""
    zones = sorted(zoneinfo.available_timezones(), key=lambda zone: (zone.count("/") != 1, zone))
    by_name = {name: zone for zone in reversed(zones) for name in (zone.lower(), zone.rsplit("/", 1)[-1].lower())}
    key = city.strip().lower().replace(" ", "_")
    if key in by_name:
        return by_name[key]
    near = dict.fromkeys(by_name[name] for name in difflib.get_close_matches(key, by_name, n=3, cutoff=0.7))
    raise ValueError(f"unknown city {city}" + (f"; near it: {', '.join(near)}" if near else ""))
