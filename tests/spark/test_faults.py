"""Executors that die, tasks that run twice: the same model."""

import os
import re
import signal
import subprocess
import time

import pytest

from conftest import NOW, OPENS, ROOT, TRAIN, Cluster, Data

ENGINE = """{"id":"many","engineFactory":"com.actionml.RecommendationEngine","datasource":{"params":{"appName":"many"}},
 "algorithms":[{"name":"ur","params":{"appName":"many","indexName":"many","indicators":[{"name":"purchase"},{"name":"view"}]}}]}"""


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Of the data of bench/gen.py S: 300 k views, 30 k purchases, as events."""
    folder = ROOT / "target/bench-data/S"
    if not (folder / "meta.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([os.sys.executable, ROOT / "bench/gen.py", "S", folder], check=True, capture_output=True)
    data = Data(tmp_path_factory.mktemp("many"))
    data.engine.write_text(ENGINE)
    with data.events.open("w") as out:
        for name, count in (("purchase", 30_000), ("view", 300_000)):
            subprocess.run([os.sys.executable, ROOT / "bench/events.py", folder / f"{name}.csv", str(count), name], stdout=out, check=True)
    return data.trained("many")


@pytest.fixture(scope="module")
def workers(usual, tmp_path_factory):
    cluster = Cluster(usual, tmp_path_factory.mktemp("faults") / "cluster")
    yield cluster
    cluster.stop()


def words(data, models, *more):
    return ["--engine", data.engine, "--events", data.events, "--models", models, *more]


# Many small tasks.
SUBMIT = ["--executor-memory", "900m", "--executor-cores", "1", "--driver-memory", "1g", "--conf", "spark.hadoop.mapreduce.input.fileinputformat.split.maxsize=4194304"]


def test_many_interactions(workers, many, tmp_path):
    places = ["driver", "executors", "parts"]
    jobs = [words(many, tmp_path / where, "--count", where) for where in places]
    for job in workers.spark.jobs(workers.master, tmp_path, *jobs, submit=SUBMIT):
        assert job.digest() == many.digest


def test_many_interactions_in_cluster_mode(workers, many, tmp_path):
    submit = [*SUBMIT[:6], "--total-executor-cores", "1", "--deploy-mode", "cluster", "--conf", "spark.standalone.submit.waitAppCompletion=true",
              "--conf", f"spark.driver.extraJavaOptions={OPENS}"]
    result = tmp_path / "result.json"
    workers.spark.submit("--master", workers.master, *submit, *TRAIN, "--now", NOW, *words(many, tmp_path / "m", "--result", result))
    assert f'"digest":"{many.digest}"' in result.read_text()


def test_speculation_and_retries_change_nothing(workers, many, tmp_path):
    eager = ["spark.speculation=true", "spark.speculation.quantile=0.1", "spark.speculation.multiplier=1.0001",
             "spark.speculation.minTaskRuntime=1ms", "spark.speculation.interval=10ms"]
    submit = SUBMIT + [word for setting in eager for word in ("--conf", setting)]
    done = workers.spark.submit("--master", workers.master, *submit, *TRAIN, "--now", NOW, *words(many, tmp_path / "m", "--count", "executors"))
    assert f'"digest":"{many.digest}"' in done.stdout
    assert "speculat" in done.stderr.lower(), "no task ran twice"


@pytest.mark.parametrize("moment", ["Starting task 0.0 in stage 0.0", "by item ranges on the executors"])
def test_an_executor_is_killed_in_mid_stage(workers, many, tmp_path, moment):
    log = tmp_path / "log"
    with log.open("w") as err:
        job = subprocess.Popen(
            [workers.spark.home / "bin/spark-submit", "--master", workers.master, *SUBMIT, *map(str, TRAIN), "--now", NOW,
             *map(str, words(many, tmp_path / "m", "--count", "executors"))],
            env=workers.spark.environment(), stdout=subprocess.PIPE, stderr=err, text=True,
        )
        deadline = time.monotonic() + 120
        while moment not in log.read_text():
            assert time.monotonic() < deadline and job.poll() is None, log.read_text()[-3000:]
            time.sleep(0.02)
        # It takes part in the stage, and can finish nothing of it: however quick the others are, its death matters.
        victim = executors(workers)[0]
        os.kill(victim, signal.SIGSTOP)
        time.sleep(1)
        os.kill(victim, signal.SIGKILL)
        out, _ = job.communicate(timeout=240)
    assert job.returncode == 0, log.read_text()[-5000:]
    assert re.search(r"Lost executor \d+", log.read_text()), "the kill came too late to matter"
    assert f'"digest":"{many.digest}"' in out


def executors(cluster):
    """Processes of executors of this cluster: they run in folders of its workers."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = open(f"/proc/{process}/cmdline", "rb").read()
            if b"CoarseGrainedExecutorBackend" in command and os.readlink(f"/proc/{process}/cwd").startswith(str(cluster.folder)):
                found.append(int(process))
        except OSError:
            pass  # it ended meanwhile
    assert found, "no executor runs"
    return found
