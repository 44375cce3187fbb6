"""`evaluate` gives the numbers of `arblast eval`."""

import json

import arblast
import matplotlib
import pytest

from conftest import ROOT
from test_roads import FORMS, columns_of

matplotlib.use("Agg")


@pytest.mark.parametrize("words", [{}, {"k": [1, 5, 10], "ablation": True}, {"min_llr": [0, 5], "correlators": [10], "newcomers": True}, {"users": 50, "seed": 3}])
def test_the_numbers_of_the_program(shop, words):
    flags = []
    for name, value in words.items():
        flag = "--" + name.replace("_", "-")
        flags += [flag] if value is True else [flag, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    flags += ["--sweep"] if "min_llr" in words else []
    expected = json.loads(shop.arblast("eval", "--json", *flags).splitlines()[-1])
    found = arblast.evaluate(shop.folder / "events.jsonl", engine=shop.folder, **words)
    assert found.whole["settings"] == expected["settings"] and found.whole["users"] == expected["users"]
    assert len(found.table()) == sum(len(scores) - 1 for setting in expected["settings"] for scores in setting["scores"])


def test_tables_and_threads(shop):
    whole = arblast.evaluate(shop.folder / "events.jsonl", engine=shop.folder, threads=1).whole
    for form in ("pandas", "polars"):
        assert arblast.evaluate(FORMS[form](columns_of(shop.events)), engine=shop.folder, threads=3).whole == whole


def test_what_is_said_of_it(shop):
    result = arblast.evaluate(shop.folder / "events.jsonl", engine=shop.folder, ablation=True)
    metrics = list(dict.fromkeys(result.table().to_pydict()["metric"]))
    for metric in metrics:
        assert result.score(metric) == result.whole["settings"][0]["scores"][0][metric]["mean"] if metric != "coverage" else result.score(metric) > 0
    ax = result.plot(metrics[0])
    assert len(ax.patches) == len(result.whole["settings"])
    kept = ROOT / "target/python/plots"
    kept.mkdir(parents=True, exist_ok=True)
    ax.figure.savefig(kept / "evaluation.png", dpi=80)
    with pytest.raises(LookupError, match="not measured"):
        result.score("nothing")
    with pytest.raises(ValueError, match="share of events to test"):
        arblast.evaluate(shop.folder / "events.jsonl", engine=shop.folder, share=2)
