"""A small BERT (6 layers of 384, the size of MiniLM), to try things on two cores.

    biobert pretrain --config experiments/pretrain_mini.py --workdir runs/mini \\
        --config.data.dir=data/abstracts --config.init=minilm

Expected: from the MiniLM encoder, whose masked LM head starts anew, see RESULTS.md.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The experiment's config; keys as in biobert_jax/config.py, which holds the defaults."""
    config = ConfigDict()
    config.seed = 0
    config.init = ""
    config.model = ConfigDict(
        {
            "hidden_size": 384,
            "num_hidden_layers": 6,
            "num_attention_heads": 12,
            "intermediate_size": 1536,
        }
    )
    config.data = ConfigDict({"dir": "", "batch_size": 8})
    config.optimizer = ConfigDict({"learning_rate": 1e-4, "warmup_steps": 50})
    config.train = ConfigDict(
        {"num_steps": 500, "eval_every": 50, "eval_batches": 10, "checkpoint_every": 100}
    )
    return config
