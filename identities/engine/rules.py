"""An identity as a function that JAX differentiates by the book's closed forms.

    f = identities.with_closed_form("logdet")
    value, gradient = jax.value_and_grad(f)(X)

`ClosedForm` is a `jax.custom_jvp`: the value comes from the form that an expert would run, and the
derivative by each operand from a claim.  Both stand in one jitted program, in which what they share,
such as a factorisation, is done once; only operands that something is differentiated by cost
anything.  The rule is ordinary JAX code, so second derivatives are derivatives of closed forms.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jax.extend import core

from identities.engine import shapes
from identities.engine.errors import NoClosedForm, UnknownName, nearest
from identities.engine.identity import Claim, Identity
from identities.engine.operands import Word, is_complex, is_word

KINDS = ("gradient", "differential", "jacobian")  # in the order in which the default takes them


class ClosedForm(jax.custom_jvp[Any]):
    """An identity with closed forms for its derivatives; made by `identities.with_closed_form`.

    `identity` is where it comes from, `value` the claim that its value is computed by (None: the function as
    the book writes it), `claims` maps each differentiable operand to the claims that its derivative comes
    from (none: autodiff of the value).
    """

    def __init__(self, identity: Identity[..., Any], value: Claim | None, claims: Mapping[str, tuple[Claim, ...]]):
        self.identity, self.value, self.claims = identity, value, dict(claims)
        self._names = list(identity.parsed)
        self._program = jax.jit(self._shared, static_argnames="counts")

        def function(*args: Any) -> Any:
            operands = dict(zip(self._names, args, strict=True))
            self._require(operands)
            return self._evaluate(operands)

        functools.update_wrapper(function, identity.function)
        function.__doc__ = self._page()
        function.__signature__ = identity.signature  # type: ignore[attr-defined]
        del function.__wrapped__  # type: ignore[attr-defined]  # what a check takes for the body is this function
        static = [i for i, name in enumerate(self._names) if identity.parsed[name].static]
        super().__init__(function, nondiff_argnums=static)
        self.defjvp(self._rule, symbolic_zeros=True)

    def __repr__(self) -> str:
        return f"<ClosedForm of {self.identity.name}: {', '.join(c.name for c in self._chosen) or 'autodiff'}>"

    def __reduce__(self) -> Any:  # by the names of the identity and of its claims
        return with_claims, (self.identity, tuple(c.name for c in self._chosen))

    @property
    def _chosen(self) -> list[Claim]:
        """The claims in use, each once."""
        found = [c for claims in self.claims.values() for c in claims]
        return list(dict.fromkeys(([self.value] if self.value else []) + found))

    def _page(self) -> str:
        by = [
            f"by {name}: {' and '.join(c.name for c in claims) if claims else 'autodiff of the value'}"
            for name, claims in self.claims.items()
        ]
        value = self.value.name if self.value else f"{self.identity.name}, as the book writes it"
        given = sorted({f"{c.name}: {x}" for c in self._chosen if c.given for x in c.conditions})
        vouched = ["", "The caller vouches for", *(f"    {line}" for line in given)] if given else []
        lines = [f"{self.identity.title}, with its derivatives in closed form.", "", f"    value: {value}"]
        return "\n".join([*lines, *(f"    derivative {line}" for line in by), *vouched])

    def _require(self, operands: Mapping[str, Any]) -> None:
        """Refuse what the closed forms do not hold for: a batch, say, that the function alone would broadcast over."""
        shapes.bind(self.identity.parsed, self.identity.where, operands, self.identity.name)
        for claim in self._chosen:
            if claim.given:
                shapes.bind(claim.operands, claim.where, operands, claim.name)

    def _evaluate(self, operands: Mapping[str, Any]) -> Any:
        return jnp.asarray((self.value or self.identity).function(**operands))

    def _rule(self, *args: Any) -> tuple[Any, Any]:
        """The value and its tangent, as `custom_jvp` asks for them: static operands, primals, tangents."""
        *static, primals, tangents = args
        fixed, differentiable = iter(static), iter(primals)
        operands = {n: next(fixed if self.identity.parsed[n].static else differentiable) for n in self._names}
        self._require(operands)
        counts = tuple((n, int(operands[n])) for n in self.identity.static)
        arrays = {n: v for n, v in operands.items() if not self.identity.parsed[n].static}
        moving = {n: t for n, t in zip(arrays, tangents, strict=True) if not isinstance(t, SymbolicZero)}
        value, tangent = self._program(arrays, moving, counts=counts)
        return value, tangent

    def _shared(self, arrays: dict[str, Any], moving: dict[str, Any], counts: tuple[tuple[str, int], ...]) -> Any:
        traced, shape = jax.make_jaxpr(functools.partial(self._value_and_tangent, counts=counts), return_shape=True)(
            arrays, moving
        )
        found = core.jaxpr_as_fun(without_repeats(traced))(*jax.tree.leaves((arrays, moving)))
        return jax.tree.unflatten(jax.tree.structure(shape), found)

    def _value_and_tangent(
        self, arrays: dict[str, Any], moving: dict[str, Any], counts: tuple[tuple[str, int], ...]
    ) -> tuple[Any, Any]:
        operands = {n: dict(counts)[n] if n not in arrays else arrays[n] for n in self._names}
        value = self._evaluate(operands)
        terms = []
        for claim in self._chosen:
            along = {n: moving[n] for n in claim.wrt if n in moving and claim in self.claims[n]}
            if along:
                terms.append(_along(claim, operands, along))
        rest = [n for n in moving if not self.claims[n]]
        if rest:

            def f(*values: Any) -> Any:
                return self._evaluate({**operands, **dict(zip(rest, values, strict=True))})

            terms.append(jax.jvp(f, [operands[n] for n in rest], [moving[n] for n in rest])[1])
        # a term of another dtype than the value would be promoted in silence, and refused by custom_jvp
        tangent = sum((jnp.asarray(term, value.dtype) for term in terms), start=jnp.zeros_like(value))
        return value, tangent


def without_repeats(closed: core.ClosedJaxpr) -> core.ClosedJaxpr:
    """The same program, in which a call that is made twice with the same operands is made once.

    XLA merges what is equal in straight code.  It does not merge loops and branches, which a matrix exponential is
    made of; here that is one call of one jitted function, and easily told to be the same.
    """
    first: dict[Any, core.JaxprEqn] = {}
    same: dict[core.Var, core.Var] = {}
    lists = [*(eqn.invars for eqn in closed.jaxpr.eqns), closed.jaxpr.outvars]
    read = {v for each in lists for v in each if not isinstance(v, core.Literal)}  # other results are dropped at once

    def renamed(v: Any) -> Any:
        return v if isinstance(v, core.Literal) else same.get(v, v)

    for eqn in closed.jaxpr.eqns:
        operands = [renamed(v) for v in eqn.invars]
        told = [(str(v.aval), repr(v.val)) if isinstance(v, core.Literal) else v for v in operands]
        key = (eqn.primitive, *told, *sorted(eqn.params.items()))
        try:
            known = None if eqn.effects else first.get(key)
        except TypeError:  # a parameter that cannot be hashed
            known, key = None, (id(eqn),)
        if known is None:
            first[key] = eqn.replace(invars=operands)
            continue
        pairs = list(zip(known.outvars, eqn.outvars, strict=True))
        first[key] = known.replace(outvars=[a if a in read else b for a, b in pairs])
        same |= {b: a for a, b in pairs if a in read}
    jaxpr = closed.jaxpr.replace(eqns=list(first.values()), outvars=[renamed(v) for v in closed.jaxpr.outvars])
    return core.ClosedJaxpr(jaxpr, closed.consts)


def _along(claim: Claim, operands: Mapping[str, Any], tangents: Mapping[str, Any]) -> Any:
    """What a claim says of the change along these tangents."""
    if claim.kind == "differential":
        zeros = {f"d{n}": jnp.zeros_like(operands[n]) for n in claim.wrt}
        return claim.function(**operands, **zeros | {f"d{n}": t for n, t in tangents.items()})
    (tangent,) = tangents.values()
    derivative = claim.function(**operands)
    if claim.kind == "gradient":
        # by a complex operand it is 2 df/dz*; conj and real do nothing to reals
        return jnp.real(jnp.sum(jnp.conj(derivative) * tangent))
    if claim.wirtinger == "z*":
        tangent = jnp.conj(tangent)
    if hasattr(derivative, "matvec"):
        return derivative.matvec(tangent)
    return jnp.tensordot(derivative, tangent, tangent.ndim)


def with_claims(identity: Identity[..., Any], claims: str | Claim | Iterable[str | Claim] | None = None) -> ClosedForm:
    """The identity as a function whose derivatives are these claims, and by default the first that hold for all of its
    operands; the same object for the same claims.  Raises as `identities.with_closed_form` does.
    """
    asked = [_named(identity, c) for c in ([claims] if isinstance(claims, str | Claim) else claims or ())]
    value: Claim | None = None
    chosen: dict[str, list[Claim]] = {n: [] for n, operand in identity.parsed.items() if not operand.static}
    for claim in dict.fromkeys(asked):
        if reason := _unusable(claim):
            raise NoClosedForm(f"{claim.name} cannot serve as a derivative of {identity.name}: {reason}")
        if claim.kind == "value":
            if value is not None:
                raise NoClosedForm(f"{value.name} and {claim.name} both give the value of {identity.name}; name one")
            value = claim
        for name in claim.wrt:
            if any(c.wirtinger is None or c.wirtinger == claim.wirtinger for c in chosen[name]):
                raise NoClosedForm(
                    f"{chosen[name][0].name} and {claim.name} both give the derivative by {name}; name one"
                )
            chosen[name].append(claim)
    general = [c for c in identity.claims.values() if not c.given and not _unusable(c)]
    value = value or next((c for c in general if c.kind == "value" and c.computed), None)
    complete: dict[str, tuple[Claim, ...]] = {}
    for name, named in chosen.items():
        if len(named) == 1 and named[0].wirtinger:
            raise NoClosedForm(
                f"{named[0].name} is one of the two derivatives by the complex {name}; name the other one too"
            )
        complete[name] = tuple(named) or _first(general, name)
    if not any(complete.values()):
        raise NoClosedForm(f"{identity.name} {_why_none(identity)}")
    return _made(identity, value, tuple(complete.items()))


@functools.cache
def _made(
    identity: Identity[..., Any], value: Claim | None, claims: tuple[tuple[str, tuple[Claim, ...]], ...]
) -> ClosedForm:
    # one object for the same claims: JAX keeps what it compiled by the identity of the function
    return ClosedForm(identity, value, dict(claims))


def _named(identity: Identity[..., Any], claim: str | Claim) -> Claim:
    found = identity.claims.get(claim if isinstance(claim, str) else claim.name)
    if found is None or (isinstance(claim, Claim) and found is not claim):
        name = claim if isinstance(claim, str) else claim.name
        raise UnknownName(f"{identity.name} has no claim {name!r}{nearest(name, identity.claims)}")
    return found


def _unusable(claim: Claim) -> str:
    """Why a claim can be neither the value nor a first derivative by whole operands; "" where it can."""
    if claim.status != "holds":
        return "it is refuted"
    if claim.structure:
        return f"it is a derivative by the {claim.structure} of a structured matrix, not by all of its entries"
    if claim.kind == "differential":
        # its transpose is the gradient only where every tangent is allowed
        for name in claim.wrt:
            word = claim.operands[name].word
            if is_word(word) and word.tangent is not Word.tangent:
                return f"it holds only along tangents that keep {name} {word.english}"
    return "" if claim.kind in (*KINDS, "value") else f"it is a {claim.kind}"


def _first(claims: list[Claim], name: str) -> tuple[Claim, ...]:
    """The claims that the default takes for an operand: one, two Wirtinger derivatives, or none."""
    by = [c for c in claims if name in c.wrt]
    for kind in KINDS:
        for claim in by:
            if claim.kind != kind:
                continue
            if claim.wirtinger:
                pair = {c.wirtinger: c for c in reversed(by) if c.wirtinger}
                if len(pair) == 2:
                    return pair["z"], pair["z*"]
            elif kind != "jacobian" or _is_slim(claim):
                return (claim,)
    return ()


@functools.cache
def _is_slim(claim: Claim) -> bool:
    """Whether a product with this Jacobian costs no more than autodiff's: by a scalar, or as an operator.

    To form the array of all its entries costs more than the product that is wanted of it.
    """
    operand = claim.operands[claim.wrt[0]]
    if not operand.dims:
        return True
    case = claim.cases()[0]
    arrays = {
        n: jax.ShapeDtypeStruct(o.shape(case.dims), np.complex64 if is_complex(o.word) else np.float32)
        for n, o in claim.operands.items()
        if not o.static
    }
    result = jax.eval_shape(lambda **named: claim.function(**named, **case.counts), **arrays)
    return hasattr(result, "matvec")


def _why_none(identity: Identity[..., Any]) -> str:
    first = [c for c in identity.claims.values() if c.kind in KINDS and not _unusable(c)]
    dense = [c.name for c in first if c.kind == "jacobian" and not c.given]
    narrowed = [c.name for c in first if c.given]
    if dense:
        return (
            "has its derivative as a full Jacobian only, and to form one costs more than autodiff; "
            f"to have it all the same, name it in claims=: {', '.join(dense)}"
        )
    if narrowed:
        return "has closed forms under conditions only; name one in claims= to vouch for its condition: " + ", ".join(
            narrowed
        )
    return "has no closed form of a first derivative by whole operands"
