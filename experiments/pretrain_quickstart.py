"""A tiny BERT from scratch on the embedded corpus: what `make quickstart` runs.

    biobert pretrain --config experiments/pretrain_quickstart.py \\
        --workdir quickstart_out/pretrain --config.data.dir=quickstart_out/data

Expected: held-out masked LM loss from 8 to below 3 in a minute or two on two cores.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The experiment's config; keys as in biobert_jax/config.py, which holds the defaults."""
    config = ConfigDict()
    config.seed = 0
    config.model = ConfigDict(
        {
            "hidden_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 512,
            "max_position_embeddings": 128,
            # 128 wide rather than 768: larger weights give signals of BERT's size at the start.
            "initializer_range": 0.05,
            # So small a model underfits: dropout would only slow it down.
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        }
    )
    config.data = ConfigDict({"dir": "", "batch_size": 16})
    # More to predict from little text: twice BERT's share of tokens is hidden.
    config.masking = ConfigDict({"rate": 0.3})
    config.optimizer = ConfigDict({"name": "adamw", "learning_rate": 3e-3, "warmup_steps": 100})
    config.train = ConfigDict({"num_steps": 1000, "eval_every": 200, "checkpoint_every": 500})
    return config
