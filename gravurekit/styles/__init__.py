"""Styles: how a photograph becomes a coloured engraving. A style is one file; its name is its name everywhere.

REVISION = 1                                             raised when the same settings draw something else
class Settings(Settings)                                 its knobs, the table [stylize.NAME]
draw(photo, settings, rng) -> Layers                     (H, W, 3) uint8 sRGB → ink and wash of the same size;
                                                         all chance comes from `rng`, a numpy Generator
redraw(ink, settings) -> plain                           a real print, (H, W) uint8 on white paper, drawn as `draw`
                                                         would draw its ink: what a network is fed that has
                                                         learnt from this style

What it may have besides:

PRESETS = {"NAME": {knob: value}}                        settings that belong together, for `--preset NAME`
MATCHED = ("KNOB", ...)                                  the knobs, all of them a settings.Range, that `--match` fits
drawn_at(settings, short_side) -> int                    the short side, px, of the photograph that `draw` wants for a
                                                         picture of `short_side`; the stage reduces by area afterwards

A style that works on what another one has drawn has, in the place of `draw` and `redraw`:

STARTS_FROM = "NAME"                                     the style that draws first, with its own table of knobs; its
                                                         `redraw` serves
refine(drawings, photos, settings, chances, side) -> [Layers]
                                                         as many of each: Layers, the photographs at the same size as
                                                         these, (H, W, 3) uint8 sRGB, and a Generator for each picture;
                                                         `side` (layers.Side): the prints to take after
forecast(count, shape, settings, side) -> seconds        about how long `refine` will take for `count` pictures of
                                                         `shape` (H, W), told before they are begun
and it may have:

check(settings, side)                                    raises UsageError for prints, features or a device that there
                                                         aren't, before any picture is drawn
note(side) -> str                                        what people should know of the features, in a line

Its knob `device`, if it has one, is no part of what decides a drawing.
"""

from types import ModuleType

from gravurekit.settings import Settings


def drawn_at(style: ModuleType, knobs: Settings, short_side: int) -> int:
    """The short side, px, at which a style draws a picture of `short_side`: never below it."""
    return max(short_side, int(style.drawn_at(knobs, short_side))) if hasattr(style, "drawn_at") else short_side
