"""What benchmarks measured: results read back, ratios with their intervals, means by chapter, two runs compared.

A result is one JSON file a machine, made by `make bench` (or bench-quick, bench-gpu) from what pytest-benchmark
recorded: `machine`, a dict, and `rows`, one an item.  A row's `seconds` are medians by column, and its `ratio` holds
for each autodiff column [ratio, low, high]: its time over that of the closed form, so that above 1 the closed
form is faster.  Nothing here measures or draws.
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
KINDS = {
    "first": "Gradient by one operand",
    "all": "Gradients by all operands at once",
    "second": "Hessian or Jacobian, all entries",
    "modes": "Forward and reverse mode",
    "peers": "Other libraries",
}
OWN = "XLA's own"  # the key of XLA's threads in a machine
TABLED = ("first", "all", "second")  # kinds with so many items that means tell
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
    """NaN for none."""
    logs = [math.log(v) for v in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def summary(result: Mapping[str, Any], kind: str, dtype: str, n: int | None = None) -> list[dict[str, Any]]:
    """By chapter, and for all ("all"): geometric mean, how many items are faster, even and slower, and which are small.

    Where several claims state the same derivative, the fastest counts: a reader would take that one.
    """
    rows = fastest(r for r in measured(result, kind, dtype=dtype) if n is None or r["n"] == n)
    chapters = list(dict.fromkeys(r["chapter"] for r in rows))
    lines = []
    for chapter in [*chapters, "all"]:
        mine = [r for r in rows if chapter in ("all", r["chapter"])]
        telling = [h[1] for r in mine if counts(r, result["machine"]) and (h := headline(r))]
        verdicts = [verdict(h) for h in telling]
        lines.append(
            {
                "chapter": chapter,
                "mean": geometric_mean(h[0] for h in telling),
                "best": max((h[0] for h in telling), default=math.nan),
                "worst": min((h[0] for h in telling), default=math.nan),
                **{v: verdicts.count(v) for v in ("faster", "even", "slower")},
                "small": len(mine) - len(telling),
            }
        )
    return lines


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


# The page

HOW = """\
Every column is a program of its own, compiled ahead of time; its operands lie on the device, it is warmed up, and
every call is waited for. Each round times all columns one after another, in an order that turns, and the closed form
last; the ratio is that of the medians, with a bootstrap 95 percent interval over the rounds. Before anything is timed,
all columns must agree by the law of the book.

The **ratio** is the time of autodiff over the time of the closed form: above 1 the closed form is faster. *As written*
is `jax.grad` (`jax.hessian`, `jax.jacfwd`) of the function as the book prints it, *as computed* that of the form which
an expert would write, where the book has it. The **headline** is against the fastest of all forms and modes of
autodiff, since beating the slowest would be beating a straw man; near 1 means that XLA found the same program, which is
what an honest reader should expect of most gradients. A mean counts, of several claims of one derivative, the fastest,
and leaves out what is too short to tell (less than five empty calls).

