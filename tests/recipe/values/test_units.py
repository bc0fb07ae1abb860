"""Numbers with units, read and written."""

from __future__ import annotations

import pytest
from bootsmith.tasks.recipe.text.problems import Wrong
from bootsmith.tasks.recipe.values import units
from hypothesis import given
from hypothesis import strategies as some

READERS = [units.read_size, units.read_time, units.read_mode, units.read_bool, units.read_int, units.read_date]


@given(some.integers(0, 1 << 41))
def test_a_written_size_reads_back(sectors: int) -> None:
    """Every whole number of sectors has a SIZE that says it exactly."""
    assert units.read_size(units.show_size(sectors * 512)) == sectors * 512


@given(some.integers(0, 10**9), some.sampled_from("KMGT"))
def test_units_are_powers_of_1024(number: int, unit: str) -> None:
    """K, M, G and T are what their iB forms are."""
    bytes_ = number * 1024 ** ("KMGT".index(unit) + 1)
    assert units.read_size(f"{number}{unit}") == units.read_size(f"{number}{unit}iB") == bytes_


@given(some.integers(0, 10**9), some.sampled_from(["", "B", "MB", "GB", "kB", "m", " G", "Gi"]))
def test_a_size_in_other_units_is_refused_with_the_right_one(number: int, unit: str) -> None:
    """`64` and `64GB` are not guessed at: the message says what to write, where that can be meant. V16."""
    with pytest.raises(Wrong) as caught:
        units.read_size(f"{number}{unit}")
    todo = caught.value.todo
    alone = unit in ("", "B")
    if not number or (alone and number > 65536):
        assert todo == "write it like 512M, 2G or 2048s (sectors)"
        return
    meant = todo.removeprefix("did you mean ").removesuffix("?")
    assert units.read_size(meant) == number * 1024 ** ("KMGT".index(meant[-1]) + 1)
    assert meant[-1] == (unit.strip()[0].upper() if not alone else "G" if number <= 256 else "M")


@given(some.integers(0, 0o7777))
def test_modes_are_octal_as_written(mode: int) -> None:
    """0755, 755 and 0o755 are the same mode."""
    forms = {f"{mode:o}", f"{mode:04o}", f"0o{mode:o}", units.show_mode(mode)}
    assert {units.read_mode(form) for form in forms} == {mode}


@given(some.integers(0, 10**8))
def test_times_are_seconds(number: int) -> None:
    """s, m and h count seconds, and what is written reads back."""
    assert [units.read_time(f"{number}{unit}") for unit in "smh"] == [number, number * 60, number * 3600]
    assert units.read_time(units.show_time(number)) == number


@given(some.integers(315532800, 2145916799))
def test_dates_are_utc(seconds: int) -> None:
    """Every second from 1980 to 2037 can be written."""
    assert units.read_date(units.show_date(seconds)) == seconds


@given(some.integers(-(10**15) + 1, 10**15 - 1))
def test_whole_numbers_are_decimal(number: int) -> None:
    """A number reads back, whatever zeros stand before it."""
    assert units.read_int(str(number)) == number
    assert units.read_int(f"{abs(number):015}") == abs(number)


@pytest.mark.parametrize("reader", READERS)
@given(text=some.text(max_size=12))
def test_any_text_is_a_value_or_wrong(reader: object, text: str) -> None:
    """No text makes a reader fail in another way than by saying what is wrong."""
    assert callable(reader)
    try:
        said = repr(reader(text))
    except Wrong as wrong:
        said = f"{wrong.what}{wrong.todo}"
    assert said


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        (units.read_size, "12Q"), (units.read_size, "-1G"), (units.read_size, "1٣G"), (units.read_size, "1G\n"),
        (units.read_mode, "0888"), (units.read_mode, "17777"), (units.read_mode, "0x1ff"), (units.read_mode, ""),
        (units.read_bool, "True"), (units.read_bool, "yes"), (units.read_int, "1_000"), (units.read_int, "1e3"),
        (units.read_time, "1.5m"), (units.read_date, "2025-02-30"), (units.read_date, "2038-01-19"),
    ],
)  # fmt: skip
def test_near_misses_are_wrong(reader: object, text: str) -> None:
    """What only looks like a number is refused. L2."""
    assert callable(reader)
    with pytest.raises(Wrong):
        reader(text)
