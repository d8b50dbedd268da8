"""An examination at the operands that a caller gave, where nothing is known of their function.

The given operands are the one draw that is judged; a diagnosis must also explain three general draws
of the same shapes, and what holds at special operands only (a symmetric matrix, all ones) is said to.
Differences look for a step that suits the function (identities.engine.stepping), and the complex step joins them
where f allows it.
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
from identities.engine.stepping import Stepping, complex_step

NEAR = (0.3, 0.1, 1e-2, 1e-3)  # how far a draw moves from the given operands where a general one leaves the domain of f
Maker = Callable[[Mapping[str, tuple[int, ...]]], Mapping[str, Claim]]


class AtGiven(Examination):
    """One draw, given by the caller; `remake` builds the same claims, by name, for operands of other shapes."""

    def __init__(
        self,
        claims: Sequence[Claim],
        options: Options,
        given: Values,
        grain: float,
        remake: Maker,
        stays: float = 0.0,
    ):
        super().__init__(claims, options, grain=grain, stays=stays)
        self.given = given
        self.remake = remake
        self.bends: dict[str, str] = {}  # a kink or a jump at the given operands, by claim
        self.blamed: dict[str, str] = {}  # what autodiff does at the given operands where the closed form is right
        self.alone = all(c.by_differences for c in claims)  # nothing but differences is asked

    by_value = True

    def draws(self, index: int) -> list[Values]:
        if index:
            return super().draws(index)
        return [super().draws(0)[0] | self.given]  # tangents are drawn

    def _keeps_words(self, drawn: Values) -> None:
        for name, operand in self.claims[0].operands.items():
            reason = operand.word.violation(drawn[name]) if is_word(operand.word) else None
            if reason:
                raise OperandViolation(f"the operand given for {name} is not {operand.word.english}: {reason}")

    # The witness: a step that resolves, kinks and jumps, the complex step

    def _testimonies(self, sharing: list[Claim], probes: list[witness.Probe], rows: list[Row]) -> None:
        probe, claim = probes[0], sharing[0]
        walk = Stepping(probe, self._value, self.grain).walk()
        bend = walk.bend
        if not bend and claim.kind in ("gradient", "jacobian"):
            # two entries may jump or bend against each other along one direction
            bend = Stepping(dataclasses.replace(probe, along=probe.other), self._value, self.grain).bend()
        for one in sharing:
            self.bends[one.name] = bend
        self._hear_best(sharing, probe, walk.found, rows)
        blamed = any(self._blames(one) for one in sharing)
        if blamed and claim.kind != "differential":  # against autodiff, one direction is not enough
            second = dataclasses.replace(probe, along=probe.other, other=probe.along)
            self._hear_best(sharing, second, Stepping(second, self._value, self.grain).walk().found, rows)
        elif claim.kind != "differential" and not self._resolved(sharing):
            relative = probe.relative()  # steps in proportion to each entry, which small ones survive
            if all(np.all(np.asarray(d) != 0) for d in relative.along.values()):
                self._hear_best(sharing, relative, Stepping(relative, self._value, self.grain).walk().found, rows)

    def _blames(self, claim: Claim) -> bool:
        """Whether differences agree with the closed form everywhere, and nowhere with autodiff."""
        said = self.witnessed[claim.name]
        closed, reference = said.closed.get(0, []), said.reference.get(0, [])
        return all(t.agrees for t in closed) and bool(closed) and not any(t.agrees for t in reference)

    def _hear_best(
        self, sharing: list[Claim], probe: witness.Probe, found: witness.Differences, rows: list[Row]
    ) -> None:
        """Hear the complex step where f allows it, and these differences elsewhere."""
        exact = None
        if not (self.grain or self.alone or self.bends[sharing[0].name]):
            exact = complex_step(probe, self._complex(sharing[0]), found)
        self._hear(sharing, 0, probe, exact or found, rows)

    def _value(self, values: Mapping[str, Any]) -> np.ndarray:
        return self.program.values([[dict(values)]])[0][0]

    def _complex(self, claim: Claim) -> Callable[..., Any]:
        compiled = jax.jit(lambda arrays: claim.identity.function(**arrays))

        def run(**operands: Any) -> Any:
            with checking_context(self.program.device, self.options.precision):
                return compiled(operands)

        return run

    def _resolved(self, sharing: list[Claim]) -> bool:
        return any(t.resolves for c in sharing for t in self.witnessed[c.name].reference.get(0, []))

    # Judgement

    def _judge_held(
        self, claim: Claim, seen: Any, said: Any, limit: float
    ) -> tuple[str | None, witness.Testimony | None]:
        problem, testimony = super()._judge_held(claim, seen, said, limit)
        agrees, against = said.first(said.closed, True), said.first(said.closed, False)
        if self.bends.get(claim.name):
            return f"the function has a {self.bends[claim.name]} here, and no derivative", testimony
        absent = bool(problem) and str(problem).startswith("autodiff is not finite")
        if absent and against is not None:
            problem = "autodiff is not finite here, and differences contradict the closed form"
        elif agrees is not None and self._blames(claim) and (absent or self._visibly(said)):
            # the question is whether the closed form is right: differences along two directions say so
            problem = None
            what = "gives NaN or infinity" if absent else "is wrong"
            self.blamed[claim.name] = f"right by differences; autodiff {what} at these operands"
        return problem, testimony or agrees

    @staticmethod
    def _visibly(said: Any) -> bool:
        """Whether closed form and autodiff differ along a direction by more than rounding could explain."""
        pairs = zip(said.closed.get(0, []), said.reference.get(0, []), strict=True)
        return any(
            other.agrees is False and abs(other.got - one.got) > tolerance.DIFFERS * max(abs(other.got), abs(one.got))
            for one, other in pairs
        )

    def _diagnose(self, claim: Claim, dtype: str, at: int, wrong: Sequence[bool]) -> str:
        seen, said = self.seen[claim.name, dtype][at], self.witnessed[claim.name]
        if self.bends.get(claim.name):
            return f"not differentiable here: the function has a {self.bends[claim.name]} at these operands"
        if seen.problem.startswith("the function is not finite"):
            return "not finite: the function is undefined at these operands"
        if "autodiff is not finite" in seen.problem and said.first(said.closed, False):
            return "the formula is wrong by differences; autodiff gives NaN or infinity at these operands"
        return super()._diagnose(claim, dtype, at, wrong)

    def _fresh(self, index: int, case: int, claim: Claim) -> list[Values]:
        drawn = super().draws(index)
        for by in (None, *NEAR):  # a general draw, or one near the given operands, as near as f demands
            tried = drawn if by is None else [drawn[0] | self._near(index, by)]
            answer = self.program.run(tried)[case].answers[claim.name]
            if answer.reference is not None and np.all(np.isfinite(answer.reference)):
                return tried
        return tried

    def _near(self, index: int, by: float) -> Values:
        rng = stream("near", self.options.seed, index)
        return {n: v * (1 + by * self._noise(v, rng)) for n, v in self.given.items()}

    @staticmethod
    def _noise(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Gaussian noise of the shape and kind of an operand; symmetric for a symmetric one."""
        noise = rng.standard_normal(value.shape)
        if np.iscomplexobj(value):
            noise = noise + 1j * rng.standard_normal(value.shape)
        square = value.ndim == 2 and value.shape[0] == value.shape[1]
        return np.asarray((noise + noise.T) / 2 if square and close(value, value.T) else noise)

    def here_only(self, claim: Claim) -> str:
        """Of a claim that holds at the given operands: where it fails, or that autodiff does; "" for neither."""
        if claim.name in self.blamed:
            return self.blamed[claim.name]
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
            if np.iscomplexobj(value):
                noise = noise + 1j * rng.standard_normal(value.shape)
            return np.asarray(value + NEAR[0] * (noise if not np.any(value) else noise * np.abs(value).max()))

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
