"""Errata as data: for each refuted print the smallest counterexample, the correction, the condition.

A counterexample is small integers: found by search from the smallest dims up, then shrunk entry by
entry for as long as the print stays false, by autodiff and by differences, and every operand keeps
its word.  The search is deterministic: `identities errata NAME --search` finds the same again.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
import os
import pathlib
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from identities.engine.errors import NoShape
from identities.engine.identity import Claim, Identity
from identities.engine.operands import is_complex, is_word
from identities.engine.program import Program, Values, checking_context, find_device
from identities.engine.reference import STRUCTURES
from identities.engine.shapes import Case, condition, stream
from identities.engine.tolerance import visibly_different
from identities.engine.verdict import plain
from identities.engine.witness import Probe, testify

PATH = pathlib.Path(__file__).parent.parent / "errata.json"
LARGEST_DIM = 5
TRIES = 400  # integer draws per shape


@dataclasses.dataclass(frozen=True)
class Counterexample:
    """Operands in small integers, what the print gives there and what is true."""

    dims: dict[str, int]
    operands: dict[str, Any]
    printed: Any
    true: Any


@dataclasses.dataclass(frozen=True)
class Erratum:
    """One false print: where it stands, why it is false, and what is right.

    `condition` says when the print would be right ("" where no claim states that).  `of_print` is
    False where the source states the condition that the refuted form leaves out, or where the
    form is one reading of an unclear print.
    """

    name: str
    sources: tuple[str, ...]
    of_print: bool
    title: str
    printed: str
    because: str
    corrections: dict[str, str]
    condition: str
    counterexample: Counterexample
    numpy: str | None

    def to_json(self) -> dict[str, Any]:
        return dict(plain(dataclasses.asdict(self)))


class _Trial:
    """A claim compiled at one small shape: is it false there, and what are the two sides?"""

    def __init__(self, claim: Claim, case: Case):
        self.claim, self.case = claim, case
        self.program = Program([claim], [case], [np.dtype(np.float64)], find_device("cpu"))

    def sides(self, values: Values) -> tuple[np.ndarray, np.ndarray] | None:
        """(printed, true) where both are finite, of one shape, and visibly different."""
        answer = self.program.run([values])[0].answers[self.claim.name]
        printed, true = answer.closed.get("float64"), answer.reference
        if printed is None or true is None or not visibly_different(printed, true):
            return None
        return printed, true

    def refutes(self, values: Values) -> bool:
        """Whether autodiff and differences both say that the print is false here."""
        with checking_context(self.program.device):
            return self._refutes(values)

    def _refutes(self, values: Values) -> bool:
        for name, operand in self.claim.operands.items():
            if is_word(operand.word) and operand.word.violation(values[name]):
                return False
        sides = self.sides(values)
        if sides is None or self.claim.kind == "value":
            return sides is not None
        for seed in range(3):  # a direction may miss the entries that are wrong
            probe = Probe.at(self.claim, values, seed)
            found = probe.differences({p: self.program.values([[probe.shifted(p)]])[0][0] for p in probe.points})
            if not testify(probe, sides[1], found).agrees:
                return False
            if testify(probe, sides[0], found).agrees is False:
                return True
        return False


def small_cases(claim: Claim) -> Iterator[Case]:
    """Every admissible shape with dims up to 5, by the number of entries that it gives the operands."""
    admissible, letters = condition(claim.where, claim.name), claim.dims
    ranges = {o.name: range(o.word.low, min(o.word.high, 3) + 1) for o in claim.operands.values() if o.static}
    found = []
    for sizes in itertools.product(range(1, LARGEST_DIM + 1), repeat=len(letters)):
        dims = dict(zip(letters, sizes, strict=True))
        if not admissible(dims):
            continue
        entries = sum(int(np.prod(o.shape(dims))) for o in claim.operands.values() if not o.static)
        for counts in itertools.product(*ranges.values()):
            found.append((entries, sum(counts), sizes, Case(dims, dict(zip(ranges, counts, strict=True)), "asked")))
    return iter([case for *_, case in sorted(found, key=lambda row: row[:3])])


def places(space: str, n: int) -> np.ndarray:
    """Which free entry of a structured n x n matrix stands where; -1 where there is none."""
    free = np.asarray(STRUCTURES[space].expand(np.arange(1, n * n + 1), n))
    return free - 1


def integers(claim: Claim, case: Case, seed: int) -> Values:
    """Small integers for every operand and tangent; structured words are made of them too."""
    values: Values = dict(case.counts)
    names = {name: name for name in claim.operands} | dict(zip(claim.tangents, claim.wrt, strict=False))
    for name, owner in names.items():
        operand = claim.operands[owner]
        if operand.static:
            continue
        rng, shape = stream(name, seed), operand.shape(case.dims)
        space = operand.word.space if is_word(operand.word) else None
        drawn: np.ndarray = rng.integers(-2, 3, shape).astype(np.float64)
        word = operand.word.__name__
        if word in ("Positive", "Simplex"):
            drawn = np.abs(drawn) + 1
            drawn = drawn / drawn.sum(-1, keepdims=True) if word == "Simplex" else drawn
        elif word == "Mask":
            drawn = (drawn > 0).astype(np.float64)
        elif space:
            free = places(space, shape[0])
            drawn = np.where(free < 0, 0.0, drawn.ravel()[free])
        if word in ("PosDef", "Definite"):
            drawn = drawn + 3 * np.eye(len(drawn))
        if is_complex(operand.word):
            drawn = drawn + np.complex128(1j) * rng.integers(-2, 3, shape)
        values[name] = np.asarray(drawn)
    return values


def shrink(trial: _Trial, values: Values) -> Values:
    """Make entries 0, 1 or smaller, one after another, while the print stays false."""
    values = dict(values)
    improved = True
    while improved:
        improved = False
        for name, value in values.items():
            if not isinstance(value, np.ndarray):
                continue
            for index in np.ndindex(value.shape):
                now: Any = value[index]
                for smaller in (0.0, 1.0, -1.0, 2.0):
                    if (abs(smaller), smaller < 0) >= (abs(now), bool(np.real(now) < 0)) and np.isreal(now):
                        continue
                    attempt = _with_entry(trial.claim, name, value, index, smaller)
                    if attempt is not None and trial.refutes({**values, name: attempt}):
                        values[name] = value = attempt
                        improved = True
                        break
    return values


def _with_entry(claim: Claim, name: str, value: np.ndarray, index: tuple[int, ...], entry: float) -> np.ndarray | None:
    """The array with one free entry changed, in all the places that it fills; None if nothing changes."""
    changed = value.copy()
    owner = claim.operands.get(name)
    if owner is not None and is_word(owner.word) and owner.word.space:
        free = places(owner.word.space, len(value))
        changed[free == free[index]] = entry if free[index] >= 0 else 0.0
    else:
        changed[index] = entry
    return None if np.array_equal(changed, value) else changed


def counterexample(claim: Claim) -> Counterexample:
    """The smallest counterexample that the search finds.  Raises NoShape where it finds none."""
    for case in small_cases(claim):
        trial = _Trial(claim, case)
        for seed in range(TRIES):
            values = integers(claim, case, seed)
            if trial.refutes(values):
                values = shrink(trial, values)
                return _show(trial, values)
            if (
                seed > 40
                and trial.sides(values) is None
                and not any(trial.sides(integers(claim, case, s)) for s in range(8))
            ):
                break  # the print agrees at this shape, or is undefined there
    raise NoShape(f"{claim.name}: no small integers refute the print at dims up to {LARGEST_DIM}")


def _show(trial: _Trial, values: Values) -> Counterexample:
    sides = trial.sides(values)
    assert sides is not None
    shown = {name: numbers(value) for name, value in values.items()}
    return Counterexample({**trial.case.dims, **trial.case.counts}, shown, numbers(sides[0]), numbers(sides[1]))


def numbers(value: Any) -> Any:
    """Nested lists; integers where they are integers, else eight digits."""

    def tidy(x: Any) -> Any:
        if isinstance(x, list):
            return [tidy(y) for y in x]
        if isinstance(x, complex):
            return [tidy(x.real), tidy(x.imag)]
        near = round(x)
        return int(near) if abs(x - near) < 1e-9 * max(1.0, abs(x)) else float(f"{x:.8g}")

    return tidy(np.asarray(value).tolist())


def numpy_source(identity: Identity[..., Any]) -> str | None:
    """The identity's function in NumPy alone, or None where it needs more than NumPy has."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(identity.function)))
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    function.decorator_list, function.returns = [], None
    function.body = function.body[1:]  # the docstring
    for argument in function.args.args:
        argument.annotation = None
    text = ast.unparse(function).replace("jnp.", "np.")
    names = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
    allowed = {"np", *identity.parsed, "range", "len", "sum", "_"} | _assigned(text)
    return text if names <= allowed else None


