"""Calls of monty, timed from inside the process that makes them, as its library is meant to be used: a fresh session of
the pool for each call. Runs in bench/.venv. usage: monty_calls.py CALLS; prints the microseconds of each
"""

import sys
import time

from pydantic_monty import Monty

CODE = """
def add(a: int, b: int) -> int:
    return a + b

add(**arguments)
"""

with Monty() as pool:
    for call in range(-20, int(sys.argv[1])):
        started = time.perf_counter()
        with pool.checkout() as session:
            result = session.feed_run(CODE, inputs={"arguments": {"a": 1, "b": 2}})
        took = time.perf_counter() - started
        if result != 3:
            sys.exit(f"monty says that 1 + 2 is {result}")
        # The first ones start workers.
        if call >= 0:
            print(round(1e6 * took))
