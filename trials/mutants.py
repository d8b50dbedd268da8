"""Power, measured: every closed form is edited, one slip at a time, and the check must notice.

    python -m trials.mutants [--only NAME] [--chapter NAME] [--processes N] [--list] [--page]

A mutant is tried at the three telling shapes, at a few draws each, and judged by the law of the book
(identities.engine.tolerance).  It is killed by value where it returns finite numbers of the right shape that the law
refuses; killed by raising, by its shape, or by a value that is no finite number, otherwise.  What survives must be
equivalent: by a named rule, which is measured on the edited expression itself, or by agreement at three telling
shapes and 1,000 draws together with a reason in trials/equivalents.csv.  Anything else is a survivor.
"""

from __future__ import annotations

import argparse
import ast
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

import numpy as np

from trials.common import DOCS, RESULTS, ROOT, machine, read_json, say_machine, write, write_json

DRAWS, MANY = 3, 1000
TARGET = 1500
FATES = ("value", "not finite", "shape", "raised", "rule", "reason", "survived")
EQUIVALENTS = ROOT / "trials" / "equivalents.csv"
AT_ONCE = 80  # mutants in one program


@dataclasses.dataclass
class Fate:
    """What became of one mutant."""

    chapter: str
    claim: str
    operator: str
    edit: str
    fate: str = "survived"
    why: str = ""


