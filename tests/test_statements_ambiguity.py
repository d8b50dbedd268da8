"""No letter is read in another way to make an equation fit, and a verdict is that of the equation, however spelt."""

import dataclasses
import random
import re

import pytest

import identities
from identities.statements import claims
from identities.statements.checking import prepare
from identities.statements.declarations import declare
from identities.statements.errors import NoEvidence, StatementError
from identities.statements.latex import read
from identities.statements.printing import latex
from identities.statements.syntax import Letter, Target, walk

READ = [c for c in identities.catalogue().values() if not isinstance(claims.stated(c), str)]
SOME = random.Random(5).sample(READ, 120)
REFUTED = [c for c in READ if c.status != "holds"]
PLAIN = [
    "quad_dx",
    "tr_axb_dX",
    "logdet_dX",
    "det_dX",
    "inv_along_dX",
    "product_xy_along_dX_dY",
    "hadamard_xy_along_dX_dY",
]


def verdict(text, declared, seed=0):
    """The verdict, or the class of the error."""
    try:
        return prepare(text, declared).decider().decide(seed, 2).ok
    except StatementError as error:
        return type(error)


@pytest.mark.parametrize("claim", REFUTED, ids=lambda c: c.name)
def test_what_is_refuted_is_refuted_at_every_seed(claim):
    decider = claims.stated(claim).decider
    assert not any(decider.decide(seed * 977, 1).ok for seed in range(20))


def test_the_sides_can_be_exchanged():
    """The verdict is the same, or an error: of a recursion the range of its index follows from what is read first."""
    errors = []
    for claim in READ:
        statement = claims.stated(claim).decider.statement
        turned = dataclasses.replace(statement, sides=statement.sides[::-1])
        found = verdict(latex(turned), claims.declared(claim))
        if isinstance(found, type):
            errors.append(claim.name)
        else:
            assert found is (claim.status == "holds"), claim.name
    assert all(name.startswith("deep_") for name in errors), errors


def spaced(text):
    r"""The same with \, and spaces wherever a command does not swallow them."""
    return re.sub(r"(?<![\\A-Za-z0-9.{\s|_^])(?=[A-Z=+(])", r" \\, ", text)


def sized(text):
    return re.sub(r"(?<![\\A-Za-z])\(", r"\\left(", re.sub(r"(?<!\\)\)", r"\\right)", text)) if matched(text) else text


def matched(text):
    """Whether every bracket that would get a size has its partner among those that would."""
    opening = len(re.findall(r"(?<![\\A-Za-z])\(", text))
    return opening == text.count("(") == text.count(")")


def braced(text):
    """Single letters and digits behind ^ and _ in braces."""
    return re.sub(r"([_^])([A-Za-z0-9])(?![A-Za-z0-9])", r"\1{\2}", text)


@pytest.mark.parametrize("change", [spaced, sized, braced])
def test_spaces_sizes_and_braces_do_not_change_the_tree(change):
    changed = 0
    for claim in READ:
        words = claims.declared(claim).vocabulary()
        text = " ".join(claim.statement.split())
        other = change(text)
        changed += other != text
        assert read(other, words) == read(text, words), (text, other)
    assert changed > 50


def renamed(tree, by):
    """The tree with other letters, in targets and bound indices too."""

    def new(value):
        if isinstance(value, tuple):
            return tuple(map(new, value))
        if isinstance(value, (Letter,)):
            return dataclasses.replace(value, name=by.get(value.name, value.name))
        if not dataclasses.is_dataclass(value):
            return value
        changed = {f.name: new(getattr(value, f.name)) for f in dataclasses.fields(value) if f.name != "at"}
        if isinstance(value, Target):
            changed["letter"] = by.get(value.letter, value.letter)
        if "along" in changed:
            changed["along"] = tuple(by.get(name, name) for name in value.along)
        return dataclasses.replace(value, **changed)

    return new(tree)


def test_other_letters_of_the_same_kinds_have_the_same_verdict():
    """Every operand gets another letter, which may be of the other case: what is declared counts, not how it looks."""
    tried = 0
    for claim in SOME:
        known = claims.declared(claim)
        statement = claims.stated(claim).decider.statement
        letters = {n.name for n in walk(statement) if isinstance(n, Letter)}
        free = [c for c in "gGhHkKMNoOPqQuUvVwWzZ" if c not in letters and c not in known.sizes]
        simple = all(re.fullmatch("[A-Za-z]", name) for name in known.kinds)
        special = (
            known.zero_based
            or known.families
            or known.lets
            or known.indices
            or known.structures
            or known.entrywise
            or known.aliases
        )
        if statement.definitions or special or not simple or len(free) < len(known.kinds) or len(known.kinds) > 4:
            continue
        by = dict(zip(known.kinds, free, strict=False))
        if set(by.values()) & {"e", "d", "i"}:
            continue
        text = latex(renamed(statement, by))
        other = dataclasses.replace(known, kinds={by[name]: kind for name, kind in known.kinds.items()})
        assert verdict(text, other) is (claim.status == "holds"), (claim.name, text)
        tried += 1
    assert tried > 40


@pytest.mark.parametrize(
    ("text", "declared", "expected"),
    [
        (r"AB = BA", "", False),  # not read as numbers that commute
        (r"x y = y x", "", StatementError),  # nor vectors as numbers
        (r"x^\top A x = x^\top A^\top x", "", True),
        (r"A = A^\top", "", False),  # nor a matrix as a symmetric one
        (r"\alpha \beta = \beta \alpha", "", True),
        (r"AB = BA", "A: number; B: number", True),
        (r"\|A\| = c", "", StatementError),  # nor a norm picked that fits
    ],
)
def test_a_letter_is_what_it_is_declared_or_what_the_field_takes_it_for(text, declared, expected):
    found = verdict(text, declared)
    assert found is expected or (isinstance(found, type) and issubclass(found, expected))


def test_a_reader_that_reads_again_would_be_seen():
    """The planted fault: letters taken for numbers make a false equation true."""
    assert verdict("AB = BA", "") is False
    assert verdict("AB = BA", declare("A: number; B: number")) is True


def test_a_name_of_a_dim_that_meets_a_number_is_that_number():
    decider = prepare("Ax = y", "A: m 1; x: n; y: m").decider()
    assert int(decider.meaning.sizes["n"]) == 1


def test_square_draws_alone_are_no_evidence_for_matrices_of_any_shape():
    r"""XX^\top of a tall X has no inverse, X^\top X of a wide one has none: both sides are there for square X alone."""
    by_x = r"\frac{\partial}{\partial X} \ln\det"
    text = rf"{by_x}(X^\top X) = {by_x}(XX^\top)"
    assert verdict(text, "X: FullRank m n") is NoEvidence
    assert verdict(text, "X: Invertible n n") is True
    assert verdict(r"\det(AXB) = c", "A: l m; X: m n; B: n l; c: number") is False
