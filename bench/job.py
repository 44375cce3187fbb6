#!/usr/bin/env python3
"""job.py BENCH NAME COMMAND…: runs a process and prints its wall and CPU seconds and its peak memory as one JSON line."""
import json
import resource
import subprocess
import sys
import time

bench, name, command = sys.argv[1], sys.argv[2], sys.argv[3:]
start = time.monotonic()
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
wall = time.monotonic() - start
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"bench": bench, "name": name, "wall_s": round(wall, 3),
                  "cpu_s": round(usage.ru_utime + usage.ru_stime, 3), "peak_bytes": usage.ru_maxrss * 1024}))
