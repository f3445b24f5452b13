"""What people see: progress and notes on stderr, results on stdout."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from gravurekit import reference
from gravurekit.doctor import Diagnosis, text
from gravurekit.errors import may_pass
from gravurekit.figures import duration, number, rate
from gravurekit.folder import Summary
from gravurekit.metadata import DROPPED
from gravurekit.objects import shown
from gravurekit.pipeline import Prospect
from gravurekit.progress import Tally
from gravurekit.receipt import RECEIPT
from gravurekit.reference import Knob
from gravurekit.reports import Report
from gravurekit.reports.credits import Credits
from gravurekit.screen import MESSAGES, NARROW, RESULTS, complain, put, put_json, put_table, tell
from gravurekit.stages import crawl, evaluate_colours
from gravurekit.stages.evaluate import Evaluation
from gravurekit.stages.forget import Forgotten
from gravurekit.watching import failures, name_of, watching

__all__ = ["MESSAGES", "RESULTS", "complain", "watching"]  # what verbs need of the rooms below

DEVIATIONS = 10  # figures of texture that are told


def show(summary: Summary, as_json: bool) -> None:
    """One line a stage, or one JSON object, on stdout."""
    if as_json:
        put_json(asdict(summary))
        return
    tell(summary.stage, _said(summary), summary.out, "fresh" if summary.fresh else duration(summary.seconds))
    _show_files(summary)
    if "quarantined" in summary.dropped:
        RESULTS.print(f"  quarantined: {summary.out / DROPPED} says why; without {RECEIPT} there they are tried again")
    if "keywords" in summary.facts:
        _show_keywords(summary)
    if "relevance" in summary.facts:
        _show_relevance(summary)


def _said(summary: Summary) -> str:
    """What came in, what stayed, what was dropped why."""
    if summary.stage == "train":
        said = f"{number(summary.kept)} pictures"
        if not summary.fresh:
            said += f", {rate(summary.facts['samples_per_second'], 1)} on {summary.facts['device']}"
            said += f" ({100 * summary.facts['waiting']:.1f} % of the time waiting for them)"
    elif off := summary.facts.get("largest difference"):
        said = f"the network; onnxruntime is at most {off['ab']:.1g} ab units from torch"
    else:
        came = f"{number(summary.came)} in"
        if photographs := summary.facts.get("photographs"):  # each was drawn several times
            came = f"{number(photographs)} photographs × {summary.came // photographs}"
        said = f"{came}, {number(summary.kept)} kept"
    if summary.dropped:
        said += f", {number(sum(summary.dropped.values()))} dropped ({_counts(summary.dropped)})"
    return f"{said}; {_counts(summary.facts['samples'])}" if summary.stage == "shard" else said


def _counts(counts: Mapping[str, int]) -> str:
    """What there is how often: `duplicate 29, irrelevant 27`."""
    return ", ".join(f"{name} {number(count)}" for name, count in counts.items())


def _show_files(summary: Summary) -> None:
    for file in summary.facts.get("files", []):
        RESULTS.print(f"  {summary.out / file}")


def _show_keywords(summary: Summary) -> None:
    """What came of each keyword of a crawl, and of each search that brought nothing."""
    names = ("keyword", "found", "new", "known", "duplicate", "kept", "failed")
    rows = []
    for word, counts in summary.facts["keywords"].items():
        tally = Tally(**{name: counts[name] for name in ("found", "new", "known", "duplicate", "refused")})
        tally.failed.update(counts["failed"])
        if summary.fresh:  # what was new then is known now
            tally.known, tally.new = tally.known + tally.new, 0
        numbers = (tally.found, tally.new, tally.known, tally.duplicate, counts["kept"])
        rows.append((name_of(word), *numbers, failures(tally)))
    shown_columns = len(names) if any(row[-1] for row in rows) else len(names) - 1
    put_table(
        names[:shown_columns], [row[:shown_columns] for row in rows], ("keyword", "failed"), wraps=["failed"], indent=2
    )
    for word, outcomes in summary.facts["searches"].items():
        for source, outcome in outcomes.items():
            if outcome != "found":
                RESULTS.print(f"  {source}, {word!r}: {outcome}")
    again = {reason for counts in summary.facts["keywords"].values() for reason in counts["failed"]}
    # 403 is what some hosts say when they mean 429
    if passing := sorted(reason for reason in again if may_pass(reason) or reason in ("http-403", "not-asked")):
        RESULTS.print(f"  to ask again: --retry failed:{','.join(passing)}")


def _show_relevance(summary: Summary) -> None:
    """What a cut by each score would drop."""
    if "examples auc" in summary.facts:
        RESULTS.print(f"  examples that weren't learnt from are told apart with AUC {summary.facts['examples auc']}")
    for name, about in summary.facts["relevance"].items():
        counts = ", ".join(f"{number(count)} at {cut}" for cut, count in about["would drop"].items())
        said = f"cut at {about['cut']:g}" if about["cut"] else f"no cut (--min-{name})"
        RESULTS.print(f"  {name}: {said}; of all pictures lie below: {counts}")


def show_table(done: Sequence[Summary]) -> None:
    """A line a stage on stdout, in columns: what came, what stayed, how long it took, what was dropped why."""
    if RESULTS.draws and RESULTS.width < NARROW:
        for item in done:
            show(item, as_json=False)
        return
    names = ("stage", "in", "kept", "took", "rate", "out", "dropped")
    put_table(names, map(_row, done), words=("stage", "out", "dropped"), wraps=["dropped"])
    for item in done:
        _show_files(item)


def _row(item: Summary) -> tuple[str | int, ...]:
    dropped = f"{number(sum(item.dropped.values()))}: {_counts(item.dropped)}" if item.dropped else "0"
    # of a training's pictures each is seen many times
    pace = rate(item.facts.get("samples_per_second", 0), 1) if item.stage == "train" else rate(item.came, item.seconds)
    when = ("fresh", "") if item.fresh else (duration(item.seconds), pace)
    return item.stage, item.came, item.kept, *when, shown(str(item.out)), dropped


def show_results(prospects: Iterable[crawl.Prospect], as_json: bool) -> None:
    """What a crawl would fetch, a URL a line on stdout; as JSON with all that is known of each, also of those that
    wouldn't be fetched."""
    for prospect in prospects:
        if as_json:
            line = asdict(prospect) | asdict(prospect.result)
            put_json({name: value for name, value in line.items() if name != "result"})
        elif prospect.state == "new":
            RESULTS.print(prospect.result.url)


