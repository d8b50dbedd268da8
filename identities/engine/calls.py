"""One call of a check of one's own, turned into claims that an examination can run."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from identities.engine import inputs as handed
from identities.engine import operands as words
from identities.engine import tolerance
from identities.engine.checking import Examination, Options
from identities.engine.errors import UnsupportedDtype
from identities.engine.given import AtGiven
from identities.engine.identity import Claim, Identity, build_claim
from identities.engine.inputs import Leaf, Wrt
from identities.engine.program import checking_context, find_device
from identities.engine.verdict import Verdict, Verdicts

Function = Callable[..., Any]
Picked = Callable[[Any], Any]  # one leaf's derivative out of what the caller's function returns
SPACES = {
    "symmetric": words.Symmetric,
    "diagonal": words.Diagonal,
    "toeplitz": words.Toeplitz,
    "symmetric toeplitz": words.SymmetricToeplitz,
}
DIFFERENCES = 1e-6  # of the scale: what agreement with differences alone can show
HALF = 1e-4  # eps above this is half precision
FORWARD = 4000  # operands' entries up to which forward mode takes every one in turn


def label_of(f: Function, default: str) -> str:
    name = getattr(f, "__name__", default).lower().strip("_")
    return name if name.isidentifier() and name.isascii() and "__" not in name else default


def ravelled(result: Any) -> Any:
    """One array: the result itself, or the leaves of a pytree one after another."""
    leaves = jax.tree.leaves(result)
    if len(leaves) == 1:
        return leaves[0]
    return jnp.concatenate([jnp.ravel(leaf) for leaf in leaves]) if leaves else jnp.zeros(0)


class Call:
    """One call of a check: its operands, its function, and what they are turned into for the examination."""

    def __init__(
        self,
        kind: str,
        f: Function,
        operands: Sequence[Any],
        wrt: Wrt,
        dtype: Any,
        against: str,
        seed: int,
        device: str | None,
        entries: str | None = None,
        within: str | None = None,
        wirtinger: str = "z",
        label: str = "",
    ):
        self.kind, self.dtype, self.seed, self.device = kind, _dtype(dtype), seed, device
        self.entries, self.within, self.wirtinger = entries, within, wirtinger
        self.label = label or label_of(f, "f")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise TypeError(f"seed must be a whole number of at least 0, got {seed!r}")
        if against not in ("autodiff", "differences"):
            raise TypeError(f"against must be 'autodiff' or 'differences', got {against!r}")
        for structure in (entries, within):
            if structure is not None and structure not in SPACES:
                raise TypeError(f"the structure {structure!r} is unknown; the structures are {', '.join(SPACES)}")
        self.alone = against == "differences"
        self.inputs = handed.read(f, operands, wrt, self.dtype)
        self.notes = list(self.inputs.notes)
        self.outside: list[handed.ThroughNumpy] = []  # what is called back, since JAX cannot trace it
        structure = entries or within
        self.structured = self._of_the_space(structure) if structure else ()  # names of the operands that have it
        self.sample = self._sample()
        self.counts = {n: v for n, v in self.sample.items() if isinstance(v, int)}
        self.arrays = {n: v for n, v in self.sample.items() if n not in self.counts}
        handed.must_fit("the operands", [int(np.size(v)) for v in self.sample.values()], "check a smaller case")
        if self.alone:
            self.must_be_real("a derivative held against differences")
        with self.context():
            if self.alone:
                f = self._callable(f, "the function")
            self.f = f
            self.output = handed.outline(self._watched(f), [self.arrays], "the function")
            handed.must_be_pure(self._of_leaves(f), [self.arrays])

    def context(self) -> Any:
        return checking_context(find_device(self.device))

    def _sample(self) -> dict[str, Any]:
        if not self.inputs.annotated:
            return dict(self.inputs.values())
        claim = self._drawing(self._annotations())
        dims = claim.cases(self.seed, 1)[0].dims
        sizes = [math.prod(o.shape(dims)) for o in claim.operands.values() if not o.static]
        handed.must_fit("the operands", sizes, "check a smaller case")  # before anything is drawn
        return claim.sample(self.seed)

    def _drawing(self, annotations: Mapping[str, Any]) -> Claim:
        """A claim about nothing, whose operands can be drawn."""
        owner = self._identity(lambda **named: jnp.zeros(()), annotations)
        drawn = _named(owner.signature, f"{self.label}_is_drawn", lambda **named: 0.0)
        return build_claim(owner, drawn, "value", (), ("ours",))

    def _annotations(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Any]:
        return {leaf.name: self._annotation(leaf, shapes[leaf.name] if shapes else None) for leaf in self.inputs.leaves}

    def _annotation(self, leaf: Leaf, shape: tuple[int, ...] | None = None) -> Any:
        structure = self.entries or self.within
        if structure and leaf.name in self.structured and not leaf.annotated:
            side = leaf.value.shape if shape is None else shape
            return SPACES[structure][Array, " ".join(map(str, side))]
        if shape is None or leaf.annotated:
            return leaf.annotation
        return dataclasses.replace(leaf, value=np.zeros(shape, leaf.value.dtype)).annotation

    def _of_leaves(self, function: Function) -> Callable[[dict[str, Any]], Any]:
        """The function of the named arrays; integers that are static are those of the sample, unless named too."""
        return lambda named: function(*self.inputs.operands(self.counts | named))

    def _watched(self, function: Function) -> Callable[[dict[str, Any]], Any]:
        """The same, for the first call: what it returns must be numbers."""

        def called(named: dict[str, Any]) -> Any:
            result = self._of_leaves(function)(named)
            handed.must_be_numbers(result, "the function", function)
            return result

        return called

    def _arguments(self, named: Mapping[str, Any], along: bool) -> list[Any]:
        """The operands with these arrays, followed by tangents of the same size where `along` says so."""
        tangents = {leaf.name: named[leaf.name] for leaf in self.inputs.differentiated} if along else {}
        return self.inputs.operands(self.counts | dict(named)) + (self._tangents(tangents) if along else [])

    def _callable(self, function: Function, what: str, along: bool = False) -> Function:
        """The function itself, or a callback where it is written with NumPy; `along`: it takes tangents too."""
        try:
            jax.eval_shape(lambda named: function(*self._arguments(named, along)), self.arrays)
            return function
        except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError):
            pass
        except Exception:
            return function  # the verdict, or the next step, says what is wrong with it
        arguments = self._arguments(self.arrays, along)
        try:
            first, second = function(*arguments), function(*arguments)
        except Exception as error:
            raise ValueError(
                f"{what} fails at these operands{handed.their_line(error)}: {handed.first_line(error)}"
            ) from error
        handed.must_be_numbers(first, what, function)
        if not all(
            np.array_equal(a, b, equal_nan=True) for a, b in zip(*map(jax.tree.leaves, (first, second)), strict=True)
        ):
            raise ValueError(f"{what} has side effects: two calls at the same operands returned different values")
        results = {self._shapes(arguments): first}

        def like(*operands: Any) -> Any:
            shapes = self._shapes(operands)
            if shapes not in results:  # annotations, or a diagnosis at another size: the function tells its own shape
                results[shapes] = function(*self._arguments(self._drawn_at(dict(shapes)), along))
            return results[shapes]

        self.outside.append(handed.ThroughNumpy(function, what, like))
        return self.outside[-1]

    def _shapes(self, operands: Sequence[Any]) -> tuple[tuple[str, tuple[int, ...]], ...]:
        arrays = self.inputs.arrays(operands[: len(self.inputs.names)])
        return tuple((name, tuple(np.shape(array))) for name, array in arrays.items() if name not in self.counts)

    def _drawn_at(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Operands of these shapes, drawn as those of the check are."""
        claim = self._drawing(self._annotations(None if self.inputs.annotated else shapes))
        dims = {
            dim: size
            for name, operand in claim.operands.items()
            for dim, size in zip(operand.dims, shapes.get(name, ()), strict=False)
            if isinstance(dim, str)
        }
        return claim.sample(self.seed, dims)

    # What does not fit

    def _of_the_space(self, structure: str) -> tuple[str, ...]:
        """The names of the square matrices that are differentiated by.  Raises TypeError for none, or a complex one."""
        found = []
        for leaf in self.inputs.differentiated:
            dims = str(leaf.value.dim_str).split() if leaf.annotated else list(leaf.value.shape)
            if len(dims) == 2 and dims[0] == dims[1]:
                found.append(leaf)
        labels = [leaf.label for leaf in self.inputs.differentiated]
        unfit = [leaf.label for leaf in found if not leaf.annotated and np.iscomplexobj(leaf.value)]
        if unfit or not found:
            raise TypeError(
                f"a derivative in {structure} matrices is by a real square matrix; operand "
                f"{', '.join(unfit or labels)} is none"
            )
        if len(found) < len(labels):
            self.notes.append(f"the {structure} matrices are {', '.join(v.label for v in found)} alone")
        return tuple(leaf.name for leaf in found)

    def scalar(self) -> None:
        """Raise ValueError unless the function returns one real scalar."""
        leaves = jax.tree.leaves(self.output)
        if len(leaves) != 1 or leaves[0].shape != () or not jnp.issubdtype(leaves[0].dtype, jnp.floating):
            shown = ", ".join(f"{leaf.dtype.name}{list(leaf.shape)}" for leaf in leaves) or "nothing"
            raise ValueError(f"the function must return a real scalar, got {shown}; for an array use check_jacobian")

    def must_be_real(self, what: str) -> None:
        for leaf in self.inputs.differentiated:
            if np.iscomplexobj(self.sample[leaf.name]):
                raise UnsupportedDtype(
                    f"{what} by the complex operand {leaf.label} is not checked; split it into parts"
                )

    def output_size(self) -> int:
        leaves = jax.tree.leaves(self.output)
        if len(leaves) != 1:
            raise ValueError(
                f"the function must return one array, got {len(leaves)}; check_differential takes a pytree"
            )
        return math.prod(leaves[0].shape)

    def fits(self, rows: int, what: str, instead: str) -> None:
        """Raise TooLarge where a derivative would not fit into memory; `rows` 0 means that of a Hessian."""
        sizes = {leaf.name: int(np.size(self.sample[leaf.name])) for leaf in self.inputs.differentiated}
        total = sum(sizes.values())
        handed.must_fit(what, [(rows or total) * total], f"check it along random directions: {instead}")

    # What is examined

    def picks(self, derivative: Function) -> list[tuple[Any, Picked]]:
        """For each derivative by an array: its operands, and where it stands in what the caller's function returns."""
        inputs = self.inputs
        found: list[tuple[Any, Picked]] = []
        mixed = self.kind == "hessian" and not inputs.single
        if mixed:
            if len(inputs.wrt) != 2 or any(inputs.tree(p) is not None for p in inputs.wrt):
                raise TypeError("a mixed Hessian is by two operands that are arrays, wrt=('u', 'v')")
            return [([leaf.name for leaf in inputs.differentiated], lambda result: result)]
        for place, position in enumerate(inputs.wrt):
            tree, mine = inputs.tree(position), inputs.of(position)

            def part(result: Any, place: int = place) -> Any:
                return result if inputs.single else result[place]

            if tree is None:
                found.append(([mine[0].name], part))
                continue
            kept = jax.tree.unflatten(tree, list(range(tree.num_leaves)))
            for i, first in enumerate(mine):
                for j, second in enumerate(mine if self.kind == "hessian" else mine[:1]):
                    names = [first.name] if self.kind != "hessian" or i == j else [first.name, second.name]
                    at = i * len(mine) + j if self.kind == "hessian" else inputs.places(position)[i]

                    def leaf(result: Any, part: Picked = part, at: int = at, like: Any = kept) -> Any:
                        return jax.tree.leaves(part(result), is_leaf=lambda v: hasattr(v, "todense"))[at]

                    found.append((names, leaf))
        self._must_match(derivative, found)
        return found

    def _must_match(self, derivative: Function, found: list[tuple[Any, Picked]]) -> None:
        """Raise TypeError where the caller's derivative has not the tree of its operands."""
        several = not self.inputs.single or any(self.inputs.tree(p) is not None for p in self.inputs.wrt)
        if not several:
            return
        try:
            with self.context():
                result = jax.eval_shape(self._of_leaves(derivative), self.arrays)
        except Exception:
            return  # NumPy, or the verdict says what is wrong with it
        want = len(found)
        trees = [self.inputs.tree(p) for p in self.inputs.wrt]
        if not self.inputs.single and not (isinstance(result, tuple | list) and len(result) == len(trees)):
            raise TypeError(f"with wrt a tuple of {len(trees)}, the {self.kind} must return a tuple of {len(trees)}")
        parts = [result] if self.inputs.single else list(result)
        for tree, part, position in zip(trees, parts, self.inputs.wrt, strict=True):
            whole = tree is not None and jax.tree.structure(part) != tree and self.kind != "hessian"
            if whole or (self.kind == "hessian" and len(jax.tree.leaves(part)) != want):
                raise TypeError(
                    f"the {self.kind} must have the structure of operand {self.inputs.names[position]}, {tree}; "
                    f"got {jax.tree.structure(part)}"
                )

    def _identity(self, function: Function, annotations: Mapping[str, Any]) -> Identity[..., Any]:
        parameters = [
            inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=a) for n, a in annotations.items()
        ]
        signature = inspect.Signature(parameters)
        return Identity(_named(signature, self.label, function), f"{self.label}, a function of your own", None)

    def _claims(
        self,
        function: Function,
        derivative: Function,
        picks: Sequence[tuple[Any, Picked]],
        annotations: Mapping[str, Any],
    ) -> dict[str, Claim]:
        owner = self._identity(function, annotations)
        claims = {}
        for leaves, pick in picks:
            names = tuple(leaves)
            claim = self._claim(owner, derivative, names, pick)
            claims[claim.name] = claim
        return claims

    def _claim(self, owner: Identity[..., Any], derivative: Function, names: tuple[str, ...], pick: Picked) -> Claim:
        kind = self.kind

        def closed(**named: Any) -> Any:
            tangents = self._tangents({n: named.pop(f"d{n}") for n in names}) if kind == "differential" else []
            result = pick(derivative(*self.inputs.operands(named), *tangents))
            if hasattr(result, "todense"):
                return result
            handed.must_be_numbers(result, f"the {kind}", derivative)
            result = jnp.asarray(result)
            like = named[names[-1]].dtype
            unexpected = jnp.iscomplexobj(result) and not jnp.issubdtype(like, jnp.complexfloating)
            if unexpected and kind != "differential" and not jnp.iscomplexobj(owner.function(**named)):
                raise TypeError(f"it returned {result.dtype.name} for a real operand")
            real = jnp.dtype(_precision(like))
            # a precision of its own is found before, and judged; here only the dtype is made the operand's
            return result.astype(jnp.result_type(real, jnp.complex64) if jnp.iscomplexobj(result) else real)

        stem = {"gradient": "_d", "jacobian": "_d", "hessian": "_d2", "differential": "_along_d"}[kind]
        joint = "_d" if kind == "differential" else "_"
        name = self.label + stem + joint.join(names)
        tangents = [f"d{n}" for n in names] if kind == "differential" else []
        extra = [inspect.Parameter(t, inspect.Parameter.POSITIONAL_OR_KEYWORD) for t in tangents]
        signature = inspect.Signature([*owner.signature.parameters.values(), *extra])
        by_complex = kind == "jacobian" and words.is_complex(owner.parsed[names[0]].word)
        claim = build_claim(
            owner,
            _named(signature, name, closed),
            kind,
            names,
            ("ours",),
            entries=self.entries if names[0] in self.structured else None,
            within=self.within if names[0] in self.structured else None,
            wirtinger=self.wirtinger if by_complex else None,
        )
        slack = DIFFERENCES / tolerance.LIMIT / tolerance.eps_of("float64")
        return dataclasses.replace(claim, by_differences=True, slack=slack) if self.alone else claim

    def _tangents(self, named: dict[str, Any]) -> list[Any]:
        zeros = {n: jnp.zeros_like(v) if not isinstance(v, int) else v for n, v in self.sample.items()} | named
        built = self.inputs.operands(zeros)
        return [built[position] for position in self.inputs.wrt]

    def verdict(self, derivative: Function, picks: Sequence[tuple[Any, Picked]]) -> Any:
        """The verdict, or Verdicts where there are several derivatives."""
        verdicts = self._verdicts(derivative, [(list(names), pick) for names, pick in picks])
        several = len(verdicts) > 1 or not (self.inputs.single or self.kind in ("hessian", "differential"))
        return Verdicts(verdicts) if several else verdicts[0]

    def _verdicts(self, derivative: Function, picks: Sequence[tuple[Any, Picked]]) -> list[Verdict]:
        with self.context():
            function = self._of_leaves(self.f)
            derivative = self._callable(derivative, f"the {self.kind}", self.kind == "differential")
            grain, stays, dtype = self._stays(derivative)

        def single(**named: Any) -> Any:
            return ravelled(function(named))

        def make(shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, Claim]:
            return self._claims(single, derivative, picks, self._annotations(shapes))

        claims = list(make().values())
        self._must_differentiate(claims)
        examination: Examination
        if self.inputs.annotated:
            options = Options((dtype,), seed=self.seed, device=self.device)
            examination = Examination(claims, options, grain=grain, stays=stays)
        else:
            options = Options((dtype,), samples=1, shapes=1, seed=self.seed, device=self.device)
            examination = AtGiven(claims, options, self.inputs.values(), grain, make, stays)
        examination.run()
        return [self._finished(examination, claim, dtype) for claim in claims]

    def _finished(self, examination: Examination, claim: Claim, dtype: str) -> Verdict:
        verdict = examination.verdict(claim, dtype)
        if not verdict.ok and "not finite" in verdict.problem:
            for outside in self.outside:
                if outside.failed:  # a step or a draw away, since it was called at the operands themselves
                    where = "at every draw: declare operands narrower" if self.inputs.annotated else "around them too"
                    raise ValueError(f"{outside.failed}; it must be defined {where}")
        too = not (examination.grain or examination.stays)
        notes = [*verdict.notes, *self.notes, *_what_it_shows(dtype, too)]
        if isinstance(examination, AtGiven):
            if verdict.ok:
                verdict = dataclasses.replace(verdict, diagnosis=examination.here_only(claim))
            if examination.constant(claim):
                notes.append(
                    f"the function does not depend on {', '.join(claim.wrt)}: its derivative is zero everywhere"
                )
        if self.alone:
            notes.append(f"held against differences alone, which agree to {DIFFERENCES:g} at best")
        wrt = self.inputs.names[self.inputs.wrt[0]] if len(self.inputs.wrt) == 1 else tuple(claim.wrt)
        again = f"the same call: check_{self.kind}(..., wrt={wrt!r}, seed={self.seed})"
        what = f"the {self.kind} of {self.label} by {', '.join(claim.wrt)}, as your function returns it"
        return dataclasses.replace(verdict, reproducer=again, statement=what, notes=tuple(dict.fromkeys(notes)))

    def _must_differentiate(self, claims: Sequence[Claim]) -> None:
        """Raise ValueError where JAX cannot differentiate the function."""
        for claim in claims:
            if claim.kind == "value" or claim.by_differences:
                continue
            tangents = {f"d{n}": self.sample[n] for n in claim.wrt} if claim.tangents else {}
            counts, arrays = self.counts, self.arrays | tangents
            try:
                with self.context():
                    jax.eval_shape(lambda named: claim.reference_function(**named, **counts), arrays)  # noqa: B023
            except Exception as error:
                raise ValueError(
                    f"JAX cannot differentiate the function by {', '.join(claim.wrt)}{handed.their_line(error)}: "
                    f"{handed.first_line(error)}; pass against='differences' to hold it against differences alone"
                ) from error

    def _stays(self, derivative: Function) -> tuple[float, float, str]:
        """The eps of the precisions that function and derivative stay in for float64 operands (0: none of their own),
        and the precision to judge."""
        sides = {"function": [leaf.dtype for leaf in jax.tree.leaves(self.output)], self.kind: []}
        along, constants = self.kind == "differential", []
        try:
            traced, out = jax.make_jaxpr(lambda named: derivative(*self._arguments(named, along)), return_shape=True)(
                self.arrays
            )
            constants = traced.consts
            sides[self.kind] = [leaf.dtype for leaf in jax.tree.leaves(out) if leaf.ndim or leaf.size != 1]
        except Exception:  # the verdict says what is wrong with it
            sides[self.kind] = []
        handed.must_stand_outside(constants, f"the {self.kind}")
        grains, judged = dict.fromkeys(sides, 0.0), self.dtype
        for side, dtypes in sides.items():
            for dtype in dtypes:
                if not jnp.issubdtype(dtype, jnp.inexact):
                    continue
                precision = _precision(dtype)
                if tolerance.eps_of(precision) > tolerance.eps_of("float64"):
                    self.notes.append(
                        f"the {side} stays {precision} for float64 operands, and is judged as {precision}"
                    )
                    grains[side] = max(grains[side], tolerance.eps_of(precision))
                    if tolerance.eps_of(precision) > tolerance.eps_of(judged):
                        judged = precision
        return grains["function"], grains[self.kind], judged

    # Custom rules

    def custom(self, rule: Any) -> Verdicts:
        """The verdicts about a decorated function, whose body is this call's function."""
        inputs = self.inputs
        leaves = jax.tree.leaves(self.output)
        entries = sum(np.size(self.sample[leaf.name]) for leaf in inputs.differentiated)
        cells = sum(math.prod(leaf.shape) for leaf in leaves) * entries
        is_complex = any(jnp.issubdtype(leaf.dtype, jnp.complexfloating) for leaf in leaves)
        is_complex |= any(np.iscomplexobj(self.sample[v.name]) for v in inputs.differentiated)
        scalar = len(leaves) == 1 and leaves[0].shape == () and not is_complex
        forward = isinstance(rule, jax.custom_jvp)
        what = "tangent" if forward else "cotangent"
        bent = f"the rule is not linear in the {what}: it forgets or distorts what it is handed"
        value = self._handed_on(rule)
        body, decorated = self.f, rule
        distorted = self._distorted(rule)
        if distorted and forward and (is_complex or entries > FORWARD):
            raise ValueError(bent)  # reverse mode refuses such a rule, and forward mode would take every entry in turn
        if scalar or is_complex or cells > 1_000_000:
            self.kind = "gradient"
            if not scalar:
                self.notes.append("checked along one random cotangent of the output")
                body, decorated = (_weighted(g, self.seed) for g in (self.f, rule))
        jacobian: Any = jax.jacfwd if forward and (distorted or self.kind == "jacobian") else jax.jacrev

        def derivative(*operands: Any) -> Any:
            of, mine = self._by_arrays(decorated, inputs.arrays(operands))
            if self.kind == "gradient" and jacobian is jax.jacrev:
                found = jax.tree.map(jnp.conj, jax.grad(of)(mine))
            else:
                found = jacobian(lambda new: ravelled(of(new)))(mine)
            built = inputs.operands(self.counts | inputs.arrays(operands) | found)
            return tuple(built[p] for p in inputs.wrt)

        self.f = body
        with self.context():
            self.output = jax.eval_shape(self._of_leaves(body), self.arrays)
        inputs = self.inputs = dataclasses.replace(inputs, single=False)
        with self.context():
            handed.outline(self._of_leaves(derivative), [self.arrays], "the rule")
        found = self._verdicts(derivative, self.picks(derivative))
        found = [
            dataclasses.replace(v, ok=False, problem=bent, diagnosis=bent) if distorted & set(v.wrt) else v
            for v in found
        ]
        return Verdicts([value, *found])

    def _by_arrays(self, rule: Any, named: Mapping[str, Any]) -> tuple[Function, dict[str, Any]]:
        """The rule as a function of the arrays that are differentiated by, and these."""
        mine = {leaf.name: named[leaf.name] for leaf in self.inputs.differentiated}
        return lambda new: rule(*self.inputs.operands(self.counts | dict(named) | new)), mine

    def _distorted(self, rule: Any) -> set[str]:
        """The operands by which the rule does not take sums and multiples of tangents (cotangents) to the same.

        The derivatives are taken along units and along ones, which a rule that forgets its cotangent survives.
        """
        of, mine = self._by_arrays(rule, self.sample)
        rng = np.random.default_rng([self.seed, 3])
        try:
            with self.context():
                if not isinstance(rule, jax.custom_jvp):
                    value, pull = jax.vjp(of, mine)
                    bent = _bends(lambda g: pull(g)[0], value, rng)
                    return {name for name, one in zip(sorted(mine), bent, strict=True) if one}

                def push(tangents: Any) -> Any:
                    zeros = {n: jnp.zeros_like(v) for n, v in mine.items()}
                    return jax.jvp(of, (mine,), (zeros | tangents,))[1]

                if not any(_bends(push, mine, rng)):
                    return set()
                # one at a time, to name it; where none is to blame alone, it is what they do together
                return {name for name in mine if any(_bends(push, {name: mine[name]}, rng))} or set(mine)
        except Exception as error:  # what cannot be run is found, and named, where the derivative is taken
            self.notes.append(f"whether the rule is linear could not be tried: {handed.first_line(error)}")
            return set()

    def _handed_on(self, rule: Any) -> Verdict:
        """The value that the rule itself computes, against the body's."""

        def closed(**named: Any) -> Any:
            of, mine = self._by_arrays(rule, named)
            if isinstance(rule, jax.custom_jvp):
                return ravelled(jax.jvp(of, (mine,), (jax.tree.map(jnp.zeros_like, mine),))[0])
            return ravelled(jax.vjp(of, mine)[0])

        function = self._of_leaves(self.f)
        owner = self._identity(lambda **named: ravelled(function(named)), self._annotations())
        claim = build_claim(owner, _named(owner.signature, f"{self.label}_is_handed", closed), "value", (), ("ours",))
        with self.context():
            handed.outline(lambda named: closed(**named, **self.counts), [self.arrays], "the rule")
            precisions = [_precision(v.dtype) for v in jax.tree.leaves(self.output)]
        grain = max((tolerance.eps_of(p) for p in precisions if p != "float64"), default=0.0)
        dtype = self.dtype if not grain else max(precisions, key=tolerance.eps_of)
        if self.inputs.annotated:
            examination = Examination([claim], Options((dtype,), seed=self.seed, device=self.device), grain=grain)
        else:
            options = Options((dtype,), samples=1, shapes=1, seed=self.seed, device=self.device)
            given = self.inputs.values()
            examination = AtGiven([claim], options, given, grain, lambda shapes: {})
        examination.run()
        verdict = examination.verdict(claim, dtype)
        again = f"the same call: check_custom_derivative(..., seed={self.seed})"
        what = f"the value that the rule of {self.label} hands on, against the body's"
        return dataclasses.replace(verdict, reproducer=again, statement=what)


