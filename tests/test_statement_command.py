"""`identities check` of statements and of LaTeX documents: verdicts, exit codes, and bad input in one sentence."""

import json
import time

import pytest

from identities.commandline import main
from identities.statements.documents import equations

DOCUMENT = r"""
\documentclass{article}
\newcommand\T{^\top}
\newcommand{\sq}[1]{#1^2}
\DeclareMathOperator{\trace}{tr}
\begin{document}
% \[ 1 = 2 \]
\begin{equation}\label{eq:one}
  \frac{\partial}{\partial X} \trace(AXB) = A\T B\T.
\end{equation}
\begin{align}
  \frac{\partial}{\partial x} x\T A x &= (A + A\T) x, \label{eq:quad}\\
  \frac{\partial}{\partial x} \|Ax - b\|^2 &= WRONG A\T (Ax - b) \nonumber \\
    &= WRONG A\T A x - WRONG A\T b \label{eq:ls}
\end{align}
\[ \sq{x} = 3 \]
$$ Y = A X $$
$$ L = \|Ax-b\|^2 = (Ax-b)\T(Ax-b) $$
\begin{eqnarray*}
 (AB)\T & = & B\T A\T \\
 \det(AB) & = & \det(A)\det(B)
\end{eqnarray*}
\begin{verbatim}
\[ 1 = 3 \]
\end{verbatim}
\begin{gather}
 x \in M \\ \tr(AB) = \tr(BA)
\end{gather}
\begin{equation*}\begin{aligned}
  \begin{bmatrix} A & B \\ C & D \end{bmatrix}\T &= \begin{bmatrix} A\T & C\T \\ B\T & D\T \end{bmatrix}
\end{aligned}\end{equation*}
\begin{align*} (A\T)\T &= A & \tr(A\T) &= \tr(A) \end{align*}
\end{document}
"""


def run(capsys, *arguments):
    code = main(["check", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    "text",
    [
        r"\frac{\partial}{\partial X}\operatorname{tr}(AXB) = A^\top B^\top",
        "∂/∂X tr(AXB) = AᵀBᵀ",
        "∂tr(AXB)/∂X = AᵀBᵀ",
        "∂²/∂x∂y xᵀAy = A",
        "∂²/∂x² xᵀAx = A + Aᵀ",
        "d/dX tr(A*X*B) = A'*B'",
    ],
)
def test_a_true_statement_in_each_notation_ends_with_0(capsys, text):
    code, out, err = run(capsys, text)
    assert (code, err) == (0, "") and out.startswith(f"true: {text}\n")


def test_a_false_statement_ends_with_1_and_says_where_and_why(capsys):
    code, out, _ = run(capsys, "d/dx x'*A*x = 2*A*x")
    assert code == 1 and "right only for symmetric A" in out and "at         n=2" in out


def test_operands_lets_layout_and_seed_are_used(capsys):
    assert run(capsys, "d/dx x'*A*x = 2*A*x", "--operand", "A: Symmetric n n")[0] == 0
    assert run(capsys, "d/dX f(X) = A'", "--let", "f(X) = tr(A*X)", "--seed", "5")[0] == 0
    assert run(capsys, "d/dX tr(A*X) = A", "--layout", "numerator")[0] == 0
    code, out, _ = run(capsys, "d/dX tr(A*X) = A", "--seed", "5")
    assert code == 1 and "--seed 5" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tr(A*X = 2"], "')' was expected"),
        (["A*x = x'*B"], "in the other layout"),
        (["x - x = y - y"], "tells nothing"),
        (["A*x = x", "--operand", "A: Symetric"], "did you mean Symmetric"),
        (["A*x = x", "tr_axb_dX"], "checked apart"),
        (["A*x = x", "--dims", "n=3"], "--dims is about claims"),
        (["tr_axb_dX", "--let", "Y = A"], "none is given"),
        (["missing.tex"], "missing.tex"),
    ],
)
def test_bad_input_is_one_sentence_and_ends_with_2(capsys, arguments, said):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "") and said in err
    assert err.startswith("identities check: ") and err.count("\n") == 1


