"""Does a check scale?  Every claim that holds and has the content of a few matrices, at n up to 2048, in float64.

    python -m trials.scale [--only TEXT] [--sizes 512,1024,2048]

A check of an identity is what `identities check NAME --dims n=2048 --dtype float64 --shapes 1 --probe always` does: one
draw, one program, gradients and values as a whole, Jacobians and Hessians along a random direction.  Its wall time,
with drawing, tracing, compiling and running, is shared by the claims of the identity; the exponent is the slope of a
line through the logarithms of time and n.  A claim takes part unless something that it is about is larger than one GiB
at n = 2048: its derivative, where the closed form is no operator; or an array inside the function as the book writes
it, or inside the closed form.  Those are listed with what is too large, and tried at the largest n (a power of two)
that fits; so are those that would take minutes, as eigenvalues of general matrices do.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import re
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from bench.dims import Sizes, abstract, sizes_of, traced_largest
from identities.engine.errors import TooLarge
from identities.engine.identity import Claim
from trials.common import DOCS, PLOTS, RESULTS, ROOT, machine, read_json, say_machine, write, write_json

SIZES = (512, 1024, 2048)
LARGEST = 2**27  # numbers in one array: 1 GiB in float64
SMALLEST = 16
WANTED_EXPONENT = 3.2
UNTOLD = ("is not finite", "differences resolve no draw")  # what is no disagreement
PATIENCE = 150  # seconds for the check of an identity, foretold by that at half of n


@dataclasses.dataclass(frozen=True)
class Plan:
    """At which n a claim is tried, and what keeps it from the largest."""

    n: int
    dims: dict[str, int]
    why: str = ""


def plan(claim: Claim, n: int) -> Plan:
    """The largest n up to this one at which all that the claim is about fits into a GiB an array."""
    why = ""
    while True:
        sizes = sizes_of(claim, n)
        reason = too_large(claim, sizes)
        if not reason or n <= SMALLEST:
            return Plan(n, sizes.dims | sizes.counts, why)
        why, n = why or reason, n // 2


def too_large(claim: Claim, sizes: Sizes) -> str:
    """What is larger than a GiB, or ""."""
    arrays = abstract(claim, sizes)
    arrays |= {name: arrays[name[1:]] for name in claim.tangents}
    counts = tuple(sorted(sizes.counts.items()))
    shapes = tuple((n, a.shape, a.dtype) for n, a in arrays.items())
    named = tuple(s for s in shapes if s[0] in claim.operands)
    with jax.enable_x64(True):
        result = jax.eval_shape(lambda a: claim.function(**a, **dict(counts)), arrays)
    numbers = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(result))
    if numbers > LARGEST:
        return f"the {claim.kind} has {math.prod(result.shape):.2g} entries, and the closed form is no operator"
    if (inside := traced_largest(claim.identity.function, named, counts)) > LARGEST:
        return f"f as the book writes it forms an array of {inside:.2g} numbers"
    if (inside := traced_largest(claim.function, shapes, counts)) > LARGEST:
        return f"the closed form, as it is printed, forms an array of {inside:.2g} numbers"
    if claim.structure and claim.kind in ("jacobian", "hessian"):
        return f"a {claim.kind} by structured entries is checked as a whole"
    return ""


def measure(claims: Sequence[Claim], dims: dict[str, int]) -> dict[str, Any]:
    """The wall time of one check of these claims, and what it found."""
    from identities.engine.checking import Options, examine

    jax.clear_caches()
    started = time.perf_counter()
    verdicts = examine(claims, Options(("float64",), dims, shapes=1, diagnose=False, probe=True))
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds / len(claims),
        "eps": {v.claim: float(f"{v.residual:.3g}") for v in verdicts},
        "failed": {v.claim: v.problem or f"{v.residual:.3g} eps" for v in verdicts if not v.ok},
    }


def exponent(seconds: dict[int, float]) -> float:
    """The slope of a line through log time over log n."""
    n, t = (np.log(np.array(list(x), float)) for x in (seconds, seconds.values()))
    return float(np.polyfit(n, t, 1)[0])


def slope_of(row: dict[str, Any]) -> float:
    return exponent({int(n): seconds for n, seconds in row["seconds"].items()})


def run(only: str, sizes: Sequence[int], fresh: bool) -> dict[str, Any]:
    """Measure every identity at every size, from where an earlier run was cut off."""
    import identities
    from identities.engine.checking import groups

    claims = [c for c in identities.catalogue().values() if only in c.name and c.status == "holds"]
    if not claims:
        raise ValueError(f"no claim that holds has {only!r} in its name")
    journal = ROOT / ".cache" / "scale.jsonl"
    done = {} if fresh or only or not journal.exists() else dict(map(json.loads, journal.read_text().splitlines()))
    rows = []
    for group in groups(claims):
        planned: dict[tuple[int, str], list[Claim]] = {}
        plans = {c.name: plan(c, max(sizes)) for c in group}
        for c in group:
            planned.setdefault((plans[c.name].n, plans[c.name].why), []).append(c)
        for (largest, why), mine in planned.items():
            key = " ".join([*(c.name for c in mine), str(largest)])
            if key not in done:
                found: dict[str, Any] = {"claims": [c.name for c in mine], "n": largest, "why": why}
                found |= {"seconds": {}, "eps": {}, "failed": {}}
                for n in [n for n in sizes if n < largest] + [largest] if not why else [largest]:
                    expected = 8 * len(mine) * max(found["seconds"].values(), default=0.0)
                    if expected > PATIENCE and n > found["n"] // 2:
                        found |= {"n": n // 2, "why": f"a check of its identity takes more than {PATIENCE} s"}
                        break
                    at = sizes_of(mine[0], n)
                    if not (at.dims or at.counts):
                        found["why"] = "its dims are fixed"
                    try:
                        one = measure(mine, at.dims | at.counts)
                    except TooLarge as error:
                        found |= {
                            "n": n // 2,
                            "why": f"a check {re.sub('^.* needs', 'needs', str(error))}".split(";")[0],
                        }
                        break
                    found["seconds"][str(n)] = float(f"{one['seconds']:.4g}")
                    found |= {"eps": one["eps"], "failed": one["failed"]}
                done[key] = found
                if not only:
                    journal.parent.mkdir(parents=True, exist_ok=True)
                    with journal.open("a", encoding="utf-8") as file:
                        file.write(json.dumps([key, found]) + "\n")
            rows.append(excused(done[key]))
            print(f"{mine[0].name:36} {len(mine)} {done[key]['seconds']} {done[key]['failed'] or ''}", flush=True)
    return {
        "command": "make scale",
        "machine": machine(),
        "sizes": list(sizes),
        "minutes": round(sum(s * len(r["claims"]) for r in rows for s in r["seconds"].values()) / 60, 1),
        "rows": rows,
    }


def excused(row: dict[str, Any]) -> dict[str, Any]:
    """A row of which some check could not tell, with the reason in place of a failure; a disagreement stays one."""
    reasons = {why for why in row["failed"].values() if any(x in why for x in UNTOLD)}
    if not reasons or len(reasons) < len(set(row["failed"].values())):
        return row
    return row | {"why": f"at n = {row['n']} {'; '.join(sorted(reasons))}", "failed": {}}


def claims_of(rows: Sequence[dict[str, Any]]) -> int:
    return sum(len(row["claims"]) for row in rows)


def scaling(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that were measured at every size."""
    return [row for row in result["rows"] if not row["why"]]


