"""Measures: is a drawing taken for a print, how far is its texture from prints, what did it keep of its photograph."""
