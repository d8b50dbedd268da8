"""Citations and the export: both are made from the entries alone, and say what the entries say."""

import copy
import csv
import io
import json
import os
import pathlib
import re
import shutil
import subprocess

import bibtexparser
import pytest

import identities
from identities.commandline import main
from identities.engine import citations, errata, export, pages, sources

CATALOGUE = identities.catalogue()
DATA = export.everything(CATALOGUE.values())


def validator():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(export.SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_export_keeps_its_schema():
    found = [f"{e.json_path}: {e.message}" for e in validator().iter_errors(DATA)]
    assert found == []


@pytest.mark.parametrize(
    "break_it",
    [
        lambda d: d["claims"][0].pop("slug"),
        lambda d: d["claims"][0].pop("derivation"),
        lambda d: d["claims"][0].update(derivation=[{"line": "no equation", "by": [], "let": {}}]),
        lambda d: d["claims"][0].update(kind="derivative"),
        lambda d: d["claims"][0].update(extra=1),
        lambda d: d["claims"][0].update(plain=r"\frac"),
        lambda d: d["claims"][0].update(status="refuted"),
        lambda d: d["claims"][0].update(because="it holds"),
        lambda d: d["claims"][0]["measured"][0].update(residual="nan"),
        lambda d: d["aliases"][0].pop("number"),
        lambda d: d.update(format=2),
    ],
)
def test_a_planted_error_breaks_the_schema(break_it):
    broken = {**DATA, "claims": [copy.deepcopy(DATA["claims"][0])], "aliases": [dict(DATA["aliases"][0])]}
    assert not list(validator().iter_errors(broken))
    break_it(broken)
    assert list(validator().iter_errors(broken))


def test_the_export_says_what_the_entries_say():
    rows = {row["name"]: row for row in DATA["claims"]}
    assert list(rows) == list(CATALOGUE)
    row, c = rows["tr_axb_dX"], CATALOGUE["tr_axb_dX"]
    assert row["plain"] == "∂/∂X tr(AXB) = AᵀBᵀ" and row["aliases"] == ["MCB 101"] and row["url"] == pages.url(c)
    false = [e["name"] for e in errata.read()]
    assert [name for name, r in rows.items() if r["errata"]] == [name for name in rows if name in false]
    assert {"source": "MCB", "number": "101", "note": "", "name": "tr_axb_dX", "status": "holds"} in DATA["aliases"]
    assert len(DATA["aliases"]) == sum(not s.ours for c in CATALOGUE.values() for s in c.sources)


def test_the_location_is_the_line_of_the_entry():
    root = pathlib.Path(__file__).parent.parent
    for row in DATA["claims"]:
        lines = (root / row["location"]["file"]).read_text(encoding="utf-8").splitlines()
        entry = "\n".join(lines[row["location"]["line"] - 1 :])
        assert entry.startswith("@"), row["name"]
        assert re.search(r"^def (\w+)", entry, re.MULTILINE)[1] == row["name"]


def test_csv_has_a_row_a_claim():
    rows = list(csv.DictReader(io.StringIO(export.as_csv(CATALOGUE.values()))))
    assert [row["name"] for row in rows] == list(CATALOGUE)
    row = rows[list(CATALOGUE).index("tr_axb_dX")]
    assert row["sources"] == "MCB 101" and float(row["residual_float64"]) < 1000 and row["file"].endswith("traces.py")


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch, capsys):
    first, second = tmp_path / "book.json", tmp_path / "book.csv"
    assert main(["export", "--json", str(first), "--csv", str(second)]) == 0
    assert json.loads(first.read_text(encoding="utf-8"))["claims"][0]["name"] == next(iter(CATALOGUE))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["book.csv", "book.json"]
    before = first.read_bytes()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert main(["export", "--json", str(first)]) == 2
    assert "no space left" in capsys.readouterr().err
    assert first.read_bytes() == before and sorted(p.name for p in tmp_path.iterdir()) == ["book.csv", "book.json"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "--json", "no/such/folder/book.json"], "there is no folder no/such/folder"),
        (["export", "--json", "."], "is a folder"),
        (["export", "--json", "book", "--csv", "book"], "name the same file"),
        (["export", "--compare", "no_such_file.json"], "there is no file no_such_file.json"),
        (["export", "--compare", "broken.json"], "is no export of the book"),
        (["export", "--compare", "other.json"], "is an export of format 7"),
        (["open", "traces"], "stands for 71 claims"),
        (["open", "tr_axb_dZ"], "did you mean tr_axb_dX"),
        (["cite", "tr_axb_dZ", "--format", "latex"], "did you mean tr_axb_dX"),
        (["search", " "], "nothing to search for"),
    ],
)
def test_bad_input_gets_one_sentence(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "other.json").write_text('{"format": 7, "claims": []}')
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1 and "Traceback" not in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.json", "other.json"]


