"""Planted errors, in every kind of claim, must be caught; and what is right must not alarm."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from identities.engine.checking import DTYPES, Options, examine
from identities.engine.errors import LawError
from identities.engine.identity import build_claim, identity
from identities.engine.operands import Complex, Positive, Scalar, Symmetric


@identity("A form with two square factors")
def form(A: Float[Array, "m m"], B: Float[Array, "m m"], X: Float[Array, "m n"]) -> Scalar:
    r"\operatorname{tr}(X^\top ABX)"
    return jnp.trace(X.T @ A @ B @ X)


@identity("A product")
def product(A: Float[Array, "m m"], B: Float[Array, "m m"], X: Float[Array, "m n"]) -> Float[Array, "m n"]:
    r"ABX"
    return A @ B @ X


@identity("A linear form of a symmetric matrix")
def linear(C: Float[Array, "n n"], D: Float[Array, "n n"], S: Symmetric[Array, "n n"]) -> Scalar:
    r"\operatorname{tr}(CDS)"
    return jnp.trace(C @ D @ S)


def eye(n, like):
    return jnp.eye(n, dtype=like.dtype)


def form_dX(A, B, X):
    return A @ B @ X + B.T @ (A.T @ X)


def product_dX(A, B, X):
    return jnp.einsum("ip,jq->ijpq", A @ B, eye(X.shape[1], X))


def form_d2X(A, B, X):
    return jnp.einsum("ip,jq->ijpq", A @ B + (A @ B).T, eye(X.shape[1], X))


def form_d2A_X(A, B, X):
    return jnp.einsum("ik,lj->klij", eye(len(A), X), B @ X) + jnp.einsum("li,kj->klij", B, X)


def product_along_dX(A, B, X, dX):
    return A @ (B @ dX)


def product_is_associated(A, B, X):
    return A @ (B @ X)


def linear_dS_entries(C, D, S):
    G = (C @ D).T
    return G + G.T - jnp.diag(jnp.diagonal(G))


def linear_dS_within(C, D, S):
    G = C @ D
    return (G + G.T) / 2


# name: identity, kind, operands, right closed form, options
KINDS = {
    "gradient": (form, "gradient", ("X",), form_dX, {}),
    "jacobian": (product, "jacobian", ("X",), product_dX, {}),
    "hessian": (form, "hessian", ("X",), form_d2X, {}),
    "mixed hessian": (form, "hessian", ("A", "X"), form_d2A_X, {}),
    "differential": (product, "differential", ("X",), product_along_dX, {}),
    "value": (product, "value", (), product_is_associated, {}),
    "entries": (linear, "gradient", ("S",), linear_dS_entries, {"entries": "symmetric"}),
    "within": (linear, "gradient", ("S",), linear_dS_within, {"within": "symmetric"}),
}


def one_entry(result):
    """A percent off in one entry of typical size."""
    flat = result.ravel()
    middle = jnp.median(jnp.where(flat == 0, jnp.max(jnp.abs(flat)), jnp.abs(flat)))
    at = jnp.argmin(jnp.abs(jnp.abs(flat) - middle))
    return flat.at[at].multiply(jnp.asarray(1.01, flat.dtype)).reshape(result.shape)


def of_result(change):
    return lambda right: lambda **operands: change(right(**operands))


def swapped(right):
    def closed(**operands):
        (a, first), (b, second), *rest = operands.items()
        return right(**{a: second, b: first}, **dict(rest))

    return closed


def symmetric_only(right):
    name = "B" if right is form_d2A_X else "A"  # the mixed derivative does not depend on A
    name = "C" if right in (linear_dS_entries, linear_dS_within) else name

    def closed(**operands):
        return right(**{**operands, name: (operands[name] + operands[name].T) / 2})

    return closed


def square_only(right):
    def closed(**operands):
        m, n = operands["X"].shape
        return right(**operands) * jnp.asarray(m / n, operands["X"].dtype)

    return closed


PLANTS = {
    "transposed": of_result(lambda r: jnp.swapaxes(r, -1, -2)),
    "negated": of_result(lambda r: -r),
    "halved": of_result(lambda r: r / 2),
    "a percent off": of_result(lambda r: r * jnp.asarray(1.01, r.dtype)),
    "one entry off": of_result(one_entry),
    "zero": of_result(lambda r: r - r),
    "swapped operands": swapped,
    "right only for symmetric input": symmetric_only,
    "right only for square input": square_only,
}
BLIND = {  # a symmetric result has no transpose to be caught by; `linear` is square anyway
    ("entries", "transposed"),
    ("within", "transposed"),
    ("entries", "right only for square input"),
    ("within", "right only for square input"),
}


def planted(kind, plant):
    """The claim of this kind with an error planted (None: as it is)."""
    owner, what, wrt, right, options = KINDS[kind]
    source = right if plant is None else PLANTS[plant](right)

    def closed(**operands):
        return source(**operands)

    word = "right" if plant is None else "".join(plant.title().split())
    closed.__name__ = (
        f"{owner.name}_is_{word}"
        if what == "value"
        else f"{right.__name__.removesuffix('_entries').removesuffix('_within')}_{word}"
    )
    closed.__doc__ = "planted"
    closed.__signature__ = inspect.signature(right)
    return build_claim(owner, closed, what, wrt, ("ours",), **options)


@functools.cache
def verdicts(kind):
    """The verdicts on the right form and on every planted error of a kind, from one compilation."""
    plants = [None, *(p for p in PLANTS if (kind, p) not in BLIND)]
    claims = {planted(kind, p).name: p for p in plants}
    found = examine([planted(kind, p) for p in plants], Options(samples=4))
    return {(claims[v.claim], v.dtype): v for v in found}


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_forms_hold(kind):
    for dtype in DTYPES:
        verdict = verdicts(kind)[None, dtype]
        assert verdict.ok, f"\n{verdict}"
        assert verdict.residual < 100


@pytest.mark.parametrize(("kind", "plant"), [(k, p) for k in KINDS for p in PLANTS if (k, p) not in BLIND])
def test_planted_errors_are_caught(kind, plant):
    for dtype in DTYPES:
        verdict = verdicts(kind)[plant, dtype]
        assert not verdict.ok, f"{plant} passed in {dtype}"
        assert verdict.residual > verdict.tolerance or verdict.problem


@pytest.mark.parametrize("kind", KINDS)
def test_one_entry_off_by_a_percent_is_caught_at_512(kind):
    flat = ("gradient", "differential", "value", "entries", "within")
    dims = (
        {"m": 512, "n": 512} if kind in flat else {"m": 16, "n": 64} if kind == "mixed hessian" else {"m": 512, "n": 1}
    )
    claims = [planted(kind, None), planted(kind, "one entry off")]
    for verdict in examine(claims, Options(dims=dims, shapes=1, samples=1, diagnose=False)):
        assert verdict.ok is (verdict.claim == claims[0].name), f"\n{verdict}"


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "value"])
def test_differences_alone_would_catch_them(kind):
    """The third witness contradicts a wrong closed form without autodiff's help."""
    for plant in ("negated", "halved", "a percent off", "swapped operands", "right only for symmetric input"):
        verdict = verdicts(kind)[plant, "float64"]
        assert verdict.witness is not None and verdict.witness.agrees is False, plant