class Trial:
    """The mutants of some claims that share their operands."""

    def __init__(self, claims: Sequence[Any], shapes: int = 3):
        from trials.mutations import mutants

        self.claims = list(claims)
        self.cases = claims[0].cases(0, shapes)
        self.mutants = [(claim, mutant) for claim in claims for mutant in mutants(claim)]
        self.fates = [Fate(c.chapter, c.name, m.operator, m.edit) for c, m in self.mutants]
        self.functions = [self._function(c, m) for c, m in self.mutants]

    @staticmethod
    def _function(claim: Any, mutant: Any) -> Any:
        f = claim.function
        scope = dict(f.__globals__)
        if f.__closure__:
            scope |= dict(zip(f.__code__.co_freevars, (cell.cell_contents for cell in f.__closure__), strict=True))
        exec(compile(mutant.source, f"<{claim.name}>", "exec"), scope)
        return scope[claim.function.__name__]

    def draw(self, case: Any, seed: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for claim in self.claims:
            values |= claim.draw(case, seed)
        return {n: np.asarray(v) for n, v in values.items() if not isinstance(v, int)}

    def program(self, case: Any, chosen: Sequence[int]) -> tuple[Any, dict[int, str]]:
        """f, each reference and each chosen mutant at one case, compiled; and what could not be traced."""
        import jax
        import jax.numpy as jnp

        from identities.engine.program import cpu_options

        problems: dict[int, str] = {}

        def trace(arrays: dict[str, Any]) -> dict[Any, Any]:
            plain = {n: arrays[n] for n in self.claims[0].operands if n in arrays}
            found: dict[Any, Any] = {"value": self.claims[0].identity.function(**plain, **case.counts)}
            for claim in {id(c): c for c, _ in (self.mutants[i] for i in chosen)}.values():
                mine = {n: arrays[n] for n in (*claim.operands, *claim.tangents) if n in arrays}
                found[claim.name] = claim.reference_function(**mine, **case.counts)
            for i in chosen:
                claim = self.mutants[i][0]
                mine = {n: arrays[n] for n in (*claim.operands, *claim.tangents) if n in arrays}
                try:
                    result = self.functions[i](**mine, **case.counts)
                    result = result.todense() if hasattr(result, "todense") else result
                    found[f"mutant {i}"] = jnp.asarray(result)
                except Exception as error:  # a mutant that cannot be traced has been noticed
                    problems[i] = type(error).__name__
            return found

        compiled = jax.jit(trace).lower(self.draw(case, 0)).compile(compiler_options=cpu_options())
        return compiled, problems

    def run(self, limit: float) -> None:
        """Kill what can be killed, shape by shape."""
        alive = list(range(len(self.mutants)))
        for case in self.cases:
            for start in range(0, len(alive), AT_ONCE):
                self._try(case, alive[start : start + AT_ONCE], DRAWS, limit)
            alive = [i for i in alive if self.fates[i].fate != "value"]
        for i in alive:
            if self.fates[i].fate == "survived":
                self.fates[i].fate, self.fates[i].why = self._excuse(i, limit)

    def _try(self, case: Any, chosen: Sequence[int], draws: int, limit: float) -> None:
        import jax

        from identities.engine import tolerance
        from identities.engine.shapes import stream

        compiled, problems = self.program(case, chosen)
        for i, why in problems.items():
            self._notice(i, "raised", why)
        open_ones = [i for i in chosen if i not in problems]
        eps = tolerance.eps_of("float64")
        for seed in range(draws):
            operands = self.draw(case, seed)
            row = jax.device_get(compiled(operands))
            moved: dict[float, list[Any]] = {}

            def more(
                name: str, reference: np.ndarray, by: float, operands: Any = operands, moved: Any = moved
            ) -> float:
                if by not in moved:
                    rng = stream("perturbation", 0)
                    moved[by] = [
                        jax.device_get(compiled(tolerance.perturbed(operands, rng, by)))
                        for _ in range(tolerance.PERTURBATIONS)
                    ]
                return tolerance.sensitivity(reference, [np.asarray(m[name]) for m in moved[by]], by)

            for i in open_ones:
                claim, got = self.mutants[i][0], np.asarray(row[f"mutant {i}"])
                reference = np.asarray(row[claim.name])
                if got.shape != reference.shape:
                    self._notice(i, "shape", f"{got.shape} for {reference.shape}")
                elif got.dtype.kind != reference.dtype.kind:
                    self._notice(i, "raised", f"dtype {got.dtype.name}")
                elif not np.all(np.isfinite(got)):
                    self._notice(i, "not finite", "")
                else:
                    f_scale = tolerance.function_scale(claim, np.asarray(row["value"]), operands)
                    found, _ = tolerance.residual(
                        got,
                        reference,
                        eps,
                        f_scale,
                        lambda by, n=claim.name, r=reference: more(n, r, by),  # type: ignore[misc]
                    )
                    if found > limit * claim.slack:
                        self.fates[i].fate, self.fates[i].why = "value", str(case)
            open_ones = [i for i in open_ones if self.fates[i].fate != "value"]

    def _notice(self, i: int, fate: str, why: str) -> None:
        if self.fates[i].fate in ("survived", "raised", "shape"):
            self.fates[i].fate, self.fates[i].why = fate, why

    def _excuse(self, i: int, limit: float) -> tuple[str, str]:
        """The rule or the reason by which a mutant is equivalent, after 1,000 draws at each shape; else it survived."""
        claim, mutant = self.mutants[i]
        rule = named_rule(claim, mutant, self.cases)
        reason = reasons().get(mutant.key, "")
        if not rule and not reason:
            return "survived", ""
        if not rule:
            for case in self.cases:
                self._try(case, [i], MANY, limit)
            if self.fates[i].fate == "value":
                return "survived", "it differs at one of 1,000 draws"
        return ("rule", rule) if rule else ("reason", reason)


def reasons() -> dict[str, str]:
    """The reasons by which mutants are equivalent, by claim and edit."""
    if not EQUIVALENTS.exists():
        return {}
    with EQUIVALENTS.open(encoding="utf-8", newline="") as file:
        return {f"{row['claim']}: {row['edit']}": row["reason"] for row in csv.DictReader(file)}


# An expression around the edit that has the same value before and after, and why
INVARIANT = {
    "trace": "tr X' = tr X and tr AB = tr BA",
    "det": "det X' = det X and det AB = det BA",
    "slogdet": "det X' = det X and det AB = det BA",
    "diagonal": "X and X' share their diagonal",
    "diag": "X and X' share their diagonal",
    "norm": "X and X' share their norm",
    "sum": "a sum over all entries does not see their order",
    "eigvals": "X and X' share their eigenvalues",
    "vdot": "<A, B> = <B, A>",
}


def named_rule(claim: Any, mutant: Any, cases: Sequence[Any]) -> str:
    """The rule by which the edited expression, or one around it, keeps its value at every shape; or ""."""
    for depth, (before, after) in enumerate(mutant.chain):
        pairs = [_expressions(claim, before, after, case, seed) for case in cases for seed in range(8)]
        values = [pair for pair in pairs if pair is not None]
        if len(values) < len(pairs):
            continue
        if not depth and mutant.operator.startswith("transpose") and all(a.ndim < 2 for a, _ in values):
            return "a vector or a scalar is its own transpose"
        if not all(a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in values):
            continue
        node = ast.parse(before, mode="eval").body
        if not depth and mutant.operator.startswith("transpose"):
            return "the matrix is symmetric"
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            return INVARIANT.get(name, "")
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            scalar = all(a.ndim == 0 for a, _ in values)
            if scalar:
                return "u.v = v.u, and x'Ax = x'A'x"
            return "the factors commute" if mutant.operator == "factors swapped" else ""
        return ""
    return ""


def _expressions(claim: Any, old: str, new: str, case: Any, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """An expression before and after, with the closed form's local names in scope; None where it has none."""
    from trials.mutations import definition

    values = claim.draw(case, seed)
    f = claim.function
    tree = definition(f)
    scope = dict(f.__globals__) | {n: v if isinstance(v, int) else _jax(v) for n, v in values.items()}
    if f.__closure__:
        scope |= dict(zip(f.__code__.co_freevars, (cell.cell_contents for cell in f.__closure__), strict=True))
    try:
        for statement in tree.body:
            if isinstance(statement, ast.Assign | ast.AugAssign):
                exec(compile(ast.Module([statement], []), "<local>", "exec"), scope)
        before, after = (np.asarray(eval(text, scope)) for text in (old, new))
    except Exception:  # the expression stands inside a comprehension or a nested function
        return None
    return (before, after) if before.dtype.kind in "fc" and after.dtype.kind in "fc" else None


def _jax(value: Any) -> Any:
    import jax.numpy as jnp

    return jnp.asarray(value)


# A run


def select(only: str | None, chapter: str | None) -> list[list[Any]]:
    """The groups of held claims that are tried.  Raises ValueError where there is none."""
    import identities
    from identities.engine.checking import groups

    claims = [c for c in identities.catalogue().values() if c.status == "holds"]
    claims = [c for c in claims if (not only or only in c.name) and (not chapter or c.chapter == chapter)]
    if not claims:
        raise ValueError(f"no claim that holds is named {only or ''!r} in chapter {chapter or 'any'!r}")
    return list(groups(claims))


def try_chapter(chapter: str | None, only: str | None, part: int, parts: int, limit: float) -> list[Fate]:
    """The fates of one part of the groups of a chapter, in a process of its own."""
    import jax

    from identities.engine.program import checking_context, find_device

    found = []
    for index, group in enumerate(select(only, chapter)):
        if index % parts == part:
            with checking_context(find_device(None)):
                trial = Trial(group)
                trial.run(limit)
            found += trial.fates
            if index % 16 == part:
                jax.clear_caches()
    return found


def run(only: str | None, chapter: str | None, processes: int) -> tuple[dict[str, Any], list[Fate]]:
    """Try all mutants, in several processes, chapter by chapter: the result to keep, and every fate."""
    import rich.progress

    import identities
    from identities.engine.tolerance import LIMIT

    started = time.perf_counter()
    chapters = [chapter] if chapter else list(identities.CHAPTERS)
    if only:
        names = {c.chapter for c in identities.catalogue().values() if only in c.name and c.status == "holds"}
        chapters = [c for c in chapters if c in names]
    if not chapters:
        raise ValueError(f"no claim that holds has {only!r} in its name")
    parts = 1 if only else 4
    jobs = [(c, only, part, parts, LIMIT) for c in chapters for part in range(parts)]
    fates: list[Fate] = []
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(processes, mp_context=context)
    with pool, rich.progress.Progress(transient=True) as progress:
        task = progress.add_task("mutants", total=len(jobs))
        for done in concurrent.futures.as_completed([pool.submit(try_chapter, *job) for job in jobs]):
            fates += done.result()
            progress.advance(task)
    fates.sort(key=lambda f: (list(identities.CHAPTERS).index(f.chapter), f.claim, f.edit))
    return {
        "machine": machine(),
        "command": "make mutants",
        "seconds": round(time.perf_counter() - started, 1),
        "draws": DRAWS,
        "many": MANY,
        "mutants": len(fates),
        "operator": count(fates, "operator"),
        "chapter": count(fates, "chapter"),
        # what was killed is counted only: `--list` names each, and a run makes the same ones again
        "unkilled": [dataclasses.asdict(f) for f in fates if f.fate in ("rule", "reason", "survived")],
    }, fates


def count(fates: Iterable[Fate], by: str) -> dict[str, dict[str, int]]:
    """How many mutants met each fate, by slip or by chapter."""
    table: dict[str, collections.Counter[str]] = {}
    for fate in fates:
        table.setdefault(getattr(fate, by), collections.Counter())[fate.fate] += 1
    return {name: {fate: row[fate] for fate in FATES if row[fate]} for name, row in table.items()}


def totals(result: dict[str, Any]) -> collections.Counter[str]:
    """How many mutants met each fate."""
    total: collections.Counter[str] = collections.Counter()
    for row in result["chapter"].values():
        total.update(row)
    return total


def page(result: dict[str, Any]) -> str:
    """The page that tells what a run found."""
    unkilled, total = result["unkilled"], totals(result)
    raised = total["raised"] + total["shape"]
    equivalent = total["rule"] + total["reason"]
    lines = [
        "# Mutants: what the check notices",
        "",
        f"{result['mutants']} slips were planted in the closed forms of the book, one at a time: a transpose added or",
        "dropped, factors swapped, a sign, a coefficient, a term, a product for a solve, one operand for another, an",
        "index, a bound.",
        f"The check killed {total['value']} of them by value; {raised} raised or returned another shape, and",
        f"{total['not finite']} returned NaN or infinity. {equivalent} are equivalent, by a rule or a reason;",
        f"{total['survived']} survived, which means: not killed, and not yet shown to be equivalent.",
        "",
        f"`{result['command']}`: {result['seconds']:.0f} s; {say_machine(result['machine'])}.",
        f"Each mutant is tried at the three telling shapes, {result['draws']} draws of each (and with every value",
        "of an operand that is a static integer), in float64, and judged by the tolerance of the book.",
        "",
    ]
    for by, heading in (("operator", "By slip"), ("chapter", "By chapter")):
        lines += [
            f"## {heading}",
            "",
            f"| {by} | mutants | value | not finite | shape | raised | equivalent | survived |",
        ]
        lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
        for name, counts in result[by].items():
            row = collections.Counter(counts)
            cells = [row["value"], row["not finite"], row["shape"], row["raised"], row["rule"] + row["reason"]]
            lines.append(f"| {name} | {sum(row.values())} | " + " | ".join(map(str, [*cells, row["survived"]])) + " |")
        lines.append("")
    rules = collections.Counter(f["why"] for f in unkilled if f["fate"] == "rule")
    lines += ["## Equivalent mutants", "", "By a named rule, measured on the edited expression at every shape:", ""]
    lines += [f"- {rule}: {number}" for rule, number in rules.most_common()]
    lines += ["", f"By a reason, and agreement at three shapes and {result['many']} draws of each:", ""]
    lines += [f"- `{f['claim']}`, {f['edit']}: {f['why']}" for f in unkilled if f["fate"] == "reason"] or ["- none"]
    if total["survived"]:
        survivors = [f"- `{f['claim']}`, {f['edit']}" for f in unkilled if f["fate"] == "survived"]
        lines += ["", "## Survivors", "", *survivors]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m trials.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="TEXT", help="claims whose name contains TEXT")
    parser.add_argument("--chapter", metavar="NAME", help="one chapter")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="default: 2")
    parser.add_argument("--list", action="store_true", help="print every mutant and its fate")
    parser.add_argument("--page", action="store_true", help="write the page again from the last result")
    options = parser.parse_args(arguments)
    where = RESULTS / "mutants.json"
    try:
        result, fates = (
            (read_json(where), []) if options.page else run(options.only, options.chapter, options.processes)
        )
    except (ValueError, FileNotFoundError) as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2
    total = totals(result)
    for fate in fates:
        if options.list or fate.fate == "survived":
            print(f"{fate.fate:<10} {fate.claim}: {fate.edit}" + (f"  [{fate.why}]" if fate.why else ""))
    counts = ", ".join(f"{total[fate]} {fate}" for fate in FATES)
    print(f"{result['mutants']} mutants: {counts} ({result['seconds']:.0f} s)")
    whole = not (options.only or options.chapter)
    if whole:
        write_json(where, result)
        write(DOCS / "mutants.md", page(result))
    few = whole and total["value"] < TARGET
    return 1 if total["survived"] or few else 0


if __name__ == "__main__":
    raise SystemExit(main())
