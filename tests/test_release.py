"""What a release rests on: metadata, the contents of the wheel, the workflows; `make dist` tries the real thing."""

import importlib.util
import pathlib
import re
import tomllib

import pytest

import identities
from identities.engine import pages

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION = r"\d+\.\d+\.\d+"


@pytest.fixture(scope="module")
def dist():
    spec = importlib.util.spec_from_file_location("dist", ROOT / ".ci" / "dist.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written_versions(root):
    """The files of the package and its settings that state the version as a literal."""
    files = [root / "pyproject.toml", *root.glob("identities/**/*.py")]
    stated = re.compile(rf'^(__version__|version) *= *"{VERSION}"', re.MULTILINE)
    return [p.relative_to(root).as_posix() for p in files if stated.search(p.read_text(encoding="utf-8"))]


def test_the_version_is_written_in_one_file_alone(tmp_path):
    assert written_versions(ROOT) == ["identities/__init__.py"]
    assert "version" in PROJECT["dynamic"] and re.fullmatch(VERSION, identities.__version__)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n')
    assert written_versions(tmp_path) == ["pyproject.toml"]


def test_the_changelog_has_the_version_that_is_next_or_out():
    heads = re.findall(rf"^## \[({VERSION})\] - (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert heads[0][0] == identities.__version__
    assert all(re.fullmatch(r"\d{4}-\d{2}-\d{2}", date) for _, date in heads[1:])
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}|unreleased", heads[0][1])


def test_classifiers_name_the_pythons_that_are_tested():
    named = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    tested = re.findall(r'"([\d.x]+)"', re.search(r"python: \[(.*)\]", workflow)[1])
    assert [*named, "3.x"] == tested  # 3.x is the newest, whatever that is when the workflow runs
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_the_metadata_lead_to_the_site_that_addresses_name():
    assert PROJECT["urls"]["Documentation"] == pages.SITE


def test_a_tag_that_is_not_the_version_publishes_nothing():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    (code,) = re.findall(r"python -c '(.*?)'\)", text)
    printed = []
    exec(code, {"print": printed.append})
    assert printed == [identities.__version__] and "needs: [build, site]" in text


def targets(text):
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


@pytest.mark.parametrize("name", [".github/workflows/test.yml", ".github/workflows/release.yml", ".readthedocs.yaml"])
def test_what_the_hosts_run_is_a_target_of_the_makefile(name):
    known = targets((ROOT / "Makefile").read_text(encoding="utf-8"))
    text = (ROOT / name).read_text(encoding="utf-8")
    asked = {word for line in re.findall(r"(?:run:|-) make (.*)", text) for word in re.findall(r"^[a-z -]+", line)}
    named = {target for words in asked for target in words.split()}
    assert named and named <= known
    assert not {"planted"} <= known


def test_the_wheel_must_hold_the_package_and_nothing_else(dist):
    whole = dist.package()
    info = {"matrix_identities-0.1.0.dist-info/METADATA"}
    assert dist.problems(whole | info, whole) == []
    assert dist.problems(whole - {"identities/py.typed"} | info, whole) == ["the wheel lacks identities/py.typed"]
    assert len(dist.problems(whole | {"tests/test_release.py"}, whole)) == 1
    odd = "identities/notes.txt"
    assert dist.problems(whole | {odd}, whole | {odd}) == [f"{odd} is of no kind that the package is made of"]


def test_a_step_that_fails_ends_the_trial(dist, tmp_path):
    with pytest.raises(SystemExit, match="exit code 3 of"):
        dist.run("sh", "-c", "exit 3", cwd=tmp_path)
    assert dist.run("sh", "-c", 'echo "<$PYTHONPATH>"', cwd=tmp_path) == "<>\n"