def _bends(linear: Function, like: Any, rng: np.random.Generator) -> list[bool]:
    """For each array that a function of tangents like these returns: whether it is anything but linear in them."""

    def drawn(leaf: Any) -> Any:
        dtype, shape = jnp.result_type(leaf), jnp.shape(leaf)
        if not jnp.issubdtype(dtype, jnp.inexact):
            return np.zeros(shape, jax.dtypes.float0)
        made = rng.standard_normal(shape)
        if jnp.issubdtype(dtype, jnp.complexfloating):
            made = made + 1j * rng.standard_normal(shape)
        return jnp.asarray(made, dtype)

    def combined(a: float, u: Any, b: float, v: Any) -> Any:
        def one(x: Any, y: Any) -> Any:
            return x if np.asarray(x).dtype == jax.dtypes.float0 else jnp.asarray(a * x + b * y, jnp.result_type(x))

        return jax.tree.map(one, u, v)

    u, v = (jax.tree.map(drawn, like) for _ in range(2))
    of_u, of_v = linear(u), linear(v)
    gaps = []
    # what a small change leaves is rounding, in whatever precision the rule works inside
    for a, b in ((1.0, 2.0**-13), (-2.7, 0.31), (2.0**10, 0.0), (2.0**-10, 0.0)):
        wanted, got = combined(a, of_u, b, of_v), linear(combined(a, u, b, v))
        gaps.append([_gap(w, g) for w, g in zip(*map(jax.tree.leaves, (wanted, got)), strict=True)])
    found = []
    for leaf, rounding, *others in zip(jax.tree.leaves(of_u), *gaps, strict=True):
        inexact = jnp.issubdtype(leaf.dtype, jnp.inexact)
        allowed = max(1e-6, 64 * tolerance.eps_of(_precision(leaf.dtype)), 8 * rounding) if inexact else 0.0
        found.append(bool(inexact and max(others) > allowed))
    return found


