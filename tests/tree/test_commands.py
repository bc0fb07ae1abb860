"""Layers that commands and scripts make: run for real, in a tree of this host's own programs."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.planning.stages import layers
from bootsmith.tasks.tools import capacity
from bootsmith.tasks.tree import acl, layer

from tests.support.host_tree import programs
from tests.support.tar_members import EPOCH as WRITTEN
from tests.support.tar_members import Member, member
from tests.support.tree_build import EPOCH, TreeBuild, text

PROGRAMS = (
    "sh",
    "cat",
    "chmod",
    "chown",
    "cp",
    "env",
    "id",
    "ln",
    "ls",
    "mkdir",
    "mknod",
    "mount",
    "mv",
    "rm",
    "rmdir",
)
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
"""To bind low ports, as the kernel has it on a file; cut to what is UTF-8, which it is."""


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    made = TreeBuild(tmp_path, monkeypatch)
    base(made)
    return made


def base(build: TreeBuild, more: Mapping[str, bytes | Member] | None = None) -> None:
    """Make a base in which commands run."""
    build.base({**programs(*PROGRAMS, "sleep", "touch"), **(more or {})})


def ran(build: TreeBuild, command: str, more: str = "") -> dict[str, layer.Entry]:
    """Return what the layer of a command holds."""
    build.tree(f"layers:\n  - name: it\n    run:\n      command: {command!r}\n{more}\nsystem: none\n")
    return build.added("it")


def test_what_a_command_changes_is_the_layer(build: TreeBuild) -> None:
    """C8: files added, changed and removed, with modes, owners, links and names; what it only read is not there."""
    base(build, {"./srv/a": b"a", "./srv/b": b"b", "./srv/gone/x": b"x", "./srv/file": b"", "./srv/same": b"same"})
    tree = build.tree(
        r"""
layers:
  - files: {/srv/lower: {content: lower}}
  - name: it
    run: |
      cat /srv/a /srv/lower >/srv/new
      printf a >>/srv/a
      chmod 4711 /srv/b
      chown 33:42 /srv/lower
      rm -r /srv/gone
      rm /srv/file && mkdir -m 0750 /srv/file && ln -s ../a /srv/file/link
      ln /srv/new /srv/other
      printf same >/srv/copy && touch -r /srv/same /srv/copy && mv /srv/copy /srv/same
system: none
"""
    )
    found = build.added("it")
    assert set(found) == {
        f"srv/{each}" for each in ("a", "b", "lower", "new", "other", ".wh.gone", "file", "file/link")
    }
    assert (text(tree, "srv/a"), text(tree, "srv/other")) == ("aa", "alower")
    assert found["srv/b"].mode == 0o4711
    assert (found["srv/lower"].uid, found["srv/lower"].gid) == (33, 42)
    assert (found["srv/file"].type, found["srv/file"].mode, found["srv/file/link"].link) == ("d", 0o750, "../a")
    assert (found["srv/other"].type, found["srv/other"].link) == ("h", "srv/new")
    assert "srv/gone" not in tree.entries


def test_names_of_one_file_stay_together(build: TreeBuild) -> None:
    """A file of several names keeps all of them where one is written to, and none is written where none is changed."""
    base(build, {"./srv/a": b"a", "./srv/b": member("h", linkname="srv/a"), "./srv/c": member("h", linkname="srv/a")})
    assert ran(build, "cat /srv/b") == {}
    found = ran(build, "printf x >>/srv/c")
    assert {path: entry.type for path, entry in found.items()} == {"srv/a": "f", "srv/b": "h", "srv/c": "h"}
    apart = ran(build, "cp /srv/c /srv/d && mv /srv/d /srv/c")
    assert {path: entry.type for path, entry in apart.items()} == {"srv/a": "f", "srv/b": "h", "srv/c": "f"}


def test_a_command_sees_its_own_variables_and_no_others(build: TreeBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    """A8: nothing of who builds is in its environment, and it is root of a tree without a network."""
    monkeypatch.setenv("SECRET", "mine")
    more = "      env: {GREETING: 'hello $$1'}\n      inputs: {data: files}"
    (build.folder / "recipes/files").mkdir()
    (build.folder / "recipes/files/tool").write_text("x")
    (build.folder / "recipes/files/tool").chmod(0o700)
    command = "env >/env; id -u >/id; cat /proc/net/dev >/net; ls -ln $data >/data"
    build.tree(
        f"layers:\n  - name: it\n    run:\n      command: {command.replace('$', '$$')!r}\n{more}\nsystem: none\n"
    )
    tar = build.site.layer("it").tar
    found = {path: layer.read_member(tar, entry).decode() for path, entry in build.added("it").items()}
    assert set(found["env"].splitlines()) == {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "PWD=/", "LC_ALL=C.UTF-8",
        "TZ=UTC", f"SOURCE_DATE_EPOCH={EPOCH}", "DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true",
        "SYSTEMD_OFFLINE=1", "INITRD=No", "GREETING=hello $1", "data=/run/bootsmith/inputs/data",
    }  # fmt: skip
    assert found["id"] == "0\n"
    assert [line.partition(":")[0].strip() for line in found["net"].splitlines()[2:]] in ([], ["lo"])
    mode, _, uid, gid = found["data"].splitlines()[1].split()[:4]
    assert (mode, uid, gid) == ("-rwxr-xr-x", "0", "0")


def test_variables_are_for_the_tree_alone(build: TreeBuild) -> None:
    """A variable that a program's loader reads, as it starts, is no way for a recipe to what leads into the tree."""
    place = build.folder / "loaded"
    ran(build, "cat /etc/motd", f"      env: {{LD_DEBUG: files, LD_DEBUG_OUTPUT: {place}}}")
    assert [*build.folder.glob("loaded*")] == []


