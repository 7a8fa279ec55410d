"""Examples of data sets that tensorflow-datasets has prepared with this package's builders.

`tfds:biobert_ner/ncbi_disease` stands for the folder of a set's files, `tfds:biobert_ner/
ncbi_disease/train` for a file of it; `tfds:biobert_ner/ncbi_disease:1.0.0` asks for a version.
`tfds:biobert_classification/gad/1` is the set gad_1, so that folds are folders here too. Sets lie
where tensorflow-datasets puts them: below the environment's TFDS_DATA_DIR, else
~/tensorflow_datasets.
"""

import dataclasses
import importlib.util
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from biobert_jax.errors import UserError, nearest
from biobert_jax.files import file_sha256
from biobert_jax.formats.faults import Fault, ignore
from biobert_jax.json_fields import read_optional_object
from biobert_jax.tasks.files.records import EXAMPLES, examples_sha256, from_record
from biobert_jax.tasks.files.releases import RELEASES, VALIDATION, builder_of

PREFIX = "tfds:"
# The held-out split, as files of the field are called.
_ALIASES = {"devel": VALIDATION, "dev": VALIDATION, "valid": VALIDATION, "eval": VALIDATION}
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_FOLD = re.compile(r"(/.+)/(\d+)")
_REMEDY = "prepare it anew (docs/tasks.md)"


class Split(NamedTuple):
    """A split of a prepared set.

    Attributes:
      set: as data.dir names it: `tfds:biobert_ner/ncbi_disease`.
      folder: of what was prepared: `.../biobert_ner/ncbi_disease/1.0.0`.
      name: train, validation or test.
      source: the file that it was made from.
      source_sha256: that file's, when it was.
      examples_sha256: its examples'; "" where the file had 0 bytes, so that there are none.
      notes: what the reader said of the file: where, and what.
    """

    set: str
    folder: Path
    name: str
    source: Path
    source_sha256: str
    examples_sha256: str
    notes: Sequence[tuple[str, str]]


def is_prepared(path: str | os.PathLike[str]) -> bool:
    """Whether it is the name of a prepared set, or of a split of one."""
    return str(path).startswith(PREFIX)


