"""Numbers with their units."""

from biobert_jax.units import duration, plural, size


def test_sizes():
    assert [size(n) for n in (0, 1, 999, 12_345, 7.5e6, 1.234e12, 5e15)] == [
        *("0 bytes", "1 byte", "999 bytes", "12.3 kB", "7.5 MB", "1.2 TB", "5,000.0 TB"),
    ]


def test_durations():
    assert [duration(s) for s in (0, 4.4, 200, 18_420, 190_000)] == [
        *("0 s", "4 s", "3 min 20 s", "5 h 07 min", "2 d 4 h"),
    ]


def test_counts():
    assert [plural(n, "row") for n in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]
    assert plural(2, "entity") == "2 entities"
