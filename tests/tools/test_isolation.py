"""The walls that are tried, in order."""

from __future__ import annotations

import pytest
from bootsmith.tasks.tools.isolation import GUARDS, Wall, command, walls


def tried(*, root: bool, uid: int, network: bool = False) -> list[Wall]:
    """Return the walls for a program."""
    return list(walls(root=root, network=network, uid=uid))


@pytest.mark.parametrize("uid", [0, 1000])
def test_plain_programs_run_even_without_a_wall(uid: int) -> None:
    """The last resort for a plain program is no namespace at all, and only that says what it loses."""
    found = tried(root=False, uid=uid)
    assert [wall.namespaced for wall in found] == [True] * (len(found) - 1) + [False]
    assert [bool(wall.caveat) for wall in found] == [False] * (len(found) - 1) + [True]


@pytest.mark.parametrize("uid", [0, 1000])
def test_root_of_a_tree_never_runs_without_a_wall(uid: int) -> None:
    """What mounts and changes owners has a mount namespace, or is refused."""
    for wall in tried(root=True, uid=uid):
        assert {"--mount", "--pid", "--kill-child"} <= set(wall.unshare)


def test_only_who_is_root_already_needs_no_user_namespace() -> None:
    """Root's first wall maps no ids, so that root needs no line in /etc/subuid; a user's ids are for us to map."""
    assert "--user" not in tried(root=True, uid=0)[0].unshare
    assert all("--user" in wall.unshare and wall.unmapped for wall in tried(root=True, uid=1000))
    assert not any("--map-auto" in wall.unshare for uid in (0, 1000) for wall in tried(root=True, uid=uid))


@pytest.mark.parametrize("root", [True, False])
def test_the_network_is_a_wall_of_its_own(root: bool) -> None:
    """With the network, and only then, no wall has a network namespace."""
    assert not any("--net" in wall.unshare for wall in tried(root=root, uid=1000, network=True))
    assert all("--net" in wall.unshare for wall in tried(root=root, uid=1000) if wall.namespaced)


def test_every_guard_waits_for_its_answer() -> None:
    """No guard starts its program before it was told to, and only a bare one gives its place to it."""
    for (namespaced, _), script in GUARDS.items():
        assert script.index("read -r go || exit") < script.index('"$@"')
        assert ("exec " in script) is not namespaced


def test_death_is_tied_to_the_thread_first() -> None:
    """The first word sets the death signal; nothing is started before."""
    assert [word.rpartition("/")[2] for word in command(Wall(("--pid",)), has_input=False)[:4]] == [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
    ]
