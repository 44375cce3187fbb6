"""Pictures of models, by matplotlib. Each takes axes or makes some, draws, and gives them back."""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .evaluation import Evaluation
    from .model import Model

try:
    import matplotlib.pyplot as plt
except ImportError as error:
    raise ImportError(f"{error}: plots need matplotlib: pip install 'arblast[plots]'") from error

LABEL_CHARS = 22
METRICS = {"map": "MAP", "ndcg": "NDCG", "hitRate": "hit rate"}


def _axes(ax: Any, size: tuple[float, float]) -> Any:
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def _colors(model: "Model") -> dict[str, str]:
    return {name: f"C{place % 10}" for place, name in enumerate(model.indicators)}


def _short(text: str) -> str:
    return text if len(text) <= LABEL_CHARS else text[:LABEL_CHARS - 1] + "…"


def _quiet(ax: Any) -> None:
    ax.spines[["top", "right"]].set_visible(False)


def llr(model: "Model", ax: Any = None) -> Any:
    """Per indicator the share of its correlators that are at least so strong: where `minLLR` would cut, and how much it would leave."""
    ax = _axes(ax, (7, 4))
    columns = model.correlators().to_pydict()
    colors = _colors(model)
    for indicator in model.indicators:
        values = sorted(value for value, name in zip(columns["llr"], columns["indicator"]) if name == indicator)
        if not values:
            continue
        left = [1 - place / len(values) for place in range(len(values))]
        ax.step(values, left, where="pre", color=colors[indicator], label=f"{indicator} ({len(values):,})")
    ax.axvline(3.84, color="grey", linestyle=":", linewidth=1)
    ax.annotate("3.84: 1 in 20\nby chance", (3.84, 0.98), xytext=(4, 0), textcoords="offset points", fontsize=8, color="grey", va="top")
    ax.set(xscale="log", xlabel="log-likelihood ratio", ylabel="share of correlators at least so strong", ylim=(0, 1.02))
    ax.yaxis.set_major_formatter("{x:.0%}")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, title="indicator")
    ax.grid(alpha=0.25)
    _quiet(ax)
    return ax


