"""SQL functions and the data source, and both through Spark Connect. What is checked stands in the scripts."""

import os
import shutil
import subprocess

import pytest

from conftest import JAR, ROOT, Spark, free_port

SCRIPTS = ROOT / "tests/spark/scripts"
CONNECT = "4.1.4"


@pytest.fixture
def work(shop, tmp_path):
    """A model, its engine file and events, and a home that scripts may write to."""
    shutil.copytree(shop.home / "models/shop%40shop", tmp_path / "model")
    shutil.copy(shop.engine, tmp_path)
    (tmp_path / "events.jsonl").symlink_to(shop.events)
    shutil.copytree(shop.home, tmp_path / "home")
    return tmp_path


@pytest.mark.parametrize("script", ["sql.py", "source.py"])
def test_script(usual, work, script):
    usual.submit("--master", "local[2]", "--jars", JAR, "--py-files", SCRIPTS / "checks.py", SCRIPTS / script, work)


def test_spark_connect(work):
    spark = Spark(CONNECT)
    words = [SCRIPTS / "connect-server", JAR, free_port(), spark.venv / "bin/python", SCRIPTS / "connect.py", work]
    words.append(f"sc://127.0.0.1:{words[2]}")
    environment = spark.environment(CONNECT_LOG=str(work / "log"), ARBLAST_HOME=str(work / "home"), SPARK_DAEMON_MEMORY="1g")
    done = subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True, timeout=300)
    log = (work / "log").read_text()[-3000:] if os.path.exists(work / "log") else ""
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:] + log
