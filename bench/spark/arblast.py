#!/usr/bin/env python3
"""Our ItemSimilarity job on Spark 3.5.9, local[2], K = 50, cap 500, text to text: one JSON line, as bench/spark/mahout prints it.

bench/spark/arblast.py XS|S|M | PRIMARY.csv OTHER.csv      (XMX: the heap, 1g; COUNT: driver, executors, parts)
compute_s is preparing, counting and assembling; the rest is Spark's start, reading, writing.
"""
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "target"
OUTPUT = TARGET / "spark/arblast-out"


def paths(size):
    folders = [TARGET / "bench-data" / size, TARGET / "spark/mahout/data" / size]
    folder = next(folder for folder in folders if (folder / "meta.json").exists())
    return [str(folder / name) for name in ("purchase.csv", "view.csv")]


(home,) = (TARGET / "spark/3.5.9").glob("lib/python3*/site-packages/pyspark")
primary, other = paths(sys.argv[1]) if len(sys.argv) == 2 else sys.argv[1:3]
shutil.rmtree(OUTPUT, ignore_errors=True)
words = [home / "bin/spark-submit", "--master", "local[2]", "--driver-memory", os.environ.get("XMX", "1g"),
         "--class", "dev.arblast.spark.ItemSimilarity", ROOT / "jvm-shim/target/arblast-spark.jar",
         f"--indicator=purchase={primary}", f"--indicator=view={other}", "--output", OUTPUT, "--count", os.environ.get("COUNT", "auto")]
environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"}
environment.setdefault("JAVA_HOME", "/usr/lib/jvm/java-17-openjdk-amd64")
start = time.monotonic()
done = subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True)
wall = time.monotonic() - start
assert done.returncode == 0, done.stderr[-3000:]
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
steps = re.search(r"prepared in ([\d.]+) s, counted in ([\d.]+) s, assembled in ([\d.]+) s", done.stderr)
print(json.dumps({"bench": "arblast-spark", "wall_s": round(wall, 2), "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
                  "peak_mib": usage.ru_maxrss // 1024, "compute_s": round(sum(map(float, steps.groups())), 2), "count_s": float(steps[2])}))
