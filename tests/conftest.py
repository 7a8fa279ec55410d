"""Fixtures shared by all tests."""

import os
import tempfile
from pathlib import Path

import hypothesis
import pytest

# Shared, busy machines make hypothesis's time limit per example fail at random.
hypothesis.settings.register_profile("biobert_jax", deadline=None)
hypothesis.settings.load_profile("biobert_jax")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped without."""
    path = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("shared/data is not beside the checkout")
    return path


# The end-to-end tests compile the same small programs over and over, in processes of their own
# too: a cache for the session makes that once.
_cache = tempfile.TemporaryDirectory(prefix="biobert_jax_compiled_")
os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
