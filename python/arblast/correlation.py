"""Correlated cross-occurrence of tables and sparse matrices, without events and models."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import _inputs, _native

if TYPE_CHECKING:
    import numpy as np
    from scipy import sparse

Interactions = Any
"""A table with columns of users and items, or a SciPy sparse matrix, users × items."""


def cross_occurrence(
    primary: Interactions | Mapping[str, Interactions],
    secondary: Interactions | None = None,
    *,
    k: int = 50,
    min_llr: float | None = None,
    cap: int | None = 500,
    seed: int = 0,
    threads: int | None = None,
    user: str = "user",
    item: str = "item",
) -> Any:
    """Which things go with which items: for each item of `primary` its at most `k` strongest correlators in `secondary`, by the
    log-likelihood ratio over the users that have something in `primary`. Without `secondary`, in `primary` itself.

    Tables (pyarrow, polars, pandas, a dict of lists; ids are texts or whole numbers) give an `arblast.Table` with columns `item`,
    `correlator`, `llr`: items by the text of their id, correlators strongest first. Rows without user or item do not count,
    repetitions count once. Sparse matrices, users × items with whatever numbers that are not 0, give a CSR matrix, items × things, of
    LLR; in each row the strongest comes first.

    Several indicators at once, as a dict of which the first is primary, give a dict of such results; the primary one with itself.

    `min_llr` leaves out weaker ones. `cap`: users and things with more interactions are thinned to about as many, a choice that depends on
    ids, `seed` and the name of the indicator alone; None: no thinning. The result is the same for any number of `threads` [one per
    processor], and as `arblast itemsimilarity` has it for indicators of the same names.

    Raises ValueError and TypeError. Ctrl-C ends it.
    """
    how = _how(k, min_llr, cap, seed, threads)
    if _is_several(primary):
        if secondary is not None:
            raise TypeError("give several indicators as one dict, the primary first, or two without names")
        return _correlated(dict(primary), list(range(len(primary))), how, user, item)
    if secondary is None:
        return _correlated({"primary": primary}, [0], how, user, item)["primary"]
    return _correlated({"primary": primary, "secondary": secondary}, [1], how, user, item)["secondary"]


def _how(k: int, min_llr: float | None, cap: int | None, seed: int, threads: int | None) -> tuple:
    for name, number in (("k", k), ("cap", cap)):
        if number is not None and not 1 <= number < 1 << 32:
            raise ValueError(f"{name} must be a positive number, got {number}")
    if min_llr is not None and not -1e308 < min_llr < 1e308:
        raise ValueError(f"min_llr must be a finite number, got {min_llr}")
    return k, min_llr, cap, seed, _inputs.threads(threads)


def _is_several(primary: Any) -> bool:
    values = primary.values() if isinstance(primary, Mapping) else ()
    return bool(values) and all(_inputs.is_frame(value) or _is_sparse(value) for value in values)


def _is_sparse(value: Any) -> bool:
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and sparse.issparse(value)


def _correlated(indicators: dict[str, Any], wanted: list[int], how: tuple, user: str, item: str) -> dict[str, Any]:
    names = list(indicators)
    matrices = [_is_sparse(value) for value in indicators.values()]
    if all(matrices):
        results = _of_matrices(indicators, wanted, how)
    elif any(matrices):
        raise TypeError("give all indicators as tables or all as sparse matrices")
    else:
        given = []
        for name, frame in indicators.items():
            rows = _inputs.table(frame, [user, item])
            given.append((str(name), rows, *_inputs.pair_columns(rows, user, item)))
        results = _native.correlate_pairs(given, wanted, how)
    return {names[place]: result for place, result in zip(wanted, results)}


def _of_matrices(indicators: dict[str, Any], wanted: list[int], how: tuple) -> list["sparse.csr_matrix"]:
    rows = [(str(name), _csr(matrix)) for name, matrix in indicators.items()]
    given = [(name, (matrix.indptr, matrix.indices, matrix.shape[1])) for name, matrix in rows]
    counted = _native.correlate_rows(given, wanted, how)
    items = rows[0][1].shape[1]
    return [_matrix(parts, (items, rows[place][1].shape[1])) for place, parts in zip(wanted, counted)]


def _csr(matrix: Any) -> "sparse.csr_matrix":
    """Rows without repetitions and zeros, in order. The caller's matrix stays as it is."""
    import numpy as np

    csr = matrix.tocsr()
    # SciPy does not look, and its compiled code trusts.
    if csr.indptr[0] != 0 or csr.indptr[-1] != len(csr.indices) or (np.diff(csr.indptr) < 0).any():
        raise ValueError(f"indptr must ascend from 0 to the number of indices, {len(csr.indices)}")
    own = csr is not matrix
    if np.count_nonzero(csr.data) != csr.nnz:
        csr, own = (csr if own else csr.copy()), True
        csr.eliminate_zeros()
    if not csr.has_canonical_format:
        csr = csr if own else csr.copy()
        csr.sum_duplicates()
    return csr


