"""What the filters that look at one picture drop of real pictures, and what they find among drawn graphics.

    python experiments/quality.py DATA [--each N] [--seed N]

DATA holds `figures`, `photos`, `irrelevant`, `prints` and `prints_coloured`. Printed are, filter by filter at its
default cut, the shares of those that go, and the shares of text pages, logos, diagrams, charts, tables, screenshots and
placeholder cards, drawn here and saved as JPEG or PNG, that `graphic` finds.
"""

import argparse
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gravurekit import crafts, images, probe
from gravurekit.errors import PictureError
from gravurekit.images import Picture
from gravurekit.probe import FIGURES, Probes
from gravurekit.record import Record

FOLDERS = ("figures", "photos", "irrelevant", "prints", "prints_coloured")
WORDS = (
    "the of and a to in he was that his with as for had it her not at on which by but she from be they all have him is "
    "were this so one said there no when them an their would been or who if more upon very out up into do your any may "
    "great little garment embroidered costume however Constantinople considerable thereof silk velvet"
).split()
Rng = np.random.Generator
Color = tuple[int, int, int]


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def words(rng: Rng, count: int) -> str:
    return " ".join(WORDS[n] for n in rng.integers(0, len(WORDS), count))


def color(rng: Rng, low: int = 0, high: int = 255) -> Color:
    return tuple(int(c) for c in rng.integers(low, high, 3))  # type: ignore[return-value]


def font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(8, round(size)))


def paper(rng: Rng) -> Color:
    """White, cream, brown or grey."""
    base = int(rng.choice([255, 250, 240, 225, 200]))
    warm = int(rng.choice([0, 0, 10, 25, 45]))
    return base, base - warm // 3, base - warm


def paragraph(draw: ImageDraw.ImageDraw, rng: Rng, box: tuple[float, ...], size: float, ink: Color, leading: float):
    """Ragged or full lines of words in a column, with a short line now and then."""
    left, top, right, bottom = box
    kind = font(size)
    y = top
    while y + size * 1.2 < bottom:
        end = right if rng.random() > 0.15 else left + (right - left) * rng.uniform(0.2, 0.9)
        x = left + (size * 2 if rng.random() < 0.1 else 0)
        while True:
            word = words(rng, 1)
            wide = draw.textlength(word, kind)
            if x + wide > end:
                break
            draw.text((x, y), word, ink, kind)
            x += wide + size * 0.3
        y += size * leading
        y += size * leading * (rng.random() < 0.04)


def text_page(rng: Rng) -> Image.Image:
    """A page of print: one to three columns, head line, title; sometimes it is scanned."""
    height = int(rng.integers(500, 1700))
    width = round(height * rng.uniform(0.6, 1.4))
    image = Image.new("RGB", (width, height), paper(rng))
    draw, ink = ImageDraw.Draw(image), color(rng, 0, 70)
    columns = int(rng.integers(1, 4)) if width > 0.9 * height else int(rng.integers(1, 3))
    margin, gutter = width * rng.uniform(0.04, 0.14), width * 0.03
    size = min(height, width) / rng.uniform(22, 52) / (1 if columns == 1 else 1.2)
    top = height * rng.uniform(0.04, 0.14)
    if rng.random() < 0.4:
        draw.text((margin, top), words(rng, 3).title(), ink, font(size * 2.2))
        top += size * 4
    wide = (width - 2 * margin - gutter * (columns - 1)) / columns
    leading = rng.uniform(1.15, 1.7)
    for n in range(columns):
        left = margin + n * (wide + gutter)
        end = height * rng.uniform(0.55, 0.95) if n == columns - 1 else height * 0.94
        paragraph(draw, rng, (left, top, left + wide, end), size, ink, leading)
    return scanned(image, rng) if rng.random() < 0.6 else image


