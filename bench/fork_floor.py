"""What a fork of an interpreter as warm as a zygote's costs, with nothing confined and nothing run in it: the least
that a single-use child can cost. usage: fork_floor.py SECONDS; prints the forks made and the seconds that they took
"""

import ctypes
import gc
import os
import sys
import time

from callspan.prime import prime

prime()
gc.collect()
gc.freeze()
# Without Python's own hooks, as a zygote forks.
fork = ctypes.PyDLL(None).fork
until = time.perf_counter() + float(sys.argv[1])
started, forks = time.perf_counter(), 0
while time.perf_counter() < until:
    child = fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    forks += 1
print(forks, time.perf_counter() - started)