HOSTILE = [
    "(" * 1900 + "x = x",
    "x" + "'" * 900 + " = x",
    "A" + "^T" * 1500 + " = A",
    "-" * 3000 + "x = 1",
    "kron(" * 12 + "A" + ", A)" * 12 + "*x = x",
    "d/dX " * 300 + "det(X) = 1",
    "d/dX " * 40 + "det(X) = 1",
    r"\sum_{i=1}^{1000000000} i = 1",
    r"\sum_{ijklmnpqrs} A_{ij} B_{kl} C_{mn} D_{pq} E_{rs} = 1",
    "x^(10^(10^10))*1 = x",
    "exp(exp(exp(exp(X))))*1 = X",
    r"A^{999999999} = A",
    r"\frac{\partial^3}{\partial X^3} \det(X)^{50} = 1",
    "__import__('os').system('true') = 1",
    "\x00 = \x00",
    "= = =",
    "x" * 100_000 + " = 1",
    "\\" * 2000 + " = 1",
    "+".join(["det(X)*tr(inv(X))"] * 200) + " = 1",
]


@pytest.mark.parametrize("text", HOSTILE, ids=[f"{t[:20]!r}" for t in HOSTILE])
def test_a_hostile_string_ends_within_seconds(capsys, text):
    started = time.monotonic()
    code, _, err = run(capsys, text)
    assert time.monotonic() - started < 10
    assert code in (1, 2) and (code == 1 or err.count("\n") == 1)


def test_json_holds_the_verdict(capsys):
    code, out, _ = run(capsys, "d/dX tr(A*X) = A", "A*x = x'*B", "--json")
    data = json.loads(out)
    first, second = data["statements"]
    assert code == 1 and data["ok"] is False
    assert first["ok"] is False and first["diagnosis"] and first["operands"]["A"] and first["links"][0]["index"]
    assert second["ok"] is None and "other layout" in second["problem"]


def test_every_displayed_equation_of_a_document_is_found():
    found = equations(DOCUMENT)
    assert [e.label for e in found if e.label] == ["eq:one", "eq:quad", "eq:ls"]
    assert len(found) == 13
    lines = DOCUMENT.splitlines()
    for equation in found:
        first = equation.text.replace("\\operatorname", "").replace("^\\top", "").split()[0][:6]
        assert first[:4].strip("{") in lines[equation.line - 1].replace("\\trace", ""), equation
    assert found[0].text == r"\frac{\partial}{\partial X} \operatorname{tr} (AXB) = A^\top B^\top ."
    assert not any("1 = 2" in e.text or "1 = 3" in e.text for e in found)
    assert found[-2].text.startswith("(A^\\top") and found[-1].text.startswith(r"\tr(A")


@pytest.mark.parametrize(("factor", "code", "false"), [("2", 0, 0), ("", 1, 1)])
def test_a_document_with_one_wrong_equation_ends_with_1(tmp_path, capsys, factor, code, false):
    path = tmp_path / "paper.tex"
    path.write_text(DOCUMENT.replace("WRONG", factor), encoding="utf-8")
    found, out, _ = run(capsys, str(path))
    assert found == code
    assert out.splitlines()[-1].endswith(
        f"13 equations: {10 - false} true, {false} false, 3 not read or not decided"
    ), out
    assert "not read: the macro \\sq takes arguments" in out and "not read: it defines Y" in out
    assert ("eq:ls: false" in out and "1/2 times the true one" in out) == bool(false)


def test_a_document_without_a_readable_equation_ends_with_2(tmp_path, capsys):
    path = tmp_path / "paper.tex"
    path.write_text(r"\[ x \in M \]", encoding="utf-8")
    assert run(capsys, str(path))[0] == 2
    path.write_bytes(b"\xff\xfe\x00")
    code, _, err = run(capsys, str(path))
    assert code == 2 and "not UTF-8" in err


def test_macros_that_grow_without_end_stop(tmp_path, capsys):
    bombs = "".join(
        rf"\newcommand\{c}{{\{d}\{d}\{d}\{d}\{d}\{d}\{d}\{d}}}" for c, d in zip("abcdefgh", "bcdefghi", strict=True)
    )
    path = tmp_path / "bomb.tex"
    path.write_text(bombs + r"\newcommand\i{x}\newcommand\z{\z\z} \[ \a = 1 \] \[ \z = 1 \]", encoding="utf-8")
    started = time.monotonic()
    code, out, _ = run(capsys, str(path))
    assert code == 2 and out.count("not read") == 3 and time.monotonic() - started < 5


def test_a_document_as_json_keeps_lines_and_labels(tmp_path, capsys):
    path = tmp_path / "paper.tex"
    path.write_text(DOCUMENT.replace("WRONG", "2"), encoding="utf-8")
    code, out, _ = run(capsys, str(path), "--json")
    rows = json.loads(out)["statements"]
    assert code == 0 and len(rows) == 13
    assert [row["label"] for row in rows if row["label"]] == ["eq:one", "eq:quad", "eq:ls"]
    assert all(row["ok"] or row["problem"] for row in rows) and rows[0]["line"] == 9
