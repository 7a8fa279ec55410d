"""The roll call: all hear what all say, or every one hears in a line why not."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from biobert_jax.errors import UserError
from biobert_jax.training.roll_call import roll_call


@pytest.fixture
def address():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def call(address, *processes, timeout=20.0):
    """What each of (number, index) heard: contents, or the error's line."""

    def one(number, index):
        try:
            return roll_call(address, number, index, {"I am": index}, timeout=timeout)
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor(len(processes)) as pool:
        return [future.result() for future in [pool.submit(one, *each) for each in processes]]


def test_all_hear_what_all_say_in_their_order(address):
    expected = [{"I am": index} for index in range(5)]
    assert call(address, (5, 3), (5, 1), (5, 0), (5, 4), (5, 2)) == [expected] * 5
    # The address is free again at once.
    assert call(address, (2, 0), (2, 1)) == [expected[:2]] * 2


def test_those_that_came_hear_who_did_not(address):
    heard = call(address, (4, 0), (4, 2), timeout=1.5)
    assert heard[0] == heard[1]
    assert f"processes 1, 3 of 4 did not come to {address} within 1.5 s" in heard[0]
    assert "--join_timeout" in heard[0] and "--distributed=off" in heard[0]


def test_without_process_0_the_others_end_too(address):
    (heard,) = call(address, (2, 1), timeout=1.0)
    assert f"process 0 of 2 did not answer process 1 at {address} within 1 s" in heard


@pytest.mark.parametrize(
    "processes, message",
    [
        (((3, 0), (3, 1), (3, 1)), "two processes are process 1 of 3"),
        (((2, 0), (3, 1)), "process 1 was told of 3 processes, process 0 of 2"),
    ],
)
def test_processes_that_contradict_each_other(address, processes, message):
    heard = call(address, *processes, timeout=8.0)
    assert message in heard[0]
    assert all(isinstance(each, str) for each in heard)


def test_who_ends_and_comes_again_is_taken_and_a_stranger_is_not(address):
    """One says who it is and goes away; one says something else."""
    host, port = address.split(":")
    hello = {"hello": "biobert roll call", "process_id": 1, "num_processes": 3, "content": "gone"}
    first = threading.Thread(target=lambda: results.append(call(address, (3, 0))))
    results = []
    first.start()
    for words in (json.dumps(hello), "GET / HTTP/1.1", "[1]"):
        for _ in range(100):
            try:
                with socket.create_connection((host, int(port))) as line:
                    line.sendall(words.encode() + b"\n")
                    time.sleep(0.1)
                break
            except OSError:
                time.sleep(0.05)
    expected = [{"I am": index} for index in range(3)]
    assert call(address, (3, 1), (3, 2)) == [expected] * 2
    first.join()
    assert results == [[expected]]


def test_an_address_that_is_taken(address):
    with socket.create_server(("", int(address.split(":")[1]))):
        (heard,) = call(address, (2, 0))
    assert "cannot listen at port" in heard and "JAX_COORDINATOR_PORT" in heard
