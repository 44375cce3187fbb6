"""The curl examples of the documentation work as they stand."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The reference of the event API starts its own server: native/arblast/tests/e2e/events_docs.rs runs it. The examples of Spark need one:
# tests/spark/test_docs.py runs them.
ELSEWHERE = {"event-api.md", "spark.md", "ballista.md"}
PAGES = sorted(page for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if page.name not in ELSEWHERE)
BLOCK = re.compile(r"^```(?:bash|sh|shell)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# Every answer must be a success, and nothing may hang.
PRELUDE = 'set -euo pipefail\ncurl() { command curl --silent --show-error --fail-with-body --max-time 20 "$@"; echo; }\n'


def examples():
    for page in PAGES:
        script = "\n".join(block for block in BLOCK.findall(page.read_text()) if "curl " in block)
        if script:
            yield pytest.param(script, id=str(page.relative_to(ROOT)))


@pytest.mark.parametrize("script", list(examples()))
def test_curl_examples(script, shop, event_server, query_server, tmp_path):
    script = re.sub(r"(http://)?localhost:7070", event_server, script)
    script = re.sub(r"(http://)?localhost:8000", query_server, script)
    environment = {**shop.environment(), "ACCESS_KEY": shop.access_key}
    done = subprocess.run(["bash", "-c", PRELUDE + script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


def test_there_are_examples():
    assert list(examples())
