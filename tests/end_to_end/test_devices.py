"""Fine-tuning of every head on several devices, with the fused kernel, is that of one device."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.end_to_end.conftest import ROOT
from tests.end_to_end.device_run import DEVICES, FILES, LAYOUTS, STEPS


# Each compiles its own programs.
@pytest.mark.parametrize(
    "task", [pytest.param(n, marks=[pytest.mark.slow] * (n != "ner")) for n in FILES]
)
def test_every_head_learns_on_four_devices_what_it_learns_on_one(task, vocab, tmp_path):
    """Dropout is on: its bits are a row's own, whatever device and kernel computes it."""
    flags = f"--xla_force_host_platform_device_count={DEVICES}"
    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.device_run", task, vocab, tmp_path / "found.npz"],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = dict(np.load(tmp_path / "found.npz"))
    losses = found["one/losses"]
    assert len(losses) == STEPS and np.ptp(losses) > 1e-2, "it learns"
    for layout in set(LAYOUTS) - {"one"}:
        np.testing.assert_allclose(found[f"{layout}/losses"], losses, rtol=0, atol=1e-5)
        for name in (name for name in found if name.startswith("one/params/")):
            other = found[name.replace("one", layout, 1)]
            np.testing.assert_allclose(other, found[name], rtol=0, atol=1e-3, err_msg=name)
        outputs = found[f"{layout}/outputs"]
        np.testing.assert_allclose(outputs, found["one/outputs"], rtol=0, atol=1e-3)
    # [2 layers, 32, 64]: dealt out by fsdp alone.
    parts = {layout: tuple(found[f"{layout}/part"]) for layout in LAYOUTS}
    assert parts == {"one": (2, 32, 64), "dp": (2, 32, 64), "fsdp": (2, 8, 64)}
