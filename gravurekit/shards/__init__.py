"""Shards: Lab tensors for training, each traceable to its picture. numpy and safetensors only.

A shards folder holds, beside `dropped.jsonl` and `receipt.json`:

    train-00000.safetensors …   up to 512 samples each; also val-… and test-…
        L      (N, 1, H, W) uint8    L of the plain print; OpenCV's 8-bit scaling, L·255/100
        wash   (N, 3, H, W) uint8    Lab of the colour wash; L·255/100, a+128, b+128; CIE Lab, D65, 2°
        label  (N,)         int32    index into the manifest's classes; -1 is none
        box    (N, 4)       uint16   y0, x0, y1, x1: where the picture lies; the rest is padding
        crc32  (N,)         uint32   of the bytes of L, wash, label and box
    index.jsonl                 a line for each sample: split, shard, row, and the picture's key, URL, licence …
    manifest.json               written last but the receipt: format, classes, counts, sha256 of each file
"""

FORMAT = 1
SPLITS = ("train", "val", "test")
MANIFEST = "manifest.json"
INDEX = "index.jsonl"
LEARNED = "learned_from.jsonl"  # in the folder of a training: the lines of the index that the network learned from
ENCODING = {
    "format": str(FORMAT),
    "color": "CIE Lab, D65, 2 degree observer, from sRGB",
    "scaling": "8-bit as OpenCV: L*255/100, a+128, b+128",
    "input": "L of the plain print (ink on white paper, no colour)",
    "target": "Lab of the colour wash (no ink)",
}
