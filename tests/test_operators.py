"""Operators: matvec is a contraction with todense, their arithmetic is that of arrays, and they are JAX pytrees."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import identities.operators
from identities.engine.errors import ShapeMismatch
from identities.operators import (
    Chain,
    CrossedKronecker,
    EachColumn,
    EachRow,
    EachRowVector,
    Entrywise,
    Kronecker,
    KroneckerOuter,
    MaskedMixedFactors,
    MixedFactors,
    Operator,
    Outer,
    PerColumn,
    PerRow,
    RowOuters,
    Scaled,
    ScaledIdentity,
    Sum,
    Transposition,
)

BATCH = 3


def array(*shape, seed=0, dtype=np.float64):
    rng = np.random.default_rng([seed, *shape])
    drawn = rng.standard_normal(shape)
    return jnp.asarray(drawn + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else drawn, dtype)


def operators(dtype=np.float64, seed=0):
    """One operator of each class and a few made of others, all sizes distinct; the last operand's shape beside it."""

    def a(*shape):
        return array(*shape, seed=seed, dtype=dtype)

    swap = Transposition((3, 5), jnp.dtype(dtype))
    mask = (np.arange(28).reshape(4, 7) % 3 > 0).astype(dtype)
    return {
        "EachRow": (EachRow(a(2, 5), 3), (3, 5)),
        "EachRowVector": (EachRowVector(a(5), 3), (3, 5)),
        "EachColumn": (EachColumn(a(2, 3), 5), (3, 5)),
        "PerRow": (PerRow(a(3, 2, 5)), (3, 5)),
        "PerColumn": (PerColumn(a(5, 2, 3)), (3, 5)),
        "ScaledIdentity": (ScaledIdentity(a(), (3, 5)), (3, 5)),
        "Entrywise": (Entrywise(a(3, 5)), (3, 5)),
        "Transposition": (swap, (3, 5)),
        "Kronecker": (Kronecker(a(2, 3), a(4, 5)), (3, 5)),
        "Kronecker, the other order": (Kronecker(a(6, 3), a(2, 5)), (3, 5)),
        "CrossedKronecker": (CrossedKronecker(a(2, 5), a(4, 3)), (3, 5)),
        "KroneckerOuter": (KroneckerOuter(a(2, 3), a(4), a(5)), (3, 5)),
        "Outer": (Outer(a(2, 4), a(3, 5)), (3, 5)),
        "Outer of a vector and a tensor": (Outer(a(2), a(3, 5, 4)), (3, 5, 4)),
        "RowOuters": (RowOuters(a(2, 3), a(2, 5)), (3, 5)),
        "MixedFactors": (MixedFactors(a(4, 3), a(3, 7), a(4, 7)), (3, 7)),
        "MaskedMixedFactors": (MaskedMixedFactors(jnp.asarray(mask), a(4, 3), a(3, 7), a(4, 7)), (3, 7)),
        "Sum": (Kronecker(a(2, 3), a(4, 5)) + CrossedKronecker(a(2, 5), a(4, 3)) - Outer(a(2, 4), a(3, 5)), (3, 5)),
        "Scaled": (-2 * Kronecker(a(2, 3), a(4, 5)), (3, 5)),
        "Chain": (Kronecker(a(2, 6), a(4, 7)) @ Kronecker(a(6, 3), a(7, 5)), (3, 5)),
        "Chain, weights first": (Kronecker(a(2, 3), a(4, 5)) @ Entrywise(a(3, 5)), (3, 5)),
        "Chain, weights last": (Entrywise(a(2, 4)) @ Kronecker(a(2, 3), a(4, 5)), (3, 5)),
        "Chain, transposed first": (EachRow(a(2, 3), 5) @ swap, (3, 5)),
        "Chain, transposed last": (swap @ Kronecker(a(3, 2), a(5, 4)), (2, 4)),
        "Chain of vectors": (Entrywise(a(3)) @ EachRowVector(a(5), 3) @ Entrywise(a(3, 5)), (3, 5)),
        "Chain of a sum": (Entrywise(a(3)) @ (EachRowVector(a(5), 3) + RowOuters(a(3, 3), a(3, 5))), (3, 5)),
    }


DTYPES = (np.float64, np.float32, np.complex128)
NAMES = list(operators())


def contracted(operator, D):
    return jnp.tensordot(operator.todense(), D, D.ndim)


def near(got, expected, limit=1e3):
    assert got.shape == expected.shape and got.dtype == expected.dtype
    eps = float(np.finfo(expected.dtype).eps)
    assert float(np.max(np.abs(got - expected))) <= limit * eps * max(1.0, float(np.max(np.abs(expected))))


def test_every_class_is_tried():
    classes = {c for _, c in inspect.getmembers(identities.operators, inspect.isclass) if issubclass(c, Operator)} - {
        Operator
    }
    assert {type(operator) for operator, _ in operators().values()} == classes
    assert {c.__name__ for c in classes} <= set(identities.operators.__all__)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("name", NAMES)
def test_matvec_is_the_contraction_with_all_entries(name, dtype):
    operator, last = operators(dtype)[name]
    entries = operator.todense()
    assert operator.shape == entries.shape and operator.dtype == entries.dtype == np.dtype(dtype)
    assert operator.shape[-len(last) :] == last
    D = array(*last, seed=1, dtype=dtype)
    near(operator.matvec(D), contracted(operator, D))


@pytest.mark.parametrize("name", NAMES)
def test_a_direction_of_another_shape_is_refused(name):
    operator, last = operators()[name]
    for wrong in (last[::-1], (1,) * len(last), last[:-1], (*last, 1), ()):
        with pytest.raises(ShapeMismatch, match=r"matvec: an array of shape \(.* was expected"):
            operator.matvec(jnp.ones(wrong))


