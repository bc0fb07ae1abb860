"""The initramfs: what counts for it, and how it is made; the tree's mkinitramfs is a shell script of ours here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError, ToolFailed
from bootsmith.tasks.planning.stages import initrd
from bootsmith.tasks.tools import capacity
from bootsmith.tasks.tree import tar as tars

from tests.support.host_tree import programs
from tests.support.tar_members import member
from tests.support.tree_build import TreeBuild

VERSION = "6.1.0-9-amd64"
BY_INPUT = """\
#!/bin/sh
set -e
printf 'early' >"$2"
{ echo "$3 $SOURCE_DATE_EPOCH $HOME"; cat /proc/sys/kernel/hostname /etc/modprobe.d/* ; } | zstd -q -7 -c >>"$2"
printf 'late' >>"$2"
"""
BY_FILE = BY_INPUT.replace("| zstd -q -7 -c >>", ">/main; zstd -q -7 -c /main >>")
BY_GZIP = BY_INPUT.replace("| zstd -q -7 -c >>", "| cat >>")


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    made = TreeBuild(tmp_path, monkeypatch)
    plant(made)
    return made


def plant(build: TreeBuild, script: str = BY_INPUT, more: Mapping[str, bytes] | None = None) -> None:
    """Make a base whose mkinitramfs is `script`, with `more` files."""
    build.base(
        {
            **programs("sh", "cat"),
            **(more or {}),
            "./dev/null": member("c", devmajor=1, devminor=3),
            "./etc/modprobe.d/base.conf": b"base\n",
            "./etc/modprobe.d/other.conf": b"other\n",
            f"./usr/lib/modules/{VERSION}/": member("d"),
            "./usr/sbin/mkinitramfs": member(data=script.encode(), mode=0o755),
        }
    )
    facts = build.site.kernel_facts
    facts.parent.mkdir(parents=True, exist_ok=True)
    facts.write_text(json.dumps({"version": VERSION}))


def make(build: TreeBuild, text: str = "") -> bytes:
    """Run all layers' stages, the view's and the initramfs's; return the initrd."""
    build.tree(text)
    for stage in initrd.stages(build.recipe(text), build.site):
        build.run(stage)
    return build.site.initrd.read_bytes()


def view(build: TreeBuild, text: str) -> dict[str, bytes]:
    """Return the view of a recipe's layers: path -> content."""
    build.tree(text)
    build.run(initrd.stages(build.recipe(text), build.site)[0])
    raw = build.site.view.read_bytes()
    return {e.path: raw[e.offset : e.offset + e.size] for e in tars.scan(build.site.view) if e.type != "d"}


def unpacked(initrd: bytes) -> tuple[bytes, str, bytes]:
    """Return what stands before the compressed archive, the archive, and what stands behind it."""
    start, end = initrd.index(b"\x28\xb5\x2f\xfd"), initrd.index(b"late")
    done = subprocess.run(["zstd", "-d"], input=initrd[start:end], capture_output=True, check=True)
    return initrd[:start], done.stdout.decode(), initrd[end:]


@pytest.mark.parametrize("script", [BY_INPUT, BY_FILE], ids=["by input", "by file"])
def test_the_archive_is_compressed_in_its_place(script: str, build: TreeBuild) -> None:
    """What mkinitramfs gives its compressor is compressed here, between what it writes before and behind."""
    plant(build, script)
    before, archive, behind = unpacked(make(build))
    assert (before, behind) == (b"early", b"late")
    assert archive.splitlines()[0] == f"{VERSION} {build.site.epoch} /nonexistent"


def test_the_host_is_not_seen(build: TreeBuild) -> None:
    """Inside, the machine is called localhost: nothing of the builder's gets in."""
    assert unpacked(make(build))[1].splitlines()[1] == "localhost"


def test_the_hosts_hardware_is_not_seen(build: TreeBuild) -> None:
    """Hooks find no processor, disk, swap, module and command line: they would make an initramfs of this host."""
    names = " ".join(f"/proc/{name}" for name in ("cpuinfo", "cmdline", "modules", "partitions", "swaps"))
    plant(build, BY_INPUT.replace("cat /proc/sys", f"cat {names} || :; echo end; cat /proc/sys"))
    assert Path("/proc/cpuinfo").read_bytes()
    assert unpacked(make(build))[1].splitlines()[1] == "end"


def test_another_compressor_is_left_to_the_tree(build: TreeBuild) -> None:
    """An initrd for which mkinitramfs does not call zstd is taken as it is."""
    plant(build, BY_GZIP)
    initrd = make(build)
    assert initrd.startswith(b"early" + VERSION.encode())
    assert initrd.endswith(b"late")


def test_layers_are_applied(build: TreeBuild) -> None:
    """Files that layers bring, replace and remove are so when the initramfs is made."""
    initrd = make(
        build,
        """
layers:
  - files: {/etc/modprobe.d/base.conf: {content: "replaced\\n"}, /etc/modprobe.d/new.conf: {content: "new\\n"}}
  - remove: [/etc/modprobe.d/other.conf]
""",
    )
    assert unpacked(initrd)[1].splitlines()[2:] == ["replaced", "new"]


def test_memory_or_disk_make_no_difference(build: TreeBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room in memory the work is done on disk, with the same bytes, and nothing of it stays."""
    quick = make(build)
    monkeypatch.setattr(capacity, "memory_available", lambda: 0)
    assert make(build) == quick
    assert not list(build.folder.glob("scratch/*/initramfs/scratch/tree/*"))


def test_a_failing_hook_is_told(build: TreeBuild) -> None:
    """What the tree's tools print before they fail is what the user sees."""
    plant(build, "#!/bin/sh\necho 'E: hook failed' >&2\nexit 3\n")
    with pytest.raises(ToolFailed) as caught:
        make(build)
    assert "E: hook failed" in caught.value.tail


@pytest.mark.parametrize(
    ("layer", "what", "hint"),
    [
        ("remove: [/usr/sbin/mkinitramfs]", "has no initramfs-tools", "Add initramfs-tools to source.debian.packages"),
        (f"remove: [/usr/lib/modules/{VERSION}]", f"no modules for its kernel {VERSION}", "Add the package"),
    ],
)
def test_what_is_missing_is_named(layer: str, what: str, hint: str, build: TreeBuild) -> None:
    """A tree without initramfs-tools or without its kernel's modules is refused before any work."""
    with pytest.raises(StageError, match=what) as caught:
        make(build, f"layers: [{layer}]")
    assert hint in caught.value.hint


OWN = "boot: {entries: {debian: {}, mine: {kernel: k}, bare: {kernel: k, initrd: none}}}\n"


@pytest.fixture
def own(build: TreeBuild) -> TreeBuild:
    """The tree, and the kernel of an entry, of a release of its own."""
    (build.folder / "recipes/k").write_bytes(b"")
    facts = build.site.kernel_facts_for("mine")
    facts.parent.mkdir(parents=True, exist_ok=True)
    facts.write_text(json.dumps({"version": "6.9-mine"}))
    return build


def test_an_entrys_kernel_has_an_initrd_of_its_own(own: TreeBuild) -> None:
    """Made by the same tools in the same view of the layers, for that kernel's release; another entry needs none."""
    text = "layers: [directories: {/lib/modules/6.9-mine: {}}]\n" + OWN
    debian = make(own, text)
    assert unpacked(debian)[1].startswith(f"{VERSION} ")
    assert unpacked(own.site.initrd_for("mine").read_bytes())[1].startswith("6.9-mine ")
    names = [stage.name for stage in initrd.stages(own.recipe(text), own.site)]
    assert names == ["initramfs/view", "initramfs", "initramfs/mine"]


def test_modules_that_nobody_brought_are_named(own: TreeBuild) -> None:
    """The kernel's release, and what else the entry could say."""
    with pytest.raises(StageError, match=r"the tree has no modules for its kernel 6\.9-mine") as caught:
        make(own, OWN)
    assert "`make modules_install`" in caught.value.hint
    assert "let boot.entries.mine.initrd be a file, or none" in caught.value.hint


def test_what_no_hook_reads_is_not_in_the_view(build: TreeBuild) -> None:
    """An edit of /etc/motd, a user or a service does not make the initramfs again: the view stays as it was."""
    plain = view(build, "")
    raw = build.site.view.read_bytes()
    edited = view(
        build,
        """
layers:
  - files: {/etc/motd: {content: hello}, /usr/local/bin/x: {content: x}, /opt/app/y: {content: y}}
  - remove: [/etc/skel/.bashrc]
system: {hostname: other, users: {ann: {password: empty}}}
""",
    )
    assert edited == plain
    assert build.site.view.read_bytes() == raw
    assert set(plain) == {"etc/fstab"}


def test_what_hooks_may_read_is_in_the_view(build: TreeBuild) -> None:
    """Modules, their options, crypttab, udev's rules and programs that scripts name count; so does their removal."""
    brought = (
        "etc/crypttab", "etc/initramfs-tools/conf.d/resume", "etc/modprobe.d/x.conf", "etc/modules",
        "etc/udev/rules.d/x.rules", "etc/systemd/network/10-x.link", "usr/lib/firmware/x", "usr/bin/busybox",
    )  # fmt: skip
    with_hook(build)
    files = ", ".join(f"/{path}: {{content: x}}" for path in brought)
    found = view(build, f"layers: [files: {{{files}}}, remove: [/etc/modprobe.d/base.conf]]")
    assert {*brought, "etc/modprobe.d/.wh.base.conf", "etc/fstab"} == set(found)


HOOK = b"""\
#!/bin/sh
. /usr/share/initramfs-tools/hook-functions
for each in tool other busybox; do copy_exec "/usr/sbin/$each"; done
copy_exec /usr/lib/*/libnss_*.so
case "$each" in
/usr/bin/*) echo program ;;
esac
mkdir -p "$DESTDIR"/etc/ "$DESTDIR/usr/bin"
for place in /lib* /bin; do :; done
"""


def with_hook(build: TreeBuild, hook: bytes = HOOK) -> None:
    """Give the base a hook, and a program and a library that it has already."""
    build.base(
        {
            "./etc/modprobe.d/base.conf": b"base\n",
            "./usr/sbin/mkinitramfs": b"",
            "./usr/bin/there": b"",
            "./usr/lib/x86_64-linux-gnu/libthere.so.1": b"",
            "./usr/share/initramfs-tools/hooks/x": hook,
        }
    )


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("usr/bin/jq", False),
        ("usr/lib/x86_64-linux-gnu/libjq.so.1", False),
        ("usr/share/jq/builtin.jq", False),
        ("etc/jq/settings", False),
        ("usr/sbin/tool", True),  # named by the hook
        ("usr/share/other/data", True),  # a folder of the name of what it takes
        ("usr/lib/x86_64-linux-gnu/libother.so.2", True),
        ("usr/lib/x86_64-linux-gnu/libnss_dns.so", True),  # by its pattern
        ("usr/sbin/there", True),  # found in the place of the one that was there
        ("usr/lib/libthere.so.1", True),
        ("usr/bin/there", True),  # changed
        ("usr/lib/modules/6.1/x.ko", True),  # by who is called
        ("boot/anything", True),  # nobody knows
    ],
)
def test_new_files_count_where_scripts_may_know_of_them(path: str, counts: bool, build: TreeBuild) -> None:
    """A small package more does not make the initramfs again (C8); what hooks name, or what hides something, does."""
    with_hook(build)
    found = view(build, f"layers: [files: {{/{path}: {{content: x}}}}]\nsystem: none")
    assert (path in found) == counts


@pytest.mark.parametrize(
    "line", [b"cp /usr/bin/* /tmp", b"find /usr/bin -newer x", b'for each in "/etc"/*; do :; done']
)
def test_a_script_that_goes_through_everything_may_read_anything(line: bytes, build: TreeBuild) -> None:
    """Where a hook takes whatever is in a folder of programs, any new program counts."""
    with_hook(build, HOOK + line + b"\n")
    assert "usr/bin/jq" in view(build, "layers: [files: {/usr/bin/jq: {content: x}}]\nsystem: none")


def test_the_linkers_cache_counts_with_a_library(build: TreeBuild) -> None:
    """It changes with every library, and matters for those alone that an initramfs may hold."""
    with_hook(build)
    text = "layers: [files: {{/etc/ld.so.cache: {{content: x}}, /usr/lib/{}: {{content: x}}}}]\nsystem: none"
    assert view(build, text.format("libjq.so.1")) == {}
    assert set(view(build, text.format("libother.so.2"))) == {"etc/ld.so.cache", "usr/lib/libother.so.2"}


def test_own_hooks_may_read_anything(build: TreeBuild) -> None:
    """With a hook of the layers' own, all they bring counts."""
    found = view(
        build,
        """
layers:
  - files: {/etc/initramfs-tools/hooks/x: {content: x}, /etc/motd: {content: hello}}
  - remove: [/etc/skel]
""",
    )
    assert {"etc/motd", "etc/.wh.skel", "etc/hostname"} <= set(found)
    assert found["etc/motd"] == b"hello"


def test_stages_read_the_base_and_the_view(build: TreeBuild) -> None:
    """The initramfs depends on the base, the view and the kernel's version; not on the layers themselves."""
    stage = initrd.stages(build.recipe("layers: [links: {/a: b}]"), build.site)[1]
    site = build.site
    assert set(stage.inputs.values()) == {site.base.tar, site.base.index, site.view, site.kernel_facts}