def _matrix(parts: tuple[bytes, bytes, bytes], shape: tuple[int, int]) -> "sparse.csr_matrix":
    import numpy as np
    from scipy import sparse

    indptr, indices, llr = (np.frombuffer(part, kind) for part, kind in zip(parts, ("<i8", "<i4", "<f8")))
    if indptr[-1] < 1 << 31:
        indptr = indptr.astype(np.int32)  # as SciPy has it for small ones
    # Copies: what is in bytes cannot be changed, and SciPy sorts rows in place.
    return sparse.csr_matrix((llr.copy(), indices.copy(), indptr.copy()), shape=shape)


class CrossOccurrence:
    """Item-to-item recommender with the interface of `implicit`: `fit`, `recommend`, `similar_items` of sparse matrices.

        model = CrossOccurrence(K=50)
        model.fit(user_items)                                        # CSR, users × items
        ids, scores = model.recommend(userid, user_items[userid], N=10)
        ids, scores = model.similar_items(itemid, N=10)

    Names, arguments, shapes and padding are those of `implicit.nearest_neighbours`. What differs: similarity is the log-likelihood ratio, an
    item is not similar to itself, and a score sums up the correlators of an item that the user has, for the weights in his row.
    Beyond that, `fit(…, secondary={"view": views})` takes more indicators, which `recommend` uses if it gets their rows.

    K: correlators per item and indicator. min_llr, cap, seed: as in `cross_occurrence`. num_threads: 0 = one per processor.
    """

    def __init__(self, K: int = 50, min_llr: float | None = None, cap: int | None = 500, num_threads: int = 0, seed: int = 0):
        self.K, self.min_llr, self.cap, self.num_threads, self.seed = K, min_llr, cap, num_threads, seed
        self.similarity: "sparse.csr_matrix | None" = None
        """Items × items, LLR; the strongest of a row first."""
        self.secondary: "dict[str, sparse.csr_matrix]" = {}
        """The same per secondary indicator, items × its things."""
        self._scorer: _native.Scorer | None = None

    def fit(self, user_items: Any, show_progress: bool = True, *, secondary: Mapping[str, Any] | None = None) -> "CrossOccurrence":
        """Counts. `user_items`: sparse, users × items; `secondary`: the like with the same users. `show_progress` is not looked at.
        Gives itself. Raises ValueError; Ctrl-C ends it."""
        matrices = {"primary": user_items, **(secondary or {})}
        if not all(_is_sparse(matrix) for matrix in matrices.values()):
            raise TypeError("fit takes SciPy sparse matrices, users × items; tables are for arblast.cross_occurrence")
        if "primary" in (secondary or {}):
            raise ValueError('"primary" names user_items; call a secondary indicator otherwise')
        how = _how(self.K, self.min_llr, self.cap, self.seed, self.num_threads)
        results = _correlated(matrices, list(range(len(matrices))), how, "", "")
        self.similarity = results.pop("primary")
        self.secondary = results
        self._scorer = None
        return self

    def recommend(
        self,
        userid: Any,
        user_items: Any,
        N: int = 10,
        filter_already_liked_items: bool = True,
        filter_items: Any = None,
        recalculate_user: bool = False,
        items: Any = None,
        *,
        secondary: Mapping[str, Any] | None = None,
    ) -> "tuple[np.ndarray, np.ndarray]":
        """(ids int32, scores float64) of the best N items, best first; for an array of users N columns each, filled up with -1.

        `user_items`: CSR with one row per user, whose numbers are weights. `filter_items`: never these; `items`: only these.
        `recalculate_user` is not looked at. `secondary`: rows of the users under secondary indicators, by name.
        """
        import numpy as np

        single = np.ndim(userid) == 0
        number = 1 if single else len(userid)
        if filter_items is not None and items is not None:
            raise ValueError("Can't specify both filter_items and items")
        if user_items.shape[0] != number:
            raise ValueError(f"user_items must contain 1 row for every user in userids: {user_items.shape[0]} rows, {number} users")
        without = set() if filter_items is None else self._ids(filter_items)
        among = None if items is None else self._ids(items)
        deeds = [self._deeds(user_items, self._fitted().shape[1])]
        for name, similarity in self.secondary.items():
            rows = (secondary or {}).get(name)
            deeds.append(self._deeds(_nothing(number, similarity.shape[1]) if rows is None else rows, similarity.shape[1]))
        if unknown := set(secondary or {}) - set(self.secondary):
            raise ValueError(f"not fitted: {', '.join(sorted(unknown))}")
        threads = _inputs.threads(self.num_threads)
        ids, scores = self._scorer_now().recommend(deeds, N, bool(filter_already_liked_items), without, among, threads)
        ids = np.frombuffer(ids, "<i4").reshape(number, N).copy()
        scores = np.frombuffer(scores, "<f8").reshape(number, N).copy()
        if not single:
            return ids, scores
        there = ids[0] >= 0
        return ids[0][there], scores[0][there]

    def similar_items(
        self,
        itemid: Any,
        N: int = 10,
        recalculate_item: bool = False,
        item_users: Any = None,
        filter_items: Any = None,
        items: Any = None,
    ) -> "tuple[np.ndarray, np.ndarray]":
        """(ids int32, LLR float64) of the N items that go best with an item, best first; for an array of items N columns each, filled
        up with -1. `filter_items`: never these; `items`: only these. Raises IndexError for an item that is not there."""
        import numpy as np

        if recalculate_item:
            raise NotImplementedError("recalculate_item: correlators are counted by fit")
        if filter_items is not None and items is not None:
            raise ValueError("Can't specify both filter_items and items")
        wanted = np.atleast_1d(np.asarray(itemid))
        height = self._fitted().shape[0]
        if wanted.size and (wanted.min() < 0 or wanted.max() >= height):
            raise IndexError(f"items are 0 to {height - 1}")
        without = set() if filter_items is None else self._ids(filter_items)
        among = None if items is None else self._ids(items)
        ids = np.full((wanted.size, N), -1, np.int32)
        scores = np.full((wanted.size, N), -np.finfo(np.float32).max, np.float64)
        for row, item in enumerate(wanted):
            span = slice(*self.similarity.indptr[item:item + 2])
            best = [
                (thing, llr) for thing, llr in zip(self.similarity.indices[span], self.similarity.data[span])
                if thing not in without and (among is None or thing in among)
            ]
            best.sort(key=lambda pair: (-pair[1], pair[0]))
            for place, (thing, llr) in enumerate(best[:N]):
                ids[row, place], scores[row, place] = thing, llr
        if np.ndim(itemid) > 0:
            return ids, scores
        there = ids[0] >= 0
        return ids[0][there], scores[0][there]

    def _fitted(self) -> "sparse.csr_matrix":
        if self.similarity is None:
            raise ValueError("call fit before")
        return self.similarity

    def _ids(self, items: Any) -> set[int]:
        import numpy as np

        ids = {int(item) for item in np.atleast_1d(items)}
        height = self._fitted().shape[0]
        if any(not 0 <= item < height for item in ids):
            raise IndexError(f"Some of selected itemids are not in the model: they are 0 to {height - 1}")
        return ids

    def _deeds(self, rows: Any, width: int) -> tuple:
        import numpy as np

        if not _is_sparse(rows) or rows.format != "csr":
            raise ValueError("user_items needs to be a CSR sparse matrix")
        if rows.shape[1] != width:
            raise ValueError(f"a row has {rows.shape[1]} columns, fitted were {width}")
        return (rows.indptr, rows.indices, width), np.ascontiguousarray(rows.data, np.float64)

    def _scorer_now(self) -> _native.Scorer:
        if self._scorer is None:
            correlators = [self._fitted(), *self.secondary.values()]
            self._scorer = _native.Scorer([((rows.indptr, rows.indices, rows.shape[1]), rows.data) for rows in correlators])
        return self._scorer

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scorer": None}


def _nothing(height: int, width: int) -> "sparse.csr_matrix":
    from scipy import sparse

    return sparse.csr_matrix((height, width))
