"""All that reads bytes from elsewhere, each with whole cases of what it reads, and those it once failed on.

A reader takes bytes and a folder of its own; it raises BootsmithError for what it refuses.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import struct
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from bootsmith.cache.display import escaped, shown
from bootsmith.tasks.boot import multiboot, own_kernel, pe
from bootsmith.tasks.boot.pe import Addition
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk import (
    bootable,
    bootcode,
    content,
    fat,
    gpt,
    image_format,
    inspect,
    mbr,
    qcow2,
    sizing,
    superblock,
)
from bootsmith.tasks.disk.ext import attributes, inode
from bootsmith.tasks.disk.image_content import opened
from bootsmith.tasks.errors import BootsmithError, StageError
from bootsmith.tasks.inspection import boot_entries, difference, listing, system_tree, verification
from bootsmith.tasks.inspection.opening import looked_into
from bootsmith.tasks.inspection.verdicts import Subject
from bootsmith.tasks.machine import kernel_file, variables
from bootsmith.tasks.packages import debs, lists, lockfile, mirrors, resolution
from bootsmith.tasks.tools import os_release
from bootsmith.tasks.tree import (
    accounts,
    acl,
    boot_formats,
    cpio,
    excerpt,
    foreign_tar,
    initrd_archive,
    installed_kernel,
    layer,
    linux_image,
)
from bootsmith.tasks.tree import network as networks
from bootsmith.tasks.tree import tar as tars
from bootsmith.tasks.tree.delta import Delta
from bootsmith.tasks.tree.layer import Entry, LayerWriter
from bootsmith.tasks.tree.merged import Tree
from bootsmith.tasks.tree.units import Units

from tests.support import kernel_files, tiny_kernel
from tests.support.debian_archive import deb
from tests.support.mutations import Reader

# -- tars


def _listed(index: Path) -> tuple[tars.Entry, ...]:
    """Return what an index says of each member, but for what its data are."""
    return tuple(each._replace(digest="") for each in layer.read_index(index))


def read_tar(data: bytes, folder: Path) -> None:
    """Do with a tar all that is done with one; what is written of it must be what was read."""
    (folder / "x.tar").write_bytes(checked(data))
    foreign_tar.index(folder / "x.tar", folder / "x.index")
    entries = layer.read_index(folder / "x.index")
    merged = layer.merge([entries])
    tree = Tree([folder / "x.index"], [folder / "x.tar"])
    for path in (*list(merged)[:50], "etc/passwd", "etc/os-release"):
        tree.find(path)
        assert ".." not in path.split("/")
    content.divide(dict(merged), {"root": "/", "boot": "/boot"}, 0)
    for fs in ("ext4", "ext2"):
        sizing.ext_need(dict(merged), fs)
    large = sum(entry.size for _, entry in merged.values() if entry.type == "f") > 32 << 20
    if not large:
        with (folder / "x.cpio").open("wb") as out:
            cpio.write(out, tree)
        with LayerWriter(folder / "y.tar", folder / "y.index", 0) as writer:
            for path, (_, entry) in merged.items():
                if path and entry.type in "fdl":
                    writer.add_copy(entry, folder / "x.tar")
        assert _listed(folder / "y.index") == tuple(tars.scan(folder / "y.tar"))
    for subdir, strip in (("/", 1), ("/etc", 0), ("/", 0)):
        with suppress(StageError):  # there need be no such part
            excerpt.write(folder / "x.tar", folder / "z.tar", folder / "z.index", subdir=subdir, strip=strip)
            assert layer.read_index(folder / "z.index") == tuple(tars.scan(folder / "z.tar"))


def checked(data: bytes) -> bytes:
    """Return a tar whose headers have the checksums that belong to them: else nearly all are refused for theirs."""
    found = bytearray(data)
    for at in range(0, len(found) - 511, 512):
        if found[at + 257 : at + 262] == b"ustar" or found[at + 148 : at + 154].strip(b"\0 ").isdigit():
            total = sum(found[at : at + 512]) - sum(found[at + 148 : at + 156]) + 8 * 32
            found[at + 148 : at + 156] = b"%06o\0 " % total
    return bytes(found)


def tar_seeds() -> list[bytes]:
    """Return a tar of each format with a member of each kind, and one with sparse files."""
    made = []
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as tar:
            for name, kind, more in (
                ("./", "5", {}), ("etc/", "5", {}), ("etc/passwd", "0", {"data": b"root:x:0:0::/:/bin/sh\n"}),
                ("etc/link", "2", {"linkname": "../usr/lib"}), ("etc/hard", "1", {"linkname": "etc/passwd"}),
                ("dev/tty", "3", {"devmajor": 5}), ("dev/sda", "4", {"devmajor": 8}), ("run/pipe", "6", {}),
                ("long/" + "n" * 95 + "/" + "m" * 99, "0", {"data": b"x" * 700}), (".wh.gone", "0", {}),
                ("etc/os-release", "0", {"data": b"ID=debian\n"}),
            ):  # fmt: skip
                info = tarfile.TarInfo(name)
                info.type = kind.encode()
                data = cast("bytes", more.get("data", b""))
                info.size, info.mode = len(data), 0o755
                for key, value in more.items():
                    if key != "data":
                        setattr(info, key, value)
                if form == tarfile.PAX_FORMAT:
                    info.pax_headers = {"SCHILY.xattr.user.x": "1", "mtime": "1.5"}
                    if kind == "0":
                        info.pax_headers["SCHILY.acl.access"] = "u::rwx,u:root:r--,g::r--,m::r--,o::---"
                tar.addfile(info, io.BytesIO(data))
        made.append(out.getvalue())
    stretches = ((0, 10), (4096, 100), (70_000, 1))
    head = tars.header(Entry("holes", "f", size=1 << 20, stretches=stretches))
    made.append(head + b"x" * 111 + bytes(401) + tars.END)
    return made


# -- packages


def read_deb(data: bytes, folder: Path) -> None:
    """Read a package's control part, and unpack it as for installing."""
    (folder / "x.deb").write_bytes(data)
    debs.control(folder / "x.deb")
    debs.loosen(folder / "x.deb", folder / "y.deb")


