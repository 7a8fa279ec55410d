"""What a checkpoint says of itself, and the folder of a run's checkpoints; knows no arrays.

    checkpoints/<step>/params/      the model's parameters (Orbax)
                       optimizer/   step and optimizer state (Orbax); not in converted checkpoints
                       vocab.txt    the vocabulary (vocab.model for SentencePiece)
                       manifest.json
                       damaged.txt  only where a run has found it damaged: what was wrong

The manifest is written last, and deleted first: a folder without one was never finished and is not
a checkpoint. It holds the SHA-256 of every other file, which is checked on every restore, since
Orbax alone returns wrong values for most flipped bits without a word. Folders may be in a bucket.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from biobert_jax import json_fields, storage
from biobert_jax.config import ModelConfig
from biobert_jax.corpus.text.tokenizer_files import TokenizerOptions
from biobert_jax.errors import UserError
from biobert_jax.storage import DamagedError, StorageError, anywhere
from biobert_jax.storage.anywhere import AnyPath

NAME = "manifest.json"
DAMAGED = "damaged.txt"
FORMAT = "biobert_jax checkpoint 1"
FOLDER = "checkpoints"

# How long a checkpoint is kept: for ever, while it is one of the newest such, until the next.
PERMANENT, NORMAL, TEMPORARY = "permanent", "normal", "temporary"

# Kinds of checkpoints without a task's head; the others are called by their tasks.
PRETRAINING, ENCODER = "pretraining", "encoder"


class Unreadable(UserError):
    """A manifest could not be looked at: nothing is known of its checkpoint, good or bad."""


@dataclass(frozen=True)
class Metadata:
    """What a checkpoint is of: enough to use it without its config file.

    `kind` is "pretraining", "encoder" or a task's name; `labels` are what a task's outputs stand
    for, in their order, and `options` what else its functions need to know (`tasks.task.Setting`);
    `vocab` is the vocabulary's file name in the checkpoint's folder, and `tokenizer` what
    `TokenizerOptions` has of its use (the writers fill both in); `data` is a hash of what it was
    trained on, so that a run does not go on with other rows; `retention` is one of the three
    above; `best`: of its run's evaluations until then, this one's was the best.
    """

    kind: str
    step: int
    model: ModelConfig
    vocab: str
    labels: tuple[str, ...] = ()
    max_seq_length: int = 512
    data: str = ""
    retention: str = NORMAL
    best: bool = False
    tokenizer: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


_LABELS = json_fields.Kind(
    "a list of strings", lambda v: isinstance(v, list) and all(isinstance(x, str) for x in v)
)
_METADATA = {
    "kind": json_fields.WORD,
    "step": json_fields.COUNT,
    "model": json_fields.OBJECT,
    "vocab": json_fields.FILE_NAME,
    "labels": _LABELS,
    "max_seq_length": json_fields.integer(1),
}


def checkpoint_path(workdir: str | os.PathLike, step: int) -> AnyPath:
    """Where a workdir has, or would have, the checkpoint of a step."""
    return folder_of(workdir) / str(step)


def folder_of(workdir: str | os.PathLike) -> AnyPath:
    """Where a workdir has its checkpoints; absolute, since Orbax takes no other path."""
    return anywhere.absolute(workdir) / FOLDER


def is_checkpoint(path: AnyPath) -> bool:
    """True for a folder that holds a finished checkpoint which no run has found damaged."""
    if storage.is_remote(path):
        return _is_whole(set(anywhere.files_below(path)))
    # A user's path may be a folder of a million files: no look below it.
    if not (path / NAME).exists() or (path / DAMAGED).exists():
        return False
    return (path / "params").is_dir()


def checkpoints_of(workdir: str | os.PathLike) -> list[AnyPath]:
    """The finished checkpoints of a workdir, newest first."""
    folder = folder_of(workdir)
    return [folder / str(step) for step in sorted(_steps(folder), reverse=True)]


def chosen_checkpoint(workdir: str | os.PathLike) -> AnyPath | None:
    """The checkpoint that a workdir stands for: its best where one was chosen, or its newest.

    Raises:
      UserError: of a task's run, a manifest cannot be read, so that it may be the best's.
    """
    saved = checkpoints_of(workdir)
    if not saved:
        return None
    try:
        is_encoder = read_metadata(saved[0]).kind in (PRETRAINING, ENCODER)
    except Unreadable:
        raise
    except UserError:  # whoever opens it is told
        is_encoder = True
    best = [] if is_encoder else [path for path in saved if read_metadata(path).best]
    return [*best, *saved][0]


def superseded(folder: AnyPath, keep: int) -> list[AnyPath]:
    """The checkpoints that may go: all normal ones but the `keep` newest, and temporary ones but
    the newest checkpoint of all. Not the best one, and none of which nothing could be learnt.
    """
    steps = sorted(_steps(folder))
    kinds: dict[int, str] = {}
    best: list[int] = []
    for step in steps:
        try:
            metadata = read_metadata(folder / str(step))
        except Unreadable:
            continue
        except UserError:  # damaged: nothing that a save should fail for
            kinds[step] = NORMAL
            continue
        kinds[step] = metadata.retention
        best = [step] if metadata.best else best
    others = {step: kind for step, kind in kinds.items() if step not in best}
    normal = [step for step, kind in others.items() if kind == NORMAL][:-keep]
    temporary = [step for step, kind in others.items() if kind == TEMPORARY and step != steps[-1]]
    return [folder / str(step) for step in sorted(normal + temporary)]


def read_metadata(path: AnyPath) -> Metadata:
    """What a checkpoint says of itself.

    Raises:
      Unreadable: its manifest could not be looked at.
      UserError: it has none, or a damaged one.
    """
    return _parse(path)[0]


def check_files(path: AnyPath, *, read: Callable[[int], None] = lambda size: None) -> list[str]:
    """What differs between a checkpoint's files and its manifest, one line each.

    `read` is told the bytes of each file that was read.

    Raises:
      Unreadable, StorageError, OSError: nothing could be learnt of one of them.
    """
    try:
        _, files = _parse(path)
    except Unreadable:
        raise
    except UserError as error:
        return [str(error)]
    there = files_of(path)
    problems = [f"{path / name}: missing" for name in files if name not in there]
    for name, size in there.items():
        if name not in files:
            problems.append(f"{path / name}: not in the manifest")
        else:
            if not _has_sum(path / name, files[name]):
                problems.append(f"{path / name}: its SHA-256 differs from the manifest's")
            read(size)
    return problems


def _has_sum(path: AnyPath, sha256: str) -> bool:
    try:
        return anywhere.file_sha256(path) == sha256
    except DamagedError:  # of the bucket's own checksum too
        return False


def require_intact(path: AnyPath) -> None:
    """Checks every sum.

    Raises:
      UserError: a file is missing, changed or unknown.
    """
    problems = check_files(path)
    if problems:
        raise UserError(f"{problems[0]}: the checkpoint is damaged, use another one")


def files_of(path: AnyPath) -> dict[str, int]:
    """The files that a manifest speaks of, and their bytes, sorted by name."""
    sizes = anywhere.files_below(path)
    return {name: sizes[name] for name in sorted(sizes) if name not in (NAME, DAMAGED)}


def write_manifest(path: AnyPath, metadata: Metadata, sums: Mapping[str, str]) -> None:
    """Completes a checkpoint, whose files have these SHA-256."""
    files = {name: sums[name] for name in sorted(sums)}
    content = {"format": FORMAT, **dataclasses.asdict(metadata), "files": files}
    content["sha256"] = _content_sha256(content)
    anywhere.write_text(path / NAME, json.dumps(content, indent=2) + "\n")


def change_metadata(path: AnyPath, **changes: Any) -> None:
    """Writes a finished checkpoint's manifest anew, with what its parameters have turned out to
    be: `options` fitted on their outputs, or the `best`.

    Raises:
      UserError: its manifest cannot be read.
    """
    metadata, sums = _parse(path)
    changed = dataclasses.replace(metadata, **changes)
    if changed != metadata:
        write_manifest(path, changed, sums)


def mark_damaged(path: AnyPath, problem: str) -> None:
    """Notes in a checkpoint's folder what is wrong with it: from then on it is none."""
    anywhere.write_text(path / DAMAGED, problem + "\n")


