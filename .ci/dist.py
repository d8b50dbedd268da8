"""Trial of a release: build the sdist and the wheel, and use both as a stranger would; `make dist` runs it.

The wheel is built from the sdist, so that nothing can be missing there.  It is installed into an empty environment and
run in an empty folder.  The tests of the unpacked sdist must collect.  The first step that fails ends the trial.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterable

ROOT = pathlib.Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
KINDS = {".py", ".csv", ".json", ".bib", ".toml", ".typed"}  # what the package is made of
NEEDED = ("py.typed", "references.bib", "record.json", "errata.json", "export.schema.json", "equations/MCB.csv")


def package(root: pathlib.Path = ROOT) -> set[str]:
    """The files of the package as they lie in the working tree."""
    found = (p for p in (root / "identities").rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {p.relative_to(root).as_posix() for p in found if not p.name.startswith(".")}


def problems(members: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """What a wheel lacks, and what it should not hold."""
    members, wanted = set(members), set(wanted)
    ours = {name for name in members if not name.split("/")[0].endswith(".dist-info")}
    needed = {f"identities/{name}" for name in NEEDED}
    return (
        [f"the wheel lacks {name}" for name in sorted((wanted | needed) - ours)]
        + [f"the wheel holds {name}, which is not in the package" for name in sorted(ours - wanted)]
        + [f"{name} is of no kind that the package is made of" for name in sorted(ours) if _kind(name) not in KINDS]
    )


def _kind(name: str) -> str:
    return pathlib.PurePosixPath(name).suffix


def run(*command: str | pathlib.Path, cwd: pathlib.Path = ROOT) -> str:
    """Run a step in a clean environment and return what it printed.  Ends the trial where it fails."""
    told = " ".join(str(part).rsplit("/", 1)[-1] for part in command)
    print(f"  {told[:110]}", flush=True)
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout[-4000:]}{done.stderr[-4000:]}make dist: exit code {done.returncode} of {told}")
    print("".join(f"    {line}\n" for line in done.stdout.splitlines()[-1:]), end="")
    return done.stdout


def build() -> tuple[pathlib.Path, pathlib.Path]:
    """The sdist and the wheel, made anew."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
    found = problems(zipfile.ZipFile(wheel).namelist(), package())
    if found:
        sys.exit("\n".join(found))
    return sdist, wheel


def use(wheel: pathlib.Path, python: pathlib.Path, folder: pathlib.Path) -> None:
    """What a stranger does first, in a folder that holds nothing of the project."""
    import jsonschema  # of the environment that builds: the new one has only what the wheel asks for

    command = python.parent / "identities"
    place = run(python, "-c", "import identities; print(identities.__file__)", cwd=folder).strip()
    if not pathlib.Path(place).is_relative_to(python.parent.parent):
        sys.exit(f"make dist: not the installed package was imported, but {place}")
    version = run(command, "--version", cwd=folder).split()[-1]
    if f"-{version}-" not in wheel.name:
        sys.exit(f"make dist: {wheel.name} says that it is version {version}")
    run(command, "check", "--quick", cwd=folder)
    run(command, "show", "tr_axb_dX", cwd=folder)
    run(command, "search", "MCB 101", cwd=folder)
    run(command, "cite", "tr_axb_dX", cwd=folder)
    run(command, "export", "--json", "book.json", cwd=folder)
    schema = json.loads((pathlib.Path(place).parent / "export.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((folder / "book.json").read_text(encoding="utf-8")), schema)


def main() -> None:
    """The whole trial."""
    sdist, wheel = build()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / "bin" / "python"
        install = (python, "-m", "pip", "--disable-pip-version-check", "install", "-qq", "-c", ROOT / "constraints.txt")
        run(*install, wheel)
        (folder / "empty").mkdir()
        use(wheel, python, folder / "empty")
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        run(*install, f"{wheel}[test]")
        source = folder / sdist.name.removesuffix(".tar.gz")
        run(python, "-m", "pytest", "-p", "identities.pytest_plugin", "--collect-only", "-q", cwd=source)
    print(f"{sdist.name} and {wheel.name} can be released; they lie in dist/")


if __name__ == "__main__":
    main()
