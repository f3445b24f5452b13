"""Functions compiled by numba at their first call, and kept on disk where that may be written.

Kernels that call each other stay in one file, because the store doesn't see a change in another.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(*signature: Any, **options: Any) -> Callable[[Function], Function]:
    """Compile a function, as `numba.njit` with these arguments does. Where neither the package's folder nor the user's
    can be written it is compiled anew in each process, which takes seconds; NUMBA_CACHE_DIR names another place."""

    njit: Any = numba.njit

    def decorate(function: Function) -> Function:
        try:
            return njit(*signature, cache=True, **options)(function)
        except (RuntimeError, OSError):  # there is no such place, or the disk is full
            return njit(*signature, **options)(function)

    return decorate
