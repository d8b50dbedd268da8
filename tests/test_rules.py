"""`with_closed_form`: JAX's transforms by the book's closed forms, over the whole book, and what they cost."""

import collections
import pathlib
import pickle
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend import core
from jaxtyping import Array, Float

import identities
from identities.engine import shapes
from identities.engine.errors import NoClosedForm, ShapeMismatch, UnknownName, UnsupportedDtype
from identities.engine.identity import identity
from identities.engine.operands import Scalar, Symmetric, direction
from identities.engine.program import checking_context, cpu_options
from identities.engine.rules import ClosedForm, _unusable, without_repeats

CATALOGUE = identities.catalogue()
BATCH = 3
STEP = 1e-5  # of differences with four points


def rule_of(owner):
    """The default, or the full Jacobians that the default leaves alone; None where no claim can serve."""
    try:
        return identities.with_closed_form(owner)
    except NoClosedForm:
        full = {}
        for c in owner.claims.values():
            if c.kind == "jacobian" and not c.given and not c.wirtinger and not _unusable(c):
                full.setdefault(c.wrt[0], c)
        return identities.with_closed_form(owner, claims=full.values()) if full else None


RULES = {i.name: f for i in CATALOGUE.identities.values() if (f := rule_of(i)) is not None}

# JAX has no derivative of the eigenvectors of a general matrix, and a closed form here is made of them.
ONCE = {"eig_sum", "eig_prod", "eig_perron"}


def cotangent(name, like):
    rng = shapes.stream(f"{name} cotangent", 0)
    w = rng.standard_normal(like.shape)
    return jnp.asarray(w + 1j * rng.standard_normal(like.shape) if like.dtype.kind == "c" else w, like.dtype)


def pulled(name, f):
    """The value and the cotangents of all operands, as a function of the operands."""

    def pull(operands):
        value, back = jax.vjp(lambda named: f(**named), operands)
        return value, back(cotangent(name, value))[0]

    return pull


def near(got, expected, what, limit=1e-9):
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype), what
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    assert float(np.max(np.abs(got - expected), initial=0.0)) <= limit * scale, what


