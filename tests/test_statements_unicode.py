"""Unicode is read into the tree that LaTeX gives, and the book's own statements say the same in both."""

import collections

import pytest

import identities
from identities.engine.unicode import plain
from identities.statements import claims
from identities.statements.checking import prepare
from identities.statements.declarations import declare
from identities.statements.errors import StatementError
from identities.statements.latex import read

CATALOGUE = identities.catalogue()
LEAST = 586  # of 637
SAME = [
    ("∂/∂X tr(AXB) = AᵀBᵀ", r"\frac{\partial}{\partial X} \operatorname{tr}(AXB) = A^\top B^\top"),
    ("∂²/∂x∂xᵀ xᵀAx = A + Aᵀ", r"\frac{\partial^2}{\partial x \partial x^\top} x^\top A x = A + A^\top"),
    ("∂tr(X)/∂X = I", r"\frac{\partial \operatorname{tr}(X)}{\partial X} = I"),
    ("∂g/∂y ∂y/∂x = c", r"\frac{\partial g}{\partial y} \frac{\partial y}{\partial x} = c"),
    ("d/dt t² = 2t", r"\frac{d}{d t} t^2 = 2t"),
    ("dᵏ/dxᵏ xᵏ = k!", r"\frac{d^k}{d x^k} x^k = k!"),
    ("xᵀAx = c", r"x^\top A x = c"),
    ("X⁻¹ = Y", r"X^{-1} = Y"),
    ("∑ᵢ xᵢ² = c", r"\sum_i x_i^2 = c"),
    ("‖x‖² = c", r"\|x\|^2 = c"),
    ("δᵢⱼ = δⱼᵢ", r"\delta_{ij} = \delta_{ji}"),
    ("Xᵢⱼ = c", r"X_{ij} = c"),
    ("X_(ij) = c", r"X_{ij} = c"),
    ("∑_(i ≠ j) xᵢ = c", r"\sum_{i \ne j} x_i = c"),
    ("[a, b; c, d] = A", r"\begin{bmatrix} a & b \\ c & d \end{bmatrix} = A"),
    ("A ∖ b = x", r"A \backslash b = x"),
    ("y = Ax with A = BB", r"y = Ax \text{ with } A = BB"),
    ("½ A ⊗ B ∘ C = D", None),
    ("½ A ⊗ B = D", r"\frac12 A \otimes B = D"),
]


def tree(text):
    try:
        return read(text)
    except StatementError:
        return None


@pytest.mark.parametrize(("unicode", "latex"), SAME, ids=[one for one, _ in SAME])
def test_unicode_and_latex_are_one_tree(unicode, latex):
    assert tree(unicode) == (latex and read(latex))


@pytest.mark.parametrize("text", ["[a, b] = c", "x* = y", "∂g/∂y∂x = c", "uvᵀ/(uᵀv) = A", "d²/dt = c", "Aᵀ_(ij = c"])
def test_what_is_ambiguous_in_unicode_is_an_error(text):
    assert tree(text) is None


def test_the_statements_of_the_book_are_decided_alike_from_their_unicode():
    """A plain d stands for LaTeX's upright one, so it is declared; what is ambiguous is an error, never a slip."""
    found = collections.Counter()
    for claim in CATALOGUE.values():
        stated = claims.stated(claim)
        if isinstance(stated, str):
            continue
        known = claims.declared(claim)
        if r"\mathrm{d}" in claim.statement:
            declare("differential d", known)
        try:
            ok = prepare(plain(claim.statement), known).decider().decide(draws=1).ok
        except StatementError:
            found["error"] += 1
        else:
            found["same" if ok is (claim.status == "holds") else f"other: {claim.name}"] += 1
    assert set(found) == {"same", "error"}, found
    assert found["same"] >= LEAST, found
