"""Text classification and relation extraction, with presets for the field's data sets.

    biobert finetune --config experiments/classification.py:gad --workdir runs/gad \\
        --config.data.dir=data/GAD/1 --config.init=runs/pretrain
"""

from ml_collections import ConfigDict

PRESETS = {
    "gad": {"data": {"average": "binary", "positive_label": "1", "eval": ""}},
    "chemprot": {"data": {"excluded_labels": ["False"], "eval": "dev.tsv"}},
}


def get_config(preset: str = "") -> ConfigDict:
    """The experiment's config; keys as in biobert_jax/config.py, which holds the defaults."""
    config = ConfigDict()
    config.task = "classification"
    config.seed = 0
    config.init = ""
    config.data = ConfigDict({"dir": "", "train": ["train.tsv"], "eval": "dev.tsv"})
    config.data.test = "test.tsv"
    config.data.max_seq_length = 128
    config.data.batch_size = 8
    config.optimizer = ConfigDict(
        {"name": "adamw", "learning_rate": 1e-4, "warmup_fraction": 0.1, "eps": 1e-8}
    )
    config.train = ConfigDict({"num_epochs": 3.0})
    if preset:
        for group, values in PRESETS[preset].items():
            config[group].update(values)
    return config
