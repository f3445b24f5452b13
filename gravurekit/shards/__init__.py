"""Shards: Lab tensors for training, each traceable to its picture. numpy only.

A shards folder holds, beside `dropped.jsonl` and `receipt.json`:

    train-00000-1a2b3c4d.safetensors …   512 samples each, the last one fewer; also val-… and test-…
        L        (N, 1, H, W) uint8    lightness of what the network is fed; OpenCV's 8-bit scaling, L·255/100
        wash     (N, 3, H, W) uint8    Lab of what it learns; L·255/100, a+128, b+128; CIE Lab, D65, 2°
        L_photo  (N, 1, H, W) uint8    lightness of the photograph, if it was asked for
        label    (N,)         int32    index into the manifest's classes; -1 is none
        crc32    (N,)         uint32   of the bytes of a sample's L, wash, L_photo, label and box, in this order
        box      (N, 4)       uint16   y0, x0, y1, x1: where the picture lies; the rest is padding
    index.jsonl                 a line for each sample: split, shard, row, and the picture's key, URL, licence …
    splits.jsonl                the split of each picture that ever was in one, so that none moves later
    manifest.json               written last but the receipt: format, classes, counts, palettes, sha256 of each file

A file is named by its split, its number and its sha256, and never changed: another one has another name. Its tensors
begin at byte 4096, without gaps; `format` and the meaning of the numbers are in its `__metadata__` as well.
"""

import re

FORMAT = 2
SPLITS = ("train", "val", "test")
MANIFEST = "manifest.json"
INDEX = "index.jsonl"
PARQUET = "index.parquet"  # the same, if it was asked for
TABLE = "splits.jsonl"
OURS = re.compile(r"(train|val|test)-\d{5,}(-[0-9a-f]{8})?\.safetensors")  # how shards are named, also older ones
LEARNED = "learned_from.jsonl"  # in the folder of a training: the lines of the index that the network learned from
INHERITED = "learned_before.jsonl"  # … and those that the network it began from had learned from

PLANES = {"L": 1, "wash": 3, "L_photo": 1}  # the tensors that are pictures, and how many planes each has
ENCODING = {
    "format": FORMAT,
    "color": "CIE L*a*b*, illuminant D65, 2 degree observer, from sRGB (IEC 61966-2-1)",
    "scaling": "8 bits as OpenCV has them: L*255/100, a+128, b+128",
}
MEANINGS = {
    "plain": "L of the plain print: ink on white paper, no colour",
    "print": "L of the coloured print: wash, ink and paper together",
    "photo": "L of the photograph",
}
TARGETS = {"wash": "Lab of the colour wash, without ink", "photo": "Lab of the photograph"}
