"""A train on a real standalone cluster makes the very model of `arblast train`."""

import json
import os
import time
from pathlib import Path

import pytest

from conftest import CLUSTERS, JAR, NOW, ON_ONE_CLUSTER, OPENS, TRAIN, VERSIONS, digest_of

SMALL = ["--executor-memory", "700m", "--driver-memory", "700m", "--executor-cores", "1"]


def source(data, models, *more):
    return ["--engine", data.engine, "--events", data.events, "--models", models, *more]


@pytest.mark.parametrize("spark", [version for version in VERSIONS if version not in CLUSTERS], indirect=True)
def test_every_version_makes_the_same_model(spark, shop, tmp_path):
    told = spark.train("local[2]", *source(shop, tmp_path / "models", "--count", "executors"))
    assert told["digest"] == shop.digest


def test_client_mode(cluster, shop, tmp_path):
    places = ["driver", "executors", "parts"]
    jobs = [source(shop, tmp_path / where, "--count", where) for where in places]
    for job in cluster.spark.jobs(cluster.master, tmp_path, *jobs, submit=SMALL):
        assert job.digest() == shop.digest
        assert job.told["generation"] == 1 and job.told["report"]["items"] == 400


def in_cluster_mode(cluster, data, folder, *more, models=None, **environment):
    """What a driver on a worker told of the model that it trained."""
    words = ["--deploy-mode", "cluster", *SMALL, "--total-executor-cores", "1", "--conf", "spark.standalone.submit.waitAppCompletion=true"]
    if cluster.spark.version.startswith("3."):
        words += ["--conf", f"spark.driver.extraJavaOptions={OPENS}"]
    result = folder / "result.json"
    words += [*TRAIN, "--now", NOW, *source(data, models or folder / "models", "--result", result, *more)]
    cluster.spark.submit("--master", cluster.master, *words, **environment)
    return json.loads(result.read_text())


def test_cluster_mode(cluster, shop, tmp_path):
    assert in_cluster_mode(cluster, shop, tmp_path, "--count", "executors")["digest"] == shop.digest


@ON_ONE_CLUSTER
def test_the_handmade_case_in_both_modes(cluster, handmade, tmp_path):
    told = cluster.spark.train(cluster.master, *source(handmade, tmp_path / "models"), submit=SMALL)
    assert told["digest"] == handmade.digest
    assert in_cluster_mode(cluster, handmade, tmp_path, "--force")["digest"] == handmade.digest


def current(data):
    """The generation that serves."""
    return int((data.home / "models/shop%40shop/CURRENT").read_text())


def road(cluster, **more):
    """The environment of an `arblast` that finds this Spark."""
    return cluster.spark.environment(ARBLAST_SPARK_JAR=str(JAR), **more)


def on_cluster(cluster, data, **more):
    """Runs `arblast train` there."""
    return data.arblast("train", "--now", NOW, "--", "--master", cluster.master, *SMALL, **road(cluster, **more))


def test_arblast_train_on_a_cluster(cluster, shop):
    before = current(shop)
    done = on_cluster(cluster, shop)
    assert digest_of(done.stdout) == shop.digest, done.stdout
    assert "9,390" in done.stdout, "the report is shown as for a train here"
    assert current(shop) == before + 1


@ON_ONE_CLUSTER
def test_a_train_that_is_killed_takes_its_job_along(cluster, shop, tmp_path):
    train = shop.start("train", "--now", NOW, "--", "--master", cluster.master, *SMALL, **road(cluster))
    wait_for(lambda: cluster.state()["activeapps"], "the job runs")
    (driver,) = children(train.pid)
    left = list((shop.home / "models").glob("*/spark-*"))
    assert left
    train.kill()
    train.wait()
    wait_for(lambda: state_and_parent(driver)[0] in "Z-", "the driver has ended")
    wait_for(lambda: not cluster.state()["activeapps"], "the cluster is free")
    # The next one clears up.
    on_cluster(cluster, shop)
    assert not any(folder.exists() for folder in left)


def wait_for(what, name):
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, name
        time.sleep(0.05)


def children(process):
    return [int(child) for child in os.listdir("/proc") if child.isdigit() and state_and_parent(child)[1] == str(process)]


def state_and_parent(process):
    """As /proc says; `-` if there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return "-", None