def read_lists(data: bytes, folder: Path) -> None:
    """Read what mirrors and apt say."""
    (folder / "x_Release").write_bytes(data)
    text = data.decode(errors="replace")
    [*resolution._stanzas(text)]
    mirrors.parse_settings(text)
    (folder / "sources.list.d").mkdir(exist_ok=True)
    for name in ("sources.list", "sources.list.d/x.list", "sources.list.d/x.sources"):
        (folder / name).write_bytes(data)
    mirrors.archives([*mirrors.host_sources(folder)])
    lists.date(folder)


def read_lock(data: bytes, folder: Path) -> None:
    """Read a lock file, and write what it says."""
    (folder / "x.lock").write_bytes(data)
    found = lockfile.read(folder / "x.lock")
    lockfile.changes(None, found)
    lockfile.to_text(found)


LISTS = b"""Origin: Debian
Suite: stable
Date: Sat, 09 Aug 2025 09:00:00 UTC
Package: tool
Version: 1:1.0

deb [arch=amd64] https://deb.example.org/debian trixie main contrib # comment
Acquire::http::Proxy "http://proxy:3128";

Types: deb
URIs: http://deb.example.org/debian file:/srv
Suites: trixie
Components: main
"""
LOCK = lockfile.to_text(
    lockfile.LockFile(
        {"suite": "trixie", "arch": "amd64"}, 1_755_000_000,
        (lockfile.Package("tool", "1:1.0", "amd64", "main", True, 10, "a" * 64, "pool/t/tool_1.0.deb"),),
    )
).encode()  # fmt: skip

# -- texts in trees


