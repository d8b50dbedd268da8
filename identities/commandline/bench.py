"""`identities bench report`: tables, means by chapter and plots of what `make bench` measured; two results compared.

    identities bench report bench/results/*.json
    identities bench report FILE --all                     every item
    identities bench report FILE --against OLD             what moved beyond its interval
    identities bench report FILE... --page docs/benchmarks.md --png

A page takes its plots along, in `plots/` beside it.  matplotlib is needed for them alone; nothing is measured here.
"""

from __future__ import annotations

import argparse
import functools
import json
import pathlib
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from identities.commandline import bench_page
from identities.engine import bench

# The three verdicts, told apart by lightness too; losses are drawn as boldly as wins
COLOURS = {"faster": "#1f6f8b", "even": "#8d9399", "slower": "#c8442b"}
LINES = {
    "closed": ("#1f6f8b", "closed form"),
    "autodiff": ("#c8442b", "jax autodiff"),
    "computed": ("#e0a030", "jax, f as an expert writes it"),
    "reverse": ("#8c5a9e", "jax, reverse over reverse"),
    "torch.autograd": ("#444444", "torch.autograd"),
    "torch.func": ("#8d9399", "torch.func"),
    "numpy": ("#5b8f3a", "closed form in NumPy"),
    "operator": ("#0b3c49", "closed form, as the operator it is"),
    "matvec": ("#3fa7c9", "closed form times a vector"),
    "hvp": ("#e58e73", "jax, jvp of grad"),
}
MOST_BARS = 36


def add_commands(commands: Any) -> None:
    p = commands.add_parser("bench", help="what the benchmarks measured", description=__doc__.split("\n\n")[0])
    inner = p.add_subparsers(dest="what", required=True, metavar="report")
    p = inner.add_parser("report", help="tables, means, plots and comparisons of results")
    p.add_argument("files", nargs="+", type=pathlib.Path, metavar="FILE", help="a result, or a --benchmark-json")
    p.add_argument("--against", type=pathlib.Path, metavar="OLD", help="mark what moved beyond its interval since OLD")
    p.add_argument("--all", action="store_true", help="print every item")
    p.add_argument(
        "--page", type=pathlib.Path, metavar="PAGE", help="write a page in Markdown, with its plots, instead"
    )
    p.add_argument("--png", action="store_true", help="write each plot as PNG too")
    p.add_argument("--json", action="store_true", help="print as JSON")
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.page and not options.page.parent.is_dir():
        raise ValueError(f"there is no folder {options.page.parent} to write {options.page.name} to")
    results = {path: bench.read(path) for path in options.files}
    old = bench.read(options.against) if options.against else None
    if options.json:
        print(json.dumps([as_json(path, result, old) for path, result in results.items()], indent=1))
        return 0
    if options.page:
        write_page(options.page, results, options.png)
        return 0
    for path, result in results.items():
        print_result(path, result, options.all)
        if old is not None:
            print_comparison(bench.compare(old, result))
    return 0


def as_json(path: pathlib.Path, result: Mapping[str, Any], old: Mapping[str, Any] | None) -> dict[str, Any]:
    found = {"file": str(path), "machine": result["machine"], "rows": result["rows"]}
    found["means"] = {f"{kind} {dtype}": lines for kind, dtype, lines in bench.summaries(result)}
    return found | ({"compared": bench.compare(old, result)} if old is not None else {})


# On the terminal


