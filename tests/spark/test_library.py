"""The library for existing jobs, from Python, Scala and Java."""

import pytest

from conftest import CLUSTERS, JAR, ROOT, Spark

GOLDEN = ROOT / "native/cco/tests/data"
SCRIPTS = ROOT / "tests/spark/scripts"


def test_python(spark):
    done = spark.submit("--master", "local[2]", "--jars", JAR, "--py-files", JAR, SCRIPTS / "library.py", GOLDEN)
    assert "compared 37315" in done.stdout, done.stdout


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