def popularity(model: "Model", ranking: str | None = None, ax: Any = None) -> Any:
    """The items of a ranking, best first, and how much of its total the first ones have together."""
    columns = model.rankings().to_pydict()
    names = list(dict.fromkeys(columns["ranking"]))
    if not names:
        raise ValueError("the model has no rankings")
    ranking = names[0] if ranking is None else ranking
    pairs = [(value, item) for value, item, name in zip(columns["value"], columns["item"], columns["ranking"]) if name == ranking]
    if not pairs:
        raise ValueError(f'the model has no ranking "{ranking}", only {", ".join(names)}')
    pairs.sort(key=lambda pair: (-pair[0], pair[1]))
    values = [value for value, _ in pairs]
    ax = _axes(ax, (7, 4))
    places = range(1, len(values) + 1)
    ax.fill_between(places, values, color="C0", alpha=0.25, step="mid")
    ax.step(places, values, where="mid", color="C0")
    first = "\n".join(f"{place}. {_short(item)} ({value:g})" for place, (value, item) in enumerate(pairs[:5], start=1))
    ax.annotate(first, (0.98, 0.96), xycoords="axes fraction", ha="right", va="top", fontsize=8,
                bbox={"boxstyle": "round", "facecolor": "white", "edgecolor": "0.85", "alpha": 0.85})
    total = sum(value for value in values if value > 0)
    title = ranking
    if total > 0:
        tenth = max(1, len(values) // 10)
        share = sum(max(value, 0) for value in values[:tenth]) / total
        ax.axvspan(0.5, tenth + 0.5, color="C1", alpha=0.12, linewidth=0)
        title = f"{ranking}: the first tenth of the items has {share:.0%}"
    ax.set(xlabel="place of the item", ylabel=ranking, title=title, xlim=(0.5, len(values) + 0.5))
    _quiet(ax)
    return ax


def evaluation(result: "Evaluation", metric: str = "ndcg", ax: Any = None, by: str | None = None) -> Any:
    """A metric `by` "setting" (bars with 95 % intervals), "k" (curves over the length of the lists) or "minLLR" (curves over the thresholds)."""
    columns = result.table().to_pydict()
    rows = [dict(zip(columns, row)) for row in zip(*columns.values()) if row[list(columns).index("metric")] == metric]
    if not rows:
        raise ValueError(f'"{metric}" was not measured, only {", ".join(dict.fromkeys(columns["metric"]))}')
    lengths = sorted({row["k"] for row in rows})
    longest = [row for row in rows if row["k"] == lengths[-1]]
    swept = {one["setting"]: one for one in result.whole["settings"] if "minLLR" in one}
    name = METRICS.get(metric, metric)
    by = by or ("minLLR" if swept else "k" if len(lengths) > 1 else "setting")
    if by == "setting":
        ax = _bars(longest, f"{name} at {lengths[-1]}", ax)
    elif by == "k":
        ax = _by_length(rows, {one["setting"] for one in result.whole["settings"] if not {"without", "minLLR"} & set(one)}, name, ax)
    elif by == "minLLR" and swept:
        ax = _by_threshold(longest, swept, f"{name} at {lengths[-1]}", ax)
    else:
        raise ValueError("no other thresholds were tried: evaluate with sweep=True" if by == "minLLR" else f'by="{by}" must be "setting", "k" or "minLLR"')
    _quiet(ax)
    return ax


def _interval(row: dict[str, Any], name: str = "standardError") -> float:
    return 1.96 * (row[name] or 0)


def _bars(rows: list[dict[str, Any]], title: str, ax: Any) -> Any:
    """The best at the top, the engine in a colour of its own."""
    ax = _axes(ax, (7, 1 + 0.35 * len(rows)))
    engine = rows[0]
    rows = sorted(rows, key=lambda row: row["mean"])
    color = ["C1" if row is engine else "C0" for row in rows]
    error = [_interval(row) for row in rows]
    ax.barh([row["setting"] for row in rows], [row["mean"] for row in rows], xerr=error, color=color, ecolor="0.3", height=0.6)
    ax.set(xlabel=f"{title}, with 95 % intervals" if any(error) else title, ylim=(-0.6, len(rows) - 0.4))
    return ax


def _by_length(rows: list[dict[str, Any]], shown: set[str], name: str, ax: Any) -> Any:
    """What people were shown for a list of any length; the engine with its 95 % interval."""
    ax = _axes(ax, (7, 4))
    lengths = sorted({row["k"] for row in rows})
    for setting in dict.fromkeys(row["setting"] for row in rows if row["setting"] in shown):
        own = sorted((row for row in rows if row["setting"] == setting), key=lambda row: row["k"])
        ax.plot([row["k"] for row in own], [row["mean"] for row in own], marker="o", markersize=4, label=setting)
        if setting == rows[0]["setting"]:
            low, high = ([row["mean"] + sign * _interval(row) for row in own] for sign in (-1, 1))
            ax.fill_between([row["k"] for row in own], low, high, color="C0", alpha=0.15, linewidth=0)
    if len(lengths) > 12:
        ax.xaxis.get_major_locator().set_params(integer=True)
    else:
        ax.set_xscale("log" if lengths[-1] > 20 else "linear")
        ax.set_xticks(lengths, labels=[str(length) for length in lengths])
        ax.minorticks_off()
    ax.set(xlabel="k, length of the lists", ylabel=name)
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False)
    ax.grid(axis="y", alpha=0.25)
    return ax


