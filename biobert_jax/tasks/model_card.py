"""The `README.md` that a fine-tuned model travels with."""

from collections.abc import Mapping, Sequence
from typing import Any

from biobert_jax.checkpoints.load import Checkpoint
from biobert_jax.config import NerConfig
from biobert_jax.scoring.conlleval import Scores


def ner_model_card(
    config: NerConfig,
    checkpoint: Checkpoint,
    scores: Scores,
    num_sentences: int,
    changes: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Markdown: what the model is, what it was made from, how good it is, how to use it.

    Args:
      changes: what was changed where the run went on, as `workdir.changes_of` tells.
    """
    types = [
        f"| {name or 'entity'} | {s.precision:.4f} | {s.recall:.4f} | {s.f1:.4f} | {s.num_gold:,} |"
        for name, s in sorted(scores.by_type.items())
    ]
    everything = (
        f"| all (micro) | {scores.precision:.4f} | {scores.recall:.4f} | {scores.f1:.4f} | "
        f"{scores.num_gold:,} |"
    )
    rows = "\n".join([everything, *(types if len(types) > 1 else [])])
    model = checkpoint.model
    return f"""# Entity tagger

A BERT ({model.num_hidden_layers} layers of {model.hidden_size}, vocabulary of \
{model.vocab_size:,}) that labels the words of biomedical text.

- Made from: `{config.init}` ({checkpoint.kind}, step {checkpoint.step})
- Trained on: {", ".join(f"`{name}`" for name in config.data.train)} of `{config.data.dir}`
- Seed {config.seed}, {config.data.batch_size} packed rows of {config.data.max_seq_length} a step, \
learning rate {config.optimizer.learning_rate:g}; everything else is in `config.json`
- {_length(config, changes)}

## Scores

Entities matched exactly, as conlleval counts, on the {num_sentences:,} sentences of \
`{config.data.test}`:

| type | precision | recall | F1 | entities |
|---|---|---|---|---|
{rows}

Word by word in `predictions.conll` (word, label, predicted label). One run of one seed: seeds \
differ by a point or more on small test sets.

## Use

```
biobert predict --checkpoint THIS_FOLDER --input notes.txt --output tagged.jsonl
biobert convert --from THIS_FOLDER --to hf_folder --format hf
```

It finds what its training data annotates, in text like theirs; check it on your own before you \
rely on it. It is not a medical device.
"""


def _length(config: NerConfig, changes: Sequence[Mapping[str, Any]]) -> str:
    steps, epochs = config.train.num_steps, config.train.num_epochs
    parts = [f"{steps:,} steps" if steps else f"{epochs:g} epochs"]
    for change in changes:
        keys = [f"`{key}` from {v['was']} to {v['is']}" for key, v in change["changed"].items()]
        parts.append(f"changed at step {change['step']}: {', '.join(keys)}")
    return "; ".join(parts)