def show_prospect(prospect: Prospect, as_json: bool) -> None:
    """What a stage would do, and why, on stdout."""
    if as_json:
        fresh = not prospect.reasons
        put_json({"stage": prospect.stage, "out": prospect.out, "fresh": fresh, "reasons": prospect.reasons})
        return
    said = f"would run: {'; '.join(prospect.reasons)}" if prospect.reasons else "fresh"
    RESULTS.print(f"{prospect.stage:<9} {said}")


def show_file(path: Path) -> None:
    """The name of a file that was written, on stdout."""
    RESULTS.print(str(path))


def show_files(paths: Sequence[Path], as_json: bool) -> None:
    """The names of files that were written, on stdout."""
    if as_json:
        put_json({"files": paths})
    else:
        for path in paths:
            show_file(path)


def show_studio(address: str, in_browser: bool, as_json: bool, quiet: bool) -> None:
    """Where the studio's page is, on stdout, as soon as it can be opened."""
    if as_json:
        put_json({"address": address})
    else:
        put(f"{address}\n")
    RESULTS.file.flush()
    if not quiet:
        MESSAGES.print("  Ctrl-C ends it")
    if in_browser:
        import webbrowser

        webbrowser.open(address)


def show_made(path: Path, as_json: bool) -> None:
    """The file that was made instead of a folder, on stdout."""
    if as_json:
        put_json({"out": path})
    else:
        show_file(path)


