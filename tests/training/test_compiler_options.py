"""Options of the compiler go to the chips that know them, and to no other."""

import pytest

from biobert_jax.training.compiler_options import compiler_options


@pytest.mark.parametrize("overlap", ["auto", "always", "never"])
def test_only_chips_that_overlap_get_options(overlap):
    kinds = ("cpu", "NVIDIA H200", "TPU v4", "TPU v5 lite", "TPU v5", "TPU v6 lite")
    found = [kind for kind in kinds if compiler_options(kind, overlap)]
    on_sparse_cores = ["TPU v5", "TPU v6 lite"]
    expected = {
        "auto": on_sparse_cores,
        "always": ["TPU v5 lite", *on_sparse_cores],
        "never": [],
    }
    assert found == expected[overlap]
