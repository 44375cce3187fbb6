#!/usr/bin/env python3
"""What a data scientist would write: correlators of CSV files with pyarrow, scipy and numpy.

scipy_itemsimilarity.py PRIMARY.csv OTHER.csv OUTPUT      (K = 50, cap 500; headless `user,item` lines)

The same job as `arblast itemsimilarity`: rows are the users of the primary file, cells count once, users and items with
more than CAP interactions are thinned at random, LLR of A'A (without its diagonal) and A'B, the best K of each item.
The product is made for a band of items at a time, so that it is never dense nor whole.  Written for speed, not for show:
identifiers are encoded by Arrow, all arithmetic is in numpy, logarithms are looked up, and only the best K are sorted.
"""
import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import scipy.sparse as sp

K, CAP = 50, 500
BAND = 512  # of 256, 512, 1024 and 2048, once each: 21.8 to 24.1 s, 1.2 to 2.3 GB; this one took the least of both


def read(path):
    options = csv.ReadOptions(column_names=["user", "item"])
    types = csv.ConvertOptions(column_types={"user": pa.dictionary(pa.int32(), pa.string()),
                                             "item": pa.dictionary(pa.int32(), pa.string())})
    table = csv.read_csv(path, read_options=options, convert_options=types).unify_dictionaries()
    return table.column("user").combine_chunks(), table.column("item").combine_chunks()


def matrix(users, items, rows):
    """Boolean CSR of the users in `rows`, thinned to the cap; the item names."""
    row = pc.index_in(users.dictionary, value_set=rows).to_numpy(zero_copy_only=False)
    u, i = row[users.indices.to_numpy()], items.indices.to_numpy()
    kept = ~np.isnan(u) if u.dtype.kind == "f" else np.ones(u.size, bool)
    u, i = u[kept].astype(np.int32), i[kept]
    cells = sp.csr_matrix((np.ones(u.size, np.float32), (u, i)), shape=(len(rows), len(items.dictionary)))
    cells.sum_duplicates()
    n, k = np.diff(cells.indptr), np.bincount(cells.indices, minlength=cells.shape[1])
    rate = np.minimum(np.repeat(np.minimum(CAP, n) / np.maximum(n, 1), n), (np.minimum(CAP, k) / np.maximum(k, 1))[cells.indices])
    keep = np.random.default_rng(1).random(rate.size) < rate
    indptr = np.concatenate([[0], np.cumsum(keep)])[cells.indptr]
    thinned = sp.csr_matrix((np.ones(indptr[-1], np.float32), cells.indices[keep], indptr), shape=cells.shape)
    return thinned, items.dictionary.to_pylist()


def correlators(a, b, same):
    """Per item of `a`: (columns, LLR) of its best K in `b`, strongest first."""
    n = a.shape[0]
    k = np.arange(n + 1)
    x_log_x = k * np.log(np.maximum(k, 1))  # a look-up is several times faster than a logarithm
    ca, cb = (np.bincount(m.indices, minlength=m.shape[1]) for m in (a, b))
    ha, hb = (x_log_x[n] - x_log_x[c] - x_log_x[n - c] for c in (ca, cb))
    at = a.T.tocsr()
    for start in range(0, at.shape[0], BAND):
        both = at[start:start + BAND] @ b
        row = np.repeat(np.arange(start, start + both.shape[0], dtype=np.int32), np.diff(both.indptr))
        col, k11 = both.indices, both.data.astype(np.int32)
        wa, wb = ca[row], cb[col]
        cells = x_log_x[n] - x_log_x[k11] - x_log_x[wa - k11] - x_log_x[wb - k11] - x_log_x[n - wa - wb + k11]
        llr = 2 * np.maximum(ha[row] + hb[col] - cells, 0)
        if same:
            llr[row == col] = 0
        for i in range(both.shape[0]):
            things, values = col[both.indptr[i]:both.indptr[i + 1]], llr[both.indptr[i]:both.indptr[i + 1]]
            if values.size > K:
                best = np.argpartition(values, values.size - K)[-K:]
                things, values = things[best], values[best]
            order = np.lexsort((things, -values))
            yield start + i, things[order], values[order]


def main(primary, other, output):
    users, items = read(primary)
    rows = users.dictionary
    a, names = matrix(users, items, rows)
    b, others = matrix(*read(other), rows)
    with open(output, "w") as out:
        for indicator, m, columns in (("purchase", a, names), ("view", b, others)):
            for item, things, llr in correlators(a, m, m is a):
                if len(things):
                    pairs = [[columns[t], v] for t, v in zip(things.tolist(), llr.tolist()) if v > 0]
                    out.write(json.dumps({"item": names[item], "indicator": indicator, "correlators": pairs}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