def read_prepared(path: str | os.PathLike[str], task: str, note: Fault = ignore) -> list[Any]:
    """The examples of a split: those that its file's reader gave, in the same order.

    Args:
      path: the set and the split, whose name may be that of its file (devel.tsv).
      note: told what the reader noted, and where the file is another by now.

    Raises:
      UserError: no such set or split (the nearest is named); one that is not prepared, damaged, or
        of another task; tensorflow-datasets is not installed.
    """
    split = find_split(path)
    own = f"{PREFIX}{builder_of(task)}/"
    if not split.set.startswith(own):
        raise UserError(
            f"{split.set} is not of task {task}, whose sets are {own}…: let data.dir and the task "
            "agree"
        )
    if split.source.is_file() and file_sha256(split.source) != split.source_sha256:
        note(split.set, f"{split.source} has changed since: the examples are what they were before")
    for where, what in split.notes:
        note(f"{split.set}: {where}", what)
    if not split.examples_sha256:
        return []
    examples = _read(split, EXAMPLES[task])
    if examples_sha256(examples) != split.examples_sha256:
        raise UserError(
            f"{split.folder}: the examples of split {split.name} are not those that were prepared: "
            f"their SHA-256 differs: {_REMEDY}"
        )
    return [dataclasses.replace(x, where=f"{split.set}: {x.where}") for x in examples]


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file, or such a split of a prepared set."""
    if not is_prepared(path):
        return Path(path).is_file()
    try:
        find_split(path)
    except UserError:
        return False
    return True


def is_empty(path: str | os.PathLike[str]) -> bool:
    """Whether there is a file without a byte, or a split that was made from one.

    Raises:
      UserError: as `read_prepared`.
    """
    if is_prepared(path):
        return not find_split(path).examples_sha256
    return Path(path).is_file() and Path(path).stat().st_size == 0


def folds_in(folder: str) -> list[str]:
    """The numbers that the folders of a folder are called by, or the sets of a prepared one."""
    if is_prepared(folder):
        builder, _, name = folder.removeprefix(PREFIX).partition("/")
        paths = [path.parent.parent for path in (_root() / builder).glob("*/*/dataset_info.json")]
        own = f"{name}_"
        names = {path.name.removeprefix(own) for path in paths if path.name.startswith(own)}
    else:
        names = {path.name for path in Path(folder).glob("*") if path.is_dir()}
    return sorted(filter(str.isdecimal, names), key=int)


def find_split(path: str | os.PathLike[str]) -> Split:
    """The split of a prepared set that a name stands for. Raises as `read_prepared`."""
    name, _, wanted = str(path).removeprefix(PREFIX).rpartition("/")
    name, _, version = name.partition(":")
    name = _FOLD.sub(r"\1_\2", name)
    folder = _folder(name, version)
    try:
        metadata = read_optional_object(folder / "metadata.json") or {}
        sources = metadata["files"]
        split = _split_name(f"{PREFIX}{name}", wanted, sources)
        source = sources[split]
        return Split(
            f"{PREFIX}{name}",
            folder,
            split,
            Path(metadata["folder"]) / source["name"],
            source["sha256"],
            source["examples_sha256"],
            source["notes"],
        )
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{folder}: its metadata.json is not that of this package's builders: {_REMEDY}"
        ) from error


def _split_name(set_: str, wanted: str, sources: Mapping[str, Any]) -> str:
    for split, source in sources.items():
        if wanted in (split, source["name"]):
            return split
    stem = wanted.partition(".")[0]
    split = _ALIASES.get(stem, stem)
    if split in sources:
        return split
    raise UserError(
        f"{set_} has no split {_nearest(wanted, sources)}; data.train, data.eval and data.test "
        "name them ('': none)"
    )


def _folder(name: str, version: str) -> Path:
    """Of a set's newest version, or of the one that is asked for."""
    root = _root()
    versions = {
        path.parent.name: path.parent
        for path in (root / name).glob("*/dataset_info.json")
        if _VERSION.fullmatch(path.parent.name)
    }
    if version in versions:
        return versions[version]
    if versions and not version:
        return versions[max(versions, key=lambda v: tuple(map(int, v.split("."))))]
    if versions:
        raise UserError(f"{PREFIX}{name} has no version {version}: known: {', '.join(versions)}")
    builder, _, wanted = name.partition("/")
    sets = {builder_of(task): set(releases) for task, releases in RELEASES.items()}
    if wanted in sets.get(builder, ()):
        raise UserError(
            f"{PREFIX}{name} is not prepared in {root}: prepare it (docs/tasks.md), or set "
            "TFDS_DATA_DIR to where it is"
        )
    if builder not in sets:
        raise UserError(f"{PREFIX}{name}: no builder {_nearest(builder, sets)}")
    there = {path.parts[-3] for path in (root / builder).glob("*/*/dataset_info.json")}
    known = sorted(sets[builder] | there)
    raise UserError(f"{PREFIX}{name}: {builder} has no set {_nearest(wanted, known)}")


def _root() -> Path:
    return Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def _nearest(wanted: str, known: Iterable[str]) -> str:
    """The end of a line about a name that is not known."""
    near = nearest(wanted, known)
    hint = f"did you mean {near!r}? " if near else ""
    return f"{wanted!r}: {hint}known: {', '.join(known)}"


def _read(split: Split, example_type: type) -> list[Any]:
    if importlib.util.find_spec("tensorflow_datasets") is None:
        raise UserError(
            f"{split.set}: needs tensorflow-datasets: pip install 'biobert-jax[tf]', or give the "
            "folder of the files"
        )
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(split.folder)
        # Small sets would be cached in memory, which is for those that read them several times.
        config = tfds.ReadConfig(try_autocache=False)
        records = tfds.as_numpy(builder.as_dataset(split=split.name, read_config=config))
        return [from_record(example_type, record) for record in records]
    # Of a damaged set it raises what its libraries do, protobuf's and TensorFlow's own errors too.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{split.folder}: cannot be read ({reason}): {_REMEDY}") from error
