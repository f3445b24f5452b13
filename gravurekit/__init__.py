"""gravurekit: from a list of words to a coloured engraving."""

__version__ = "0.1.0"
