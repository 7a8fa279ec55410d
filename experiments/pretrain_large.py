"""BERT-large, its parameters and optimizer state dealt over the chips.

    biobert pretrain --config experiments/pretrain_large.py --workdir runs/large \\
        --config.data.dir=data/pubmed

340 M parameters with AdamW take 5.5 GB on every chip in layout dp; in fsdp each chip holds its
part. Where a batch does not fit, train.accumulation_steps deals it into micro-batches.
Expected: not run here, since it needs accelerators; `biobert compile --config
experiments/pretrain_large.py --topology v5e:16x16` says whether it fits and how fast a step can be.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The experiment's config; keys as in biobert_jax/config.py, which holds the defaults."""
    config = ConfigDict()
    config.seed = 0
    config.init = ""
    config.model = ConfigDict(
        {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "dtype": "bfloat16",
            # Half the memory traffic of a TPU step, for minutes more of compiling.
            "scan_layers": False,
            "attention_probs_dropout_prob": 0.0,
        }
    )
    config.data = ConfigDict({"dir": "", "batch_size": 2048})
    config.optimizer = ConfigDict(
        {"name": "adamw", "learning_rate": 4e-4, "b2": 0.98, "warmup_steps": 10_000}
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
    config.mesh = ConfigDict({"layout": "fsdp"})
    return config
