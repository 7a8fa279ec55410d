"""Named entity recognition, with presets for the field's data sets.

    biobert finetune --config experiments/ner.py:ncbi_disease --workdir runs/ncbi \\
        --config.data.dir=data/NCBI-disease --config.init=runs/pretrain

Presets: ncbi_disease, bc5cdr_disease, bc5cdr_chem, bc2gm (BioBERT's files: train.tsv, devel.tsv,
test.tsv, trained on train + devel as its authors did), quickstart. Without one, train.tsv is
trained on, devel.tsv scored while training, and test.tsv scored at the end.
data.entity_type names what labels without a type (B, I) mark; the presets name theirs.
Expected: test F1 about 82 on NCBI-disease from a 6-layer MiniLM in 3 epochs (RESULTS.md).
"""

from ml_collections import ConfigDict

# batch_size counts packed rows: 8 rows of 128 hold about 32 sentences.
BIOBERT_FILES = {"train": ["train.tsv", "devel.tsv"], "eval": ""}
PRESETS = {
    "ncbi_disease": {"data": {**BIOBERT_FILES, "entity_type": "Disease"}},
    "bc5cdr_disease": {"data": {**BIOBERT_FILES, "entity_type": "Disease"}},
    "bc5cdr_chem": {"data": {**BIOBERT_FILES, "entity_type": "Chemical"}},
    "bc2gm": {"data": {**BIOBERT_FILES, "entity_type": "Gene"}},
    "quickstart": {
        "data": {"max_seq_length": 64, "batch_size": 16},
        # Embeddings and the lower layer change less than what is new.
        "optimizer": {"learning_rate": 2e-3, "layer_decay": 0.7},
        "train": {"num_epochs": 5.0, "eval_every": 200},
    },
}


def get_config(preset: str = "") -> ConfigDict:
    """The experiment's config; keys as in biobert_jax/config.py, which holds the defaults."""
    config = ConfigDict()
    config.task = "ner"
    config.seed = 0
    config.init = ""
    config.data = ConfigDict(
        {"dir": "", "train": ["train.tsv"], "eval": "devel.tsv", "test": "test.tsv"}
    )
    config.data.entity_type = "entity"
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
