"""The examples of docs/spark.md work as they stand."""

import os
import re
import shutil
import subprocess

import pytest

from conftest import ARBLAST, JAR, ON_ONE_CLUSTER, ROOT, digest_of

PAGE = (ROOT / "docs/spark.md").read_text()
BLOCKS = re.findall(r"<!-- run: (\w+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)


def blocks(kind):
    found = [text for name, text in BLOCKS if name == kind]
    assert found, f"no example to run as {kind}"
    return found


@pytest.fixture
def folder(shop, tmp_path):
    """A copy of the shop, with its store, where examples may write."""
    for name in ("engine.json", "events.jsonl"):
        shutil.copy(shop.folder / name, tmp_path)
    shutil.copytree(shop.home, tmp_path / "home")
    return tmp_path


def run(words, folder, spark, **more):
    path = f"{os.path.dirname(ARBLAST)}:{os.environ['PATH']}"
    environment = spark.environment(PATH=path, JAR=str(JAR), ARBLAST_SPARK_JAR=str(JAR), ARBLAST_HOME=str(folder / "home"), **more)
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@ON_ONE_CLUSTER
def test_an_existing_cluster(cluster, shop, folder):
    submit, train = blocks("cluster")
    assert '"generation":1' in run(["bash", "-euc", submit], folder, cluster.spark, MASTER=cluster.master)
    assert digest_of(run(["bash", "-euc", train], folder, cluster.spark, MASTER=cluster.master))


def test_a_cluster_for_the_time_of_the_train(usual, folder):
    (text,) = blocks("alone")
    assert digest_of(run(["bash", "-euc", text], folder, usual))
    left = subprocess.run(["pgrep", "-f", "spark.deploy.worker.Worker --host 127.0.0.1 -c 2 -m 2g -d work"], capture_output=True, text=True)
    assert not left.stdout, "the cluster is still there"


def test_short_jobs(usual, folder):
    (text,) = blocks("short")
    assert '"generation":2' in run(["bash", "-euc", text], folder, usual)
    assert (folder / "spark.jsa").exists()


def test_a_notebook(usual, folder):
    (text,) = blocks("notebook")
    (folder / "notebook.py").write_text(text.replace('"arblast-spark.jar"', f'"{JAR}"'))
    assert "| purchase|" in run([usual.venv / "bin/python", "notebook.py"], folder, usual)
