"""`biobert verify gs://…`: a shard at a time on this machine, whatever the size of the whole."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from biobert_jax import storage
from biobert_jax.commands.progress import StageProgress, adding
from biobert_jax.errors import UserError
from biobert_jax.storage import copies
from biobert_jax.units import plural


def verify(path: str, progress: StageProgress) -> tuple[list[str], str]:
    """What differs from the manifest, one line each, and what to say where nothing does."""
    path = path.rstrip("/")
    found = storage.list_folder(path)
    if not found:
        raise UserError(f"{path}: no such folder")
    names = {one.path.removeprefix(f"{path}/").partition("/")[0] for one in found}
    if {"params", "checkpoints"} & names:
        return _verify_checkpoint(path)
    return _verify_set(path, progress)


def _verify_checkpoint(path: str) -> tuple[list[str], str]:
    from biobert_jax.checkpoints import load, manifest
    from biobert_jax.checkpoints.remote import local_checkpoint

    # Of a workdir what it stands for, and what its run goes on from.
    with local_checkpoint(path) as local:
        chosen = load.find_checkpoint(local)[0]
        problems, checked = manifest.check_files(chosen), [chosen]
        newest = next(iter(manifest.checkpoints_of(local)), chosen)
    if newest != chosen:
        with local_checkpoint(copies.renamed(str(newest))) as other:
            problems += manifest.check_files(other)
            checked.append(other)
    return problems, f"{', '.join(map(str, checked))}: every file is as in the manifest"


def _verify_set(path: str, progress: StageProgress) -> tuple[list[str], str]:
    from biobert_jax.corpus.dataset import export
    from biobert_jax.corpus.dataset import manifest as manifests

    place = copies.place_for(path)
    found = {one.name: one for one in storage.list_folder(path, recursive=False)}
    is_export = export.NAME in found
    name = export.NAME if is_export else manifests.NAME
    if name not in found:
        manifests.read_manifest(path)  # which says what is there instead
    storage.download(found[name].path, place / name)
    known = (export.read_index if is_export else manifests.read_manifest)(place)
    shards = {shard.name: shard for shard in known.shards}
    # All but the shards are brought; of these there are empty files of the same sizes.
    for one in found.values():
        if one.name in shards or Path(one.name).suffix in manifests.DATA_SUFFIXES:
            with open(place / one.name, "wb") as stream:
                stream.truncate(one.size)
        elif one.name != name:
            storage.download(one.path, place / one.name)
    problems = manifests.check_shards(place, known, hashes=False)
    problems += manifests.check_hashes(place, {} if is_export else known.files)
    problems += manifests.find_strangers(place, known.shards)
    check = export.check_parts if is_export else _check_records
    read = adding(progress, "check", sum(shard.bytes for shard in known.shards))
    for shard in known.shards:
        if shard.name in found and found[shard.name].size == shard.bytes:
            problems += _alone(path, known, shard, check)
        read(shard.bytes)
    units = "part" if is_export else "shard"
    what = export.NAME if is_export else "the manifest"
    return problems, (
        f"{path}: {plural(len(shards), units)}, {plural(known.num_rows, 'row')}: all as in {what}"
    )


def _alone(path: str, known: Any, shard: Any, check: Callable[[Path, Any], list[str]]) -> list[str]:
    """What is wrong with one shard, which is here meanwhile."""
    place = copies.place_for(path)
    try:
        for name in (known.tokenizer["file"], shard.name):
            storage.download(f"{path}/{name}", place / name)
        rows = {"num_rows": shard.rows} if hasattr(known, "fingerprint") else {}
        return check(place, dataclasses.replace(known, shards=(shard,), **rows))
    finally:
        copies.forget(place)


def _check_records(place: Path, manifest: Any) -> list[str]:
    from biobert_jax.corpus.dataset import manifest as manifests

    problems = manifests.check_shards(place, manifest)
    return problems or manifests.count_records(place, manifest)
