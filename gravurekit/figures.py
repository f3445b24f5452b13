"""Numbers as people read them: counts, times, rates."""

MINUTE, HOUR = 60, 3600


def number(count: int) -> str:
    """12,345."""
    return f"{count:,}"


def duration(seconds: float) -> str:
    """How long something took: 3.4 s, 12 min 5 s, 2 h 40 min."""
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    minutes = round(seconds / MINUTE)
    return f"{number(minutes // 60)} h {minutes % 60} min"


def about(seconds: float) -> str:
    """How long something will take, which nobody knows exactly: 35 s, 12 min, 2.7 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 5400 else f"{seconds / HOUR:,.1f} h"


def rate(units: float, seconds: float) -> str:
    """How many a second, or a minute, or an hour, where that is more telling: 36.2/s, 4.1/min; nothing if there were
    none, or no time has passed."""
    if units <= 0 or seconds <= 0:
        return ""
    speed = units / seconds
    for factor, word in ((1, "s"), (MINUTE, "min")):
        if speed * factor >= 1:
            return f"{speed * factor:,.{0 if speed * factor >= 100 else 1}f}/{word}"
    return f"{speed * HOUR:,.1f}/h"
