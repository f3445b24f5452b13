"""gravurekit: from a list of words to a coloured engraving."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gravurekit.colorizer import Colorizer, Coloured, Hint, Look, Steer, palette

__version__ = "0.1.0"
__all__ = ["Coloured", "Colorizer", "Hint", "Look", "Steer", "palette"]


def __getattr__(name: str) -> Any:
    """What other people's programs import from here is loaded when they ask for it: torch takes its time."""
    if name in __all__:
        from gravurekit import colorizer

        return getattr(colorizer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
