"""BERT-base on a prepared corpus: the size and the recipe of BERT and BioBERT.

    biobert pretrain --config experiments/pretrain_base.py --workdir runs/base \\
        --config.data.dir=data/pubmed

From a checkpoint: --config.init=CHECKPOINT, with the data prepared with its vocabulary.
As upstream, with next sentence prediction: data prepared with --objective mlm_nsp. What is trained
follows from the data, with this config as with any other. On google's own records, instead of
data.dir: --config.data.files='records/*.tfrecord' --config.data.vocab=vocab.txt
Expected: not run here, since it needs accelerators; BioBERT took 23 days on 8 V100 for 1 M steps.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The experiment's config; keys as in biobert_jax/config.py, which holds the defaults."""
    config = ConfigDict()
    config.seed = 0
    config.init = ""
    config.model = ConfigDict(
        {
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "dtype": "bfloat16",
            # Half the memory traffic of a TPU step, for minutes more of compiling.
            "scan_layers": False,
        }
    )
    config.data = ConfigDict({"dir": "", "batch_size": 192})
    config.optimizer = ConfigDict(
        {"name": "bert_adamw", "learning_rate": 1e-4, "warmup_steps": 10_000}
    )
    config.train = ConfigDict(
        {
            "num_steps": 1_000_000,
            "eval_every": 5_000,
            "checkpoint_every": 5_000,
            "log_every": 100,
        }
    )
    return config
