"""SQL functions. spark-submit --jars arblast-spark.jar tests/spark/scripts/sql.py WORKDIR

WORKDIR has model/ (an engine's folder of generations of the sample shop) and engine.json.
"""

import os
import random
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import checks

WORK = os.path.abspath(sys.argv[1])
TENT = "Fernway Tent 2 Person"


def value(spark, text):
    return spark.sql(text).collect()[0][0]


def check_llr(spark):
    checks.near("llr of literals", value(spark, "SELECT llr(10, 20, 30, 4000)"), checks.llr(10, 20, 30, 4000))
    rows = [(random.randrange(50), random.randrange(50), random.randrange(50), random.randrange(5000)) for _ in range(500)]
    table = spark.createDataFrame(rows, "a long, b int, c short, d long").repartition(3)
    for row in table.selectExpr("a", "b", "c", "d", "llr(a, b, c, d) AS llr").collect():
        checks.near(f"llr of {row}", row.llr, checks.llr(row.a, row.b, row.c, row.d))
    checks.equal("llr of null", value(spark, "SELECT llr(1, NULL, 2, 3)"), None)
    checks.equal("type of llr", spark.sql("SELECT llr(1, 2, 3, 4) AS llr").dtypes, [("llr", "double")])
    negative = lambda: value(spark, "SELECT llr(1, 2, -3, 4)")
    checks.fails("a negative count", negative, "llr: k21 is a count and must not be negative, got -3")
    checks.fails("no whole number", lambda: value(spark, "SELECT llr(1.5D, 2, 3, 4)"), "llr: k11 must be a whole number (bigint), got 1.5")


def check_settings(spark):
    similar = f"SELECT similar(item, 3) FROM VALUES ('{TENT}') AS t(item)"
    in_tasks = lambda: spark.range(3).selectExpr(f"similar('{TENT}', 3 + id % 2)").collect()
    for query in (lambda: value(spark, similar), in_tasks):
        spark.conf.unset("spark.arblast.model")
        checks.fails("no model", query, "spark.arblast.model is not set", "SET spark.arblast.model=PATH")
        spark.sql(f"SET spark.arblast.model={WORK}/model")
        spark.conf.unset("spark.arblast.engine")
        checks.fails("no engine", query, "spark.arblast.engine is not set", "engine.json")
        spark.sql(f"SET spark.arblast.engine={WORK}/engine.json")
        spark.sql(f"SET spark.arblast.model={WORK}/none")
        checks.fails("a model that is not there", query, f"there is no model {WORK}/none")
        spark.sql(f"SET spark.arblast.model={WORK}")
        checks.fails("a folder without a model", query, f"{WORK} holds no model", "ENGINE%40APP")
        spark.sql(f"SET spark.arblast.model={WORK}/engine.json")
        checks.fails("another file", query, "engine.json")
        spark.sql(f"SET spark.arblast.model={WORK}/model")
    file = f"file:{WORK}/model/{open(f'{WORK}/model/CURRENT').read().strip()}/model.arblast"
    by_folder = value(spark, similar)
    spark.sql(f"SET spark.arblast.model={file}")
    spark.sql(f"SET spark.arblast.engine=file:{WORK}/engine.json")
    checks.equal("the same by URLs", value(spark, similar), by_folder)
    spark.sql(f"SET spark.arblast.model={WORK}/model")


def check_recommend(spark):
    """The answers are those of the recommender itself."""
    file = f"{WORK}/model/{open(f'{WORK}/model/CURRENT').read().strip()}/model.arblast"
    recommender = spark._jvm.dev.arblast.Recommender.open(file, open(f"{WORK}/engine.json").read())
    pairs = lambda hits: [(hit.item, hit.score) for hit in hits]
    python = lambda hits: [(f"{hit}".rpartition(" ")[0], float(f"{hit}".rpartition(" ")[2])) for hit in hits]
    items = [row.id for row in spark.read.format("arblast").option("table", "items").load(f"{WORK}/model").select("id").collect()]
    table = spark.createDataFrame([(i,) for i in items], "item string").repartition(5).withColumn("n", F.expr("length(item) % 5"))
    answers = table.selectExpr("item", "n", "similar(item, n) AS hits").collect()
    checks.equal("rows of similar", len(answers), len(items))
    for row in answers:
        checks.equal(f"similar to {row.item}", pairs(row.hits), python(recommender.similar(row.item, row.n)))
    carts = spark.createDataFrame([(random.sample(items, 3), n) for n in range(10)], "history array<string>, n int").repartition(3)
    for row in carts.selectExpr("history", "n", "recommend(history, n) AS hits").collect():
        history = spark._jvm.java.util.ArrayList()
        [history.add(item) for item in row.history]
        checks.equal(f"recommend to {row.history}", pairs(row.hits), python(recommender.recommend(history, row.n)))
    checks.equal(
        "type of recommend",
        spark.sql("SELECT recommend(array('a'), 1) AS r").dtypes,
        [("r", "array<struct<item:string,score:double>>")],
    )
    checks.equal("no history", value(spark, "SELECT recommend(NULL, 3)"), None)
    checks.equal("no item", value(spark, "SELECT similar(NULL, 3)"), None)
    checks.equal("no number", value(spark, "SELECT similar('a', NULL)"), None)
    with_null = value(spark, f"SELECT recommend(array('{TENT}', NULL), 4)")
    checks.equal("a null in a history", with_null, value(spark, f"SELECT recommend(array('{TENT}'), 4)"))
    checks.equal("length", len(with_null), 4)
    checks.fails("no array", lambda: value(spark, "SELECT recommend('a', 3)"), "recommend: history must be array<string>, got a")
    checks.fails("negative", lambda: value(spark, "SELECT similar('a', -1)"), "similar: n must be from 0 to 2147483647, got -1")
    exploded = spark.sql(f"SELECT hit.item FROM (SELECT explode(similar('{TENT}', 4)) AS hit)").collect()
    checks.equal("exploded", len(exploded), 4)


