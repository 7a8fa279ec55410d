"""Labels of words: their types, a name for the type where data give none, and what they must be."""

from collections.abc import Iterable, Mapping, Sequence

from biobert_jax.errors import UserError
from biobert_jax.scoring.conlleval import chunks, is_label

UNTYPED = "entity"


def with_type(label: str, name: str = UNTYPED) -> str:
    """The label with `name` as its type where it has none: `B` is `B-<name>`; O stays O.

    Programs that read the part after the hyphen, transformers among them, would take B and I for
    two types. What is no label of this form stays as it is.
    """
    tag, _, type_ = label.partition("-")
    return label if type_ or tag == "O" or not is_label(label) else f"{tag}-{name}"


def renamed(labels: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence's labels with the names of their types in `names`; O where that is "".

    Entities that come to be of one type stay apart: IOB1 and IO begin the second one with B.
    """
    starts = {chunk.start for chunk in chunks(labels)}
    found: list[str] = []
    for place, label in enumerate(labels):
        new = _renamed(label, names)
        touches = bool(found) and found[-1].partition("-")[2] == new.partition("-")[2]
        if place in starts and touches and new.startswith("I-"):
            new = f"B{new[1:]}"
        found.append(new)
    return tuple(found)


def _renamed(label: str, names: Mapping[str, str]) -> str:
    """One label; itself where its type has no name."""
    tag, _, type_ = label.partition("-")
    if tag == "O" or type_ not in names:
        return label
    return f"{tag}-{names[type_]}" if names[type_] else "O"


def types_of(sentences: Iterable[Sequence[str]]) -> set[str]:
    """The types of entities that labels name; "" is that of labels without one."""
    labels = {label for sentence in sentences for label in sentence}
    return {label.partition("-")[2] for label in labels if label.partition("-")[0] != "O"}


def label_set(sentences: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """All labels that occur: O first, the others sorted."""
    found = {label for sentence in sentences for label in sentence}
    return ("O", *sorted(found - {"O"}))


def check_labels(labels: Sequence[str], where: str) -> None:
    """Refuses what cannot be a tagger's labels.

    Args:
      where: file and key, for the message.

    Raises:
      UserError: there are none; one stands twice; one that is none of B, I, O, E, S, L, U.
    """
    if not labels:
        raise UserError(f"{where}: no labels: write there what the tagger's outputs stand for")
    for index, label in enumerate(labels):
        if labels.index(label) < index:
            raise UserError(f"{where}: {label!r} stands twice")
        if not is_label(label):
            raise UserError(
                f"{where}: {label!r} says nothing of an entity: write the labels that it was "
                "trained with (O, B-Disease, I-Disease, …), in the order of its outputs"
            )
