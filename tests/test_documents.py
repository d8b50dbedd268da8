"""What the documents show runs, and says what they say."""

import doctest
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from identities.commandline import main

ROOT = pathlib.Path(__file__).parent.parent
PRELUDE = """
import jax.numpy as jnp
from jaxtyping import Array, Float
from identities.engine.identity import identity, printed
from identities.engine.operands import *
"""


ALONE = ["README.md", "CONTRIBUTING.md", "docs/symmetric.md"]  # each block of these is copied by itself
TOLD = ["docs/layouts.md", "docs/complex.md"]  # these go on with what they have defined


def blocks(name):
    return re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", ALONE + TOLD)
def test_the_code_runs_as_it_stands(name, capsys):
    found = blocks(name)
    assert found
    names = {"__name__": "a_document"}
    for block in found:
        exec(PRELUDE + block, names if name in TOLD else dict(names))
    out = capsys.readouterr().out
    for expected in re.findall(r"print\(.*\)  # (.*)$", "\n".join(found), re.MULTILINE):
        assert expected in out


def session(text, path):
    """A page of sessions run by doctest, in a process of its own, as `make docs` does."""
    path.write_text(re.sub(r"^```.*", "", text, flags=re.MULTILINE), encoding="utf-8")
    return subprocess.run([sys.executable, "-m", "doctest", path], cwd=ROOT, capture_output=True, text=True)


def test_the_tutorial_shows_what_a_run_gives(tmp_path):
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    run = session(text, tmp_path / "tutorial.txt")
    assert run.returncode == 0, run.stdout + run.stderr
    assert text.count("\n>>> ") > 60 and "\n```python" not in text  # a block that is no session would not be run


def test_a_planted_output_is_noticed(tmp_path):
    first = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8").partition("## Shapes")[0]
    wrong = first.replace("1.081946", "1.081947")
    assert wrong != first
    run = session(wrong, tmp_path / "tutorial.txt")
    assert run.returncode == 1 and "1.081947" in run.stdout


def test_local_links_lead_somewhere():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def sessions(text):
    """The commands of the console blocks of a page, each with the output that stands below it."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield shlex.split(command), output


def says(output, got):
    """Whether a command printed what stands there, where "..." is whatever was left out."""
    return doctest.OutputChecker().check_output(output, got, doctest.ELLIPSIS)


def test_commands_of_the_readme_print_what_stands_below_them(capsys):
    told = list(sessions((ROOT / "README.md").read_text(encoding="utf-8")))
    assert {command[1] for command, _ in told} == {"search", "show", "cite", "check", "derivative"}
    for (program, *arguments), output in told:
        assert program == "identities" and main(arguments) == output.startswith("false:")
        got = capsys.readouterr().out
        assert says(output, got), got


def test_an_output_that_differs_is_noticed():
    ((command, output),) = sessions("```console\n$ identities show 'a b'\nA\n...\nB\n```\n")
    assert command == ["identities", "show", "a b"]
    assert says(output, "A\nmeasured\nB\n") and not says(output, "A\nmeasured\nC\n")
