"""The kernel, taken out of the tree."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.planning.stages import kernel as stages
from bootsmith.tasks.tree import installed_kernel

from tests.support.kernel_files import bzimage
from tests.support.tar_members import member
from tests.support.tree_build import TreeBuild


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    return TreeBuild(tmp_path, monkeypatch)


def take(build: TreeBuild, text: str = "") -> dict[str, str]:
    """Run the layers' stages and the kernel's; return its facts."""
    build.tree(text)
    (stage,) = stages.stages(build.recipe(text), build.site)
    build.run(stage)
    facts: dict[str, str] = json.loads(build.site.kernel_facts.read_text())
    return facts


def test_the_newest_kernel_is_taken(build: TreeBuild) -> None:
    """Of several kernels the newest by dpkg's order is copied, and its facts written down."""
    build.base({f"./boot/vmlinuz-{v}": bzimage(v) for v in ("6.1.0-9-amd64", "6.1.0-10-amd64", "6.1.0-10~rc1-amd64")})
    assert take(build) == {
        "version": "6.1.0-10-amd64",
        "id": "debian",
        "version_id": "13",
        "pretty_name": "Debian GNU/Linux 13 (trixie)",
        "path": "boot/vmlinuz-6.1.0-10-amd64",
    }
    assert build.site.kernel.read_bytes() == bzimage("6.1.0-10-amd64")


def test_a_layers_kernel_counts(build: TreeBuild) -> None:
    """A kernel that a layer brings is taken, and one that a layer removes is not."""
    build.base({"./boot/vmlinuz-1": bzimage("old")})
    (build.folder / "recipes/mine").write_bytes(bzimage("new"))
    assert take(build, "layers: [files: {/boot/vmlinuz-2: mine}]")["version"] == "2"
    assert take(build, "layers: [files: {/boot/vmlinuz-2: mine}, remove: [/boot/vmlinuz-2]]")["version"] == "1"
    assert build.site.kernel.read_bytes() == bzimage("old")


def test_an_entry_may_take_the_trees_kernel(build: TreeBuild) -> None:
    """Where all others start one's own: each is had by a stage of its own, with the facts of that very kernel."""
    build.base({"./boot/vmlinuz-6.1": bzimage("debian")})
    (build.folder / "recipes/mine").write_bytes(bzimage("6.9-mine (me)"))
    text = "boot: {kernel: mine, entries: {mine: {}, debian: {kernel: auto}, again: {kernel: auto}}}\n"
    build.tree(text)
    made = stages.stages(build.recipe(text), build.site)
    assert [stage.name for stage in made] == ["kernel", "kernel/debian"]
    for stage in made:
        build.run(stage)
    site = build.site
    assert site.kernel_for("debian").read_bytes() == bzimage("debian")
    assert site.kernel.read_bytes() == bzimage("6.9-mine (me)")
    versions = [json.loads(site.kernel_facts_for(owner).read_text())["version"] for owner in ("", "debian")]
    assert versions == ["6.9-mine", "6.1"]


@pytest.mark.parametrize("pretty", ["Evil\x1b[2J", "long" * 100, "  "])
@pytest.mark.parametrize("name", ["../../x", "/x", "a/../../b", "..", "x\x1b[2J", "a b", "${x}"])
def test_what_a_tree_calls_itself_leads_nowhere(name: str, pretty: str, build: TreeBuild) -> None:
    """An ID is a part of paths, a name a line of the menu: what is not fit for it is not taken."""
    release = f'ID="{name}"\nVERSION_ID="{name}"\nPRETTY_NAME="{pretty}"\n'
    build.base({"./boot/vmlinuz-6.1": bzimage(), "./etc/os-release": release.encode()})
    told = {"version": "6.1", "id": "linux", "version_id": "", "pretty_name": "Linux", "path": "boot/vmlinuz-6.1"}
    assert take(build) == told


def test_a_kernels_name_leads_nowhere(build: TreeBuild) -> None:
    """A file whose name could be no kernel's version is none, however it begins."""
    names = ("9 9", "9\n", "..", "-9", "9\x1b[2J", "9'")
    build.base({"./boot/vmlinuz-6.1": bzimage(), **{f"./boot/vmlinuz-{name}": b"" for name in names}})
    assert take(build)["version"] == "6.1"


def test_a_kernel_beside_its_modules(build: TreeBuild) -> None:
    """Where a distribution keeps kernels with their modules, they are found there; directories and links are not."""
    build.base(
        {
            "./usr/lib/modules/7.1-arch/vmlinuz": bzimage(),
            "./boot/vmlinuz-9/": member("d"),
            "./boot/vmlinuz-8": member("l", linkname="gone"),
        }
    )
    assert take(build)["version"] == "7.1-arch"


