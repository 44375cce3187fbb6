#!/usr/bin/env python3
"""Our ItemSimilarity job on Spark 3.5.9, local[2], K = 50, cap 500, text to text: one JSON line, as bench/spark/mahout prints it.

bench/spark/arblast.py XS|S|M | PRIMARY.csv OTHER.csv      (XMX: the heap, 1g; COUNT: driver, executors, parts; SHORT=1: as a short job)
A short job has the settings of docs/spark.md for such: Java finds its classes in an archive of an earlier run (made here, not timed).
compute_s is preparing, counting and assembling, compute_write_s what is between reading and the end of writing, as for Mahout; the rest is
Spark's start, reading, and Spark's end.
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
ARCHIVE = TARGET / "spark/arblast.jsa"


def paths(size):
    folders = [TARGET / "bench-data" / size, TARGET / "spark/mahout/data" / size]
    folder = next(folder for folder in folders if (folder / "meta.json").exists())
    return [str(folder / name) for name in ("purchase.csv", "view.csv")]


(home,) = (TARGET / "spark/3.5.9").glob("lib/python3*/site-packages/pyspark")
primary, other = paths(sys.argv[1]) if len(sys.argv) == 2 else sys.argv[1:3]
shutil.rmtree(OUTPUT, ignore_errors=True)


def command(*flags):
    """The job, with flags for the Java of its driver."""
    return list(map(str, [
        home / "bin/spark-submit", "--master", "local[2]", "--driver-memory", os.environ.get("XMX", "1g"),
        "--conf", "spark.driver.extraJavaOptions=" + " ".join(flags), "--class", "dev.arblast.spark.ItemSimilarity",
        ROOT / "jvm-shim/target/arblast-spark.jar", f"--indicator=purchase={primary}", f"--indicator=view={other}", "--output", OUTPUT,
        "--count", os.environ.get("COUNT", "auto"),
    ]))


environment = {**os.environ, "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"}
environment.setdefault("JAVA_HOME", "/usr/lib/jvm/java-17-openjdk-amd64")
flags = []
if os.environ.get("SHORT"):
    if not ARCHIVE.exists():
        subprocess.run(command(f"-XX:ArchiveClassesAtExit={ARCHIVE}"), env=environment, check=True, capture_output=True)
        shutil.rmtree(OUTPUT)
    flags = [f"-XX:SharedArchiveFile={ARCHIVE}", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
before = resource.getrusage(resource.RUSAGE_CHILDREN)
start = time.monotonic()
job = subprocess.Popen(command(*flags), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
lines = [(time.monotonic(), line) for line in job.stderr]
assert job.wait() == 0, "".join(line for _, line in lines)[-3000:]
wall = time.monotonic() - start
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
told = [(at, line) for at, line in lines if "read " in line and "partitions" in line or "wrote " in line]
steps = re.search(r"prepared in ([\d.]+) s, counted in ([\d.]+) s, assembled in ([\d.]+) s", "".join(line for _, line in lines))
print(json.dumps({"bench": "arblast-spark-short" if flags else "arblast-spark", "wall_s": round(wall, 2), "cpu_s": round(usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime, 2),
                  "peak_mib": usage.ru_maxrss // 1024, "compute_s": round(sum(map(float, steps.groups())), 2), "count_s": float(steps[2]),
                  "compute_write_s": round(told[-1][0] - told[-2][0], 2), "read_s": round(told[-2][0] - start, 2)}))
