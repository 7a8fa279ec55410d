"""Where the processes of a run keep what they compile, for its next start."""

import os

import jax
from jax.experimental.compilation_cache import compilation_cache

from biobert_jax.environment import has_own_cache, kind_of_machine
from biobert_jax.storage import connection as storage
from biobert_jax.storage import is_remote

FOLDER = "compiled"


def share_compiled_programs(workdir: str | os.PathLike) -> None:
    """From now on, programs are kept in WORKDIR/compiled where hosts have no cache in common.

    JAX lets process 0 alone write, so that every other host's own cache stays empty, and the disk
    of a host that was preempted is gone: the workdir is what all reach. A single process with a
    local workdir keeps to the user's cache, and a folder that the user named stands.

    On CPUs the others find nothing all the same: JAX's keys hold a process's own part of a CPU
    topology. On chips they hold the whole topology.
    """
    if not has_own_cache() or (jax.process_count() == 1 and not is_remote(workdir)):
        return
    # Programs of chips have their kind in their keys; those of a CPU need more, see `environment`.
    kind = [kind_of_machine()] if jax.default_backend() == "cpu" else []
    jax.config.update(
        "jax_compilation_cache_dir", "/".join([os.fspath(workdir).rstrip("/"), FOLDER, *kind])
    )
    if is_remote(workdir):
        storage.connect()  # for etils, which JAX reads and writes by
        # To delete the oldest takes a lock, which buckets do not have.
        jax.config.update("jax_compilation_cache_max_size", -1)
    compilation_cache.reset_cache()
