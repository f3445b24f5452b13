"""What the sample engine finds for a query: drawn figures, and among them what the web really returns."""

import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gravurekit.images import encode_jpeg, encode_png, encode_webp, resize
from gravurekit.sample import figures, oddments

PRINT_WORDS = {
    "engraving",
    "gravure",
    "gravur",
    "gravuru",
    "etching",
    "print",
    "woodcut",
    "lithograph",
    "plate",
}
COUNT = 48  # results a query


@dataclass(frozen=True)
class Item:
    """One result: its file name on the engine, its title, and what a request for it gets.

    `body` draws the bytes, at the request; `status` other than 200 is answered without a body, 429 the first time only.
    """

    name: str
    title: str
    body: Callable[[], bytes]
    status: int = 200


@dataclass(frozen=True)
class Subject:
    """What a query asks for."""

    garment: str
    colour: str | None
    as_print: bool

    def draw(self, seed: int) -> np.ndarray:
        """(H, W, 3) uint8 sRGB."""
        if self.as_print:  # half of them hatched, half in outline, as in the books
            ink = figures.draw_engraving(self.garment, seed, outline=seed % 2 == 1)
            return np.repeat(ink[..., None], 3, axis=2)
        return figures.draw_figure(self.garment, self.colour, seed)


def plain_words(query: str) -> str:
    """Lower case without accents, so that "şalvar" and "salvar" ask for the same."""
    folded = query.replace("ı", "i").replace("İ", "i").casefold()
    return "".join(c for c in unicodedata.normalize("NFKD", folded) if not unicodedata.combining(c))


def subject_of(query: str) -> Subject | None:
    """The garment, colour and medium that a query names; None if it names no garment."""
    words = plain_words(query)
    garment = next((name for name in figures.GARMENTS if name in words), None)
    if garment is None:
        return None
    colour = next((name for name in figures.COLOURS if name in words.split()), None)
    return Subject(garment, colour, bool(PRINT_WORDS & set(words.split())))


def results(query: str) -> list[Item]:
    """All results of a query in the engine's order; the same list every time."""
    subject = subject_of(query)
    if subject is None:
        return []
    slug = "-".join(plain_words(query).split())
    start = int.from_bytes(hashlib.sha256(slug.encode()).digest()[:3], "big")
    return [_item(subject, slug, start, n) for n in range(COUNT)]


def _item(subject: Subject, slug: str, start: int, n: int) -> Item:
    """Result number `n`. Of each 24 the first six are as asked; then oddities are strewn in."""
    turn = n % 24
    seed = start + n
    title = f"{slug.replace('-', ' ').capitalize()}, No. {n + 1}"

    def earlier(back: int) -> np.ndarray:
        return subject.draw(seed - back)

    oddities: dict[int, tuple[str, Callable[[], bytes], int]] = {
        6: ("jpg", lambda: encode_jpeg(_scaled(earlier(6), 0.6), 80), 200),  # a smaller copy
        7: ("png", lambda: encode_png(subject.draw(seed)), 200),
        8: ("jpg", lambda: encode_jpeg(oddments.draw_placeholder(480), 85), 200),
        9: ("jpg", lambda: encode_jpeg(subject.draw(seed), 88)[:9000], 200),  # cut short
        10: ("jpg", lambda: encode_jpeg(earlier(8), 35, subsampling=2), 200),  # compressed again
        11: ("jpg", lambda: b"", 404),
        12: ("webp", lambda: encode_webp(subject.draw(seed)), 200),
        13: ("jpg", lambda: b"<!DOCTYPE html><html><body>Please log in</body></html>", 200),
        14: ("jpg", lambda: encode_jpeg(oddments.caption(earlier(11), "photo by someone"), 85), 200),
        15: ("jpg", lambda: encode_jpeg(_grey(subject.draw(seed)), 88), 200),
        16: ("jpg", lambda: encode_jpeg(subject.draw(seed), 88), 429),
        17: ("jpg", lambda: encode_jpeg(oddments.crop_edges(earlier(15), 0.03), 88), 200),
        18: ("jpg", lambda: encode_jpeg(oddments.draw_landscape(seed, 480), 85), 200),
        19: ("jpg", lambda: encode_jpeg(earlier(16), 88), 200),  # the very same bytes at another address
        20: ("png", lambda: encode_png(oddments.draw_logo(seed, 320)), 200),
        21: ("jpg", lambda: encode_jpeg(oddments.draw_text_page(seed, 640), 85), 200),
    }
    suffix, body, status = oddities.get(turn, ("jpg", lambda: encode_jpeg(subject.draw(seed), 88), 200))
    return Item(f"{slug}/{n:03d}.{suffix}", title, body, status)


def _scaled(pixels: np.ndarray, factor: float) -> np.ndarray:
    return resize(pixels, round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))


def _grey(pixels: np.ndarray) -> np.ndarray:
    grey = np.rint(pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
