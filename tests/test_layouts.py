"""The statement in both layouts: what is turned factor by factor is the transpose in value, and `show` says it."""

import re

import numpy as np
import pytest

import identities
from identities.commandline import main
from identities.engine import layouts, pages
from identities.engine.transpose import transpose
from identities.engine.unicode import plain

CATALOGUE = identities.catalogue()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("quad_dx", "1 × n, a row: the transpose, xᵀ(B + Bᵀ)"),  # as MML 5.107 prints it
        ("tr_axb_dX", "n × m: the transpose, BA"),
        ("linear_map_dx", "the axes of x, then of the output: the transpose, Aᵀ"),
        ("tr_xxtb_dB", "m × m: the transpose"),  # it is the same formula again
        ("logdet_gram_dX", "n × m: the transpose"),  # the formula in brackets would say no more
    ],
)
def test_show_gives_the_formula_of_the_other_layout(name, expected, capsys):
    assert main(["show", name]) == 0
    text = capsys.readouterr().out.split("layout      ")[1].split("\nsources")[0]
    assert expected in [line.strip().split(": ", 1)[1] for line in text.splitlines()], text


def test_each_layout_has_its_equation_where_the_transpose_is_meaningful():
    for c in CATALOGUE.values():
        found = layouts.both(c)
        assert len(found) in (0, 2), c.name
        if found:
            ours, theirs = found
            assert ours.latex == c.statement and {ours.key, theirs.key} == {"numerator", "denominator"}
            assert theirs.right in theirs.latex and theirs.latex.startswith(pages.left_side(c))
        else:
            assert layouts.lines(c) == pages.layout_lines(c)
    assert sum(bool(layouts.both(c)) for c in CATALOGUE.values()) > 250


def value_of_the_transpose(claim):
    """The value that the turned formula has, and the true one; None where it was not turned factor by factor."""
    latex = transpose(claim, claim.latex)
    if latex is None or latex.startswith(r"\left(") or "=" in latex:
        return None
    values = {name: np.asarray(value) for name, value in claim.sample(3).items()}
    try:
        found = _value(latex, {pages.tex(name): value for name, value in values.items()})
    except (SyntaxError, NameError):
        return None  # a letter that is explained behind the formula
    wanted = np.asarray(claim.closed_form(**values))
    return found, np.atleast_2d(wanted) if wanted.ndim == 1 else wanted.T


def test_transposes_are_transposes():
    turned = 0
    for claim in CATALOGUE.values():
        if claim.kind == "gradient" and layouts.both(claim) and claim.status == "holds":
            pair = value_of_the_transpose(claim)
            if pair is not None:
                np.testing.assert_allclose(*pair, 1e-7, 1e-7, err_msg=claim.name)
                turned += 1
    assert turned > 100


def test_a_factor_that_is_not_turned_is_noticed(monkeypatch):
    from identities.engine import transpose as module

    claim = CATALOGUE["tr_axb_dX"]
    np.testing.assert_allclose(*value_of_the_transpose(claim), 1e-7, 1e-7)
    monkeypatch.setitem(module.TURNED, r"^\top", r"^\top")
    with pytest.raises((AssertionError, ValueError)):
        np.testing.assert_allclose(*value_of_the_transpose(claim), 1e-7, 1e-7)


def test_no_command_runs_into_a_letter():
    for claim in CATALOGUE.values():
        for layout in layouts.both(claim):
            assert not re.search(r"\\(top|lambda|otimes|circ)[A-Za-z]", layout.latex), claim.name
            assert plain(layout.latex)


def _value(latex, values):
    """The value of a formula of sums, products, transposes and inverses; vectors are columns."""
    names, known = {}, {}
    for number, (name, value) in enumerate(values.items()):
        names[f"v{number}"] = value[:, None] if value.ndim == 1 else value
        known[name] = f"v{number}"
    known |= {r"^{-\top}": ".Ti", "^{-1}": ".I", r"^\top": ".T", r"\left": "", r"\right": "", r"\,": "", "I": "I"}
    signs = [name for name in sorted(known, key=len, reverse=True) if not re.fullmatch(r"\\?[A-Za-z]+", name)]
    tokens = []
    pattern = r"\\tfrac\{(\d+)\}\{(\d+)\}|SIGNS|\\[A-Za-z]+|\d+|\S".replace("SIGNS", "|".join(map(re.escape, signs)))
    for match in re.finditer(pattern, latex):
        token = f"{match[1]}/{match[2]}" if match[1] else known.get(match[0], match[0])
        if not re.fullmatch(r"v\d+|[\d/]+|I|\.\w+|[()+-]?", token):
            raise NameError(token)
        tokens += ["(", token, ")"] if "/" in token else [token] if token else []
    made = []
    for token in tokens:
        if token in (".T", ".I", ".Ti"):
            made.append(token)
            continue
        if made and (made[-1][0] in "v.)0123456789I") and (token[0] in "v(0123456789I"):
            made.append("*")
        made.append(token)
    names["I"] = _Product(np.eye(max(max(v.shape) for v in values.values() if v.ndim)))
    names |= {name: _Product(value) for name, value in names.items() if name != "I"}
    return eval("".join(made), {"__builtins__": {}}, names).value


class _Product:
    """A matrix whose * is the matrix product, except by a number."""

    def __init__(self, value):
        self.value = np.asarray(value)

    T = property(lambda self: _Product(self.value.T))
    I = property(lambda self: _Product(np.linalg.inv(self.value)))
    Ti = property(lambda self: _Product(np.linalg.inv(self.value).T))

    def __mul__(self, other):
        other = other.value if isinstance(other, _Product) else np.asarray(other)
        return _Product(self.value @ other if self.value.ndim and other.ndim else self.value * other)

    def __rmul__(self, number):
        return _Product(number * self.value)

    def __add__(self, other):
        return _Product(self.value + other.value)

    def __sub__(self, other):
        return _Product(self.value - other.value)

    def __neg__(self):
        return _Product(-self.value)

    def __pos__(self):
        return self
