"""What other libraries are told by environment variables, before they are imported."""

import hashlib
import importlib.util
import os
import platform
from pathlib import Path

_CACHE_BYTES = 4 << 30
_CPUINFO = Path("/proc/cpuinfo")
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


def set_up_storage() -> None:
    """How gs:// is reached: by gcsfs and tensorstore, and an emulator's where one is named.

    To be called before etils or TensorFlow is asked for a path in a bucket.
    """
    # etils takes TensorFlow's client where it finds it, which knows Google's own addresses alone.
    os.environ["EPATH_USE_TF"] = "false"
    # gcsfs asks Google over gRPC for the kind of every bucket otherwise.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if emulator:
        address = emulator if "://" in emulator else f"http://{emulator}"
        os.environ.setdefault("TENSORSTORE_GCS_HTTP_URL", address)
        os.environ.setdefault("GOOGLE_CLOUD_PROJECT", "emulated")


def user_cache() -> Path:
    """Where this program may keep what it can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "biobert_jax"


def keep_compiled_programs() -> None:
    """Lets JAX keep what it compiles in the user's cache, so that a second start takes seconds.

    A user who sets JAX_COMPILATION_CACHE_DIR, to nothing too, or JAX_ENABLE_COMPILATION_CACHE is
    left alone. Programs for a CPU hold its own instructions: as homes are shared, kinds of machines
    have folders of their own. The least recently used go first.
    """
    if {"JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"} & set(os.environ):
        return
    folder = _own_cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # no home that can be written
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(_CACHE_BYTES))


def has_own_cache() -> bool:
    """Whether compiled programs are kept where `keep_compiled_programs` chose, not a user."""
    return os.environ.get("JAX_COMPILATION_CACHE_DIR") == str(_own_cache())


def _own_cache() -> Path:
    return user_cache() / "compiled" / kind_of_machine()


def kind_of_machine(cpuinfo: Path = _CPUINFO) -> str:
    """A name that machines share which run each other's programs: a hash of what their CPU can."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = [platform.node()]
    kinds = {line for line in lines if line.startswith(("flags", "Features", "model name"))}
    text = "\n".join(sorted(kinds or lines))
    return f"{platform.machine()}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


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