def show_knobs(knobs: Sequence[Knob], as_json: bool) -> None:
    """The settings in force, on stdout: a settings file with the origin of each value, or a JSON object a line."""
    if not as_json:
        put(reference.shown(knobs))
        return
    for knob in knobs:
        put_json(asdict(knob))


def show_report(made: Report, as_json: bool) -> None:
    """Where the page is, and what it shows, on stdout."""
    if as_json:
        plots = {"plots": [str(path) for path in made.plots]} if made.plots else {}
        told = {"out": str(made.out), "kind": made.kind} | dict(made.facts) | plots
        sys.stdout.write(shown(json.dumps(told)) + "\n")
        return
    RESULTS.print(f"report: {made.said} → {made.out}")
    for path in made.plots:
        RESULTS.print(f"  {path}")


def _print_table(lines: Sequence[Sequence[str]]) -> None:
    """A head, and a line a row: words first, then numbers."""
    if lines:
        put_table(lines[0], lines[1:], words=lines[0][:1], wraps=lines[0][1:])


def show_evaluation(made: Evaluation, lines: Sequence[Sequence[str]], as_json: bool) -> None:
    """The figures of a style beside those of controls and books, what is wrong with its texture, and where the report
    is, on stdout."""
    if as_json:
        put_json(asdict(made))
        return
    _print_table(lines)
    for item in made.deviations[:DEVIATIONS]:
        if item.outside:
            RESULTS.print(f"  {item.name}: {item.value:+.2f} sd; books {item.least:+.2f} to {item.most:+.2f}")
    for name in made.doubts:
        RESULTS.print(f"  not to be believed: {name!r} does as well as a book in both J and T")
    tell("evaluate", f"{number(made.style.pictures)} drawings of {made.style.name}", f"{made.out}, {made.sheet}")


def show_colours(made: evaluate_colours.Evaluation, as_json: bool) -> None:
    """The figures of a network's colours beside those who know none, and where the report is, on stdout."""
    if as_json:
        put_json(evaluate_colours.as_json(made) | {"out": made.out, "sheet": made.sheet})
        return
    for name, part in {"held-back samples": made.samples, **made.prints}.items():
        RESULTS.print(name or "real prints")
        _print_table(evaluate_colours.table(part))
    _print_table(evaluate_colours.gains_table(made.samples))
    _print_table(evaluate_colours.curve_table(made.samples))
    for line in evaluate_colours.notes(made):
        RESULTS.print(f"  {line}")
    tell("evaluate", f"{made.run} on {number(len(made.samples.pictures))} samples", f"{made.out}, {made.sheet}")


def show_credits(made: Credits, as_json: bool) -> None:
    """How many pictures have which licence, and where that is written, on stdout."""
    if as_json:
        put_json(asdict(made))
        return
    counts = dict(made.licenses) | ({"no known licence": made.unknown} if made.unknown else {})
    tell("credits", f"{number(made.pictures)} pictures ({_counts(counts)})")
    for file in made.files:
        RESULTS.print(f"  {file}")


def show_forgotten(made: Forgotten, as_json: bool) -> None:
    """What went from where, and what can't be taken back, on stdout."""
    if as_json:
        put_json(asdict(made))
        return
    _print_table(made.table)
    for line in made.lines:
        RESULTS.print(line)


def show_diagnosis(diagnosis: Diagnosis, as_json: bool) -> None:
    """What doctor found, on stdout."""
    if as_json:
        put_json(asdict(diagnosis))
    else:
        put(shown(text(diagnosis)) + "\n")


def workspace_file(given: Path | None) -> Path | None:
    """The settings file: the one that was named, or ./gravurekit.toml if there is one."""
    default = Path("gravurekit.toml")
    return given or (default if default.is_file() else None)
