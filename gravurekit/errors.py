"""The failures of gravurekit, and the exit code of each.

    GravurekitError (1)        a fault of ours
      UsageError (2)           wrong arguments or settings
        MissingExtra           an optional package is not installed
        Busy                   another process works in the folder
      SourceError (4)          a picture source failed or found nothing
        Blocked                it answered with a consent page, a captcha, or a refusal
        UnknownLayout          it answered something that its parser doesn't know
      DataError (5)            data damaged or missing
        ModelError             a trained network that can't be used
        StorageError           the disk is full, or refuses to be written
      TrainingError (6)        the training can't go on
        FailedElsewhere        because another of its processes failed, which has said why
      Interrupted (130)        Ctrl-C
      NobodyReads (141)        the reader of the results went away, as `head` does

    PictureError               ONE picture is bad: never ends a run, becomes a dropped Record
    FetchError                 ONE URL can't be fetched: the same

Every message says what failed, where, and what to do next. Only `cli.py` turns an error into an exit code.
"""

QUARANTINED = 3  # done, but some pictures killed the process that worked on them


class GravurekitError(Exception):
    """A run that can't go on."""

    exit_code = 1


class UsageError(GravurekitError):
    """Wrong arguments, settings or keyword file."""

    exit_code = 2


class MissingExtra(UsageError):
    """An optional package is needed; the message holds the line that installs it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package: pip install 'gravurekit[{extra}]'")
        self.what = what
        self.extra = extra

    def __reduce__(self) -> tuple[type["MissingExtra"], tuple[str, str]]:
        return type(self), (self.what, self.extra)  # as PictureError's


class Busy(UsageError):
    """Another process works in the folder."""

    def __init__(self, folder: str, holder: str) -> None:
        super().__init__(f"{holder} is at work in {folder}: wait until it is done, or choose another output folder")
        self.folder = folder
        self.holder = holder

    def __reduce__(self) -> tuple[type["Busy"], tuple[str, str]]:
        return type(self), (self.folder, self.holder)  # as PictureError's


class SourceError(GravurekitError):
    """A whole source failed or found nothing (one dead link is no SourceError)."""

    exit_code = 4


class Blocked(SourceError):
    """A source answered, but with a consent page, a captcha, or a plain refusal instead of results."""


class UnknownLayout(SourceError):
    """A source answered something that its parser doesn't know: its layout has changed."""


class DataError(GravurekitError):
    """A folder, receipt or shard is missing or damaged."""

    exit_code = 5


class ModelError(DataError):
    """A trained network is missing, damaged, or of another shape or version."""


class StorageError(DataError):
    """A file can't be written: no space, no permission, a folder in the way."""


class TrainingError(GravurekitError):
    """The training can't go on."""

    exit_code = 6


class FailedElsewhere(TrainingError):
    """Another process of the same training ended with `exit_code` and has said why: nothing is to be told again."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("another process of the training ended, and says why")
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type["FailedElsewhere"], tuple[int]]:
        return type(self), (self.exit_code,)


class Interrupted(GravurekitError):
    """Ctrl-C: what is done is kept, and the same command goes on."""

    exit_code = 130

    def __init__(self) -> None:
        super().__init__("interrupted; run the same command again to go on")

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[()]]:
        return type(self), ()


class NobodyReads(GravurekitError):
    """The reader of the results went away (`| head -1`): the exit code is what a shell says of any such program."""

    exit_code = 141

    def __init__(self) -> None:
        super().__init__("nobody reads the results any more")

    def __reduce__(self) -> tuple[type["NobodyReads"], tuple[()]]:
        return type(self), ()


class PictureError(Exception):
    """One picture can't be used. `reason` is a short word for counting, `detail` a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["PictureError"], tuple[str, str]]:
        # Exceptions cross process borders; the default would call __init__ with one argument.
        return type(self), (self.reason, self.detail)


class FetchError(Exception):
    """One URL couldn't be fetched. `reason` is a short word for counting, `detail` a sentence for people,
    `retry_after` the seconds of quiet that the host asked for, `body` the beginning of what it said instead."""

    def __init__(self, reason: str, detail: str, retry_after: float | None = None, body: bytes = b"") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
        self.body = body

    def __reduce__(self) -> tuple[type["FetchError"], tuple[str, str, float | None, bytes]]:
        return type(self), (self.reason, self.detail, self.retry_after, self.body)


def may_pass(reason: str) -> bool:
    """Whether a FetchError with this reason may be gone the next time."""
    return reason in ("timeout", "connection", "short-body", "http-429") or reason.startswith("http-5")
