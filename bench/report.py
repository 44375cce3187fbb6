#!/usr/bin/env python3
"""report.py LINES RESULTS_DIR SIZE [WHAT]: the figures of one run as a table, printed and kept with machine, date and versions."""
import datetime
import json
import os
import platform
import re
import subprocess
import sys


def processor():
    with open("/proc/cpuinfo") as info:
        return next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "unknown")


def versions():
    import numpy
    import pyarrow
    import scipy
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    commit = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True).stdout.strip()
    return f"Commit {commit}, {rustc}, Python {platform.python_version()}, numpy {numpy.__version__}, scipy {scipy.__version__}, pyarrow {pyarrow.__version__}"


def table(rows):
    """Markdown, with all columns of all rows."""
    head = list(dict.fromkeys(column for row in rows for column in row))
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(row.get(column, "")) for column in head) + " |" for row in rows]


def best(rows):
    """Of repeated whole jobs the quickest, and how many times the other's wall, CPU and memory scipy takes."""
    quickest = {}
    for row in sorted(rows, key=lambda row: row["wall_s"]):
        quickest.setdefault(row["name"], row)
    scipy = quickest.get("scipy")
    for row in quickest.values():
        for column in ("wall_s", "cpu_s", "peak_bytes"):
            row["scipy / this, " + column] = round(scipy[column] / row[column], 2) if scipy else ""
    return list(quickest.values())


def main(lines, results, size, what=""):
    with open(lines) as source:
        figures = [json.loads(line) for line in source if line.startswith("{")]
    cores = os.cpu_count()
    text = [f"# Benchmarks of {datetime.date.today()}", "", f"Machine: {platform.node()}, {processor()}, {cores} cores, "
            f"load {os.getloadavg()[0]:.1f} at the end. Data: gen.py {size}. {versions()}.", ""]
    for bench in dict.fromkeys(figure["bench"] for figure in figures):
        rows = [{k: v for k, v in figure.items() if k != "bench"} for figure in figures if figure["bench"] == bench]
        rows = best(rows) if bench == "itemsimilarity" else rows
        text += [f"## {bench}", "", *table(rows), ""]
    print("\n".join(text))
    cpu = "-".join(re.findall("[a-z0-9]+", re.sub(r"\(.*?\)|processor|cpu", "", processor().lower())))
    name = "-".join(part for part in (str(datetime.date.today()), cpu, str(cores), "cores", what) if part)
    with open(os.path.join(results, name + ".md"), "w") as out:
        out.write("\n".join(text))


main(*sys.argv[1:])