def _assigned(text: str) -> set[str]:
    return {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def script(claim: Claim, found: Counterexample) -> str | None:
    """A script in NumPy alone that prints the true derivative by differences; None where f needs more.

    Second derivatives and complex operands are left to `identities check`.
    """
    source = numpy_source(claim.identity)
    plain_kind = claim.kind in ("gradient", "jacobian") and claim.structure is None
    if source is None or any(not o.static and is_complex(o.word) for o in claim.operands.values()):
        return None
    lines = ["import numpy as np", "", source, ""]
    for name in claim.operands:
        value = found.operands[name]
        lines.append(f"{name} = {value}" if claim.operands[name].static else f"{name} = np.array({value}, float)")
    f = claim.identity.name

    def call(moved: str = "") -> str:
        return f"{f}({', '.join(n + moved if n in claim.wrt else n for n in claim.operands)})"

    if claim.kind == "value":
        return "\n".join([*lines, f"print({call()})"])
    if not plain_kind:
        return None
    x = claim.wrt[0]
    lines += [
        "D = []",
        f"for i in np.ndindex({x}.shape):",
        f"    E = np.zeros({x}.shape)",
        "    E[i] = 1e-4",
        f"    D.append(({call(' + E')} - {call(' - E')}) / 2e-4)",
        f"print(np.stack(D, -1).reshape(np.shape(D[0]) + {x}.shape).round(6))",
    ]
    return "\n".join(lines)


def erratum(claim: Claim, found: Counterexample) -> Erratum:
    """The entry of one refuted claim."""
    held = claim.corrections
    same = [c for c in held if c.latex == claim.latex and c.given]
    condition = claim.right_if or " and ".join(
        dict.fromkeys(text for c in same for text in c.conditions if text not in claim.conditions)
    )
    if not condition and any(s.note.startswith("without") for s in claim.sources):
        condition = "the condition that the source states"
    return Erratum(
        name=claim.name,
        sources=tuple(map(str, claim.sources)),
        of_print=any(not s.note.startswith(("without", "read")) for s in claim.sources),
        title=claim.identity.title,
        printed=claim.statement,
        because=claim.because,
        corrections={c.name: c.statement for c in held if c not in same},
        condition=condition,
        counterexample=found,
        numpy=script(claim, found),
    )


def read() -> list[dict[str, Any]]:
    """The errata as they were last found.  Raises ValueError for a broken file."""
    try:
        return list(json.loads(PATH.read_text(encoding="utf-8"))["errata"])
    except FileNotFoundError:
        return []
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{PATH} holds no errata ({error}); make it anew with `make errata`") from error


def find_all(claims: Iterable[Claim]) -> Iterator[Erratum]:
    """Search a counterexample for every refuted claim."""
    for claim in claims:
        if claim.status == "refuted":
            yield erratum(claim, counterexample(claim))


def write(path: pathlib.Path, text: str) -> None:
    """Replace a file in one step."""
    half = path.with_suffix(".tmp")
    half.write_text(text, encoding="utf-8")
    os.replace(half, path)


def page(errata: Iterable[Mapping[str, Any]]) -> str:
    """docs/errata.md."""
    lines = [
        "# Errata",
        "",
        "Formulas that a source prints and that are false, each with the smallest counterexample that a search in",
        "small integers found, and with the right form. Generated by `make errata`; `identities errata NAME --search`",
        "finds a counterexample again, `identities check NAME` refutes the print at random shapes. A gradient has the",
        "shape of its argument. Each script needs NumPy alone and prints the true value.",
        "",
    ]
    prints = [e for e in errata if e["of_print"]]
    conditions = [e for e in errata if not e["of_print"]]
    for heading, rows in (
        ("False as printed", prints),
        ("False without the condition that the source states, or in one reading of the print", conditions),
    ):
        if rows:
            lines += [f"## {heading}", ""]
        for e in rows:
            lines += _entry(e)
    return "\n".join(lines).rstrip() + "\n"


def _entry(e: Mapping[str, Any]) -> list[str]:
    example = e["counterexample"]
    operands = "; ".join(f"{k} = {json.dumps(v)}" for k, v in example["operands"].items())
    lines = [
        f"### {', '.join(e['sources'])}: {e['title']}",
        "",
        f"`{e['name']}`. Printed, and false: {e['because']}.",
        "",
        f"$${e['printed']}$$",
        "",
    ]
    for name, statement in e["corrections"].items():
        lines += [f"Right (`{name}`):", "", f"$${statement}$$", ""]
    if e["condition"]:
        lines += [f"The print is right where {e['condition']}.", ""]
    printed, true = json.dumps(example["printed"]), json.dumps(example["true"])
    lines += [f"Counterexample: {operands}. The print gives `{printed}`, true is `{true}`.", ""]
    if e["numpy"]:
        lines += ["```python", e["numpy"], "```", ""]
    return lines
