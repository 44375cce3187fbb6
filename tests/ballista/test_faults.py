"""What breaks: the same model, or a clear failure with its exit code; never another model."""

import json
import os
import signal
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from conftest import Cluster, digest_of, free_port


class Train:
    """A train under way."""

    def __init__(self, data, cluster, models, *more):
        self.scratch = models.parent / "scratch"
        words = data.words(cluster, models, "--scratch", self.scratch, *more)
        self.process = subprocess.Popen(**data.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def files(self, kind):
        return [file for file in self.scratch.glob(f"job-*/{kind}-*") if "#" not in file.name]

    def wait_for(self, kind):
        """Until the first file of a kind is there."""
        deadline = time.monotonic() + 120
        while not self.files(kind):
            assert time.monotonic() < deadline and self.process.poll() is None, self.process.communicate()
            time.sleep(0.005)

    def end(self):
        out, err = self.process.communicate(timeout=300)
        return self.process.returncode, out, err


@pytest.mark.parametrize("kind", ["portion", "block"])
def test_an_executor_is_killed_in_mid_job(fragile, million, tmp_path, kind):
    train = Train(million, fragile, tmp_path / "m", "--count", "executors")
    train.wait_for(kind)
    fragile.executors[0].kill()
    status, out, err = train.end()
    assert status == 0, out + err
    assert digest_of(out) == million.digest


def test_all_executors_are_killed_and_one_comes(fragile, million, tmp_path):
    train = Train(million, fragile, tmp_path / "m", "--count", "executors")
    train.wait_for("portion")
    for executor in fragile.executors:
        executor.kill()
    fragile.executors.clear()
    fragile.add()
    status, out, err = train.end()
    assert status == 0 and digest_of(out) == million.digest, out + err


def test_all_executors_are_gone(fragile, million, tmp_path):
    train = Train(million, fragile, tmp_path / "m", "--count", "executors")
    train.wait_for("portion")
    for executor in fragile.executors:
        executor.kill()
    status, out, err = train.end()
    assert status == 75 and "no executor" in err, out + err
    assert not (tmp_path / "m").exists() or not list((tmp_path / "m").glob("*/CURRENT"))
    assert not train.files("portion"), "the folder of the job stays"


def test_the_scheduler_is_gone(fragile, million, tmp_path):
    train = Train(million, fragile, tmp_path / "m", "--count", "executors")
    train.wait_for("portion")
    fragile.scheduler.kill()
    status, out, err = train.end()
    assert status == 75 and "the scheduler at" in err, out + err
    assert not list(tmp_path.glob("m/*/CURRENT"))


def test_the_scheduler_comes_back(fragile, million, tmp_path):
    train = Train(million, fragile, tmp_path / "m", "--count", "executors")
    train.wait_for("portion")
    fragile.scheduler.kill()
    time.sleep(2)
    fragile.begin(fragile.address.rsplit(":", 1)[1])
    status, out, err = train.end()
    assert status == 0 and digest_of(out) == million.digest, out + err


def test_executors_that_do_not_see_the_scratch_folder(cluster, shop, tmp_path):
    # another folder for each process
    done = shop.train(cluster, tmp_path / "m", "--scratch", "/proc/self/cwd/own-scratch", check=False)
    assert done.returncode == 75 and "this executor does not see the --scratch folder" in done.stderr, done.stderr
    assert not list((shop.folder / "own-scratch").glob("job-*")), "the folder of the job stays"


def test_interrupted(cluster, million, tmp_path):
    train = Train(million, cluster, tmp_path / "m", "--count", "executors")
    train.wait_for("portion")
    train.process.send_signal(signal.SIGINT)
    status, out, err = train.end()
    assert status == 75 and "stopped before the model was complete" in err, out + err
    assert not list(tmp_path.glob("m/*/CURRENT"))
    deadline = time.monotonic() + 30
    while any(job["job_status"] == "Running" for job in cluster.get("/api/jobs")):
        assert time.monotonic() < deadline, cluster.get("/api/jobs")
        time.sleep(0.1)
    # executors end the tasks they have, and clear away what they wrote
    while list(train.scratch.glob("job-*")):
        assert time.monotonic() < deadline, list(train.scratch.rglob("*"))
        time.sleep(0.1)


def test_nobody_listens(shop, tmp_path):
    port = free_port()
    done = shop.train(f"127.0.0.1:{port}", tmp_path / "m", check=False)
    assert done.returncode == 75 and f"cannot reach the scheduler at 127.0.0.1:{port}" in done.stderr, done.stderr
    done = shop.arblast("flight", "executor", "--scheduler", f"127.0.0.1:{port}", check=False)
    assert done.returncode == 75 and "cannot reach the scheduler" in done.stderr, done.stderr
    done = shop.train("nonsense", tmp_path / "m", check=False)
    assert done.returncode != 0 and "nonsense" in done.stderr, done.stderr


def test_no_executor(shop, tmp_path):
    lonely = Cluster(tmp_path / "lonely", executors=0)
    try:
        done = shop.train(lonely, tmp_path / "m", check=False)
        assert done.returncode == 75 and "no executor" in done.stderr, done.stderr
    finally:
        lonely.stop()


def test_a_missing_file(cluster, shop, tmp_path):
    done = shop.train(cluster, tmp_path / "m", events=tmp_path / "none.jsonl", check=False)
    assert done.returncode == 1 and "nothing is there" in done.stderr, done.stderr


def test_a_bad_line(cluster, shop, tmp_path):
    text = shop.events.read_text()
    (tmp_path / "events.jsonl").write_text(text + '{"event":"buy","entityType":"user"}\n')
    done = shop.train(cluster, tmp_path / "m", events=tmp_path / "events.jsonl", check=False)
    assert done.returncode == 1, done.stderr
    assert "events.jsonl" in done.stderr and f"the line at byte {len(text.encode())}" in done.stderr and "entityId" in done.stderr, done.stderr
    done = shop.train(cluster, tmp_path / "m", "--skip-bad-lines", events=tmp_path / "events.jsonl")
    assert digest_of(done.stdout) == shop.digest and "skipped 1 line" in done.stdout


def test_another_build_is_refused(cluster, shop, tmp_path):
    identity = cluster.get("/arblast")["identity"]

    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"identity": {**identity, "build": "of-yesterday"}, "executors": []}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    other = HTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{other.server_port}"
    for done in (
        shop.train(address, tmp_path / "m", check=False),
        shop.arblast("flight", "executor", "--scheduler", address, check=False),
    ):
        assert done.returncode == 78, done.stderr
        assert "of-yesterday" in done.stderr and identity["build"] in done.stderr, done.stderr
    other.shutdown()


def test_a_scheduler_refuses_another_build(cluster):
    call = ["curl", "--silent", "--http2-prior-knowledge", "--include", "-X", "POST", "-H", "content-type: application/grpc"]
    url = f"http://{cluster.address}/ballista.protobuf.SchedulerGrpc/PollWork"
    answer = subprocess.run([*call, "-A", "arblast/0.0.1 build/old protocol/1", url], capture_output=True, text=True, check=True).stdout
    assert "grpc-status: 9" in answer and "build%20old" in answer, answer
    answer = subprocess.run([*call, url], capture_output=True, text=True, check=True).stdout
    assert "grpc-status: 9" in answer and "no%20arblast" in answer, answer


def test_probes(cluster):
    for path in ("/healthz", "/readyz"):
        subprocess.run(["curl", "--silent", "--fail", f"http://{cluster.address}{path}"], check=True, capture_output=True)
    assert os.path.isdir(cluster.folder)
