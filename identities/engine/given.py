"""An examination at the operands that a caller gave, where nothing is known of their function.

The given operands are the one draw that is judged; a diagnosis must also explain three general draws
of the same shapes, and what holds at special operands only (a symmetric matrix, all ones) is said to.
Differences look for a step that suits the function, and the complex step joins them where f allows it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from identities.engine import tolerance, witness
from identities.engine.checking import FRESH, Examination, Options
from identities.engine.diagnosis import Elsewhere, Sides, changed, close, squares
from identities.engine.errors import OperandViolation
from identities.engine.identity import Claim
from identities.engine.operands import is_word
from identities.engine.program import Row, Values, checking_context
from identities.engine.shapes import stream

NEAR = 0.3  # how far a draw moves from the given operands where a general one leaves the domain of f
Maker = Callable[[Mapping[str, tuple[int, ...]]], Mapping[str, Claim]]


class AtGiven(Examination):
    """One draw, given by the caller; `remake` builds the same claims, by name, for operands of other shapes."""

    def __init__(self, claims: Sequence[Claim], options: Options, given: Values, grain: float, remake: Maker):
        super().__init__(claims, options, grain=grain)
        self.given = given
        self.remake = remake
        self.kinks: dict[str, bool] = {}
        self.alone = all(c.by_differences for c in claims)  # nothing but differences is asked

    def draws(self, index: int) -> list[Values]:
        if index:
            return super().draws(index)
        return [super().draws(0)[0] | self.given]  # tangents are drawn

    def _keeps_words(self, drawn: Values) -> None:
        for name, operand in self.claims[0].operands.items():
            reason = operand.word.violation(drawn[name]) if is_word(operand.word) else None
            if reason:
                raise OperandViolation(f"the operand given for {name} is not {operand.word.english}: {reason}")

    def _doubt(self, closed: np.ndarray, reference: np.ndarray, f_scale: float, eps: float) -> str:
        if eps < tolerance.DIFFERS and tolerance.lost(closed, reference, f_scale):
            return "not resolved: the derivative is lost beside the function's size; take constants out of it"
        return ""

    # The witness: a step that resolves, entries of very different sizes, kinks, the complex step

    def _testimonies(self, sharing: list[Claim], probes: list[witness.Probe], rows: list[Row]) -> None:
        start = probes[0]
        best, chosen = self._differences(start), start
        for stride in witness.STRIDES[1:]:
            if best.error <= 1e-9 * float(np.abs(best.value).max(initial=0.0)):
                break
            probe = dataclasses.replace(start, stride=stride)
            found = self._differences(probe)
            if found.error < best.error:
                best, chosen = found, probe
        self._hear_more(sharing, chosen, best, rows)
        moves = all(np.any(v * self.given[n]) for n, v in start.along.items() if n in self.given)
        if start.claim.kind != "differential" and moves and not self._resolved(sharing):
            probe = start.relative()  # steps in proportion to each entry, which small ones survive
            self._hear_more(sharing, probe, self._differences(probe), rows)

    def _differences(self, probe: witness.Probe) -> witness.Differences:
        with np.errstate(all="ignore"):  # a step may leave the domain of f
            f = {point: self.program.values([probe.shifted(point)])[0] for point in probe.points}
            found = probe.differences(f, self.grain)
        if probe.claim.kind in ("gradient", "jacobian") and not probe.claim.wirtinger and probe.stride == 1:
            middle = self.program.values([dict(probe.values)])[0]
            self.kinks[probe.claim.name] = self.kinks.get(probe.claim.name, False) or witness.kink(f, middle)
        if not np.all(np.isfinite(found.value)):
            return dataclasses.replace(found, error=float("inf"))
        return found

    def _hear_more(
        self, sharing: list[Claim], probe: witness.Probe, found: witness.Differences, rows: list[Row]
    ) -> None:
        exact = witness.complex_step(probe, self._complex(sharing[0]), found) if not self.grain else None
        self._hear(sharing, 0, probe, exact or found, rows)

    def _complex(self, claim: Claim) -> Callable[..., Any]:
        def run(**operands: Any) -> Any:
            with checking_context(self.program.device, self.options.precision):
                return jax.jit(lambda arrays: claim.identity.function(**arrays))(operands)

        return run

    def _resolved(self, sharing: list[Claim]) -> bool:
        return any(t.resolves for c in sharing for t in self.witnessed[c.name].reference.get(0, []))

    # Judgement

    def _judge_held(
        self, claim: Claim, seen: Any, said: Any, limit: float
    ) -> tuple[str | None, witness.Testimony | None]:
        problem, testimony = super()._judge_held(claim, seen, said, limit)
        agrees = said.first(said.closed, True)
        if self.kinks.get(claim.name):
            return "the function has a kink here: one-sided differences disagree, and it has no derivative", testimony
        against = said.first(said.closed, False)
        if problem and problem.startswith("autodiff is not finite") and (agrees or against):
            problem = "autodiff is wrong here: it is not finite, and differences agree with the closed form"
            if against is not None:
                problem = "autodiff is not finite here, and differences contradict the closed form"
        elif problem and agrees is not None and said.first(said.reference, False):
            problem = "autodiff is wrong here: differences agree with the closed form and contradict autodiff"
        if problem and problem.startswith("the differences resolve no draw") and (self.grain > 1e-4 or self.alone):
            problem = None  # a function that stays in half precision: the verdict's note says so
        return problem, testimony or agrees

    def _diagnose(self, claim: Claim, dtype: str, at: int, wrong: Sequence[bool]) -> str:
        seen, said = self.seen[claim.name, dtype][at], self.witnessed[claim.name]
        if self.kinks.get(claim.name):
            return "not differentiable here: the function has a kink at these operands"
        if seen.problem.startswith("the function is not finite"):
            return "not finite: the function is undefined at these operands"
        if "is not finite" in seen.problem and said.first(said.closed, True):
            return "the formula is right by differences; autodiff gives NaN or infinity at these operands"
        if "autodiff is not finite" in seen.problem and said.first(said.closed, False):
            return "the formula is wrong by differences; autodiff gives NaN or infinity at these operands"
        if said.first(said.closed, True) and said.first(said.reference, False):
            return "the formula is right by differences; autodiff is wrong at these operands"
        return super()._diagnose(claim, dtype, at, wrong)

    def _fresh(self, index: int, case: int, claim: Claim) -> list[Values]:
        drawn = super().draws(index)
        answer = self.program.run(drawn)[case].answers[claim.name]
        if answer.reference is not None and np.all(np.isfinite(answer.reference)):
            return drawn
        return [drawn[0] | self._near(index)]

    def _near(self, index: int) -> Values:
        rng = stream("near", self.options.seed, index)
        return {n: v * (1 + NEAR * rng.standard_normal(v.shape)) for n, v in self.given.items()}

    def here_only(self, claim: Claim) -> str:
        """Of a claim that holds at the given operands: where it fails; "" where it holds at general ones too."""
        if self.grain > tolerance.DIFFERS:
            return ""  # in half precision rounding alone tells two formulas apart
        evaluate = self._evaluator(claim, 0, self.draws(0))
        start = self.draws(0)[0]
        rngs = [stream("general", self.options.seed, index) for index in range(FRESH)]

        def fails(values: Mapping[str, Any]) -> bool:
            a, b = evaluate(values)
            finite = np.all(np.isfinite(a)) and np.all(np.isfinite(b))
            # what is lost in rounding elsewhere is no other formula
            return bool(finite) and not close(a, b) and tolerance.visibly_different(a, b)

        def moved(name: str, rng: np.random.Generator) -> np.ndarray:
            value = self.given[name]
            noise = rng.standard_normal(value.shape)
            return np.asarray(value + NEAR * (noise if not np.any(value) else noise * np.abs(value).max()))

        for name in squares(self.given):
            value = self.given[name]
            symmetric = close(value, value.T)
            free = symmetric and not is_word(claim.operands[name].word)
            if free and all(fails(changed(start, **{name: moved(name, rng)})) for rng in rngs):
                return f"holds here; not for general {name} (the one given is symmetric)"
        if any(is_word(o.word) for o in claim.operands.values()):
            return ""
        if all(fails(start | {n: moved(n, rng) for n in self.given}) for rng in rngs):
            return "holds here; not at general operands near those given"
        return ""

    def constant(self, claim: Claim) -> bool:
        """Whether autodiff's derivative is exactly zero at the given operands and at general ones."""
        evaluate = self._evaluator(claim, 0, self.draws(0))
        draws = [self.draws(0)[0], *(self._fresh(index, 0, claim)[0] for index in range(1, FRESH + 1))]
        try:
            return claim.kind != "value" and not any(np.any(evaluate(values)[1]) for values in draws)
        except ValueError:  # a side cannot be evaluated
            return False

    # Other shapes

    def _at_sizes(self, claim: Claim, sizes: Mapping[int, int]) -> list[Sides]:
        shapes = {n: tuple(sizes.get(s, s) for s in v.shape) for n, v in self.given.items()}
        other = self.remake(shapes)[claim.name]
        examination = Examination([other], self.options)
        drawn = [examination.draws(index) for index in range(3)]
        evaluate = examination._evaluator(other, 0, drawn[0])
        return [evaluate(draws[0]) for draws in drawn]

    @property
    def _sizes(self) -> dict[int, str]:
        """The sizes above 1 of the given operands, named by the first operand that has them."""
        found: dict[int, str] = {}
        for name, value in self.given.items():
            for axis, size in enumerate(value.shape):
                if size > 1:
                    found.setdefault(size, f"len({name})" if axis == 0 else f"{name}.shape[{axis}]")
        return found

    def _dims(self, at: int) -> dict[str, int]:
        return {name: size for size, name in self._sizes.items()}

    def _elsewhere(self, claim: Claim, at: int) -> Iterator[Elsewhere]:
        if self._sizes and not any(is_word(o.word) for o in claim.operands.values()):
            grown = {size: size + len(self._sizes) for size in self._sizes}
            yield Elsewhere({n: grown[s] for s, n in self._sizes.items()}, self._at_sizes(claim, grown))

    def _squared(self, claim: Claim) -> Callable[[], list[Sides]]:
        return lambda: self._at_sizes(claim, dict.fromkeys(self._sizes, min(self._sizes, default=1)))
