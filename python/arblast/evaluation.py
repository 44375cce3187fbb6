"""How good is an engine?"""

import json
import warnings
from typing import Any

from . import _inputs, _native
from .training import Engine, _engine_text, _items, _sources


class Evaluation:
    """The result of `evaluate`. `whole` is everything, as `arblast eval --json` tells it."""

    def __init__(self, whole: dict[str, Any]):
        self.whole = whole

    def table(self) -> _native.Table:
        """A row per setting, length `k` and metric: setting, correlators, k, metric, mean, standardError, difference (to the engine),
        differenceError. The engine comes first."""
        rows = list(_rows(self.whole))
        return _native.Table.from_columns({name: [row[name] for row in rows] for name in COLUMNS})

    def score(self, metric: str, k: int | None = None, setting: str | None = None) -> float:
        """The mean of a metric, of the engine unless a `setting` is named, at length `k` [the first]. LookupError: not measured."""
        for row in _rows(self.whole):
            if row["metric"] == metric and k in (None, row["k"]) and setting in (None, row["setting"]):
                return row["mean"]
        raise LookupError(f"not measured: {metric} at {k} of {setting or 'the engine'}")

    def plot(self, metric: str = "ndcg", ax: Any = None, by: str | None = None) -> Any:
        """A metric as bars `by` "setting", best first with 95 % intervals, as curves by "k", the length of the lists, or as curves by "minLLR"
        where other thresholds were tried. Bars and thresholds are of the longest lists. Without `by`: "minLLR" after a sweep, else "k" if
        there are several, else "setting". Needs matplotlib; gives the axes."""
        from . import plots

        return plots.evaluation(self, metric, ax, by)

    def __repr__(self) -> str:
        users = self.whole["users"]["tested"]
        return f"<arblast.Evaluation of {len(self.whole['settings'])} settings with {users} users>"


COLUMNS = ["setting", "correlators", "k", "metric", "mean", "standardError", "difference", "differenceError"]


def _rows(whole: dict[str, Any]):
    for setting in whole["settings"]:
        for scores in setting["scores"]:
            for metric, value in scores.items():
                if metric == "k":
                    continue
                value = value if isinstance(value, dict) else {"mean": value}
                difference = value.get("difference") or {}
                yield {
                    "setting": setting["setting"], "correlators": setting["correlators"], "k": scores["k"], "metric": metric,
                    "mean": value["mean"], "standardError": value.get("standardError"), "difference": difference.get("mean"),
                    "differenceError": difference.get("standardError"),
                }


def evaluate(
    events: Any,
    engine: Engine | None = None,
    *,
    indicators: list[str] | None = None,
    items: Any = None,
    share: float = 0.2,
    at: Any = None,
    until: Any = None,
    k: int | list[int] = 10,
    ablation: bool = False,
    sweep: bool = False,
    min_llr: list[float] | None = None,
    correlators: list[int] | None = None,
    users: int | None = None,
    seed: int = 0,
    newcomers: bool = False,
    threads: int | None = None,
    user: str = "user",
    item: str = "item",
    time: str = "time",
) -> Evaluation:
    """Trains on what happened before a moment, asks for everyone who did something new afterwards, and compares; the numbers of `arblast eval`.

    `events`, `engine`, `indicators`, `items`, `user`, `item`, `time`: as in `train`; events need times. The test is the last `share` of the
    primary events, or what was from `at` to `until`. `k`: lengths of lists. `ablation`: also each indicator alone and all without each;
    `sweep`: also other thresholds, of `min_llr` and `correlators`. `users`: at most so many; `newcomers`: also who had done nothing before.

    Raises ValueError, FileNotFoundError, TypeError. Ctrl-C ends it.
    """
    sources, names = _sources(events, user, item, time)
    if items is not None:
        sources.append(_items(items, item))
    tried = (min_llr or [0.0, 2.0, 5.0, 10.0, 20.0], correlators or [10, 20, 50, 100]) if sweep or min_llr or correlators else None
    asked = (
        share, None if at is None else _inputs.millis(at), None if until is None else _inputs.millis(until),
        [k] if isinstance(k, int) else list(k), users, seed, newcomers, ablation, tried, _inputs.threads(threads),
    )
    text = _engine_text(engine, indicators or names, {})
    whole = json.loads(_native.evaluate(text, sources, _inputs.millis(None), asked))
    for warning in whole["warnings"]:
        warnings.warn(warning, stacklevel=2)
    return Evaluation(whole)
