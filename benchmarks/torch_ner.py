"""Fine-tune a BERT for entity tagging with torch and transformers: the baseline to compare with.

    USE_TF=0 python benchmarks/torch_ner.py --model DIR --data DIR --seed 0 --json results.jsonl

--model is a Hugging Face BERT folder with its tokenizer, --data a folder of train.tsv, devel.tsv
and test.tsv (`token<TAB>label`, a blank line between sentences). Trains on train + devel and
scores test after every epoch: entity-level precision, recall and F1 by seqeval's default mode.

The recipe: float32, 32 sentences a batch, shuffled by seed, padded to the batch's longest;
AdamW (0.9, 0.999, 1e-8; weight decay 0.01 except on biases and LayerNorm), peak rate 1e-4, linear
with 10 % warm-up (over all --epochs, whatever --max_steps is), gradients clipped to norm 1,
dropout 0.1. A word's first piece carries its label. A training sentence is cut at 128 pieces; a
test sentence is split at a word into windows of at most 128, so every test word is scored.

Prints one line of JSON an epoch. `loss` is the mean of the batches' losses; `train_seconds`
covers batching and steps, no scoring; real tokens are those not padding, with [CLS] and [SEP];
`fill` is their share of all tokens computed. --max_steps is for timing: it skips the scoring.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from seqeval.metrics import f1_score, precision_score, recall_score
from transformers import (
    AutoTokenizer,
    BertForTokenClassification,
    get_linear_schedule_with_warmup,
    set_seed,
)

IGNORED = -100
MAX_PIECES = 128


def read_sentences(path):
    """The file's sentences, each a list of (word, label)."""
    blocks = path.read_text(encoding="utf-8").replace("\r\n", "\n").strip("\n").split("\n\n")
    lines = ([line for line in block.split("\n") if line] for block in blocks)
    return [[tuple(line.split("\t")) for line in block] for block in lines if block]


def words_to_pieces(tokenizer, sentences):
    """For each sentence the piece ids of each of its words (none for a word that vanishes)."""
    encoded = tokenizer(
        [[word for word, _ in sentence] for sentence in sentences],
        is_split_into_words=True,
        add_special_tokens=False,
        verbose=False,
    )
    result = []
    for row, sentence in enumerate(sentences):
        pieces = [[] for _ in sentence]
        for word, piece in zip(encoded.word_ids(row), encoded["input_ids"][row], strict=True):
            pieces[word].append(piece)
        result.append(pieces)
    return result


def make_rows(tokenizer, sentences, label_ids, windows):
    """Rows (ids, labels, sentence, words): `words` holds the word at each labelled position.

    A sentence's first row only, filled to the last piece, unless `windows` asks for all of it.
    """
    room = MAX_PIECES - 2
    rows = []
    for index, pieces in enumerate(words_to_pieces(tokenizer, sentences)):
        chunks = [([], [], [])]
        for word, ids in enumerate(pieces):
            if not ids:
                continue
            ids = ids[:room]
            if windows and len(chunks[-1][0]) + len(ids) > room:
                chunks.append(([], [], []))
            chunk_ids, chunk_labels, chunk_words = chunks[-1]
            ids = ids[: room - len(chunk_ids)]
            if not ids:
                break
            label = label_ids.get(sentences[index][word][1], IGNORED)
            chunk_ids.extend(ids)
            chunk_labels.extend([label] + [IGNORED] * (len(ids) - 1))
            chunk_words.extend([word] + [None] * (len(ids) - 1))
        for ids, labels, words in chunks:
            ids = [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]
            rows.append((ids, [IGNORED, *labels, IGNORED], index, [None, *words, None]))
    return rows


def collate(rows, pad_id):
    """The rows' tensors, padded to the longest."""
    width = max(len(row[0]) for row in rows)
    ids = torch.full((len(rows), width), pad_id)
    labels = torch.full((len(rows), width), IGNORED)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row[0])] = torch.tensor(row[0])
        labels[i, : len(row[0])] = torch.tensor(row[1])
        mask[i, : len(row[0])] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@torch.inference_mode()
