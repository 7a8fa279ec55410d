"""tensorflow-datasets builders of the field's data sets, over the readers that training uses.

    import tensorflow_datasets as tfds
    import biobert_jax.tasks.files.builders

    config = tfds.download.DownloadConfig(manual_dir="data/NCBI-disease")
    train = tfds.load(
        "biobert_ner/ncbi_disease",
        split="train",
        download_and_prepare_kwargs={"download_config": config},
    )

`biobert_ner` yields sentences, `biobert_classification` texts and pairs, `biobert_qa` questions
with their passages; `releases.py` has their sets. Files of one's own:
`tfds.load("biobert_ner", builder_kwargs={"config": FilesConfig("own", files={"train": "a.tsv"})})`.
This is the only module that imports tensorflow_datasets when it is imported; nothing of the
package imports this one.
"""

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from biobert_jax.errors import UserError
from biobert_jax.files import file_sha256
from biobert_jax.tasks.files.annotated import chosen_types
from biobert_jax.tasks.files.bioasq import of_kind
from biobert_jax.tasks.files.checksums import SHA256
from biobert_jax.tasks.files.examples import Span
from biobert_jax.tasks.files.records import EXAMPLES, examples_sha256, fields_of, to_record
from biobert_jax.tasks.files.registry import read_examples
from biobert_jax.tasks.files.releases import RELEASES, TRAIN

_FEATURES = {
    str: tfds.features.Text,
    bool: lambda: np.bool_,
    # As bytes: TensorFlow's records have no 64-bit floats.
    float: lambda: tfds.features.Tensor(shape=(), dtype=np.float64, encoding="bytes"),
    tuple[str, ...]: lambda: tfds.features.Sequence(tfds.features.Text()),
    tuple[int, ...]: lambda: tfds.features.Sequence(np.int64),
    tuple[Span, ...]: lambda: tfds.features.Sequence(
        {"start": np.int64, "end": np.int64, "type": tfds.features.Text()}
    ),
    tuple[tuple[str, ...], ...]: lambda: tfds.features.Sequence(
        tfds.features.Sequence(tfds.features.Text())
    ),
}


@dataclasses.dataclass(eq=False)
class FilesConfig(tfds.core.BuilderConfig):
    """A data set: which files its splits are.

    Attributes:
      files: by split, the names that its file may have (or its one name); the first of them that
        is in the folder is read. A split without a file, or with one of 0 bytes, is left out.
      folders: what the folder may be called in `manual_dir`, beside the set's name.
      kind: of questions, those to take; "": all.
      format: of the files, as `data.format`; "": by their names and content.
      types: of entities, those to take, as `data.types`. Where mentions of several types share
        words, as in PubTator, that is not the same as to take them from the prepared labels.
    """

    files: Mapping[str, str | Sequence[str]] = dataclasses.field(default_factory=dict)
    folders: Sequence[str] = ()
    kind: str = ""
    format: str = ""
    types: Sequence[str] = ()


