"""BioBERT v1.1 (Lee et al. 2020): BERT-base, cased, trained further on PubMed for 1 M steps.

    biobert prepare --input 'pubmed/*.xml.gz' --format pubmed --vocab bert-base-cased \\
        --objective mlm_nsp --output data/pubmed
    biobert pretrain --config experiments/pretrain_biobert_v1_1.py --workdir runs/biobert \\
        --config.data.dir=data/pubmed --config.init=bert-base-cased

The paper's numbers: from BERT-base cased and with its vocabulary, 192 sequences of 512 a step,
learning rate 1e-4, the optimizer and the masks of google's code. The warm-up of 10,000 steps is
that of google's code; the paper names none. Rows are packed here, so that a row of 512 holds about
two abstracts where theirs was mostly padding: the same text passes in fewer steps. For rows as
theirs were, prepare with --record_format bert.
Expected: not run here, since it needs accelerators; the paper's run took 23 days on 8 V100.
`biobert compile --config experiments/pretrain_biobert_v1_1.py --topology v5e:8x8` says what to
expect of a TPU.
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
            # As in the paper. On a TPU our kernel drops them too; splash cannot.
            "attention_probs_dropout_prob": 0.1,
        }
    )
    config.data = ConfigDict({"dir": "", "batch_size": 192})
    config.masking = ConfigDict({"rate": 0.15})
    config.optimizer = ConfigDict(
        {"name": "bert_adamw", "learning_rate": 1e-4, "warmup_steps": 10_000}
    )
    config.train = ConfigDict(
        {
            "num_steps": 1_000_000,
            "eval_every": 10_000,
            "checkpoint_every": 5_000,
            "permanent_every": 100_000,
            "temporary_minutes": 10.0,
            "log_every": 100,
        }
    )
    return config
