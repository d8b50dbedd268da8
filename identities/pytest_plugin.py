"""The pytest plugin: options of the suite, and items for a module of entries of your own.

    pytest --identities mypackage.formulas      one item per claim and dtype, as for the book

Importing it imports neither JAX nor the book; both wait for the first item that needs them.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from identities.engine.identity import Claim, Identity
    from identities.engine.verdict import Verdict

DTYPES = ("float64", "float32")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("identities", "matrix-calculus identities")
    group.addoption(
        "--identities",
        action="append",
        default=[],
        metavar="MODULE",
        help="check the entries of this module (repeatable)",
    )
    group.addoption("--identities-seed", type=int, default=0, metavar="N", help="seed of shapes and draws (default 0)")
    group.addoption(
        "--identities-shapes", type=int, default=3, metavar="N", help="telling shapes per claim (default 3)"
    )
    group.addoption("--identities-samples", type=int, default=16, metavar="N", help="draws per shape (default 16)")
    group.addoption("--identities-device", default=None, metavar="NAME", help="cpu, gpu or tpu (default: JAX's choice)")


def header(config: pytest.Config) -> str:
    """One line that says what is needed to repeat a run."""
    versions = []
    for package in ("jax", "jaxlib", "numpy", "matrix-identities"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} not installed")
    device = config.getoption("--identities-device") or "JAX's choice"
    seed, shapes, samples = (config.getoption(f"--identities-{name}") for name in ("seed", "shapes", "samples"))
    run = f"seed {seed}, {shapes} shapes, {samples} draws, device {device}"
    return f"identities: {run}; {', '.join(versions)}; Python {platform.python_version()}"


def pytest_report_header(config: pytest.Config) -> list[str]:
    return [header(config)] if config.getoption("--identities") else []


class Examiner:
    """Verdicts on demand: all claims of an identity are compiled and run together, once."""

    def __init__(self, config: pytest.Config):
        from identities.engine.checking import Options

        self.options = Options(
            DTYPES,
            shapes=config.getoption("--identities-shapes"),
            samples=config.getoption("--identities-samples"),
            seed=config.getoption("--identities-seed"),
            device=config.getoption("--identities-device"),
        )
        self._identity: Identity[..., Any] | None = None
        self._verdicts: dict[tuple[str, str], Verdict] = {}

    def verdict(self, claim: Claim, dtype: str) -> Verdict:
        import jax

        from identities.engine.checking import examine

        if self._identity is not claim.identity:
            if self._identity is not None and self._identity.__module__ != claim.identity.__module__:
                jax.clear_caches()  # what was traced for one chapter is of no use to the next
            found = examine(list(claim.identity.claims.values()), self.options)
            self._identity = claim.identity
            self._verdicts = {(v.claim, v.dtype): v for v in found}
        return self._verdicts[claim.name, dtype]


_examiner = pytest.StashKey[Examiner]()


def examiner(config: pytest.Config) -> Examiner:
    """The session's examiner."""
    if _examiner not in config.stash:
        config.stash[_examiner] = Examiner(config)
    return config.stash[_examiner]


@pytest.fixture(scope="session")
def identities_examiner(pytestconfig: pytest.Config) -> Examiner:
    """Checks claims as `identities check` does, sharing one compilation per identity."""
    return examiner(pytestconfig)


class Disagreement(Exception):
    """A claim that failed; its text is the verdict's."""


class ClaimItem(pytest.Item):
    """One claim of a user's module in one dtype."""

    def __init__(self, *, claim: Claim, dtype: str, **kwargs: Any):
        super().__init__(**kwargs)
        self.claim, self.dtype = claim, dtype

    def runtest(self) -> None:
        verdict = examiner(self.config).verdict(self.claim, self.dtype)
        if not verdict.ok:
            raise Disagreement(str(verdict))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from identities.engine.errors import NotEvaluated

        plain = isinstance(excinfo.value, Disagreement | NotEvaluated)
        return str(excinfo.value) if plain else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, int | None, str]:
        code = self.claim.function.__code__
        return code.co_filename, code.co_firstlineno, self.name


class ModuleOfEntries(pytest.Collector):
    """A module of entries, named with `--identities`."""

    def collect(self) -> Iterator[ClaimItem]:
        from identities import book
        from identities.engine.errors import IdentitiesError

        try:
            claims = book.find(self.name)
        except (IdentitiesError, ImportError) as error:
            raise pytest.UsageError(f"--identities {self.name}: {error}") from error
        for claim in claims:
            for dtype in DTYPES:
                yield ClaimItem.from_parent(self, name=f"{claim.name}-{dtype}", claim=claim, dtype=dtype)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    for module in config.getoption("--identities"):
        items.extend(ModuleOfEntries.from_parent(session, name=module, nodeid=module).collect())
