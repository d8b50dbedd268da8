"""Silence, measured: every claim over 10,000 seeds at several shapes in both dtypes, and no false alarm.

    python -m trials.soak [--seeds N] [--shapes N] [--batch N] [--processes N] [--patience S]
                          [--only TEXT] [--chapter NAME] [--fresh] [--page] [MODULE ...]

One job is one program: the claims that share operands, at one shape, over all seeds, in vmapped batches (of 500 at
most: larger batches of LAPACK calls hang on jax 0.10.2).  Draws are those of `identities check --seed S`, so every
alarm has a reproducer.  What each job found is appended to a journal, and a run that was cut off goes on from there.
A job that says nothing for `--patience` seconds is killed and tried once more in smaller batches.

The residuals are those of the law of the book, `identities.engine.tolerance`.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import hashlib
import importlib
import json
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from trials.common import DOCS, PLOTS, RESULTS, ROOT, machine, read_json, say_machine, write, write_json

LARGEST_BATCH = 500
DTYPES = ("float64", "float32")
JOURNAL = ROOT / ".cache" / "soak.jsonl"
# Residuals are counted in bins of a factor of two: 0, then up to 2^-3, 2^-2, ..., 2^16 eps, then all above
LOWEST, HIGHEST = -3, 16
BINS = HIGHEST - LOWEST + 3
KEPT = 5  # alarms of one claim, dtype and shape that are written down


@dataclasses.dataclass
class Tally:
    """What was seen of one claim in one dtype at one shape."""

    bins: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(BINS, np.int64))
    worst: float = -1.0
    seed: int = 0
    alarms: int = 0
    first_alarms: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    refuted: int = 0

    def see(self, seeds: np.ndarray, residuals: np.ndarray) -> None:
        """Count residuals, which are numbers (infinity among them)."""
        at = np.ones(len(residuals), int)
        positive = residuals > 0
        with np.errstate(over="ignore"):
            at[positive] = np.ceil(np.log2(np.minimum(residuals[positive], 1e300))).astype(int) - LOWEST + 1
        at = np.where(positive, np.clip(at, 1, BINS - 1), 0)
        self.bins += np.bincount(at, minlength=BINS)
        if len(residuals) and residuals.max() > self.worst:
            self.worst, self.seed = float(residuals.max()), int(seeds[residuals.argmax()])

    def alarm(self, seed: int, why: str) -> None:
        self.alarms += 1
        if len(self.first_alarms) < KEPT:
            self.first_alarms.append((int(seed), why))

    def summary(self) -> dict[str, Any]:
        return {
            "bins": self.bins.tolist(),
            "worst": self.worst,
            "seed": self.seed,
            "alarms": self.alarms,
            "first alarms": self.first_alarms,
            "refuted": self.refuted,
        }


class Soaking:
    """The claims of one program at one shape: batches of draws in, tallies out."""

    def __init__(self, claims: Sequence[Any], case: Any, batch: int):
        from identities.engine.program import checking_context, find_device

        self.claims, self.case, self.batch = list(claims), case, batch
        self.tallies = {(c.name, dtype): Tally() for c in claims for dtype in DTYPES}
        # draws whose residual needs the third term of the scale wait here until they fill a batch
        self.waiting: dict[str, list[tuple[int, dict[str, Any]]]] = {dtype: [] for dtype in DTYPES}
        self.open: dict[tuple[str, int], list[tuple[Any, np.ndarray, np.ndarray, float]]] = {}
        self.context = lambda: checking_context(find_device(None))
        self.compiled = self._compile()

    def draw(self, seed: int) -> dict[str, Any]:
        from identities.engine.shapes import draw_operands

        values = draw_operands(self.claims[0].operands, self.case, seed)
        for claim in self.claims:
            values |= claim.draw_tangents(values, seed)
        return {n: np.asarray(v) for n, v in values.items() if not isinstance(v, int)}

    def _trace(self, arrays: dict[str, Any]) -> dict[str, Any]:
        import jax.numpy as jnp

        counts = self.case.counts
        plain = {n: arrays[n] for n in self.claims[0].operands if n in arrays}
        found: dict[str, Any] = {"": self.claims[0].identity.function(**plain, **counts)}
        for claim in self.claims:
            mine = {n: arrays[n] for n in (*claim.operands, *claim.tangents) if n in arrays}
            found[claim.name] = claim.reference_function(**mine, **counts)
            for dtype in DTYPES:
                pair = np.dtype(np.complex64 if dtype == "float32" else np.complex128)
                cast = {n: v.astype(pair if v.dtype.kind == "c" else dtype) for n, v in mine.items()}
                result = claim.function(**cast, **counts)
                result = result.todense() if hasattr(result, "todense") else result
                found[f"{claim.name} {dtype}"] = jnp.asarray(result, found[claim.name].dtype)
        return found

    def _compile(self) -> Any:
        import jax

        from identities.engine.program import cpu_options

        first = {n: np.stack([v] * self.batch) for n, v in self.draw(0).items()}
        with self.context():
            options = cpu_options() if jax.devices()[0].platform == "cpu" else None
            return jax.jit(jax.vmap(self._trace)).lower(first).compile(compiler_options=options)

    def run(self, draws: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        """The function, the reference and the closed forms of every claim, at up to a batch of draws."""
        import jax

        padded = [*draws, *[draws[-1]] * (self.batch - len(draws))]
        with self.context():
            found = jax.device_get(self.compiled({n: np.stack([d[n] for d in padded]) for n in padded[0]}))
        return {name: np.asarray(stack)[: len(draws)] for name, stack in found.items()}

    def see(self, seeds: Sequence[int]) -> None:
        """Draw, run and judge one batch."""
        from identities.engine.identity import Claim

        drawn = [self.draw(seed) for seed in seeds]
        for dtype in DTYPES:
            operands = [Claim.rounded(Claim.rounded(d, dtype), np.float64) for d in drawn]
            self._judge(dtype, np.asarray(seeds), operands, self.run(operands))
            while len(self.waiting[dtype]) >= self.batch:
                self._settle(dtype)

    def finish(self) -> dict[str, Any]:
        """Judge what still waits, and return the tallies by claim and dtype."""
        for dtype in DTYPES:
            while self.waiting[dtype]:
                self._settle(dtype)
        return {f"{name} {dtype}": tally.summary() for (name, dtype), tally in self.tallies.items()}

    def _judge(self, dtype: str, seeds: np.ndarray, operands: list[dict[str, Any]], found: dict[str, Any]) -> None:
        from identities.engine import tolerance

        eps, sizes = tolerance.eps_of(dtype), tolerance.batch_sizes
        stacked = {n: np.stack([d[n] for d in operands]) for n in operands[0]}
        late: dict[int, None] = {}
        for claim in self.claims:
            tally = self.tallies[claim.name, dtype]
            reference, closed = found[claim.name], found[f"{claim.name} {dtype}"]
            if reference.shape != closed.shape:
                for seed in seeds:
                    tally.alarm(seed, f"it has shape {closed.shape[1:]}, and {reference.shape[1:]} was expected")
                continue
            with np.errstate(invalid="ignore", divide="ignore"):
                f_scale = tolerance.function_scale(claim, found[""], stacked, size=sizes)
                gap, scale = sizes(closed - reference), np.maximum(sizes(reference), f_scale)
                residuals = np.where(gap == 0, 0.0, gap / scale / eps)
            finite = np.isfinite(gap) & np.isfinite(sizes(found[""]))
            for at in np.flatnonzero(~finite):
                tally.alarm(seeds[at], "f, the reference or the closed form is not finite")
            settled = finite & (residuals <= tolerance.MEASURED_ABOVE)
            tally.see(seeds[settled], residuals[settled])
            for at in np.flatnonzero(finite & ~settled):
                late[int(at)] = None
                self.open.setdefault((dtype, int(seeds[at])), []).append(
                    (claim, closed[at], reference[at], float(f_scale[at]))
                )
        self.waiting[dtype] += [(int(seeds[at]), operands[at]) for at in sorted(late)]

    def _settle(self, dtype: str) -> None:
        """Judge a batch of the draws that wait, with the third and the fourth term of the scale measured."""
        from identities.engine import tolerance
        from identities.engine.shapes import stream

        now, self.waiting[dtype] = self.waiting[dtype][: self.batch], self.waiting[dtype][self.batch :]
        moved: dict[float, list[Any]] = {}

        def more(at: int, name: str, reference: np.ndarray, by: float) -> float:
            if by not in moved:
                streams = [stream("perturbation", seed) for seed, _ in now]
                moved[by] = [
                    self.run([tolerance.perturbed(v, rng, by) for (_, v), rng in zip(now, streams, strict=True)])
                    for _ in range(tolerance.PERTURBATIONS)
                ]
            return tolerance.sensitivity(reference, [m[name][at] for m in moved[by]], by)

        eps, limit = tolerance.eps_of(dtype), tolerance.limit_of(dtype)
        for at, (seed, _) in enumerate(now):
            for claim, closed, reference, f_scale in self.open.pop((dtype, seed)):
                tally = self.tallies[claim.name, dtype]
                residual, _ = tolerance.residual(
                    closed,
                    reference,
                    eps,
                    f_scale,
                    lambda by, a=at, n=claim.name, r=reference: more(a, n, r, by),  # type: ignore[misc]
                )
                tally.see(np.array([seed]), np.array([residual]))
                if not residual <= limit * claim.slack:
                    tally.refuted += tolerance.visibly_different(closed, reference)
                    if claim.status == "holds":
                        tally.alarm(seed, f"{residual:.3g} eps")


# Workers, their watchdog, and the journal


@dataclasses.dataclass(frozen=True)
class Job:
    """One program: the claims of one group, by its first claim's name, at one of their shapes."""

    group: str
    case: int
    batch: int
    tries: int = 0

    @property
    def key(self) -> str:
        return f"{self.group} {self.case}"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run covers."""

    modules: tuple[str, ...] = ()
    only: str = ""
    chapter: str = ""
    seeds: int = 10_000
    shapes: int = 3
    batch: int = LARGEST_BATCH

    def groups(self) -> dict[str, list[Any]]:
        """The claims of each program by the name of the first.  Raises ValueError where none is chosen."""
        import identities
        from identities.engine.checking import groups

        claims = identities.catalogue(*(importlib.import_module(name) for name in self.modules)).values()
        chosen = [c for c in claims if self.only in c.name and (not self.chapter or c.chapter == self.chapter)]
        if not chosen:
            raise ValueError(f"no claim is named {self.only!r} in chapter {self.chapter or 'any'!r}")
        return {group[0].name: group for group in groups(chosen)}

    def jobs(self) -> list[Job]:
        return [
            Job(name, case, self.batch)
            for name, group in self.groups().items()
            for case in range(len(group[0].cases(0, self.shapes)))
        ]

    def key(self) -> str:
        """What a journal must agree with: the plan, the versions, and the book as it stands."""
        import jax

        digest = hashlib.sha256()
        for path in sorted((ROOT / "identities").rglob("*.py")):
            digest.update(path.read_bytes())
        plan = dataclasses.asdict(self)
        return json.dumps([plan, jax.__version__, np.__version__, digest.hexdigest()[:16]])


def work(plan: Plan, pipe: Any) -> None:
    """A worker: take jobs, send a beat after every batch, and the tallies at the end of each."""
    import jax

    groups = plan.groups()
    while (job := pipe.recv()) is not None:
        started = time.perf_counter()
        try:
            claims = groups[job.group]
            case = claims[0].cases(0, plan.shapes)[job.case]
            soaking = Soaking(claims, case, job.batch)
            compiled = time.perf_counter()
            pipe.send(("beat", -1))
            for start in range(0, plan.seeds, job.batch):
                soaking.see(range(start, min(start + job.batch, plan.seeds)))
                pipe.send(("beat", start))
            found = {
                "case": str(case),
                "kind": case.kind,
                "tallies": soaking.finish(),
                "seconds": [round(compiled - started, 2), round(time.perf_counter() - compiled, 2)],
            }
            pipe.send(("done", found))
        except Exception as error:  # a claim that cannot be run is a finding, not the end of the soak
            pipe.send(("done", {"failed": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"}))
        jax.clear_caches()


class Worker:
    """A process that takes one job at a time, and when it was last heard."""

    LIFETIME = 40  # jobs; compiled programs are never wholly given back

    def __init__(self, plan: Plan):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(plan, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.taken, self.heard = 0, time.monotonic()

    def give(self, job: Job) -> None:
        self.job, self.taken, self.heard = job, self.taken + 1, time.monotonic()
        self.pipe.send(job)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def soak(plan: Plan, processes: int, patience: float, journal: pathlib.Path, fresh: bool, quiet: bool = False) -> Any:
    """Run what the journal does not hold yet; all findings by job, and the seconds spent in all runs."""
    import rich.progress

    jobs = plan.jobs()
    found, before = ({}, 0.0) if fresh else read_journal(journal, plan.key())
    journal.parent.mkdir(parents=True, exist_ok=True)
    if not found:
        journal.write_text(json.dumps({"key": plan.key()}) + "\n", encoding="utf-8")
    todo = collections.deque(job for job in jobs if job.key not in found)
    # XLA's kernels of LAPACK split a batch over its threads and wait for them there: with as few threads as cores, two
    # such kernels can wait for each other for ever.  More threads than kernels leave one to do the work.
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", NPROC="32", PJRT_NPROC="32")
    started = time.monotonic()
    workers: list[Worker] = []
    again: list[str] = []
    columns = (*rich.progress.Progress.get_default_columns(), rich.progress.TimeElapsedColumn())
    progress = rich.progress.Progress(*columns, transient=True, disable=quiet)
    with progress, journal.open("a", encoding="utf-8") as file:
        task = progress.add_task(f"soak, {plan.seeds} seeds", total=len(jobs), completed=len(jobs) - len(todo))

        def settle(job: Job, what: dict[str, Any]) -> None:
            found[job.key] = what
            spent = round(before + time.monotonic() - started, 1)
            what["again"] = [line for line in again if line.startswith(f"{job.key}:")]
            file.write(json.dumps({"job": job.key, "found": what, "spent": spent}) + "\n")
            file.flush()
            progress.advance(task)

        def lose(worker: Worker, why: str) -> None:
            worker.stop()
            workers.remove(worker)
            job = worker.job
            if job is not None and job.tries == 0:
                again.append(f"{job.key}: {why}")
                todo.append(dataclasses.replace(job, batch=max(1, job.batch // 10), tries=1))
            elif job is not None:
                settle(job, {"failed": f"{why}, twice"})

        try:
            while todo or any(w.job for w in workers):
                for worker in [w for w in workers if w.job is None and (w.taken >= Worker.LIFETIME or not todo)]:
                    worker.stop()
                    workers.remove(worker)
                while len(workers) < min(processes, len(todo) + sum(w.job is not None for w in workers)):
                    workers.append(Worker(plan))
                for worker in workers:
                    if worker.job is None and todo:
                        worker.give(todo.popleft())
                ready = multiprocessing.connection.wait([w.pipe for w in workers if w.job], timeout=1.0)
                for worker in [w for w in workers if w.pipe in ready]:
                    try:
                        what, content = worker.pipe.recv()
                    except (EOFError, ConnectionResetError):
                        worker.process.join(10)
                        lose(worker, f"its process died with exit code {worker.process.exitcode}")
                        continue
                    worker.heard = time.monotonic()
                    if what == "done" and worker.job is not None:
                        settle(worker.job, content)
                        worker.job = None
                for worker in [w for w in workers if w.job and time.monotonic() - w.heard > patience]:
                    lose(worker, f"nothing was heard for {patience:g} s")
        finally:
            for worker in workers:
                worker.stop()
    return {job.key: found[job.key] for job in jobs}, before + time.monotonic() - started


def read_journal(path: pathlib.Path, key: str) -> tuple[dict[str, Any], float]:
    """What an earlier run of the same plan found, and the seconds it took; a line that was cut off is left out."""
    lines: list[dict[str, Any]] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                break
    if not lines or lines[0].get("key") != key:
        return {}, 0.0
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return {line["job"]: line["found"] for line in lines[1:]}, lines[-1].get("spent", 0.0)


# What was found


def gather(plan: Plan, found: dict[str, Any], seconds: float) -> dict[str, Any]:
    """One result from the findings of all jobs."""
    claims = {c.name: c for group in plan.groups().values() for c in group}
    rows: dict[str, dict[str, Any]] = {}
    alarms: list[str] = []
    failed = [f"{key}: {what['failed']}" for key, what in found.items() if "failed" in what]
    bins = {f"{status} {dtype}": np.zeros(BINS, np.int64) for status in ("holds", "refuted") for dtype in DTYPES}
    telling: dict[str, int] = {}
    for what in found.values():
        for name, tally in what.get("tallies", {}).items():
            claim, dtype = claims[name.split(" ")[0]], name.split(" ")[1]
            bins[f"{claim.status} {dtype}"] += np.array(tally["bins"])
            if claim.status == "holds":
                row = rows.setdefault(name, {"worst": -1.0})
                if tally["worst"] > row["worst"]:
                    row.update(worst=round(tally["worst"], 2), seed=tally["seed"], case=what["case"])
            elif what["kind"] == "distinct":
                telling[name] = tally["refuted"]
            alarms += [f"{name} at {what['case']}, seed {seed}: {why}" for seed, why in tally["first alarms"]]
    number = sum(t["alarms"] for what in found.values() for t in what.get("tallies", {}).values())
    kinds = collections.Counter(what["kind"] for what in found.values() if "kind" in what)
    return {
        "machine": machine(),
        "command": "make soak",
        "seconds": round(seconds, 1),
        "plan": dataclasses.asdict(plan),
        "programs": len(found),
        "shapes": dict(kinds),
        "verdicts": int(sum(b.sum() for k, b in bins.items() if k.startswith("holds"))),
        "alarms": number,
        "first alarms": alarms,
        "failed": failed,
        "again": [line for what in found.values() for line in what.get("again", ())],
        "bins": {k: b.tolist() for k, b in bins.items()},
        "refuted": telling,
        "worst": dict(sorted(rows.items(), key=lambda item: -item[1]["worst"])),
    }


def edges() -> Iterator[float]:
    """The upper edges of the bins, in eps; infinity for the last."""
    yield 0.0
    for power in range(LOWEST, HIGHEST + 1):
        yield 2.0**power
    yield float("inf")


def plot(result: dict[str, Any], path: pathlib.Path) -> None:
    """The distribution of residuals, with the limit."""
    from identities.engine.tolerance import LIMIT
    from trials.common import figure, save

    figure_, axes = figure()
    upper = list(edges())[1:-1]
    for dtype, colour in zip(DTYPES, ("#1f6f8b", "#d1772d"), strict=True):
        counts = np.array(result["bins"][f"holds {dtype}"], float)
        share = counts[1:-1] / counts.sum()
        axes.stairs(np.where(share > 0, share, np.nan), [upper[0] / 2, *upper], label=dtype, color=colour, lw=1.8)
    axes.axvline(LIMIT, color="#b3261e", lw=1.5)
    axes.text(LIMIT * 0.9, 0.5, "the limit, 1000 eps", color="#b3261e", ha="right", va="top", rotation=90)
    axes.set(xscale="log", yscale="log", xlim=(0.06, 4000), ylim=(1e-8, 1))
    axes.set_xlabel("residual of a claim that holds, in eps of the dtype (bins of a factor of two)")
    axes.set_ylabel("share of the draws")
    axes.legend(frameon=False)
    save(figure_, path)


def page(result: dict[str, Any]) -> str:
    """The page that tells what a soak found."""
    from identities.engine.tolerance import LIMIT

    plan, verdicts = result["plan"], result["verdicts"]
    claims = {name.split(" ")[0] for name in result["worst"]}
    slack = {c.name: c.slack for c in plan_claims(plan)}
    # the worst is the one that comes nearest to its own limit
    worst = {
        d: max(
            ((v["worst"] / slack[n.split(" ")[0]], n, v) for n, v in result["worst"].items() if n.endswith(d)),
            key=lambda found: found[0],
        )
        for d in DTYPES
    }
    lines = [
        "# Soak: what the check does not say",
        "",
        f"{len(claims)} claims that hold, each over {plan['seeds']:,} seeds at its telling shapes (one with all dims",
        "distinct, one with a single 1, a square one, and every value of a static operand), in float64 and float32:",
        f"{verdicts:,} judgements, **{result['alarms']} false alarms**.",
        "",
        f"`{result['command']}`: {result['seconds'] / 60:.0f} min; {say_machine(result['machine'])}.",
        f"{result['programs']} programs, in batches of {plan['batch']}; {len(result['failed'])} could not be run.",
        "",
        "![The distribution of residuals in float64 and float32, and the limit at 1000 eps](plots/soak.svg)",
        "",
        "## The margin",
        "",
        "| dtype | draws | at most 8 eps | above 32 eps | nearest to its limit, eps | margin | claim, at |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    upper = np.array(list(edges()))
    for dtype in DTYPES:
        counts = np.array(result["bins"][f"holds {dtype}"], float)
        near, far = counts[upper <= 8].sum() / counts.sum(), int(counts[upper > 32].sum())
        share, name, row = worst[dtype]
        lines.append(
            f"| {dtype} | {int(counts.sum()):,} | {100 * near:.3f} % | {far:,} "
            f"| {row['worst']:.3g} | {LIMIT / share:.3g} | `{name.split(' ')[0]}`, {row['case']}, seed {row['seed']} |"
        )
    given = [c for c in plan_claims(plan) if c.slack != 1]
    lines += [
        "",
        "A claim holds where its residual is at most 1000 eps times the slack that its entry declares.",
        *(
            [
                f"`{c.name}` declares a slack of {c.slack:g}, for what its entry says; its residuals are listed below."
                for c in given
            ]
            or ["No entry declares a slack: the margin above is that of every entry."]
        ),
        "Why the limit is not lowered to that margin: other machines round differently (fused products, other",
        "LAPACKs, GPUs), and a wrong formula of the book is off by 1e10 eps, not by 1e3.",
        "",
        "## The twenty worst",
        "",
        "| claim | dtype | residual, eps | at | seed |",
        "|---|---|---:|---|---:|",
    ]
    for name, row in list(result["worst"].items())[:20]:
        claim, dtype = name.split(" ")
        lines.append(f"| `{claim}` | {dtype} | {row['worst']:.3g} | {row['case']} | {row['seed']} |")
    lines += ["", "`identities check NAME --dims ... --shapes 1 --samples 1 --seed SEED` shows one of these draws.", ""]
    refuted = {n.split(" ")[0]: v for n, v in result["refuted"].items() if n.endswith("float64")}
    if refuted:
        weakest = min(refuted, key=lambda n: refuted[n])
        always = sum(v == plan["seeds"] for v in refuted.values())
        lines += [
            "## The refuted prints",
            "",
            f"Of the {len(refuted)} formulas that the book keeps as refuted, {always} are refuted by value at every",
            f"one of the {plan['seeds']:,} draws of the first telling shape, in float64; `{weakest}` at the fewest,",
            f"{refuted[weakest]:,} of them.",
            "",
        ]
    for title, rows in (("False alarms", result["first alarms"]), ("Not run", result["failed"])):
        if rows:
            lines += [f"## {title}", "", *(f"- {row}" for row in rows), ""]
    return "\n".join(lines)


def plan_claims(plan: dict[str, Any]) -> list[Any]:
    fields = plan | {"modules": tuple(plan["modules"])}
    return [c for group in Plan(**fields).groups().values() for c in group]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m trials.soak", description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="modules of entries; default: the book")
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--shapes", type=int, default=3)
    parser.add_argument("--batch", type=int, default=LARGEST_BATCH, help=f"at most {LARGEST_BATCH}")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1), help="default: 2")
    parser.add_argument("--patience", type=float, default=90.0, help="seconds of silence after which a job is killed")
    parser.add_argument("--only", metavar="TEXT", default="", help="claims whose name contains TEXT")
    parser.add_argument("--chapter", metavar="NAME", default="", help="one chapter")
    parser.add_argument("--fresh", action="store_true", help="begin again, whatever the journal holds")
    parser.add_argument("--page", action="store_true", help="write the page again from the last result")
    parser.add_argument("--journal", type=pathlib.Path, default=JOURNAL)
    options = parser.parse_args(arguments)
    where = RESULTS / "soak.json"
    plan = Plan(tuple(options.modules), options.only, options.chapter, options.seeds, options.shapes, options.batch)
    try:
        if not 1 <= plan.batch <= LARGEST_BATCH or min(plan.seeds, plan.shapes, options.processes) < 1:
            raise ValueError(f"--batch must be 1 to {LARGEST_BATCH}; --seeds, --shapes and --processes at least 1")
        if options.page:
            result = read_json(where)
        else:
            result = gather(plan, *soak(plan, options.processes, options.patience, options.journal, options.fresh))
    except (ValueError, FileNotFoundError, ModuleNotFoundError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    for line in (*result["first alarms"], *result["failed"]):
        print(line)
    worst = max((row["worst"] for row in result["worst"].values()), default=0.0)
    print(
        f"{result['verdicts']:,} judgements, {result['alarms']} false alarms, {len(result['failed'])} programs failed; "
        f"worst residual {worst:.3g} eps ({result['seconds'] / 60:.1f} min)"
    )
    if options.page or plan == Plan():
        write_json(where, result)
        plot(result, PLOTS / "soak.svg")
        write(DOCS / "soak.md", page(result))
    return 1 if result["alarms"] or result["failed"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