def check_new_generation(spark):
    """Every query looks which generation is current."""
    folder = f"{WORK}/model"
    current = open(f"{folder}/CURRENT").read()
    query = lambda: spark.range(1).selectExpr(f"similar('{TENT}', 3)").collect()
    before = query()
    try:
        open(f"{folder}/CURRENT", "w").write("0000009999\n")
        checks.fails("a generation that is not there", query, "holds no model")
    finally:
        open(f"{folder}/CURRENT", "w").write(current)
    checks.equal("back again", query(), before)


def long_name(number):
    return f"i{number}" + "ü" * (number * 15)


def check_correlators(spark):
    random.seed(7)
    weights = [("purchase", 300), ("view", 900), ("0 search", 200)]
    rows = [
        (indicator, f"u{random.randrange(60)}", long_name(min(random.randrange(20), random.randrange(20))))
        for indicator, number in weights
        for _ in range(number)
    ]
    rows += [("view", None, "i1"), (None, "u1", "i1"), ("view", "u1", None)]
    expected = checks.correlators("purchase", [row for row in rows if None not in row])
    results = []
    for partitions in (1, 4, 11):
        random.shuffle(rows)
        table = spark.createDataFrame(rows, "event string, user string, item string").repartition(partitions)
        table.createOrReplaceTempView("rows")
        results.append(value(spark, "SELECT correlators('purchase', event, user, item) FROM rows"))
    checks.equal("order and partitions do not matter", results[1:], results[:1] * 2)
    found = {(entry.item, entry.indicator): [tuple(pair) for pair in entry.correlators] for entry in results[0]}
    checks.equal("items and indicators", sorted(found), sorted(expected))
    for key, pairs in found.items():
        checks.equal(f"correlators of {key}", sorted(id for id, _ in pairs), sorted(id for id, _ in expected[key]))
        for id, score in pairs:
            checks.near(f"llr of {key} and {id}", score, dict(expected[key])[id])
    order = ["purchase", "0 search", "view"]
    keys = [(entry.item, order.index(entry.indicator)) for entry in results[0]]
    checks.equal("order", keys, sorted(keys))
    check_groups(spark, results[0])


def check_groups(spark, whole):
    shape = "array<struct<item:string,indicator:string,correlators:array<struct<id:string,llr:double>>>>"
    shops = "rows LATERAL VIEW explode(array('a', 'b', 'c')) shops AS shop"
    query = f"SELECT shop, correlators('purchase', event, user, item) AS c FROM {shops} GROUP BY shop"
    groups = spark.sql(query)
    checks.equal("type", groups.dtypes, [("shop", "string"), ("c", shape)])
    checks.equal("groups", [row.c for row in groups.collect()], [whole] * 3)
    views = "LATERAL VIEW explode(c) entries AS entry LATERAL VIEW explode(entry.correlators) pairs AS pair"
    flat = spark.sql(f"SELECT entry.item, pair.id, pair.llr FROM ({query}) {views} WHERE shop = 'a'")
    checks.equal("exploded", flat.count(), sum(len(entry.correlators) for entry in whole))
    checks.equal("no row", value(spark, "SELECT correlators('purchase', event, user, item) FROM rows WHERE false"), [])
    checks.equal("no row of the primary", value(spark, "SELECT correlators('buy', event, user, item) FROM rows"), [])
    by = lambda primary: value(spark, f"SELECT correlators({primary}, event, user, item) FROM rows")
    checks.fails("two primaries", lambda: by("event"), "must be the same in all rows of a group")
    reserved = lambda: value(spark, "SELECT correlators('buy', e, 'u', 'i') FROM VALUES ('buy'), ('$set') AS t(e)")
    checks.fails("a reserved name", reserved, "correlators: other names of indicators are needed", "$set")
    checks.fails("no primary", lambda: by("NULL"), "must not be null")


def check_all(spark):
    check_llr(spark)
    check_settings(spark)
    check_recommend(spark)
    check_new_generation(spark)
    check_correlators(spark)


def check_extension():
    builder = SparkSession.builder.config("spark.sql.extensions", "dev.arblast.spark.sql.Extensions")
    spark = builder.config("spark.arblast.model", f"{WORK}/model").config("spark.arblast.engine", f"{WORK}/engine.json").getOrCreate()
    checks.equal("settings of the start", len(value(spark, f"SELECT similar('{TENT}', 2)")), 2)
    other = spark.newSession()
    checks.near("llr in another session", value(other, "SELECT llr(1, 2, 3, 4)"), checks.llr(1, 2, 3, 4))
    other.sql(f"SET spark.arblast.model={WORK}/none")
    checks.fails("the setting of one session", lambda: value(other, "SELECT similar('a', 2)"), "there is no model")
    checks.equal("is not that of another", len(value(spark, f"SELECT similar('{TENT}', 2)")), 2)
    check_all(spark.newSession())
    spark.stop()


def main():
    spark = SparkSession.builder.getOrCreate()
    checks.fails("unregistered", lambda: value(spark, "SELECT llr(1, 2, 3, 4)"), "llr")
    spark._jvm.dev.arblast.spark.sql.Functions.register(spark._jsparkSession)
    check_all(spark)
    spark.stop()
    check_extension()
    print(f"sql.py: all as expected, Spark {spark.version}")


main()
