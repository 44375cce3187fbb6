"""What the scripts here share: expectations that say what was wrong, and LLR by its definition."""

import math
import sys


def equal(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: found {found!r}, expected {expected!r}")


def near(what, found, expected):
    if found is None or abs(found - expected) > 1e-9 * max(1.0, abs(expected)):
        sys.exit(f"{what}: found {found!r}, expected {expected!r}")


def holds(what, condition):
    if not condition:
        sys.exit(f"{what}: is not so")


def fails(what, action, *texts):
    """The action fails, and its message has all these texts."""
    try:
        result = action()
    except Exception as error:  # each Spark and each client has its own kind
        message = str(error)
        for text in texts:
            if text not in message:
                sys.exit(f"{what}: the error lacks {text!r}: {message[:3000]}")
        return
    sys.exit(f"{what}: gave {result!r}, an error with {texts!r} was expected")


def llr(k11, k12, k21, k22):
    def x_log_x(x):
        return 0.0 if x == 0 else x * math.log(x)

    def entropy(*counts):
        return x_log_x(sum(counts)) - sum(map(x_log_x, counts))

    rows = entropy(k11 + k12, k21 + k22)
    columns = entropy(k11 + k21, k12 + k22)
    return max(0.0, 2.0 * (rows + columns - entropy(k11, k12, k21, k22)))


def correlators(primary, rows):
    """The aggregate by its definition, for few rows: {(item, indicator): [(id, llr)]}, strongest first."""
    pairs = {}
    for indicator, user, item in rows:
        pairs.setdefault(indicator, {}).setdefault(item, set()).add(user)
    buyers = set().union(*pairs[primary].values())
    found = {}
    for indicator, things in pairs.items():
        for item, by in pairs[primary].items():
            for thing, seen in things.items():
                seen = seen & buyers
                both = len(by & seen)
                if both and not (indicator == primary and thing == item):
                    score = llr(both, len(by) - both, len(seen) - both, len(buyers) - len(by | seen))
                    if score > 0:
                        found.setdefault((item, indicator), []).append((thing, score))
    return {key: sorted(list, key=lambda pair: (-pair[1], pair[0])) for key, list in found.items()}
