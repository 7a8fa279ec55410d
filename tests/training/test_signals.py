"""What a signal is answered with, at once, and what it does."""

import os
import signal
import threading

import pytest

from biobert_jax.training.signals import Signals


class Said(list):
    """Lines as they are said, from any thread."""

    def __init__(self):
        super().__init__()
        self._more = threading.Semaphore(0)

    def __call__(self, line):
        self.append(line)
        self._more.release()

    def wait(self, lines):
        while len(self) < lines:
            assert self._more.acquire(timeout=60)


@pytest.fixture(autouse=True)
def pythons_own_handler():
    """Also where the tests run in the background, with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_the_answer_does_not_wait_for_the_main_thread():
    said = Said()
    with Signals(said) as signals:
        signals.listen()
        interrupt()
        said.wait(1)
    assert said == ["stopping after this step, then saving; Ctrl-C again ends without saving"]
    assert signals.stop == signal.SIGINT


def test_the_second_says_what_is_lost_and_the_third_ends_at_once():
    said, ended = Said(), Said()
    with Signals(said, lambda: "steps 14 to 17", ended) as signals:
        signals.listen()
        interrupt()
        said.wait(1)
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        said.wait(2)
        assert said[1] == (
            "ending without saving: steps 14 to 17 are lost, unless their save is under way; "
            "Ctrl-C again ends at once"
        )
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        ended.wait(1)
    assert ended == [130]


def test_two_that_the_main_thread_sees_as_one_end_the_run():
    said = Said()
    with Signals(said) as signals:
        signals.listen()
        signals._answer_stop(signal.SIGINT, 0, 1)  # the thread has read both, the handler not yet
        signals._answer_stop(signal.SIGINT, 1, 2)
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    assert said[1].startswith("ending without saving")


def test_sigterm_is_answered_once():
    said = Said()
    with Signals(said) as signals:
        signals.listen()
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
        said.wait(2)
        assert signals.take_save() and not signals.take_save()
    assert said == ["stopping after this step, then saving", "SIGUSR1: saving after this step"]
    assert signals.stop == signal.SIGTERM


def test_before_the_first_step_there_is_nothing_to_save():
    said, ended = Said(), Said()
    with Signals(said, end=ended):
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        said.wait(1)
        assert "nothing was done yet" in said[0]
        with pytest.raises(KeyboardInterrupt):
            interrupt()
        ended.wait(1)
    assert ended == [130]


def test_the_handlers_are_put_back():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before, fd = [signal.getsignal(n) for n in numbers], signal.set_wakeup_fd(-1)
    with Signals() as signals:
        signals.listen()
    assert [signal.getsignal(n) for n in numbers] == before
    assert signal.set_wakeup_fd(fd) == -1
