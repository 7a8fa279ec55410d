"""Named entity recognition, with presets for the field's data sets.

    biobert finetune --config experiments/ner.py:ncbi_disease --workdir runs/ncbi \\
        --config.data.dir=data/NCBI-disease --config.init=runs/pretrain

Presets: BioBERT's files (train.tsv, devel.tsv, test.tsv), trained on train + devel as its authors
did; pico (EBM-NLP's four columns), quickstart. Without one, train.tsv is trained on, devel.tsv
scored while training and calibrated on, and test.tsv scored at the end. To choose on devel and
train again on both, with the calibration kept: --config ner --config.retrain=true.
data.entity_type names what labels without a type (B, I) mark; the presets name theirs. Files may be
PubTator's, too; data.types takes and renames some of their types.
Expected: test F1 of 81.9 on NCBI-disease and 88.5 on BC5CDR-chem from a 6-layer MiniLM in 3 epochs
(RESULTS.md); BioBERT v1.1's figures, in `paper`, are of BERT-base and were not run here. The paper
trains 32 sentences a step at 1e-5 to 5e-5, often for over 50 epochs; from MiniLM 1e-4 is better.
"""

from ml_collections import ConfigDict


def biobert(entity_type: str, f1: str) -> dict:
    """A set of BioBERT's release; 8 packed rows of 128 hold about 32 sentences."""
    data = {"train": ["train.tsv", "devel.tsv"], "eval": "", "entity_type": entity_type}
    return {"data": data, "paper": f"BioBERT v1.1, entity F1 {f1}"}


PRESETS = {
    "ncbi_disease": biobert("Disease", "89.71"),
    "bc5cdr_disease": biobert("Disease", "87.15"),
    "bc5cdr_chem": biobert("Chemical", "93.47"),
    "bc4chemd": biobert("Chemical", "92.36"),
    "bc2gm": biobert("Gene", "84.72"),
    "jnlpba": biobert("Gene", "77.49"),
    "linnaeus": biobert("Species", "88.24"),
    "s800": biobert("Species", "74.06"),
    "i2b2_2010": biobert("Problem", "86.73"),
    "pico": {"paper": "PubMedBERT, BLURB's word-level macro-F1 73.38, which is not computed here"},
    "quickstart": {
        "data": {"max_seq_length": 64, "batch_size": 16},
        # Embeddings and the lower layer change less than what is new.
        "optimizer": {"learning_rate": 2e-3, "layer_decay": 0.7},
        "train": {"num_epochs": 5.0, "eval_every": 200},
    },
}


def get_config(preset: str = "") -> ConfigDict:
    """The experiment's config; keys as in biobert_jax/config_finetuning.py, with the defaults."""
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
            if isinstance(values, dict):
                config[group].update(values)
            else:
                config[group] = values
    return config
