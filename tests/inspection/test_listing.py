"""Lines of ls: names alone, or everything that ls -l tells, with the names that the image gives its owners."""

from __future__ import annotations

from bootsmith.tasks.inspection import listing, system_tree
from bootsmith.tasks.inspection.opening import looked_into

from tests.support.whole_disk import WholeDisk


def listed(disk: WholeDisk, path: str, *, long: bool = False, recursive: bool = False) -> list[str]:
    with looked_into(disk.raw) as image:
        tree, within = system_tree.of(image, path)
        return list(listing.lines(tree, tree.find(within), long=long, recursive=recursive))


def test_names_come_sorted_and_move_no_cursor(whole: WholeDisk) -> None:
    """One a line; what a terminal would obey is escaped (L21)."""
    found = listed(whole, "/etc")
    assert found == sorted(found)
    assert "odd name\\x1b" in found
    assert listed(whole, "/etc/motd") == ["motd"]


def test_all_below_a_directory_comes_by_path(whole: WholeDisk) -> None:
    """Mounted partitions among it."""
    found = listed(whole, "/boot", recursive=True)
    assert "/boot/efi/loader/loader.conf" in found
    assert all(each.startswith("/boot/") for each in found)


def test_long_lines_tell_everything(whole: WholeDisk) -> None:
    """Mode, owners by the image's own names, size or device, time, target."""
    rows = {line.split()[-1]: line.split() for line in listed(whole, "/usr/bin", long=True)}
    assert rows["tool"][:4] == ["-rwsr-xr-x", "root", "ann", "10"]
    assert listed(whole, "/home/ann", long=True)[0].split()[:4] == ["-rw-r--r--", "ann", "ann", "5"]
    (null,) = (line for line in listed(whole, "/usr", long=True) if line.endswith(" null"))
    assert null.startswith("crw-r--r-- root root 1, 3 ")
    (link,) = (line for line in listed(whole, "/etc", long=True) if "abs" in line)
    assert link.startswith("lrwxrwxrwx")
    assert link.endswith("abs -> /etc/motd")


def test_times_beyond_any_calendar_are_numbers() -> None:
    """A guest may write any."""
    assert listing.when(0) == "1970-01-01 00:00:00"
    assert listing.when(10**30) == f"@{10**21}"