@pytest.mark.parametrize(
    ("kind", "plant", "words"),
    [
        ("gradient", "negated", "wrong sign"),
        ("gradient", "halved", "1/2"),
        ("gradient", "a percent off", "1.01"),
        ("gradient", "zero", "zero everywhere"),
        ("gradient", "swapped operands", "operands swapped"),
        ("gradient", "right only for symmetric input", "right only for symmetric A"),
        ("gradient", "right only for square input", "right only at square shapes"),
        ("jacobian", "transposed", "axes are in the wrong order"),
        ("hessian", "negated", "wrong sign"),
        ("value", "halved", "1/2"),
        ("within", "halved", "1/2"),
    ],
)
def test_the_diagnosis_names_the_error(kind, plant, words):
    assert words in verdicts(kind)[plant, "float64"].diagnosis


# Complex operands -------------------------------------------------------------------------------


@identity("A complex residual, squared")
def residual(a: Complex[Array, ""], b: Complex[Array, "n"], x: Complex[Array, "n"]) -> Complex[Array, ""]:
    r"(a - x^H b)^2"
    return (a - jnp.vdot(x, b)) ** 2


@identity("A complex residual in modulus")
def modulus(a: Complex[Array, ""], b: Complex[Array, "n"], x: Complex[Array, "n"]) -> Scalar:
    r"|a - x^H b|^2"
    return jnp.abs(a - jnp.vdot(x, b)) ** 2


COMPLEX = {
    "z": (residual, "jacobian", lambda a, b, x: (a - a) * b, {"wirtinger": "z"}),
    "z*": (residual, "jacobian", lambda a, b, x: -2 * b * (a - jnp.vdot(x, b)), {"wirtinger": "z*"}),
    "real": (modulus, "gradient", lambda a, b, x: -2 * b * jnp.conj(a - jnp.vdot(x, b)), {}),
}
COMPLEX_PLANTS = {
    "conjugated": jnp.conj,
    "negated": lambda r: -r,
    "halved": lambda r: r / 2,
    "a percent off": lambda r: r * jnp.asarray(1.01, r.dtype),
}


