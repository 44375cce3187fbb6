"""Recommendations by correlated cross-occurrence.

    import arblast
    model = arblast.train("events.jsonl", engine="engine.json")
    model.recommend("maya", 5)

`train` makes a `Model` of events or frames, the very bytes that `arblast train` makes. `cross_occurrence` and `CrossOccurrence` give
correlators alone, of tables and of sparse matrices. `EventClient` and `EngineClient` talk to servers, `connect` speaks SQL.
"""

from importlib import import_module as _import_module
from importlib import metadata as _metadata

from . import _native
from ._native import ArblastError, CorruptDataError, Table, VersionError, llr
from .client import EngineClient, EventClient
from .correlation import CrossOccurrence, cross_occurrence
from .evaluation import Evaluation, evaluate
from .flight import connect
from .model import Model, Recommendation
from .training import train

__version__ = _native.VERSION

__all__ = [
    "ArblastError", "CorruptDataError", "CrossOccurrence", "EngineClient", "Evaluation", "EventClient", "Model", "Recommendation", "Table",
    "VersionError", "connect", "cross_occurrence", "evaluate", "llr", "train",
]


def _check_identity() -> None:
    """The two halves come from one wheel, or a clear error tells that they do not."""
    try:
        installed = _metadata.version("arblast")
    except _metadata.PackageNotFoundError:
        return
    if installed != _native.VERSION:
        raise ImportError(f"arblast {installed} has the native library of {_native.VERSION} ({_native.BUILD}): install it again")


_check_identity()


def __getattr__(name: str):
    if name in ("spark", "plots"):
        return _import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