def small(*claims):
    return {"format": 1, "claims": [copy.deepcopy(c) for c in claims]}


def test_a_changelog_of_statements_from_two_exports():
    rows = {row["name"]: row for row in DATA["claims"]}
    a, b, c, d = (rows[name] for name in ("tr_axb_dX", "quad_dx", "inv_dX", "det_xax_dX_printed_MCB53"))
    old, new = small(a, b, c), small(a, b, d)
    found = export.compare(old, new)
    assert {kind: [row["name"] for row in found[kind]] for kind in found} == {
        "added": [],
        "corrected": [],
        "refuted": [d["name"]],
        "removed": ["inv_dX"],
    }
    assert export.compare(old, old) == {"added": [], "corrected": [], "refuted": [], "removed": []}
    assert [row["name"] for row in export.compare(small(a), small(a, b))["added"]] == ["quad_dx"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"plain": "∂/∂X tr(AXB) = BᵀAᵀ"}, "corrected"),
        ({"conditions": ["A is symmetric"]}, "corrected"),
        ({"status": "refuted", "because": "it is false"}, "refuted"),
        ({"statement": r"\frac{\partial}{\partial X} \mathrm{tr}(AXB) = A^\top B^\top"}, None),  # set otherwise
        ({"measured": []}, None),
    ],
)
def test_what_counts_as_a_change(change, kind):
    row = next(row for row in DATA["claims"] if row["name"] == "tr_axb_dX")
    found = export.compare(small(row), small({**row, **change}))
    assert [k for k, rows in found.items() if rows] == ([kind] if kind else [])


def test_the_command_compares(tmp_path, capsys):
    old = {**DATA, "claims": [c for c in DATA["claims"] if c["name"] != "quad_dx"]}
    path = tmp_path / "old.json"
    path.write_text(json.dumps(old), encoding="utf-8")
    assert main(["export", "--compare", str(path)]) == 0
    out = capsys.readouterr().out
    assert "### Added\n\n- `quad_dx`: ∂/∂x xᵀBx = (B + Bᵀ)x" in out
    assert out.endswith("1 added, 0 corrected, 0 refuted, 0 removed\n")