def scanned(image: Image.Image, rng: Rng) -> Image.Image:
    """Turned a little, unevenly lit, blurred, with grain."""
    turned = image.rotate(rng.uniform(-2, 2), Image.Resampling.BICUBIC, fillcolor=image.getpixel((0, 0)))
    page = cv2.GaussianBlur(np.asarray(turned, np.float32), (0, 0), rng.uniform(0.3, 1.2))
    light = cv2.resize(rng.uniform(0.82, 1.0, (3, 3)).astype(np.float32), image.size, interpolation=cv2.INTER_CUBIC)
    page = page * light[..., None] + rng.normal(0, rng.uniform(1, 6), (*page.shape[:2], 1))
    return Image.fromarray(np.clip(page, 0, 255).astype(np.uint8))


def shape(draw: ImageDraw.ImageDraw, rng: Rng, x: float, y: float, reach: float, fill: Color) -> None:
    kind = int(rng.integers(0, 4))
    if kind == 0:
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill)
    elif kind == 1:
        draw.rounded_rectangle((x - reach, y - reach * 0.7, x + reach, y + reach * 0.7), reach * 0.2, fill)
    else:
        draw.regular_polygon((x, y, reach), int(rng.integers(3, 9)), float(rng.uniform(0, 90)), fill)


def logo(rng: Rng) -> Image.Image:
    """A flat emblem of one to four colours, with a name or without."""
    side = int(rng.integers(220, 900))
    image = Image.new("RGB", (side, round(side * rng.uniform(0.5, 1.1))), color(rng) if rng.random() < 0.3 else "white")
    large = image.resize((image.width * 3, image.height * 3))
    draw = ImageDraw.Draw(large)
    x, y, reach = large.width / 2, large.height * 0.4, large.height * rng.uniform(0.2, 0.36)
    for _ in range(int(rng.integers(1, 5))):
        shape(draw, rng, x, y, reach, color(rng))
        reach *= rng.uniform(0.4, 0.8)
        x += rng.uniform(-0.3, 0.3) * reach
    if rng.random() < 0.75:
        name = words(rng, int(rng.integers(1, 3))).upper()
        draw.text((x, large.height * 0.86), name, color(rng, 0, 120), font(large.height * 0.15), "mm")
    return large.resize(image.size, Image.Resampling.LANCZOS)