@pytest.mark.parametrize("name", RULES)
def test_the_closed_forms_stand_in_for_autodiff(name):
    """Value and vjp, of all operands and of one alone, against autodiff of the function as the book writes it; their
    tangents, which are jvp and second derivatives, against differences of them; all of it under vmap, by keyword."""
    function, owner = RULES[name], RULES[name].identity
    case = shapes.cases(owner.parsed, owner.where, name=name)[0]
    draws = []
    for seed in range(BATCH):
        values = shapes.draw_operands(owner.parsed, case, seed)
        draws.append({n: np.asarray(v) for n, v in values.items() if n not in owner.static})
    words = {n: owner.parsed[n].word for n in draws[0]}
    tangents = [{n: direction(words[n], shapes.stream(f"d{n}", 0), v) for n, v in d.items()} for d in draws]

    def f(**named):
        return function(**named, **case.counts)

    def ours(operands, along):
        pull, first = pulled(name, f), next(iter(operands))
        alone = {}
        if len(operands) > 1:
            alone = pulled(name, lambda **v: f(**{**operands, **v}))({first: operands[first]})[1]
        if name in ONCE:
            return pull(operands), None, alone
        return *jax.jvp(pull, (operands,), (along,)), alone

    def batched(draws):
        return {n: np.stack([d[n] for d in draws]) for n in draws[0]}

    def program(f, *args):
        return jax.jit(f).lower(*args).compile(compiler_options=cpu_options())

    with checking_context(jax.devices("cpu")[0]):
        operands, along = batched(draws), batched(tangents)
        mapped = program(jax.vmap(ours), operands, along)
        first, second, alone = jax.device_get(mapped(operands, along))
        literal = program(pulled(name, lambda **named: owner.function(**named, **case.counts)), draws[0])
        for i, draw in enumerate(draws):
            expected = jax.device_get(literal(draw))
            for (path, e), g in zip(jax.tree.leaves_with_path(expected), jax.tree.leaves(first), strict=True):
                near(g[i], e, f"{name}{jax.tree_util.keystr(path)}")
            for n, g in alone.items():
                near(g[i], expected[1][n], f"{name} by {n} alone")

        def shifted(h):
            return jax.device_get(mapped({n: v + h * along[n] for n, v in operands.items()}, along))[0]

        if second is not None:
            far, close = [jax.tree.map(lambda a, b: a - b, shifted(h), shifted(-h)) for h in (2 * STEP, STEP)]
            difference = jax.tree.map(lambda a, b: (8 * b - a) / (12 * STEP), far, close)
            for (path, e), g in zip(jax.tree.leaves_with_path(difference), jax.tree.leaves(second), strict=True):
                near(g, e, f"{name} along a tangent{jax.tree_util.keystr(path)}", 1e-6)

        single = {n: v.astype(np.complex64 if v.dtype.kind == "c" else np.float32) for n, v in draws[0].items()}
        shaped = jax.eval_shape(pulled(name, f), single)
        assert {leaf.dtype.itemsize // (1 + (leaf.dtype.kind == "c")) for leaf in jax.tree.leaves(shaped)} == {4}


# What it costs: factorisations and products in the compiled program


def operands_of(name, **dims):
    owner = CATALOGUE.identities[name]
    return {n: next(iter(owner.claims.values())).sample(1, dims)[n] for n in owner.parsed}


def costs(f, operands, wrt):
    """How often each LAPACK routine and each matrix product stands in the compiled value and gradient by `wrt`."""
    argnums = tuple(list(operands).index(n) for n in wrt)
    text = jax.jit(jax.value_and_grad(f, argnums)).lower(*operands.values()).compile().as_text()
    found = collections.Counter(re.findall(r'custom_call_target="lapack_[sd](\w+?)_ffi"', text))
    found["product"] = len(re.findall(r" dot\(", text)) + text.count('"__onednn$matmul"')
    return found


COUNTS = [
    ("logdet", None, "X", {"n": 6}, {"getrf": 1, "trsm": 2}),
    ("logdet", ["logdet_along_dX"], "X", {"n": 6}, {"getrf": 1, "trsm": 2}),
    ("det", ["det_dX"], "X", {"n": 6}, {"getrf": 1, "trsm": 2}),
    ("bilinear_inv", None, "a X", {"n": 6}, {"getrf": 1, "trsm": 4}),
    ("bilinear_inv", None, "a X b", {"n": 6}, {"getrf": 1, "trsm": 4}),
    ("gauss_loglik", None, "m", {"n": 9, "d": 6}, {"potrf": 1, "trsm": 2}),
    ("gauss_loglik", None, "m S", {"n": 9, "d": 6}, {"potrf": 1, "trsm": 4, "product": 1}),
    ("gauss_loglik", None, "X m S", {"n": 9, "d": 6}, {"potrf": 1, "trsm": 5, "product": 1}),
    # two solves of two triangles: the second is the step of refinement
    ("ridge_minimum", None, "y X l", {"n": 9, "p": 6}, {"potrf": 1, "trsm": 4}),
    ("uv", None, "U", {"m": 9, "n": 8, "k": 6}, {"product": 2}),
    ("uv", None, "U V", {"m": 9, "n": 8, "k": 6}, {"product": 3}),
]


@pytest.mark.parametrize(("name", "claims", "wrt", "dims", "expected"), COUNTS)
def test_what_the_value_and_the_derivatives_share_is_done_once(name, claims, wrt, dims, expected):
    f = identities.with_closed_form(name, claims=claims)
    found = costs(f, operands_of(name, **dims), wrt.split())
    assert {k: v for k, v in found.items() if k in {"getrf", "potrf", "geqrf", "gesdd", *expected}} == expected


def test_a_repeated_call_is_made_once_even_where_xla_would_not_see_it():
    def f(X):
        return jnp.trace(jax.scipy.linalg.expm(X)), jax.scipy.linalg.expm(X).T

    X = jnp.asarray(np.random.default_rng(0).standard_normal((4, 4)))
    traced = jax.make_jaxpr(f)(X)
    once = without_repeats(traced)
    assert len(traced.eqns) == len(once.eqns) + 1
    for got, expected in zip(core.jaxpr_as_fun(once)(X), f(X), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_result_that_only_the_repetition_reads_is_kept():
    pair = jax.jit(lambda x: (jnp.sin(x), jnp.cos(x)))

    def f(x):
        return pair(x)[0], pair(x)[1], pair(x)[0] + pair(x)[1]

    once = without_repeats(jax.make_jaxpr(f)(1.0))
    assert sum(eqn.primitive.name in ("pjit", "jit") for eqn in once.eqns) == 1
    np.testing.assert_allclose(core.jaxpr_as_fun(once)(jnp.asarray(1.0)), f(1.0))


# The transforms


@pytest.mark.parametrize(("name", "i"), [("logdet", 0), ("quad", 0), ("gauss_loglik", 1), ("bilinear_inv", 1)])
def test_hessian_jacfwd_and_jacrev(name, i):
    f, operands = identities.with_closed_form(name), tuple(operands_of(name).values())

    def both(*operands):
        literal = f.identity.function
        second = jax.hessian(f, i), jax.jacrev(jax.jacfwd(f, i), i), jax.jacrev(jax.grad(f, i), i)
        first = jax.jacfwd(f, i), jax.jacrev(f, i)
        pairs = [(g, jax.hessian(literal, i)) for g in second] + [(g, jax.grad(literal, i)) for g in first]
        return [(g(*operands), e(*operands)) for g, e in pairs]

    for got, expected in jax.jit(both).lower(*operands).compile(compiler_options=cpu_options())(*operands):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-10)


def test_the_static_operand_and_keywords_in_any_order():
    f, X = identities.with_closed_form("tr_axk"), operands_of("tr_axk", n=3)
    A, X = X["A"], X["X"]
    expected = jax.grad(lambda X: jnp.trace(A @ X @ X @ X))(X)
    for got in (
        jax.grad(f, 1)(A, X, 3),
        jax.grad(lambda X: f(k=3, X=X, A=A))(X),
        jax.jit(jax.grad(f, 1), static_argnums=2)(A, X, 3),
        jax.vmap(jax.grad(lambda X: f(A, X, 3)))(jnp.stack([X, X]))[1],
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_numbers_are_operands():
    f = identities.with_closed_form("lse_two")
    np.testing.assert_allclose(jax.grad(f)(1.0, 2.0), 1 / (1 + np.exp(1.0)))
    np.testing.assert_allclose(jax.grad(jax.grad(f))(1.0, 2.0), np.exp(1.0) / (1 + np.exp(1.0)) ** 2)


def test_a_fallback_operand_is_differentiated_by_autodiff():
    f = identities.with_closed_form("uv_masked")
    assert f.claims["M"] == () and "by M: autodiff" in f.__doc__
    operands = operands_of("uv_masked")
    for i in range(4):
        expected = jax.grad(f.identity.function, i)(*operands.values())
        np.testing.assert_allclose(jax.grad(f, i)(*operands.values()), expected, rtol=1e-10, atol=1e-12)


def test_it_is_one_object_that_is_pickled_by_names():
    f = identities.with_closed_form("logdet")
    assert f is identities.with_closed_form(f.identity) and isinstance(f, ClosedForm)
    assert pickle.loads(pickle.dumps(f)) is f
    g = identities.with_closed_form("logdet_dX_posdef", claims="logdet_is_cholesky")
    assert g is not f and pickle.loads(pickle.dumps(g)) is g
    assert g is identities.with_closed_form("logdet", claims=["logdet_dX_posdef", "logdet_is_cholesky"])


def test_it_says_what_it_is_made_of():
    f = identities.with_closed_form("logdet_dX_posdef", claims="logdet_is_cholesky")
    assert f.__name__ == "logdet" and "value: logdet_is_cholesky" in f.__doc__
    assert "derivative by X: logdet_dX_posdef" in f.__doc__ and "X is symmetric positive definite" in f.__doc__
    assert "logdet_dX_posdef" in repr(f)


# Claims by name


def test_a_claim_under_a_condition_is_used_where_it_is_named():
    f = identities.with_closed_form("quad_dx_symmetric")
    B = np.diag([1.0, 2.0, 3.0]) + 0.5
    x = np.array([1.0, -1.0, 2.0])
    np.testing.assert_allclose(jax.grad(f)(x, B), 2 * B @ x)
    assert f.claims["B"][0].name == "quad_dB"  # the others are as by default
    asymmetric = np.arange(9.0).reshape(3, 3)
    assert not np.allclose(jax.grad(f)(x, asymmetric), jax.grad(f.identity.function)(x, asymmetric))


@pytest.mark.parametrize(
    "name", ["tanh_entries_dx", "matrix_xtbx_dX_single", "residual_dPhi", "det_xax_dX_square", "uv_dU_reassociated"]
)
def test_one_named_claim(name):
    """A full Jacobian, one with four axes, an operator, a square case, another form of the same."""
    claim, f = CATALOGUE[name], identities.with_closed_form(name)
    operands = claim.sample(3)
    index = list(claim.operands).index(claim.wrt[0])
    value, back = jax.vjp(lambda *v: f.identity.function(*v), *operands.values())
    w = cotangent(name, value)
    got = jax.vjp(lambda *v: f(*v), *operands.values())[1](w)
    near(got[index], back(w)[index], name)


@pytest.mark.parametrize(
    ("what", "claims", "error", "says"),
    [
        ("newton_step", None, NoClosedForm, "no closed form of a first derivative"),
        ("tanh_entries", None, NoClosedForm, "name it in claims=: tanh_entries_dx"),
        ("logdet", "logdet_d2X", NoClosedForm, "it is a hessian"),
        ("det_xax", "det_xax_dX_printed_MCB53", NoClosedForm, "it is refuted"),
        ("det_symmetric_dX_within", None, NoClosedForm, "within symmetric"),
        ("eigh_values", "eigh_values_along_dA", NoClosedForm, "along tangents that keep A symmetric"),
        ("logdet", ["logdet_dX", "logdet_dX_posdef"], NoClosedForm, "both give the derivative by X"),
        ("logdet", ["logdet_is_computed", "logdet_is_cholesky"], NoClosedForm, "both give the value"),
        ("lms_square", "lms_square_dx", NoClosedForm, "one of the two derivatives by the complex x"),
        ("logdet", "quad_dx", UnknownName, "logdet has no claim 'quad_dx'"),
        ("logdet", "logdet_dx", UnknownName, "did you mean logdet_dX"),
        ("logdett", None, UnknownName, "did you mean logdet"),
        (3, None, UnknownName, "3 is no identity and no claim"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence(what, claims, error, says):
    with pytest.raises(error, match=re.escape(says)) as caught:
        identities.with_closed_form(what, claims=claims)
    assert "\n" not in str(caught.value)
    assert error is not NoClosedForm or isinstance(caught.value, ValueError)


def test_operands_that_the_closed_forms_are_not_for_are_refused():
    f = identities.with_closed_form("logdet")
    batch = np.stack([np.eye(3), np.eye(3)])
    for call in (f, lambda X: jax.jvp(f, (X,), (X,))):
        with pytest.raises(ShapeMismatch, match="operand X must have shape"):
            call(batch)
    with pytest.raises(UnsupportedDtype, match="must be a real floating-point array"):
        f(np.eye(3) * 1j)
    square = identities.with_closed_form("det_xax_dX_square")
    with pytest.raises(ShapeMismatch, match="det_xax_dX_square"):
        jax.grad(square)(np.ones((4, 3)), np.eye(4))


# Planted errors: a wrong closed form does not hide behind the decoration


@identity("Quadratic form, of which one claim is wrong by a factor")
def planted(x: Float[Array, "n"], B: Float[Array, "n n"]) -> Scalar:
    r"x^\top Bx"
    return x @ B @ x


@planted.gradient("x", "ours")
def planted_dx(x, B):
    r"2(B + B^\top)x"
    return 2 * (B @ x + x @ B)


@planted.gradient("x", "ours", given={"B": Symmetric[Array, "n n"]})
def planted_dx_symmetric(x, B):
    r"2Bx"
    return 2 * (B @ x)


@planted.gradient("B", "ours")
def planted_dB(x, B):
    r"xx^\top"
    return jnp.outer(x, x)


def test_check_custom_derivative_notices_a_planted_factor():
    x, B = np.array([1.0, -2.0, 0.5]), np.arange(9.0).reshape(3, 3)
    value, by_x, by_B = identities.check_custom_derivative(identities.with_closed_form(planted), x, B)
    assert value.ok and by_B.ok and not by_x.ok
    assert by_x.diagnosis == "wrong by a constant factor: it is 2 times the true one"
    narrow = identities.with_closed_form(planted, claims="planted_dx_symmetric")
    assert not identities.check_custom_derivative(narrow, x, B)[1].ok
    by_x = identities.check_custom_derivative(narrow, x, B + B.T)[1]
    assert by_x.ok and "not for general B" in by_x.diagnosis


@pytest.mark.parametrize("name", ["logdet", "bilinear_inv", "gauss_loglik", "inv_times", "lms_modulus", "softmax"])
def test_check_custom_derivative_passes_what_is_right(name):
    with jax.numpy_dtype_promotion("standard"):  # as a caller has it
        verdicts = identities.check_custom_derivative(identities.with_closed_form(name), *operands_of(name).values())
    assert all(v.ok for v in verdicts), [str(v) for v in verdicts]


def test_the_page_shows_code_that_runs():
    page = pathlib.Path(__file__).parent.parent / "docs" / "closed_forms.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    names = {"__name__": "a_document"}
    for block in blocks:  # each goes on from the one before
        exec(block, names)
