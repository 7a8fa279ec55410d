"""Fixtures shared by all tests, where compiled programs are kept, and the order of the files."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

# Shared, busy machines make hypothesis's time limit per example fail at random.
hypothesis.settings.register_profile("thorough", deadline=None)
# What a property asks for beyond these, --hypothesis-profile=thorough draws (make test-slow).
QUICK_EXAMPLES = 50
hypothesis.settings.register_profile("quick", deadline=None, max_examples=QUICK_EXAMPLES)
hypothesis.settings.load_profile("quick")

# The tests compile the same small programs over and over, in several workers and in processes of
# their own: a cache compiles each once. The Makefile names one that lasts; without it there is one
# for the session, which the first process of pytest makes and all others inherit.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="biobert_jax_compiled_")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

# The files that take longest, longest first: with --no-loadscope-reorder workers take files in
# this order, so that none is left alone with a long one at the end. All others come after them.
# The first seven are long in test-slow alone.
LONGEST_FIRST = (
    "end_to_end/test_tpu_scripts.py",
    "training/test_bucket_runs.py",
    "tpu_scripts/test_watch.py",
    "training/test_layouts.py",
    "end_to_end/test_resume.py",
    "end_to_end/test_multiprocess.py",
    "end_to_end/test_finetune_processes.py",
    "end_to_end/test_buckets.py",
    "end_to_end/test_pretraining.py",
    "end_to_end/test_bucket_files.py",
    "model/test_packing_exactness.py",
    "end_to_end/test_beam.py",
    "end_to_end/test_phases.py",
    "end_to_end/test_sentence_pairs.py",
    "end_to_end/test_tagging.py",
    "model/test_attention.py",
    "model/test_feed_forward.py",
    "training/test_optimizer.py",
    "end_to_end/test_bad_input.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Sorts by file, and draws no more examples than the profile says."""
    ranks = {config.rootpath / "tests" / name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))
    profile = hypothesis.settings.get_current_profile_name()
    for item in items:
        function = getattr(item, "obj", None)
        # Set by @settings and @given; a test's own max_examples is over the profile's.
        settings = getattr(function, "_hypothesis_internal_use_settings", None)
        if settings is None or settings.max_examples <= QUICK_EXAMPLES:
            continue
        item.add_marker("property")
        if profile == "quick":
            fewer = hypothesis.settings(settings, max_examples=QUICK_EXAMPLES)
            function._hypothesis_internal_use_settings = fewer


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped without."""
    path = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("shared/data is not beside the checkout")
    return path


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file; a run's lock is opened by whoever asks for the folder."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """`made_once(name, make)` is a folder that one worker makes, and all of them only read.

    What a test wrote into one is an error when the session ends: it must work on a copy.
    """
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    before = {}

    def get(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = root / name, root / f"{name}.done"
        with open(root / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                done.touch()
        before.setdefault(folder, _files(folder))
        return folder

    yield get
    for folder, files in before.items():
        assert _files(folder) == files, f"a test wrote into {folder}, which others read"


@pytest.fixture(scope="session")
def bucket():
    """A server of buckets, of which gs://bucket is made; this process and its children find it."""
    from tests.bucket_server import serving

    with serving() as server:
        yield server
