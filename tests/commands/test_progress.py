"""Progress on standard error: lines with rates where it is no terminal, a bar where it is."""

import sys

import pytest

from biobert_jax.commands.progress import StageProgress, adding, counted, working


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("biobert_jax.commands.progress.time.monotonic", lambda: now[0])
    return now


def lines(capsys):
    return capsys.readouterr().err.splitlines()


def test_a_line_an_interval_and_one_at_the_end(clock, capsys):
    with StageProgress() as progress:
        for seconds in (0, 4, 8, 12, 16):
            clock[0] = float(seconds)
            progress("read", seconds * 1_000_000, 16_000_000)
    assert lines(capsys) == [
        "read: 12.0 of 16.0 MB in 12 s, 1.0 MB/s, 4 s left",
        "read: 16.0 of 16.0 MB in 16 s, 1.0 MB/s",
    ]


def test_no_time_has_no_rate(clock, capsys):
    with StageProgress() as progress:
        progress("count", 120, 120)
        progress("read", 20_000, 20_000)
        progress("pack", 3, 3)
    assert lines(capsys) == [
        "count: 120 of 120 bytes",
        "read: 20.0 of 20.0 kB",
        "pack: 3 of 3 documents",
    ]


def test_a_brief_one_speaks_of_long_stages_alone(clock, capsys):
    with StageProgress(brief=True) as progress:
        add = adding(progress, "check", 30_000_000)
        for seconds in (5.0, 11.0, 15.0):
            clock[0] = seconds
            add(10_000_000)
    assert lines(capsys) == ["check: 20.0 of 30.0 MB in 11 s, 1.8 MB/s, 6 s left"]


def test_what_has_no_known_end_is_counted(clock, capsys):
    for number in counted(range(4), "tag", "documents"):
        clock[0] = 6.0 * (number + 1)
    assert lines(capsys) == [
        "tag: 2 documents in 12 s, 0.2 documents/s",
        "tag: 4 documents in 24 s, 0.2 documents/s",
    ]


def test_what_cannot_be_counted(clock, capsys, monkeypatch):
    for seconds in (9.0, 30.0):
        with working("load x"):
            clock[0] += seconds
    assert lines(capsys) == ["load x: 30 s"]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with pytest.raises(ValueError), working("load x"):
        raise ValueError
    assert capsys.readouterr().err == "load x ...\r\033[K"


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with StageProgress() as progress:
        progress("check", 5_000, 10_000)
        progress("check", 10_000, 10_000)
    assert list(counted("ab", "tag", "documents")) == ["a", "b"]
    shown = capsys.readouterr().err
    assert "check: 100%" in shown and "10.0k/10.0k" in shown and "tag: 2.00 documents" in shown