class _FilesBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Examples in the order of their files; offsets count code points.

    `metadata.json` beside the prepared records says of each split the source file, its size and
    SHA-256, and the SHA-256 of its examples, which are compared when they are trained on.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The first."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Get the data set from its authors, under their terms, and give the folder of its files, or one
    in which that folder is called as the set, as `manual_dir`. The files are named as
    biobert_jax/tasks/files/releases.py says: mostly train.tsv, devel.tsv (or dev.tsv), test.tsv.
    """
    # Nothing is downloaded. tfds 4.9.10 looks for its own table of URLs by a package,
    # importlib_resources, that it does not ask for.
    url_infos = None
    TASK = ""

    def _info(self) -> tfds.core.DatasetInfo:
        features: dict[str, Any] = {}
        for name, kind, optional in fields_of(EXAMPLES[self.TASK]):
            features[name] = _FEATURES[kind]()
            if optional:
                features[f"has_{name}"] = np.bool_
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.builder_config.name}: {type(self).__doc__}",
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(),
            # The order of the file is that in which rows are packed.
            disable_shuffling=True,
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        """Reads all files. Raises UserError for what a reader refuses, or without a train file."""
        folder = self._folder(Path(dl_manager.manual_dir))
        sources, splits = {}, {}
        for split in self.builder_config.files:
            path = self._file(folder, split)
            if path is None:
                _say(f"{folder}: no {' or '.join(self._names(split))}: no split {split}")
                continue
            sources[split] = source = self._source(path)
            if not source["bytes"]:
                _say(f"{path}: 0 bytes: no split {split}")
                continue
            examples = self._examples(path, source["notes"])
            source["examples_sha256"] = examples_sha256(examples)
            splits[split] = _records(examples, folder)
        # With the folder, so that training can tell whether the files are still the same.
        made = {"folder": str(folder.absolute()), "files": sources, "config": self._described()}
        self.info.metadata.update(made)
        return splits

    def as_dataset(self, *args: Any, **kwargs: Any) -> Any:
        """As tfds's; raises UserError where the set was prepared by another `FilesConfig`."""
        made = (self.info.metadata or {}).get("config")
        if made not in (None, self._described()):
            raise UserError(
                f"{self.data_dir}: prepared as {self.builder_config.name!r} with {made}, which is "
                "another configuration: give another name, or prepare it anew "
                "(download_mode=tfds.GenerateMode.REUSE_CACHE_IF_EXISTS)"
            )
        return super().as_dataset(*args, **kwargs)

    def _described(self) -> dict[str, Any]:
        """What of the configuration decides which examples there are, as JSON has it."""
        config = self.builder_config
        names = ("files", "kind", "format", "types")
        return json.loads(json.dumps({name: getattr(config, name) for name in names}))

    def _generate_examples(self, **kwargs: Any) -> None:
        raise AssertionError("abstract in tfds; _split_generators gives the records itself")

    def _source(self, path: Path) -> dict[str, Any]:
        """What is kept of a file; of one that is not the published one, that is said."""
        sha256 = file_sha256(path)
        known = SHA256.get(f"{self.builder_config.name}/{path.name}", sha256)
        if sha256 != known:
            _say(
                f"warning: {path}: not the published file (its SHA-256 is {sha256[:12]}…, that "
                f"one's {known[:12]}…): taken as it is"
            )
        size = path.stat().st_size
        return {
            **{"name": path.name, "bytes": size, "sha256": sha256},
            **{"examples_sha256": "", "notes": []},
        }

    def _examples(self, path: Path, notes: list[tuple[str, str]]) -> list[Any]:
        """The file's examples; what its reader notes goes to `notes`."""

        def note(where: str, what: str) -> None:
            notes.append((where.removeprefix(f"{path.parent}/"), what))

        config = self.builder_config
        if config.types and self.TASK != "ner" or config.kind and self.TASK != "qa":
            raise UserError("FilesConfig: types are of biobert_ner, kind of biobert_qa")
        options = {"types": chosen_types(config.types)} if config.types else {}
        examples = read_examples(path, self.TASK, config.format, note=note, **options)
        if config.kind:
            examples = of_kind(config.kind, examples, path, note)
        if not examples:
            raise UserError(f"{path}: no example in it: check the file")
        return examples

    def _folder(self, manual_dir: Path) -> Path:
        config = self.builder_config
        for folder in (config.name, *config.folders, "."):
            if self._file(manual_dir / folder, TRAIN):
                return manual_dir / folder
        names = " or ".join(self._names(TRAIN)) or "files with a split train"
        raise UserError(
            f"manual_dir {manual_dir}: no {names} in it or in its folder {config.name}: give the "
            "folder of the data set's files"
        )

    def _file(self, folder: Path, split: str) -> Path | None:
        paths = [folder / name for name in self._names(split)]
        return next((path for path in paths if path.is_file()), None)

    def _names(self, split: str) -> Sequence[str]:
        names = self.builder_config.files.get(split, ())
        return (names,) if isinstance(names, str) else names


def _configs(task: str) -> list[FilesConfig]:
    return [FilesConfig(name, **r._asdict()) for name, r in RELEASES[task].items()]


class BiobertNer(_FilesBuilder):
    """Sentences: words, and a label for each as the file spells it."""

    TASK = "ner"
    BUILDER_CONFIGS = _configs(TASK)


class BiobertClassification(_FilesBuilder):
    """Texts, or pairs of texts, with classes or a number."""

    TASK = "classification"
    BUILDER_CONFIGS = _configs(TASK)


class BiobertQa(_FilesBuilder):
    """Questions about passages, with answers and their places in the passage."""

    TASK = "qa"
    BUILDER_CONFIGS = _configs(TASK)


def _records(examples: Sequence[Any], folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbered records; where they stood is told from the folder on."""
    for number, example in enumerate(examples):
        where = example.where.removeprefix(f"{folder}/")
        yield number, to_record(dataclasses.replace(example, where=where))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
