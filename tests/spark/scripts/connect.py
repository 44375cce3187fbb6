"""Everything through Spark Connect: a client without driver code. python connect.py WORKDIR [sc://127.0.0.1:15002]

The server has the jar and spark.sql.extensions=dev.arblast.spark.sql.Extensions (see connect-server, which also runs this); WORKDIR, which
both see, is that of sql.py and source.py.
"""

import os
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import checks

WORK = os.path.abspath(sys.argv[1])
URL = sys.argv[2] if len(sys.argv) > 2 else "sc://127.0.0.1:15002"
TENT = "Fernway Tent 2 Person"
RUN = f"connect-{time.time_ns()}"


def connect():
    return SparkSession.builder.remote(URL).create()


def value(spark, text):
    return spark.sql(text).collect()[0][0]


def read(spark, table, path, **options):
    return spark.read.format("arblast").option("table", table).options(**options).load(path)


def check_functions(spark):
    checks.near("llr", value(spark, "SELECT llr(10, 20, 30, 4000)"), checks.llr(10, 20, 30, 4000))
    counts = spark.range(100).select("id", F.call_function("llr", F.col("id"), F.lit(3), F.lit(4), F.lit(500)).alias("llr"))
    for row in counts.collect():
        checks.near(f"llr of {row.id}", row.llr, checks.llr(row.id, 3, 4, 500))
    negative = lambda: value(spark, "SELECT llr(-1, 2, 3, 4)")
    checks.fails("a negative count", negative, "llr: k11 is a count and must not be negative, got -1")
    similar = lambda: spark.range(2).selectExpr(f"similar('{TENT}', 3) AS hits").collect()
    checks.fails("no model", similar, "spark.arblast.model is not set")
    spark.sql(f"SET spark.arblast.model={WORK}/model")
    spark.conf.set("spark.arblast.engine", f"{WORK}/engine.json")
    checks.equal("similar", [len(row.hits) for row in similar()], [3, 3])
    checks.equal("recommend", len(value(spark, f"SELECT recommend(array('{TENT}'), 5)")), 5)


def check_sessions(spark):
    other = connect()
    checks.near("llr in another session", value(other, "SELECT llr(1, 2, 3, 4)"), checks.llr(1, 2, 3, 4))
    checks.fails("its own settings", lambda: value(other, f"SELECT similar('{TENT}', 1)"), "spark.arblast.model is not set")
    other.stop()


def check_model(spark):
    correlators = read(spark, "correlators", f"{WORK}/model")
    rows = correlators.collect()
    checks.holds("correlators", len(rows) > 10000)
    checks.equal("count", correlators.count(), len(rows))
    table = correlators.where("place = 1").toPandas()
    checks.equal("as pandas", len(table), sum(row.place == 1 for row in rows))
    checks.equal("items", read(spark, "items", f"{WORK}/model").count(), 400)
    checks.holds("rankings", read(spark, "rankings", f"{WORK}/model").count() > 0)
    checks.fails("no model", lambda: read(spark, "items", f"{WORK}/none").count(), f"there is no model {WORK}/none")


def write(frame, home, event):
    frame = frame.write.format("arblast").mode("append").option("table", "interactions")
    frame.option("app", "shop").option("event", event).save(home)


def check_events(spark):
    home = f"{WORK}/home"
    pairs = spark.range(1000).selectExpr("concat('u', id % 30) AS user", "concat('i', id % 7) AS item")
    write(pairs, home, RUN)
    events = read(spark, "events", home, app="shop").where(f"event = '{RUN}'")
    checks.equal("interactions", events.count(), 1000)
    checks.equal("pairs", events.select("entityId", "targetEntityId").distinct().count(), 210)
    here = spark.createDataFrame([("u", f"{RUN}-local", None)], "user string, item string, eventTime timestamp")
    write(here, home, RUN)
    checks.equal("rows of the client", events.where(f"targetEntityId = '{RUN}-local'").count(), 1)
    checks.fails("a column less", lambda: write(pairs.select("user"), home, RUN), "also needs the columns item")
    nulls = pairs.withColumn("item", F.lit(None).cast("string"))
    checks.fails("a null", lambda: write(nulls, home, RUN), "column item must not be null")
    checks.equal("nothing of it", events.count(), 1001)
    events.createOrReplaceTempView("mine")
    query = f"SELECT explode(correlators('{RUN}', event, entityId, targetEntityId)) AS c FROM mine"
    checks.holds("correlators", spark.sql(query).count() >= 0)


def check_correlators(spark):
    rows = [("buy", f"u{n % 11}", f"i{n * n % 13}") for n in range(60)]
    rows += [("view", f"u{n % 10}", f"i{n * 7 % 17}") for n in range(90)]
    spark.createDataFrame(rows, "event string, user string, item string").createOrReplaceTempView("rows")
    entries = value(spark, "SELECT correlators('buy', event, user, item) FROM rows")
    found = {(entry.item, entry.indicator): {pair.id: pair.llr for pair in entry.correlators} for entry in entries}
    expected = checks.correlators("buy", rows)
    checks.equal("items and indicators", sorted(found), sorted(expected))
    for key, pairs in expected.items():
        checks.equal(f"correlators of {key}", sorted(found[key]), sorted(id for id, _ in pairs))
        for id, llr in pairs:
            checks.near(f"llr of {key} and {id}", found[key][id], llr)


def main():
    spark = connect()
    check_functions(spark)
    check_sessions(spark)
    check_model(spark)
    check_events(spark)
    check_correlators(spark)
    version = spark.version
    spark.stop()
    print(f"connect.py: all as expected, Spark {version}")


main()
