"""Which networks are trained, and what each is tested on. Changing an entry changes its digest, and so makes a new run.

The three arms of the question learn the same wash, of the same photographs, in the same number of steps; they differ in
what they are fed. The ablations each change one thing of the arm `engrave`, in the order in which the question asks.
"""

from dataclasses import asdict, dataclass

from gravurekit.settings import digest

STEPS, BATCH = 1000, 16
BASE = ("--steps", str(STEPS), "--batch", str(BATCH), "--photographs", "0", "--validate-every", str(STEPS),
        "--checkpoint-every", "400", "--keep", "1", "--panels", "0")  # fmt: skip

UNSEEN = ("etching", "transfer")  # styles of print that nobody learns from
OWN = ("photo", "cartoon", "engrave")


@dataclass(frozen=True)
class Entry:
    """One network: what it is called, the drawings it learns from, the seed, the `train` flags besides BASE (a later
    flag wins), the `shard` flags, and the drawings that it is tested on."""

    name: str
    shards: str
    seed: int
    train: tuple[str, ...] = ()
    sharded: tuple[str, ...] = ()
    tests: tuple[str, ...] = UNSEEN

    @property
    def digest(self) -> str:
        """Of all that is said of it here: its result is called by that."""
        return digest(["does engraving help", 1, BASE, asdict(self)])[:12]


def arms(seeds: int) -> list[Entry]:
    """Seed by seed, so that what is there after any of them can be compared."""
    own = {"photo": (*UNSEEN, *OWN), "cartoon": (*UNSEEN, "as-cartoon", *OWN), "engrave": (*UNSEEN, *OWN)}
    return [Entry(name, name, seed, tests=tests) for seed in range(seeds) for name, tests in own.items()]


def ablations() -> list[Entry]:
    """One seed each, in the order of the question; the arm `engrave` of the same seed is what they are compared with."""
    return []
