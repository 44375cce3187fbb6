"""What is wrong is said by the right exception, with a name."""

import errno
import json
import os
import subprocess
import sys

import arblast
import numpy as np
import pyarrow as pa
import pytest

from conftest import ARBLAST, NOW

GOOD = {"event": ["buy"], "entityType": ["user"], "entityId": ["u"], "targetEntityType": ["item"], "targetEntityId": ["i"]}


@pytest.fixture
def file(tmp_path):
    def write(text, name="events.jsonl"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path
    return write


def line(**members):
    return json.dumps({name: values[0] for name, values in GOOD.items()} | members)


def test_a_line_that_is_no_event(file):
    path = file(f"{line()}\n\n{line(event='')}\n")
    with pytest.raises(ValueError, match=r"events.jsonl, line 3: .*event must not be empty"):
        arblast.train(path, indicators=["buy"])
    for text in ("{", "[]", "null", '{"event": 1}', line(entityId=""), line(targetEntityId=None), "\ufeff" + line(), line(eventTime="today")):
        with pytest.raises(ValueError, match="line 1: "):
            arblast.train(file(text), indicators=["buy"])


def test_the_line_is_right_in_large_files(file):
    lines = [line(entityId=f"u{n}", properties={"x": "y" * 50}) for n in range(30_000)]
    lines[27_123] = "{"
    for threads in (1, 4):
        with pytest.raises(ValueError, match="line 27124: "):
            arblast.train(file("\n".join(lines)), indicators=["buy"], threads=threads)


def test_files_that_are_not_there_or_not_whole(file, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.jsonl"):
        arblast.train(tmp_path / "nowhere.jsonl", indicators=["buy"])
    with pytest.raises(FileNotFoundError, match="no files in"):
        (tmp_path / "empty").mkdir()
        arblast.train(tmp_path / "empty", indicators=["buy"])
    with pytest.raises(FileNotFoundError):
        arblast.Model.open(tmp_path / "nowhere.arblast")
    with pytest.raises(OSError, match="cut.gz") as caught:
        import gzip
        arblast.train(file(gzip.compress(line().encode() * 1000)[:-20], "cut.gz"), indicators=["buy"])
    assert caught.value.errno != errno.ENOENT


def test_engines_that_are_wrong(file):
    path = file(line())
    with pytest.raises(ValueError, match="which events count"):
        arblast.train(path)
    with pytest.raises(ValueError, match="(?s)the engine file is wrong: .*algorithms"):
        arblast.train(path, engine={"id": "x"})
    with pytest.raises(ValueError, match="the engine file is wrong"):
        arblast.train(path, engine=file("no json", "engine.json"))
    with pytest.raises(ValueError, match='has no "purchase" event'):
        arblast.train(path, indicators=["purchase"])
    with pytest.raises(ValueError, match="the engine file is wrong"):
        arblast.train(path, indicators=["buy", "buy"])


def test_tables_that_are_wrong():
    with pytest.raises(ValueError, match='no column "entityId", only event, entityType'):
        arblast.train(pa.table({name: GOOD[name] for name in ("event", "entityType")}), indicators=["buy"])
    with pytest.raises(ValueError, match="row 1 is no event: entityId is missing"):
        arblast.train({name: values * 2 if name != "entityId" else ["u", None] for name, values in GOOD.items()}, indicators=["buy"])
    with pytest.raises(ValueError, match="row 0 is no event: eventTime must be a time"):
        arblast.train({**GOOD, "eventTime": ["now"]}, indicators=["buy"])
    with pytest.raises(ValueError, match="both be there or neither"):
        arblast.train({**GOOD, "targetEntityType": [None]}, indicators=["buy"])
    for properties in ("{", "[1]", "7"):
        with pytest.raises(ValueError, match="row 0 is no event: properties"):
            arblast.train({**GOOD, "properties": [properties]}, indicators=["buy"])
    with pytest.raises(ValueError, match='column "event" is of type Float64: ids are texts or whole numbers'):
        arblast.train(pa.table({**GOOD, "event": [1.5]}), indicators=["buy"])
    with pytest.raises(ValueError, match='column "eventTime" is of type Bool'):
        arblast.train(pa.table({**GOOD, "eventTime": [True]}), indicators=["buy"])


def test_pairs_that_are_wrong():
    for columns, text in (
        ({"user": ["a"], "item": [1.5]}, 'column "item" is of type Float64'),
        ({"user": ["a"], "item": [b"x"]}, 'column "item" is of type Binary'),
        ({"user": ["a"], "item": [True]}, 'column "item" is of type Boolean'),
        ({"user": ["a", ""], "item": ["x", "y"]}, 'column "user", row 1: an id must not be empty'),
        ({"user": ["a"] * 70 + [""], "item": ["x"] * 71}, 'column "user", row 70: an id must not be empty'),
        ({"user": ["a"] * 50, "item": ["x"] * 40 + [""] * 10}, 'column "item", row 40: an id must not be empty'),
    ):
        with pytest.raises(ValueError, match=text):
            arblast.cross_occurrence(pa.table(columns))
    with pytest.raises(ValueError, match='row 0 of "buy": an id must not be empty'):
        arblast.train({"buy": {"user": [""], "item": ["x"]}})
    with pytest.raises(ValueError, match='column "item"'):
        arblast.cross_occurrence({"user": ["a"], "item": [object()]})
    with pytest.raises(ValueError, match="all the same length|same length"):
        arblast.cross_occurrence({"user": ["a"], "item": ["x", "y"]})


@pytest.mark.parametrize("given", [7, None, "text", [[1, 2]], np.zeros((2, 2)), {"a": 1}, object()])
def test_no_table(given):
    with pytest.raises((TypeError, ValueError)):
        arblast.cross_occurrence(given)
    if not isinstance(given, str):
        with pytest.raises((TypeError, ValueError)):
            arblast.train(given, indicators=["buy"])


@pytest.mark.parametrize("options", [{"k": 0}, {"k": -1}, {"k": 1 << 40}, {"cap": 0}, {"min_llr": float("nan")}, {"min_llr": float("inf")}, {"threads": -2}])
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        arblast.cross_occurrence({"user": ["a"], "item": ["x"]}, **options)


@pytest.fixture(scope="module")
def model(shop):
    return arblast.train(shop.folder / "events.jsonl", engine=shop.folder, now=NOW)


def test_queries_that_are_wrong(model, shop, tmp_path):
    with pytest.raises(ValueError, match="num"):
        model.recommend("maya", -1)
    with pytest.raises(ValueError, match="bias"):
        model.recommend("maya", rules=[{"name": "category", "values": ["x"], "bias": "much"}])
    with pytest.raises(ValueError, match='no indicator "buy"'):
        model.recommend(history={"buy": ["x"]})
    with pytest.raises(LookupError, match='no item "nothing"'):
        model.similar("nothing")
    with pytest.raises(LookupError, match='no item "nothing"'):
        model.correlators("nothing")
    with pytest.raises(TypeError, match="history"):
        model.recommend(history="tent")
    with pytest.warns(UserWarning, match='no member "blacklist"'):
        model.recommend("maya", blacklist=["x"])
    model.save(tmp_path / "model.arblast")
    with pytest.raises(ValueError, match="does not know what users did"):
        arblast.Model.open(tmp_path / "model.arblast").recommend("maya")
    with pytest.raises(ValueError, match="does not know what users did"):
        arblast.train(shop.folder / "events.jsonl", engine=shop.folder, now=NOW, remember=False).recommend("maya")


def test_models_that_are_damaged_or_of_another_version(model, tmp_path):
    model.save(tmp_path / "good.arblast")
    good = (tmp_path / "good.arblast").read_bytes()
    path = tmp_path / "bad.arblast"
    for at in range(0, len(good), max(1, len(good) // 60)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x41]) + good[at + 1:])
        with pytest.raises((arblast.CorruptDataError, arblast.VersionError)):
            arblast.Model.open(path)
    for cut in (0, 1, 100, len(good) - 1):
        path.write_bytes(good[:cut])
        with pytest.raises(arblast.CorruptDataError):
            arblast.Model.open(path)
    assert issubclass(arblast.VersionError, arblast.ArblastError) and issubclass(arblast.CorruptDataError, arblast.ArblastError)


def test_homes_that_are_none(shop, tmp_path, monkeypatch):
    with pytest.raises(LookupError, match="no home of Arblast"):
        arblast.Model.open(shop.folder, home=tmp_path)
    monkeypatch.setenv("ARBLAST_HOME", str(tmp_path / "other"))
    with pytest.raises(LookupError, match="no home of Arblast"):
        arblast.Model.open(shop.folder)
    environment = {**os.environ, "ARBLAST_HOME": str(tmp_path / "new")}
    subprocess.run([ARBLAST, "app", "new", "other"], env=environment, check=True, capture_output=True)
    with pytest.raises(LookupError, match='app "shop".*does not exist'):
        arblast.Model.open(shop.folder, home=tmp_path / "new")
    subprocess.run([ARBLAST, "app", "new", "shop"], env=environment, check=True, capture_output=True)
    with pytest.raises(LookupError, match="no model yet"):
        arblast.Model.open(shop.folder, home=tmp_path / "new")


def test_a_model_that_cannot_be_written(model, tmp_path):
    with pytest.raises(FileNotFoundError):
        model.save(tmp_path / "no/folder/model.arblast")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        model.save(tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"], "nothing is left behind"


def test_halves_of_two_versions(tmp_path):
    code = "import importlib.metadata as m; m.version = lambda name: '9.9.9'; import arblast"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ImportError: arblast 9.9.9 has the native library of 0." in done.stderr
