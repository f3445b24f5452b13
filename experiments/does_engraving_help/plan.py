"""Which networks are trained, and what each is tested on. All that decides a training decides its result's digest.

The three arms of the question learn the same wash, of the same photographs, in the same number of steps; they differ in
what they are fed. The ablations each change one thing of the arm `engrave`, in the order in which the question asks.
"""

from dataclasses import asdict, dataclass
from typing import Any

from gravurekit.settings import digest

STEPS, BATCH = 1000, 16
# all that decides a training, so that another default of the toolkit's is no other experiment; the last ones don't
BASE = ("--steps", str(STEPS), "--batch", str(BATCH), "--accumulate", "1", "--recipe", "default", "--head", "average",
        "--palette", "--hints", "--lightness", "--no-bins", "--learning-rate", "0.001", "--weight-decay", "0.01",
        "--rebalance", "0.02", "--class-weight", str(1 / 300), "--lightness-weight", "0.5", "--average", "0.999",
        "--crop", "1", "--tone", "0.2", "--blur", "0.5", "--noise", "2", "--photographs", "0", "--palette-drop", "0.25",
        "--hint-share", "0.5", "--hint-weight", "20", "--validate-every", str(STEPS),
        "--checkpoint-every", "400", "--keep", "1", "--panels", "0")  # fmt: skip

SIZE = 128  # px
HELD_BACK, VALIDATED, TESTED = 120, 40, 100  # pictures: the splits test and val; and those of test that are measured
FEW = 60  # pictures of the training that `transfer` draws as well
REFINED = 200  # pictures of the training of the arm `refined`
MELTED = 4.0  # px at a short side of 512: what is left of the lines at SIZE is tone
TRANSFER_SIDE = 256  # px; refining takes seconds a picture
MATERIAL = (SIZE, HELD_BACK, VALIDATED, TESTED, FEW, REFINED, MELTED, TRANSFER_SIDE)

PRIMARY = ("etching", "transfer")  # prints that nobody learns from, by the hand that drew those of `engrave`
FOREIGN = ("line-screen", "outlines")  # by other hands
ELSEWHERE = ("etching", "transfer", "line-screen")  # where a change of what is fed should show
OWN = ("photo", "cartoon", "engrave")  # what one of the arms has learnt from


@dataclass(frozen=True)
class Entry:
    """One network: what it is called, the drawings it learns from, the seed, the `train` flags besides BASE (a later
    flag wins), the `shard` flags, the drawings that it is tested on, a patch of patched.py, if any; and the network
    from which it differs in one thing."""

    name: str
    shards: str
    seed: int
    train: tuple[str, ...] = ()
    sharded: tuple[str, ...] = ()
    tests: tuple[str, ...] = PRIMARY
    patch: str = ""
    versus: str = "engrave"

    @property
    def digest(self) -> str:
        """Of all that decides what it learns: its result is called by that."""
        said = {name: value for name, value in asdict(self).items() if name not in ("tests", "versus")}
        return digest([BASE, MATERIAL, said])[:12]


def arms(seeds: int) -> list[Entry]:
    """Seed by seed, so that what is there after any of them can be compared."""
    tests = (*PRIMARY, *FOREIGN)
    own = {"photo": ("as-soft", "as-toned", "photo"), "cartoon": ("as-cartoon", "cartoon"), "engrave": ("engrave",)}
    return [Entry(name, name, seed, tests=(*tests, *more)) for seed in range(seeds) for name, more in own.items()]


def ablations() -> list[Entry]:
    """One seed each, in the order of the question, to be compared with the arm `engrave` of that seed."""

    def entry(name: str, *train: str, shards: str = "engrave", **more: Any) -> Entry:
        return Entry(name, shards, 0, train, **{"tests": PRIMARY[:1], **more})

    return [
        entry("melted lines", shards="soft", tests=("as-soft",)),
        entry("20 % photographs", "--photographs", "0.2", tests=ELSEWHERE),
        entry("no rebalancing", "--rebalance", "0"),
        entry("squared error", "--rebalance", "0", patch="mse", versus="no rebalancing"),
        entry("bins", "--bins"),
        entry("no palette", "--no-palette"),
        entry("no hints", "--no-hints"),
        entry("no lightness", "--no-lightness"),
        entry("fed the coloured print", sharded=("--input", "print"), tests=(*ELSEWHERE, "coloured")),
        entry("matched to books", shards="matched", tests=ELSEWHERE),
        entry("no global features", patch="no-global"),
        entry("no classes", "--class-weight", "0"),
        entry("as few, not refined", shards="as-few", tests=ELSEWHERE),
        entry("refined", shards="refined", versus="as few, not refined", tests=ELSEWHERE),
    ]