@pytest.mark.parametrize(
    ("kernel", "initrd", "version"),
    [
        ("boot/vmlinuz-6.1.0-18-amd64", "boot/initrd.img-6.1.0-18-amd64", "6.1.0-18-amd64"),
        ("boot/vmlinuz", "boot/initrd.img", "6.9-inside"),
        ("vmlinuz", "initrd.img", "6.9-inside"),
        ("usr/lib/modules/6.8.5-301.fc40.x86_64/vmlinuz", "boot/initramfs-6.8.5-301.fc40.x86_64.img",
         "6.8.5-301.fc40.x86_64"),
        ("usr/lib/modules/6.8.5-301.fc40.x86_64/vmlinuz", "usr/lib/modules/6.8.5-301.fc40.x86_64/initramfs.img",
         "6.8.5-301.fc40.x86_64"),
        ("boot/vmlinuz-6.4.0-150600.21-default", "boot/initrd-6.4.0-150600.21-default", "6.4.0-150600.21-default"),
        ("boot/vmlinuz-linux", "boot/initramfs-linux.img", "6.9-inside"),
        ("boot/vmlinuz-lts", "boot/initramfs-lts", "6.9-inside"),
        ("boot/kernel-6.6.13-gentoo-dist", "boot/initramfs-6.6.13-gentoo-dist.img", "6.6.13-gentoo-dist"),
        ("boot/kernel-genkernel-x86_64-6.6.13-gentoo", "boot/initramfs-genkernel-x86_64-6.6.13-gentoo",
         "6.9-inside"),
        ("boot/vmlinuz-generic-5.15.19", "boot/initrd.gz", "6.9-inside"),
    ],
)  # fmt: skip
def test_each_distributions_names_are_known(kernel: str, initrd: str, version: str, build: TreeBuild) -> None:
    """A21: by name and content: Debian, d2vm, Fedora, SUSE, Arch, Alpine, Gentoo by both ways, Slackware."""
    other = {"./boot/kernel-config": b"CONFIG_X=y\n", "./boot/bzImage-notes": b"text"}
    build.base({f"./{kernel}": bzimage("6.9-inside (me)"), f"./{initrd}": b"070701", **other})
    told = take(build)
    assert (told["version"], told["path"], told["initrd"]) == (version, kernel, initrd)


@pytest.mark.parametrize(
    ("release", "hint"),
    [
        (b"ID=debian\n", "linux-image-amd64, or linux-image-cloud-amd64 for virtual machines only to source.debian"),
        (b"ID=ubuntu\n", "linux-image-generic"),
        (b"ID=other\n", "distribution's kernel package"),
        (b"", "distribution's kernel package"),
    ],
)
def test_no_kernel_names_the_package(release: bytes, hint: str, build: TreeBuild) -> None:
    """C23, V14: a tree without a kernel is an error naming the distribution's package and the recipe's key."""
    build.base({"./usr/lib/os-release": release})
    with pytest.raises(StageError, match="there is no kernel in the tree") as caught:
        take(build)
    assert hint in caught.value.hint
    assert "or name a kernel of your own: boot.kernel, or --kernel." in caught.value.hint  # a tar has no packages


VERSIONS = [
    "6.1.0-9",
    "6.1.0-10",
    "6.1.0-10~rc1",
    "6.1",
    "6.1.0",
    "6.1+b1",
    "6.1a",
    "6.01",
    "5.99",
    "10",
    "6.1.0-10-cloud",
    "~",
    "",
]


def test_versions_are_ordered_as_dpkg_does() -> None:
    """Every two versions compare as `dpkg --compare-versions` says."""
    words = {-1: "lt", 0: "eq", 1: "gt"}
    for one in VERSIONS:
        for other in VERSIONS:
            verdict = words[installed_kernel.compare(one, other)]
            script = ["dpkg", "--compare-versions", f"0:{one or '0'}-x", verdict, f"0:{other or '0'}-x"]
            if one and other and "~" not in (one, other):
                assert subprocess.run(script, check=False).returncode == 0, (one, verdict, other)
    assert sorted(VERSIONS, key=functools.cmp_to_key(installed_kernel.compare))[:2] == ["~", ""]


@pytest.mark.parametrize(
    "versions",
    [
        ["6.1.0-9-amd64", "6.1.0-10-rt-amd64", "6.1.0-10-amd64", "6.1.0-11-rt-amd64", "6.1.0-11-amd64"],
        ["6.12-rc7-amd64", "6.12-trunk-amd64", "6.12-1-amd64", "6.12.1-1-amd64", "6.13-rc1-amd64"],
        ["6.9.0-rc1", "6.9.0-rc10", "6.9.0", "6.9.0-mine"],
        ["6.5.6-300.fc39.x86_64+debug", "6.5.6-300.fc39.x86_64", "6.5.7-200.fc39.x86_64"],
    ],
    ids=["flavours", "before a release", "without a flavour", "Fedora"],
)
def test_a_release_is_newer_than_what_leads_up_to_it(versions: list[str]) -> None:
    """Candidates and kernels for a special purpose come before the release of their version, and after older ones."""
    found = versions[::-1]
    found.sort(key=functools.cmp_to_key(installed_kernel.compare))
    assert found == versions


