"""The library for existing jobs, from Python, Scala and Java."""

import json
import subprocess
import zipfile

import pytest

from conftest import ARBLAST, CLUSTERS, JAR, ON_ONE_CLUSTER, ROOT, VERSIONS, Spark

GOLDEN = ROOT / "native/cco/tests/data"
SCRIPTS = ROOT / "tests/spark/scripts"


@pytest.mark.parametrize("spark", [version for version in VERSIONS if version not in CLUSTERS], indirect=True)
def test_python(spark):
    done = spark.submit("--master", "local[2]", "--jars", JAR, "--py-files", JAR, SCRIPTS / "library.py", GOLDEN)
    assert "compared 37315" in done.stdout, done.stdout


def test_the_jar_has_the_module_of_the_package():
    with zipfile.ZipFile(JAR) as jar:
        assert jar.read("arblast_spark.py") == (ROOT / "python/arblast/spark.py").read_bytes()


def test_python_on_a_cluster(cluster):
    small = ["--executor-memory", "700m", "--driver-memory", "700m"]
    done = cluster.spark.submit("--master", cluster.master, *small, "--jars", JAR, "--py-files", JAR, SCRIPTS / "library.py", GOLDEN)
    assert "compared 37315" in done.stdout, done.stdout


@pytest.mark.parametrize("version", CLUSTERS)
def test_scala(version, tmp_path):
    spark = Spark(version)
    options = f"-Dgolden={GOLDEN} -Dout={tmp_path}/out"
    done = spark.shell("--master", "local[2]", "--jars", JAR, "--driver-java-options", options, "-i", SCRIPTS / "library.scala")
    assert "scala agrees" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]


def test_item_similarity_writes_what_the_program_writes(usual, tmp_path):
    files = [f"--indicator={name}={GOLDEN}/{name}.csv" for name in ("purchase", "view")]
    options = [*files, "--max-prefs", "20", "--seed", "0", "--max-correlators", "10"]
    usual.submit("--master", "local[2]", "--class", "dev.arblast.spark.ItemSimilarity", JAR, *options, "--output", tmp_path / "out")
    subprocess.run([ARBLAST, "itemsimilarity", *options, "--output", tmp_path / "expected"], check=True, capture_output=True)
    found = b"".join(part.read_bytes() for part in sorted((tmp_path / "out").glob("part-*")))
    assert found == (tmp_path / "expected").read_bytes() and found
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("u1,i1\nu2;i2\n")
    done = usual.submit(
        "--master", "local[2]", "--class", "dev.arblast.spark.ItemSimilarity", JAR, f"--indicator=a={wrong}", "--output", tmp_path / "no", check=False
    )
    assert done.returncode == 1 and "[ERROR] not user,item (comma or tab, no quoting): there is no separator, in: u2;i2" in done.stderr


@ON_ONE_CLUSTER
def test_batch_recommendations_are_those_of_the_program(cluster, shop, tmp_path):
    items = sorted({json.loads(line)["entityId"] for line in shop.events.read_text().splitlines()[:300] if '"$set"' in line})
    queries = tmp_path / "queries.json"
    queries.write_text("".join(json.dumps(query) + "\n" for item in items for query in ({"item": item, "num": 4}, {"itemSet": [item, items[0]]})))
    shop.arblast("batchpredict", "--input", queries, "--output", tmp_path / "predicted")
    words = [shop.home / "models/shop%40shop", shop.engine, tmp_path / "predicted"]
    small = ["--executor-memory", "700m", "--driver-memory", "700m"]
    done = cluster.spark.submit("--master", cluster.master, *small, "--jars", JAR, "--py-files", JAR, SCRIPTS / "batch.py", *words)
    assert "answers agree" in done.stdout, done.stdout
