"""The wheel itself: what is in it, and whether its types are right."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import arblast

from conftest import ROOT

PACKAGE = Path(arblast.__file__).parent


def mypy(*words):
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, cwd="/", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_needed_beside_it():
    needs = importlib.metadata.requires("arblast") or []
    assert needs and all("extra ==" in need for need in needs)
    assert importlib.metadata.version("arblast") == arblast.__version__


def test_one_library_for_all_pythons():
    (library,) = (path for path in PACKAGE.glob("_native*") if path.suffix == ".so")
    assert library.name == "_native.abi3.so"
    assert (PACKAGE / "py.typed").exists() and (PACKAGE / "_native.pyi").exists()


def test_stubs_are_as_the_library_is():
    mypy("mypy.stubtest", "arblast._native", "--ignore-disjoint-bases")


def test_types_of_the_python_half(tmp_path):
    use = tmp_path / "use.py"
    use.write_text(
        "import arblast\n"
        "model = arblast.train('events.jsonl', engine={})\n"
        "one: arblast.Recommendation = model.recommend('u', 3)[0]\n"
        "score: float = one.score\n"
        "table: arblast.Table = model.correlators('x')\n"
        "event_id: str = arblast.EventClient('key').get_event('x')['eventId']\n"
    )
    mypy("mypy", "--cache-dir", str(tmp_path), str(use))
    use.write_text("import arblast\nn: int = arblast.train('x').digest\n")
    done = subprocess.run([sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), str(use)], capture_output=True, text=True)
    assert 'expression has type "str"' in done.stdout, "the types of the package are seen"


def test_the_module_of_pyspark_is_there():
    assert (PACKAGE / "spark.py").read_bytes() == (ROOT / "python/arblast/spark.py").read_bytes()
