"""The failures keep their meaning, also across processes."""

import pickle

import pytest

from gravurekit import errors

EXAMPLES: list[Exception] = [
    errors.GravurekitError("a"),
    errors.UsageError("a"),
    errors.MissingExtra("a style", "styles"),
    errors.Busy("raw", "process 7"),
    errors.SourceError("a"),
    errors.Blocked("a"),
    errors.UnknownLayout("a"),
    errors.DataError("a"),
    errors.ModelError("a"),
    errors.StorageError("a"),
    errors.TrainingError("a"),
    errors.FailedElsewhere(5),
    errors.Interrupted(),
    errors.NobodyReads(),
    errors.PictureError("unreadable", "torn"),
    errors.FetchError("http-429", "patience", 3.5, b"wait"),
]


def test_every_failure_has_an_example_here() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert kinds == {type(example) for example in EXAMPLES}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_a_failure_crosses_process_borders_whole(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.GravurekitError, 1), (errors.UsageError, 2), (errors.MissingExtra, 2), (errors.SourceError, 4),
        (errors.Blocked, 4), (errors.UnknownLayout, 4),
        (errors.DataError, 5), (errors.ModelError, 5), (errors.StorageError, 5), (errors.TrainingError, 6),
        (errors.Interrupted, 130),
    ],
)  # fmt: skip
def test_exit_codes_are_those_of_the_design(kind: type[errors.GravurekitError], code: int) -> None:
    assert kind.exit_code == code


def test_a_bad_picture_or_link_never_ends_a_run() -> None:
    assert not any(issubclass(kind, errors.GravurekitError) for kind in (errors.PictureError, errors.FetchError))
