"""BERT-base on a TPU pod slice: LAMB, large batches, first of short rows and then of long ones.

    biobert compile --config experiments/pretrain_pod.py --topology v5e:16x16
    biobert pretrain --config experiments/pretrain_pod.py --workdir gs://B/runs/pod \\
        --config.data.phases.0.dir=gs://B/pubmed-128 --config.data.phases.1.dir=gs://B/pubmed-512

The optimizer and the two lengths are those of You et al. 2020 (LAMB), whose BERT took 76 minutes on
a TPU v3 pod: here 16,384 rows of 128 for nine tenths of the steps, then 8,192 of 512; the schedule
runs through. Rows are packed, so that a step holds more text than theirs. The same command runs on
every host (docs/tpu.md); a pod has no shared disk, so that data and workdir are in a bucket.
Expected: not run here, since it needs a pod; `biobert compile` says whether it fits and how fast a
step can be.
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
            # So that any attention kernel can be chosen; that of the hidden states stays.
            "attention_probs_dropout_prob": 0.0,
        }
    )
    config.data = ConfigDict(
        {
            "phases": [
                {"dir": "", "batch_size": 16_384, "start_step": 0},
                {"dir": "", "batch_size": 8_192, "start_step": 28_000},
            ]
        }
    )
    config.optimizer = ConfigDict(
        {
            "name": "lamb",
            "learning_rate": 2e-3,
            "warmup_fraction": 0.1,
            "weight_decay": 0.01,
        }
    )
    config.train = ConfigDict(
        {
            "num_steps": 31_250,
            # Gradients are summed over the chips in half the bytes.
            "gradient_dtype": "bfloat16",
            "eval_every": 1_000,
            "eval_batches": 4,
            "checkpoint_every": 1_000,
            "permanent_every": 10_000,
            "temporary_minutes": 10.0,
            "log_every": 20,
        }
    )
    config.mesh = ConfigDict({"layout": "dp"})
    return config
