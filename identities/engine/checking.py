"""Checking claims: closed form against autodiff, differences as a third witness, and a verdict.

`examine` takes the claims of one identity and runs one compiled program over telling shapes and
many draws.  A claim that holds must agree at every shape and draw; a refuted one must be refuted
by value at the first, telling shape, by autodiff and by differences.  A crash or NaN never refutes.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from identities import CHAPTERS
from identities.engine import probing, tolerance, witness
from identities.engine.diagnosis import FITS, Elsewhere, Patient, Sides, diagnose
from identities.engine.errors import OperandViolation, UnsupportedDtype
from identities.engine.identity import Claim
from identities.engine.operands import is_word
from identities.engine.program import LARGE, Program, Row, Values, checking_context, find_devices
from identities.engine.shapes import stream
from identities.engine.verdict import Tried, Verdict
from identities.statements import claims as statements

NOT_RESOLVED = "not resolved: the derivative is lost beside the function's size; take constants out of it"
SHARED = (
    "the formula says what autodiff says, and both are wrong: a stop_gradient, a rule of its own or rounding inside f"
)
WITNESSED = 2  # draws at which differences are taken, at every shape
SAMPLES, FEW = 16, 1  # draws for a shape where none are asked for; of large operands
FRESH = 3  # further draws that a diagnosis must explain
DTYPES = ("float64", "float32")


@dataclasses.dataclass(frozen=True)
class Options:
    """How a check is run: `dims` fixes dims by name, `shapes` and `samples` say how many are tried.

    `samples=None` is 16 draws a shape, and one where an operand has 2^18 entries or more: there, differences are
    taken of a user's function only, since those of the book's were taken at small shapes.

    `diagnose=False` leaves out the search for an explanation of what fails (some hundred runs more).
    `probe` says whether Jacobians and Hessians are checked along random directions (identities.engine.probing); None:
    those with more than a million entries.
    """

    dtypes: tuple[str, ...] = DTYPES
    dims: Mapping[str, int] | None = None
    shapes: int = 3
    samples: int | None = None
    seed: int = 0
    device: str | None = None
    precision: str = "highest"
    diagnose: bool = True
    probe: bool | None = None

    def __post_init__(self) -> None:
        for dtype in self.dtypes:
            if dtype not in tolerance.PRECISIONS:
                raise UnsupportedDtype(f"dtype must be one of {', '.join(tolerance.PRECISIONS)}; got {dtype!r}")
        for name in ("shapes", "samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if any(size < 0 for size in (self.dims or {}).values()):
            raise ValueError(f"dims must not be negative, got {dict(self.dims or {})}")


def groups(claims: Iterable[Claim]) -> Iterator[list[Claim]]:
    """The claims that share one program: those of one identity with the same operands."""
    found: dict[Any, list[Claim]] = {}
    for claim in claims:
        # a probe is general, and a claim's own tangents keep the structure of their operand: they go by the same name
        probes = isinstance(claim, probing.Probed)
        key = (id(claim.identity), tuple(claim.operands.values()), claim.where, probes)
        found.setdefault(key, []).append(claim)
    return iter(found.values())


@dataclasses.dataclass
class _Seen:
    """The worst draw of one claim, in one dtype, at one case."""

    residual: float = -1.0  # nothing was seen yet
    seed: int = 0
    index: tuple[int, ...] = ()
    got: Any = None
    expected: Any = None
    problem: str = ""
    refutations: int = 0  # draws that contradict the formula by value
    small: str = ""  # an entry that differs and is too small to be judged

    def see(self, residual: float, seed: int, index: tuple[int, ...], got: Any, expected: Any) -> None:
        if residual > self.residual:
            self.residual, self.seed, self.index, self.got, self.expected = residual, seed, index, got, expected


@dataclasses.dataclass
class _Witnessed:
    """What the differences said of a claim: of its closed form, and of autodiff, by case."""

    closed: dict[int, list[witness.Testimony]] = dataclasses.field(default_factory=dict)
    reference: dict[int, list[witness.Testimony]] = dataclasses.field(default_factory=dict)

    @staticmethod
    def first(testimonies: Mapping[int, list[witness.Testimony]], agrees: bool | None) -> witness.Testimony | None:
        return next((t for row in testimonies.values() for t in row if t.agrees is agrees), None)


class _Said:
    """What the statement of a claim, evaluated as it is written, says beside the code."""

    def __init__(self, claim: Claim):
        self._stated = None if isinstance(claim, probing.Probed) else statements.stated(claim)
        self.reason = self._stated if isinstance(self._stated, str) else ""
        self.problem = ""
        self.heard = 0  # shapes at which it was evaluated

    def hear(self, values: Values, closed: np.ndarray, reference: np.ndarray) -> None:
        if self._stated is None or isinstance(self._stated, str) or closed.shape != reference.shape:
            return
        found = self._stated.disagreement(values, closed, reference)
        self.heard += found is not None
        self.problem = self.problem or found or ""


class _Neighbours:
    """One draw, both sides there, and what a few draws next to it say of the sensitivity of the reference.

    What rounding the operands to float32 changes of a sensitivity cannot be seen, so that the book's claims are
    measured once, around the float64 draw: these further runs are most of what a check of small shapes runs.
    """

    def __init__(self, operands: list[Values], rows: list[Row], program: Program, seed: int):
        self.operands, self.rows, self.seed = operands, rows, seed
        self._program = program
        self._moved: dict[float, list[list[Row]]] = {}

    def moved(self, by: float) -> list[list[Row]]:
        """The program's answers where every entry of the operands is moved by a Gaussian relative amount."""
        if by not in self._moved:
            rng = stream("perturbation", self.seed)
            shaken = [[tolerance.perturbed(v, rng, by) for v in self.operands] for _ in range(tolerance.PERTURBATIONS)]
            self._moved[by] = list(self._program.run_many(shaken))
        return self._moved[by]

    def sensitivity(self, case: int, name: str, by: float) -> float:
        """The third or the fourth term of the scale (identities.engine.tolerance)."""
        reference = self.rows[case].answers[name].reference
        others = [r[case].answers[name].reference for r in self.moved(by)]
        if reference is None:  # at the other draw there was one
            return 0.0
        return tolerance.sensitivity(reference, [o for o in others if o is not None], by)


