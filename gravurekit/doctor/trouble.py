"""What damaged files and broken packages raise, and how it is told in a line."""

# What files of any content, and names of any form, can raise. struct, json, UTF-8, NUL in a name: all ValueError.
UNREADABLE = (OSError, ValueError, RecursionError, OverflowError)
MISSHAPEN = (*UNREADABLE, KeyError, TypeError, AttributeError)  # and JSON that isn't what we wrote
BROKEN_IMPORT = (ImportError, OSError, RuntimeError, AttributeError, ValueError)  # libraries that don't fit together


def reason(error: BaseException) -> str:
    """The first line of an error, short."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = (text or type(error).__name__).splitlines()[0]
    return line if len(line) <= 160 else line[:159] + "…"
