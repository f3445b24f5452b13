"""Without the extra `clip`, `--relevance clip` says how to install it, and looks at nothing else."""

import sys

import pytest

from gravurekit.errors import MissingExtra
from gravurekit.relevance import clip


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"pip install 'gravurekit\[clip\]'") as caught:
        clip.open_scorer("no/such/weights", device="no such device")
    assert (caught.value.extra, caught.value.exit_code) == ("clip", 2)


def test_importing_it_loads_no_heavy_library() -> None:
    import subprocess

    code = (
        "import sys, gravurekit.relevance.clip; sys.exit(', '.join({'torch', 'transformers'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
