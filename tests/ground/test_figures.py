"""Numbers as people read them."""

import pytest

from gravurekit import figures


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 s"), (3.44, "3.4 s"), (99.94, "99.9 s"), (99.96, "1 min 40 s"), (725.4, "12 min 5 s"),
     (3599.4, "59 min 59 s"),
     (3599.6, "1 h 0 min"), (9600, "2 h 40 min"), (36e6, "10,000 h 0 min")],
)  # fmt: skip
def test_how_long_it_took(seconds: float, said: str) -> None:
    assert figures.duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (89.4, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (9e6, "2,500.0 h")],
)
def test_how_long_it_will_take(seconds: float, said: str) -> None:
    assert figures.about(seconds) == said


@pytest.mark.parametrize(
    ("units", "seconds", "said"),
    [(0, 5, ""), (5, 0, ""), (30, 10, "3.0/s"), (12_345, 1, "12,345/s"), (1, 10, "6.0/min"), (1, 1000, "3.6/h")],
)
def test_a_rate_has_the_unit_that_tells_most(units: float, seconds: float, said: str) -> None:
    assert figures.rate(units, seconds) == said