class Examination:
    """One program, its draws and its findings.

    `grain` is the eps of the precision that a user's function stays in, whatever its operands are, and `stays` that
    of their derivative; 0 where they follow their operands.  `strict` is for the book's own chapters.
    """

    def __init__(
        self,
        claims: Sequence[Claim],
        options: Options,
        strict: bool = False,
        grain: float = 0.0,
        stays: float = 0.0,
    ):
        self.options = options
        self.strict = strict
        self.grain, self.stays = grain, stays
        self.claims = list(claims)
        self.dtypes = [np.dtype(d) for d in options.dtypes]
        if np.dtype("float64") not in self.dtypes:
            self.dtypes.append(np.dtype("float64"))  # the differences are held against float64
        self.cases = claims[0].cases(options.seed, options.shapes, options.dims)
        self.program = Program(
            claims,
            self.cases,
            self.dtypes,
            # a user's function may hold what cannot be spread over devices
            find_devices(options.device) if strict else find_devices(options.device)[:1],
            precision=options.precision,
            strict=strict,
        )
        self.samples = options.samples or (FEW if self.program.large else SAMPLES)
        self.witnesses = 0 if strict and self.program.large else WITNESSED
        self.seen = {(c.name, d.name): [_Seen() for _ in self.cases] for c in claims for d in self.dtypes}
        self.witnessed = {c.name: _Witnessed() for c in claims}
        # what a page says, of the book's own claims: held against both sides at the first draw of each shape
        self.said = {c.name: _Said(c) for c in claims} if strict and not self.program.large else {}

    by_value = False  # whether differences must resolve the derivative itself: see `witness.testify`

    def draws(self, index: int) -> list[Values]:
        """The draws of one index for every case."""
        return self.program.draws(self.options.seed + index)

    def _keeps_words(self, drawn: Values) -> None:
        """A sampler that breaks its own word would make every verdict worthless."""
        for name, operand in self.claims[0].operands.items():
            # of a large matrix it would cost more than the check itself; the samplers are the same at small ones
            if is_word(operand.word) and np.size(drawn[name]) <= LARGE:
                reason = operand.word.violation(drawn[name])
                if reason:
                    raise OperandViolation(
                        f"{self.claims[0].name}: the sampler of {operand.word.__name__} for {name} "
                        f"is not {operand.word.english}: {reason}"
                    )

    def run(self) -> None:
        """Run every draw; findings and testimonies are kept for `verdict`."""
        # projections onto a structure are computed with jax.numpy, and must be float64 too; what is not a number or
        # underflows is a finding, whatever a caller has NumPy do about it
        with checking_context(self.program.device, self.options.precision), np.errstate(all="ignore"):
            self._run()

    def _run(self) -> None:
        for start in range(0, self.samples, len(self.program.devices)):
            indices = range(start, min(start + len(self.program.devices), self.samples))
            drawn = {index: self.draws(index) for index in indices}
            for draws in drawn.values():
                for values in draws:
                    self._keeps_words(values)
            double: dict[int, _Neighbours] = {}
            for dtype in sorted(self.dtypes, key=lambda d: d != np.float64):  # float64 first: see _Neighbours
                operands = [[Claim.rounded(Claim.rounded(v, dtype), np.float64) for v in drawn[i]] for i in indices]
                for index, its, rows in zip(indices, operands, self.program.run_many(operands), strict=True):
                    near = _Neighbours(its, rows, self.program, self.options.seed + index)
                    double.setdefault(index, near)
                    self._compare(dtype, near, double[index] if self.strict else near)
            for index in indices:
                if index < self.witnesses:
                    self._witness(drawn[index], double[index].rows, self.options.seed + index)

    def _compare(self, dtype: np.dtype[Any], draw: _Neighbours, around: _Neighbours) -> None:
        """Hold both sides of each claim against each other at one draw; `around` measures their sensitivity."""
        eps, limit, tier, seed = tolerance.eps_of(dtype), tolerance.limit_of(dtype), dtype.name, draw.seed
        for case, row in enumerate(draw.rows):
            for claim in self.claims:
                answer, seen = row.answers[claim.name], self.seen[claim.name, tier][case]
                closed, reference = answer.closed.get(tier), answer.reference
                seen.problem = seen.problem or answer.problem.get("reference", "") or answer.problem.get(tier, "")
                if closed is None or reference is None:
                    continue
                if closed.shape != reference.shape:
                    seen.problem = f"it has shape {closed.shape}, and {reference.shape} was expected"
                elif not np.all(np.isfinite(row.value)):
                    seen.problem = f"the function is not finite at seed {seed}"
                elif not np.all(np.isfinite(reference)):
                    seen.problem = f"autodiff is not finite at seed {seed}"
                elif not np.all(np.isfinite(closed)):
                    seen.problem = f"the closed form is not finite at seed {seed}"
                if dtype == np.float64 and seed == self.options.seed and claim.name in self.said:
                    self.said[claim.name].hear(draw.operands[case], closed, reference)
                measure = functools.partial(around.sensitivity, case, claim.name)
                f_scale = tolerance.function_scale(claim, row.value, draw.operands[case])
                residual, index = tolerance.residual(closed, reference, eps, f_scale, measure)
                same = closed.shape == reference.shape and closed.size > 0
                seen.see(residual, seed, index, closed[index] if same else None, reference[index] if same else None)
                beyond = residual > limit * claim.slack
                seen.refutations += beyond and tolerance.visibly_different(closed, reference)
                if self.strict or beyond or seen.problem or claim.kind == "value":
                    continue
                if dtype == np.float64:
                    moved = functools.partial(around.moved, tolerance.ROUNDING)
                    seen.small = seen.small or self._small(closed, reference, moved, case, claim)
                # the size of an unknown function may hide what is wrong, unless both sides are zero up to rounding
                alone, _ = tolerance.residual(closed, reference, eps, 0.0, measure)
                if alone > limit * claim.slack:
                    near = [r[case].answers[claim.name] for r in around.moved(tolerance.ROUNDING)]
                    zero = tolerance.is_zero(closed, [a.closed.get(tier) for a in near])
                    if not (zero and tolerance.is_zero(reference, [a.reference for a in near])):
                        seen.problem = NOT_RESOLVED

    @staticmethod
    def _small(
        closed: np.ndarray,
        reference: np.ndarray,
        moved: Callable[[], list[list[Row]]],
        case: int,
        claim: Claim,
    ) -> str:
        """Of an entry that differs in value and is too small beside the largest to be judged: where it stands."""
        differ = np.abs(closed - reference) > tolerance.DIFFERS * np.maximum(np.abs(closed), np.abs(reference))
        if not np.any(differ):
            return ""
        # rounding alone makes nothing of an entry that is zero
        others = [r[case].answers[claim.name].reference for r in moved()]
        noise = np.max([np.abs(o - reference) for o in others if o is not None], axis=0)
        differ &= np.maximum(np.abs(closed), np.abs(reference)) > 1e3 * np.maximum(noise, np.finfo(float).tiny)
        differ &= np.abs(reference) > 0  # an exact zero beside a rounded one is no finding
        if not np.any(differ):
            return ""
        index = tuple(int(i) for i in np.argwhere(differ)[0])
        return (
            f"entry {list(index)} is too small beside the largest to be judged: closed form {closed[index]:.3g}, "
            f"autodiff {reference[index]:.3g}"
        )

    def _witness(self, drawn: list[Values], rows: list[Row], seed: int) -> None:
        groups: dict[Any, list[Claim]] = {}
        for claim in self.claims:
            if claim.kind != "value":
                what = claim.kind if claim.kind in ("hessian", "differential") else "first"
                groups.setdefault((what, claim.wrt, claim.structure, claim.wirtinger), []).append(claim)
        for sharing in groups.values():
            self._testimonies(sharing, [witness.Probe.at(sharing[0], values, seed) for values in drawn], rows)

    def _testimonies(self, sharing: list[Claim], probes: list[witness.Probe], rows: list[Row]) -> None:
        """Take the differences of claims that share directions."""
        points = probes[0].points
        values_at = self.program.values([[probe.shifted(point) for probe in probes] for point in points])
        runs = dict(zip(points, values_at, strict=True))
        for case, probe in enumerate(probes):
            values = {point: run[case] for point, run in runs.items()}
            self._hear(sharing, case, probe, probe.differences(values, self.grain), rows)

    def _hear(
        self, sharing: list[Claim], case: int, probe: witness.Probe, found: witness.Differences, rows: list[Row]
    ) -> None:
        """Keep what one set of differences says of each claim, and of autodiff."""
        for claim in sharing:
            answer, seen = rows[case].answers[claim.name], self.witnessed[claim.name]
            its = dataclasses.replace(probe, claim=claim)
            if answer.reference is None:
                continue
            by_value, coarse = self.by_value, max(self.grain, self.stays)
            says = witness.testify(its, answer.reference, found, self.grain, by_value)
            seen.reference.setdefault(case, []).append(says)
            closed = answer.closed.get("float64")
            if closed is not None and closed.shape == answer.reference.shape:
                seen.closed.setdefault(case, []).append(witness.testify(its, closed, found, coarse, by_value))

    def verdict(self, claim: Claim, dtype: str, seconds: float = 0.0) -> Verdict:
        """Judge one claim in one dtype from what was seen."""
        seen, said = self.seen[claim.name, dtype], self.witnessed[claim.name]
        limit = tolerance.limit_of(dtype) * claim.slack
        judge = self._judge_held if claim.status == "holds" else self._judge_refuted
        problem, testimony = judge(claim, seen, said, limit)
        stated = self.said.get(claim.name)
        if problem is None and stated and stated.problem:  # "" is a problem that the numbers tell
            problem = stated.problem
        wrong = [bool(s.problem) or s.residual > limit for s in seen]
        if claim.status == "holds" and any(wrong):
            at = wrong.index(True)  # the most telling shape of those that fail
        else:
            at = max(range(len(seen)), key=lambda i: seen[i].residual)
        ok = problem is None
        sick = not ok and claim.status == "holds" and self.options.diagnose
        diagnosis = self._diagnose(claim, dtype, at, wrong) if sick else ""
        case, shown, options = self.cases[at], seen[at], self.options
        told = claim.whole if isinstance(claim, probing.Probed) else claim
        dims = {**case.dims, **case.counts}
        flags = f" --dims {','.join(f'{k}={v}' for k, v in dims.items())}" if dims else ""
        flags += f" --device {options.device}" if options.device else ""
        tried = [({**c.dims, **c.counts}, c.kind, s) for c, s in zip(self.cases, seen, strict=True)]
        return Verdict(
            claim=claim.name,
            status=claim.status,
            kind=told.kind,
            ok=ok,
            residual=shown.residual if shown.residual >= 0 else float("nan"),
            tolerance=limit,
            dims=dims,
            seed=shown.seed if shown.residual >= 0 else options.seed,
            samples=self.samples,
            dtype=dtype,
            device=_device_name(self.program.device),
            index=shown.index,
            got=shown.got,
            expected=shown.expected,
            operand_shapes={n: o.shape(case.dims) for n, o in claim.operands.items() if not o.static},
            witness=testimony,
            diagnosis=diagnosis,
            shapes=tuple(Tried(d, kind, s.residual if s.residual >= 0 else None, s.problem) for d, kind, s in tried),
            agrees_at=tuple(
                d for d, _, s in tried if claim.status == "refuted" and not s.problem and 0 <= s.residual <= limit
            ),
            problem=problem or "",
            seconds=seconds,
            wrt=told.wrt,
            statement=told.statement,
            notes=self._remarks(claim) if ok else (),
            stated=stated.heard if stated else 0,
            unread=stated.reason if stated else "",
            reproducer=(
                f"identities check {_address(claim)}{flags} --seed {shown.seed} --shapes 1 --samples 1 --dtype {dtype}"
            ),
        )

    def _judge_held(
        self, claim: Claim, seen: list[_Seen], said: _Witnessed, limit: float
    ) -> tuple[str | None, witness.Testimony | None]:
        """None, or what speaks against a claim that should hold; and the testimony to show."""
        against, testimony = said.first(said.closed, False), said.first(said.closed, True)
        problem = next((s.problem for s in seen if s.problem), None)
        if problem is None and max(s.residual for s in seen) > limit:
            problem = ""  # the numbers speak for themselves
            if against is None and testimony is not None and said.first(said.reference, False):
                problem = "autodiff is wrong here: differences agree with the closed form and contradict autodiff"
        elif problem is None and claim.kind != "value":
            if against is not None:
                problem = "autodiff agrees with the closed form, but differences contradict both"
                if said.first(said.reference, False) is None:
                    problem = (
                        "the precision of the check cannot tell, but differences in float64 contradict the formula"
                    )
            elif testimony is None and self.strict and self.witnesses:
                problem = "the differences resolve no draw, so autodiff is not confirmed"
        return problem, against or testimony or self._said_nothing(said)

    @staticmethod
    def _said_nothing(said: _Witnessed) -> witness.Testimony | None:
        return next((t for row in said.closed.values() for t in row), None)

    def _remarks(self, claim: Claim) -> tuple[str, ...]:
        """What else a verdict must say."""
        small = next((s.small for s in self.seen[claim.name, "float64"] if s.small), "")
        notes = (small,) if small else ()
        if not self.witnesses and claim.kind != "value":
            notes = (
                *notes,
                "of large operands, autodiff is not held against differences: that is done at small shapes only",
            )
        if isinstance(claim, probing.Probed):
            draws = self.samples * len(self.cases)
            notes = (*notes, probing.remark(claim.whole, self.cases, draws))
        heard = [t for row in self.witnessed[claim.name].closed.values() for t in row]
        if self.strict or claim.kind == "value" or not heard or any(t.agrees is not None for t in heard):
            return notes
        if all(t.got == t.expected == 0 for t in heard):
            return notes
        return (*notes, "autodiff agrees, and nothing else confirms it: differences do not resolve the derivative here")

    def _judge_refuted(
        self, claim: Claim, seen: list[_Seen], said: _Witnessed, limit: float
    ) -> tuple[str | None, witness.Testimony | None]:
        """None if the print is refuted by value at the telling shape; else why it is not."""
        closed, reference = said.closed.get(0, []), said.reference.get(0, [])
        against = next((t for t in closed if t.agrees is False), None)
        if not seen[0].refutations:
            return seen[0].problem or "the print agrees with the function at the telling shape", next(
                iter(closed), None
            )
        if claim.kind == "value" or not self.witnesses:
            return None, None
        if against is None:
            return "autodiff contradicts the print, but differences do not", next(iter(closed), None)
        if not any(t.agrees for t in reference) or any(t.agrees is False for t in reference):
            return "differences do not confirm autodiff, so nothing refutes the print", against
        return None, against

    def _fresh(self, index: int, case: int, claim: Claim) -> list[Values]:
        """A further draw that a diagnosis must explain."""
        return self.draws(index)

    def _evaluator(self, claim: Claim, at: int, around: Sequence[Values]) -> Callable[[Mapping[str, Any]], Sides]:
        """Both sides of a claim in float64 as a function of the operands of one case."""

        def evaluate(values: Mapping[str, Any]) -> Sides:
            draws = [*around[:at], dict(values), *around[at + 1 :]]
            answer = self.program.run(draws)[at].answers[claim.name]
            if answer.reference is None or "float64" not in answer.closed:
                raise ValueError("a side cannot be evaluated")
            return answer.closed["float64"], answer.reference

        return evaluate

    def _dims(self, at: int) -> dict[str, int]:
        """The dims and static integers of a case, by the names that a diagnosis uses."""
        return {**self.cases[at].dims, **self.cases[at].counts}

    def _elsewhere(self, claim: Claim, at: int) -> Iterator[Elsewhere]:
        """Both sides at the other shapes, where a factor n can be told from a factor 4."""
        drawn = [self.draws(index) for index in range(3)]
        for case in range(len(self.cases)):
            if case != at:
                evaluate = self._evaluator(claim, case, drawn[0])
                yield Elsewhere(self._dims(case), [evaluate(draws[case]) for draws in drawn])

    def _diagnose(self, claim: Claim, dtype: str, at: int, wrong: Sequence[bool]) -> str:
        if self.seen[claim.name, dtype][at].residual < 0:
            return ""  # a side cannot be evaluated: the problem itself is the finding
        if self.seen[claim.name, dtype][at].problem.startswith("the function is not finite"):
            return (
                "not finite: the function is undefined at some of the draws (should an operand be declared narrower?)"
            )
        double = self.seen[claim.name, "float64"]
        limit = tolerance.LIMIT * claim.slack
        if dtype != "float64" and not self.grain and all(not s.problem and s.residual <= limit for s in double):
            return "low precision: it holds in float64, so it loses digits or leaves the precision of its operands"
        if self.seen[claim.name, dtype][at].residual <= limit and not self.grain:
            # autodiff says the same, and something else speaks against both
            against = _Witnessed.first(self.witnessed[claim.name].closed, False)
            return SHARED if against is not None else ""
        index = self.seen[claim.name, dtype][at].seed - self.options.seed
        later = range(self.samples, self.samples + FRESH)
        fresh = [self.draws(index), *(self._fresh(i, at, claim) for i in later)]
        square = [len(set(c.dims.values())) == 1 for c in self.cases]
        at_squares = [w for w, s in zip(wrong, square, strict=True) if s]
        if len(claim.dims) > 1 and at_squares and not any(at_squares):
            return "right only at square shapes"  # a factor m/n, say, is a constant at any one shape
        evaluate = self._evaluator(claim, at, fresh[0])
        patient = Patient(
            evaluate,
            [draw[at] for draw in fresh],
            claim.wrt,
            self._dims(at),
            lambda: self._elsewhere(claim, at),
            self._squared(claim),
            max(FITS, 64 * self.grain),
        )
        with np.errstate(all="ignore"):
            return diagnose(patient)

    def _squared(self, claim: Claim) -> Callable[[], list[Sides]]:
        """Both sides at square shapes, for operands whose shapes were given; the telling shapes hold square ones."""
        return list


