"""CrossOccurrence in PySpark against Mahout's correlators: library.py GOLDEN_FOLDER"""

import json
import sys

from arblast_spark import CrossOccurrence
from pyspark.sql import SparkSession

folder = sys.argv[1]
spark = SparkSession.builder.getOrCreate()


def pairs(name):
    return spark.read.csv(f"{folder}/{name}.csv", schema="user string, item string")


def counted(place, partitions):
    purchase, view = (pairs(name).repartition(partitions) for name in ("purchase", "view"))
    cross = CrossOccurrence("purchase", purchase, "user", "item").max_items_per_user(100_000)
    found = cross.also("view", view, "user", "item").max_items_per_user(100_000).count_on(place).correlators()
    return sorted((row.item, row.indicator, [(c.id, c.llr) for c in row.correlators]) for row in found.collect())


found = counted("driver", 1)
assert found == counted("executors", 7), "the place and the partitions do not matter"
expected = {}
with open(f"{folder}/correlators.jsonl") as lines:
    for line in map(json.loads, lines):
        expected[line["item"], line["indicator"]] = line["correlators"]
assert {(item, indicator) for item, indicator, _ in found} == {key for key, row in expected.items() if row}
compared = 0
for item, indicator, row in found:
    mahout = expected[item, indicator]
    assert len(row) == len(mahout), (item, indicator)
    for (_, llr), (_, golden) in zip(row, mahout):
        assert abs(llr / golden - 1) < 1e-9, (item, indicator, llr, golden)
    compared += len(row)
assert compared > 10_000
few = CrossOccurrence("purchase", pairs("purchase"), "user", "item").max_correlators(3).min_llr(8.0).correlators().collect()
assert few and all(len(row.correlators) <= 3 and min(c.llr for c in row.correlators) >= 8 for row in few)
try:
    CrossOccurrence("a", pairs("view"), "user", "item").also("a", pairs("view"), "user", "item")
    raise SystemExit("two indicators of one name")
except Exception as error:
    assert "names must differ" in str(error), error
print(f"compared {compared}")