def reduced(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in result["rows"] if row["why"]]


def each(rows: Sequence[dict[str, Any]], n: int) -> list[float]:
    """Seconds a claim at n, claim by claim."""
    return [row["seconds"][str(n)] for row in rows for _ in row["claims"]]


def exponents(result: dict[str, Any]) -> list[tuple[float, str]]:
    """The exponent of each row, the largest first, with its first claim."""
    return sorted(((slope_of(row), row["claims"][0]) for row in scaling(result)), reverse=True)


def plot(result: dict[str, Any], path: Any) -> None:
    """Seconds a claim over n: every identity, the median, and the slope n^3."""
    from trials.common import figure, save

    sizes, rows = result["sizes"], scaling(result)
    drawing, axes = figure()
    for row in rows:
        axes.plot(sizes, [row["seconds"][str(n)] for n in sizes], color="#7a8ea3", lw=0.6, alpha=0.35)
    middle = [statistics.median(each(rows, n)) for n in sizes]
    axes.plot(sizes, middle, color="#b3261e", lw=2.2, marker="o", ms=4, label="median of all claims")
    axes.plot(sizes, [middle[-1] * (n / sizes[-1]) ** 3 for n in sizes], "--", color="#444", lw=1, label="slope n³")
    axes.set(xscale="log", yscale="log", xlabel="n", ylabel="seconds a claim")
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    axes.legend(frameon=False)
    save(drawing, path)