class Files(Tree):
    """A tree of a few files with these contents, and layers on top of it."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        with LayerWriter(folder / "tree.tar", folder / "tree.index", 0) as writer:
            for path, data in files.items():
                writer.add_file(path, data)
        super().__init__([folder / "tree.index"], [folder / "tree.tar"])

    def delta(self, folder: Path) -> Delta:
        outputs = {"tar": folder / "delta.tar", "index": folder / "delta.index"}
        return Delta(cast("Context", SimpleNamespace(outputs=outputs)), self, "test", 0)


def read_os_release(data: bytes, folder: Path) -> None:
    """Tell whose tree it is: what is said becomes part of paths and menus."""
    tree = Files(folder, {"etc/os-release": data})
    facts = installed_kernel.facts(tree, "6.1")
    assert all(value.isprintable() and "/" not in value for key, value in facts.items() if key != "pretty_name")
    assert os_release.parse(os_release.text(facts)) == {key: value for key, value in facts.items() if value}


def read_accounts(data: bytes, folder: Path) -> None:
    """Add a user to whatever the account files say; then both are there, and all lines that are none."""
    files = (data.split(b"\f") + [b""] * 4)[:4]
    tree = Files(folder, {f"etc/{name}": text for name, text in zip(accounts.Accounts.FILES, files, strict=True)})
    made = accounts.Accounts(tree, 86_400)
    before = made.files()["passwd"].split("\n")
    ann = made.ensure("ann", uid=None, groups=["adm"], shell=None, home=None)
    made.set_password("ann", "*")
    after = made.files()
    assert next(line for line in after["passwd"].split("\n") if line.startswith("ann:")).count(":") == 6
    assert [line for line in after["passwd"].split("\n") if not line.startswith("ann:")] == [
        line for line in before if not line.startswith("ann:")
    ]
    assert 0 <= ann.uid < 1 << 32
    with tree.delta(folder) as delta:
        delta.set_directory(ann.home, 0o700, ann.uid, ann.gid)
    tuple(tars.scan(folder / "delta.tar"))


def read_units(data: bytes, folder: Path) -> None:
    """Enable, disable and mask a unit that says what it wants of its tree."""
    units = "usr/lib/systemd/system"
    tree = Files(folder, {f"{units}/x.service": data, f"{units}/t@.service": data, f"{units}/y.socket": data,
                          "etc/network/interfaces": data, "sbin/ifup": b"", "sbin/dhclient": b""})  # fmt: skip
    networks.network(tree, "ifupdown")
    found = Units(tree)
    with tree.delta(folder) as delta:
        for name in ("x", "t@1", "y.socket"):
            for path, target in found.enable(name).items():
                delta.add_link(path, target)
            for path in found.disable(name):
                delta.remove(path)
    assert layer.read_index(folder / "delta.index") == tuple(tars.scan(folder / "delta.tar"))


PASSWD = b"root:x:0:0::/root:/bin/sh\nann:x:1000:1000:Ann,,:/home/ann:/bin/sh\n+::::::\n#x\nbad\n"
ACCOUNTS = b"\f".join((PASSWD, b"root:x:0:\nadm:x:4:root,ann\n+:::\n", b"root:*:1:0:9:7:::\n", b"root:*::\nadm:!::\n"))
UNIT = b"[Unit]\nAfter=x\n[Install]\nWantedBy=multi-user.target %p.target\nAlias=z.service\nAlso=y.socket t@2.service\n"

# -- names


def read_names(data: bytes, folder: Path) -> None:
    """Take any names for files: shown on one line, kept to the byte, or refused in words."""
    names = [name for name in data.split(b"\0") if name]
    texts = [name.decode("utf-8", "surrogateescape") for name in names]
    assert all(
        shown(each).isprintable() and escaped(each).replace("\n", "").replace("\t", "").isprintable() for each in texts
    )
    with LayerWriter(folder / "x.tar", folder / "x.index", 0) as writer:
        for text in texts:
            with suppress(ValueError, StageError):  # out of the tree, or a removal
                writer.add_file(tars.clean(text), b"x")
    entries = layer.read_index(folder / "x.index")
    assert tuple(tars.scan(folder / "x.tar")) == _listed(folder / "x.index")
    assert {entry.path.encode("utf-8", "surrogateescape") for entry in entries} <= {
        b"/".join(step for step in name.split(b"/") if step not in (b"", b".")) for name in names
    }
    tree = Tree([folder / "x.index"], [folder / "x.tar"])
    with (folder / "x.cpio").open("wb") as out:
        cpio.write(out, tree)
    flat = {name: (number, 1) for number, name in enumerate(names, 11) if b"/" not in name and len(name) < 256}
    listed = b"".join(inode.directory_blocks(2, 2, flat, 4096, checksums=True, types=True))
    assert dict(inode.read_names(listed)) == {name: held for name, held in flat.items() if name not in (b".", b"..")}
    with suppress(StageError):
        fat._check("esp", dict(tree.entries))


def read_acl(data: bytes, _: Path) -> None:
    """Read an access control list, in words or in Linux's form; what is taken means the same in both."""
    for read in (lambda: acl.decode(data), lambda: acl.parse(data, lambda _, name: len(name))):
        with suppress(ValueError):  # what it says that it raises
            rows = read()
            assert acl.decode(acl.encode(rows)) == rows
            assert 0 <= acl.mode(rows) <= 0o777


