"""Several processes: options that do not go together, and decisions of one process alone."""

import numpy as np
import pytest

from biobert_jax.errors import UserError
from biobert_jax.training import distributed
from biobert_jax.training.distributed import Vote
from biobert_jax.training.joining import initialize


def test_given_nothing_there_is_one_process():
    initialize()
    assert distributed.is_first()
    assert distributed.decide(lambda: 3) == 3
    assert distributed.count(distributed.cast(Vote(rows=1, stop=15))) == Vote(rows=1, stop=15)


@pytest.mark.parametrize(
    "options, message",
    [
        (("host:1", None, None), "--num_processes, --process_id not given"),
        ((None, 2, 0), "--coordinator not given"),
        (("host", 2, 0), "--coordinator host: give HOST:PORT"),
        (("host:x", 2, 0), "--coordinator host:x: give HOST:PORT"),
        (("host:1", 2, 2), "--process_id 2: it must be one of 0 to 1"),
        (("host:1", 2, -1), "--process_id -1: it must be one of 0 to 1"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(UserError, match=message):
        initialize(*options)


def test_finding_out_and_giving_exclude_each_other():
    with pytest.raises(UserError, match="give it alone"):
        initialize("host:1", detect="on")


def test_votes_are_added_up_as_they_say():
    """What the devices do with the rows of eight processes, one of which has two devices."""
    _, add_up = distributed._ballot_box()
    rows = np.zeros((9, len(Vote._fields)), np.uint32)
    rows[0] = Vote(rows=2**32 - 1, tokens=10, save=1)
    rows[1] = Vote(rows=3, tokens=20, stop=2)
    rows[3] = Vote(rows=0, tokens=1, stop=15, failed=1)
    assert Vote(*np.asarray(add_up(rows)).tolist()) == Vote(2, 31, 15, 1, 1)