def _device_name(device: Any) -> str:
    return str(device.platform) if device.platform == "cpu" else f"{device.platform} ({device.device_kind})"


def _address(claim: Claim) -> str:
    module = str(claim.function.__module__)
    return claim.name if module.startswith("identities.") else f"{module}:{claim.name}"


def _probed(claims: Sequence[Claim], options: Options) -> list[Claim]:
    """The claims, those about large derivatives along random directions."""

    def chosen(claim: Claim) -> bool:
        if claim.kind not in probing.PROBED or claim.structure or options.probe is False:
            return False
        return options.probe or probing.is_large(claim, claim.cases(options.seed, options.shapes, options.dims))

    return [probing.probed(c) if chosen(c) else c for c in claims]


def examine(claims: Sequence[Claim], options: Options) -> list[Verdict]:
    """Check the claims of one identity and return their verdicts, claim by claim, dtype by dtype."""
    verdicts = {}
    for group in groups(_probed(claims, options)):
        started = time.perf_counter()
        chapters = {f"identities.{name}" for name in CHAPTERS}  # strict promotion is for the book, never for users
        strict = all(c.function.__module__ in chapters for c in group)
        examination = Examination(group, options, strict=strict)
        examination.run()
        seconds = (time.perf_counter() - started) / (len(group) * len(options.dtypes))
        for claim in group:
            for dtype in options.dtypes:
                verdicts[claim.name, dtype] = examination.verdict(claim, dtype, seconds)
    return [verdicts[claim.name, dtype] for claim in claims for dtype in options.dtypes]