def diagram(rng: Rng) -> Image.Image:
    """Boxes with words, and lines between them."""
    width, height = int(rng.integers(400, 1300)), int(rng.integers(350, 1000))
    image = Image.new("RGB", (width, height), paper(rng) if rng.random() < 0.3 else "white")
    draw, ink = ImageDraw.Draw(image), color(rng, 0, 90)
    across, down = int(rng.integers(2, 5)), int(rng.integers(2, 6))
    centers = [
        ((c + 0.5) * width / across, (r + 0.5) * height / down)
        for r in range(down) for c in range(across) if rng.random() < 0.8
    ]  # fmt: skip
    for one, other in zip(centers, centers[1:], strict=False):
        draw.line((*one, *other) if rng.random() < 0.4 else (*one, other[0], one[1], *other), ink, max(1, width // 300))
    fills = [color(rng, 150, 255), color(rng, 150, 255), (255, 255, 255)]
    for x, y in centers:
        half, tall = width / across * 0.36, height / down * 0.3
        box, fill = (x - half, y - tall, x + half, y + tall), fills[int(rng.integers(0, 3))]
        draw.rounded_rectangle(box, tall * rng.choice([0, 0.3, 0.9]), fill, ink, max(1, width // 300))
        draw.text((x, y), words(rng, 2), ink, font(min(tall * 0.7, half * 0.25)), "mm")
    return image


def chart(rng: Rng) -> Image.Image:
    """Bars, curves or a pie, with axes and numbers."""
    width, height = int(rng.integers(400, 1200)), int(rng.integers(350, 900))
    image = Image.new("RGB", (width, height), "white")
    draw, ink, size = ImageDraw.Draw(image), color(rng, 0, 110), height / 28
    left, top, right, bottom = width * 0.1, height * 0.12, width * 0.95, height * 0.88
    draw.text((width / 2, top / 2), words(rng, 4).title(), ink, font(size * 1.4), "mm")
    kind, count = int(rng.integers(0, 3)), int(rng.integers(3, 12))
    if kind == 2:
        reach, start = (bottom - top) / 2, 0.0
        for share in rng.dirichlet(np.ones(count)) * 360:
            box = (width / 2 - reach, height / 2 - reach, width / 2 + reach, height / 2 + reach)
            draw.pieslice(box, start, start + share, color(rng), ink)
            start += share
        return image
    for n in range(6):
        y = bottom - (bottom - top) * n / 5
        draw.line((left, y, right, y), (215, 215, 215), 1)
        draw.text((left - size * 0.4, y), str(n * 20), ink, font(size), "rm")
    draw.line((left, top, left, bottom, right, bottom), ink, max(1, width // 400))
    step, fill = (right - left) / count, color(rng)
    for n, value in enumerate(rng.uniform(0.05, 1, count)):
        x = left + (n + 0.5) * step
        draw.text((x, bottom + size), words(rng, 1)[:5], ink, font(size), "mm")
        if kind == 0:
            draw.rectangle((x - step * 0.35, bottom - value * (bottom - top), x + step * 0.35, bottom), fill)
    if kind == 1:
        for _ in range(int(rng.integers(1, 5))):
            xs, ys = np.linspace(left, right, count), bottom - rng.uniform(0, 1, count) * (bottom - top)
            points = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
            draw.line(points, color(rng, 0, 220), max(2, width // 250))
    return image


def table(rng: Rng) -> Image.Image:
    """Rows and columns of words and numbers, ruled."""
    width, height = int(rng.integers(400, 1300)), int(rng.integers(350, 1200))
    image = Image.new("RGB", (width, height), paper(rng) if rng.random() < 0.5 else "white")
    draw, ink = ImageDraw.Draw(image), color(rng, 0, 90)
    columns, rows = int(rng.integers(2, 7)), int(rng.integers(6, 28))
    head, stripe = color(rng, 60, 255), color(rng, 225, 255)
    wide, tall = width * 0.94 / columns, height * 0.94 / rows
    ruled = bool(rng.random() < 0.6)
    for r in range(rows):
        y = height * 0.03 + r * tall
        if r == 0 or (r % 2 and rng.random() < 0.9):
            draw.rectangle((width * 0.03, y, width * 0.97, y + tall), stripe if r else head)
        for c in range(columns):
            x = width * 0.03 + c * wide
            if ruled:
                draw.rectangle((x, y, x + wide, y + tall), None, (150, 150, 150))
            word = words(rng, 1) if c == 0 else f"{rng.uniform(0, 9999):.1f}"
            draw.text((x + wide * 0.06, y + tall / 2), word, ink, font(min(tall * 0.55, wide * 0.16)), "lm")
    return image


def screenshot(rng: Rng) -> Image.Image:
    """A window: bars, a side list, lines of text, buttons; sometimes with small pictures in it."""
    width, height = int(rng.integers(600, 1920)), int(rng.integers(500, 1100))
    dark = bool(rng.random() < 0.25)
    ground, ink = ((32, 33, 36), (220, 220, 220)) if dark else (color(rng, 240, 255), color(rng, 20, 80))
    image = Image.new("RGB", (width, height), ground)
    draw, size = ImageDraw.Draw(image), height / rng.uniform(38, 60)
    bar, side = size * 3, width * rng.uniform(0.12, 0.25)
    draw.rectangle((0, 0, width, bar), color(rng))
    draw.text((size, bar / 2), words(rng, 5), "white", font(size * 1.2), "lm")
    draw.rectangle((0, bar, side, height), tuple(max(0, c - 14) for c in ground))
    for n in range(int((height - bar) / (size * 2.2))):
        draw.text((size, bar + size * (1 + 2.2 * n)), words(rng, 2), ink, font(size))
    pictures = int(rng.integers(0, 4)) if rng.random() < 0.5 else 0
    tall = height * 0.22 if pictures else 0.0
    for n in range(pictures):
        wide = round((width - side) * 0.22)
        patch = cv2.resize(rng.uniform(20, 235, (6, 5, 3)).astype(np.float32), (wide, round(tall)))
        patch += rng.normal(0, 8, patch.shape)
        image.paste(
            Image.fromarray(np.clip(patch, 0, 255).astype(np.uint8)),
            (round(side + size + n * wide * 1.2), round(bar + size)),
        )
    box = (side + size, bar + tall + 2 * size, width * rng.uniform(0.6, 0.97), height * 0.88)
    paragraph(draw, rng, box, size, ink, 1.6)
    for n in range(3):
        x = side + size + n * size * 9
        draw.rounded_rectangle((x, height * 0.91, x + size * 7, height * 0.91 + size * 2), size / 3, color(rng))
    return image


def card(rng: Rng) -> Image.Image:
    """What a host shows in place of a picture that it doesn't have."""
    side = int(rng.integers(200, 800))
    tone = int(rng.integers(200, 256))
    image = Image.new("RGB", (side, round(side * rng.uniform(0.7, 1.3))), (tone, tone, tone))
    draw, ink, x, y = ImageDraw.Draw(image), (tone - 80,) * 3, image.width / 2, image.height * 0.42
    if rng.random() < 0.7:
        reach, thick = side * rng.uniform(0.12, 0.22), max(2, side // 90)
        draw.rectangle((x - reach, y - reach * 0.8, x + reach, y + reach * 0.8), None, ink, thick)
        draw.polygon([(x - reach, y + reach * 0.8), (x - reach * 0.3, y), (x + reach * 0.4, y + reach * 0.8)], ink)
        draw.ellipse((x + reach * 0.2, y - reach * 0.5, x + reach * 0.6, y - reach * 0.1), ink)
    text = str(rng.choice(["image not available", "No image", "404", "photo coming soon", "This image was removed"]))
    draw.text((x, image.height * 0.75), text, ink, font(side / rng.uniform(9, 18)), "mm")
    return image


GRAPHICS: dict[str, Callable[[Rng], Image.Image]] = {
    "text pages": text_page, "logos": logo, "diagrams": diagram, "charts": chart, "tables": table,
    "screenshots": screenshot, "cards": card,
}  # fmt: skip


def drawn(kind: str, count: int, seed: int) -> Iterator[np.ndarray]:
    """`count` graphics as the web sends them, JPEG more often than PNG: (H, W, 3) uint8 sRGB."""
    for n in range(count):
        rng = np.random.default_rng([seed, list(GRAPHICS).index(kind), n])
        image = GRAPHICS[kind](rng)
        if rng.random() < 0.7:
            data = io.BytesIO()
            image.save(data, "JPEG", quality=int(rng.integers(40, 92)))
            image = Image.open(data).convert("RGB")
        yield np.asarray(image)


def probed(pixels: np.ndarray, key: str) -> tuple[Record, np.ndarray]:
    """A picture in memory, as if it had been a file."""
    figures, _ = probe.measure(Picture(np.ascontiguousarray(pixels), "png", False), "0" * 64, pixels.size)
    return Record(key=key), figures


def together(rows: list[tuple[Record, np.ndarray]]) -> Probes:
    figures = np.array([row for _, row in rows], FIGURES)
    return Probes([item for item, _ in rows], figures, np.zeros(len(rows), probe.THUMBS), np.arange(len(rows)))


def real(folder: Path) -> Probes:
    """The pictures below `folder`, by the names of their files."""
    rows = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            rows.append(probed(images.read(path).pixels, str(path.relative_to(folder))))
        except PictureError as error:
            say(f"    {path.name}: {error}")
    return together(rows)


def on_white(photos: Path) -> Probes:
    """Every sixth of the photographs, what is in its middle cut out and laid on white: product shots, more or less."""
    rows = []
    for path in sorted(path for path in photos.rglob("*") if path.is_file())[::6]:
        pixels = images.read(path).pixels
        height, width = pixels.shape[:2]
        third = images.resize(pixels, width // 3, height // 3)
        mask = np.zeros(third.shape[:2], np.uint8)
        tall, wide = mask.shape
        frame = (wide // 14, tall // 14, wide - wide // 7, tall - tall // 7)
        cv2.setRNGSeed(0)
        cv2.grabCut(third, mask, frame, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_RECT)
        cover = images.resize((mask & 1).astype(np.float32), width, height).clip(0, 1)[..., None]
        if 0.1 < cover.mean() < 0.7:
            shot = np.clip(pixels * cover + 255 * (1 - cover), 0, 255).astype(np.uint8)
            rows.append(probed(images.decode(images.encode_jpeg(shot, 85)).pixels, path.name))
    return together(rows)


def two_tones(prints: Path) -> Probes:
    """The prints at 512 pixels, in black and white only."""
    rows = []
    for path in sorted(path for path in prints.rglob("*") if path.is_file()):
        pixels = images.read(path).pixels
        scale = min(1.0, 512 / max(pixels.shape))
        small = images.resize(pixels, round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        cut = max(90.0, cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)[0])
        rows.append(probed(np.repeat(np.where(grey > cut, 255, 0).astype(np.uint8)[..., None], 3, 2), path.name))
    return together(rows)


def dropped(name: str, probes: Probes) -> dict[str, str]:
    """By key, what a filter drops at its defaults, and why."""
    craft = crafts.load("filters", name)
    found = craft.drops(probes, crafts.settings_of("filters", "filter", name, {}))
    return {drop.key: drop.detail for drop in found}


def table_of(groups: dict[str, Probes], filters: list[str], details: bool) -> None:
    """A line a group: the share that each filter drops, and all that serve for photographs, or for prints, together."""
    say(" ".join([f"{'%':16}", *(f"{name:>{max(len(name), 6)}}" for name in filters), "photos prints"]))
    for group, probes in groups.items():
        lost = {name: dropped(name, probes) for name in filters}
        shares = [f"{100 * len(lost[name]) / len(probes):{max(len(name), 6)}.1f}" for name in filters]
        for subject in ("photos", "prints"):
            serving = [name for name in filters if subject in crafts.load("filters", name).SUBJECTS]
            shares.append(f"{100 * len(set().union(*(lost[name] for name in serving))) / len(probes):6.1f}")
        say(" ".join([f"{group:16}", *shares, f" of {len(probes)}"]))
        if details:
            for name, drops in lost.items():
                for key, detail in list(drops.items())[:8]:
                    say(f"    {name}: {key}: {detail}")


def main(data: Path, each: int, seed: int, details: bool) -> None:
    """Print the two tables."""
    filters = [name for name in crafts.names("filters") if not crafts.load("filters", name).COMPARES]
    groups = {name: real(data / name) for name in FOLDERS}
    groups |= {"photos on white": on_white(data / "photos"), "prints, 2 tones": two_tones(data / "prints")}
    say("What goes of real pictures, percent; last, what all filters for photographs, or for prints, take together:")
    table_of(groups, filters, details)
    say("\nWhat goes of drawn graphics, percent:")
    graphics = {
        kind: together([probed(pixels, f"{kind} {n}") for n, pixels in enumerate(drawn(kind, each, seed))])
        for kind in GRAPHICS
    }
    table_of(graphics, ["graphic", "blank", "low_entropy", "monochrome"], False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--each", type=int, default=100, help="graphics of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--details", action="store_true", help="name what goes, up to eight a filter and folder")
    given = parser.parse_args()
    main(given.data, given.each, given.seed, given.details)