@pytest.mark.parametrize("name", NAMES)
def test_an_operator_goes_through_jit_and_vmap(name):
    operator, last = operators()[name]
    D = array(*last, seed=1)
    returned = jax.jit(lambda o: o)(operator)
    assert type(returned) is type(operator) and returned.shape == operator.shape and returned.dtype == operator.dtype
    outlined = jax.eval_shape(lambda o: o, operator)
    assert (outlined.shape, outlined.dtype) == (operator.shape, operator.dtype)
    near(jax.jit(lambda o, D: o.matvec(D))(operator, D), operator.matvec(D))

    several = [operators(seed=seed)[name][0] for seed in range(BATCH)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
    if jax.tree.leaves(stacked):  # a transposition holds no numbers
        mapped = jax.vmap(lambda o: (o.matvec(D), o.todense()))(stacked)
        for i, one in enumerate(several):
            near(mapped[0][i], one.matvec(D))
            near(mapped[1][i], one.todense())


@pytest.mark.parametrize("name", NAMES)
def test_matvec_is_linear_for_autodiff_too(name):
    operator, last = operators()[name]
    D, along = array(*last, seed=1), array(*last, seed=2)
    near(jax.jvp(operator.matvec, (D,), (along,))[1], operator.matvec(along))
    back = array(*operator.matvec(D).shape, seed=3)
    near(jax.vjp(operator.matvec, D)[1](back)[0], jnp.tensordot(back, operator.todense(), back.ndim))


def test_arithmetic_is_that_of_the_entries():
    P, Q = Kronecker(array(2, 3), array(4, 5)), CrossedKronecker(array(2, 5), array(4, 3))
    p, q = P.todense(), Q.todense()
    two = jnp.asarray(2.0)
    cases = [
        (P + Q, p + q),
        (P - Q, p - q),
        (-P, -p),
        (2 * P, 2 * p),
        (0.5 * (P - 3 * Q), 0.5 * (p - 3 * q)),
        (two * P, 2 * p),
        (np.float64(2) * P, 2 * p),
        (sum([P, Q, P]), p + q + p),
        (P + Q + P - Q, p + q + p - q),
    ]
    for got, expected in cases:
        near(got.todense(), expected)
    assert len((P + Q + (P - Q)).parts) == 4  # a sum of sums is one sum
    assert isinstance(2 * P, Scaled) and isinstance(P + Q, Sum)
    traced = jax.jit(lambda s, P: (s * P).todense())
    near(traced(two, P), 2 * p)


def test_a_product_is_the_chain_rule():
    P, Q = Kronecker(array(2, 3), array(4, 5)), CrossedKronecker(array(3, 7), array(5, 6))
    assert isinstance(P @ Q, Chain) and (P @ Q).shape == (2, 4, 6, 7)
    near((P @ Q).todense(), jnp.tensordot(P.todense(), Q.todense(), 2))
    weights, swap = Entrywise(array(6, 7)), Transposition((7, 6), jnp.dtype(np.float64))
    for left, right in ((P @ Q, weights), (Q, weights @ swap), (weights, swap), (swap, Entrywise(array(7, 6)))):
        near((left @ right).todense(), jnp.tensordot(left.todense(), right.todense(), 2))


def test_all_entries_are_made_entry_by_entry():
    """No zero of the structure is 0 times something, and no matrix unit rounds what is a product of numbers."""
    huge = jnp.full((2, 2), jnp.inf)
    row, column = EachRow(huge, 3).todense(), EachColumn(huge, 3).todense()
    assert np.all(row[0, :, 1, :] == 0) and np.all(np.isinf(row[1, :, 1, :]))
    assert np.all(column[:, 0, :, 1] == 0) and np.all(np.isinf(column[:, 1, :, 1]))
    for operator in (Kronecker(array(2, 3), array(4, 5)), CrossedKronecker(array(2, 5), array(4, 3))):
        weighted = Entrywise(array(2, 4)) @ operator @ Entrywise(array(3, 5))
        text = jax.jit(lambda o: o.todense()).lower(weighted).as_text()
        assert "dot_general" not in text


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda P: P + Transposition((3, 5), P.dtype), "operators of one shape"),
        (lambda P: P - Kronecker(array(1, 3), array(4, 5)), "operators of one shape"),
        (lambda P: EachRowVector(array(5), 3) + Outer(array(3, 3), array(5)), "operators of one shape"),
        (lambda P: P @ P, r"applied to arrays of shape \(3, 5\), and the right one gives shape \(2, 4\)"),
        (lambda P: jnp.ones(2) * P, r"by a number was expected; got shape \(2,\)"),
    ],
)
def test_operators_that_do_not_fit_are_refused(make, says):
    with pytest.raises(ShapeMismatch, match=says):
        make(Kronecker(array(2, 3), array(4, 5)))


def test_an_operator_and_an_array_are_not_added():
    P = Kronecker(array(2, 3), array(4, 5))
    for make in (lambda: P + P.todense(), lambda: P.todense() - P, lambda: P + 1, lambda: 1 + P, lambda: P @ array(5)):
        with pytest.raises(TypeError):
            make()


def test_a_product_goes_the_cheap_way():
    """A wide L and a thin R: with R first, nothing as wide as L is ever multiplied."""
    operator, D = Kronecker(array(40, 30), array(2, 20)), array(30, 20)
    text = jax.jit(lambda o, D: o.matvec(D)).lower(operator, D).as_text()
    assert "tensor<40x20x" not in text and "tensor<20x40x" not in text
    operator = CrossedKronecker(array(2, 20), array(40, 30))
    text = jax.jit(lambda o, D: o.matvec(D)).lower(operator, D).as_text()
    assert "tensor<20x40x" not in text and "tensor<40x20x" not in text