def page(result: dict[str, Any]) -> str:
    """docs/scale.md."""
    rows, largest = scaling(result), max(result["sizes"])
    found, seconds = exponents(result), each(rows, largest)
    eps = [value for row in rows for value in row["eps"].values()]
    lines = [
        "# Scale: what a check costs at large dims",
        "",
        f"**{claims_of(rows)} of {claims_of(result['rows'])} claims are checked at n = {largest} in float64, in "
        f"{statistics.median(seconds):.2f} s each (median; slowest {max(seconds):.1f} s), and the time grows with "
        f"exponent {statistics.median(e for e, _ in found):.2f} (median; largest {found[0][0]:.2f}, "
        f"`{found[0][1]}`).** "
        f"The worst residual there is {max(eps):.3g} eps, of 1000.",
        "",
        f"`{result['command']}`: {result['minutes']} min; {say_machine(result['machine'])}.",
        "",
        *(line for line in (__doc__ or "").split("\n\n", 1)[1].split("\n\n", 1)[1].strip().splitlines()),
        "",
        "A derivative with more than a million entries is never formed: what is missed along a direction, and with",
        "what chance, is said in [engine/probing.py](../identities/engine/probing.py) and in the verdict. Jacobians",
        "and Hessians with the content of a few matrices are operators, of which `matvec` alone is asked. Large draws",
        "take n² operations: two orthogonal factors would cost more than most checks.",
        "",
        "![Seconds a claim over n](plots/scale.svg)",
        "",
        "| n | median, s | 90 % below, s | slowest, s |",
        "|---:|---:|---:|---:|",
    ]
    for n in result["sizes"]:
        times = sorted(each(rows, n))
        at = times[min(len(times) - 1, int(0.9 * len(times)))]
        lines.append(f"| {n} | {statistics.median(times):.3f} | {at:.2f} | {max(times):.1f} |")
    slow = sorted(rows, key=lambda r: -r["seconds"][str(largest)])[:10]
    lines += ["", f"## The slowest at n = {largest}", "", "| claims | s a claim | exponent |", "|---|---:|---:|"]
    for row in slow:
        names = ", ".join(f"`{name}`" for name in row["claims"][:4]) + (" …" if len(row["claims"]) > 4 else "")
        lines.append(f"| {names} | {row['seconds'][str(largest)]:.1f} | {slope_of(row):.2f} |")
    above = [(e, name) for e, name in found if e > WANTED_EXPONENT]
    lines += [
        "",
        f"Exponents above {WANTED_EXPONENT}: " + (", ".join(f"`{n}` {e:.2f}" for e, n in above) or "none") + ".",
    ]
    others: dict[str, list[tuple[str, int]]] = {}
    for row in reduced(result):
        others.setdefault(row["why"], []).extend((name, row["n"]) for name in row["claims"])
    lines += ["", f"## Not at n = {largest}, and why", ""]
    for why, named in sorted(others.items(), key=lambda item: -len(item[1])):
        shown = ", ".join(f"`{name}`" + (f" ({n})" if why != "its dims are fixed" else "") for name, n in named)
        lines.append(f"- {why}: {shown}.")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m trials.scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", metavar="TEXT", default="", help="claims whose name contains TEXT")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), metavar="N,N,...", help="default %(default)s")
    parser.add_argument("--fresh", action="store_true", help="begin again, whatever was measured before")
    parser.add_argument("--page", action="store_true", help="write the page again from the last result")
    options = parser.parse_args(arguments)
    where = RESULTS / "scale.json"
    try:
        sizes = tuple(int(n) for n in options.sizes.split(","))
        result = read_json(where) if options.page else run(options.only, sizes, options.fresh)
    except (ValueError, FileNotFoundError) as error:
        print(f"scale: {error}", file=sys.stderr)
        return 2
    failed = {name: why for row in result["rows"] for name, why in row["failed"].items()}
    rows, largest = scaling(result), max(result["sizes"])
    if rows:
        seconds, (steepest, name) = each(rows, largest), exponents(result)[0]
        print(
            f"{claims_of(rows)} of {claims_of(result['rows'])} claims at n = {largest}: "
            f"median {statistics.median(seconds):.2f} s, slowest {max(seconds):.1f} s; "
            f"steepest exponent {steepest:.2f} ({name})"
        )
    if options.page or not options.only:
        write_json(where, result)
        plot(result, PLOTS / "scale.svg")
        write(DOCS / "scale.md", page(result))
    for name, why in failed.items():
        print(f"{name}: {why}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