LIST = b"user::rwx,user:lisa:r-x:1001\ngroup::r--,group:50:r--,mask::r-x,other::---\n"
NAMES = b"\0".join(
    (b"etc/passwd", b"a b", b"caf\xc3\xa9", b"\xff\xfe", b"\x1b[2J", b"new\nline", b"x" * 255, b"./a//b", b"..",
     b"a/../b", b"-dash", b".wh.x", b"/abs", b"a" * 150 + b"/" + b"b" * 150, "\u202e\u0150\u65e5".encode())
)  # fmt: skip

# -- disks


def read_disk(data: bytes, folder: Path) -> None:
    """Look for tables, filesystems and loaders, as inspect and a start do, up to where mtools would be asked."""
    path = folder / "disk"
    path.write_bytes(with_crcs(data))
    with opened(path, "raw") as disk:
        bootcode.recognised(disk.read)
        bootable._of_cd(disk)
        for start, size in bootable._stretches(disk, disk.read(0, 512)):
            superblock.probe(
                lambda offset, length, at=start, end=size: disk.read(at + offset, min(length, end - offset))
            )
    found = inspect.inspect(path)
    inspect.to_text(found)
    inspect.to_json(found)


def read_files(data: bytes, folder: Path) -> None:
    """Look for files in an image as ls, diff and verify do, up to where a filesystem's own check would be asked."""
    path = folder / "disk"
    path.write_bytes(data)
    with looked_into(path) as image:
        tree = system_tree.whole(image)
        list(listing.lines(tree, tree.top, long=True, recursive=True))
        list(difference.between(image, image, (tree, tree)))
        entries = tuple(boot_entries.found(image))
        problems = inspect.inspect(path).problems
        subject = Subject(image, problems, None, tree, entries, (), lambda *_: None, every_block=True)
        checks = {name: check for name, check in verification.CHECKS.items() if name not in ("filesystems", "loader")}
        verification.to_text("x", [verification.judged(name, check, subject) for name, check in checks.items()])


