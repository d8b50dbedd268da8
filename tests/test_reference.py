"""The reference: names of pages, formulas in Unicode, search, NumPy forms, notebooks; each with a planted error."""

import collections
import pathlib
import pydoc
import re
import subprocess
import sys

import numpy as np
import pytest

import identities
from identities.commandline import main
from identities.engine import lookup, pages, snippets
from identities.engine.errors import UnknownName
from identities.engine.unicode import plain

CATALOGUE = identities.catalogue()
ROOT = pathlib.Path(__file__).parent.parent


def colliding(names):
    """The slugs that stand for more than one name, where a disk folds case."""
    counted = collections.Counter(pages.slug(name).casefold() for name in names)
    return [slug for slug, count in counted.items() if count > 1]


def test_every_claim_has_a_page_name_of_its_own_also_where_case_is_folded():
    assert colliding(CATALOGUE) == []
    for name in CATALOGUE:
        slug = pages.slug(name)
        assert re.fullmatch(r"[a-z][a-z0-9_-]*", slug), slug
        assert re.sub("-([a-z])", lambda m: m[1].upper(), slug) == name  # the way back
    assert colliding(["quad_dx", "quad_dX", "quad_DX", "Quad_dx"]) == []
    assert colliding(["quad_dx", "quad_dx"]) == ["quad_dx"]
    assert pages.slug("tr_axb_dX") == "tr_axb_d-x"
    assert pages.url(CATALOGUE["tr_axb_dX"]) == f"{pages.SITE}/claims/tr_axb_d-x.html"


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\frac{\partial}{\partial X}\,\operatorname{tr}(AXB) = A^\top B^\top", "∂/∂X tr(AXB) = AᵀBᵀ"),
        (r"\frac{\partial^2}{\partial x\,\partial x^\top}\,f", "∂²/∂x∂xᵀ f"),
        (r"\mathrm{d}\left(X^{-1}\right)[\mathrm{d}X] = -X^{-1}(\mathrm{d}X)X^{-1}", "d(X⁻¹)[dX] = −X⁻¹(dX)X⁻¹"),
        (r"X^{-\top}", "X⁻ᵀ"),
        (r"2\det(X)\operatorname{tr}(X)", "2 det(X) tr(X)"),
        (r"\ln\det(X^\top X) - \ln|\det X|", "ln det(XᵀX) − ln|det X|"),
        (r"\sum_{k=0}^{n-1} c_k x^k", "∑ₖ₌₀ⁿ⁻¹ cₖ xᵏ"),
        (r"\sum_{j < i} W_{ij}", "∑_(j < i) Wᵢⱼ"),
        (r"\frac{1}{1 + e^{-x}}", "1/(1 + e⁻ˣ)"),
        (r"\frac{x - a}{\|x - a\|_2}", "(x − a)/‖x − a‖₂"),
        (r"\frac{a}{b}\,c", "(a/b) c"),
        (r"a^k \frac{k\pi}{2}", "aᵏ (kπ/2)"),
        (r"\tfrac{1}{2}x^\top Ax", "½xᵀAx"),
        (r"\frac{\partial f}{\partial u}\frac{\partial u}{\partial a}", "∂f/∂u ∂u/∂a"),
        (r"\frac{\partial\frac{\partial Y}{\partial x}}{\partial x}", "∂(∂Y/∂x)/∂x"),
        (r"\sqrt{c} + \sqrt{x^2 + 1}", "√c + √(x² + 1)"),
        (r"\begin{bmatrix} 2x_1 & x_2 \\ 1 & 0 \end{bmatrix}", "[2x₁, x₂; 1, 0]"),
        (r"\begin{cases} R_{iq} & j = p \\ 0 & \text{otherwise} \end{cases}", "{R_(iq) if j = p; 0 otherwise}"),
        (r"\bar C\,\dot{A}\,\theta", "C\u0305 Ȧ θ".replace("Ȧ", "A\u0307")),
        (r"L(w + tu)\Big|_{t=0}", "L(w + tu)|ₜ₌₀"),
        (r"\mathcal{N}(0, I),\; x \in \mathbb{R}^n", "𝒩(0, I), x ∈ ℝⁿ"),
        (r"A \backslash b \ne \min_b \|b\|", "A ∖ b ≠ min_b ‖b‖"),
        (r"x^* + X^+ + X^H", "x* + X⁺ + Xᴴ"),
        ("x'Bx", "x′Bx"),
        (r"\unheardof{x}", "unheardof x"),
    ],
)
def test_a_formula_in_unicode(latex, expected):
    assert plain(latex) == expected