def remove_checkpoint(path: AnyPath) -> None:
    """Deletes a checkpoint, its manifest first, so that a half-deleted one is none."""
    anywhere.remove(path / NAME)
    anywhere.remove_folder(path)


def remove_unfinished(folder: AnyPath) -> None:
    """Deletes steps without a manifest, and what Orbax had not yet given its name."""
    for name in anywhere.names_in(folder):
        if name.partition(".")[0].isdigit() and not anywhere.exists(folder / name / NAME):
            anywhere.remove_folder(folder / name)


def _steps(folder: AnyPath) -> list[int]:
    """Those of `is_checkpoint`, of a bucket by one look."""
    if not storage.is_remote(folder):
        steps = [int(name) for name in anywhere.names_in(folder) if name.isdigit()]
        return [step for step in steps if is_checkpoint(folder / str(step))]
    files: dict[str, set[str]] = {}
    for name in anywhere.files_below(folder):
        step, _, rest = name.partition("/")
        files.setdefault(step, set()).add(rest)
    return [int(step) for step, own in files.items() if step.isdigit() and _is_whole(own)]


def _is_whole(names: set[str]) -> bool:
    has_params = any(name.startswith("params/") for name in names)
    return has_params and NAME in names and DAMAGED not in names


def _is_inside(name: Any) -> bool:
    """Whether a file's name in a manifest stays in the checkpoint's folder."""
    return isinstance(name, str) and all(part not in ("", ".", "..") for part in name.split("/"))


def _content_sha256(content: dict[str, Any]) -> str:
    """Of the manifest's values, in whatever order and with whatever white space they stand."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _parse(path: AnyPath) -> tuple[Metadata, dict[str, str]]:
    try:
        values = json_fields.parse_object(anywhere.read_bytes(path / NAME))
        if values.pop("format") != FORMAT:
            raise ValueError("another format")
        # One of an older version has none.
        if values.pop("sha256", None) not in (None, _content_sha256({**values, "format": FORMAT})):
            raise ValueError("it was changed")
        files = values.pop("files")
        json_fields.check_fields(values, _METADATA)
        if not all(map(_is_inside, files)):
            raise ValueError("files has a name that leads out of the folder")
        values["model"] = ModelConfig(**values["model"])
        values["labels"] = tuple(values["labels"])
        if not isinstance(values.get("options", {}), dict):
            raise ValueError("options: an object was expected")
        if values.get("tokenizer"):
            TokenizerOptions.from_dict(values["tokenizer"])
        return Metadata(**values), files
    except FileNotFoundError as error:
        raise UserError(f"{path / NAME}: no such file") from error
    except DamagedError as error:
        raise UserError(str(error)) from error
    except (OSError, StorageError) as error:
        reason = error if isinstance(error, StorageError) else f"{path / NAME}: {error.strerror}"
        raise Unreadable(str(reason)) from error
    except (ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(f"{path / NAME}: not a checkpoint's manifest ({error})") from error
