"""Arbitrary Records, for property tests."""

from hypothesis import strategies as st

from gravurekit.record import Record

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FIGURE = st.floats(allow_nan=False, allow_infinity=False)
FIELDS = {
    str: TEXT,
    int: st.integers(-(2**31), 2**31),
    tuple[str, ...]: st.lists(TEXT, max_size=3).map(tuple),
    dict[str, float]: st.dictionaries(TEXT, FIGURE, max_size=3),
    int | None: st.none() | st.integers(0, 99),
}
RECORDS = st.builds(Record, **{name: FIELDS[about.annotation] for name, about in Record.model_fields.items()})