def unbalanced(text):
    """Whether braces do not match, as a reader of BibTeX counts them."""
    depth = 0
    for token in re.findall(r"\\.|[{}]", text, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(token, 0)
        if depth < 0:
            return True
    return depth != 0


def test_bibtex_of_every_claim_parses_and_cites_its_sources():
    assert unbalanced("{a}}{") and unbalanced(r"\frac{1}{2") and not unbalanced(r"{\{}")
    for c in CATALOGUE.values():
        text = citations.bibtex([c])
        library = bibtexparser.parse_string(text)
        assert not library.failed_blocks and not unbalanced(text), c.name
        entries = {e.key: e for e in library.entries}
        assert list(entries) == [c.name, *dict.fromkeys(s.key for s in c.sources if not s.ours)]
        own = {f.key: f.value for f in entries[c.name].fields}
        assert own["url"] == pages.url(c) and own["version"] == identities.__version__ and own["year"].isdigit()
        assert " ".join(c.statement.split()) in own["note"]
        assert ("false as printed" in own["note"]) == (c.status == "refuted")


def test_the_bibliography_is_complete():
    """The Cookbook has no volume and no number; a book has its publisher, a paper its pages."""
    entries = sources.bibliography()
    assert not {"volume", "number", "pages", "journal"} & set(entries["MCB"])
    needed = {
        "book": {"author", "publisher", "year"},
        "inproceedings": {"author", "booktitle", "pages", "year"},
        "manual": {"author", "organization", "year"},
        "techreport": {"author", "institution", "year"},
        "misc": {"title", "note"},
    }
    assert entries["MCB"]["note"].startswith("Version 20121115;") and entries["MCB"]["year"] == "2012"
    for key, entry in entries.items():
        assert needed[entry["type"]] <= set(entry), key
    several = citations.bibtex([CATALOGUE["quad_dx"]])
    assert r"printed in \emph{The Matrix Cookbook} (81), in \emph{" in several
    assert "month        = nov," in citations.bibtex([CATALOGUE["tr_axb_dX"]])  # a macro of BibTeX, without braces


def document(claims):
    body = "\n\n".join(citations.latex(c) for c in claims)
    return (
        "\\documentclass{article}\n\\usepackage{amsmath,amssymb}\n"
        f"\\begin{{document}}\n{body}\n\\bibliographystyle{{plain}}\n\\bibliography{{book}}\n\\end{{document}}\n"
    )


def run_latex(folder, *commands):
    for command in commands:
        options = ["-interaction=nonstopmode", "-halt-on-error"] if command == "pdflatex" else []
        done = subprocess.run(
            [command, *options, "book"], cwd=folder, capture_output=True, text=True, check=False, errors="replace"
        )
        assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "book.log").read_text(errors="replace")


def test_the_equations_are_latex():
    for c in CATALOGUE.values():
        text = citations.latex(c)
        assert f"\\label{{eq:{c.name}}}" in text and not unbalanced(text) and text.isascii(), c.name
        assert "\n\n" not in text  # a blank line within a display is an error
        prose = text.split("\\end{equation}\n")[1]
        assert not re.search(r"(?<!\\)[%&#]", prose), prose
        assert not re.search(r"(?<!\\)_", re.sub(r"\\(cite|label)(\[[^]]*\])?\{[^}]*\}|\$[^$]*\$", "", prose)), prose
    assert "% FALSE" in citations.latex(CATALOGUE["det_xax_dX_printed_MCB53"])


@pytest.mark.skipif(not shutil.which("pdflatex") or not shutil.which("bibtex"), reason="there is no LaTeX here")
def test_the_whole_book_compiles(tmp_path):
    (tmp_path / "book.tex").write_text(document(CATALOGUE.values()), encoding="utf-8")
    (tmp_path / "book.bib").write_text(citations.bibtex(CATALOGUE.values()), encoding="utf-8")
    log = run_latex(tmp_path, "pdflatex", "bibtex", "pdflatex", "pdflatex")
    assert not re.findall(r"^LaTeX Warning: (?:Citation|Reference).*undefined|multiply defined", log, re.MULTILINE)
    (tmp_path / "book.tex").write_text(document(CATALOGUE.values()).replace(r"\det", r"\dett", 1), encoding="utf-8")
    with pytest.raises(AssertionError, match="Undefined control sequence"):
        run_latex(tmp_path, "pdflatex")


def test_markdown_of_a_claim():
    text = citations.markdown(CATALOGUE["tr_axb_dX"])
    assert text.startswith("$$\n") and f"]({pages.url(CATALOGUE['tr_axb_dX'])})" in text
    assert "*The Matrix Cookbook*, 101)" in text
    assert "53 without its condition)" in citations.markdown(CATALOGUE["det_xax_dX_printed_MCB53"])
    assert citations.markdown(CATALOGUE["det_xax_dX_printed_MCB53"]).startswith("**False as printed**")
