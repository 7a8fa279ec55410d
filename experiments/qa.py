"""Questions about passages, with presets for SQuAD, BioASQ and PubMedQA.

    biobert finetune --config experiments/qa.py:squad --workdir runs/squad \\
        --config.data.dir=data/squad --config.init=runs/pretrain
    biobert finetune --config experiments/qa.py:bioasq_factoid --workdir runs/factoid \\
        --config.data.dir=data/bioasq --config.init=runs/squad

SQuAD first, then BioASQ, as its authors did: the second run starts from the first one's workdir and
keeps its head. Expected: RESULTS.md has what was measured here, from a 6-layer MiniLM. Test scores
of BioBERT v1.1 (Lee et al. 2020) and of PubMedBERT (BLURB):

    squad, squad2    exact match, F1           no figure of BioBERT's, a step on the way
    bioasq_factoid   strict, lenient, MRR      6b: 42.86, 57.77, 48.43
    bioasq_list      mean P, R, F1             not run here
    bioasq_yesno     accuracy                  BLURB 87.56 (7b)
    pubmedqa         accuracy                  BLURB 55.84

Files: train.json and test.json, SQuAD's or BioASQ's own JSON, and BioBERT's in SQuAD's form. The
paper's settings: SQuAD 3e-5, 2 epochs; BioASQ 5e-6, 5 epochs; 12 windows of 384 a step. batch_size
counts packed rows: 8 of 384 hold about 16 windows.
"""

from ml_collections import ConfigDict

# Passages are asked one by one, and a question's answers joined.
YES_NO = {
    "task": "classification",
    "data": {"average": "macro", "max_seq_length": 384, "batch_size": 4},
    "train": {"num_epochs": 5.0},
}
PRESETS = {
    "squad": {},
    "squad2": {"data": {"no_answer": True}},
    "bioasq_factoid": {"data": {"answer_kind": "factoid"}, "train": {"num_epochs": 5.0}},
    "bioasq_list": {"data": {"answer_kind": "list"}, "train": {"num_epochs": 5.0}},
    "bioasq_yesno": YES_NO,
    "pubmedqa": {**YES_NO, "data": {**YES_NO["data"], "max_seq_length": 512}},
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
    for group, values in PRESETS[preset].items() if preset else ():
        if isinstance(values, dict):
            config[group].update(values)
        else:
            config[group] = values
    return config
