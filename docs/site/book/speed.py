"""The section "Speed" of a claim's page: what the benchmarks measured of it, losses as plainly as wins.

A figure is a table with a bar in its last column, so that it reads in light and dark and is heard as numbers.  A
bar of a ratio starts at 1 and goes right where the closed form is faster, left where it is slower; a bar of a time
starts at 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from docutils import nodes

from book import make
from book.data import ROOT
from identities.engine import bench
from identities.engine.bench import Row, say_seconds
from identities.engine.identity import Claim

RESULTS = ROOT / "bench" / "results"
ALONE = ("first", "second", "modes", "batched")  # kinds whose columns are the closed form and autodiff alone
LIBRARIES = {"closed": "closed form", "autodiff": "jax autodiff", "numpy": "closed form in NumPy"}
FORMS = {"autodiff": "as written", "computed": "as computed", "reverse": "in reverse mode"}
FULL = 4.0  # the ratio, or its inverse, at which a bar ends; the number beside it tells the rest


def files() -> list[Any]:
    """One result a machine: that of a quick run tells nothing where the whole was measured too."""
    found = sorted(RESULTS.glob("*.json"))
    whole = {path.stem for path in found}
    return [path for path in found if path.stem.removesuffix("-quick") not in whole - {path.stem}]


@functools.cache
def results() -> tuple[tuple[Mapping[str, Any], Mapping[str, tuple[Row, ...]]], ...]:
    """For each machine what it is, and its rows by claim."""
    found = []
    for path in files():
        result = bench.read(path)
        by_name: dict[str, tuple[Row, ...]] = {}
        for row in bench.measured(result):
            by_name[row["name"]] = (*by_name.get(row["name"], ()), row)
        found.append((result["machine"], by_name))
    return tuple(found)


def speed(claim: Claim, here: str) -> list[nodes.Node]:
    """The section, or nothing where the claim was not timed."""
    found: list[nodes.Node] = []
    for machine, by_name in results():
        rows = [row for row in by_name.get(claim.name, ()) if row["kind"] in (*ALONE, "peers", bench.KERNELS)]
        if rows:
            found += of_machine(machine, rows)
    if not found:
        return []
    about = make.paragraph(
        "The ratio is the time of autodiff over that of this closed form, both jitted, with its 95 percent interval: ",
        "above 1 the closed form is faster. It is taken to the fastest autodiff, be it of the function as written or ",
        "as an expert would compute it. ",
        make.link(here, "benchmarks", "", "How it is measured"),
        ".",
    )
    return [make.heading("Speed", "speed"), make.box(about, *found, classes=["no-search", "speed"])]


def of_machine(machine: Mapping[str, Any], rows: Sequence[Row]) -> list[nodes.Node]:
    """What one machine measured of a claim."""
    found: list[nodes.Node] = []
    alone = sorted((r for r in rows if r["kind"] in ALONE), key=lambda r: (ALONE.index(r["kind"]), r["dtype"], r["n"]))
    if alone:
        found.append(against_autodiff(alone, machine))
    found += [libraries(row) for row in rows if row["kind"] == "peers"]
    for row, text in reasons(alone):
        found.append(make.prose(f"Where it is slower ({size(row)}, {row['dtype']}), the programs tell: {text}."))
    for row in rows:
        if row["kind"] == bench.KERNELS:
            value, low, high = bench.excess(row)
            found.append(
                make.paragraph(
                    f"It takes {value:.2f} [{low:.2f}, {high:.2f}] times what its products and factorizations ",
                    f"take alone ({size(row)}, {row['dtype']}).",
                )
            )
    return [*found, make.paragraph(f"{bench.say_machine(machine)}.", classes=["machine"])]


def size(row: Row) -> str:
    """The dims: "all 1024", "m = 1024, n = 16", "64 at once, n = 16"."""
    dims = dict(row["dims"])
    batch = f"{dims.pop('batch')} at once, " if "batch" in dims else ""
    if len(dims) > 1 and len(set(dims.values())) == 1:
        return f"{batch}all {next(iter(dims.values()))}"
    return batch + (", ".join(f"{dim} = {number}" for dim, number in dims.items()) or "scalars")


def against_autodiff(rows: Sequence[Row], machine: Mapping[str, Any]) -> nodes.Node:
    """A line a size and dtype: times, the ratio with its interval, how the closed form does, what compiling takes."""
    device = f"{machine.get('cpu', '')}, {machine.get('cores', '?')} cores"
    device = device if machine["device"] == "cpu" else str(machine["device"])
    forms = [column for column in bench.AUTODIFF if any(column in row["seconds"] for row in rows)]
    table = []
    for row in rows:
        best = bench.headline(row)
        if best is None:
            continue
        times = [say_seconds(row["seconds"][form]) if form in row["seconds"] else "–" for form in ("closed", *forms)]
        compiling = [row.get("compile", {}).get(form) for form in ("closed", best[0])]
        pair = " : ".join(say_seconds(seconds) if seconds else "–" for seconds in compiling)
        told = verdict = bench.verdict(best[1])
        if not bench.counts(row, machine):
            told, verdict = "too short to tell", "even"
        bar = ratio_bar(best[1][0], verdict)
        cells = [size(row), row["dtype"], *times, interval(best[1])]
        table.append([*([cell] for cell in cells), [word(told, verdict), bar], [pair]])
    heads = ["dims", "dtype", "closed form", *(FORMS[form] for form in forms)]
    found = make.table([*heads, "ratio", "closed form is", "compile, closed : autodiff"], table, classes=["bars"])
    found.insert(0, nodes.title("", f"Closed form and autodiff on {device}"))
    return found


def libraries(row: Row) -> nodes.Node:
    """A line a library: its time as a bar, and what the closed form is beside it."""
    longest = max(row["seconds"].values())
    table = []
    for column, seconds in row["seconds"].items():
        ratio = row["ratio"].get(column)
        verdict = bench.verdict(ratio) if ratio else "own"
        told: list[list[make.Part]] = [[interval(ratio)], [word(verdict, verdict)]] if ratio else [["1"], ["–"]]
        length = max(100 * seconds / longest, 0.5)
        table.append(
            [
                [LIBRARIES.get(column, column)],
                [say_seconds(seconds), bar("time-bar", verdict, f"width: {length:.1f}%")],
                *told,
            ]
        )
    found = make.table(["by", "time", "ratio", "closed form is"], table, classes=["bars"])
    found.insert(0, nodes.title("", f"Beside other libraries: {size(row)}, {row['dtype']}"))
    return found


def ratio_bar(ratio: float, verdict: str) -> nodes.Node:
    """A bar from 1, to the right or to the left, on a logarithmic scale."""
    length = min(abs(math.log(ratio)) / math.log(FULL), 1.0) * 50
    return bar("ratio-bar", verdict, f"{'left' if ratio >= 1 else 'right'}: 50%; width: {length:.1f}%")


def bar(kind: str, verdict: str, style: str) -> nodes.Node:
    """The number that it shows stands beside it, so that it need not be heard."""
    inside = f'<span class="bar-{verdict}" style="{style}"></span>'
    return make.html(f'<span class="{kind}" aria-hidden="true">{inside}</span>')


def word(text: str, verdict: str) -> nodes.Node:
    return make.span(text, "verdict", f"verdict-{verdict}")


def interval(ratio: Sequence[float]) -> str:
    return f"{ratio[0]:.2f} [{ratio[1]:.2f}, {ratio[2]:.2f}]"


def reasons(rows: Iterable[Row]) -> list[tuple[Row, str]]:
    """For the rows whose closed form is slower, why; the same is said once."""
    said: dict[str, Row] = {}
    for row in rows:
        best = bench.headline(row)
        if best is not None and bench.verdict(best[1]) == "slower":
            said.setdefault(bench.why(row).rstrip("."), row)
    return [(row, text) for text, row in said.items()]