def _gap(wanted: Any, got: Any) -> float:
    """How far two arrays are apart, relative to their largest entry; 0 where there is no number to compare."""
    if np.asarray(wanted).dtype == jax.dtypes.float0:
        return 0.0
    a, b = np.asarray(wanted, complex), np.asarray(got, complex)
    with np.errstate(all="ignore"):
        top = max(tolerance.size(a), tolerance.size(b))
        return tolerance.size(a - b) / top if top and np.isfinite(top) else 0.0


def _weighted(f: Function, seed: int) -> Function:
    """The real scalar Re <w, f> for a random w of the shape of the output."""

    def scalar(*operands: Any) -> Any:
        result = ravelled(f(*operands))
        rng = np.random.default_rng([seed, 2])
        w = rng.standard_normal(result.shape) + 1j * rng.standard_normal(result.shape)
        like = w if jnp.iscomplexobj(result) else np.real(w)
        return jnp.real(jnp.sum(jnp.conj(jnp.asarray(like, result.dtype)) * result))

    return scalar


def _what_it_shows(dtype: str, in_float64_too: bool) -> list[str]:
    """An honest word on half precision."""
    if tolerance.eps_of(dtype) < HALF:
        return []
    judged = "the formula was judged in float64 too" if in_float64_too else "nothing was judged in a finer precision"
    return [f"{dtype} can show errors above {tolerance.COARSE:.1%} of the scale only; {judged}"]


def _named(signature: inspect.Signature, name: str, function: Function) -> Function:
    """A function of keyword operands dressed as the one that an entry would define."""

    def made(**named: Any) -> Any:
        return function(**named)

    made.__name__ = made.__qualname__ = name
    made.__doc__ = name
    made.__signature__ = signature  # type: ignore[attr-defined]
    return made


def _precision(dtype: Any) -> str:
    """The real precision of a dtype, complex ones among them."""
    return str(jnp.finfo(dtype).dtype)  # type: ignore[no-untyped-call]


def _dtype(dtype: Any) -> str:
    try:
        name = str(jnp.dtype(dtype).name)
    except TypeError:
        name = ""
    if name not in tolerance.PRECISIONS:
        raise UnsupportedDtype(f"dtype must be one of {', '.join(tolerance.PRECISIONS)}; got {dtype!r}")
    return name
