"""Our own recipe for BERT-base: Muon, 30 % of tokens hidden, packed rows, no sentence pairs.

    biobert prepare --input 'pubmed/*.xml.gz' --format pubmed --vocab vocab.txt --output data/pubmed
    biobert pretrain --config experiments/pretrain_efficient.py --workdir runs/efficient \\
        --config.data.dir=data/pubmed

Three choices were made by runs at equal compute on real abstracts, two seeds each, judged by the
masked LM loss on held-out text at BERT's 15 % (RESULTS.md has the table, benchmarks/recipes.py
makes it): Muon for the matrices with AdamW for the rest, 30 % hidden rather than 15 %, and no next
sentence prediction. They were tiny models on two cores, each choice by itself: together, and for
BERT-base, they were not tried.
Learning rate, batch and length follow common practice; the schedule is linear, the warm-up short.
Expected: not run here, since it needs accelerators.
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
            # A single pass over much text does not overfit.
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        }
    )
    config.data = ConfigDict({"dir": "", "batch_size": 1024})
    config.masking = ConfigDict({"rate": 0.3})
    config.optimizer = ConfigDict(
        {"name": "muon", "learning_rate": 1e-3, "warmup_fraction": 0.05, "weight_decay": 0.01}
    )
    config.train = ConfigDict(
        {
            "num_steps": 100_000,
            "gradient_dtype": "bfloat16",
            "eval_every": 2_000,
            "eval_batches": 10,
            "checkpoint_every": 1_000,
            "permanent_every": 10_000,
            "temporary_minutes": 10.0,
            "log_every": 50,
        }
    )
    return config
