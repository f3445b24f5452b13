"""What people see of the flags that ask a verb for something else than its work."""

from dataclasses import asdict

from gravurekit.errors import DataError
from gravurekit.figures import number
from gravurekit.screen import RESULTS, put_json, put_table, tell
from gravurekit.stages._calibrate import Calibration
from gravurekit.stages._explain import Explanation
from gravurekit.stages._match import Match
from gravurekit.stages._verify import Verification


def show_explanation(why: Explanation, as_json: bool) -> None:
    """Why a picture is kept or dropped, on stdout."""
    if as_json:
        put_json(asdict(why))
        return
    RESULTS.print(f"{why.key}  {why.file}")
    because = f": {why.reason} ({why.detail})" if why.reason else ""
    RESULTS.print(f"  {why.verdict}{because}")
    if why.kept_key:
        RESULTS.print(f"  kept instead: {why.kept_key}  {why.kept_file}")
    elif why.cluster and why.cluster != why.key:
        RESULTS.print(f"  a copy of {why.cluster}, kept by hand")
    if why.copies:
        RESULTS.print(f"  dropped as its copies: {', '.join(why.copies)}")
    if why.stale:
        RESULTS.print(f"  that was before: {'; '.join(why.stale)}")
    if why.now:
        RESULTS.print("at the present settings")
    for name, said in why.now.items():
        RESULTS.print(f"  {name.replace('_', ' '):<16} {said or 'passes'}")
    if why.scores:
        RESULTS.print("figures")
        RESULTS.print("  " + ", ".join(f"{name} {value:g}" for name, value in why.scores.items()))
    if why.unmeasured:
        pictures = "picture" if why.unmeasured == 1 else "pictures"
        RESULTS.print(f"not compared with {why.unmeasured} {pictures} that no run has measured yet")
    if why.nearest:
        RESULTS.print("most like it")
    for near in why.nearest:
        RESULTS.print(
            f"  {near.key}  code distance {near.distance} of 256, correlation {near.correlation:.2f}, colours "
            f"{near.color:.1f} apart, in a patch {near.patch:.1f}  {near.file}"
        )


def show_calibration(found: Calibration, as_json: bool) -> None:
    """Which edited copies would be found, and which pictures are taken for one, on stdout."""
    if as_json:
        put_json(asdict(found))
        return
    names = ("edit", "found", "of", "share", "of another", "missed")
    rows = []
    for row in found.recalls:
        missed = ", ".join(row.missed[:3]) + (" …" if len(row.missed) > 3 else "")
        rows.append((row.edit, row.found, row.pictures, f"{100 * row.share:.1f} %", row.wrong, missed))
    put_table(names, rows, words=("edit", "missed"), wraps=["missed"])
    doubt = ": look whether they are" if found.twins else ""
    RESULTS.print(f"pictures edited: {number(found.pictures)}; compared with one another: {number(found.compared)}")
    RESULTS.print(f"{len(found.twins)} of these are taken for copies of others{doubt}")
    for pair in found.twins:
        RESULTS.print(f"  {pair.file}  of  {pair.kept}  ({pair.detail})")


def show_verification(found: Verification, as_json: bool) -> None:
    """What is damaged in a shards folder, on stdout. Raises DataError if anything is."""
    if as_json:
        put_json(asdict(found))
    else:
        for damage in found.damages:
            row = f", row {damage.row}" if damage.row >= 0 else ""
            whose = f" ({', '.join(filter(None, (damage.key, damage.url)))})" if damage.key else ""
            RESULTS.print(f"{found.folder / damage.file}{row}{whose}: {damage.what}")
        shards, samples, faults = map(number, (found.files, found.samples, len(found.damages)))
        tell("verify", f"{shards} shards, {samples} samples, {faults} faults", found.folder)
    if found.damages:
        raise DataError(
            f"{found.folder} is damaged: remove what is, and run `gravurekit shard` again, which makes it anew"
        )


def show_match(match: Match, as_json: bool) -> None:
    """What came of a fit, on stdout."""
    if as_json:
        put_json(asdict(match))
        return
    tone, edges = match.kept
    about = f"{match.before:.2f} → {match.after:.2f} from {match.prints} prints"
    kept = f"tone {tone:.2f} and edges {edges:.2f} of {match.photographs} photographs kept"
    tell("match", f"{match.style}: textures {about}; {kept}", match.out)
    RESULTS.print(f"  draw with it: --preset {match.out}")