@pytest.mark.parametrize("kind", COMPLEX)
def test_planted_errors_in_complex_derivatives_are_caught(kind):
    owner, what, right, options = COMPLEX[kind]
    claims = {}
    for plant, change in {"right": lambda r: r, **COMPLEX_PLANTS}.items():

        def closed(a, b, x, change=change):
            return change(right(a, b, x))

        closed.__name__ = f"{owner.name}_dx_{''.join(plant.title().split())}"
        closed.__doc__ = "planted"
        closed.__signature__ = inspect.signature(right)
        claims[build_claim(owner, closed, what, ("x",), ("ours",), **options)] = plant
    for verdict, claim in zip(examine(list(claims), Options(("float64",), samples=3)), claims, strict=True):
        zero = kind == "z" and claims[claim] != "right"  # df/dz is zero here: nothing changes it
        assert verdict.ok is (claims[claim] == "right" or zero), f"\n{verdict}"
        if claims[claim] == "conjugated" and not zero:
            assert "conjugated" in verdict.diagnosis and verdict.witness.agrees is False


def test_the_other_wirtinger_derivative_is_not_taken_for_this_one():
    owner, what, right, _ = COMPLEX["z*"]
    right.__name__, right.__doc__ = "residual_dx_other", "planted"
    claim = build_claim(owner, right, what, ("x",), ("ours",), wirtinger="z")
    assert not examine([claim], Options(("float64",), samples=2))[0].ok
    with pytest.raises(LawError, match="wirtinger"):
        build_claim(owner, right, what, ("x",), ("ours",))


# What is right must not alarm ------------------------------------------------------------------


@identity("A difference that is zero")
def nothing(X: Float[Array, "m n"]) -> Scalar:
    r"\operatorname{tr}(X^\top X) - \|X\|^2"
    return jnp.trace(X.T @ X) - jnp.sum(X * X)


@nothing.gradient("X", "ours")
def nothing_dX(X):
    r"0"
    return (X + X) / 3 - X * jnp.asarray(2 / 3, X.dtype)


@identity("A determinant that crosses zero")
def rank_one(u: Float[Array, "n"], v: Float[Array, "n"]) -> Scalar:
    r"\det(I + uv^\top)"
    return jnp.linalg.det(jnp.eye(len(u), dtype=u.dtype) + jnp.outer(u, v))


@rank_one.value("ours")
def rank_one_is_lemma(u, v):
    r"1 + v^\top u"
    return 1 + v @ u


@rank_one.gradient("u", "ours")
def rank_one_du(u, v):
    r"v"
    return v


@identity("The loss of a saturated network")
def saturated(A: Float[Array, "m n"], x: Positive[Array, "n"], y: Float[Array, "m"]) -> Scalar:
    r"\|y - \tanh(10Ax)\|^2"
    return jnp.sum((y - jnp.tanh(10 * (A @ x))) ** 2)


@saturated.gradient("x", "ours")
def saturated_dx(A, x, y):
    r"-20A^\top((y - t) \circ (1 - t \circ t)), t = \tanh(10Ax)"
    t = jnp.tanh(10 * (A @ x))
    return -20 * (A.T @ ((y - t) * (1 - t * t)))


@identity("Softmax")
def soft(x: Float[Array, "n"]) -> Float[Array, "n"]:
    r"\operatorname{softmax}(x)"
    return jax.nn.softmax(x)


@soft.jacobian("x", "ours")
def soft_dx(x):
    r"\operatorname{diag}(p) - pp^\top"
    p = jax.nn.softmax(x)
    return jnp.diag(p) - jnp.outer(p, p)


@pytest.mark.parametrize("owner", [nothing, rank_one, saturated, soft], ids=lambda i: i.name)
def test_zeros_cancellation_and_saturation_do_not_alarm(owner):
    # one shape, with several outputs: with a single one the loss itself can vanish, and then 1 - t t, which
    # is exact to eps of 1 only, is judged by a scale that vanishes with its square
    options = Options(samples=300, shapes=1, seed=11)
    verdicts = examine(list(owner.claims.values()), options)
    alarms = [v for v in verdicts if v.residual > v.tolerance]
    assert not alarms, "\n".join(map(str, alarms))


