"""A data set made for a bucket by this machine: worked at on the local disk, published at its end.

Locks, seeking and renaming are a disk's; a bucket has none of them. So the folder that `prepare`
works in is a local one of its own for each output, which the next run of the same command finds
again; what is finished goes up with the manifest last.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from biobert_jax import storage
from biobert_jax.corpus.dataset.manifest import NAME, Manifest
from biobert_jax.corpus.pipeline.arguments import PrepareArguments, work_claim
from biobert_jax.corpus.pipeline.output import (
    CLAIM,
    OWN_SHARD,
    WORK,
    Notice,
    claim_text,
    finished_before,
    refuse_other_work,
)
from biobert_jax.corpus.pipeline.prepare import prepare
from biobert_jax.environment import user_cache
from biobert_jax.errors import UserError
from biobert_jax.files import try_lock


def default_scratch() -> Path:
    """Where folders to work in are kept: in the user's cache."""
    return user_cache() / "scratch"


@contextlib.contextmanager
def scratch_folder(output: str, root: str | os.PathLike = "") -> Iterator[Path]:
    """The local folder to work in for an output in a bucket, taken for this process alone.

    It stays when the process dies or fails; `prepare_for_bucket` removes it.

    Args:
      root: where it is made; "": `default_scratch()`.

    Raises:
      UserError: another process of this machine is at work for the same output.
      OSError: it cannot be made.
    """
    output = output.rstrip("/")
    own = Path(root or default_scratch()) / hashlib.sha256(output.encode()).hexdigest()[:16]
    own.parent.mkdir(parents=True, exist_ok=True)
    lock = own.with_suffix(".lock")
    with open(lock, "w") as stream:
        if not try_lock(stream):
            raise UserError(f"--output {output}: another `biobert prepare` is at work for it here")
        # The set's own name, which its report has for a title.
        place = own / output.rpartition("/")[2]
        yield place
        if not place.exists():
            shutil.rmtree(own, ignore_errors=True)
            lock.unlink(missing_ok=True)


def prepare_for_bucket(
    arguments: PrepareArguments,
    output: str,
    scratch: Path,
    *,
    notice: Notice = lambda line: None,
    **options: Any,
) -> Manifest:
    """As `prepare`, of which it takes the options, for an `output` in a bucket.

    Args:
      scratch: the folder to work in, as `scratch_folder` gives it; removed when all is published.

    Raises:
      UserError, CorpusFileError: as `prepare`; the bucket cannot be read or written.
    """
    tokenizer = arguments.load_tokenizer()
    finished = finished_before(arguments, tokenizer, output, notice)
    if finished is not None:
        return finished
    claim = f"{output.rstrip('/')}/{WORK}/{CLAIM}"
    _take(claim, claim_text(work_claim(arguments, tokenizer)), output)
    manifest = prepare(arguments, scratch, notice=notice, **options)
    storage.upload_folder(scratch, output, last=(NAME,), owned=_is_own_shard)
    storage.delete_folder(f"{output.rstrip('/')}/{WORK}")
    shutil.rmtree(scratch)
    return manifest


def _take(path: str, claim: str, output: str) -> None:
    """Writes down whose the output is to be: also a trial whether the bucket can be written.

    Raises:
      UserError: it is a run's with other arguments.
    """
    try:
        storage.write_bytes(path, claim.encode(), new=True)
    except storage.ConflictError:
        refuse_other_work(storage.read_bytes(path).decode(), claim, output)


def _is_own_shard(name: str) -> bool:
    return OWN_SHARD.fullmatch(name) is not None
