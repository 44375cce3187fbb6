"""Answers inside executors against those of `arblast batchpredict`: batch.py MODEL ENGINE PREDICTED

PREDICTED has lines {"query":…,"prediction":…}.
"""

import json
import sys

from arblast_spark import BatchRecommender
from pyspark.sql import SparkSession

model, engine, predicted = sys.argv[1:]
spark = SparkSession.builder.getOrCreate()
with open(predicted) as lines:
    expected = [json.loads(line) for line in lines]
queries = spark.createDataFrame([(number, json.dumps(line["query"])) for number, line in enumerate(expected)], "number int, query string")
answers = BatchRecommender(spark, model, engine).answers(queries.repartition(7), "query").collect()
assert len(answers) == len(expected) > 100
for row in answers:
    found, wanted = json.loads(row.answer), expected[row.number]["prediction"]
    assert found == wanted, (row.query, found, wanted)
assert sum(bool(json.loads(row.answer)["itemScores"]) for row in answers) > 100
try:
    BatchRecommender(spark, model + "/none", engine)
    raise SystemExit("a model that is not there")
except Exception as error:
    assert "there is no model" in str(error), error
print("answers agree")