def files_seeds() -> list[bytes]:
    """Return a FAT filesystem that holds a system's own files, and loaders' configurations."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = folder / "fat"
        subprocess.run(["mkfs.vfat", "-C", image, "96"], check=True, capture_output=True)
        for path, text in _SYSTEM.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        tops = sorted({path.split("/")[0] for path in _SYSTEM})
        env = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
        subprocess.run(["mcopy", "-s", "-i", image, *(folder / top for top in tops), "::"], check=True, env=env)
        return [image.read_bytes()]


_SYSTEM = {
    "etc/fstab": "UUID=1 / ext4 defaults\\0401 0 1\nLABEL=x /boot\\040x vfat\n/dev/sda1 none swap\n",
    "etc/passwd": "root:x:0:0::/:/bin/sh\n",
    "etc/hostname": "box\n",
    "usr/x": "",
    "loader/entries/one.conf": 'title One\nlinux /linux\ninitrd /initrd\noptions root=UUID=1 "a b"\n',
    "linux": "MZ",
    "grub/grub.cfg": "menuentry 'One' {\n search --fs-uuid --set=root 1-2\n linux /linux root=LABEL=x\n initrd /a\n}\n",
    "syslinux/syslinux.cfg": "label one\nkernel ../linux\nappend initrd=a,b root=/dev/sda\n",
    "var/lib/dpkg/status": "Package: x\nStatus: install ok installed\nVersion: 1\n\n",
}


def with_crcs(data: bytes) -> bytes:
    """Return a disk whose GPT has the checksums that belong to it."""
    found = bytearray(data)
    for at in (512, len(found) - 512):
        if found[at : at + 8] == b"EFI PART" and at + 92 <= len(found):
            array, count, width = struct.unpack_from("<QII", found, at + 72)
            if count * width < 1 << 20:
                struct.pack_into("<I", found, at + 88, zlib.crc32(found[array * 512 : array * 512 + count * width]))
            (length,) = struct.unpack_from("<I", found, at + 12)
            struct.pack_into("<I", found, at + 16, 0)
            struct.pack_into("<I", found, at + 16, zlib.crc32(found[at : at + min(length, 512)]))
    return bytes(found)


def disk_seeds() -> list[bytes]:
    """Return disks with a GPT, with an MBR, without a table, and a CD."""
    size, guid = 256 << 10, "7c9d35e2-0a5e-4c3b-9d1f-5b6f5d0a7e41"
    slot = gpt.Slot(64 << 9, 100 << 9, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", guid, "esp\u0150", 4)
    head, tail = gpt.encode(size, guid, [slot])
    tables = [head + bytes(size - len(head) - len(tail)) + tail]
    tables.append(mbr.encode(size, "12345678", [mbr.Slot(64 << 9, 64 << 9, 0x83, active=True)]) + bytes(size - 512))
    superblocks = bytearray(64 << 10)
    superblocks[1024:2048] = EXT
    cd = bytearray(24 * 2048)
    cd[0x8001:0x8006] = cd[0x8801:0x8806] = b"CD001"
    cd[0x8807 : 0x8807 + 23] = b"EL TORITO SPECIFICATION"
    cd[0x8847] = 20
    cd[20 * 2048] = 1
    cd[20 * 2048 + 32] = 0x88
    return [*tables, bytes(superblocks), bytes(cd)]


EXT = bytearray(1024)
struct.pack_into("<IIIII", EXT, 0, 64, 1000, 10, 500, 50)
EXT[0x38:0x3A] = b"\x53\xef"
struct.pack_into("<II", EXT, 0x5C, 4, 0x40)
EXT[0x78:0x80] = b"label\x1b[2"


def read_image(data: bytes, folder: Path) -> None:
    """Tell an image's format, and whether it is whole, before QEMU sees it."""
    path = folder / "x.img"
    path.write_bytes(data)
    with suppress(BootsmithError):
        image_format.recognise(path, opens=True)
    image_format.recognise(path)
    qcow2.check_whole(path)


QCOW2 = struct.pack(
    ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 16, 1 << 20, 0, 1, 0x30000, 0x10000, 1, 0, 0, 0, 0, 0, 4, 104
)
QCOW2 = QCOW2.ljust(0x30000, b"\0") + struct.pack(">Q", 1 << 63 | 0x40000).ljust(0x10000, b"\0") + bytes(0x10000)
IMAGES = [
    QCOW2,
    b"KDMV" + struct.pack("<IIQ", 1, 3, 100) + bytes(500),
    b"vhdxfile" + bytes(600),
    b"conectix" + bytes(600),
]


