"""The command line: `identities` or `python -m identities`.

Exit codes: 0, all is as the book says (a refuted claim that is refuted counts so); 1, a
disagreement; 2, something could not be read or used, and one sentence says what.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import identities
from identities.commandline import bench, browse, check, cite, coverage, derivative, errata, export, show
from identities.engine.errors import IdentitiesError

EPILOG = """examples:
  identities check                      prove the whole book
  identities check --quick              the same at fewer draws, for a new installation
  identities check traces --seed 7      one chapter, at other shapes and draws
  identities check tr_axb_dX --dims m=4,n=3
  identities check mypackage.formulas   your own module of entries
  identities search derivative of x^T A x
  identities show tr_axb_dX             what a claim states, when it holds, who prints it, code to copy
  identities cite tr_axb_dX             BibTeX of the claim and its sources
"""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="identities",
        description="The matrix-calculus book that checks itself.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"matrix-identities {identities.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for room in (check, derivative, browse, show, cite, coverage, errata, export, bench):
        room.add_commands(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        return 0
    except (IdentitiesError, ImportError, OSError, ValueError) as error:
        print(f"identities {options.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
