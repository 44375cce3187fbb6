"""CrossOccurrence beside `implicit`: the same calls give answers of the same shape."""

import inspect
import pickle

import arblast
import numpy as np
import pytest
from implicit.nearest_neighbours import CosineRecommender
from scipy import sparse


@pytest.fixture(scope="module")
def user_items():
    chance = np.random.default_rng(2)
    taste = (np.arange(200)[:, None] % 5 == np.arange(30)[None, :] % 5) & (chance.random((200, 30)) < 0.6)
    return sparse.csr_matrix(taste | (chance.random((200, 30)) < 0.05), dtype=np.float64)


@pytest.fixture(scope="module")
def both(user_items):
    ours, theirs = arblast.CrossOccurrence(K=20), CosineRecommender(K=20)
    theirs.fit(user_items, show_progress=False)
    assert ours.fit(user_items, show_progress=False) is ours
    return ours, theirs


def test_the_same_signatures():
    for name in ("fit", "recommend", "similar_items"):
        ours = list(inspect.signature(getattr(arblast.CrossOccurrence, name)).parameters)
        theirs = list(inspect.signature(getattr(CosineRecommender, name)).parameters)
        theirs = [{"counts": "user_items"}.get(parameter, parameter) for parameter in theirs if parameter != "callback"]
        assert ours[:len(theirs)] == theirs, name


CALLS = {
    "one user": lambda model, data: model.recommend(7, data[7], N=5),
    "all items of a user": lambda model, data: model.recommend(7, data[7], N=30, filter_already_liked_items=False),
    "users": lambda model, data: model.recommend(np.arange(9), data[:9], N=6),
    "filtered": lambda model, data: model.recommend([3, 4], data[[3, 4]], N=4, filter_items=[1, 2, 3]),
    "one item": lambda model, data: model.similar_items(4, N=5),
    "items": lambda model, data: model.similar_items([1, 2, 3], N=4),
    "items filtered": lambda model, data: model.similar_items(4, N=5, filter_items=[9, 14]),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_same_shapes(both, user_items, call):
    ours, theirs = (CALLS[call](model, user_items) for model in both)
    assert len(ours) == len(theirs) == 2
    for mine, other in zip(ours, theirs):
        assert mine.ndim == other.ndim and mine.dtype.kind == other.dtype.kind
        assert mine.shape == other.shape or mine.ndim == 1 and "all" in call


def brute(model, row, liked_too=False):
    """Scores by the definition."""
    scores = model.similarity.toarray() @ np.asarray(row.todense()).ravel()
    if not liked_too:
        scores[row.indices] = 0
    order = sorted(np.flatnonzero(scores), key=lambda item: (-scores[item], item))
    return order, scores


@pytest.mark.parametrize("liked_too", [False, True])
def test_scores_are_sums_of_correlators(both, user_items, liked_too):
    model = both[0]
    weighted = user_items.copy()
    weighted.data = np.random.default_rng(1).integers(1, 4, weighted.nnz).astype(float)
    users = np.arange(200)
    ids, scores = model.recommend(users, weighted, N=8, filter_already_liked_items=not liked_too)
    for user in users:
        order, expected = brute(model, weighted[int(user)], liked_too)
        there = ids[user] >= 0
        assert there.sum() == min(8, len(order))
        assert scores[user][there] == pytest.approx(sorted(expected[order], reverse=True)[:8], rel=1e-12)
        assert scores[user][there] == pytest.approx(expected[ids[user][there]], rel=1e-12)
        one_ids, one_scores = model.recommend(int(user), weighted[int(user)], N=8, filter_already_liked_items=not liked_too)
        assert one_ids.tolist() == ids[user][there].tolist() and one_scores.tolist() == scores[user][there].tolist()


def test_only_and_never(both, user_items):
    model = both[0]
    ids, _ = model.recommend(7, user_items[7], N=30, items=[1, 6, 11], filter_already_liked_items=False)
    assert set(ids.tolist()) <= {1, 6, 11} and len(ids)
    ids, _ = model.recommend(7, user_items[7], N=30, filter_items=[1, 6, 11])
    assert not set(ids.tolist()) & {1, 6, 11}
    ids, _ = model.similar_items(6, N=30, items=[1, 11])
    assert set(ids.tolist()) <= {1, 11}
    with pytest.raises(ValueError, match="both filter_items and items"):
        model.recommend(7, user_items[7], items=[1], filter_items=[2])
    with pytest.raises(IndexError):
        model.recommend(7, user_items[7], items=[30])


def test_similar_items_are_correlators(both):
    model = both[0]
    ids, llr = model.similar_items(6, N=4)
    row = model.similarity[6]
    best = sorted(zip(-row.data, row.indices))[:4]
    assert ids.tolist() == [item for _, item in best] and llr.tolist() == [-value for value, _ in best]
    assert 6 not in ids
    many, _ = model.similar_items([6, 0], N=30)
    assert many.shape == (2, 30) and many[0, :4].tolist() == ids.tolist() and many[0, -1] == -1


def test_more_than_one_indicator(user_items):
    chance = np.random.default_rng(4)
    views = sparse.csr_matrix(chance.random((200, 12)) < 0.2, dtype=np.float64) + user_items[:, :12]
    model = arblast.CrossOccurrence(K=10).fit(user_items, secondary={"view": views})
    assert model.secondary["view"].shape == (30, 12)
    alone, _ = model.recommend(np.arange(200), user_items, N=5)
    ids, scores = model.recommend(np.arange(200), user_items, N=5, secondary={"view": views})
    assert (ids != alone).any()
    expected = model.similarity @ user_items[3].T + model.secondary["view"] @ views[3].T
    there = ids[3] >= 0
    assert scores[3][there] == pytest.approx(expected.toarray().ravel()[ids[3][there]], rel=1e-12)
    with pytest.raises(ValueError, match="not fitted: cart"):
        model.recommend(3, user_items[3], secondary={"cart": views[3]})


def test_it_can_be_pickled(both, user_items):
    again = pickle.loads(pickle.dumps(both[0]))
    assert again.recommend(7, user_items[7])[0].tolist() == both[0].recommend(7, user_items[7])[0].tolist()


def test_what_is_wrong(both, user_items):
    model = both[0]
    with pytest.raises(ValueError, match="call fit before"):
        arblast.CrossOccurrence().recommend(1, user_items[1])
    with pytest.raises(ValueError, match="1 row for every user"):
        model.recommend(7, user_items)
    with pytest.raises(ValueError, match="CSR"):
        model.recommend(7, user_items[7].tocsc())
    with pytest.raises(ValueError, match="29 columns, fitted were 30"):
        model.recommend(7, user_items[7, :29])
    with pytest.raises(IndexError):
        model.similar_items(30)
    with pytest.raises(TypeError, match="sparse"):
        arblast.CrossOccurrence().fit(user_items.toarray())
    with pytest.raises(ValueError, match="k must be a positive number"):
        arblast.CrossOccurrence(K=0).fit(user_items)
