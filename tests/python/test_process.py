"""The interpreter around it: other threads, signals, forks, memory."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import arblast
import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from conftest import NOW, interactions


@pytest.fixture(scope="module")
def large():
    """A second of work."""
    chance = np.random.default_rng(1)
    return sparse.csr_matrix((np.ones(8_000_000), (chance.integers(0, 40_000, 8_000_000), chance.integers(0, 4_000, 8_000_000))))


@pytest.fixture(scope="module")
def model(shop):
    return arblast.train(shop.folder / "events.jsonl", engine=shop.folder, now=NOW)


def test_other_threads_run_meanwhile(large):
    ticks, done = 0, threading.Event()

    def tick():
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    begun = time.monotonic()
    arblast.cross_occurrence(large, threads=1, cap=None)
    seconds = time.monotonic() - begun
    done.set()
    thread.join()
    assert seconds > 0.3, "too little work to tell"
    assert ticks > seconds * 10, f"{ticks} ticks in {seconds:.1f} s: the GIL was held"


def test_many_threads_at_once(model, pairs):
    expected = [model.recommend(user, 5) for user in ("maya", "nobody")], len(arblast.cross_occurrence(pairs["purchase"]))
    found, errors = [], []

    def work():
        try:
            for _ in range(20):
                found.append(([model.recommend(user, 5) for user in ("maya", "nobody")], len(arblast.cross_occurrence(pairs["purchase"]))))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not errors and len(found) == 160 and all(one == expected for one in found)


INTERRUPTED = """
import os, signal, sys, threading, time
import arblast, numpy as np
from scipy import sparse
chance = np.random.default_rng(1)
large = sparse.csr_matrix((np.ones(12_000_000), (chance.integers(0, 50_000, 12_000_000), chance.integers(0, 6_000, 12_000_000))))
tables = {"user": [str(n % 5000) for n in range(1_000_000)], "item": [str(n * 7919 % 30_011) for n in range(1_000_000)]}
calls = {
    "matrices": lambda: [arblast.cross_occurrence(large, cap=None, threads=1) for _ in range(100)],
    "tables": lambda: [arblast.cross_occurrence(arblast.Table.from_columns(tables), cap=None) for _ in range(100)],
    "train": lambda: [arblast.train({"buy": arblast.Table.from_columns(tables)}) for _ in range(100)],
}
threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
begun = time.monotonic()
try:
    calls[sys.argv[1]]()
except KeyboardInterrupt:
    print("interrupted after", time.monotonic() - begun)
    arblast.cross_occurrence({"user": ["a"], "item": ["x"]})
    print("and goes on")
"""


@pytest.mark.parametrize("call", ["matrices", "tables", "train"])
def test_ctrl_c(call):
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, call], capture_output=True, text=True, timeout=100)
    assert "interrupted after" in done.stdout and "and goes on" in done.stdout, done.stdout + done.stderr
    assert float(done.stdout.split()[2]) < 15


def test_a_handler_that_does_not_raise_does_not_end_it(large):
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    try:
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
        assert arblast.cross_occurrence(large, threads=1, cap=None).nnz > 0
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen


def in_fork(work, timeout=60):
    """What `work` gives in a fork of this process, or how it failed."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def run():
        try:
            queue.put(("gave", work()))
        except BaseException as error:
            queue.put((type(error).__name__, str(error)))

    process = context.Process(target=run)
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        raise AssertionError("the fork hangs")
    return queue.get()


def test_a_fork_uses_what_was_made_before(model, pairs):
    expected = model.recommend("maya", 5)
    assert in_fork(lambda: model.recommend("maya", 5)) == ("gave", expected)
    count = len(arblast.cross_occurrence(pairs["purchase"], threads=2))
    assert in_fork(lambda: len(arblast.cross_occurrence(pairs["purchase"], threads=2))) == ("gave", count)
    assert in_fork(lambda: in_fork(lambda: model.recommend("maya", 5))) == ("gave", ("gave", expected)), "a fork of a fork"


def test_a_fork_does_not_use_an_open_store(shop):
    opened = arblast.Model.open(shop.folder, home=shop.home)
    assert opened.recommend("maya", 3)
    kind, text = in_fork(lambda: opened.recommend("maya", 3))
    assert kind == "RuntimeError" and "forked" in text and "open the model again" in text
    assert opened.recommend("maya", 3), "the parent goes on"


def test_a_fork_in_the_middle_of_a_call_says_so(large, pairs):
    thread = threading.Thread(target=lambda: arblast.cross_occurrence(large, threads=1, cap=None))
    thread.start()
    time.sleep(0.3)
    assert thread.is_alive(), "too little work to tell"
    kind, text = in_fork(lambda: len(arblast.cross_occurrence(pairs["purchase"])))
    thread.join()
    assert kind == "RuntimeError" and "a call was under way" in text and "spawn" in text
    assert len(arblast.cross_occurrence(pairs["purchase"])) > 0, "the parent goes on"


def test_spawned_processes():
    code = textwrap.dedent("""
        import multiprocessing as mp
        import arblast
        def work(n):
            return len(arblast.cross_occurrence({"user": ["a", "a", "b"], "item": ["x", "y", "z"]}))
        if __name__ == "__main__":
            for method in ("spawn", "forkserver"):
                with mp.get_context(method).Pool(2) as pool:
                    print(pool.map(work, range(4)))
    """)
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"arblast-spawn-{os.getpid()}.py")
    with open(path, "w") as file:
        file.write(code)
    try:
        done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=100)
    finally:
        os.unlink(path)
    assert done.stdout.splitlines() == ["[2, 2, 2, 2]"] * 2, done.stderr


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cycles(shop, tmp_path):
    columns = {"user": [user for user, _ in interactions(8)], "item": [item for _, item in interactions(8)]}
    table = pa.table(columns)
    matrix = sparse.random(500, 80, 0.1, "csr", random_state=1)
    fitted = arblast.CrossOccurrence(K=10)

    def all_of_it():
        model = arblast.train({"buy": table}, now=NOW)
        model.save(tmp_path / "m.arblast")
        again = arblast.Model.open(tmp_path / "m.arblast")
        again.recommend(history=["i1", "i2"])
        pa.table(again.correlators())
        again.rankings().__arrow_c_stream__()  # a capsule that nobody takes
        pa.table(arblast.cross_occurrence(pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=100))))
        fitted.fit(matrix).recommend(np.arange(500), matrix, N=5)
        for wrong in (lambda: arblast.cross_occurrence({"user": [""], "item": ["x"]}), lambda: again.query({"num": -1})):
            with pytest.raises(ValueError):
                wrong()

    return all_of_it


def test_memory_is_flat(shop, tmp_path):
    once = cycles(shop, tmp_path)
    for _ in range(40):
        once()
    before = resident()
    for _ in range(120):
        once()
    grown = resident() - before
    assert grown < 6 << 20, f"{grown >> 10} KiB more after 120 rounds"