def unreadable(text):
    """What a terminal cannot show of a formula: commands, groups, breaks, brackets that do not match."""
    problems = re.findall(r"\\\w*|[\n\t]|\$|[\^_]\{|[{]\w+[}]", text)
    for opening, closing in ("()", "[]"):
        if text.count(opening) != text.count(closing):
            problems.append(opening)
    return problems


def test_every_statement_and_print_of_the_book_can_be_read_on_a_terminal():
    for c in CATALOGUE.values():
        for latex in (c.statement, c.latex, c.identity.latex, *(s.latex for s in c.sources if s.latex)):
            assert not unreadable(plain(latex)), (c.name, plain(latex))


def test_what_cannot_be_read_is_noticed_and_what_cannot_be_parsed_is_kept():
    assert unreadable(r"\frac{1}{2}") and unreadable("x^{2}") and unreadable("(x")
    assert plain(r"\frac{1}{2") == r"\frac{1}{2" and unreadable(plain(r"\frac{1}{2"))


@pytest.mark.parametrize(
    ("latex", "expression", "meaning", "a_sum"),
    [
        (r"\operatorname{tr}(A + B)", r"\operatorname{tr}(A + B)", "", False),
        (r"\|Ax - b\|^2", r"\|Ax - b\|^2", "", False),
        (r"-x", "-x", "", False),
        (r"x^2 - 1", "x^2 - 1", "", True),
        (r"g(x) + h(x), \quad g(x) = x", "g(x) + h(x)", "g(x) = x", True),
        (r"f(A) = a + b", "f(A)", "f(A) = a + b", False),
        (r"L(w + t)\Big|_{t=0}", r"L(w + t)\Big|_{t=0}", "", False),
    ],
)
def test_a_function_is_told_apart_from_what_its_letters_mean(latex, expression, meaning, a_sum):
    assert pages.split(latex) == (expression, meaning, a_sum)


def test_a_derivative_of_a_sum_stands_before_brackets_and_definitions_come_last():
    assert plain(CATALOGUE["quartic_dx"].statement).startswith("∂/∂x (3x⁴ − 4x³ − 12x²) = ")
    assert plain(CATALOGUE["layer_dx"].statement).endswith("σ(z) = 1/(1 + e⁻ᶻ)")
    for c in CATALOGUE.values():
        left = c.statement.split(" = ")[0]
        assert r"\quad" not in left, f"{c.name}: a definition stands before the equals sign"


def test_operands_and_layouts_in_plain_words():
    said = [pages.operand_words(o) for o in CATALOGUE["det_xax_dX"].operands.values()]
    assert said == ["X is an m × n matrix, of full rank", "A is an m × m matrix"]
    assert pages.layouts(CATALOGUE["quad_dx"])["numerator"].startswith("1 × n, a row")
    assert pages.layouts(CATALOGUE["det_xax_dX"])["denominator"].startswith("m × n, the shape of X")
    assert pages.layouts(CATALOGUE["det_xax_dX"])["numerator"].startswith("n × m")
    for c in CATALOGUE.values():
        assert all(pages.operand_words(o).startswith(f"{o.name} is ") for o in c.operands.values())
        assert set(pages.layouts(c)) == {"denominator", "numerator"}


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("gradient of log det of X'X", "logdet_gram_dX"),
        ("MCB 88", "wls_dA_symmetric"),
        ("mcb 101", "tr_axb_dX"),
        ("derivative of x^T A x", "quad_dx"),
        ("x' A x wrt x", "quad_dx"),
        (r"x^\top B x", "quad_dx"),
        ("gradient of a quadratic form", "quad_dx"),
        ("hessian of quadratic form", "quad_d2x"),
        ("derivative of inverse", "inv_dX"),
        ("differential of the inverse", "inv_along_dX"),
        ("d/dX X^-1", "inv_dX"),
        ("logdet", "logdet_dX"),
        ("ln det hessian", "logdet_d2X"),
        ("gradeint of log determinent", "logdet_dX"),
        ("d/dX tr(AXB)", "tr_axb_dX"),
        (r"\frac{\partial}{\partial X} \operatorname{tr}(AXB)", "tr_axb_dX"),
        ("∂/∂X tr(AXᵀB)", "tr_axtb_dX"),
        ("A^T B^T", "tr_axb_dX"),
        ("AᵀBᵀ", "tr_axb_dX"),
        ("X.T @ X wrt X", "gram_columns_dR"),
        ("frobenius norm", "norm_frobenius_dX"),
        ("softmax jacobian", "softmax_dx"),
        ("least squares gradient", "lsq_dtheta"),
        ("gradient of ||Ax-b||^2", "lsq_dtheta"),
        ("log-sum-exp", "lse_dx"),
        ("tr_axb_dA", "tr_axb_dA"),
        ("gaussian log likelihood by S", "gauss_loglik_dS"),
    ],
)
def test_a_search_finds_the_right_identity_first(asked, first):
    answer = lookup.search(asked)
    found = [hit.claim.name for hit in answer.hits]
    assert found[0] == first or CATALOGUE[found[0]].identity is CATALOGUE[first].identity, found[:4]
    assert not answer.caution


