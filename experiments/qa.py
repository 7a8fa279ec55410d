"""Questions about passages, with presets for SQuAD, BioASQ and PubMedQA.

    biobert finetune --config experiments/qa.py:squad --workdir runs/squad \\
        --config.data.dir=data/squad --config.init=runs/pretrain
    biobert finetune --config experiments/qa.py:bioasq_factoid --workdir runs/factoid \\
        --config.data.dir=data/bioasq --config.init=runs/squad

SQuAD first, then BioASQ, as BioBERT's authors did: the second run starts from the first one's
workdir and keeps its head. Files: train.json and test.json. SQuAD's presets take SQuAD's own; those
of BioASQ its own JSON, of which they take their kind of questions, and BioBERT's files in SQuAD's
form; pubmedqa that of ori_pqal.json. BioASQ's snippets are the passages, or, where abstracts.jsonl
stands beside the file, its documents' abstracts: {"id": PMID, "title", "text"} a line.
`benchmarks/split_questions.py` splits SQuAD's dev file by article, and PubMedQA by its official
test ids.
Expected: of each preset, in percent:

    squad            dev EM 80.8, F1 88.5 (BERT-base, Devlin et al. 2019)
                     paper's figure, not run here on the whole: from a part of it see RESULTS.md
    squad2           dev EM 78.7, F1 81.9 (BERT-large, the same); paper's figure, not run here
    bioasq_factoid   strict accuracy, lenient accuracy, MRR of BioBERT v1.1 (Lee et al. 2020):
                     4b 27.95, 44.10, 34.72; 5b 46.00, 60.00, 51.64; 6b 42.86, 57.77, 48.43
                     paper's figures, not run here from BioBERT
    bioasq_list      mean precision, recall, F1: no figure in the paper, not run here
    bioasq_yesno     accuracy 87.56 (PubMedBERT in BLURB, 7b, Gu et al. 2021)
                     paper's figure, not run here
    pubmedqa         accuracy 55.84 (PubMedBERT in BLURB, the same); paper's figure, not run here

The settings are the paper's: 384 positions, windows 128 apart; SQuAD at 3e-5 over 2 epochs, BioASQ
at 5e-6 over 5, 12 windows a step: batch_size counts packed rows, and 6 of 384 hold about 12 windows
of SQuAD. Small encoders want a higher rate: MiniLM 3e-4.
"""

from ml_collections import ConfigDict

BIOASQ = {"optimizer": {"learning_rate": 5e-6}, "train": {"num_epochs": 5.0}}
# A question's passages are asked one by one, and what they say is joined. BioASQ ranks by macro-F1.
YES_NO = {
    "task": "classification",
    "data": {"average": "macro"},
    "optimizer": {"learning_rate": 1e-5},
    "train": {"num_epochs": 5.0},
}
PRESETS = {
    "squad": {},
    "squad2": {"data": {"no_answer": True}},
    "bioasq_factoid": {**BIOASQ, "data": {"answer_kind": "factoid"}},
    "bioasq_list": {**BIOASQ, "data": {"answer_kind": "list"}},
    "bioasq_yesno": YES_NO,
    # Abstracts are longer than snippets, and its scores are accuracy, which micro-F1 is here.
    "pubmedqa": {
        **YES_NO,
        "data": {"eval": "devel.json", "average": "micro", "max_seq_length": 512},
        "train": {"num_epochs": 10.0},
    },
}


def get_config(preset: str = "") -> ConfigDict:
    """The experiment's config; keys as in biobert_jax/config_finetuning.py, with the defaults."""
    config = ConfigDict()
    config.task = "qa"
    config.seed = 0
    config.init = ""
    config.data = ConfigDict({"dir": "", "train": ["train.json"], "eval": "", "test": "test.json"})
    config.data.max_seq_length = 384
    config.data.batch_size = 6
    config.optimizer = ConfigDict(
        {"name": "adamw", "learning_rate": 3e-5, "warmup_fraction": 0.1, "eps": 1e-8}
    )
    config.train = ConfigDict({"num_epochs": 2.0})
    for group, values in PRESETS[preset].items() if preset else ():
        if isinstance(values, dict):
            config[group].update(values)
        else:
            config[group] = values
    return config
