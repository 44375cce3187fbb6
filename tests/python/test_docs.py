"""The examples of the documentation work as they stand."""

import re
import warnings

import matplotlib
import pytest

from conftest import ROOT
from test_client import clients, event_server, query_server, shop  # noqa: F401: fixtures

matplotlib.use("Agg")
BLOCK = re.compile(r"(?:<!-- run: (\w+) -->\n)?^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page, kind=None):
    found = [text for name, text in BLOCK.findall((ROOT / page).read_text()) if name == (kind or "")]
    assert found, f"{page} has no examples"
    return found


def run(page, texts, names):
    for text in texts:
        exec(compile(text, page, "exec"), names)
    return names


def test_the_examples_of_the_page():
    names = run("docs/python.md", blocks("docs/python.md"), {})
    assert names["ids"].shape == (2, 10) and len(names["both"]) == 2


def test_what_the_page_says_comes_out():
    """Values that stand beside a line as a comment."""
    names = {}
    checked = 0
    for block in blocks("docs/python.md"):
        exec(compile(block, "docs/python.md", "exec"), names)
        for line in block.splitlines():
            found = re.match(r"([a-z][^#]*?) +# (<arblast\.Model.*|\[.*\]|\(.*\))(:.*)?$", line)
            if found and "…" not in found[2]:
                assert repr(eval(found[1], names)) == found[2], line
                checked += 1
    assert checked >= 3


def test_the_example_of_the_package():
    tables = {"user": ["maya", "maya", "bo", "bo"], "item": ["tent", "mat", "tent", "mat"]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run("python/README.md", blocks("python/README.md"), {"purchases": tables, "views": tables})


def test_servers(shop, event_server, query_server):  # noqa: F811
    (text,) = blocks("docs/python.md", "servers")
    text = text.replace("http://localhost:7070", event_server).replace("http://localhost:8000", query_server)
    run("docs/python.md", [text], {"ACCESS_KEY": shop.access_key})


@pytest.mark.parametrize("name", ["train", "cross_occurrence", "connect", "llr", "Model", "CrossOccurrence", "EventClient", "EngineClient", "Table"])
def test_everything_is_described(name):
    import arblast

    thing = getattr(arblast, name)
    public = [thing, *(value for key, value in vars(thing).items() if not key.startswith("_") and callable(value))] if isinstance(thing, type) else [thing]
    assert all(one.__doc__ for one in public), [one for one in public if not one.__doc__]
