"""The notebooks run as they stand, and show in their cells what comes out."""

import os
from pathlib import Path

import nbclient
import nbformat
import pytest

from conftest import ARBLAST, ROOT

NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
KEPT = ROOT / "target/python/notebooks"
DATED = "depends-on-the-day"
"""The tag of cells in which the sample shop, which ends today, shows dates: not what they show is compared, but how much."""

PICTURES = {"first-recommendations": 3, "sql-over-flight": 3, "tuning-with-eval": 5}
# What the texts say of the results, in the words of the notebook.
CHECKS = {
    "sql-over-flight": """
        assert server.returncode == 0 and not os.path.exists(shop)
        assert len(by_month) in (4, 5) and by_month.sum().sum() == 76_806
        assert list(recommended.place) == [1, 2, 3, 4, 5] and not recommended.isna().any(axis=None)
        assert llr.llr.between(bins[0], bins[-1]).all() and llr.indicator.nunique() == 5
        assert llr.groupby("indicator").llr.median().idxmax() in ("view", "category-pref")
        assert strength.shape == (16, 16) and strength.max(axis=None) > 300 and (strength.fillna(0) == strength.T.fillna(0)).all(axis=None)
        assert len(both) and (both.llr_season < both.llr_ever).mean() > 0.9
    """,
    "tuning-with-eval": """
        shares = means(result)
        assert 8.5 < shares.ndcg["engine"] / shares.ndcg["popular"] < 9.5 and 0.85 < shares.coverage["engine"] < 0.9
        assert list(worth.index[worth.sure]) == ["only purchase", "without purchase", "without view"] and (worth.difference[worth.sure] < 0).all()
        at = sweep.set_index(["minLLR", "maxCorrelatorsPerItem"])
        assert len(at) == 24 and (at["mean"][:, 20] > at["mean"][:, 10]).iloc[:5].all()
        chosen, engines = at.loc[(10, 20)], ndcg.iloc[0]
        assert abs(chosen.difference) < 1.96 * chosen.differenceError and chosen.correlators < 2 / 3 * engines.correlators
        assert (ours.difference.abs() < 1.96 * ours.differenceError).all() and len(ours) == 3
    """,
}


def outputs(notebook):
    """Per cell the texts that it printed or gave, and how many pictures."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        texts = [output.get("text") or output.get("data", {}).get("text/plain") for output in cell.outputs]
        texts = [text for text in texts if text and not text.startswith("<Axes")]
        pictures = sum("image/png" in output.get("data", {}) for output in cell.outputs)
        found.append((len(texts) if DATED in cell.metadata.get("tags", []) else texts, pictures))
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_shows_what_it_shows(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(ARBLAST).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(path, 4)
    shown = outputs(notebook)
    check = nbformat.v4.new_code_cell("if True:" + CHECKS.get(path.stem, " pass"))
    notebook.cells.append(check)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    notebook.cells.remove(check)
    KEPT.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, KEPT / path.name)
    if os.environ.get("KEEP_OUTPUTS"):
        nbformat.write(notebook, path)
    found = outputs(notebook)
    assert found == shown, f"run it again with KEEP_OUTPUTS=1 and look at {path.name}"
    assert sum(pictures for _, pictures in found) == PICTURES[path.stem]
    assert not any("Empty DataFrame" in text for texts, _ in found if isinstance(texts, list) for text in texts)


def test_there_are_notebooks():
    assert {path.stem for path in NOTEBOOKS} == set(PICTURES)
