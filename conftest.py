"""Strict JAX for the project's own tests: whatever promotes, broadcasts or rounds in silence is an error here."""

import importlib.util
import pathlib

import pytest

CACHE = pathlib.Path(__file__).parent / ".cache" / "jax"


def pytest_configure(config: pytest.Config) -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_default_matmul_precision", "highest")

    # JAX keeps no program that compiles within a second, unless it is told to; most of ours do.
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(CACHE))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

    if importlib.util.find_spec("hypothesis"):
        from hypothesis import settings

        # The first example of a test compiles, and hypothesis would call it too slow.
        settings.register_profile("jax", deadline=None)
        settings.load_profile("jax")


def pytest_report_header(config: pytest.Config) -> str:
    from identities.pytest_plugin import header

    return header(config)
