"""Pictures: they show what they should. target/python/plots keeps them, to be looked at."""

import arblast
import matplotlib
import pytest

from conftest import NOW, ROOT

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

KEPT = ROOT / "target/python/plots"


@pytest.fixture(scope="module")
def model(shop):
    return arblast.train(shop.folder / "events.jsonl", engine=shop.folder, now=NOW)


def kept(ax, name):
    KEPT.mkdir(parents=True, exist_ok=True)
    ax.figure.savefig(KEPT / f"{name}.png", dpi=80)
    plt.close(ax.figure)
    return [text.get_text() for text in ax.texts], [text.get_text() for text in (ax.get_legend().get_texts() if ax.get_legend() else [])]


def test_llr(model):
    _, legend = kept(model.plot_llr(), "llr")
    numbers = {indicator["name"]: indicator["correlators"] for indicator in model.report["indicators"]}
    assert legend == [f"{name} ({numbers[name]:,})" for name in model.indicators if numbers[name]]


def test_correlators(model):
    item = "Fernway Tent 2 Person"
    texts, legend = kept(model.plot_correlators(item, n=6), "correlators")
    columns = model.correlators(item).to_pydict()
    strongest = [thing for thing, place in zip(columns["correlator"], columns["place"]) if place <= 6]
    assert all(any(text.rstrip("…") == thing[:len(text.rstrip("…"))] for text in texts if text) for thing in strongest)
    assert legend == list(dict.fromkeys(columns["indicator"]))


def test_popularity(model):
    ax = model.plot_popularity()
    columns = model.rankings().to_pydict()
    values = sorted((value for value, name in zip(columns["value"], columns["ranking"]) if name == columns["ranking"][0]), reverse=True)
    assert list(ax.lines[0].get_ydata()) == values and "the first tenth" in ax.get_title()
    kept(ax, "popularity")
    with pytest.raises(ValueError, match='no ranking "nothing", only'):
        model.plot_popularity("nothing")


@pytest.fixture(scope="module")
def tried(shop):
    return arblast.evaluate(shop.folder / "events.jsonl", engine=shop.folder, k=[1, 10], ablation=True, min_llr=[0, 5, 20], correlators=[5, 50])


def test_evaluations_by_length(tried):
    ax = tried.plot("ndcg", by="k")
    _, legend = kept(ax, "evaluation-k")
    assert legend == ["engine", "popular", "recently popular", "only purchase"]
    assert list(ax.lines[0].get_ydata()) == [tried.score("ndcg", 1), tried.score("ndcg", 10)]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "10"] and ax.get_ylabel() == "NDCG"


def test_evaluations_by_threshold(tried):
    ax = tried.plot("ndcg")
    _, legend = kept(ax, "evaluation-minllr")
    assert legend == ["engine", "top 5", "top 50", "may be chance"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "5", "20"] and ax.get_ylabel() == "NDCG at 10"
    (curve,) = (line for line in ax.lines if line.get_label() == "top 50")
    assert list(curve.get_ydata()) == [tried.score("ndcg", 10, f"minLLR {threshold}, top 50") for threshold in (0, 5, 20)]
    # Hollow: those that the table has no star for.
    whole = tried.whole["settings"]
    sure = [one for setting in whole if "minLLR" in setting for one in [setting["scores"][1]["ndcg"]["difference"]] if abs(one["mean"]) > 1.96 * one["standardError"]]
    filled = [line for line in ax.lines if len(line.get_xdata()) == 1 and line.get_markerfacecolor() != "white"]
    assert len(filled) == len(sure) and 0 < len(sure) < 6
    # What has no interval, and cannot be chance.
    assert "may be chance" not in kept(tried.plot("coverage"), "evaluation-minllr-coverage")[1]


def test_evaluations_by_setting(tried):
    ax = tried.plot("recall", by="setting")
    assert len(ax.patches) == len(tried.whole["settings"]) and ax.get_xlabel() == "recall at 10, with 95 % intervals"
    assert max(patch.get_width() for patch in ax.patches) == max(tried.score("recall", 10, one["setting"]) for one in tried.whole["settings"])
    kept(ax, "evaluation-setting")


def test_what_evaluations_cannot_show(shop, tried):
    with pytest.raises(ValueError, match='by="x" must be "setting", "k" or "minLLR"'):
        tried.plot(by="x")
    with pytest.raises(ValueError, match='"x" was not measured, only map, ndcg'):
        tried.plot("x")
    plain = arblast.evaluate(shop.folder / "events.jsonl", engine=shop.folder)
    with pytest.raises(ValueError, match="no other thresholds were tried: evaluate with sweep=True"):
        plain.plot(by="minLLR")
    assert plain.plot(by="k").get_xlabel() == "k, length of the lists"
    plt.close("all")


def test_on_axes_of_ones_own(model):
    figure, axes = plt.subplots(1, 2)
    assert model.plot_llr(ax=axes[0]) is axes[0] and model.plot_popularity(ax=axes[1]) is axes[1]
    plt.close(figure)


def test_models_with_little_in_them():
    model = arblast.train({"buy": {"user": ["a"], "item": ["x"]}}, now=NOW)
    kept(model.plot_llr(), "llr-empty")
    kept(model.plot_correlators("x"), "correlators-empty")
    kept(model.plot_popularity(), "popularity-one")
