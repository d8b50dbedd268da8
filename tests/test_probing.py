"""Large derivatives are checked along random directions: what holds holds there, and what is wrong is caught."""

import dataclasses

import jax.numpy as jnp
import pytest
from jaxtyping import Array, Float

import identities
from identities.engine import probing
from identities.engine.checking import Options, examine
from identities.engine.identity import identity

# of each kind: dense and stored as an operator, mixed, complex, of a symmetric operand, refuted
CLAIMS = (
    "inv_dX",
    "uv_d2U",
    "uv_d2U_V",
    "logdet_d2X",
    "softmax_dx",
    "quad_d2x",
    "two_groups_d2x",
    "unit_difference_dx",
)


@identity("Square of a matrix")
def squared(X: Float[Array, "n n"]) -> Float[Array, "n n"]:
    r"X^2"
    return X @ X


@squared.jacobian("X", "ours", axes="ij kl")
def squared_dX(X):
    r"\delta_{ik} X_{lj} + X_{ik} \delta_{jl}"
    eye = jnp.eye(len(X), dtype=X.dtype)
    return jnp.einsum("ik,lj->ijkl", eye, X) + jnp.einsum("ik,jl->ijkl", X, eye)


def off(X, by):
    """One entry of the Jacobian, of typical size, off by a share."""
    return squared_dX(X).at[0, 1, 0, 0].multiply(1 + by)


def found(name):
    book = identities.catalogue()
    return [book[name]] if name in book else []


def whole_and_probed(claim, **options):
    return [examine([claim], Options(("float64",), samples=2, probe=p, **options))[0] for p in (False, True)]


@pytest.mark.parametrize("name", [c.name for n in CLAIMS for c in found(n)])
def test_what_holds_as_a_whole_holds_along_directions(name):
    whole, along = whole_and_probed(identities.claim(name))
    assert whole.ok and along.ok, along
    assert identities.claim(name).identity.function.__name__ != "gradient"  # nothing of the book is touched
    assert (whole.kind, whole.wrt, whole.statement) == (along.kind, along.wrt, along.statement)
    assert "random directions" in along.notes[0] and not whole.notes
    assert along.witness.agrees


def test_every_kind_is_among_them():
    claims = [c for n in CLAIMS for c in found(n)]
    assert len(claims) >= 6 and {c.kind for c in claims} == {"jacobian", "hessian"}
    book = identities.catalogue().values()
    wirtinger = [c for c in book if c.wirtinger and c.kind == "jacobian"][:4]
    assert {c.wirtinger for c in wirtinger} >= {"z"} and wirtinger
    for claim in wirtinger:
        whole, along = whole_and_probed(claim)
        assert whole.ok and along.ok, along


def test_a_refuted_print_is_refuted_along_directions():
    claims = [c for c in identities.catalogue().values() if c.status == "refuted" and c.kind in probing.PROBED]
    chosen = [c for c in claims if not c.structure][:3]
    assert chosen
    for claim in chosen:
        assert all(v.ok for v in whole_and_probed(claim)), claim


@pytest.mark.parametrize("n", [8, 40])
def test_one_entry_that_is_off_by_a_percent_is_caught(n):
    claim = squared.claims["squared_dX"]
    wrong = dataclasses.replace(claim, function=lambda X: off(X, 0.01))
    verdict, caught = (examine([c], Options(("float64",), {"n": n}, samples=1, probe=True))[0] for c in (claim, wrong))
    assert verdict.ok and not caught.ok
    assert caught.residual > 1e6 and caught.witness.agrees is False


def test_the_switch_is_by_the_number_of_entries():
    claim = squared.claims["squared_dX"]
    small, large = (examine([claim], Options(("float64",), {"n": n}, samples=1))[0] for n in (31, 33))
    assert small.notes == () and large.notes[0].startswith("1,185,921 entries, checked along 1 random directions")
    # many entries, and none of them is formed: n^4 is 68 GB
    assert examine([identities.claim("quad_d2x")], Options(("float64",), {"n": 1100}, samples=1))[0].ok


def test_a_gradient_and_a_structured_jacobian_stay_whole():
    book = identities.catalogue().values()
    gradient = identities.claim("logdet_dX")
    structured = next(c for c in book if c.structure)
    for claim in (gradient, structured):
        with pytest.raises(ValueError, match="cannot be checked along directions"):
            probing.probed(claim)
        assert examine([claim], Options(("float64",), samples=1, probe=True))[0].notes == ()


def test_a_probe_does_not_take_the_place_of_a_structured_tangent():
    """The differential holds along symmetric directions alone, and the Jacobian is probed along general ones."""
    claims = list(identities.catalogue().identities["eigh_vectors"].claims.values())
    assert {c.kind for c in claims} >= {"differential", "jacobian"}
    verdicts = examine(claims, Options(("float64",), samples=2, probe=True))
    assert all(v.ok for v in verdicts), [str(v) for v in verdicts if not v.ok]


def test_a_real_function_of_complex_numbers_is_probed_too():
    claims = [c for c in identities.catalogue().identities["normsq_frobenius"].claims.values() if c.wirtinger]
    assert {c.wirtinger for c in claims} == {"z", "z*"}
    for claim in claims:
        whole, along = whole_and_probed(claim)
        assert whole.ok and along.ok, along
        wrong = dataclasses.replace(claim, function=lambda X, f=claim.function: 1.01 * f(X))
        assert not examine([wrong], Options(("float64",), samples=1, probe=True, diagnose=False))[0].ok