def test_the_nearest_is_given_where_the_book_has_nothing_and_it_is_said(capsys):
    answer = lookup.search("nuclear norm")
    assert "nothing on 'nuclear'" in answer.caution
    assert answer.hits[0].claim.name == "norm_frobenius_dX" and answer.hits[0].lacks == ("nuclear",)
    assert main(["search", "nuclear", "norm"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("the book has nothing on 'nuclear'") and "norm_frobenius_dX" in out
    for nothing in ("zzzz", "", "   ", "?!"):
        with pytest.raises(UnknownName, match="nothing"):
            lookup.search(nothing)


@pytest.mark.parametrize("marked", ["x^T A x", "x'Ax", r"x^\top A x", "xᵀAx", r"x^{\top}Ax", "x^{T} A x"])
def test_all_transpose_marks_are_alike(marked):
    assert tuple(lookup.tokens(marked, latex=False)) == ("x", "ᵀ", "A", "x")
    assert lookup.search(marked).hits[0].claim.identity.name == "quad"


def test_letters_count_by_where_they_recur():
    assert lookup.shape("xᵀAx") == lookup.shape("yᵀBy") != lookup.shape("xᵀAy")
    assert lookup.shape("xᵀAx") != lookup.shape("XᵀAX")  # a vector is no matrix


@pytest.mark.parametrize("name", [c.name for c in CATALOGUE.values() if c.status == "holds"])
def test_a_numpy_form_needs_numpy_alone_and_agrees(name):
    """What `identities show` offers to copy runs without JAX and gives the values of the closed form."""
    c = CATALOGUE[name]
    code = snippets.numpy_form(c)
    if code is None:
        return
    assert "jax" not in code and "jnp" not in code
    values = c.sample(7)
    space = {}
    exec(code, space)
    found = np.asarray(space[name](**values))
    with identities.engine.program.checking_context(identities.engine.program.find_device("cpu")):
        wanted = np.asarray(c.closed_form(**values))
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, rtol=1e-9, atol=1e-9 * max(1.0, float(np.max(np.abs(wanted), initial=0))))


def test_what_numpy_lacks_has_no_numpy_form():
    forms = [snippets.numpy_form(c) is not None for c in CATALOGUE.values() if c.status == "holds"]
    assert sum(forms) > 0.7 * len(forms)
    assert snippets.numpy_form(CATALOGUE["softmax_dx"]) is None  # jax.nn.softmax
    assert snippets.numpy_form(CATALOGUE["inv_dX"]) is None  # an operator of this library
    assert "from scipy.linalg import" in snippets.numpy_form(CATALOGUE["gauss_loglik_dS"])


@pytest.mark.parametrize(
    "body", ["jnp.linalg.nonesuch(x)", "jnp.eye(3, layout=x)", "x.at[0].set(1)", "jax.lax.exp(x)", "undefined_name(x)"]
)
def test_a_planted_function_that_numpy_lacks_is_refused(body, tmp_path, monkeypatch):
    (tmp_path / "planted_form.py").write_text(
        f"import jax\nimport jax.numpy as jnp\n\n\ndef f(x):\n    return {body}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("planted_form", None)
    import planted_form

    with pytest.raises(snippets._NoForm):
        snippets._collect(planted_form.f, {}, {})


def test_show_prints_a_page(capsys):
    assert main(["show", "tr_axb_dX"]) == 0
    out = capsys.readouterr().out
    for words in (
        "∂/∂X tr(AXB) = AᵀBᵀ",
        "A is a p × m matrix",
        "denominator: m × n",
        "numerator: n × m",
        "MCB 101",
        "float64 on cpu: worst residual",
        "tr_axb_dA",
        "from identities.traces import tr_axb_dX",
        "return A.T @ B.T",
        "identities/traces.py, line",
        pages.url(CATALOGUE["tr_axb_dX"]),
    ):
        assert words in out
    assert "\\" not in out
    assert main(["show", "tr_axb_dX", "--latex"]) == 0
    assert r"\operatorname{tr}(AXB)" in capsys.readouterr().out


def test_show_of_a_refuted_print_gives_the_reason_the_counterexample_and_no_code(capsys):
    assert main(["show", "det_xax_dX_printed_MCB53"]) == 0
    out = capsys.readouterr().out
    for words in ("refuted", "A = [[1, 0], [1, 0]]", "true is [[2], [1]]", "det_xax_dX_square", "A is symmetric"):
        assert words in out
    assert "to copy     nothing" in out and "import det_xax" not in out


def test_every_claim_has_a_page_that_a_terminal_can_show():
    from identities.commandline.show import page

    for c in CATALOGUE.values():
        text = page(c)
        assert "\\" not in text.split("\nNumPy")[0], c.name
        assert "None" not in text.split("\nJAX")[0].split("\nto copy")[0], c.name


def test_open_takes_the_built_site_and_else_the_permanent_address(tmp_path, monkeypatch, capsys):
    assert main(["open", "tr_axb_dX", "--print"]) == 0
    monkeypatch.setattr(pages, "BUILT", tmp_path)
    assert main(["open", "tr_axb_dX", "--print"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == pages.url(CATALOGUE["tr_axb_dX"])
    (tmp_path / "claims").mkdir()
    page = tmp_path / "claims" / "tr_axb_d-x.html"
    page.write_text("here")
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    assert main(["open", "tr_axb_dX"]) == 0 and opened == [page.as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    assert main(["open", "tr_axb_dX"]) == 2
    assert "no browser could be opened; the page is file://" in capsys.readouterr().err


def test_a_notebook_shows_the_equation():
    c = CATALOGUE["tr_axb_dX"]
    assert c._repr_latex_() == f"$$\n{c.statement}\n$$"
    assert "`tr_axb_dX`, holds" in c._repr_markdown_() and "MCB 101" in c._repr_markdown_()
    assert "**False as printed**" in CATALOGUE["det_xax_dX_printed_MCB53"]._repr_markdown_()
    f = c.identity
    assert f._repr_latex_() == f"$$\n{f.latex}\n$$" and "`tr_axb_dX` (holds)" in f._repr_markdown_()
    for c in CATALOGUE.values():  # a blank line or an empty formula would break off the display
        formula = c._repr_latex_().removeprefix("$$\n").removesuffix("\n$$")
        assert formula and "\n" not in formula and "$" not in formula


def test_help_reads_as_a_page():
    from identities.traces import tr_axb, tr_axb_dX

    text = pydoc.render_doc(tr_axb_dX, renderer=pydoc.plaintext)
    for words in (
        "tr_axb_dX(A, X, B)",
        "Gradient by X",
        "X is an m × n matrix",
        "denominator: m × n",
        "MCB 101",
        "claims/",
    ):
        assert words in text
    assert "tr_axb_dA" in pydoc.render_doc(tr_axb, renderer=pydoc.plaintext)


def test_the_version_stands_in_one_place():
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited and cited[1].strip("\"'") == identities.__version__, "CITATION.cff names another version"
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in project and 'path = "identities/__init__.py"' in project


def test_show_loads_neither_the_bibtex_parser_nor_rich():
    code = (
        "import sys; from identities.commandline import main; main(['show', 'tr_axb_dX']); "
        "assert not {'rich', 'bibtexparser'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
