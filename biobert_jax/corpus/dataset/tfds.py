"""The two files with which TensorFlow Datasets opens a prepared data set; made without it.

    builder = tfds.builder_from_directory("data/pubmed")
    rows = builder.as_dataset(split="train")

Source: tensorflow_datasets/core/proto/{dataset_info,feature}.proto (4.9), in protobuf's JSON.
"""

import json
import re
from typing import Any

from biobert_jax.corpus.dataset.manifest import SPLITS, Manifest, Shard

NAME = "biobert_pretraining"
# Of the meaning of the features, not of the data.
VERSION = "1.0.0"
TEMPLATE = "{SPLIT}-{SHARD_X_OF_Y}.{FILEFORMAT}"

_CLASSES = "tensorflow_datasets.core.features."
_SHARD = re.compile(r"-(\d{5,})-of-(\d{5,})\.tfrecord$")
# Length and checksum before a record, and a checksum after it: TFDS counts the records alone.
_FRAME_BYTES = 16

_DOCS = {
    "packed": {
        "input_ids": "Token ids; padding at the end.",
        "sequence_ids": "1, 2, ... for the sequences of the row in order, 0 for padding.",
        "token_type_ids": "0 for [CLS] A [SEP] and padding, 1 for B [SEP].",
        "next_sentence_labels": "By sequence: 1 where B is random, 0 where B follows A, -1: none.",
    },
    "bert": {
        "input_ids": "Token ids, some replaced to be predicted; padding at the end.",
        "input_mask": "1 where a token stands, 0 for padding.",
        "segment_ids": "0 for [CLS] A [SEP] and padding, 1 for B [SEP].",
        "masked_lm_positions": "Positions of the predictions, rising; padded with 0.",
        "masked_lm_ids": "The true ids there.",
        "masked_lm_weights": "1 for a prediction, 0 for padding.",
        "next_sentence_labels": "1 where B is random, 0 where B follows A.",
    },
}


def tfds_metadata(manifest: Manifest) -> dict[str, str]:
    """`dataset_info.json` and `features.json` of a data set, to be written beside its shards.

    `as_dataset` then yields a row's arrays [size] as `records.parse_rows` gives them.
    """
    return {
        "dataset_info.json": _dumps(_dataset_info(manifest)),
        "features.json": _dumps(_features(manifest)),
    }


def _dataset_info(manifest: Manifest) -> dict[str, Any]:
    kind = "masked sentence pairs" if manifest.record_format == "bert" else "packed rows"
    splits = [(name, manifest.split(name)) for name in SPLITS]
    return {
        "name": NAME,
        "version": VERSION,
        "description": (
            f"Data for pre-training BERT, made by `biobert prepare`: {kind} of "
            f"{manifest.max_seq_length} positions, objective {manifest.objective}. The vocabulary "
            f"is {manifest.tokenizer['file']}; manifest.json says the rest."
        ),
        "fileFormat": "tfrecord",
        "splits": [
            {
                "name": name,
                "filepathTemplate": TEMPLATE,
                # Protobuf's JSON writes 64-bit integers as strings.
                "numBytes": str(sum(s.bytes - _FRAME_BYTES * s.rows for s in shards)),
                "shardLengths": [str(rows) for rows in _shard_lengths(shards)],
            }
            for name, shards in splits
            if shards
        ],
    }


def _shard_lengths(shards: tuple[Shard, ...]) -> list[int]:
    """Rows of every shard that the names count; one without rows has no file, and is not read."""
    places = [_SHARD.search(shard.name) for shard in shards]
    lengths = [0] * int(places[0][2])
    for shard, place in zip(shards, places, strict=True):
        lengths[int(place[1])] = shard.rows
    return lengths


def _features(manifest: Manifest) -> dict[str, Any]:
    format = manifest.format
    is_packed = format.record_format == "packed"
    features = {}
    for name, feature in format.features.items():
        # Of google's records TensorFlow's parser makes 64-bit numbers, and `parse_rows` these.
        dtype = feature.dtype.name if is_packed or feature.dtype.kind == "f" else "int32"
        features[name] = {
            "pythonClassName": f"{_CLASSES}tensor_feature.Tensor",
            "description": _DOCS[format.record_format][name],
            "tensor": {
                "shape": {"dimensions": [str(feature.size)]},
                "dtype": dtype,
                "encoding": "bytes" if is_packed else "none",
            },
        }
    return {
        "pythonClassName": f"{_CLASSES}features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }


def _dumps(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"
