"""The laws of an entry: each is raised at import, with a message that says how to mend it."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

import identities
from identities.engine.catalogue import Catalogue
from identities.engine.errors import DuplicateName, LawError, UnknownSource
from identities.engine.identity import identity, printed
from identities.engine.operands import Count, Invertible, Scalar, Symmetric
from identities.engine.sources import parse


@identity("A bilinear form")
def bilinear(x: Float[Array, "m"], A: Float[Array, "m n"], y: Float[Array, "n"], k: Count[int, "1..2"]) -> Scalar:
    r"x^\top Ay"
    return x @ A @ y


def form(name, parameters="x, A, y, k", doc="Ay", module=__name__):
    made = {}
    exec(f"def {name}({parameters}):\n    {doc!r}\n    return A @ y", made)
    made[name].__module__ = module
    return made[name]


@pytest.mark.parametrize(
    ("attach", "function", "words"),
    [
        (lambda f: bilinear.gradient("x", "ours")(f), form("bilinear_dz"), ["is named bilinear_dx", "variant"]),
        (lambda f: bilinear.gradient("x", "ours")(f), form("bilinear_dx_printed_MCB1"), ["is named bilinear_dx"]),
        (lambda f: bilinear.hessian("x A", "ours")(f), form("bilinear_d2xA"), ["is named bilinear_d2x_A"]),
        (lambda f: bilinear.value("ours")(f), form("bilinear_other"), ["bilinear_is_<word>"]),
        (
            lambda f: bilinear.gradient("x", "ours")(f),
            form("bilinear_dx", "A, x, y, k"),
            ["(x, A, y, k)", "(A, x, y, k)"],
        ),
        (lambda f: bilinear.differential("x", "ours")(f), form("bilinear_along_dx"), ["(x, A, y, k, dx)"]),
        (lambda f: bilinear.gradient("q", "ours")(f), form("bilinear_dq"), ["'q' is no operand", "x, A, y, k"]),
        (lambda f: bilinear.gradient("k", "ours")(f), form("bilinear_dk"), ["static"]),
        (lambda f: bilinear.gradient("x")(f), form("bilinear_dx"), ["every claim has a source", '"ours"']),
        (lambda f: bilinear.gradient("x", "ours")(f), form("bilinear_dx", doc=""), ["docstring", "LaTeX"]),
        (
            lambda f: bilinear.gradient("x", "ours")(f),
            form("bilinear_dx", module="elsewhere"),
            ["elsewhere", "move it"],
        ),
        (lambda f: bilinear.gradient("x y", "ours")(f), form("bilinear_dx"), ["'x y' is no operand"]),
        (
            lambda f: bilinear.refuted("gradient", "x", "ours", because=" ")(f),
            form("bilinear_dx_printed_MCB1"),
            ["because="],
        ),
        (
            lambda f: bilinear.refuted("slope", "x", "ours", because="no")(f),
            form("bilinear_dx_printed_MCB1"),
            ["one of gradient"],
        ),
        (lambda f: bilinear.refuted("gradient", "x", "ours", because="no")(f), form("bilinear_dx"), ["_printed_"]),
        (
            lambda f: bilinear.gradient("A", "ours", entries="round")(f),
            form("bilinear_dA"),
            ["'round' is unknown", "symmetric"],
        ),
        (
            lambda f: bilinear.hessian("A", "ours", within="symmetric")(f),
            form("bilinear_d2A"),
            ["gradient or a jacobian"],
        ),
        (lambda f: bilinear.gradient("x", "ours", slack=0.5)(f), form("bilinear_dx"), ["slack"]),
        (
            lambda f: bilinear.gradient("x", "ours", given={"Z": Float[Array, "n"]})(f),
            form("bilinear_dx"),
            ["given=", "'Z'"],
        ),
        (
            lambda f: bilinear.gradient("x", "ours", given={"A": Float[Array, "n"]})(f),
            form("bilinear_dx"),
            ["given=", "dims"],
        ),
        (lambda f: bilinear.gradient("x", "MCB")(f), form("bilinear_dx"), ["locator"]),
    ],
)
def test_a_broken_law_says_how_to_mend_it(attach, function, words):
    before = dict(bilinear.claims)
    with pytest.raises(LawError) as caught:
        attach(function)
    assert bilinear.claims == before
    for word in words:
        assert word in str(caught.value)


@identity("A linear form", where="n <= m and k <= n")
def linear_form(X: Float[Array, "m n"], C: Float[Array, "n m"], S: Float[Array, "k k"]) -> Scalar:
    "CX"
    return jnp.trace(C @ X) + jnp.trace(S)


def test_structured_entries_need_a_structured_operand():
    def linear_form_dS(X, C, S):
        "S"
        return S

    with pytest.raises(LawError, match="must be declared symmetric"):
        linear_form.gradient("S", "ours", entries="symmetric")(linear_form_dS)
    linear_form.gradient("S", "ours", entries="symmetric", given={"S": Symmetric[Array, "k k"]})(linear_form_dS)


def test_given_renames_the_dims_of_where_all_at_once():
    def linear_form_dX_turned(X, C, S):
        "C'"
        return C.T

    given = {"X": Float[Array, "n m"]}
    linear_form.gradient("X", "ours", given=given)(linear_form_dX_turned)
    claim = linear_form.claims["linear_form_dX_turned"]
    assert claim.where == "m <= n and k <= m"
    assert [operand.dims for operand in claim.operands.values()] == [("n", "m"), ("m", "n"), ("k", "k")]


def test_a_condition_in_words_goes_with_a_refuted_claim_only():
    with pytest.raises(LawError, match="right_if"):
        bilinear.gradient("x", "ours", right_if="k is even")(form("bilinear_dx"))


def test_an_identity_has_laws_too():
    def no_doc(x: Float[Array, "n"]) -> Scalar:
        return x.sum()

    def no_annotation(x) -> Scalar:
        "x"

    def long_dim(x: Float[Array, "rows n"]) -> Scalar:
        "x"

    def not_square(X: Invertible[Array, "m n"]) -> Scalar:
        "x"

    def Capital(x: Float[Array, "n"]) -> Scalar:
        "x"

    for function, words in (
        (no_doc, "docstring"),
        (no_annotation, "needs an annotation"),
        (long_dim, "one small letter"),
        (not_square, "square shape"),
        (Capital, "small letters"),
    ):
        with pytest.raises(LawError, match=words):
            identity("A title")(function)
    with pytest.raises(LawError, match="title"):
        identity(" ")(no_doc)


def test_sources_are_known_and_have_locators():
    assert str(parse("MCB 53 without its condition")) == "MCB 53 without its condition"
    with pytest.raises(UnknownSource, match="MCB"):
        parse("MBC 53")
    print_ = printed("MML 5.107", r"x^\top(B + B^\top)", layout="numerator")
    assert (print_.key, print_.locator, print_.layout) == ("MML", "5.107", "numerator")
    with pytest.raises(LawError, match="layout"):
        printed("MML 5.107", "x", layout="sideways")


def test_a_name_stands_once_in_a_catalogue():
    import types

    one, two = types.ModuleType(__name__), types.ModuleType(__name__)
    one.bilinear = two.bilinear = bilinear
    with pytest.raises(DuplicateName, match="bilinear stands twice"):
        Catalogue([one, two])


@identity("A squared norm")
def sq(x: Float[Array, "n"]) -> Scalar:
    r"x^\top x"
    return x @ x


@sq.gradient("x", "ours")
def sq_dx(x):
    "2x"
    return 2 * x


def test_an_identity_is_a_function_to_jax_and_to_python():
    x = jnp.arange(3.0)
    assert float(jax.jit(sq)(x)) == 5.0
    assert np.array_equal(jax.grad(sq)(x), sq_dx(x))
    assert jax.vmap(sq)(jnp.ones((2, 3))).shape == (2,)
    assert pickle.loads(pickle.dumps(sq)) is sq
    assert copy.deepcopy(sq) is sq
    assert list(sq.operands) == ["x"] and sq.__name__ == "sq" and sq.title == "A squared norm"
    assert str(sq.__signature__).startswith("(x: ")
    assert "x^\\top x" in sq.__doc__ and "Gradient by x" in sq_dx.__doc__


def test_a_claim_shows_its_attributes():
    claim = sq.claims["sq_dx"]
    assert (claim.name, claim.kind, claim.status, claim.wrt, claim.dims) == (
        "sq_dx",
        "gradient",
        "holds",
        ("x",),
        ("n",),
    )
    assert claim.statement == r"\frac{\partial}{\partial x}\,x^\top x = 2x"
    assert claim.structure is None and claim.static == () and claim.identity is sq
    operands = claim.sample(3, dims={"n": 4})
    assert np.allclose(claim.closed_form(**operands), claim.reference(**operands))


def test_checking_an_entry_from_anywhere():
    assert identities.check(sq_dx).ok
    assert identities.check(sq).ok
    assert identities.check(sq.claims["sq_dx"], dtype="float32").dtype == "float32"
    with pytest.raises(KeyError, match="no claim"):
        identities.check(len)