def _by_threshold(rows: list[dict[str, Any]], swept: dict[str, dict[str, Any]], title: str, ax: Any) -> Any:
    """A curve per number of correlators, the engine dashed. Hollow points are those whose difference to the engine may be chance."""
    ax = _axes(ax, (7, 4))
    ax.axhline(rows[0]["mean"], color="0.2", linestyle="--", linewidth=1.2, label="engine")
    thresholds = sorted({one["minLLR"] for one in swept.values()})
    for color, most in enumerate(sorted({one["maxCorrelatorsPerItem"] for one in swept.values()})):
        own = [row for row in rows if swept.get(row["setting"], {}).get("maxCorrelatorsPerItem") == most]
        own.sort(key=lambda row: swept[row["setting"]]["minLLR"])
        at = [thresholds.index(swept[row["setting"]]["minLLR"]) for row in own]
        ax.plot(at, [row["mean"] for row in own], color=f"C{color % 10}", label=f"top {most}", zorder=2)
        for x, row in zip(at, own):
            sure = row["difference"] is None or abs(row["difference"]) > _interval(row, "differenceError")
            ax.plot(x, row["mean"], "o", color=f"C{color % 10}", markerfacecolor=f"C{color % 10}" if sure else "white", zorder=3)
    if any(row["difference"] is not None for row in rows):
        ax.plot([], [], "o", color="0.4", markerfacecolor="white", label="may be chance")
    ax.set_xticks(range(len(thresholds)), labels=[f"{threshold:g}" for threshold in thresholds])
    ax.set(xlabel="minLLR", ylabel=title)
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    ax.grid(axis="y", alpha=0.25)
    return ax


def correlators(model: "Model", item: str, n: int = 8, ax: Any = None) -> Any:
    """An item in the middle, its `n` strongest correlators per indicator around it. The thicker a line, the higher the LLR; thin grey lines
    join correlators that are items which correlate with each other."""
    columns = model.correlators(item).to_pydict()
    rows = zip(columns["indicator"], columns["correlator"], columns["llr"], columns["place"])
    spokes = [(indicator, thing, llr) for indicator, thing, llr, place in rows if place <= n]
    ax = _axes(ax, (8, 6))
    colors = _colors(model)
    strongest = max((llr for _, _, llr in spokes), default=1.0)
    places = _around(spokes)
    _draw_pairs(model, ax, spokes, places)
    for (indicator, thing, llr), (x, y) in zip(spokes, places):
        ax.plot([0, x], [0, y], color=colors[indicator], linewidth=0.8 + 5 * llr / strongest, alpha=0.5, zorder=2, solid_capstyle="round")
        ax.scatter([x], [y], s=60, color=colors[indicator], zorder=3)
        side = "left" if x >= 0 else "right"
        ax.annotate(_short(thing), (x, y), xytext=(7 if x >= 0 else -7, 0), textcoords="offset points", ha=side, va="center", fontsize=9)
        ax.annotate(f"{llr:.3g}", (x * 0.62, y * 0.62), ha="center", va="center", fontsize=7, color="0.35", zorder=4)
    ax.scatter([0], [0], s=220, color="0.15", zorder=5)
    ax.annotate(_short(item), (0, 0), xytext=(0, 13), textcoords="offset points", ha="center", weight="bold", zorder=6,
                bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.8})
    for indicator in dict.fromkeys(indicator for indicator, _, _ in spokes):
        ax.plot([], [], color=colors[indicator], linewidth=4, alpha=0.6, label=indicator)
    if spokes:
        ax.legend(frameon=False, title="correlators by", loc="upper left")
    else:
        ax.set_title("no correlators")
    ax.set(xlim=(-2.1, 2.1), ylim=(-1.3, 1.3))
    ax.set_axis_off()
    return ax


def _around(spokes: list[tuple[str, str, float]]) -> list[tuple[float, float]]:
    """Points of an ellipse, one per spoke, those of an indicator side by side."""
    angles = [math.pi / 2 - 2 * math.pi * (place + 0.5) / len(spokes) for place in range(len(spokes))]
    return [(1.3 * math.cos(angle), 1.1 * math.sin(angle)) for angle in angles]


def _draw_pairs(model: "Model", ax: Any, spokes: list[tuple[str, str, float]], places: list[tuple[float, float]]) -> None:
    primary = model.indicators[0]
    at = {thing: place for (indicator, thing, _), place in zip(spokes, places) if indicator == primary and thing in model}
    for thing, (x, y) in at.items():
        columns = model.correlators(thing).to_pydict()
        for indicator, other in zip(columns["indicator"], columns["correlator"]):
            if indicator == primary and other in at:
                ax.plot([x, at[other][0]], [y, at[other][1]], color="0.8", linewidth=0.7, zorder=1)