@pytest.mark.parametrize(
    "attempt",
    [
        "mount -t tmpfs x /mnt",
        "mknod /x c 1 3",
        "echo x >/proc/sys/kernel/core_pattern",
        "ls /run/bootsmith/../../../../recipes",
        f"ls {Path(__file__).parent}",
        "ls /proc/1/root/recipes",
    ],
)
def test_a_command_has_no_way_out_of_the_tree(attempt: str, build: TreeBuild) -> None:
    """What it is told to run is not trusted: no mount, no device, no setting of the kernel, no file of the host."""
    base(build, {"./mnt/": member("d")})
    assert set(ran(build, f"if {attempt}; then touch /out; else touch /refused; fi")) == {"refused"}


def test_what_is_of_a_running_system_is_not_in_it(build: TreeBuild) -> None:
    """V10: /run, /tmp and /dev, machine-ids, logs of the work and caches with times in them are as they were before."""
    base(build, {"./var/log/apt/": member("d"), "./var/cache/ldconfig/": member("d"), "./tmp/kept": b"x"})
    paths = "/run/x /tmp/x /dev/x /dev/shm/x /etc/machine-id /var/log/dpkg.log /var/log/apt/term.log"
    command = f"for each in {paths} /var/cache/ldconfig/aux-cache; do echo x >$$each; done; rm /tmp/kept"
    assert ran(build, command) == {}


def test_times_are_kept_where_they_are_old(build: TreeBuild) -> None:
    """A14: what is written now has the image's time; a file that keeps an older time of its own keeps it."""
    found = ran(build, "touch -d @1000000000 /old; touch /new; touch -d @1900000000 /later; mkdir /folder")
    times = {path: entry.mtime for path, entry in found.items()}
    assert times == {"old": 1_000_000_000, "new": EPOCH, "later": EPOCH, "folder": EPOCH}


def test_attributes_are_seen_and_stay(build: TreeBuild) -> None:
    """A2: capabilities and access control lists of what is not touched stay, and so do attributes nobody can see."""
    rows = [(acl.OWNER, 2**32 - 1, 6), (acl.USER, 33, 4), (acl.GROUP, 2**32 - 1, 4), (acl.MASK, 2**32 - 1, 4)]
    rows.append((acl.OTHER, 2**32 - 1, 0))
    listed = acl.encode(rows).decode("utf-8", "surrogateescape")
    base(
        build,
        {
            "./srv/ping": member(mode=0o755, xattrs={"security.capability": CAPABILITY}),
            "./srv/log": member(mode=0o640, xattrs={acl.ACCESS: listed.encode("utf-8", "surrogateescape")}),
            "./srv/note": member(xattrs={"user.note": b"kept", "security.selinux": b"label"}),
        },
    )
    found = ran(build, "chmod 0600 /srv/note; chown 0:33 /srv/log")
    assert set(found) == {"srv/log", "srv/note"}
    assert found["srv/note"].xattrs == {"user.note": b"kept", "security.selinux": b"label"}
    assert acl.decode(found["srv/log"].xattrs[acl.ACCESS]) == sorted(rows)


def test_device_nodes_stay(build: TreeBuild) -> None:
    """Nodes of the tree, which nobody but root could make, are neither lost nor in the way."""
    base(build, {"./srv/null": member("c", devmajor=1, devminor=3), "./dev/null": member("c", devmajor=1, devminor=3)})
    assert set(ran(build, "touch /srv/x; [ -c /dev/null ]")) == {"srv/x"}


def test_the_resolver_is_there_for_a_network_alone(build: TreeBuild) -> None:
    """With a network /etc/resolv.conf is the host's, be it a link to nowhere; afterwards it is what it was."""
    base(build, {"./etc/resolv.conf": member("l", linkname="../run/systemd/resolve/stub-resolv.conf")})
    command = "cp /etc/resolv.conf /seen; echo x >>/etc/resolv.conf"
    assert set(ran(build, command, "      network: true")) == {"seen"}
    host = Path("/etc/resolv.conf")
    with layer.open_member(build.site.layer("it").tar, build.added("it")["seen"]) as seen:
        assert seen.read() == (host.read_bytes() if host.exists() else b"")
    assert set(ran(build, "[ ! -e /etc/resolv.conf ] && touch /none")) == {"none"}


