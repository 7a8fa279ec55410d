"""Numbers with their units, for a reader: sizes, durations, counts of things."""


def size(count: float) -> str:
    """Bytes: 512 bytes, 1.2 MB."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return plural(round(count), "byte")


def duration(seconds: float) -> str:
    """Two units of time: 45 s, 3 min 20 s, 5 h 07 min, 2 d 3 h."""
    seconds = max(0, round(seconds))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def plural(count: int, noun: str) -> str:
    """A count of things: 1 row, 2,000 rows, 3 entities."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("y") else f"{count:,} {noun}s"
