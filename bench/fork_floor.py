"""What a fork of a warm interpreter costs, with nothing confined and nothing run in it: the least that a single-use
child can cost. usage: fork_floor.py SECONDS [MODULE…]; prints the forks that were made and the seconds that they took
"""

import gc
import importlib
import os
import sys
import time

# What a zygote has: Python, the tools' package with all that it needs, and what it is told to have ready.
for module in ("callspan.runtime", *sys.argv[2:]):
    importlib.import_module(module)
gc.collect()
gc.freeze()
until = time.perf_counter() + float(sys.argv[1])
started, forks = time.perf_counter(), 0
while time.perf_counter() < until:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    forks += 1
print(forks, time.perf_counter() - started)
