"""What the tests of runs are compared with."""

import pytest

from tests.training.toy_processes import end, start


@pytest.fixture(scope="session")
def alone(made_once):
    """The toy run of one process, undisturbed, on a disk."""

    def make(folder):
        codes, said = end(start(folder, processes=1))
        assert codes == [0], said

    return made_once("alone", make)
