"""Styles: how a photograph becomes a coloured engraving. A style is one file; its name is its name everywhere.

REVISION = 1                                             raised when the same settings draw something else
class Settings(Settings)                                 its knobs, the table [stylize.NAME]
draw(photo, settings, rng) -> Layers                     (H, W, 3) uint8 sRGB → ink and wash of the same size;
                                                         all chance comes from `rng`, a numpy Generator
redraw(ink, settings) -> plain                           a real print, (H, W) uint8 on white paper, drawn as `draw`
                                                         would draw its ink: what a network is fed that has
                                                         learnt from this style
"""
