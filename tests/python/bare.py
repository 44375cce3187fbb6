"""What works with the wheel alone, where no other package is."""

import importlib.util

import arblast

for name in ("numpy", "pyarrow", "pandas", "polars", "scipy", "matplotlib"):
    assert importlib.util.find_spec(name) is None, f"{name} is installed: this is no bare environment"

buys = {"user": ["u1", "u1", "u2", "u2", "u3", "u3"], "item": ["tent", "mat", "tent", "mat", "lamp", "stove"]}
views = {"user": ["u1", "u2", "u3"], "item": ["tent", "mat", "lamp"]}
model = arblast.train({"buy": buys, "view": views}, items={"item": ["tent", "mat"], "price": [100, 20.5]})
assert [one.item for one in model.recommend(history={"buy": ["tent"]}, n=1)] == ["mat"], model.recommend(history={"buy": ["tent"]})
assert model.recommend("u1", 4)[0].item in ("lamp", "stove"), model.recommend("u1", 4)
table = arblast.cross_occurrence(buys)
rows = table.to_pydict()
assert set(rows) == {"item", "correlator", "llr"} and len(table) == len(rows["llr"]) > 0
assert model.items().to_pydict()["id"] == ["lamp", "mat", "stove", "tent"]
for call, needed in ((lambda: arblast.connect("x:1"), "arblast[flight]"), (lambda: model.plot_llr(), "arblast[plots]"), (lambda: arblast.spark, "pyspark")):
    try:
        call()
    except ImportError as error:
        assert needed in str(error), error
    else:
        raise AssertionError(f"{needed} is not there, and nobody says so")
print(f"arblast {arblast.__version__} works alone: {model}")