def print_result(path: pathlib.Path, result: Mapping[str, Any], every: bool) -> None:
    import rich.console
    import rich.table

    console = rich.console.Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 150)
    print(f"{path}\n{bench.say_machine(result['machine'])}")
    print("ratio = time of the fastest autodiff / time of the closed form; above 1 the closed form is faster\n")
    for kind, dtype, lines in bench.summaries(result):
        n = bench.main_n(result, kind)
        table = rich.table.Table(title=f"{bench.KINDS[kind]}, n = {n}, {dtype}", title_justify="left", box=None)
        numbers = ("mean", "as written", "as computed", "best", "worst", "faster", "even", "slower", "too short")
        for heading in ("chapter", *numbers):
            table.add_column(heading, justify="left" if heading == "chapter" else "right")
        for line in lines:
            columns = ("mean", "written", "computed", "best", "worst")
            means = (f"{line[k]:.2f}" if line[k] == line[k] else "" for k in columns)
            tallies = (str(line[k] or "") for k in ("faster", "even", "slower", "small"))
            table.add_row(line["chapter"], *means, *tallies)
        console.print(table)
    for kind, title in bench.KINDS.items():
        if kind == bench.KERNELS:
            print_kernels(result)
            continue
        whole = every or kind not in bench.TABLED  # of a few items, all are shown
        rows = bench.measured(result, kind) if whole else bench.losses(result, kind)
        if rows:
            what = "every item" if whole else "where the closed form is slower"
            console.print(items_table(f"{title}: {what}", rows))
            print("" if whole else "\n".join(["", *bench_page.reasons(rows), ""]))
    absent = [r for r in result["rows"] if "left out" in r]
    for row in absent:
        print(f"left out: {row['name']} (n = {row['n']}, {row['dtype']}): {row['left out']}")


def print_kernels(result: Mapping[str, Any]) -> None:
    """How many closed forms are near their kernels, and which are not."""
    if bench.measured(result, bench.KERNELS):
        print(f"{bench.KINDS[bench.KERNELS]}: {bench.say_excesses(result)}")
        for row in bench.excesses(result)[1]:
            ratio, low, high = bench.excess(row)
            interval = f"{ratio:.2f} [{low:.2f}, {high:.2f}]"
            print(f"  {interval}  {row['name']} (n = {row['n']}, {row['dtype']}): {bench.why(row, 'alone')}")


def items_table(title: str, rows: Sequence[bench.Row]) -> Any:
    import rich.table
    import rich.text

    table = rich.table.Table(title=title, title_justify="left", box=None)
    for heading in ("claim", "n", "dtype", "closed", "autodiff / closed, by form", "headline", "95 %"):
        table.add_column(heading, justify="left" if heading in ("claim", "dtype") else "right")
    styles = {"faster": "green", "even": "", "slower": "red"}
    for row in rows:
        forms = "  ".join(f"{k} {v[0]:.2f}" for k, v in row["ratio"].items() if not k.endswith(" value"))
        best = bench.headline(row)
        told = rich.text.Text(f"{best[1][0]:.2f}", styles[bench.verdict(best[1])]) if best else ""
        interval = f"{best[1][1]:.2f} to {best[1][2]:.2f}" if best else ""
        closed = bench.say_seconds(row["seconds"]["closed"])
        table.add_row(row["name"], str(row["n"]), row["dtype"], closed, forms, told, interval)
    return table


def print_comparison(rows: Sequence[Mapping[str, Any]]) -> None:
    moved = [r for r in rows if r["moved"]]
    print(f"{len(moved)} of {len(rows)} items moved beyond their intervals")
    for r in sorted(moved, key=lambda r: r["new"][0] / r["old"][0]):
        old, new = (f"{x[0]:.2f} [{x[1]:.2f}, {x[2]:.2f}]" for x in (r["old"], r["new"]))
        print(f"  {r['moved']:<4}  {r['name']} (n = {r['n']}, {r['dtype']}): {old} -> {new}")


# The page and its plots


def write_page(page: pathlib.Path, results: Mapping[pathlib.Path, Mapping[str, Any]], png: bool) -> None:
    """The page, and plots/bench-*.svg beside it."""
    plots = {}
    for path, result in results.items():
        plots[path.stem] = draw_all(result, page.parent / "plots", f"bench-{path.stem}", png)
    page.write_text(bench_page.page({p.stem: r for p, r in results.items()}, plots), encoding="utf-8")
    print(f"{page} and {sum(map(len, plots.values()))} plots in {page.parent / 'plots'}")


