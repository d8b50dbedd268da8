"""Plain text: the same trees as LaTeX, errors that point at the character, and what it takes for granted."""

import pytest

from identities.statements import latex, plain
from identities.statements.checking import decide
from identities.statements.errors import StatementError, Unread

SAME = [
    ("d/dX tr(A*X*B) = A'*B'", r"\frac{\partial}{\partial X}\operatorname{tr}(AXB) = A^\top B^\top"),
    ("x'*A*x == tr(A*x*x')", r"x^\top A x = \operatorname{tr}(Axx^\top)"),
    ("d/dx norm2(A*x - b)^2 = 2*A'*(A*x - b)", r"\frac{\partial}{\partial x}\|Ax - b\|_2^2 = 2A^\top(Ax - b)"),
    ("d/dX logdet(X) = inv(X)'", r"\frac{\partial}{\partial X}\operatorname{logdet}(X) = (X^{-1})^\top"),
    ("x.*y = y.*x", r"x \circ y = y \circ x"),
    ("d^2/dx^2 (x'*A*x) = A + A'", r"\frac{\partial^2}{\partial x^2}(x^\top Ax) = A + A^\top"),
    ("d2/dx2 (x'*A*x) = A + A'", r"\frac{\partial^2}{\partial x^2}(x^\top Ax) = A + A^\top"),
    ("d^2/dx dy (x'*A*y) = A", r"\frac{\partial^2}{\partial x\,\partial y}(x^\top Ay) = A"),
    ("-X^-1*A = -inv(X)*A", r"-X^{-1}A = -X^{-1}A"),
    ("d(tr(A*X)) = tr(A*dX)", r"\mathrm{d}(\operatorname{tr}(AX)) = \operatorname{tr}(A\,\mathrm{d}X)"),
    ("eye*x = x", "Ix = x"),
    ("vector(1)'*x = sum(x)", r"\mathbf{1}^\top x = \sum x"),
    ("1/2*x = x/2", r"\frac{1}{2}x = \frac{x}{2}"),
    ("x^T*A = (A^T*x)^T", r"x^\top A = (A^\top x)^\top"),
    ("normF(X) = norm1(x)", r"\|X\|_F = \|x\|_1"),
    ("α*x = lambda*x", r"\alpha x = \lambda x"),
    ("kron(A, B)' = kron(A', B')", r"(A \otimes B)^\top = A^\top \otimes B^\top"),
]


@pytest.mark.parametrize(("text", "formula"), SAME, ids=[a for a, _ in SAME])
def test_plain_text_gives_the_tree_of_latex(text, formula):
    assert plain.is_plain(text)
    assert plain.read(text) == latex.read(formula)


@pytest.mark.parametrize(
    "text",
    [
        r"\operatorname{tr}(A^*) = 1",
        "∂/∂X tr(AXB) = AᵀBᵀ",
        "tr(AB) = tr(BA)",
        "z^* z = |z|^2",
        "f'(x) = x",
        "A^{*} = A",
    ],
)
def test_latex_and_unicode_are_not_taken_for_plain_text(text):
    assert not plain.is_plain(text)


TRUE = [
    "d/dX tr(A*X*B) = A'*B'",
    "d/dX tr(A*X'*B) = B*A",
    "d/dx x'*A*x = (A + A')*x",
    "d/dx sum(exp(A*x)) = A'*exp(A*x)",
    "d/dX sum(exp(X)) = exp(X)",
    "d/dX logdet(X) = inv(X)'",
    "d/dw sum(log(vector(1) + exp(-y.*(X*w)))) = -X'*(y./(vector(1) + exp(y.*(X*w))))",
    "d/dweights norm2(Data*weights - targets)^2 = 2*Data'*(Data*weights - targets)",
    "d/dx norm2(x) = x/norm2(x)",
    "d/dalpha alpha*x'*y = x'*y",
    "(A*B)' = B'*A'",
    "x.^2 = x.*x",
    "d(X*Y) = dX*Y + X*dY",
    "d/dx sum(abs(x)) = sign(x)",
    "x'*matrix(1)*x = sum(x)^2",
]


@pytest.mark.parametrize("text", TRUE)
def test_true_statements_hold(text):
    assert decide(text, draws=2).ok


@pytest.mark.parametrize(
    "text",
    [
        "d/dX tr(A*X*B) = B'*A'",
        "d/dX sum(exp(X)) = exp(X)'",
        "d/dweights norm2(Data*weights - targets)^2 = Data'*(Data*weights - targets)",
        "d(X*Y) = dX*Y + Y*dX",
        "x.^2 = 2*x",
    ],
)
def test_planted_errors_are_refuted(text):
    assert not decide(text, draws=2).ok


WRONG = [
    ("tr(A*X = 2", "')' was expected", 8),
    ("2 x = y*z", "a product is written with *", 3),
    ("tr(A B)*1 = 1", "a product is written with *", 6),
    ("x'Ax = 1", "a product is written with *", 3),
    ("foo(x)*2 = 1", "the function 'foo' is not known", 1),
    ("A*=B", "an operand was expected, not '='", 3),
    ("d/dX = 3", "a function to differentiate was expected", 6),
    ("eye(3)*x = x", "write eye without brackets", 1),
    ("A*{X} = B", "does not hold the character '{'", 3),
    ("norm2*x = 2", "'(' was expected behind norm2", 6),
    ("d^2/dx x'*x = 1", "d and a letter were expected", 8),
    ("x*(A = 1", "')' was expected, to close the bracket of character 3", 6),
    ("A(B + C)*x = 1", "a product is written A*(…)", 1),
    ("x*", "where an operand was expected", None),
    ("x*y", "'=' was expected", None),
    ("kron(A) = A*B", "kron takes two arguments, got 1", 1),
]


@pytest.mark.parametrize(("text", "said", "character"), WRONG, ids=[w[0] for w in WRONG])
def test_an_error_says_what_was_expected_and_where(text, said, character):
    with pytest.raises(Unread) as caught:
        plain.read(text)
    assert said in str(caught.value)
    if character is not None:
        assert f"at character {character}:" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["(" * 500 + "x=1", "-" * 3000 + "x=1", "x" + "'" * 3500 + "=x", "x*" * 3000, "x" * 5000]
)
def test_hostile_texts_are_refused(text):
    with pytest.raises(StatementError):
        plain.read(text)


def test_a_declared_name_is_what_it_is_declared():
    assert decide("beta*x = x*beta", ["beta: number"]).ok
    with pytest.raises(StatementError, match="column"):
        decide("d/dw w*X*w = 1")
