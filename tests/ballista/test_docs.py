"""The examples of docs/ballista.md work as they stand."""

import os
import re
import shutil
import subprocess

from conftest import ARBLAST, ROOT, digest_of

PAGE = (ROOT / "docs/ballista.md").read_text()
BLOCKS = dict(re.findall(r"<!-- run: (\w+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))


def run(text, shop, folder, **more):
    for name in ("engine.json", "events.jsonl"):
        shutil.copy(shop.folder / name, folder)
    shutil.copytree(shop.home, folder / "home")
    path = f"{os.path.dirname(ARBLAST)}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "ARBLAST_HOME": str(folder / "home"), **more}
    # Background jobs keep the output open if one does not end.
    done = subprocess.run(["bash", "-euc", text], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_everything_on_one_machine(shop, tmp_path):
    assert digest_of(run(BLOCKS["alone"], shop, tmp_path))


def test_a_cluster_that_is_there(cluster, shop, tmp_path):
    told = run(BLOCKS["cluster"], shop, tmp_path, SCHEDULER=cluster.address, SHARED=str(tmp_path))
    assert digest_of(told) and list(tmp_path.glob("models/*/CURRENT"))


def test_every_example_is_run():
    assert set(BLOCKS) == {"alone", "cluster"}