def draw_all(result: Mapping[str, Any], folder: pathlib.Path, stem: str, png: bool) -> dict[str, str]:
    """All plots that the result has something for: what they show, by file name."""
    import matplotlib

    matplotlib.use("agg")
    # the same numbers give the same file, and text stays text
    matplotlib.rcParams.update({"svg.hashsalt": "identities", "svg.fonttype": "none", "font.size": 10})
    matplotlib.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left"})
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    drawers: tuple[tuple[str, Callable[[Mapping[str, Any]], Any], str], ...] = (
        (
            "gradients",
            functools.partial(bars, kind="first"),
            "Gradients: time of autodiff over time of the closed form",
        ),
        ("chapters", by_chapter, "Gradients by chapter: every claim, and the geometric mean"),
        ("hessians", functools.partial(bars, kind="second"), "Hessians and Jacobians: the same ratio"),
        ("scaling", scaling, "Time against n, with the ceiling of a matrix product"),
        ("problems", problems, "Hessians over n: JAX, torch, NumPy and the closed form"),
        ("modes", modes, "Forward and reverse mode as inputs outnumber outputs"),
    )
    for name, draw, what in drawers:
        figure = draw(result)
        if figure is None:
            continue
        caption = textwrap.fill(bench.caption(result["machine"]), int(figure.get_figwidth() * 19))
        figure.supxlabel(caption, fontsize=7.5, color="#555555", x=0.01, ha="left")
        figure.savefig(folder / f"{stem}-{name}.svg", metadata={"Date": None}, facecolor="white")
        if png:
            figure.savefig(folder / f"{stem}-{name}.png", dpi=110, facecolor="white")
        plt.close(figure)
        found[f"{stem}-{name}.svg"] = what
    return found


