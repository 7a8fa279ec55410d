"""Relations, topics and similarity of texts, with presets for the field's data sets.

    biobert finetune --config experiments/classification.py:gad --workdir runs/gad \\
        --folds all --config.data.dir=data/GAD --config.init=runs/pretrain
    biobert finetune --config experiments/classification.py:chemprot --workdir runs/chemprot \\
        --config.data.dir=data/chemprot --config.init=runs/pretrain

Expected: RESULTS.md has what was measured here, from a 6-layer MiniLM. Test scores of BioBERT v1.1
(Lee et al. 2020) and of PubMedBERT (BLURB):

    gad       F1 of class 1, mean of ten folds     79.83, BLURB 83.96
    euadr     F1 of class 1, mean of ten folds     79.74, not run here
    chemprot  micro-F1 without `False`             76.46, BLURB 77.24
    ddi       micro-F1 without `DDI-false`         BLURB 82.36, not run here
    hoc       micro-F1 of ten hallmarks            BLURB 82.32 on its own split
    biosses   Pearson                              BLURB 92.30 on its own split

hoc and biosses have no split in their own releases: `benchmarks/split_texts.py` makes one by a hash
of ids, hoc's per abstract, so that figures are not comparable with BLURB's.

The paper's settings are 32 texts a step, 3 epochs, a rate of 2e-5, without layer decay; 8 packed
rows of 128 hold about 32 sentences. From an encoder as small as MiniLM a rate of 1e-4 is better.
Text with mentions given as `entities` is marked by --config.data.markers=anonymize, or =tags with
--config.data.pooling=markers.
"""

from ml_collections import ConfigDict

# dev.tsv of the folds holds nothing.
FOLDS = {"data": {"average": "binary", "positive_label": "1", "eval": ""}}
PRESETS = {
    "gad": {**FOLDS, "paper": "BioBERT v1.1, F1 79.83; PubMedBERT 83.96 (BLURB)"},
    "euadr": {**FOLDS, "paper": "BioBERT v1.1, F1 79.74"},
    "chemprot": {"data": {"excluded_labels": ["False"], "max_seq_length": 256, "batch_size": 4}},
    "ddi": {"data": {"excluded_labels": ["DDI-false"], "max_seq_length": 256, "batch_size": 4}},
    "hoc": {
        "data": {
            "kind": "multi_label",
            "train": ["train.jsonl"],
            "eval": "devel.jsonl",
            "test": "test.jsonl",
            "max_seq_length": 512,
            "batch_size": 4,
        },
        "train": {"num_epochs": 10.0},
    },
    "biosses": {
        "data": {"kind": "regression", "batch_size": 4, "eval": "devel.tsv"},
        "train": {"num_epochs": 20.0},
    },
}


def get_config(preset: str = "") -> ConfigDict:
    """The experiment's config; keys as in biobert_jax/config_finetuning.py, with the defaults."""
    config = ConfigDict()
    config.task = "classification"
    config.seed = 0
    config.init = ""
    config.data = ConfigDict(
        {"dir": "", "train": ["train.tsv"], "eval": "dev.tsv", "test": "test.tsv"}
    )
    config.data.max_seq_length = 128
    config.data.batch_size = 8
    config.optimizer = ConfigDict(
        {"name": "adamw", "learning_rate": 1e-4, "warmup_fraction": 0.1, "eps": 1e-8}
    )
    config.train = ConfigDict({"num_epochs": 3.0})
    if preset:
        for group, values in PRESETS[preset].items():
            if isinstance(values, dict):
                config[group].update(values)
            else:
                config[group] = values
    return config