def test_a_true_zero_is_resolved_and_a_small_error_beside_it_is_not_forgiven():
    def nothing_dX_off(X):
        "0"
        return X * jnp.asarray(1e-3, X.dtype)

    claim = build_claim(nothing, nothing_dX_off, "gradient", ("X",), ("ours",))
    assert not any(v.ok for v in examine([claim], Options(samples=2)))


def test_a_softmax_of_one_entry_has_a_zero_jacobian():
    verdict = examine(list(soft.claims.values()), Options(("float64",), dims={"n": 1}, samples=50))[0]
    assert verdict.residual == 0.0


def test_a_crash_or_nan_never_refutes():
    def crash(A, B, X):
        "crash"
        raise RuntimeError("no")

    def nan(A, B, X):
        "nan"
        return X * jnp.asarray(np.nan, X.dtype)

    for function in (crash, nan):
        function.__name__ = "form_dX_printed_MCB1"
        claim = build_claim(form, function, "gradient", ("X",), ("ours",), status="refuted", because="it is not")
        for verdict in examine([claim], Options(samples=2)):
            assert not verdict.ok and verdict.problem


def test_a_right_formula_is_not_refuted():
    def form_dX_printed_MCB1(A, B, X):
        "right"
        return form_dX(A, B, X)

    claim = build_claim(
        form, form_dX_printed_MCB1, "gradient", ("X",), ("ours",), status="refuted", because="it is not"
    )
    for verdict in examine([claim], Options(samples=2)):
        assert not verdict.ok and "agrees" in verdict.problem


def test_lost_digits_refute_nothing():
    """A value of few digits differs by more than 1000 eps, and is still not another value."""

    def product_is_big_printed_MCB1(A, B, X):
        "right, but of eleven bits"
        return jax.lax.reduce_precision(A @ (B @ X), exponent_bits=8, mantissa_bits=11)

    claim = build_claim(
        product, product_is_big_printed_MCB1, "value", (), ("ours",), status="refuted", because="it is not"
    )
    for verdict in examine([claim], Options(samples=2)):
        assert not verdict.ok
        assert verdict.residual > verdict.tolerance or verdict.dtype == "float32"  # eleven bits are much there


@jax.tree_util.register_pytree_node_class
class Diagonal:
    """An operator whose matvec may lie."""

    def __init__(self, d, lie):
        self.d, self.lie = d, lie

    def tree_flatten(self):
        return (self.d, self.lie), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)

    def todense(self):
        return jnp.diag(self.d)

    def matvec(self, v):
        return self.d * v + self.lie


@pytest.mark.parametrize("lie", [0.0, 1.0, np.nan])
def test_an_operator_whose_matvec_disagrees_is_caught(lie):
    def cubes(x: Float[Array, "n"]) -> Scalar:
        "x^3"
        return jnp.sum(x**3)

    def cubes_d2x(x):
        "6x"
        return Diagonal(6 * x, jnp.asarray(lie, x.dtype))

    claim = build_claim(identity("A sum of cubes")(cubes), cubes_d2x, "hessian", ("x",), ("ours",))
    for verdict in examine([claim], Options(samples=2)):
        assert verdict.ok is (lie == 0.0)
        assert lie == 0.0 or "matvec disagrees" in verdict.problem


def test_a_result_of_another_precision_is_caught():
    def form_dX_double(A, B, X):
        "double"
        return form_dX(A, B, X).astype(jnp.float64)

    claim = build_claim(form, form_dX_double, "gradient", ("X",), ("ours",))
    double, single = examine([claim], Options(samples=2))
    assert double.ok and not single.ok and "float64 for float32" in single.problem


def test_autodiff_is_blamed_where_autodiff_is_wrong():
    @jax.custom_jvp
    def square(x):
        return x * x

    square.defjvp(lambda primals, tangents: (primals[0] ** 2, primals[0] * tangents[0]))  # 2 is missing

    def liar(x: Float[Array, "n"]) -> Scalar:
        "x^2"
        return jnp.sum(square(x))

    def liar_dx(x):
        "2x"
        return 2 * x

    owner = identity("A function with a wrong derivative rule")(liar)
    verdict = examine([build_claim(owner, liar_dx, "gradient", ("x",), ("ours",))], Options(("float64",)))[0]
    assert not verdict.ok and "autodiff is wrong" in verdict.problem

    def liar_dx_twin(x):
        "x"
        return x

    verdict = examine([build_claim(owner, liar_dx_twin, "gradient", ("x",), ("ours",))], Options(("float64",)))[0]
    assert not verdict.ok and "differences contradict both" in verdict.problem
