"""Labels of words: their types, and a name for the type where a data set gives none."""

from collections.abc import Iterable, Sequence

UNTYPED = "entity"


def with_type(label: str, name: str = UNTYPED) -> str:
    """The label with `name` as its type where it has none: `B` is `B-<name>`; O stays O."""
    tag, _, type_ = label.partition("-")
    return label if not tag or tag == "O" or type_ else f"{tag}-{name}"


def types_of(sentences: Iterable[Sequence[str]]) -> set[str]:
    """The types of entities that labels name; "" is that of labels without one."""
    labels = {label for sentence in sentences for label in sentence}
    return {label.partition("-")[2] for label in labels if label.partition("-")[0] != "O"}


def label_set(sentences: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """All labels that occur: O first, the others sorted."""
    found = {label for sentence in sentences for label in sentence}
    return ("O", *sorted(found - {"O"}))
