"""Large dims: a derivative with more than a million entries is checked along random directions, never as a whole.

A Jacobian or Hessian of n x n operands has n^4 entries; contracted with a direction D it has as many as the function's
result.  `probed` makes such a claim a differential: the reference is `jax.jvp` of the function (of its gradient, for
a Hessian) along D, the closed form is `matvec(D)` of an operator or the contraction of an array.  Every draw has a
direction of its own, Gaussian in all entries, whatever the structure of the operand.

What is missed: where one row of the derivative is off by E, the probe is off by <E, D>, which is Gaussian with the size
of E.  It stays below a tolerance t with a chance of at most 0.8 t/|E| a direction: for one entry that is off by a
percent, in a row of N entries of like size, 0.8 * 1000 eps * sqrt(N) / 0.01, which is 4e-8 for N = 2048^2 in float64.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from identities.engine.identity import Claim
from identities.engine.reference import jacobian
from identities.engine.shapes import Case, stream

ABOVE = 2**20  # entries of a derivative that are still looked at one by one
PROBED = ("jacobian", "hessian")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Probed(Claim):
    """A claim about a Jacobian or Hessian, contracted with a direction; `whole` is the claim itself."""

    whole: Any = None

    def draw_tangents(self, values: Mapping[str, Any], seed: int) -> dict[str, Any]:
        name = self.wrt[0]
        rng, value = stream(f"probe {name}", seed), values[name]
        direction = rng.standard_normal(value.shape)
        if np.iscomplexobj(value):
            direction = direction + 1j * rng.standard_normal(value.shape)
        return {f"d{name}": direction}

    @property
    def reference_function(self) -> Callable[..., Any]:
        name, function, wirtinger = self.wrt[0], self.identity.function, self.wirtinger

        def reference(**operands: Any) -> Any:
            tangent, x = operands.pop(f"d{name}"), operands[name]

            def along(d: Any) -> Any:
                return jax.jvp(lambda new: function(**operands | {name: new}), (x,), (d,))[1]

            if wirtinger is None:
                return along(tangent)
            # df along d is J d + J* conj(d): one of the two is what i d turns the other way
            straight, turned = (jnp.asarray(along(d), x.dtype) for d in (tangent, 1j * tangent))  # of a real f too
            return (straight - 1j * turned) / 2 if wirtinger == "z" else (straight + 1j * turned) / 2

        return reference


def probed(claim: Claim) -> Claim:
    """The claim along random directions.  Raises ValueError for a derivative in structured entries."""
    if claim.structure or claim.kind not in PROBED:
        raise ValueError(f"{claim.name} cannot be checked along directions: it is no plain jacobian or hessian")
    identity, name = claim.identity, claim.wrt[-1]
    if claim.kind == "hessian":
        # the same identity, of which the gradient is taken first (copy.copy would return the identity itself)
        identity = object.__new__(type(identity))
        identity.__dict__.update(claim.identity.__dict__, function=_gradient_of(claim))

    def contracted(**operands: Any) -> Any:
        tangent = operands.pop(f"d{name}")
        derivative = claim.function(**operands)
        if claim.wirtinger == "z*":
            tangent = jnp.conj(tangent)
        if hasattr(derivative, "matvec"):
            return derivative.matvec(tangent)
        return jnp.tensordot(derivative, tangent, tangent.ndim)

    contracted.__module__ = claim.function.__module__
    fields = {f.name: getattr(claim, f.name) for f in dataclasses.fields(Claim)}
    fields |= {"identity": identity, "kind": "differential", "wrt": (name,), "function": contracted}
    return Probed(**fields, whole=claim)


def _gradient_of(claim: Claim) -> Callable[..., Any]:
    function, name = claim.identity.function, claim.wrt[0]

    def gradient(**operands: Any) -> Any:
        return jacobian(lambda x: function(**operands | {name: x}), operands[name])

    gradient.__name__ = claim.identity.name
    return gradient


def is_large(claim: Claim, cases: Sequence[Case]) -> bool:
    """Whether the derivative has too many entries, at one of these cases, to be looked at one by one."""
    return claim.kind in PROBED and any(entries(claim, case) > ABOVE for case in cases)


def entries(claim: Claim, case: Case) -> int:
    """The number of entries of a Jacobian or Hessian; nothing is computed."""

    by = claim.wrt if claim.kind == "jacobian" else (claim.wrt[0], claim.wrt[-1])
    sizes = [math.prod(claim.operands[name].shape(case.dims)) for name in by]
    arrays = {
        name: jax.ShapeDtypeStruct(o.shape(case.dims), jnp.float64 if not _complex(o) else jnp.complex128)
        for name, o in claim.operands.items()
        if not o.static
    }
    with jax.enable_x64(True):
        result = jax.eval_shape(lambda **named: claim.identity.function(**named, **case.counts), **arrays)
    return math.prod([*result.shape, *sizes])


def _complex(operand: Any) -> bool:
    from identities.engine.operands import is_complex

    return bool(is_complex(operand.word))


def remark(claim: Claim, cases: Sequence[Case], draws: int) -> str:
    """What a verdict says of a claim that was checked along directions."""
    largest = max(entries(claim, case) for case in cases)
    return (
        f"{largest:,} entries, checked along {draws} random directions: an error E in a row of the derivative is "
        "missed with a chance of at most 0.8 (tolerance / |E|) a direction"
    )
