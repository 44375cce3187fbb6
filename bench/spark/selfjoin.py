#!/usr/bin/env python3
"""What a user writes without Mahout: Spark SQL's self-join for correlators by LLR, K = 50, cap 500, CSV to CSV, local[2].

target/spark/3.5.9/bin/python bench/spark/selfjoin.py XS|S|M | PRIMARY.csv OTHER.csv      (needs JAVA_HOME; XMX: the heap, 6g; ITEM_CAP: 500)

Prints wall and CPU seconds and the peak memory of this process and its JVM as a JSON line; compute_write_s is without reading and
capping, which are cached first.  Result: target/spark/selfjoin/{0,1}.
"""
import json
import os
import resource
import sys
import time
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as f

K, CAP = 50, 500
ITEM_CAP = int(os.environ.get("ITEM_CAP", CAP))
START = time.monotonic()
TARGET = Path(__file__).resolve().parents[2] / "target"
OUTPUT = TARGET / "spark/selfjoin"


def paths(size):
    folders = [TARGET / "bench-data" / size, TARGET / "spark/mahout/data" / size]  # bench/run's, bench/spark/mahout's
    folder = next(folder for folder in folders if (folder / "meta.json").exists())
    return [str(folder / name) for name in ("purchase.csv", "view.csv")]


def interactions(path):
    """Distinct pairs, thinned as Mahout means it (it drops users over CAP): CAP of a user, ITEM_CAP of an item are left on average."""
    def size(column):
        return f.count("*").over(Window.partitionBy(column))

    pairs = spark.read.csv(path, schema="user string, item string").distinct()
    share = f.least(f.lit(1.0), CAP / size("user"), ITEM_CAP / size("item"))
    return pairs.withColumn("share", share).where(f.rand(1) < f.col("share")).drop("share")


def x_log_x(x):
    return f"(case when {x} > 0 then ({x}) * ln({x}) else 0 end)"


def llr(n, a, b, both):
    """Dunning's G² of a 2 × 2 table as an SQL expression, in Mahout's form: never below 0."""
    cells = [both, f"{a} - {both}", f"{b} - {both}", f"{n} - {a} - {b} + {both}"]

    def minus(terms):
        return f"{x_log_x(n)} - " + " - ".join(map(x_log_x, terms))

    rows, columns = minus([a, f"{n} - {a}"]), minus([b, f"{n} - {b}"])
    return f"greatest(0.0, 2 * (({rows}) + ({columns}) - ({minus(cells)})))"


def correlators(primary: DataFrame, other: DataFrame, users: int, same: bool) -> DataFrame:
    a = primary.select("user", f.col("item").alias("a"))
    b = other.select("user", f.col("item").alias("b"))
    pairs = a.join(b, "user")
    if same:
        pairs = pairs.where("a <> b")
    scored = (pairs.groupBy("a", "b").agg(f.count("*").alias("n_ab"))
              .join(a.groupBy("a").agg(f.count("*").alias("n_a")), "a")
              .join(b.groupBy("b").agg(f.count("*").alias("n_b")), "b")
              .withColumn("llr", f.expr(llr(users, "n_a", "n_b", "n_ab"))))
    best = Window.partitionBy("a").orderBy(f.desc("llr"), "b")
    return scored.withColumn("place", f.row_number().over(best)).where(f.col("place") <= K).select("a", "b", "llr")


spark = (SparkSession.builder.master("local[2]").appName("selfjoin")
         .config("spark.driver.memory", os.environ.get("XMX", "6g")).config("spark.driver.bindAddress", "127.0.0.1")
         .config("spark.driver.host", "127.0.0.1").config("spark.ui.enabled", "false")
         .config("spark.sql.shuffle.partitions", 16).config("spark.ui.showConsoleProgress", "false")
         .config("spark.local.dir", str(TARGET / "spark/selfjoin.local")).getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
first, second = paths(sys.argv[1]) if len(sys.argv) == 2 else sys.argv[1:3]
begun = time.monotonic()
a = interactions(first).cache()
users = a.select("user").distinct()
n = users.count()
b = interactions(second).join(users, "user", "left_semi").cache()  # only users of the primary file
b.count()
read = time.monotonic()
for number, (other, same) in enumerate([(a, True), (b, False)]):
    correlators(a, other, n, same).write.mode("overwrite").csv(str(OUTPUT / str(number)))
done = time.monotonic()
jvm = spark.sparkContext._gateway.proc
spark.stop()
status = Path(f"/proc/{jvm.pid}/status").read_text()
java_peak = int(status.split("VmHWM:")[1].split()[0])
jvm.stdin.close()  # tells the JVM to end
jvm.wait()
cpu = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
peak = java_peak + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"bench": "spark-selfjoin", "wall_s": round(time.monotonic() - START, 2), "cpu_s": round(cpu, 2),
                  "peak_mib": peak // 1024, "read_s": round(read - begun, 3), "compute_write_s": round(done - read, 3)}))