def score(model, rows, sentences, names, args, pad_id):
    """Precision, recall and F1 on the sentences; a word without pieces is tagged O."""
    model.eval()
    predicted = [["O"] * len(sentence) for sentence in sentences]
    by_length = sorted(rows, key=lambda row: len(row[0]))
    for start in range(0, len(rows), args.batch_size):
        batch = by_length[start : start + args.batch_size]
        tensors = collate(batch, pad_id)
        del tensors["labels"]
        best = model(**tensors).logits.argmax(-1).tolist()
        for (_, _, index, words), tags in zip(batch, best, strict=True):
            for word, tag in zip(words, tags, strict=False):
                if word is not None:
                    predicted[index][word] = names[tag]
    gold = [[label for _, label in sentence] for sentence in sentences]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bare B and I draw "seems not to be NE tag"
        measures = (precision_score, recall_score, f1_score)
        return [float(measure(gold, predicted)) for measure in measures]


def make_optimizer(model, args, total_steps):
    """AdamW with decay on matrices only, and its schedule."""
    plain = [n for n, _ in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    groups = [
        {
            "params": [p for n, p in model.named_parameters() if n not in plain],
            "weight_decay": 0.01,
        },
        {"params": [p for n, p in model.named_parameters() if n in plain], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.999), eps=1e-8)
    return optimizer, get_linear_schedule_with_warmup(optimizer, total_steps // 10, total_steps)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder of the encoder and its tokenizer")
    parser.add_argument("--data", type=Path, required=True, help="folder of the three .tsv files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-4, help="peak learning rate")
    parser.add_argument("--max_steps", type=int, help="stop after so many steps, unscored")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="append the lines to this file too")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    set_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    train = read_sentences(args.data / "train.tsv") + read_sentences(args.data / "devel.tsv")
    test = read_sentences(args.data / "test.tsv")
    names = sorted({label for sentence in train for _, label in sentence})
    label_ids = {name: i for i, name in enumerate(names)}
    train_rows = make_rows(tokenizer, train, label_ids, windows=False)
    test_rows = make_rows(tokenizer, test, label_ids, windows=True)
    model = BertForTokenClassification.from_pretrained(
        args.model,
        dtype=torch.float32,
        id2label=dict(enumerate(names)),
        label2id=label_ids,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        classifier_dropout=0.1,
    )
    steps_per_epoch = -(-len(train_rows) // args.batch_size)
    optimizer, schedule = make_optimizer(model, args, steps_per_epoch * args.epochs)
    order = np.random.default_rng(args.seed)
    left = args.max_steps or steps_per_epoch * args.epochs

    for epoch in range(1, args.epochs + 1):
        model.train()
        shuffled = order.permutation(len(train_rows))
        losses, rows_seen, real, computed = [], 0, 0, 0
        began = time.perf_counter()
        for start in range(0, min(left, steps_per_epoch) * args.batch_size, args.batch_size):
            rows = [train_rows[i] for i in shuffled[start : start + args.batch_size]]
            batch = collate(rows, tokenizer.pad_token_id)
            loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            rows_seen += len(rows)
            real += int(batch["attention_mask"].sum())
            computed += batch["attention_mask"].numel()
        seconds = time.perf_counter() - began
        left -= len(losses)
        scores = [None] * 3
        if not args.max_steps:
            scores = score(model, test_rows, test, names, args, tokenizer.pad_token_id)
        line = json.dumps(
            {
                "seed": args.seed,
                "epoch": epoch,
                "loss": sum(losses) / len(losses),
                **dict(zip(("precision", "recall", "f1"), scores, strict=True)),
                "train_seconds": round(seconds, 2),
                "sentences_per_second": round(rows_seen / seconds, 2),
                "real_tokens_per_second": round(real / seconds, 1),
                "fill": round(real / computed, 4),
            }
        )
        print(line, flush=True)
        if args.json:
            with args.json.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        if left <= 0:
            break


if __name__ == "__main__":
    main()