def read_attributes(data: bytes, _: Path) -> None:
    """Read an inode's attributes as a guest left them."""
    try:
        attributes.read(data[:256], data[256:])
    except (ValueError, struct.error):  # what it says that it raises
        return


INODE = bytearray(256)
struct.pack_into("<HH", INODE, 128, 32, 0)
struct.pack_into("<I", INODE, 160, 0xEA020000)
struct.pack_into("<BBHIII4s", INODE, 164, 4, 1, 60, 0, 4, 0, b"note")
BLOCK = bytearray(1024)
struct.pack_into("<IIII", BLOCK, 0, 0xEA020000, 1, 1, 0)
struct.pack_into("<BBHIII", BLOCK, 32, 0, 2, 900, 0, 28, 0)
struct.pack_into("<I4x", BLOCK, 900, 1)


def read_flash(data: bytes, _: Path) -> None:
    """Add to the variables of a firmware, as a guest left them; what is added is there, and nothing grows."""
    for made in (variables.with_entry(data, "x.conf", "it"), variables.with_program(data, "/EFI/x.efi", "it")):
        assert len(made) == len(data)
        variables._walk(made, "what was made of it")
    with suppress(BootsmithError):  # it may have keys
        assert len(variables.enrol(data, b"certificate", "it")) == len(data)


def flash() -> bytes:
    """Return the variables of a firmware: one, and room for more."""
    made = bytearray(b"\xff" * (16 << 10))
    made[40:44], made[48:50] = b"_FVH", struct.pack("<H", 72)
    struct.pack_into("<16sIBB", made, 72, variables._STORE.bytes_le, 12 << 10, 0x5A, 0xFE)
    record = variables._record(variables.Variable("Lang", variables.enrolment.GLOBAL, b"en"), 7)
    made[100 : 100 + len(record)] = record
    return bytes(made)


# -- kernels and programs


def read_kernel(data: bytes, folder: Path) -> None:
    """Tell what a kernel is, and whether a loader could start it."""
    for protocol in ("linux", "multiboot", "multiboot2"):
        for arch in ("amd64", "i386"):
            own_kernel.early_refusal(data[: installed_kernel.HEAD], protocol, arch, len(data))
            own_kernel.refusal(data, protocol, arch)
            multiboot.module_refusal(data, "server $(task-create)", arch, len(data))
    if boot_formats.kernel(data) == "bzImage":
        assert installed_kernel.word(linux_image.version(data)).isprintable()
    multiboot.has_header(data, "multiboot")
    (folder / "kernel").write_bytes(data)
    own_kernel._unpacked(folder / "kernel")
    with suppress(BootsmithError):  # of what could start, QEMU takes but some
        kernel_file.check(folder / "kernel")


def read_initrd(data: bytes, folder: Path) -> None:
    """Tell whether Linux would unpack all of an initrd."""
    (folder / "initrd").write_bytes(data)
    why = initrd_archive.refusal(folder / "initrd")
    if why:
        raise StageError(why)


def read_program(data: bytes, _: Path) -> None:
    """Add sections to an EFI program, and make its digest and room for a signature."""
    program = pe.parse(data, "it")
    made = pe.parse(pe.add_sections(program, [Addition(".cmdline", b"quiet", room=4096)]), "what was made of it")
    assert made.content(".cmdline")
    pe.digest(program)
    pe.digest(pe.parse(pe.attach(program, b"signature"), "what was signed"))


