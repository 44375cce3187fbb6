"""format("arblast"). spark-submit --jars arblast-spark.jar tests/spark/scripts/source.py WORKDIR

WORKDIR has model/ (an engine's folder of generations of the sample shop), events.jsonl (its events) and home/ (an embedded store whose app
"shop" has them). Events are added to the app, none is changed.
"""

import datetime
import glob
import json
import os
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import checks

WORK = os.path.abspath(sys.argv[1])
HOME = f"{WORK}/home"
MODEL = f"{WORK}/model"
# each run writes under names of its own
RUN = f"run-{time.time_ns()}"


def read(spark, table, path, **options):
    return spark.read.format("arblast").option("table", table).options(**options).load(path)


def write(frame, table, path=HOME, **options):
    options = {"app": "shop", **options}
    frame.write.format("arblast").mode("append").option("table", table).options(**options).save(path)


def check_model(spark):
    correlators = read(spark, "correlators", MODEL)
    shape = [("item", "string"), ("indicator", "string"), ("place", "int"), ("correlator", "string"), ("llr", "double")]
    checks.equal("columns of correlators", correlators.dtypes, shape)
    rows = correlators.collect()
    names = {row.indicator for row in rows}
    checks.equal("indicators", names, {"purchase", "add-to-cart", "view", "search", "category-pref"})
    checks.holds("places", all(row.place >= 1 for row in rows))
    last = {}
    for row in rows:
        key = (row.item, row.indicator)
        place, llr = last.get(key, (0, float("inf")))
        checks.holds(f"{row} follows", row.place == place + 1 and row.llr <= llr)
        last[key] = (row.place, row.llr)
    info = json.load(open(f"{MODEL}/{open(f'{MODEL}/CURRENT').read().strip()}/info.json"))
    checks.holds("digest", info["digest"])
    for partitions in (1, 3, 1000):
        split = read(spark, "correlators", MODEL, partitions=partitions)
        checks.equal(f"{partitions} tasks", split.rdd.getNumPartitions(), min(partitions, read(spark, "items", MODEL).count()))
        checks.equal(f"rows of {partitions} tasks", split.collect(), rows)
    items = check_items(spark)
    rankings = read(spark, "rankings", MODEL)
    checks.equal("columns of rankings", rankings.dtypes, [("item", "string"), ("ranking", "string"), ("value", "double")])
    checks.equal("rankings", {row.ranking for row in rankings.select("ranking").distinct().collect()}, {"popRank", "trendRank", "hotRank"})
    checks.holds("items of rankings", {row.item for row in rankings.select("item").collect()} <= {row.id for row in items})
    checks.holds("popularity", rankings.where("ranking = 'popRank' AND value > 1").count() > 100)
    check_pruning(spark, correlators, rows)


def check_items(spark):
    items = read(spark, "items", MODEL)
    checks.equal("columns of items", items.dtypes, [("id", "string"), ("properties", "string")])
    rows = items.collect()
    ids = [row.id for row in rows]
    checks.equal("order of items", ids, sorted(ids, key=str.encode))
    tent = items.where("id = 'Fernway Tent 2 Person'").select(F.get_json_object("properties", "$.categories[0]").alias("c"))
    checks.equal("properties", [row.c for row in tent.collect()], ["camping"])
    return rows


def check_pruning(spark, correlators, rows):
    checks.equal("count", correlators.count(), len(rows))
    turned = correlators.select("llr", "item").collect()
    checks.equal("two columns", [(row.llr, row.item) for row in turned], [(row.llr, row.item) for row in rows])
    best = correlators.where("place = 1").groupBy("indicator").count().collect()
    checks.equal("filter", sum(row["count"] for row in best), sum(row.place == 1 for row in rows))
    plan = correlators.select("item")._jdf.queryExecution().executedPlan().toString()
    checks.holds("columnar", "ColumnarToRow" in plan)
    joined = correlators.join(read(spark, "items", MODEL).withColumnRenamed("id", "item"), "item")
    checks.equal("join", joined.count(), len(rows))
    checks.holds("broadcast", "BroadcastHashJoin" in joined._jdf.queryExecution().executedPlan().toString())
    correlators.createOrReplaceTempView("c")
    joined = spark.sql("SELECT count(*) FROM c a JOIN c b USING (item, indicator, place, correlator)")
    checks.equal("self join", joined.first()[0], len(rows))
    spark.sql(f"CREATE OR REPLACE TEMPORARY VIEW v USING arblast OPTIONS (table 'items', path '{MODEL}')")
    checks.equal("in SQL", spark.sql("SELECT count(*) FROM v").first()[0], 400)
    by_class = spark.read.format("dev.arblast.spark.source.ArblastSource").option("table", "items").load(f"file:{MODEL}")
    checks.equal("by class and URL", by_class.count(), 400)


