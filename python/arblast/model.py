"""A model: what it recommends, why, and what is in it."""

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from . import _inputs, _native

History = Mapping[str, Iterable[str]] | Iterable[str] | Iterable[tuple[str, str]]


class Recommendation(NamedTuple):
    """One recommended item. `score` is comparable within one answer only; 0: by ranking alone."""

    item: str
    score: float
    properties: dict[str, Any] | None = None
    """With `resultProps`: those asked for."""
    ranks: dict[str, float] | None = None
    """With `withRanks`: every ranking that has the item."""

    def __repr__(self) -> str:
        there = [f"{name}={value!r}" for name, value in self._asdict().items() if value is not None]
        return f"Recommendation({', '.join(there)})"


class Model:
    """A trained model. Made by `arblast.train` or opened by `Model.open`. Threads may share it, and so may processes that were forked
    while no call was under way; of a model with a store of events, forks must open it again."""

    def __init__(self, served: _native.Served):
        self._served = served

    @classmethod
    def open(cls, path: str | PathLike[str], engine: Any = None, *, home: str | PathLike[str] | None = None) -> "Model":
        """Opens a model file, an engine's folder of generations (the current one), or the folder of an engine.json.

        In the last case the model is the one that `arblast train` published there, and what users did comes from the store of `home`
        (default: ARBLAST_HOME, as for the program). Otherwise queries bring their history, and `engine` (a path or a dict) says
        how to answer; None: defaults.

        Raises FileNotFoundError, LookupError (no such app, no model yet), VersionError, CorruptDataError, ValueError (the engine file
        is wrong).
        """
        from .training import engine_text

        path = Path(path)
        text = None if engine is None else engine_text(engine)
        if path.is_dir() and (path / "CURRENT").exists():
            number = int((path / "CURRENT").read_text())
            path = path / f"{number:010}" / "model.arblast"
        if path.is_dir():
            return cls(_native.Served.open_current(text or engine_text(path), _home(home)))
        return cls(_native.Served.open(path, text))

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the model file: complete, or not at all. The bytes are those that every road makes of the same events."""
        path = Path(path)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(self._served.to_bytes())
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o644)
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise

    def recommend(
        self,
        user: str | None = None,
        n: int | None = None,
        *,
        item: str | None = None,
        items: Iterable[str] | None = None,
        history: History | None = None,
        query: Mapping[str, Any] | None = None,
        now: Any = None,
        **members: Any,
    ) -> list[Recommendation]:
        """The best items, best first.

        By what a `user` did, by `item` (things like it), by `items` (a cart), by a `history`, or by several of them together. A history
        is a dict of an event name to items, newest first, or the items of the primary event. `query` is a whole query as servers
        take it; further `members` of one count as well: `rules=[…]`, `blacklistItems=[…]`, `withRanks=True`, `resultProps=["*"]`.

        `n`: at most so many [the engine's `num`, 20]. `now`: for availability dates [now].

        Raises ValueError: the query is wrong, or it names a user and the model knows none.
        """
        answer = self.query(self._query(user, n, item, items, history, query, members), now=now)
        return [_recommendation(scored) for scored in answer["itemScores"]]

    def similar(self, item: str, n: int | None = None, **members: Any) -> list[Recommendation]:
        """Items like this one, best first. Raises LookupError if the model does not know it."""
        if item not in self:
            raise LookupError(f'the model has no item "{item}"')
        return self.recommend(item=item, n=n, **members)

    def explain(self, user: str | None = None, n: int | None = None, **words: Any) -> dict[str, Any]:
        """As `recommend`, but the whole answer of a server, with `explain`: the history that was used, what was kept back, and for
        each item which correlators matched. See docs/query-api.md."""
        names = ("item", "items", "history", "query")
        given = [words.pop(name, None) for name in names]
        now = words.pop("now", None)
        return self.query(self._query(user, n, *given, {**words, "explain": True}), now=now)

    def query(self, query: Mapping[str, Any], *, now: Any = None) -> dict[str, Any]:
        """Answers a query just as a query server does, JSON objects as dicts. Warns of members that no query has."""
        text = json.dumps(dict(query)).encode()
        answer, unknown = self._served.answer(text, _inputs.millis(now))
        for name in unknown:
            warnings.warn(f'queries have no member "{name}": it is ignored', stacklevel=3)
        return json.loads(answer)

    def _query(self, user, n, item, items, history, query, members) -> dict[str, Any]:
        whole = dict(query or {})
        given = {"user": user, "num": n, "item": item, "itemSet": None if items is None else list(items)}
        whole.update({name: value for name, value in {**given, **members}.items() if value is not None})
        if history is not None:
            whole["history"] = self._history(history)
        if whole.get("user") is not None and "history" not in whole and not self._served.remembers:
            raise ValueError(
                "this model does not know what users did: give history={…}, open the folder of its engine, or train with remember=True"
            )
        return whole

    def _history(self, history: History) -> list[dict[str, str]]:
        if isinstance(history, str):
            raise TypeError("a history is a dict of items by event name, or a list of items, not a text")
        if isinstance(history, Mapping):
            return [{"event": name, "item": item} for name, items in history.items() for item in items]
        primary = self.indicators[0]
        pairs = (deed if isinstance(deed, (tuple, list)) else (primary, deed) for deed in history)
        return [{"event": name, "item": item} for name, item in pairs]

    def correlators(self, item: str | None = None) -> _native.Table:
        """Columns item, indicator, place (from 1), correlator, llr: of one item or of all, strongest first. LookupError: no such item."""
        return self._served.correlators(item)

    def items(self) -> _native.Table:
        """Columns id, properties (JSON text)."""
        return self._served.items()

    def rankings(self) -> _native.Table:
        """Columns item, ranking, value; the higher the better."""
        return self._served.rankings()

    @property
    def indicators(self) -> list[str]:
        """Event names that are evidence; the first is primary."""
        return self._served.indicators

    @property
    def engine(self) -> dict[str, Any]:
        """engine.json that answers."""
        return json.loads(self._served.engine)

    @cached_property
    def report(self) -> dict[str, Any]:
        """What the train saw and made: events, users, indicators, warnings. Empty for a model that was opened."""
        return json.loads(self._served.report or "{}")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model file: equal content, equal digest."""
        return hashlib.sha256(self._served.to_bytes()).hexdigest()

    def __len__(self) -> int:
        """Number of items."""
        return self._served.counts[1]

    def __contains__(self, item: object) -> bool:
        return isinstance(item, str) and self._served.has(item)

    def __repr__(self) -> str:
        users, items, correlators, _ = self._served.counts
        return f"<arblast.Model of {items} items, {correlators} correlators of {users} users by {', '.join(self.indicators)}>"

    def plot_llr(self, ax=None):
        """How strong the correlators are, by indicator. Needs matplotlib; gives the axes."""
        from . import plots

        return plots.llr(self, ax)

    def plot_correlators(self, item: str, n: int = 8, ax=None):
        """The correlators around an item as a graph: `n` per indicator, and what they share. Needs matplotlib; gives the axes."""
        from . import plots

        return plots.correlators(self, item, n, ax)

    def plot_popularity(self, ranking: str | None = None, ax=None):
        """The curve of a ranking [the first]: how much of all the few popular items have. Needs matplotlib; gives the axes."""
        from . import plots

        return plots.popularity(self, ranking, ax)


def _recommendation(scored: Mapping[str, Any]) -> Recommendation:
    return Recommendation(scored["item"], scored["score"], scored.get("properties"), scored.get("ranks"))


def _home(home: str | PathLike[str] | None) -> Path:
    """The directory that holds everything, found as the program finds it."""
    if home is not None:
        return Path(home)
    if os.environ.get("ARBLAST_HOME"):
        return Path(os.environ["ARBLAST_HOME"])
    for name in ("PIO_FS_BASEDIR", "XDG_DATA_HOME"):
        base = Path(os.environ.get(name, ""))
        if base.is_absolute():
            return base / "arblast"
    return Path.home() / ".local/share/arblast"
