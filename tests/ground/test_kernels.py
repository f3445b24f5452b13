"""Compiled functions do their work also where nothing may be written."""

from typing import Any

import numba
import numpy as np
import pytest

from gravurekit.kernels import kernel


def total(values: np.ndarray) -> float:
    """The sum, a value at a time."""
    found = 0.0
    for n in range(len(values)):
        found += values[n]
    return found


def test_a_kernel_computes_what_its_function_does() -> None:
    values = np.arange(1000.0)
    assert kernel(error_model="numpy")(total)(values) == total(values) == 499500


@pytest.mark.parametrize("error", [RuntimeError("no locator available"), OSError("read-only")])
def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    njit, asked = numba.njit, []

    def refusing(*signature: Any, **options: Any) -> Any:
        asked.append(options)
        if not options.get("cache"):
            return njit(*signature, **options)

        def refuse(function: Any) -> Any:
            raise error

        return refuse

    monkeypatch.setattr(numba, "njit", refusing)
    assert kernel(nogil=True)(total)(np.ones(7)) == 7
    assert asked == [{"cache": True, "nogil": True}, {"nogil": True}]
