"""What other libraries are told by environment variables, before they are imported."""

import importlib.util
import os
from pathlib import Path

_PCI = Path("/sys/bus/pci/devices")
_GOOGLE = "0x1ae0"  # vendor of TPUs, and of network cards and disks of its machines
_DISKS_AND_NETWORK = ("0x01", "0x02")  # classes of devices
_GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # NVIDIA, AMD, and any on WSL
# libtpu, where it looks for TPUs in vain, is silent with these alone.
_QUIET_LIBTPU = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
}


def quiet_libraries() -> None:
    """Keeps greetings off standard error; a user who wants them sets the variables."""
    # TensorFlow and XLA greet with pages of notes.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # With oneDNN it greets whatever the level; nothing of ours computes with TensorFlow.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    # libtpu is installed on machines without a TPU for `biobert compile`; JAX starts it wherever
    # it finds it.
    if "JAX_PLATFORMS" in os.environ or importlib.util.find_spec("libtpu") is None:
        return
    if has_tpu():
        return
    if any(Path(device).exists() for device in _GPUS):
        for name, value in _QUIET_LIBTPU.items():
            os.environ.setdefault(name, value)
    else:
        os.environ["JAX_PLATFORMS"] = "cpu"


def has_tpu(devices: Path = _PCI) -> bool:
    """Whether this machine's PCI bus has a chip of Google's that is no disk or network card."""
    for vendor in devices.glob("*/vendor"):
        try:
            if vendor.read_text().strip() == _GOOGLE:
                kind = vendor.with_name("class").read_text().strip()
                if not kind.startswith(_DISKS_AND_NETWORK):
                    return True
        except OSError:
            continue
    return False
