"""Gradients: every claim by one operand, and every identity by all its operands at once, at one n in both dtypes.

    pytest bench/test_first_order.py -k "tr_axb_dX and float64" --bench-n 512

Columns of a claim: `closed`, `autodiff` (jax.grad of f as the book writes it), `computed` (jax.grad of f as an expert
writes it, where the book has that form), and each of them once more together with the value.  Columns of an identity:
the same for all gradients in one program, the closed ones by `identities.with_closed_form`, and `f` and `f computed`
alone.  A few claims run over n for the plot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import identities
from bench.conftest import run_of
from bench.dims import dims_of, operands_of
from bench.harness import Column, Item, computed_form, derivative, with_counts
from identities.engine.identity import Claim, Identity
from identities.engine.operands import Word, is_word
from identities.engine.rules import with_claims
from identities.engine.shapes import letters_of

# What `make bench-quick` measures: the headline claims, parity, and where autodiff wins or nearly does.
QUICK = (
    "density_transformed_dA",
    "det_dX",
    "logdet_dX",
    "logdet_dX_posdef",
    "det_xax_dX",
    "logdet_gram_dX",
    "bilinear_inv_dX",
    "tr_axinvb_dX",
    "through_inv_dA",
    "eigh_largest_dA",
    "quad_dx",
    "bilinear_power_dX",
    "wls_ds",
    "lsq_dtheta",
    "ridge_minimum_dX",
    "uv_dU",
    "uv_dU_reassociated",
    "tr_axb_dX",
    "tr_xtbxc_dX",
    "tr_poly_dX",
    "tr_exp_dX",
    "tr_xk_dX",
    "norm_frobenius_dX",
    "logdet_symmetric_dX_entries",
    "lse_dx",
    "deep_tanh_dA",
)
QUICK_ALL = ("tr_axb", "bilinear_inv", "uv", "deep_tanh")
# Over n: n^2 work, n^3 by products, n^3 by a factorisation, and many products
SCALING = ("quad_dx", "tr_axb_dX", "logdet_dX", "tr_exp_dX")
SIZES, QUICK_SIZES, GPU_SIZES = (64, 128, 256, 512, 1024, 2048), (32, 64, 128), (256, 1024, 2048, 4096, 8192)


def gradient_claims() -> list[Claim]:
    """Every first-order claim of the book that holds."""
    return [c for c in identities.catalogue().values() if c.kind == "gradient" and c.status == "holds"]


def all_operands(identity: Identity[..., Any]) -> dict[str, Claim]:
    """For each operand the first gradient that holds for general operands of the declared shapes.

    General includes invertible and the like, the words that describe an open set, but not symmetric or square.
    """
    found: dict[str, Claim] = {}
    for claim in identity.claims.values():
        words = [claim.operands[name].word for name in claim.given]
        wide = all(is_word(word) and word.tangent is Word.tangent for word in words) and claim.dims == letters_of(
            identity.parsed
        )
        if claim.kind == "gradient" and claim.status == "holds" and not claim.structure and wide:
            found.setdefault(claim.wrt[0], claim)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    run = run_of(metafunc.config)
    sizes = QUICK_SIZES if run.quick else SIZES if run.machine["device"] == "cpu" else GPU_SIZES
    scaling = [(name, n) for name in SCALING for n in sizes if n != run.n]
    if metafunc.function is test_first_order:
        names = QUICK if run.quick else [c.name for c in gradient_claims()]
        chosen = [(name, run.n, dtype) for name in names for dtype in run.dtypes]
        # over n, float32 would tell the same story once more
        chosen += [(name, n, dtype) for name, n in scaling for dtype in run.dtypes[:1]]
    else:
        every = [i.name for i in identities.catalogue().identities.values() if all_operands(i)]
        chosen = [(name, run.n, dtype) for name in (QUICK_ALL if run.quick else every) for dtype in run.dtypes]
    metafunc.parametrize("name, n, dtype", chosen, ids=[f"{name}-{n}-{dtype}" for name, n, dtype in chosen])


def first_order(claim: Claim, n: int, dtype: str, lean: bool = False) -> Item:
    """One claim: the gradient alone, and (unless lean) with the value."""
    sizes = dims_of(claim, n)
    literal, computed = claim.identity.function, computed_form(claim)
    forms = {"autodiff": literal} | ({"computed": computed} if computed else {})
    columns = [Column("closed", with_counts(claim.function, sizes.counts), None)]
    columns += [Column(name, with_counts(derivative(claim, f), sizes.counts)) for name, f in forms.items()]
    if not lean and not claim.structure:
        best = computed or literal
        both = lambda **x: (best(**x), claim.function(**x))  # noqa: E731
        columns.append(Column("closed value", with_counts(both, sizes.counts), None))
        columns += [
            Column(f"{name} value", with_counts(value_and_gradients(f, claim.wrt), sizes.counts), "closed value")
            for name, f in forms.items()
        ]
    words = [claim.operands[name].word.__name__ for name in claim.given]
    return Item(
        "first",
        claim.name,
        claim.chapter,
        n,
        sizes.dims | sizes.counts,
        dtype,
        operands_of(claim, sizes, dtype),
        columns,
        claim,
        sizes.counts,
        {"states": " ".join([claim.identity.name, *claim.wrt, claim.structure or "", *words]).strip()}
        | ({"reduced": True} if sizes.reduced else {}),
    )


def all_at_once(identity: Identity[..., Any], n: int, dtype: str) -> Item:
    """All gradients of an identity in one program, and the function alone.

    The closed column is what `identities.with_closed_form` gives for these claims, differentiated by JAX: what two of
    them share is done once, which side by side XLA would see in straight code alone.
    """
    claims = all_operands(identity)
    first = max(claims.values(), key=lambda c: len(c.given))  # what it needs is good for all
    sizes = min((dims_of(c, n) for c in claims.values()), key=lambda s: s.n)
    literal, computed = identity.function, computed_form(first)
    forms = {"autodiff": literal} | ({"computed": computed} if computed else {})
    closed = value_and_gradients(with_claims(identity, claims.values()), tuple(claims), value=False)
    gradients = {name: value_and_gradients(f, tuple(claims), value=False) for name, f in forms.items()}
    columns = [Column("closed", with_counts(closed, sizes.counts), None)]
    columns += [Column(name, with_counts(g, sizes.counts)) for name, g in gradients.items()]
    columns.append(Column("f", with_counts(literal, sizes.counts), None))
    columns += [Column("f computed", with_counts(computed, sizes.counts), None)] if computed else []
    drawn = operands_of(first, sizes, dtype)
    shown = sizes.dims | sizes.counts
    notes = {"reduced": True} if sizes.reduced else {}
    return Item("all", identity.name, first.chapter, n, shown, dtype, drawn, columns, first, sizes.counts, notes)


def value_and_gradients(f: Callable[..., Any], wrt: Sequence[str], value: bool = True) -> Callable[..., Any]:
    """JAX's gradients by these operands, with the value before them; complex ones as the book writes them, 2 df/dz*."""

    def both(**operands: Any) -> Any:
        at = lambda *x: f(**operands | dict(zip(wrt, x, strict=True)))  # noqa: E731
        found, gradients = jax.value_and_grad(at, tuple(range(len(wrt))))(*(operands[name] for name in wrt))
        gradients = tuple(jnp.conj(g) if jnp.iscomplexobj(g) else g for g in gradients)
        return (found, *gradients) if value else gradients

    return both


def test_first_order(measure: Any, request: pytest.FixtureRequest, name: str, n: int, dtype: str) -> None:
    run, claim = run_of(request.config), identities.claim(name)
    about = {"kind": "first", "name": name, "chapter": claim.chapter, "n": n, "dtype": dtype}
    measure(lambda: first_order(claim, n, dtype, lean=run.lean or run.quick or n != run.n), **about)


def test_all_at_once(measure: Any, name: str, n: int, dtype: str) -> None:
    identity = identities.catalogue().identities[name]
    chapter = str(identity.function.__module__).rpartition(".")[2]
    about = {"kind": "all", "name": name, "chapter": chapter, "n": n, "dtype": dtype}
    measure(lambda: all_at_once(identity, n, dtype), **about)