def program() -> bytes:
    """Return the smallest EFI program."""
    made = bytearray(0x400)
    made[:2], made[0x3C:0x40], made[0x40:0x44] = b"MZ", struct.pack("<I", 0x40), b"PE\0\0"
    struct.pack_into("<HHIIIHH", made, 0x44, 0x8664, 1, 0, 0, 0, 240, 0x22)
    struct.pack_into("<H", made, 0x58, 0x20B)
    struct.pack_into("<II", made, 0x58 + 32, 0x1000, 0x200)
    struct.pack_into("<III", made, 0x58 + 56, 0x2000, 0x200, 0)
    struct.pack_into("<I", made, 0x58 + 108, 16)
    struct.pack_into("<8sIIIIIIHHI", made, 0x58 + 240, b".text", 0x100, 0x1000, 0x200, 0x200, 0, 0, 0, 0, 0x60000020)
    return bytes(made)


KERNELS = [
    tiny_kernel.kernel(), gzip.compress(tiny_kernel.kernel()), b"\x7fELF\2\1" + bytes(100),
    b"\x7fELF\1\1" + bytes(58) + struct.pack("<III", 0x1BADB002, 0, 0x100000000 - 0x1BADB002) + bytes(100),
]  # fmt: skip


def initrds() -> list[bytes]:
    """Return archives, plain, behind one another and packed."""
    whole = kernel_files.cpio({"init": b"#!/bin/sh", "etc/x": bytes(100)})
    return [whole, whole + bytes(512) + gzip.compress(whole), lzma.compress(whole, check=lzma.CHECK_CRC32)]


READERS: Mapping[str, tuple[Reader, Callable[[], Sequence[bytes]]]] = {
    "tar": (read_tar, tar_seeds),
    "deb": (read_deb, lambda: [deb({"Package": "x", "Version": "1"}, pack=pack) for pack in ("gz", "xz")]),
    "lists": (read_lists, lambda: [LISTS]),
    "lock": (read_lock, lambda: [LOCK]),
    "os-release": (read_os_release, lambda: [b'ID=debian\nPRETTY_NAME="Debian \\"x\\" 13"\nVERSION_ID=\'13\'\n']),
    "accounts": (read_accounts, lambda: [ACCOUNTS]),
    "units": (read_units, lambda: [UNIT]),
    "acl": (read_acl, lambda: [LIST, acl.encode(acl.parse(LIST, lambda *_: 7))]),
    "names": (read_names, lambda: [NAMES]),
    "disk": (read_disk, disk_seeds),
    "files": (read_files, files_seeds),
    "image": (read_image, lambda: IMAGES),
    "attributes": (read_attributes, lambda: [bytes(INODE + BLOCK), bytes(INODE)]),
    "flash": (read_flash, lambda: [flash()]),
    "kernel": (read_kernel, lambda: KERNELS),
    "initrd": (read_initrd, initrds),
    "program": (read_program, lambda: [program()]),
}
EXAMPLES: Mapping[str, Sequence[bytes]] = {
    "tar": [tars.END],  # nothing to strip folders of
    "deb": [b"!<arch>\n" + b"data.tar.gz".ljust(48) + b"9999999999`\n"],  # ten gigabytes that are not there
    "accounts": [ACCOUNTS.replace(b"adm:x", b"ad\x7f:x")],
    "lists": [LISTS.replace(b"https://", b"https://[")],
    "lock": [LOCK.replace(b"Z\n", b"Z\x1c\n")],
    "units": [UNIT.replace(b"multi", b"\0ulti"), UNIT.replace(b"t@2", b"t@\0"), UNIT.replace(b"z.s", b"../../z.s")],
    "names": [b"a\x1b[2J\0a\x1b[2J/b"],
    "kernel": [b"\x7fELF", tiny_kernel.kernel()[:0x20F], tiny_kernel.kernel()[:0x237]],
    "initrd": [b"\xfd7zXZ\0\0"],  # that is all of it
    "program": [
        program()[: 0x58 + 8] + b"\xff\xff\xff\xff" + program()[0x58 + 12 :],  # of more data than can be said
        program().replace(struct.pack("<II", 0x1000, 0x200), bytes(8), 1),  # aligned to nothing
    ],
}
"""Cases that once were a traceback, took all memory or for ever, or were written as something else."""
