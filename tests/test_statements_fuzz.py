"""Whatever is typed, the answer is a verdict or one sentence: soon, in bounded memory, and with nothing compiled.

`make fuzz` runs the same properties on more inputs: the environment variable FUZZ says on how many, 100 by default.
"""

import itertools
import os
import resource
import time
import warnings

import jax
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import identities
from identities.statements import claims
from identities.statements.checking import prepare
from identities.statements.environment import MOST_WORK
from identities.statements.errors import StatementError, TooLarge, Unforeseen
from identities.statements.latex import read
from identities.statements.printing import latex
from identities.statements.syntax import (
    Add,
    Apply,
    Derivative,
    Elementwise,
    Entry,
    Kronecker,
    Letter,
    Marked,
    Number,
    Power,
    Product,
    Quotient,
    Statement,
    Target,
)

FUZZ = os.environ.get("FUZZ", "")
MANY = int(FUZZ or 100)
SECONDS = 5.0
AT = (0, 0)
STATED = [(c, c.statement) for c in identities.catalogue().values() if not claims.table().get(c.name, ("", ""))[1]]
quick = settings(
    max_examples=MANY, deadline=None, database=None, derandomize=not FUZZ, suppress_health_check=list(HealthCheck)
)
few = settings(quick, max_examples=max(1, MANY // 5))


@pytest.fixture(scope="module", autouse=True)
def bounded_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 2**20, f"the peak of memory grew by {grown} KiB"


def outcome(text, declarations=(), decide=True):
    """The class of the error, or the verdict.  Everything else that is raised, warned or slow fails."""
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            prepared = prepare(text, declarations)
            found = prepared.decider().decide().ok if decide else None
        except Unforeseen:
            raise
        except StatementError as error:
            sentence = str(error)
            sentence.encode()
            assert sentence and "\n" not in sentence
            found = type(error)
    taken = time.process_time() - started
    assert taken < SECONDS, f"{taken:.1f} s"
    return found


# Hostile statements: each of these once raised something else, hung or filled the memory, or is near to one that did

LETTERS = "abcdefghijklmnopqrstuvwxyz"
CHAINS = {
    "a letter by itself": "a = c, a = b, b = a",
    "a function by itself": "f(x) = 1, f(x) = f(x+1)",
    "functions by each other": "f(x) = 1, f(x) = g(x) + g(x), g(x) = f(x) + f(x)",
    "sums that double": "a = c, " + ", ".join(f"{p} = {q}+{q}" for p, q in itertools.pairwise(LETTERS[:25])),
    "functions that double": "a(y) = y, "
    + ", ".join(f"{p}(y) = {q}(y)+{q}(y)" for p, q in itertools.pairwise(LETTERS[:19]))
    + ", s(y) = y",
    "functions of functions": "a(y) = y, "
    + ", ".join(f"{p}(y) = {q}({q}(y))" for p, q in itertools.pairwise(LETTERS[:19]))
    + ", s(y) = 2y",
    "sizes that double": "A = C, "
    + ", ".join(rf"{p} = {q} \otimes {q}" for p, q in itertools.pairwise(LETTERS[:25].upper())),
    "sums over sums": "z = c, "
    + ", ".join(rf"{q} = \sum_i w_i {p} + \sum_i w_i {p}" for p, q in itertools.pairwise("abcdefghjz"))
    + ", a = 3",
    "a recursion that doubles": r"f_{30} = c, f_i = \sum_j w_j f_{i-1} + \sum_j w_j f_{i-1}, f_0 = 1",
    "a recursion without end": "f_9 = c, f_i = f_{i}, f_0 = 1",
    "a recursion upwards": "f_3 = c, f_i = f_{i+1}, f_0 = 1",
    "a long recursion": "f_{1000000} = c, f_i = f_{i-1}, f_0 = 1",
}
HOSTILE = [
    (".²", ""),
    (r"x = (x \otimes x)_i", ""),
    (r"\frac{\partial^3 \ln(X)}{\partial X\,\partial X\,\partial X} = X", ""),
    ("(" * 500 + "x" + ")" * 500 + "=x", ""),
    ("x" + "^T" * 900 + "=x", ""),
    ("x" + "_1" * 900 + "=x", ""),
    ("x" + "!" * 1900 + "=x", ""),
    (r"\left" * 700 + "(x) = x", ""),
    ("A \\circ " * 300 + "A=A", ""),
    ("A \\otimes " * 300 + "A=A", ""),
    ("-" * 1000 + "x=x", ""),
    (r"\frac{1}{" * 200 + "x" + "}" * 200 + "=x", ""),
    (r"\sum_i " * 300 + "x_i = x", ""),
    (r"\sum_{ijklmnpqrstuv} x_i x_j x_k x_l x_m x_n x_p x_q x_r x_s x_t x_u x_v = c", "c: number"),
    (r"\sum_{i=1}^{1000000000} i = c", "c: number"),
    (r"\sum_{i=1}^{3000000}\sum_{j=1}^{3000000} ij = c", "c: number"),
    (r"\sum_{i=1}^{2000} \sum_{j=1}^{2000} ij\operatorname{tr}((ijX)^{-1}) = c", "c: number"),
    (r"\prod_{i=1}^{\infty} i = c", "c: number"),
    (r"\sum_{i=\infty}^{3} \frac{1}{i} = c", "c: number"),
    ("e^{e^{e^{9}}} = c", "c: number"),
    ("X^{X} = X", ""),
    ("X^{1000000} = X", ""),
    ("X^{" + "9" * 200 + "} = X", ""),
    ("X^{" + "9" * 400 + "} = X", ""),
    ("c^{1000000} = c", "c: number"),
    ("2^{2^{2^{2^{2^{2}}}}} = c", "c: number"),
    ("X^{\\infty} = X", ""),
    ("1000000! = c", "c: number"),
    ("10!! = 3", ""),
    ("(-1)! = c", "c: number"),
    ("x_1.5 = c", "c: number"),
    (r"\frac{\partial^{99999999999999999999} f}{\partial x^{99999999999999999999}} = 0", ""),
    (r"\frac{\partial^{1.5} f}{\partial x} = 0", ""),
    (r"\frac{\partial^{0} f}{\partial x} = 0", ""),
    (r"\frac{\partial}{\partial t}" * 12 + "t^3 = t", ""),
    (r"\frac{\partial}{\partial X}" * 8 + r"\operatorname{tr}(X^3) = X", ""),
    (r"\frac{\partial}{\partial X} \ln X = X", "X: PosDef n n; n = 14"),
    ("f_9 = c, f_{ij} = f_{i-1}, f_0 = 1", "c: number"),
    ("a = b, x_", ""),
    (r"\frac 0.5 = c", "c: number"),
    ("a = b, f(x)_{ab", ""),
    ("A B = B A", "A: n n; B: n n; n = 1000"),
    (r"\operatorname{adj}(A) = A", "A: n n; n = 600"),
    (r"\frac{\partial x}{\partial \operatorname{vec}(c)} = 0", "c: number"),
    (r"\frac{\partial}{\partial x} x^\top x = x", "symmetric x"),
    (r"\operatorname{max}(x, A) = x", ""),
    (r"\operatorname{erf}(z) = z", "z: complex"),
    (r"z! = z", "z: complex number"),
    (r"\lfloor z \rfloor = z", "z: complex number"),
    (r"\operatorname{rank}(c) = 1", "c: number"),
    (r"\operatorname{sing}(X) = x", ""),
    (r"\begin{bmatrix}" + r"\\".join([" & ".join("A" * 30)] * 30) + r"\end{bmatrix} = A", ""),
    ("\ud800 = 1", ""),
    ("x=" * 1990 + "x", ""),
    ("+".join("x" * 1900) + "=x", ""),
    ("X = X" + ",X = X" * 600, ""),
    ("A = A", "A: 1000000 1000000"),
    ("A = A", "A: n n; n = 1000000000"),
    ("x = x", "x: 99999999999999999999"),
    ("x = x", "x:" + " 2" * 70),
    ("x = x", "x: 9 9 9 9 9 9 9 9"),
    ("k = k", "k: integer 9..1"),
    ("k = k", "k: integer 1..99999999999999999999999"),
    ("n = n", "A: n n; n = " + "9" * 400),
    ("x = x", "x: PosDef 3"),
    ("x = x", "x: Symmetric n m; n = 3; m = 4"),
    ("x = x", "x: Orthogonal 1 2 3"),
    ("x = x", "x: Simplex number"),
    ("x_1 = x_2", "rows x of X; X: number"),
    ("x = x", "symmetric"),
    ("x = x", "within banana X"),
    ("x = x", "const _"),
]


@pytest.mark.parametrize("text", CHAINS.values(), ids=CHAINS.keys())
def test_definitions_that_unfold_without_end(text):
    assert outcome(text, "c: number") is not True


@pytest.mark.parametrize(("text", "declarations"), HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_statement_is_a_verdict_or_a_sentence(text, declarations):
    outcome(text, declarations)


def test_the_work_of_a_statement_is_bounded_and_that_of_the_book_is_far_below(monkeypatch):
    text = r"\sum_{i=1}^{900} \sum_{j=1}^{900} \operatorname{tr}(\ln(ijI + I)) = c"
    assert outcome(text, ["c: number", "I: PosDef 3 3"]) is TooLarge
    decider = prepare(r"\frac{\partial}{\partial X} \operatorname{tr}(AX^3) = X").decider()
    decider.decide()
    assert decider.work.left > 0.9 * MOST_WORK
    monkeypatch.setattr("identities.statements.deciding.MOST_WORK", 1e4)  # and the bound is what stops it
    assert outcome(r"\operatorname{tr}(AB) = \operatorname{tr}(BA)") is TooLarge


def test_a_failure_that_nobody_foresaw_is_not_passed_off_as_a_verdict(monkeypatch):
    monkeypatch.setattr("identities.statements.deciding.Decider.compare", lambda *_: {}["planted"])
    with pytest.raises(Unforeseen, match="planted"):
        outcome("AB = BA")


def test_nothing_is_compiled():
    compiled = []
    listen = lambda event, _, **__: compiled.append(event) if "backend_compile" in event else None  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        for text, _ in HOSTILE[:30]:
            outcome(text)
        assert outcome(r"\operatorname{tr}(W) = \operatorname{tr}(W^\top)", "W: PosDef n n") is True
        assert not compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


# Random text, random tokens, random trees, and the book's own statements with slips of the hand

PIECES = [
    r"\frac",
    r"\partial",
    r"{\partial}",
    r"{\partial^2}",
    r"\sum",
    r"\prod",
    r"\max",
    r"\min",
    r"\ln",
    r"\det",
    r"\operatorname{tr}",
    r"\operatorname{vec}",
    r"\sqrt",
    r"\left(",
    r"\right)",
    r"\left|",
    r"\right|",
    r"\|",
    r"|",
    r"(",
    r")",
    r"[",
    r"]",
    r"{",
    r"}",
    r"^",
    r"_",
    r"^\top",
    r"^{-1}",
    r"^T",
    r"^H",
    r"^*",
    r"^+",
    r"^2",
    r"_i",
    r"_{ij}",
    r"_{i=1}",
    r"^{n}",
    r"+",
    r"-",
    r"/",
    r"=",
    r",",
    r";",
    r":",
    r"!",
    r"'",
    r"\circ",
    r"\otimes",
    r"\cdot",
    r"\delta_{ij}",
    r"J^{ij}",
    r"e_i",
    r"\mathbf{1}",
    r"\mathrm{d}",
    r"\nabla",
    r"\infty",
    r"\begin{bmatrix}",
    r"\end{bmatrix}",
    r"&",
    r"\\",
    r"\begin{cases}",
    r"\end{cases}",
    r"\text{if}",
    r"\text{otherwise}",
    r"\dots",
    r"\lambda_i",
    r"\hat{x}",
    r"\Sigma",
    r"\alpha",
    r"0",
    r"1",
    r"2",
    r"10",
    r"0.5",
    r"A",
    r"B",
    r"X",
    r"Y",
    r"x",
    r"y",
    r"i",
    r"j",
    r"n",
    r"f",
    r"f(x)",
    r"I",
    r"∂",
    r"∇",
    r"ᵀ",
    r"⁻¹",
    r"²",
    r"ᵢ",
    r"ⱼ",
    r"∑",
    r"‖",
    r"∘",
    r"⊗",
    r"½",
    r"\Rightarrow",
    r"\neq",
    r"\leq",
    r"\langle",
    r"\rangle",
    r"\lfloor",
    r"\rfloor",
    r"\mathcal{N}",
    r"\operatorname{E}",
    r"d",
    r"dX",
]


@quick
@given(st.one_of(st.text(), st.binary().map(lambda b: b.decode("latin1")), st.text(alphabet="xXAij^_{}()\\|+-=,2∂ᵀ/")))
def test_random_text(text):
    outcome(text, decide=False)


@quick
@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_random_tokens(parts):
    outcome(" ".join(parts), decide=False)


@few
@given(st.lists(st.sampled_from(PIECES), max_size=7), st.lists(st.sampled_from(PIECES), max_size=7))
def test_random_tokens_through_the_whole_check(left, right):
    outcome(f"{' '.join(left)} = {' '.join(right)}")


DECLARED = str.split(
    "let letter const rows columns of index random symmetric within total entrywise diag layout A x k n : "
    "; = , number vector matrix complex integer 1..4 3 0 1/0 Symmetric PosDef Toeplitz Simplex n m f(x) "
    "x+1 ( ) _ { } "
)


@quick
@given(st.lists(st.sampled_from(DECLARED), max_size=12))
def test_random_declarations(words):
    outcome("Ax = k", " ".join(words))


def trees():
    number = st.builds(Number, st.just(AT), st.sampled_from([0.0, 1.0, 2.0, 3.0]))
    letters = st.builds(Letter, st.just(AT), st.sampled_from(["A", "B", "X", "x", "y", "alpha", "t", "A_1"]))
    index = st.builds(Letter, st.just(AT), st.sampled_from("ij"))

    def larger(inner):
        some = st.lists(inner, min_size=2, max_size=3).map(tuple)
        signed = st.lists(st.tuples(st.sampled_from([1, -1]), inner), min_size=2, max_size=3).map(tuple)
        target = st.builds(Target, st.just(AT), st.sampled_from(["X", "x", "t"]))
        minus_one = st.just(Add(AT, ((-1, Number(AT, 1.0)),)))
        return st.one_of(
            st.builds(Product, st.just(AT), some),
            st.builds(Add, st.just(AT), signed),
            st.builds(Marked, st.just(AT), inner, st.sampled_from("TH*+")),
            st.builds(Power, st.just(AT), inner, st.one_of(number, minus_one)),
            st.builds(Quotient, st.just(AT), inner, inner),
            st.builds(Kronecker, st.just(AT), inner, inner),
            st.builds(Elementwise, st.just(AT), st.sampled_from("∘⊘"), inner, inner),
            st.builds(Entry, st.just(AT), inner, st.lists(index, min_size=1, max_size=2).map(tuple)),
            st.builds(
                Apply, st.just(AT), st.sampled_from(["tr", "det", "ln", "exp", "sin", "vec"]), inner.map(lambda n: (n,))
            ),
            st.builds(Derivative, st.just(AT), inner, st.lists(target, min_size=1, max_size=2).map(tuple)),
        )

    return st.recursive(st.one_of(letters, letters, number), larger, max_leaves=8)


@quick
@given(trees(), trees())
def test_a_tree_that_is_written_is_read_again(left, right):
    statement = Statement(AT, (left, right))
    assert read(latex(statement)) == statement


@few
@given(trees(), trees())
def test_random_trees_through_the_whole_check(left, right):
    outcome(latex(Statement(AT, (left, right))))


@few
@given(trees())
def test_a_tree_is_equal_to_itself_where_it_can_be_evaluated(tree):
    assert outcome(latex(Statement(AT, (tree, tree)))) is not False


@st.composite
def slips(draw):
    """A statement of the book with spans deleted, doubled or taken from another one."""
    claim, text = draw(st.sampled_from(STATED))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        _, other = draw(st.sampled_from(STATED))
        begin = draw(st.integers(0, len(other)))
        put = draw(st.sampled_from(["", text[start:end] * 2, other[begin : begin + 8], draw(st.sampled_from(PIECES))]))
        text = text[:start] + put + text[end:]
    return claim, text


@few
@given(slips())
def test_statements_of_the_book_with_slips_of_the_hand(slipped):
    claim, text = slipped
    outcome(text, claims.declared(claim))


def test_every_statement_of_the_book_is_written_and_read_again():
    found = [claims.stated(claim) for claim, _ in STATED]
    read_ones = [one for one in found if not isinstance(one, str)]
    assert len(read_ones) > 600
    for one in read_ones:
        tree = one.decider.statement
        assert read(latex(tree), one.declarations.vocabulary()) == tree, one.text
