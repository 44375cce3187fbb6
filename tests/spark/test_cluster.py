"""A train on a real standalone cluster makes the very model of `arblast train`."""

import json

import pytest

from conftest import JAR, NOW, ON_ONE_CLUSTER, OPENS, TRAIN, digest_of

SMALL = ["--executor-memory", "700m", "--driver-memory", "700m", "--executor-cores", "1"]


def source(data, models, *more):
    return ["--engine", data.engine, "--events", data.events, "--models", models, *more]


def test_every_version_makes_the_same_model(spark, shop, tmp_path):
    told = spark.train("local[2]", *source(shop, tmp_path / "models", "--count", "executors"))
    assert told["digest"] == shop.digest


@pytest.mark.parametrize("where", ["driver", "executors", "parts"])
def test_client_mode(cluster, shop, tmp_path, where):
    told = cluster.spark.train(cluster.master, *source(shop, tmp_path / "models", "--count", where), submit=SMALL)
    assert told["digest"] == shop.digest
    assert told["generation"] == 1 and told["report"]["items"] == 400


def in_cluster_mode(cluster, data, folder, *more):
    """The digest of a model that a driver on a worker trained."""
    words = ["--deploy-mode", "cluster", *SMALL, "--total-executor-cores", "1", "--conf", "spark.standalone.submit.waitAppCompletion=true"]
    if cluster.spark.version.startswith("3."):
        words += ["--conf", f"spark.driver.extraJavaOptions={OPENS}"]
    result = folder / "result.json"
    cluster.spark.submit("--master", cluster.master, *words, *TRAIN, "--now", NOW, *source(data, folder / "models", "--result", result, *more))
    return json.loads(result.read_text())["digest"]


def test_cluster_mode(cluster, shop, tmp_path):
    assert in_cluster_mode(cluster, shop, tmp_path, "--count", "executors") == shop.digest


@ON_ONE_CLUSTER
def test_the_handmade_case_in_both_modes(cluster, handmade, tmp_path):
    told = cluster.spark.train(cluster.master, *source(handmade, tmp_path / "models"), submit=SMALL)
    assert told["digest"] == handmade.digest
    assert in_cluster_mode(cluster, handmade, tmp_path, "--force") == handmade.digest


def test_arblast_train_on_a_cluster(cluster, shop, tmp_path):
    before = shop.arblast("models").stdout
    done = shop.arblast(
        "train", "--now", NOW, "--", "--master", cluster.master, *SMALL, SPARK_HOME=str(cluster.spark.home), ARBLAST_SPARK_JAR=str(JAR),
        **{name: value for name, value in cluster.spark.environment().items() if name in ("JAVA_HOME", "SPARK_LOCAL_IP", "PYSPARK_PYTHON")},
    )
    assert digest_of(done.stdout) == shop.digest, done.stdout
    assert "9,390" in done.stdout, "the report is shown as for a train here"
    assert len(shop.arblast("models").stdout) > len(before)