Pairs such as 0.1 : 0.3 are of the closed form and of the fastest autodiff. Flops are as XLA counts them, without those
of LAPACK's or cuSOLVER's routines; memory is arguments, results and temporaries of the program. LAPACK runs on as many
threads as `OPENBLAS_NUM_THREADS` says (1: more stall those of XLA on few cores), XLA's products on all cores.
"""


def page(results: Mapping[str, Mapping[str, Any]], plots: Mapping[str, Mapping[str, str]]) -> str:
    """The page of all results in Markdown; `plots` tells the files that lie in plots/ and what they show."""
    lines = ["# Benchmarks: closed forms against autodiff", "", HOW.strip(), ""]
    lines += ["Written by `identities bench report`; measure again with `make bench-quick` or `make bench`.", ""]
    for name, result in results.items():
        lines += section(name, result, plots.get(name, {}))
    return "\n".join(lines)


def section(name: str, result: Mapping[str, Any], plots: Mapping[str, str]) -> list[str]:
    """One machine: its means, its plots, where closed forms lose, every item, and what was left out."""
    about = result["machine"]
    gemm = ", ".join(f"{v:g} GFLOP/s in {k}" for k, v in dict(about.get("gemm", {})).items())
    lines = [f"## {name}", "", f"{say_machine(about)}.", ""]
    empty = say_seconds(about.get("empty call", 0.0))
    lines += [f"A product of two matrices runs at {gemm}; an empty call takes {empty}.", ""]
    for file, what in plots.items():
        lines += [f"![{what}](plots/{file})", ""]
    for kind, dtype, means in summaries(result):
        lines += [f"### {KINDS[kind]}, n = {main_n(result, kind)}, {dtype}", "", *means_table(means), ""]
    for kind, title in KINDS.items():
        rows = measured(result, kind)
        slow = losses(result, kind) if kind in TABLED else []
        if slow:
            lines += [f"### {title}: where the closed form is slower", "", *items_table(slow), ""]
        if rows:
            lines += [f"### {title}: every item", "", *items_table(rows), ""]
    small = {r["name"]: r["dims"] for r in measured(result) if r.get("reduced")}
    reduced = [f"`{name}` ({', '.join(f'{k} = {v}' for k, v in dims.items())})" for name, dims in small.items()]
    if reduced:
        lines += ["### At a smaller n, to keep every array within 256 MiB", "", ", ".join(reduced) + ".", ""]
    bad = [(r, column, why) for r in measured(result) for column, why in r.get("wrong", {}).items()]
    if bad:
        lines += ["### Where autodiff goes wrong", ""]
        lines += [f"- `{r['name']}`, n = {r['n']}, {r['dtype']}: *{column}* is {why}" for r, column, why in bad] + [""]
    absent = sorted({f"- `{r['name']}` in {r['dtype']}: {r['left out']}" for r in result["rows"] if "left out" in r})
    return lines + (["### Left out", "", *absent, ""] if absent else [])


def means_table(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    found = ["| chapter | geometric mean | best | worst | faster | even | slower | too short |", "|---|" + "---:|" * 7]
    for line in lines:
        means = (f"{line[k]:.2f}" if line[k] == line[k] else "" for k in ("mean", "best", "worst"))
        tallies = (str(line[k] or "") for k in ("faster", "even", "slower", "small"))
        found.append(f"| {' | '.join((line['chapter'], *means, *tallies))} |")
    return found


def items_table(rows: Sequence[Row]) -> list[str]:
    """One line an item: times and ratios by form, the headline with its interval, what compiling and memory cost."""
    heads = ("claim", "n", "dtype", "closed form", "headline", "95 %", "by form", "compile, s", "MB", "Gflop")
    found = [f"| {' | '.join(heads)} |", "|---|---:|---|---:|---:|---|---|---|---|---|"]
    for row in rows:
        best = headline(row)
        told = [f"**{best[1][0]:.2f}**", f"{best[1][1]:.2f} to {best[1][2]:.2f}"] if best else ["", ""]
        forms = ", ".join(f"{k} {v[0]:.2f}" for k, v in row["ratio"].items())
        alone = [f"{k} {say_seconds(v)}" for k, v in row["seconds"].items() if k not in row["ratio"] and k != "closed"]
        facts = [pair(row, fact, scale) for fact, scale in (("compile", 1), ("memory", 1e6), ("flops", 1e9))]
        cells = [f"`{row['name']}`", str(row["n"]), row["dtype"], say_seconds(row["seconds"]["closed"]), *told]
        found.append(f"| {' | '.join([*cells, ', '.join([forms, *alone]), *facts])} |")
    return found


def pair(row: Row, fact: str, scale: float) -> str:
    """A fact of the closed form and of the fastest autodiff."""
    values, best = row.get(fact, {}), headline(row)
    both = [values.get(column) for column in ("closed", best[0] if best else "")]
    return " : ".join(f"{v / scale:.2g}" if v is not None else "–" for v in both) if any(both) else ""
