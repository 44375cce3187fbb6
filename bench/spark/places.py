#!/usr/bin/env python3
"""Where correlators are counted (--count driver, executors, parts): ItemSimilarity on a standalone cluster of two workers with one core each.

bench/spark/places.py XS|S|M [ROUNDS]      (SPARK: 3.5.9; needs scripts/jar, scripts/spark 3.5.9 and the data of bench/spark/mahout or bench/run)

A JSON line per job: its wall seconds, those of counting, increments and pairs counted, and the peak memory of the driver and of the larger
executor, of which `bytes_a_pair` is what is above the executor that counts nothing.  The places take turns.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("SPARK_VERSIONS", "")
os.environ.setdefault("SPARK_CLUSTERS", "")
sys.path[:0] = [str(ROOT / "tests/spark"), str(ROOT / "bench/spark")]
sys.path += map(str, (ROOT / "target/spark/pytest/lib").glob("python3*/site-packages"))

from conftest import JAR, Cluster, Spark  # noqa: E402

OUTPUT = ROOT / "target/spark/places-out"


def paths(size):
    folders = [ROOT / "target/bench-data" / size, ROOT / "target/spark/mahout/data" / size]
    folder = next(folder for folder in folders if (folder / "meta.json").exists())
    return [folder / name for name in ("purchase.csv", "view.csv")]


class Peaks(threading.Thread):
    """Looks at the memory of the JVMs of a job until it is over."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peaks, self.over = {}, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.05):
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    words = (folder / "cmdline").read_bytes()
                    for name in (b"CoarseGrainedExecutorBackend", b"SparkSubmit"):
                        if name in words and b"java" in words:
                            kib = int((folder / "status").read_text().split("VmHWM:")[1].split()[0])
                            self.peaks[name, folder.name] = kib * 1024
                except (OSError, IndexError):
                    pass

    def largest(self, name):
        return max((bytes_ for (kind, _), bytes_ in self.peaks.items() if kind == name), default=0)


def job(cluster, place, files):
    shutil.rmtree(OUTPUT, ignore_errors=True)
    peaks, start = Peaks(), time.monotonic()
    words = ["--master", cluster.master, "--executor-memory", "700m", "--driver-memory", "1g", "--executor-cores", "1",
             "--class", "dev.arblast.spark.ItemSimilarity", JAR, *(f"--indicator={name}={path}" for name, path in zip(("purchase", "view"), files)),
             "--output", OUTPUT, "--count", place]
    done = cluster.spark.submit(*words, timeout=1200)
    wall = time.monotonic() - start
    peaks.over.set()
    increments, pairs = re.search(r"count (\S+) increments of (\d+) pairs", done.stderr).groups()
    counted = float(re.search(r"counted in ([\d.]+) s", done.stderr)[1])
    digest = subprocess.run(f"cat {OUTPUT}/part-* | sha256sum", shell=True, capture_output=True, text=True, check=True).stdout[:16]
    return {"bench": "places", "count": place, "wall_s": round(wall, 2), "count_s": counted, "increments": float(increments), "pairs": int(pairs),
            "driver_mib": peaks.largest(b"SparkSubmit") >> 20, "executor_mib": peaks.largest(b"CoarseGrainedExecutorBackend") >> 20, "output": digest}


def main():
    files, rounds = paths(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2
    with tempfile.TemporaryDirectory(prefix="arblast-places-") as folder:
        cluster = Cluster(Spark(os.environ.get("SPARK", "3.5.9")), Path(folder) / "cluster")
        try:
            for _ in range(rounds):
                idle = None
                for place in ("driver", "executors", "parts"):
                    told = job(cluster, place, files)
                    idle = idle or told["executor_mib"]
                    told["bytes_a_pair"] = round((told["executor_mib"] - idle) * 2**20 / told["pairs"], 1)
                    print(json.dumps(told), flush=True)
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