def bars(result: Mapping[str, Any], kind: str) -> Any:
    """One bar a claim, from parity, with its interval; a paler one for float32.  The losses are all there."""
    import matplotlib.pyplot as plt

    n = bench.main_n(result, kind)
    telling = [r for r in bench.measured(result, kind) if r["n"] == n and bench.counts(r, result["machine"])]
    by_name: dict[str, dict[str, list[float]]] = {}
    for row in telling:
        best = bench.headline(row)
        if best is not None:
            by_name.setdefault(row["name"], {})[row["dtype"]] = best[1]
    if not by_name:
        return None
    dtypes = [d for d in ("float64", "float32") if any(d in v for v in by_name.values())]
    order = sorted(by_name, key=lambda name: by_name[name].get(dtypes[0], [1.0])[0])
    if len(order) > MOST_BARS:  # the ends tell: half of the bars for the slowest, half for the fastest
        order = [*order[: MOST_BARS // 2], *order[-(MOST_BARS // 2) :]]
    figure, axes = plt.subplots(figsize=(8, 1.6 + 0.26 * len(order)), layout="constrained")
    height = 0.8 / len(dtypes)
    for i, dtype in enumerate(dtypes):
        for y, name in enumerate(order):
            if dtype not in by_name[name]:
                continue
            value, low, high = by_name[name][dtype]
            at = y + (len(dtypes) - 1 - 2 * i) * height / 2
            colour = COLOURS[bench.verdict(by_name[name][dtype])]
            axes.barh(at, value - 1, height * 0.92, left=1, color=colour, alpha=1 if i == 0 else 0.55, lw=0)
            axes.plot([low, high], [at, at], color="#222222", lw=0.9, solid_capstyle="butt")
            if i == 0:
                end = max(high, value, 1.0)
                axes.annotate(f"{value:.2g}" if value < 100 else f"{value:.0f}", (end, at), (4, 0),
                              textcoords="offset points", va="center", fontsize=7.5)  # fmt: skip
    axes.axvline(1, color="#222222", lw=1.2)
    ratio_axis(axes.xaxis, "x", axes)
    axes.set_yticks(range(len(order)), order, fontsize=8, family="monospace")
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlabel("time of the fastest autodiff / time of the closed form (log scale; bars start at parity)")
    shown = f", the {MOST_BARS // 2} slowest and fastest" if len(by_name) > MOST_BARS else ""
    second = f"; pale: {dtypes[1]}" if len(dtypes) > 1 else ""
    title = f"{bench.KINDS[kind]}{shown}, n = {n}\nfull colour: {dtypes[0]}{second}; line: 95 percent interval"
    axes.set_title(title, fontsize=10)
    axes.legend(handles=patches(), loc="upper left", frameon=False, fontsize=8)
    return figure


def ratio_axis(axis: Any, which: str, axes: Any) -> None:
    """A logarithmic axis of ratios, with plain numbers."""
    import matplotlib.ticker as ticker

    getattr(axes, f"set_{which}scale")("log")
    low, high = getattr(axes, f"get_{which}lim")()
    wide = high / low > 100
    axis.set_major_locator(ticker.LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())
    axes.grid(axis=which, which="major", alpha=0.25)
    axes.set_axisbelow(True)


def patches() -> list[Any]:
    """What the colours of the verdicts mean, for a legend."""
    from matplotlib.patches import Patch

    words = {"faster": "closed form faster", "even": "even: 1 is in the interval", "slower": "closed form slower"}
    return [Patch(color=COLOURS[k], label=words[k]) for k in words]


def by_chapter(result: Mapping[str, Any]) -> Any:
    """A dot a claim in each chapter, and the geometric mean as a bar: nothing is hidden in a mean."""
    import matplotlib.pyplot as plt

    n = bench.main_n(result, "first")
    lines = [s for s in bench.summaries(result) if s[0] == "first"]
    if not lines:
        return None
    chapters = [line["chapter"] for line in lines[0][2]]
    figure, all_axes = plt.subplots(
        1, len(lines), figsize=(8.5, 1.6 + 0.3 * len(chapters)), layout="constrained", sharey=True, squeeze=False
    )
    for axes, (_, dtype, means) in zip(all_axes[0], lines, strict=True):
        rows = bench.fastest(r for r in bench.measured(result, "first", dtype=dtype, n=n))
        rows = [r for r in rows if bench.counts(r, result["machine"])]
        for y, line in enumerate(means):
            mine = [r for r in rows if line["chapter"] in ("all", r["chapter"])]
            if line["mean"] == line["mean"]:
                axes.plot([line["mean"]] * 2, [y - 0.36, y + 0.36], color="#222222", lw=2.2, zorder=3)
            for i, row in enumerate(mine if line["chapter"] != "all" else ()):
                best = bench.headline(row)
                if best is not None:
                    spread = 0.44 * ((i * 0.618) % 1 - 0.5)
                    colour = COLOURS[bench.verdict(best[1])]
                    axes.plot(best[1][0], y + spread, "o", ms=4, alpha=0.75, mew=0, color=colour)
        axes.axvline(1, color="#222222", lw=1.0)
        ratio_axis(axes.xaxis, "x", axes)
        axes.set_title(f"{dtype}, n = {n}", fontsize=10)
        axes.set_xlabel("fastest autodiff / closed form")
    all_axes[0][0].set_yticks(range(len(chapters)), chapters, fontsize=9)
    all_axes[0][0].set_ylim(len(chapters) + 1.6, -0.7)  # from above, with room for the legend
    all_axes[0][-1].legend(handles=patches(), loc="lower right", frameon=False, fontsize=8)
    figure.suptitle("Gradients by chapter: dots are claims, bars the geometric mean", x=0.01, ha="left", fontsize=11)
    return figure


def scaling(result: Mapping[str, Any]) -> Any:
    """Time against n for the claims measured at several, with slopes 2 and 3 and the machine's own ceiling."""
    import matplotlib.pyplot as plt

    rows = bench.measured(result, "first", dtype="float64")
    names = [name for name in dict.fromkeys(r["name"] for r in rows) if sum(r["name"] == name for r in rows) > 2]
    if not names:
        return None
    size = (2.7 * len(names), 3.6)
    figure, all_axes = plt.subplots(1, len(names), figsize=size, layout="constrained", sharey=True, squeeze=False)
    peak = result["machine"].get("gemm", {}).get("float64")
    for axes, name in zip(all_axes[0], names, strict=True):
        mine = sorted((r for r in rows if r["name"] == name), key=lambda r: r["n"])
        over_n(axes, mine, ("closed", "autodiff", "computed"))
        n = [r["n"] for r in mine]
        last = mine[-1]["seconds"]["closed"] * 1e3
        for power, style in ((2, ":"), (3, "--")):
            axes.plot(n, [last * (x / n[-1]) ** power for x in n], style, color="#999999", lw=1, label=f"$n^{power}$")
        if peak:
            axes.plot(n, [2e-6 * x**3 / peak for x in n], "-", color="#bbbbbb", lw=4, alpha=0.6, zorder=0,
                      label=f"one product at {peak:g} GFLOP/s")  # fmt: skip
        axes.set_title(name, fontsize=9, family="monospace")
    least = min(min(r["seconds"].values()) for r in rows if r["name"] in names)
    all_axes[0][0].set_ylim(bottom=least * 1e3 / 3)
    all_axes[0][0].set_ylabel("milliseconds")
    below(figure, all_axes[0])
    figure.suptitle("Time against n, float64", x=0.01, ha="left", fontsize=11)
    return figure


def over_n(axes: Any, rows: Sequence[bench.Row], columns: Sequence[str]) -> None:
    """The time of some columns against n, both logarithmic, at the n that were measured."""
    import matplotlib.ticker as ticker

    for column in columns:
        points = [(r["n"], r["seconds"][column] * 1e3) for r in rows if column in r["seconds"]]
        if points:
            colour, label = LINES[column]
            axes.plot(*zip(*points, strict=True), "o-", ms=3.5, lw=1.6, color=colour, label=label)
    axes.set(xscale="log", yscale="log", xlabel="n")
    axes.xaxis.set_major_locator(ticker.FixedLocator([r["n"] for r in rows]))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda y, _: f"{y:g}"))
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(alpha=0.25)


