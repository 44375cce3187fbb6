#!/usr/bin/env python3
"""One measurement: bench/python/fit.py DATA NAME prints wall and CPU seconds of the work alone, without imports and reading.

K = 50, 2 threads. The same job on the same cells: `pyarrow`, `dictionaries`, `matrices` and `scipy` correlate purchase with itself and with view,
thinned to 500; the others fit an item-item model of view without a cap.
"""
import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy import sparse

JOINT, WHOLE = "purchase'purchase and purchase'view, cap 500", "view'view, no cap"


def tables(data):
    return {name: pq.read_table(data / f"{name}.parquet").combine_chunks() for name in ("purchase", "view")}


def matrix(table):
    """Users × items by the numbers in the ids."""
    user, item = (np.char.lstrip(table[name].to_numpy(zero_copy_only=False).astype("U8"), "ui").astype(np.int32) for name in ("user", "item"))
    return sparse.csr_matrix((np.ones(user.size, np.float32), (user, item)))


def matrices(data):
    """Made once, for making them takes longer than counting."""
    found = {}
    for name in ("purchase", "view"):
        path = data / f"{name}.npz"
        if not path.exists():
            sparse.save_npz(path, matrix(pq.read_table(data / f"{name}.parquet")), compressed=False)
        found[name] = sparse.load_npz(path)
    height, width = (max(one.shape[axis] for one in found.values()) for axis in (0, 1))
    for one in found.values():
        one.resize(height, width)
    return found


def by_scipy(data):
    """A'A and A'B with LLR and the best 50, by bench/scipy_itemsimilarity.py; cells are thinned before, as in its own job."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from scipy_itemsimilarity import CAP, correlators

    def thinned(cells):
        n, k = np.diff(cells.indptr), np.bincount(cells.indices, minlength=cells.shape[1])
        rate = np.minimum(np.repeat(np.minimum(CAP, n) / np.maximum(n, 1), n), (np.minimum(CAP, k) / np.maximum(k, 1))[cells.indices])
        keep = np.random.default_rng(1).random(rate.size) < rate
        return sparse.csr_matrix((np.ones(keep.sum(), np.float32), cells.indices[keep], np.concatenate([[0], np.cumsum(keep)])[cells.indptr]), cells.shape)

    given = matrices(data)
    users = np.flatnonzero(np.diff(given["purchase"].indptr))

    def work():
        a, b = (thinned(given[name][users]) for name in ("purchase", "view"))
        return sum(len(things) for other in (a, b) for _, things, _ in correlators(a, other, other is a))
    return work


def job(name, data):
    """What to measure, and what it is called."""
    if name == "pyarrow":
        import arblast
        given = tables(data)
        return JOINT, "arblast.cross_occurrence of pyarrow tables of texts", lambda: arblast.cross_occurrence(given, threads=2)
    if name == "dictionaries":
        import arblast
        given = {name: encoded(table) for name, table in tables(data).items()}
        return JOINT, "arblast.cross_occurrence of pyarrow dictionaries", lambda: arblast.cross_occurrence(given, threads=2)
    if name == "matrices":
        import arblast
        given = matrices(data)
        return JOINT, "arblast.cross_occurrence of CSR", lambda: arblast.cross_occurrence(given, threads=2)
    if name == "scipy":
        return JOINT, "SciPy, LLR and top-k by numpy (1 thread)", by_scipy(data)
    views = matrices(data)["view"]
    if name == "arblast-uncapped":
        import arblast
        return WHOLE, "arblast.CrossOccurrence.fit", lambda: arblast.CrossOccurrence(K=50, cap=None, num_threads=2).fit(views)
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
    kind = {"implicit-cosine": CosineRecommender, "implicit-bm25": BM25Recommender}[name]
    return WHOLE, f"implicit {kind.__name__}.fit", lambda: kind(K=50, num_threads=2).fit(views, show_progress=False)


def encoded(table):
    for place, column in enumerate(table.column_names):
        table = table.set_column(place, column, table[column].dictionary_encode())
    return table


def main(data, name):
    bench, called, work = job(name, Path(data))
    def cpu():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime
    wall, before = time.monotonic(), cpu()
    work()
    print(json.dumps({"bench": bench, "name": called, "wall_s": round(time.monotonic() - wall, 3), "cpu_s": round(cpu() - before, 3),
                      "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


main(*sys.argv[1:])