def test_no_service_starts(build: TreeBuild) -> None:
    """C16: invoke-rc.d is told no, start-stop-daemon does nothing, and neither is any other afterwards."""
    base(build, {"./usr/sbin/start-stop-daemon": member(data=b"#!/bin/sh\ntouch /started\n", mode=0o755)})
    command = "start-stop-daemon --start x; policy-rc.d ssh start || echo $$? >/said"
    found = ran(build, command)
    assert set(found) == {"said"}
    assert layer.read_member(build.site.layer("it").tar, found["said"]) == b"101\n"
    replaced = ran(build, "echo new >/usr/sbin/start-stop-daemon; rm /usr/sbin/policy-rc.d")
    assert set(replaced) == {"usr/sbin/start-stop-daemon"}


def test_what_it_leaves_running_ends(build: TreeBuild) -> None:
    """A process that a command leaves behind ends with it: the layer does not wait, and nothing writes to it later."""
    assert set(ran(build, "(sleep 1000; touch /late) & touch /now")) == {"now"}


@pytest.mark.parametrize("first", ["#!/bin/cat\n", ""])
def test_a_script_is_run_by_what_it_names(first: str, build: TreeBuild) -> None:
    """By its first line, whatever its mode; without one by sh, which ends with the first command that fails."""
    script = build.folder / "recipes/do.sh"
    script.write_text(f"{first}touch /begun\nfalse\ntouch /ended\n")
    script.chmod(0o600)
    recipe = "layers: [{name: it, script: do.sh}]\nsystem: none"
    if first:
        build.tree(recipe)
        assert build.added("it") == {}
        return
    with pytest.raises(ToolFailed, match="the script failed"):
        build.tree(recipe)
    script.write_text("touch /begun\n")
    build.tree(recipe)
    assert set(build.added("it")) == {"begun"}


def test_a_failing_command_is_told(build: TreeBuild) -> None:
    """With what it printed last; there is no layer."""
    with pytest.raises(ToolFailed, match="the command failed") as caught:
        ran(build, "echo about to; echo cannot >&2; exit 3")
    assert "cannot" in caught.value.tail
    assert not build.site.layer("it").tar.exists()


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"./proc": member("l", linkname="/etc")}, "/proc of the tree is no directory"),
        ({"./run": b""}, "/run of the tree is no directory"),
    ],
)
def test_a_tree_that_leads_elsewhere_is_refused(more: dict[str, Member], what: str, build: TreeBuild) -> None:
    """Nothing is mounted or written where a link of the tree leads on the host."""
    base(build, more)
    with pytest.raises(StageError, match=what):
        ran(build, "true")


def test_a_tree_without_a_shell_is_told(build: TreeBuild) -> None:
    """What is missing, before anything is unpacked."""
    build.base({"./etc/": member("d")}, only=True)
    with pytest.raises(StageError, match="the tree has no /bin/sh"):
        ran(build, "true")


def test_memory_or_disk_make_no_difference(build: TreeBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    """V11: the same bytes where the tree fits into memory and where it does not, and no tree is left behind."""
    command = "mkdir /a; touch /a/b; ln /a/b /c; rm /etc/motd"
    ran(build, command)
    tar = build.site.layer("it").tar.read_bytes()
    monkeypatch.setattr(capacity, "memory_available", lambda: 0)
    ran(build, command)
    assert build.site.layer("it").tar.read_bytes() == tar
    assert not any((build.folder / "scratch").rglob("before.tar"))


def test_a_hole_is_compared_by_what_it_reads_as(build: TreeBuild) -> None:
    """A file with holes that is written whole, and the other way round, is the same file."""
    base(build, {"./srv/big": member(data=b"\0" * (1 << 20))})
    assert ran(build, "cp --sparse=always -p /srv/big /srv/x; mv /srv/x /srv/big") == {}
    assert set(ran(build, "cp --sparse=always -p /srv/big /srv/x; echo >>/srv/x; mv /srv/x /srv/big")) == {"srv/big"}


def test_a_layer_depends_on_what_is_below_it(build: TreeBuild) -> None:
    """C8: on the layers below and on its own inputs, in the recipe's order; not on what comes later."""
    build.recipes.write_files()
    recipe = build.recipe("layers: [{links: {/a: b}}, {run: {command: x, inputs: {k: files}}}, {links: {/c: d}}]")
    stage = next(each for each in layers.stages(recipe, build.site) if each.name == "layers/2-run")
    below = (build.site.base, build.site.layer("1-links"))
    files = {path for each in below for path in (each.tar, each.index)}
    assert {os.path.normpath(path) for path in stage.inputs.values()} == {
        *(str(path) for path in files),
        str(build.folder / "recipes/files"),
    }
    assert WRITTEN < EPOCH