def below(figure: Any, all_axes: Any) -> None:
    """One legend for all plots of a figure: a line may be in some of them only."""
    pairs = [pair for axes in all_axes for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    labelled = {label: handle for handle, label in reversed(pairs)}
    labels = list(dict.fromkeys(label for _, label in pairs))
    figure.legend([labelled[x] for x in labels], labels, loc="outside right upper", frameon=False, fontsize=8)


def problems(result: Mapping[str, Any]) -> Any:
    """The problems: Hessians over n."""
    import matplotlib.pyplot as plt

    rows = [r for r in bench.measured(result, "peers", dtype="float64") if r["chapter"] == "problems"]
    names = list(dict.fromkeys(r["name"] for r in rows))
    if not names:
        return None
    figure, all_axes = plt.subplots(1, len(names), figsize=(3.4 * len(names), 3.8), layout="constrained", squeeze=False)
    for axes, name in zip(all_axes[0], names, strict=True):
        over_n(axes, sorted((r for r in rows if r["name"] == name), key=lambda r: r["n"]), tuple(LINES))
        axes.set_title(name, fontsize=10)
    all_axes[0][0].set_ylabel("milliseconds")
    below(figure, all_axes[0])
    figure.suptitle("A Hessian, all entries and times a vector, float64", x=0.01, ha="left", fontsize=11)
    return figure


def modes(result: Mapping[str, Any]) -> Any:
    """The Jacobian of a layer by forward and by reverse mode, from few inputs to many."""
    import matplotlib.pyplot as plt

    rows = sorted(bench.measured(result, "modes", dtype="float64"), key=lambda r: r["n"])
    if not rows:
        return None
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    labels = {"closed": "closed form", "autodiff": "forward (jacfwd)", "reverse": "reverse (jacrev)"}
    for column, label in labels.items():
        x = [r["n"] / r["dims"]["m"] for r in rows]
        axes.plot(x, [r["seconds"][column] * 1e3 for r in rows], "o-", ms=4, color=LINES[column][0], label=label)
    axes.axvline(1, color="#999999", lw=1, ls=":")
    axes.set(xlabel="inputs / outputs, at a constant number of entries", ylabel="milliseconds", yscale="log")
    ratio_axis(axes.xaxis, "x", axes)
    ratio_axis(axes.yaxis, "y", axes)
    axes.legend(frameon=False, fontsize=8, loc="upper center")
    entries = rows[0]["n"] * rows[0]["dims"]["m"]
    axes.set_title(f"Jacobian of a layer, {entries:,} entries, float64", fontsize=10)
    return figure
