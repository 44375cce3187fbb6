"""The Universal Recommender's own integration case, if the reference data is at hand."""

import json

import arblast
import pytest

from conftest import ROOT

DATA = ROOT.parent / "shared/data/ur-handmade"


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/ur-handmade is not there; the published answers were not compared")
def test_the_published_answers():
    engine = json.loads((DATA / "engine.json").read_text())
    engine["algorithms"][0]["params"]["scoring"] = "es5-compat"
    model = arblast.train(DATA / "events.jsonl", engine=engine, now="2026-01-15T12:00:00Z")
    cases = [json.loads(line) for line in (DATA / "queries.jsonl").read_text().splitlines()]
    assert len(cases) == 28
    for case in cases:
        found = model.recommend(query=case["query"])
        assert [one.item for one in found] == [one["item"] for one in case["expected"]], case["name"]
        assert [one.score for one in found] == pytest.approx([one["score"] for one in case["expected"]], abs=1e-6), case["name"]
