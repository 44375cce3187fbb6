#!/usr/bin/env python3
"""report.py LINES RESULTS_DIR SIZE: the figures of one run as a table, printed and kept with machine, date and versions."""
import datetime
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path


def main(lines, results, size):
    with open(lines) as source:
        figures = [json.loads(line) for line in source if line.startswith("{")]
    with open("/proc/cpuinfo") as info:
        processor = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), "unknown")
    import arblast
    from arblast import _native
    packages = ", ".join(f"{name} {version(name)}" for name in ("implicit", "numpy", "pyarrow", "scipy"))
    text = [f"# Python, {datetime.date.today()}", "", f"Machine: {processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end. Data: gen.py {size}. "
            f"arblast {arblast.__version__} {_native.BUILD}, {packages}. K = 50, 2 threads. Of each the quickest of its rounds, and its CPU seconds.", ""]
    for bench in dict.fromkeys(figure["bench"] for figure in figures):
        rows = [figure for figure in figures if figure["bench"] == bench]
        best = {}
        for row in sorted(rows, key=lambda row: row["wall_s"]):
            best.setdefault(row["name"], row)
        first = best[rows[0]["name"]]
        text += [f"## {bench}", "", "| what | rounds | wall s | CPU s | peak MiB | wall / first | CPU / first |", "|---|---|---|---|---|---|---|"]
        for name in dict.fromkeys(row["name"] for row in rows):
            row = best[name]
            walls = [other["wall_s"] for other in rows if other["name"] == name]
            text.append(f"| {name} | {len(walls)}: {min(walls):.2f} to {max(walls):.2f} | {row['wall_s']:.2f} | {row['cpu_s']:.2f} | {row['peak_bytes'] >> 20} | "
                        f"{row['wall_s'] / first['wall_s']:.2f} | {row['cpu_s'] / first['cpu_s']:.2f} |")
        text.append("")
    print("\n".join(text))
    (Path(results) / f"{datetime.date.today()}-python.md").write_text("\n".join(text))


main(*sys.argv[1:])