def check_elsewhere(spark):
    """A file system that is not the local one gets its model copied."""
    conf = spark._jsc.hadoopConfiguration()
    conf.set("fs.viewfs.mounttable.elsewhere.link./model", f"file://{MODEL}")
    location = "viewfs://elsewhere/model"
    copies = lambda: set(glob.glob(spark._jvm.System.getProperty("java.io.tmpdir") + "/arblast-*.model"))
    before = copies()
    here = read(spark, "correlators", MODEL, partitions=3).collect()
    checks.equal("copied", read(spark, "correlators", location, partitions=3).collect(), here)
    processes = 1 if spark.sparkContext.master.startswith("local") else 3
    checks.holds("copied once for each process", 1 <= len(copies() - before) <= processes)
    for number in range(12):
        conf.set(f"fs.viewfs.mounttable.elsewhere{number}.link./model", f"file://{MODEL}")
        found = read(spark, "correlators", f"viewfs://elsewhere{number}/model", partitions=3).collect()
        checks.equal("one of many", found, here)
    checks.holds("copies that nobody needs are deleted", len(copies() - before) <= 8 * processes)


def check_events(spark):
    events = read(spark, "events", HOME, app="shop")
    shape = ["eventId", "event", "entityType", "entityId", "targetEntityType", "targetEntityId", "properties"]
    shape = [(name, "string") for name in shape] + [("eventTime", "timestamp"), ("creationTime", "timestamp")]
    checks.equal("columns of events", events.dtypes, shape)
    checks.equal("one task", events.rdd.getNumPartitions(), 1)
    sample = events.where("eventId NOT LIKE 'run-%' AND event NOT LIKE 'run-%'")
    checks.holds("many events", sample.count() >= 77206)
    special = sample.where("event = '$set' AND entityType = 'item'")
    checks.equal("no target", special.where("targetEntityType IS NULL AND targetEntityId IS NULL").count(), special.count())
    rope = events.where("eventId = 'sample-item-000'").collect()
    checks.equal("one rope", len(rope), 1)
    checks.equal("id", (rope[0].entityType, rope[0].entityId), ("item", "Stonebeck Climbing Rope 9.5 mm 60 m"))
    checks.equal("properties", json.loads(rope[0].properties)["price"], 127.9)
    millis = events.where("eventId = 'sample-item-000'").selectExpr("unix_millis(eventTime)").first()[0]
    with open(f"{WORK}/events.jsonl") as lines:
        line = next(line for line in lines if '"sample-item-000"' in line)
    checks.equal("time", millis, int(datetime.datetime.fromisoformat(json.loads(line)["eventTime"].replace("Z", "+00:00")).timestamp() * 1000))
    checks.equal("stops early", len(events.select("entityId").limit(3).collect()), 3)
    pairs = sample.where("event = 'purchase'").groupBy("entityId").count().count()
    checks.equal("buyers", pairs, 2480)


