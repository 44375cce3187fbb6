"""Correlators of SciPy matrices: those of tables whose ids are the numbers of rows and columns."""

import math

import arblast
import numpy as np
import pytest
from scipy import sparse

from conftest import rows


@pytest.fixture(scope="module")
def matrices():
    chance = np.random.default_rng(5)
    views = sparse.random(400, 60, 0.12, "csr", random_state=1, dtype=np.float64)
    taste = (np.arange(400)[:, None] % 6 == np.arange(50)[None, :] % 6) & (chance.random((400, 50)) < 0.5)
    taste[chance.random(400) < 0.2] = False
    return sparse.csr_matrix(taste | (chance.random((400, 50)) < 0.04)), views


def table(matrix):
    found = matrix.tocoo()
    return {"user": found.row.tolist(), "item": found.col.tolist()}


def as_rows(result):
    """(item, thing, llr) in the order of a table: items by their text, correlators as they come."""
    order = sorted(range(result.shape[0]), key=str)
    spans = {item: range(result.indptr[item], result.indptr[item + 1]) for item in order}
    return [(item, int(result.indices[at]), float(result.data[at])) for item in order for at in spans[item]]


def close(found, expected):
    """The same correlators; among equally strong ones numbers and texts decide differently."""
    key = lambda row: (str(row[0]), -row[2], row[1])
    assert sorted(found, key=key) == sorted(expected, key=key)


@pytest.mark.parametrize("cap", [500, 25, None])
@pytest.mark.parametrize("threads", [1, 3])
def test_as_tables(matrices, cap, threads):
    primary, views = matrices
    more = {"k": 60, "threads": threads, "cap": cap}
    close(as_rows(arblast.cross_occurrence(primary, **more)), rows(arblast.cross_occurrence(table(primary), **more)))
    close(as_rows(arblast.cross_occurrence(primary, views, **more)), rows(arblast.cross_occurrence(table(primary), table(views), **more)))


def test_the_formula(matrices):
    primary, views = matrices
    users = np.flatnonzero(np.diff(primary.indptr))
    a, b = (primary[users] != 0).toarray().astype(int), (views[users] != 0).toarray().astype(int)
    result = arblast.cross_occurrence(primary, views, k=60, cap=None)

    def entropy(*counts):
        total = sum(counts)
        return total * math.log(total) - sum(count * math.log(count) for count in counts if count)

    for item in range(a.shape[1]):
        for thing in range(b.shape[1]):
            both = int((a[:, item] & b[:, thing]).sum())
            only, other = int(a[:, item].sum()) - both, int(b[:, thing].sum()) - both
            neither = len(users) - both - only - other
            llr = 2 * (entropy(both + only, other + neither) + entropy(both + other, only + neither) - entropy(both, only, other, neither))
            expected = max(0, llr) if both else 0
            assert result[item, thing] == pytest.approx(expected, abs=1e-9)
            if both:
                assert arblast.llr(both, only, other, neither) == pytest.approx(llr, abs=1e-9)


def test_shape_and_order(matrices):
    primary, views = matrices
    result = arblast.cross_occurrence({"buy": primary, "view": views}, k=5)
    assert list(result) == ["buy", "view"]
    assert result["buy"].shape == (50, 50) and result["view"].shape == (50, 60)
    assert isinstance(result["view"], sparse.csr_matrix) and result["view"].dtype == np.float64
    assert result["buy"].diagonal().max() == 0 and np.diff(result["view"].indptr).max() <= 5
    for item in range(50):
        strengths = result["view"].data[slice(*result["view"].indptr[item:item + 2])]
        assert (np.diff(strengths) <= 0).all()
    sorted_copy = result["view"].copy()
    sorted_copy.sort_indices()
    assert (sorted_copy != result["view"]).nnz == 0


def disordered(matrix):
    """The same cells, some twice, in no order, and some zeros."""
    found = matrix.tocoo()
    indptr, indices, data = [0], [], []
    for user in range(matrix.shape[0]):
        own = found.col[found.row == user][::-1].tolist()
        indices += own + own[:1] + [0]
        data += [1.0] * (len(own) + len(own[:1])) + [0.0]
        indptr.append(len(indices))
    return sparse.csr_matrix((data, indices, indptr), shape=matrix.shape)


FORMS = {
    "int8": lambda matrix: matrix.astype(bool).astype(np.int8),
    "float32": lambda matrix: matrix.astype(np.float32) * -2.5,
    "bool": lambda matrix: matrix.astype(bool),
    "csc": lambda matrix: matrix.tocsc(),
    "coo": lambda matrix: matrix.tocoo(),
    "array": sparse.csr_array,
    "disordered": disordered,
    "long indices": lambda matrix: long_indices(matrix),
}


def long_indices(matrix):
    matrix = matrix.copy()
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int64), matrix.indptr.astype(np.int64)
    return matrix


@pytest.mark.parametrize("form", FORMS)
def test_any_form(matrices, form):
    primary, views = matrices
    expected = arblast.cross_occurrence(primary, views)
    given = FORMS[form](primary)
    before = given.copy()
    found = arblast.cross_occurrence(given, FORMS[form](views))
    assert (found != expected).nnz == 0 and found.nnz == expected.nnz > 0
    assert given.nnz == before.nnz and (given != before).nnz == 0, "what was given is as it was"


def test_nothing():
    empty = sparse.csr_matrix((5, 3))
    assert arblast.cross_occurrence(empty).nnz == 0
    assert arblast.cross_occurrence(sparse.csr_matrix((0, 0))).shape == (0, 0)
    assert arblast.cross_occurrence(sparse.csr_matrix(np.eye(5)), sparse.csr_matrix((5, 9))).shape == (5, 9)


def test_what_does_not_fit(matrices):
    primary, views = matrices
    with pytest.raises(ValueError, match='"secondary" has 399 rows, the primary 400'):
        arblast.cross_occurrence(primary, views[:399])
    with pytest.raises(TypeError, match="all as sparse matrices"):
        arblast.cross_occurrence(primary, table(views))
    wrong = primary.astype(np.float64).copy()
    wrong.indices[7] = 1000
    with pytest.raises(ValueError, match="index 1000 is not within 50 columns"):
        arblast.cross_occurrence(wrong)
    wrong = primary.astype(np.float64).copy()
    wrong.indptr[3] = -1
    with pytest.raises(ValueError, match="indptr must ascend"):
        arblast.cross_occurrence(wrong)
