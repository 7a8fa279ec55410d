"""Questions about passages.

    biobert finetune --config experiments/qa.py:squad --workdir runs/squad \\
        --config.data.dir=data/squad --config.init=runs/pretrain
"""

from ml_collections import ConfigDict

PRESETS = {
    "squad": {},
    "squad2": {"data": {"no_answer": True}},
    "bioasq_factoid": {"data": {"answer_kind": "factoid", "eval": ""}},
    "bioasq_list": {"data": {"answer_kind": "list", "eval": ""}},
}


def get_config(preset: str = "") -> ConfigDict:
    """The experiment's config; keys as in biobert_jax/config.py, which holds the defaults."""
    config = ConfigDict()
    config.task = "qa"
    config.seed = 0
    config.init = ""
    config.data = ConfigDict({"dir": "", "train": ["train.json"], "eval": "", "test": "test.json"})
    config.data.max_seq_length = 384
    config.data.batch_size = 8
    config.optimizer = ConfigDict(
        {"name": "adamw", "learning_rate": 1e-4, "warmup_fraction": 0.1, "eps": 1e-8}
    )
    config.train = ConfigDict({"num_epochs": 2.0})
    if preset:
        for group, values in PRESETS[preset].items():
            config[group].update(values)
    return config
