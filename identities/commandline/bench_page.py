"""The page of what the benchmarks measured, in Markdown: means, losses and why, every item, kernels alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from identities.engine import bench
from identities.engine.bench import KINDS, TABLED, Row, headline, measured, say_seconds

MOST = 60  # items that are shown one by one

HOW = """\
Every column is a program of its own, compiled ahead of time; its operands lie on the device, it is warmed up, and
every call is waited for. Each round times all columns one after another, in an order that turns, and the closed form
last, a short call (below 5 ms) after one more that fills the cache; the ratio is that of the medians, with a bootstrap
95 percent interval over the rounds. Before anything is timed, all columns must agree by the law of the book.

The **ratio** is the time of autodiff over the time of the closed form: above 1 the closed form is faster. *As written*
is `jax.grad` (`jax.hessian`, `jax.jacfwd`) of the function as the book prints it, *as computed* that of the form which
an expert would write, where the book has it. The **headline** is against the fastest of all forms and modes of
autodiff, since beating the slowest would be beating a straw man; near 1 means that XLA found the same program, which is
what an honest reader should expect of most gradients. A mean counts, of several claims of one derivative, the fastest,
and leaves out what is too short to tell (less than five empty calls). Beside the headline's stand the means against *f*
as written alone, and against *f* as computed (as written where the book has no other form). *These six* are traces,
determinants, inverses, quadratic forms, least squares and factorization together.

Pairs such as 0.1 : 0.3 are of the closed form and of the fastest autodiff. Flops are as XLA counts them, without those
of LAPACK's or cuSOLVER's routines; memory is arguments, results and temporaries of the program. LAPACK runs on as many
threads as `OPENBLAS_NUM_THREADS` says (1: more stall those of XLA on few cores), XLA's products on all cores.

Why a closed form loses is read from the optimised HLO of both programs: products of matrices (with the
*left* factor *transposed*, XLA takes about a fifth longer on a CPU), products with a vector, routines of LAPACK or
cuSOLVER, loops. Programs of the same kernels differ in copies and elementwise passes. *Kernels alone* are the products
and factorisations of a closed form in a program of nothing else.
"""


def page(results: Mapping[str, Mapping[str, Any]], plots: Mapping[str, Mapping[str, str]]) -> str:
    """The page of all results in Markdown; `plots` tells the files that lie in plots/ and what they show."""
    lines = ["# Benchmarks: closed forms against autodiff", "", HOW.strip(), ""]
    lines += ["Written by `identities bench report`; measure again with `make bench-quick` or `make bench`.", ""]
    for name, result in sorted(results.items(), key=lambda pair: pair[0].endswith("-quick")):
        lines += section(name, result, plots.get(name, {}))
    return "\n".join(lines)


def section(name: str, result: Mapping[str, Any], plots: Mapping[str, str]) -> list[str]:
    """One machine: its means, its plots, where closed forms lose, every item, and what was left out."""
    about = result["machine"]
    gemm = ", ".join(f"{v:g} GFLOP/s in {k}" for k, v in dict(about.get("gemm", {})).items())
    lines = [f"## {name}", "", f"{bench.say_machine(about)}.", ""]
    empty = say_seconds(about.get("empty call", 0.0))
    lines += [f"A product of two matrices runs at {gemm}; an empty call takes {empty}.", ""]
    for file, what in plots.items():
        lines += [f"![{what}](plots/{file})", ""]
    for kind, dtype, means in bench.summaries(result):
        lines += [f"### {KINDS[kind]}, n = {bench.main_n(result, kind)}, {dtype}", "", *means_table(means), ""]
    for kind, title in KINDS.items():
        rows = measured(result, kind)
        if rows and kind == bench.KERNELS:
            lines += kernels_section(title, result)
            continue
        slow = bench.losses(result, kind) if kind in TABLED else []
        if slow:
            lines += [f"### {title}: where the closed form is slower", "", *items_table(slow), "", *reasons(slow), ""]
        if rows and len(rows) <= MOST:
            lines += [f"### {title}: every item", "", *items_table(rows), ""]
        elif rows:
            lines += [f"All {len(rows)} items: `identities bench report bench/results/{name}.json --all`.", ""]
    small = {r["name"]: r["dims"] for r in measured(result) if r.get("reduced")}
    reduced = [f"`{name}` ({', '.join(f'{k} = {v}' for k, v in dims.items())})" for name, dims in small.items()]
    if reduced:
        lines += ["### At a smaller n, to keep every array within 256 MiB", "", ", ".join(reduced) + ".", ""]
    bad = [(r, column, why) for r in measured(result) for column, why in r.get("wrong", {}).items()]
    if bad:
        lines += ["### Where autodiff goes wrong", ""]
        lines += [f"- `{r['name']}`, n = {r['n']}, {r['dtype']}: *{column}* is {why}" for r, column, why in bad] + [""]
    heavy = [(r, column, why) for r in measured(result) for column, why in r.get("large", {}).items()]
    if heavy:
        lines += ["### Where autodiff needs more memory than there is", ""]
        lines += [f"- `{r['name']}`, n = {r['n']}, {r['dtype']}: *{column}* {why}" for r, column, why in heavy] + [""]
    absent = sorted({f"- `{r['name']}` in {r['dtype']}: {r['left out']}" for r in result["rows"] if "left out" in r})
    return lines + (["### Left out", "", *absent, ""] if absent else [])


def reasons(rows: Sequence[Row], column: str | None = None) -> list[str]:
    """Why each of these is slow; one line for all dtypes and sizes of a claim of which the same is to be said."""
    said: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        said.setdefault((row["name"], bench.why(row, column)), []).append(f"n = {row['n']}, {row['dtype']}")
    return [f"- `{name}` ({'; '.join(where)}): {told}" for (name, told), where in said.items()]


def kernels_section(title: str, result: Mapping[str, Any]) -> list[str]:
    """How near the closed forms are to their kernels, why some are not; every item, or of very many those above."""
    near, above, short = bench.excesses(result)
    lines = [f"### {title}", "", f"{bench.say_excesses(result)}.", ""]
    lines += [f"Above {bench.NEAR}, the worst first:", "", *reasons(above, "alone"), ""] if above else []
    lines += [
        "| claim | n | dtype | closed form | kernels alone | ratio | 95 % |",
        "|---|---:|---|" + "---:|" * 3 + "---|",
    ]
    every = [*above, *near, *short]
    for row in every if len(every) <= MOST else above:
        value, low, high = bench.excess(row)
        times = [say_seconds(row["seconds"][column]) for column in ("closed", "alone")]
        cells = [
            f"`{row['name']}`",
            str(row["n"]),
            row["dtype"],
            *times,
            f"**{value:.2f}**",
            f"{low:.2f} to {high:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def means_table(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    heads = ("chapter", "geometric mean", "as written", "as computed", "best", "worst")
    found = [f"| {' | '.join([*heads, 'faster', 'even', 'slower', 'too short'])} |", "|---|" + "---:|" * 9]
    for line in lines:
        columns = ("mean", "written", "computed", "best", "worst")
        means = (f"{line[k]:.2f}" if line[k] == line[k] else "" for k in columns)
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