def check_write_events(spark):
    rows = [
        (f"{RUN}-1", RUN, "user", "ü1", "item", "i1", '{"a": [1, "ä"], "b": null}', datetime.datetime(2020, 1, 2, 3, 4, 5, 678000)),
        (f"{RUN}-2", RUN, "user", "u2", None, None, None, None),
        (None, RUN, "user", "u3", "item", "i3", "", datetime.datetime(1969, 12, 31, 23, 59, 59)),
    ]
    texts = ["eventId", "event", "entityType", "ENTITYID", "targetEntityType", "targetEntityId", "properties"]
    columns = ", ".join(f"{name} string" for name in texts)
    write(spark.createDataFrame(rows, f"{columns}, eventTime timestamp").repartition(3), "events")
    found = read(spark, "events", HOME, app="shop").where(f"event = '{RUN}'").orderBy("entityId").collect()
    checks.equal("written", [(row.entityId, row.targetEntityId) for row in found], [("u2", None), ("u3", "i3"), ("ü1", "i1")])
    checks.equal("properties", [json.loads(row.properties) for row in found], [{}, {}, {"a": [1, "ä"], "b": None}])
    checks.equal("times", [row.eventTime for row in found[1:]], [rows[2][7], rows[0][7]])
    checks.equal("no time: that of the write", found[0].eventTime, found[0].creationTime)
    checks.equal("ids", [row.eventId for row in found if row.entityId != "u3"], [f"{RUN}-2", f"{RUN}-1"])
    checks.equal("an id of its own", len(found[1].eventId), 32)
    columns = "eventId string, event string, entityType string, entityId long, eventTime string"
    write(spark.createDataFrame([(f"{RUN}-2", RUN, "user", 7, "2021-01-01T00:00:00+02:00")], columns), "events")
    found = read(spark, "events", HOME, app="shop").where(f"eventId = '{RUN}-2'").selectExpr("entityId", "unix_seconds(eventTime) AS s")
    checks.equal("replaced", [(row.entityId, row.s) for row in found.collect()], [("7", 1609452000)])
    copied = read(spark, "events", HOME, app="shop").where("event = 'purchase' AND eventId NOT LIKE 'run-%'")
    number = copied.count()
    write(copied.withColumn("event", F.lit(f"{RUN}-copy")).drop("eventId").repartition(4), "events")
    mine = read(spark, "events", HOME, app="shop").where(f"event = '{RUN}-copy'")
    checks.equal("a copy", mine.count(), number)
    order = ["entityId", "targetEntityId", "properties", "eventTime", "creationTime"]
    checks.equal("the same rows", mine.select(order).exceptAll(copied.select(order)).count(), 0)


def check_write_interactions(spark):
    pairs = spark.range(20000).selectExpr("concat('u', id % 700) AS user", "id % 90 AS item").repartition(5)
    write(pairs, "interactions", event=f"{RUN}-seen")
    found = read(spark, "events", HOME, app="shop").where(f"event = '{RUN}-seen'")
    checks.equal("interactions", found.count(), 20000)
    kinds = found.select("entityType", "targetEntityType", "properties").distinct().collect()
    checks.equal("kinds", [tuple(row) for row in kinds], [("user", "item", "{}")])
    mine = found.selectExpr("entityId AS user", "targetEntityId AS item")
    checks.equal("the same pairs", mine.exceptAll(pairs.selectExpr("user", "string(item) AS item")).count(), 0)
    timed = spark.createDataFrame([("u", "i", datetime.datetime(2001, 1, 1))], "user string, item string, eventTime timestamp")
    write(timed, "interactions", event=f"{RUN}-timed")
    found = read(spark, "events", HOME, app="shop").where(f"event = '{RUN}-timed'").collect()
    checks.equal("time", [row.eventTime for row in found], [datetime.datetime(2001, 1, 1)])
    write(timed.where("false"), "interactions", event=f"{RUN}-none")


def check_sql(spark):
    event = f"{RUN}-sql"
    options = f"path '{HOME}', app 'shop', event '{event}'"
    spark.sql(f"CREATE OR REPLACE TEMPORARY VIEW sink USING arblast OPTIONS (table 'interactions', {options})")
    spark.sql("INSERT INTO sink SELECT 'u1' AS user, explode(array('i1', 'i2')) AS item")
    spark.sql(f"CREATE OR REPLACE TEMPORARY VIEW events USING arblast OPTIONS (table 'events', {options})")
    spark.sql(f"INSERT INTO events SELECT '{event}' AS event, 'user' AS entityType, 'u2' AS entityId")
    found = spark.sql(f"SELECT entityId, targetEntityId AS item FROM events WHERE event = '{event}' ORDER BY 1, 2").collect()
    checks.equal("by INSERT", [tuple(row) for row in found], [("u1", "i1"), ("u1", "i2"), ("u2", None)])


