"""Fixtures shared by all tests."""

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