def test_a_copy_kept_for_a_bad_day_is_not_taken(build: TreeBuild) -> None:
    """Of a backup, a rescue kernel and a release, the release is taken, and the other that could be is named."""
    names = ("6.1.0-10-amd64", "6.1.0-11-amd64.old", "6.1.0-11-amd64.bak", "0-rescue-1234", "6.1.0-9-amd64")
    build.base({f"./boot/vmlinuz-{v}": bzimage(v) for v in names})
    assert take(build)["version"] == "6.1.0-10-amd64"
    assert build.told == ["kernel 6.1.0-10-amd64 was taken, the newest; there also is 6.1.0-9-amd64"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"#!/bin/sh\n", "it is no Linux: what is needed is a bzImage"),
        (bzimage()[:-1], "it is cut short: it has 4095 bytes, and its header tells of 4096"),
        (bytes(0x38) + b"ARM\x64", "it is a Linux for arm64 machines"),
    ],
)
def test_what_a_tree_calls_its_kernel_must_be_one(data: bytes, what: str, build: TreeBuild) -> None:
    """A name is no evidence: an image whose kernel starts nothing is not built (L3, W7)."""
    build.base({"./boot/vmlinuz-6.1": data})
    with pytest.raises(StageError, match=f"/boot/vmlinuz-6.1 of the tree cannot be the kernel: {what}") as caught:
        take(build)
    assert "boot.kernel" in caught.value.hint


@pytest.mark.parametrize(
    ("members", "version", "initrd"),
    [
        ({"./boot/vmlinuz": bzimage("6.6 (me)"), "./boot/initrd.img": b""}, "6.6", "boot/initrd.img"),
        ({"./boot/bzImage": bzimage("6.7"), "./boot/initrd.img-6.7": b""}, "6.7", "boot/initrd.img-6.7"),
        ({"./boot/vmlinuz-lts": bzimage("6.6-0-lts"), "./boot/initramfs-lts": b""}, "6.6-0-lts", "boot/initramfs-lts"),
        ({"./boot/vmlinuz-virt": bzimage(""), "./boot/initramfs-virt": b""}, "virt", "boot/initramfs-virt"),
        ({"./boot/vmlinuz-linux": bzimage("6.9-arch"), "./boot/initramfs-linux.img": b""}, "6.9-arch",
         "boot/initramfs-linux.img"),
        ({"./vmlinuz": member("l", linkname="boot/kernel"), "./boot/kernel": bzimage("5.1")}, "5.1", None),
        ({"./vmlinuz": bzimage(""), "./boot/i": b"", "./initrd.img": member("l", linkname="boot/i")}, "linux",
         "boot/i"),
        ({"./boot/vmlinuz-6.1": bzimage("6.1"), "./boot/vmlinuz": bzimage("9.9")}, "6.1", None),
        ({"./boot/vmlinuz-lts": bzimage("6.6"), "./boot/vmlinuz-virt": bzimage("6.10")}, "6.10", None),
    ],
    ids=map(str, range(9)),
)  # fmt: skip
def test_a_kernel_by_another_name(
    members: dict[str, bytes], version: str, initrd: str | None, build: TreeBuild
) -> None:
    """What its name does not say, the kernel does; its initrd is found by either (A8)."""
    build.base(members)
    facts = take(build)
    assert facts["version"] == version
    assert facts.get("initrd") == initrd


INIT = {"./usr/sbin/init": member("l", linkname="/nowhere"), "./boot/vmlinuz-6.1": bzimage()}


def test_a_tree_without_anything_to_start_is_refused(build: TreeBuild) -> None:
    """Neither an init nor a shell: a disk that panics is not built; a shell alone is said."""
    build.base(INIT)
    with pytest.raises(StageError, match="there is nothing in the tree that Linux would start") as caught:
        take(build)
    assert "systemd-sysv" in caught.value.hint
    build.base({**INIT, "./usr/bin/sh": member(data=b"sh", mode=0o755)})
    take(build)
    assert build.told == ["the tree has no init (/sbin/init, /etc/init, /bin/init): Linux will start /bin/sh"]


@pytest.mark.parametrize(
    ("boot", "init"),
    [
        ("cmdline: init=/usr/bin/bash", None),
        ("root: none", None),
        ("cmdline: init=/usr/bin/no", "init=/usr/bin/no is no program in the tree"),
        ("cmdline: init=/etc/motd", "init=/etc/motd is no program in the tree"),
        ("entries: {a: {}, b: {cmdline: init=/x}}", "there is nothing in the tree"),
        ("entries: {a: {cmdline: init=/usr/bin/bash}, b: {cmdline: init=/x}}", "init=/x is no program"),
    ],
)
def test_what_a_kernel_is_told_to_start_must_be_there(boot: str, init: str | None, build: TreeBuild) -> None:
    """By each entry's own words; a root that is elsewhere is not looked at."""
    build.base(INIT)
    text = f"boot: {{{boot}}}\n"
    if init is None:
        assert take(build, text)["version"] == "6.1"
        return
    with pytest.raises(StageError, match=init):
        take(build, text)