def check_all_or_none(spark):
    """A task that fails, and is repeated, leaves nothing behind."""
    rows = spark.range(50000).selectExpr("concat('u', id) AS user", "if(id = 49999, NULL, 'i') AS item").repartition(4)
    event = f"{RUN}-broken"
    checks.fails("a null", lambda: write(rows, "interactions", event=event), "column item must not be null")
    checks.equal("nothing was stored", read(spark, "events", HOME, app="shop").where(f"event = '{event}'").count(), 0)


def check_read_errors(spark):
    checks.fails("no table", lambda: spark.read.format("arblast").load(MODEL), 'option("table", …)', "correlators, items or rankings")
    checks.fails("another table", lambda: read(spark, "users", MODEL), 'got "users"')
    checks.fails("no path", lambda: spark.read.format("arblast").option("table", "items").load(), "needs a path", "a model")
    checks.fails("no model", lambda: read(spark, "items", f"{WORK}/none"), f"there is no model {WORK}/none")
    checks.fails("no model in it", lambda: read(spark, "items", HOME), f"{HOME} holds no model", "ENGINE%40APP")
    checks.fails("no model file", lambda: read(spark, "items", f"{WORK}/engine.json").count(), "engine.json")
    checks.fails("no app", lambda: read(spark, "events", HOME), 'needs option("app", …)')
    checks.fails("another app", lambda: read(spark, "events", HOME, app="shoop"), 'app "shoop" does not exist', "shop")
    checks.fails("no home", lambda: read(spark, "events", MODEL, app="shop"), "is no home of Arblast on this machine", "embedded store")
    checks.fails("no local home", lambda: read(spark, "events", "hdfs://x/home", app="shop"), "is no folder of this machine")
    interactions = lambda: read(spark, "interactions", HOME, app="shop").count()
    checks.fails("interactions are written", interactions, "can only be written", "take table events")


def check_write_errors(spark):
    full = {"event": "'e'", "entityType": "'user'", "entityId": "'u'"}

    def refused(what, changes, *texts, table="events", **options):
        columns = {name: value for name, value in {**full, **changes}.items() if value}
        frame = spark.range(1).selectExpr(*(f"{value} AS {name}" for name, value in columns.items()))
        checks.fails(what, lambda: write(frame, table, **options), *texts)

    refused("a column less", {"event": None}, "also needs the columns event")
    refused("a column more", {"colour": "1"}, "has no column colour; it has creationTime, entityId")
    refused("a null", {"entityId": "string(NULL)"}, "column entityId must not be null")
    refused("a struct", {"properties": "named_struct('a', 1)"}, "must be a string of JSON: use to_json")
    refused("a double", {"entityId": "1.5D"}, "entityId is of type double", "use cast")
    refused("a date", {"eventTime": "current_date()"}, "eventTime is of type date", "a timestamp")
    refused("no JSON", {"properties": "'{'"}, "is no event: properties")
    refused("no time", {"eventTime": "'soon'"}, "eventTime must be a time such as", "soon")
    refused("a reserved name", {"event": "'$see'"}, "$see is not a supported reserved event name")
    refused("half a target", {"targetEntityType": "'item'"}, "must both be there or neither")
    refused("no name of the event", {}, 'interactions needs option("event", …)', table="interactions")
    refused("columns of another table", {}, "has no column event; it has eventTime, item, user", table="interactions", event="e")
    refused("no home", {}, "is no home of Arblast on this machine", "the driver", path=f"{WORK}/none")
    refused("another app", {}, 'app "x" does not exist', app="x")
    refused("a model is not written", {}, "can only be read", table="items", path=MODEL)
    frame = spark.range(1).write.format("arblast").option("table", "events").option("app", "shop")
    checks.fails("no mode", lambda: frame.save(HOME), "Append")
    checks.fails("overwrite", lambda: frame.mode("overwrite").save(HOME), "truncate")


def main():
    spark = SparkSession.builder.getOrCreate()
    check_model(spark)
    check_elsewhere(spark)
    check_events(spark)
    check_write_events(spark)
    check_write_interactions(spark)
    check_sql(spark)
    check_all_or_none(spark)
    check_read_errors(spark)
    check_write_errors(spark)
    spark.stop()
    print(f"source.py: all as expected, Spark {spark.version}")


main()
