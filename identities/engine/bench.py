"""What benchmarks measured: results read back, ratios with their intervals, means by chapter, two runs compared.

A result is one JSON file a machine, made by `make bench` (or bench-quick, bench-gpu) from what pytest-benchmark
recorded: `machine`, a dict, and `rows`, one an item.  A row's `seconds` are medians by column, and its `ratio` holds
for each autodiff column [ratio, low, high]: its time over that of the closed form, so that above 1 the closed
form is faster.  `kernels` says by column what its program is made of, `same` names the columns whose program is that of
the closed form, `reason` is what somebody wrote of it.  Nothing here measures or draws.
"""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
RESAMPLES = 2000
# The ways in which autodiff reaches the same numbers.  The headline is against the fastest of them: beating the slow
# ones alone would be beating a straw man.
AUTODIFF = ("autodiff", "computed", "reverse")
KERNELS = "kernels"  # the kind whose columns compute different things
KINDS = {
    "first": "Gradient by one operand",
    "all": "Gradients by all operands at once",
    "second": "Hessian or Jacobian, all entries",
    "modes": "Forward and reverse mode",
    "batched": "Many small problems at once, by vmap",
    "peers": "Other libraries",
    KERNELS: "Kernels timed alone",
}
OWN = "XLA's own"  # the key of XLA's threads in a machine
TABLED = ("first", "all", "second")  # kinds with so many items that means tell
FAMILIES = ("traces", "determinants", "inverses", "quadratic_forms", "least_squares", "factorization")
SIX = "these six"  # the chapters that most gradients are copied from, together
NEAR = 1.3  # a closed form that takes so many times what its kernels take has little else to save
SMALL = 5.0  # an item that takes fewer empty calls than this measures how a program is called, not what it does


