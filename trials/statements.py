"""The language of statements on trial: true equations are edited, one slip at a time, and each must be refuted.

    python -m trials.statements [--only NAME] [--processes N] [--seeds N] [--list] [--page]

A mutant is written as LaTeX, read again with the operands of its claim, and decided as anyone's statement is.  It is
refuted, or it is an error, since it cannot be read, its shapes clash or no draw tells.  One that counts as true is
decided again at 50 draws of each of two ladders of sizes and one square draw.  If it is refuted then, it was accepted
and is false; if not, the smallest expression around the slip that keeps its value is the reason, measured, and must
stand in trials/statement_equivalents.csv.  Where there is none, a reason is written there by hand, or it survives.
Every statement that holds is decided over many seeds as well, and none may be refuted.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import csv
import dataclasses
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from trials.common import DOCS, RESULTS, ROOT, machine, read_json, say_machine, write, write_json

FATES = ("refuted", "shapes", "unread", "no evidence", "equivalent", "survived", "accepted")
MANY = 50  # draws of each ladder, before a mutant counts as equivalent
SEEDS = 100
TARGET = 2000
EQUIVALENTS = ROOT / "trials" / "statement_equivalents.csv"


@dataclasses.dataclass
class Fate:
    """What became of one mutant."""

    claim: str
    operator: str
    edit: str
    fate: str
    why: str = ""


def claims_that_hold(only: str | None = None) -> list[Any]:
    """The claims whose statements are read and hold.  Raises ValueError where there is none."""
    import identities
    from identities.statements.claims import stated

    found = [c for c in identities.catalogue().values() if c.status == "holds" and (not only or only in c.name)]
    found = [c for c in found if not isinstance(stated(c), str)]
    if not found:
        raise ValueError(f"no claim that holds and is read is named {only or ''!r}")
    return found


def fates_of(claim: Any) -> list[Fate]:
    """The mutants of one statement."""
    from identities.statements.claims import stated
    from trials.statement_mutations import slips

    one = stated(claim)
    return [judged(claim, slip) for slip in slips(one.decider.statement, one.decider.meaning.kinds)]


def judged(claim: Any, slip: Any) -> Fate:
    """The fate of one mutant, without the committed reasons."""
    from identities.statements.errors import NoEvidence, StatementError, WrongShapes
    from identities.statements.printing import latex

    fate = Fate(claim.name, slip.operator, slip.edit, "refuted")
    text = latex(slip.statement)
    try:
        if decided(claim, text, 0, 4):
            if decided(claim, text, 100_000, MANY):
                fate.fate, fate.why = "survived", reason(claim, slip)
            else:
                fate.fate = "accepted"
    except WrongShapes as error:
        fate.fate, fate.why = "shapes", error.message
    except NoEvidence as error:
        fate.fate, fate.why = "no evidence", error.message
    except StatementError as error:
        fate.fate, fate.why = "unread", error.message
    return fate


def decided(claim: Any, text: str, seed: int, draws: int) -> bool:
    """Whether a text about the operands of a claim is true.  Raises StatementError."""
    from identities.statements.checking import prepare
    from identities.statements.claims import declared

    return prepare(text, declared(claim)).decider().decide(seed, draws).ok


def reason(claim: Any, slip: Any) -> str:
    """The smallest expression around the slip that keeps its value, measured, and the rule by its form; or ""."""
    from identities.statements.errors import StatementError
    from identities.statements.printing import latex

    for before, after in slip.chain:
        statement = dataclasses.replace(slip.statement, sides=(before, after), premises=())
        try:
            same = decided(claim, latex(statement), 200_000, MANY)
        except StatementError:  # it holds indices that a sum around it binds, or its shape clashes
            continue
        if same:
            return f"{rule(slip, before)}: {latex(before)} = {latex(after)}"
    return ""


def rule(slip: Any, node: Any) -> str:
    """Why an expression of this form does not see the slip."""
    from identities.statements.syntax import Add, Apply, Derivative, Modulus, Norm, Product

    if node is slip.chain[0][0]:
        return {
            "transpose added": "the matrix is symmetric",
            "transpose dropped": "the matrix is symmetric, or a number",
            "inverse transposed": "the matrix is symmetric",
            "factors swapped": "the factors commute",
            "indices swapped": "the array is symmetric in these indices",
            "another letter": "the letters have one value",
        }.get(slip.operator, "the value is the same")
    if isinstance(node, Apply):
        return {"tr": "tr X' = tr X, tr AB = tr BA", "det": "det X' = det X, det AB = det BA"}.get(
            node.function, f"{node.function} does not see it"
        )
    if isinstance(node, Norm | Modulus):
        return "the norm does not see it"
    if isinstance(node, Derivative):
        return "the derivative does not see it"
    if isinstance(node, Product):
        return "the product is a number, its own transpose"
    if isinstance(node, Add):
        return "a number beside a vector counts for every entry"
    return "the expression around it does not see it"


def reasons() -> dict[tuple[str, str], str]:
    """The committed reasons, by claim and edit."""
    if not EQUIVALENTS.exists():
        return {}
    with EQUIVALENTS.open(encoding="utf-8", newline="") as file:
        return {(row["claim"], row["edit"]): row["reason"] for row in csv.DictReader(file)}


def excused(fate: Fate, known: dict[tuple[str, str], str]) -> Fate:
    """A mutant that is true at all draws is equivalent if the committed list says why."""
    if fate.fate == "survived" and (fate.claim, fate.edit) in known:
        return dataclasses.replace(fate, fate="equivalent", why=known[fate.claim, fate.edit])
    return fate


def alarms(claim: Any, seeds: int) -> list[str]:
    """The seeds at which a true statement is refuted, or at which none of its draws tells."""
    from identities.statements.claims import stated
    from identities.statements.errors import StatementError

    decider = stated(claim).decider  # type: ignore[union-attr]
    found = []
    for seed in range(seeds):
        try:
            if not decider.decide(seed * 10_007, 1).ok:
                found.append(f"seed {seed}: refuted")
        except StatementError as error:
            found.append(f"seed {seed}: {error.message}")
    return found


def try_part(only: str | None, part: int, parts: int, seeds: int) -> tuple[list[Fate], dict[str, list[str]]]:
    """The mutants and the alarms of every claim of a part, in a process of its own."""
    fates: list[Fate] = []
    alarmed: dict[str, list[str]] = {}
    for claim in claims_that_hold(only)[part::parts]:
        fates += fates_of(claim)
        found = alarms(claim, seeds)
        if found:
            alarmed[claim.name] = found
    return fates, alarmed


def run(only: str | None, processes: int, seeds: int, renew: bool = False) -> tuple[dict[str, Any], list[Fate]]:
    """Try all mutants and all seeds: the result to keep, and every fate."""
    import rich.progress

    started = time.perf_counter()
    chosen = claims_that_hold(only)
    parts = 1 if only else 12
    fates: list[Fate] = []
    alarmed: dict[str, list[str]] = {}
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(processes, mp_context=context)
    with pool, rich.progress.Progress(transient=True) as progress:
        task = progress.add_task("statements", total=parts)
        for done in concurrent.futures.as_completed(
            [pool.submit(try_part, only, part, parts, seeds) for part in range(parts)]
        ):
            more, alarm = done.result()
            fates += more
            alarmed |= alarm
            progress.advance(task)
    order = {claim.name: k for k, claim in enumerate(chosen)}
    fates.sort(key=lambda f: (order[f.claim], f.edit))
    if renew:
        write_reasons(fates)
    known = reasons()
    fates = [excused(f, known) for f in fates]
    return {
        "machine": machine(),
        "command": "make statements",
        "seconds": round(time.perf_counter() - started, 1),
        "many": 2 * MANY + 1,
        "statements": len(chosen),
        "seeds": seeds,
        "alarms": alarmed,
        "mutants": len(fates),
        "operator": count(fates),
        "unrefuted": [
            dataclasses.asdict(f) for f in fates if f.fate in ("equivalent", "survived", "accepted", "no evidence")
        ],
    }, fates


def count(fates: Iterable[Fate]) -> dict[str, dict[str, int]]:
    """How many mutants met each fate, by operator."""
    table: dict[str, collections.Counter[str]] = {}
    for fate in fates:
        table.setdefault(fate.operator, collections.Counter())[fate.fate] += 1
    return {name: {fate: row[fate] for fate in FATES if row[fate]} for name, row in sorted(table.items())}


def totals(result: dict[str, Any]) -> collections.Counter[str]:
    total: collections.Counter[str] = collections.Counter()
    for row in result["operator"].values():
        total.update(row)
    return total


def page(result: dict[str, Any]) -> str:
    """The page that tells what a run found."""
    total = totals(result)
    refuted = sum(any("refuted" in one for one in found) for found in result["alarms"].values())
    silent = len(result["alarms"]) - refuted
    lines = [
        "# Statements: false ones refuted, true ones left alone",
        "",
        f"{result['mutants']} slips were planted in the {result['statements']} statements of the book that hold and",
        "are read, one at a time: a transpose added or dropped, factors or indices swapped, a sign, a coefficient, an",
        "exponent, a term or a factor dropped, an inverse transposed, one letter for another of its shape.",
        f"{total['refuted']} were refuted; {total['shapes']} are errors since their shapes clash, {total['unread']}",
        f"since they are not read; of {total['no evidence']} no draw tells. {total['equivalent']} are true, for the",
        f"reasons below; {total['survived']} count as true without a reason, and {total['accepted']} false ones were",
        "accepted.",
        "",
        f"Each statement that holds was decided over {result['seeds']} seeds: {refuted} were refuted at some seed, of",
        f"{silent} some seed told nothing.",
        "",
        f"`{result['command']}`: {result['seconds']:.0f} s; {say_machine(result['machine'])}.",
        "A mutant is written as LaTeX and read again, so the reader is on trial with it. One that counts as true is",
        f"decided again at {result['many']} draws, of general shapes and square ones.",
        "",
        "## By slip",
        "",
        "| slip | mutants | refuted | shapes | unread | no evidence | equivalent | survived | accepted |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, counts in result["operator"].items():
        cells = " | ".join(str(counts.get(fate, 0)) for fate in FATES)
        lines.append(f"| {name} | {sum(counts.values())} | {cells} |")
    lines += ["", "## Equivalent mutants", ""]
    lines.append("The rule is named by the form of the smallest expression around the slip that keeps its value:")
    lines.append("")
    equivalents = [f for f in result["unrefuted"] if f["fate"] == "equivalent"]
    rules = collections.Counter(f["why"].split(":")[0] for f in equivalents)
    lines += [f"- {why}: {number}" for why, number in rules.most_common()] or ["- none"]
    lines += ["", "Each with its expression: `trials/statement_equivalents.csv`."]
    for fate, heading in (
        ("accepted", "Accepted, and false"),
        ("survived", "Without a reason"),
        ("no evidence", "Without evidence"),
    ):
        found = [f for f in result["unrefuted"] if f["fate"] == fate]
        if found:
            lines += ["", f"## {heading}", ""]
            lines += [f"- `{f['claim']}`, {f['edit']}" + (f": {f['why']}" if f["why"] else "") for f in found]
    if result["alarms"]:
        lines += ["", "## True statements that were not found true", ""]
        lines += [f"- `{name}`: {found[0]} ({len(found)} seeds)" for name, found in result["alarms"].items()]
    return "\n".join(lines) + "\n"


def write_reasons(fates: Sequence[Fate]) -> None:
    """The list of equivalents, written again from what was measured; one that was written by hand stays."""
    known = {key: why for key, why in reasons().items() if not (": " in why and " = " in why)}
    alive = [f for f in fates if f.fate == "survived"]
    rows = [(f.claim, f.edit, f.why or known.get((f.claim, f.edit), "")) for f in alive]
    rows = [row for row in rows if row[2]]
    with EQUIVALENTS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("claim", "edit", "reason"))
        writer.writerows(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m trials.statements", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="TEXT", help="claims whose name contains TEXT")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="default: 2")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"of each statement that holds; default: {SEEDS}")
    parser.add_argument("--list", action="store_true", help="print every mutant and its fate")
    parser.add_argument("--page", action="store_true", help="write the page again from the last result")
    parser.add_argument("--reasons", action="store_true", help="write the list of equivalents again, to be read over")
    options = parser.parse_args(arguments)
    where = RESULTS / "statements.json"
    try:
        result, fates = (
            (read_json(where), [])
            if options.page
            else run(options.only, options.processes, options.seeds, options.reasons)
        )
    except (ValueError, FileNotFoundError) as error:
        print(f"statements: {error}", file=sys.stderr)
        return 2
    for fate in fates:
        if options.list or fate.fate in ("survived", "accepted"):
            print(f"{fate.fate:<12} {fate.claim}: {fate.edit}" + (f"  [{fate.why}]" if fate.why else ""))
    total = totals(result)
    print(f"{result['mutants']} mutants: " + ", ".join(f"{total[fate]} {fate}" for fate in FATES))
    print(f"{result['statements']} statements, {result['seeds']} seeds each: {len(result['alarms'])} with an alarm")
    for name, found in result["alarms"].items():
        print(f"alarm        {name}: {found[0]} ({len(found)} seeds)")
    if not options.only:
        write_json(where, result)
        write(DOCS / "statements.md", page(result))
    few = not options.only and total["refuted"] < TARGET
    refuted = any("refuted" in one for found in result["alarms"].values() for one in found)
    return 1 if total["survived"] or total["accepted"] or refuted or few else 0


if __name__ == "__main__":
    raise SystemExit(main())
