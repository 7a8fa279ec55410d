"""A tiny BERT from scratch on the embedded corpus: what `make quickstart` runs.

    biobert pretrain --config experiments/pretrain_quickstart.py \\
        --workdir quickstart_out/pretrain --config.data.dir=quickstart_out/data

Expected: held-out masked LM loss from 8.8 to about 2 in two minutes on two quiet cores.
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
    # Rows of 32 hold about a sentence each: so short, attention finds a word's neighbours in a few
    # hundred steps, where rows of 128 needed several times as many.
    config.data = ConfigDict({"dir": "", "batch_size": 32})
    # More to predict from little text: twice BERT's share of tokens is hidden.
    config.masking = ConfigDict({"rate": 0.3})
    config.optimizer = ConfigDict(
        {"name": "muon", "learning_rate": 3e-3, "muon_learning_rate": 1e-2, "warmup_steps": 40}
    )
    config.train = ConfigDict({"num_steps": 2400, "eval_every": 400, "checkpoint_every": 1200})
    return config