def ratio(reference: Sequence[float], closed: Sequence[float], *, seed: int = 0) -> list[float]:
    """Ratio of the median times, with its bootstrap 95 percent interval: [ratio, low, high].

    Times come in pairs, one of each a round; rounds are drawn again with both times together, so that what slowed
    both does not widen the interval.  Raises ValueError where there are no pairs.
    """
    import numpy as np

    pairs = min(len(reference), len(closed))
    if pairs == 0:
        raise ValueError("a ratio needs at least one round")
    a, b = np.asarray(reference[:pairs], float), np.asarray(closed[:pairs], float)
    chosen = np.random.default_rng(seed).integers(0, pairs, (RESAMPLES, pairs))
    resampled = np.median(a[chosen], axis=1) / np.median(b[chosen], axis=1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return [significant(x) for x in (np.median(a) / np.median(b), low, high)]


def significant(x: Any, digits: int = 4) -> float:
    """A number as it is written down."""
    return float(f"{float(x):.{digits}g}")


def read(path: pathlib.Path) -> dict[str, Any]:
    """A result, or what pytest-benchmark wrote with --benchmark-json.  Raises ValueError, in one sentence."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); `make bench-quick` measures one") from error
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error})") from error
    if isinstance(content, dict) and "benchmarks" in content:
        rows = [b.get("extra_info") for b in content["benchmarks"]]
        content = {"machine": content.get("machine_info", {}).get("identities"), "rows": rows}
    try:
        machine, rows = dict(content["machine"]), [dict(row) for row in content["rows"]]
        for row in rows:
            if "left out" not in row:
                assert_row(row)
        str(machine["device"]), str(machine["date"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} is no result of a benchmark ({reason}); `make bench-quick` measures one") from error
    return {"machine": machine, "rows": rows, "left out": list(content.get("left out", []))}


def assert_row(row: Row) -> None:
    """Raise KeyError, TypeError or ValueError for a row that lacks what every reader needs."""
    str(row["kind"]), str(row["name"]), str(row["chapter"]), str(row["dtype"]), int(row["n"]), dict(row["dims"])
    for seconds in dict(row["seconds"]).values():
        if not float(seconds) > 0:
            raise ValueError(f"{row['name']} took {seconds} s")
    for interval in dict(row["ratio"]).values():
        _, _, _ = (float(x) for x in interval)


def measured(result: Mapping[str, Any], kind: str | None = None, **asked: Any) -> list[Row]:
    """The rows that hold times, of one kind, with these values of further keys."""
    rows = [r for r in result["rows"] if "left out" not in r and kind in (None, r["kind"])]
    return [r for r in rows if all(r[k] == v for k, v in asked.items())]


def key(row: Row) -> tuple[str, str, int, str]:
    """What the same item of two runs shares."""
    return row["kind"], row["name"], int(row["n"]), row["dtype"]


def headline(row: Row) -> tuple[str, list[float]] | None:
    """The fastest autodiff column, and its ratio to the closed form; None where the row has none."""
    found = [(column, row["ratio"][column]) for column in AUTODIFF if column in row["ratio"]]
    return min(found, key=lambda pair: float(pair[1][0])) if found else None


def verdict(interval: Sequence[float]) -> str:
    """ "faster", "slower" or "even": the closed form against autodiff, where 1 lies outside the interval or in it."""
    return "faster" if interval[1] > 1 else "slower" if interval[2] < 1 else "even"


def counts(row: Row, machine: Mapping[str, Any]) -> bool:
    """Whether an item is long enough to tell: its headline columns take five empty calls or more."""
    best = headline(row)
    floor = SMALL * float(machine.get("empty call", 0.0))
    return best is not None and max(row["seconds"][best[0]], row["seconds"]["closed"]) >= floor


def fastest(rows: Iterable[Row]) -> list[Row]:
    """Of the rows that state the same derivative, that with the fastest closed form."""
    found: dict[str, Row] = {}
    for row in rows:
        same = str(row.get("states", row["name"]))
        if same not in found or row["seconds"]["closed"] < found[same]["seconds"]["closed"]:
            found[same] = row
    return list(found.values())


def main_n(result: Mapping[str, Any], kind: str) -> int | None:
    """The n at which most items of a kind were measured."""
    sizes = [r["n"] for r in measured(result, kind)]
    return max(set(sizes), key=sizes.count) if sizes else None


def geometric_mean(values: Iterable[float]) -> float:
    """Of the numbers among them; NaN for none."""
    logs = [math.log(v) for v in values if not math.isnan(v)]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def summary(result: Mapping[str, Any], kind: str, dtype: str, n: int | None = None) -> list[dict[str, Any]]:
    """By chapter, and for all ("all"): geometric mean, how many items are faster, even and slower, and which are small.

    Where several claims state the same derivative, the fastest counts: a reader would take that one.
    """
    rows = fastest(r for r in measured(result, kind, dtype=dtype) if n is None or r["n"] == n)
    chapters = list(dict.fromkeys(r["chapter"] for r in rows))
    lines = []
    six = [SIX] if all(chapter in chapters for chapter in FAMILIES) else []
    for chapter in [*chapters, *six, "all"]:
        mine = [r for r in rows if chapter in ("all", r["chapter"]) or (chapter == SIX and r["chapter"] in FAMILIES)]
        telling = [h[1] for r in mine if counts(r, result["machine"]) and (h := headline(r))]
        verdicts = [verdict(h) for h in telling]
        lines.append(
            {
                "chapter": chapter,
                "mean": geometric_mean(h[0] for h in telling),
                "written": geometric_mean(against(r, "autodiff") for r in mine if counts(r, result["machine"])),
                "computed": geometric_mean(
                    against(r, "computed", "autodiff") for r in mine if counts(r, result["machine"])
                ),
                "best": max((h[0] for h in telling), default=math.nan),
                "worst": min((h[0] for h in telling), default=math.nan),
                **{v: verdicts.count(v) for v in ("faster", "even", "slower")},
                "small": len(mine) - len(telling),
            }
        )
    return lines


def against(row: Row, *columns: str) -> float:
    """The ratio to the first of these columns that was timed; NaN where none was."""
    return float(next((row["ratio"][c][0] for c in columns if c in row["ratio"]), math.nan))


def summaries(result: Mapping[str, Any]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """The means by chapter of each of these kinds and dtypes, at the n at which most of it was measured."""
    pairs = dict.fromkeys((r["kind"], r["dtype"]) for r in measured(result) if r["kind"] in TABLED and headline(r))
    return [(kind, dtype, summary(result, kind, dtype, main_n(result, kind))) for kind, dtype in pairs]


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items of both results; `moved` where the intervals of the headline ratio lie apart.

    Ratios are compared, not times: they are what two machines, or one on two days, have in common.
    """
    before = {key(r): headline(r) for r in measured(old)}
    found = []
    for row in measured(new):
        now, then = headline(row), before.get(key(row))
        if now is None or then is None:
            continue
        moved = "up" if now[1][1] > then[1][2] else "down" if now[1][2] < then[1][1] else ""
        found.append({"kind": row["kind"], "name": row["name"], "n": row["n"], "dtype": row["dtype"]})
        found[-1] |= {"old": then[1], "new": now[1], "moved": moved}
    return found


def losses(result: Mapping[str, Any], kind: str, below: float = 0.95) -> list[Row]:
    """The items whose closed form is slower by more than 5 percent, interval and all, the worst first."""
    n = main_n(result, kind)
    rows = [r for r in measured(result, kind) if r["n"] == n and counts(r, result["machine"])]
    found = [(h[1][0], i, r) for i, r in enumerate(rows) if (h := headline(r)) and h[1][0] < below and h[1][2] < 1]
    return [r for _, _, r in sorted(found, key=lambda triple: triple[:2])]


# Why


# What the kernels of a program are called, one and several; what is not here goes by its own name
WORDS = {
    "getrf": ("LU", "LUs"),
    "potrf": ("Cholesky factorization", "Cholesky factorizations"),
    "geqrf": ("QR", "QRs"),
    "orgqr": ("Q of a QR", "Qs of a QR"),
    "gesdd": ("SVD", "SVDs"),
    "gesvd": ("SVD", "SVDs"),
    "gesvdj": ("SVD", "SVDs"),
    "syevd": ("symmetric eigendecomposition", "symmetric eigendecompositions"),
    "geev": ("eigendecomposition", "eigendecompositions"),
    "trsm": ("triangular solve", "triangular solves"),
    "trsv": ("triangular solve of a vector", "triangular solves of a vector"),
    "products": ("product", "products"),
    "by vector": ("product with a vector", "products with a vector"),
    "loops": ("loop", "loops"),
}
NOTHING = "no products or library calls"
APART = ("left transposed", "fusions")  # told of something else, or last


def say_kernels(found: Mapping[str, int]) -> str:
    """What a program is made of: "LU, 4 triangular solves, 3 products (1 left transposed)"."""
    told = []
    unnamed = [k for k in found if k not in WORDS and k not in APART]
    for name in [*unnamed, *(k for k in WORDS if k in found)]:
        one, several = WORDS.get(name, (name, name))
        told.append(f"{found[name]} {several}" if found[name] > 1 else one)
        if name == "products" and found.get("left transposed"):
            told[-1] += f" ({found['left transposed']} left transposed)"
    return ", ".join(told) or NOTHING


def why(row: Row, column: str | None = None) -> str:
    """What explains the times of two programs, by default of the closed form and the fastest autodiff; never empty."""
    column = column or (headline(row) or ("",))[0]
    kernels = row.get("kernels", {})
    mine, other = kernels.get("closed"), kernels.get(column)
    fusions = [(each or {}).get("fusions", 0) for each in (mine, other)]
    if mine is None or other is None:
        told = "its programs were not read when it was measured"
    elif column in row.get("same", ()):
        told = "the same program"
    elif {**mine, "fusions": 0} == {**other, "fusions": 0}:
        what = say_kernels(mine)
        if column == "alone" and what == NOTHING:
            return "no kernel: alone, the result is filled with a number; the closed form makes it of its operands"
        told = f"the same kernels ({what})" if what != NOTHING else f"{what} in either"
        told += f", in {fusions[0]} fusion{'s' * (fusions[0] != 1)} against {fusions[1]}"
    else:
        told = f"closed: {say_kernels(mine)}; {column}: {say_kernels(other)}"
    return told + (f". {row['reason']}" if row.get("reason") else "")


def excess(row: Row) -> list[float]:
    """The time of a closed form over that of its kernels alone, with its interval."""
    value, low, high = row["ratio"]["alone"]
    return [significant(1 / x) for x in (value, high, low)]


def excesses(result: Mapping[str, Any]) -> tuple[list[Row], list[Row], list[Row]]:
    """The closed forms near their kernels, those above (the worst first), and those too short to tell."""
    floor = SMALL * float(result["machine"].get("empty call", 0.0))
    rows = measured(result, KERNELS)
    short = [r for r in rows if max(r["seconds"]["closed"], r["seconds"]["alone"]) < floor]
    above = [r for r in rows if r not in short and excess(r)[0] > NEAR]
    near = [r for r in rows if r not in short and r not in above]
    return near, sorted(above, key=lambda r: -excess(r)[0]), short


def say_excesses(result: Mapping[str, Any]) -> str:
    near, above, short = excesses(result)
    told = (
        f"{len(near)} of {len(near) + len(above)} closed forms take at most {NEAR} times what their kernels take alone"
    )
    return told + (f"; {len(short)} too short to tell" if short else "")


# In words


def say_machine(about: Mapping[str, Any]) -> str:
    """One line about where, when and with what it was measured."""
    versions = ", ".join(f"{k} {about[k]}" for k in ("jax", "jaxlib", "numpy", "torch", "driver") if about.get(k))
    threads = ", ".join(f"{k} {v}" for k, v in dict(about.get("threads", {})).items())
    where = f"{about.get('cpu', '')}, {about.get('cores', '?')} cores"
    device = "" if about["device"] == "cpu" else f"{about['device']} in "
    return (
        f"{about['date']}: {device}{where}; {versions}; Python {about.get('python', '?')}; {threads}; "
        f"float32 products at precision {about.get('precision', '?')}; commit {about.get('commit') or 'unknown'}"
    )


def caption(about: Mapping[str, Any]) -> str:
    """The line under a plot."""
    threads = dict(about.get("threads", {}))
    device = f"{about.get('cpu', '')}, {about.get('cores', '?')} cores"
    if about["device"] != "cpu":
        device = f"{about['device']}, driver {about.get('driver')}"
    return (
        f"{device}; jax {about.get('jax')}, numpy {about.get('numpy')}; threads: LAPACK "
        f"{threads.get('OPENBLAS_NUM_THREADS')}, XLA {threads.get(OWN)}; precision {about.get('precision')}; "
        f"{about['date']}, commit {about.get('commit') or 'unknown'}"
    )


def say_seconds(seconds: float) -> str:
    """A time with its unit, to three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
