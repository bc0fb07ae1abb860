"""Attributes and access control lists out of foreign tars, as bsdtar and GNU tar write them. A2."""

from __future__ import annotations

import base64
import io
import lzma
import tarfile
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import acl, foreign_tar, layer
from bootsmith.tasks.tree.tar import Entry

BSDTAR = lzma.decompress(
    base64.b64decode(
        "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4EH/AhxdADKdCIYQ5JSzSrhLj6AL8uoEiLKnEFGB2wluBvjqS904+LLBV5VlnEUbEFTl/iuDG9FERo"
        "Bkjqw8rHupQVqxV4flk/VHo7mrNLjDs036Na+IjNSgLZKycnAqP6PUhyJDqAgzTV2LTVI1B8iNl6GY457sZWo7IMVTj122Kf4UT/gOGameYEV5"
        "fPPEKSVhTXng9T50glGNFFNU602uh8fSdpUU+WXUxjxTBAMWgPjjcL7cVUYqTBdbfDi/wDKc40b6ZL59ACHGgJEC6z3pcQCkCXAqB20J9g//bm"
        "nxYj57cBQ+ATusGbLjokEAPlSfBYpyftE7AFQspxkPHBskSPLuPrSVLGAno0IUttxFQ3RPWaCIQmFU+eAu5/0g2E/7Ri6Q/x5KszndKDBxvu92"
        "PboySnYP0QDmMtvhEiLbnr0lAo+0ghimG3001ZSrSTsVMq9ul9w2jaObQVAuxasEYO7FqT/edZCZ4KZJH/IKNBrPNyDSR15mtNm3AD4fyIMc8C"
        "Pz2RlTnhOESS4/vCVsdkUREASOLHbkrTB3TcsKaX4CFI0QQpglzDEVbBQ9Jr6o5tk78yZFclP34A99VNnUTwW7pd5JIlP6u8zF5P0kVZUO8hOJ"
        "NxjoW+Vet9NA+FGzV/RR32hoa63NOPmkKE8Ie2g5c7lonceI4de2HSFFHR8jRCp8rKaSwXFoJGZmag7v/UP8mqQi8a0q9wpcS8uDtgBVhinfIy"
        "wtowABuASAhAEAI9cy0rHEZ/sCAAAAAARZWg=="
    )
)
"""etc/passwd, etc/group, holes (sparse), file and dir (with lists), by bsdtar 3.6.2."""
PASSWD = b"root:x:0:0::/:/bin/sh\nlisa:x:1001:1001::/:/bin/sh\n"
LIST = "user::rw-\nuser:lisa:r-x\ngroup::r--\ngroup:50:r--\nmask::r-x\nother::r--\n"
ROWS = [
    (acl.OWNER, 0xFFFFFFFF, 6),
    (acl.USER, 1001, 5),
    (acl.GROUP, 0xFFFFFFFF, 4),
    (acl.NAMED_GROUP, 50, 4),
    (acl.MASK, 0xFFFFFFFF, 5),
    (acl.OTHER, 0xFFFFFFFF, 4),
]


def indexed(folder: Path, data: bytes) -> dict[str, Entry]:
    """Return the entries of a tar as its stage has them."""
    (folder / "x.tar").write_bytes(data)
    foreign_tar.index(folder / "x.tar", folder / "x.index")
    return {entry.path: entry for entry in layer.read_index(folder / "x.index")}


def tar(*members: tuple[str, bytes, dict[str, str]]) -> bytes:
    """Return a tar of files and links with these extended headers; a name that ends in a slash is a directory's."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as out:
        for name, data, pax in members:
            info = tarfile.TarInfo(name)
            info.type = (
                tarfile.DIRTYPE if name.endswith("/") else tarfile.SYMTYPE if name == "link" else tarfile.REGTYPE
            )
            info.size, info.mode, info.pax_headers = len(data), 0o4777, pax
            out.addfile(info, io.BytesIO(data))
    return made.getvalue()


def listed(text: str, name: str = "file", key: str = "access") -> bytes:
    """Return a tar of a member with a list."""
    return tar(("etc/passwd", PASSWD, {}), (name, b"", {f"SCHILY.acl.{key}": text}))


def test_what_bsdtar_writes_by_itself_is_read(tmp_path: Path) -> None:
    """Lists come with the numbers it says, holes stay holes."""
    found = indexed(tmp_path, BSDTAR)
    assert acl.decode(found["file"].xattrs[acl.ACCESS]) == [
        (acl.OWNER, 0xFFFFFFFF, 6),
        (acl.USER, 1, 5),
        (acl.GROUP, 0xFFFFFFFF, 4),
        (acl.NAMED_GROUP, 50, 4),
        (acl.MASK, 0xFFFFFFFF, 5),
        (acl.OTHER, 0xFFFFFFFF, 4),
    ]
    assert acl.decode(found["dir"].xattrs[acl.DEFAULT])[1] == (acl.USER, 33, 7)
    holes = found["holes"]
    assert (holes.size, holes.stretches) == (5 << 20, ((1 << 20, 4096), (3 << 20, 4096)))
    wanted = bytearray(5 << 20)
    wanted[1 << 20 : (1 << 20) + 4], wanted[3 << 20 : (3 << 20) + 3] = b"data", b"end"
    assert layer.read_member(tmp_path / "x.tar", holes) == wanted


def test_names_are_numbered_by_the_tree_itself(tmp_path: Path) -> None:
    """GNU tar writes names: they are those of the tree, whatever users this host has; the mask is the group's mode."""
    found = indexed(tmp_path, listed(LIST))["file"]
    assert found.xattrs == {acl.ACCESS: acl.encode(ROWS)}
    assert found.mode == 0o4654


@pytest.mark.parametrize(
    "text",
    [
        "user::rw-,group::r--,other::r--,user:whoever:r-x:1001,group:50:r--,mask::r-x",
        "u::rw-,u:1001:r-x\t#effective:r-x,g::r--,g:50:r--,m::r-x,o::r--,",
        LIST.replace("user:lisa", "default:user:lisa"),
    ],
)
def test_all_ways_to_say_it(text: str, tmp_path: Path) -> None:
    """Commas or lines, numbers behind the rights, short words, in any order."""
    assert indexed(tmp_path, listed(text))["file"].xattrs == {acl.ACCESS: acl.encode(ROWS)}


def test_a_list_that_says_what_a_mode_says_is_none(tmp_path: Path) -> None:
    """GNU tar writes one for each directory that has a list for what is made in it; the mode is what it says."""
    found = indexed(tmp_path, listed("user::rwx,group::r-x,other::---"))["file"]
    assert (found.mode, found.xattrs) == (0o4750, {})
    found = indexed(tmp_path, listed("user::rwx,group::r-x,other::---", "d/", "default"))["d"]
    assert list(found.xattrs) == [acl.DEFAULT]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (listed(LIST.replace("lisa", "bart\x1b")), r"/file: its access .* a user not in /etc/passwd: bart\\x1b"),
        (listed(LIST.replace("50", "staff")), "a group not in /etc/group: staff"),
        (listed(LIST.replace("mask", "mast")), "is no line of one"),
        (listed(LIST.replace("mask::r-x\n", "")), "lacks a line, or has one too many"),
        (listed(LIST + "user::rwx"), "lacks a line, or has one too many"),
        (listed(LIST + "user:1001:rwx"), "lacks a line, or has one too many"),
        (listed(LIST.replace("50", "4294967295")), "lacks a line, or has one too many"),
        (listed(LIST.replace("50", "9" * 400)), "a group not in"),
        (listed(""), "lacks a line, or has one too many"),
        (listed(LIST, "link"), "/link has an access control list that only others have"),
        (listed(LIST, "file", "default"), "/file has an access control list that only others have"),
        (listed(LIST, "file", "ace"), "NFSv4"),
        (tar(("f", b"", {"SCHILY.xattr.system.posix_acl_access": "\2\0\0\0junk"})), "list that is none"),
        (tar(("f", b"", {"SCHILY.xattr.system.data": "junk"})), "/f has the attribute system.data, which Linux"),
        (tar(("f", b"", {f"SCHILY.xattr.user.{'n' * 251}": ""})), "which Linux does not keep"),
        (tar(("f", b"", {"SCHILY.xattr.user.": ""})), "/f has the attribute user., which"),
        (tar(("f", b"", {"SCHILY.xattr.com.apple.quarantine": "q"})), "com.apple.quarantine, which Linux"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_by_name(data: bytes, what: str, tmp_path: Path) -> None:
    """A list that Linux would not take, or of whom nobody knows, never vanishes and never means somebody else."""
    with pytest.raises(StageError, match=what):
        indexed(tmp_path, data)


def test_attributes_by_other_names_are_the_same(tmp_path: Path) -> None:
    """libarchive's own form, in base 64, and GNU tar's for SELinux are read; of two forms, the plainer."""
    found = indexed(
        tmp_path,
        tar(
            (
                "a",
                b"",
                {"LIBARCHIVE.xattr.user.a%20b": "AP8", "SCHILY.xattr.user.c": "1", "LIBARCHIVE.xattr.user.c": ""},
            ),
            ("b", b"", {"RHT.security.selinux": "system_u:object_r:bin_t:s0"}),
        ),
    )
    assert found["a"].xattrs == {"user.a b": b"\0\xff", "user.c": b"1"}
    assert found["b"].xattrs == {"security.selinux": b"system_u:object_r:bin_t:s0\0"}


def test_part_of_a_tar_has_its_own_users(tmp_path: Path) -> None:
    """Below a folder of the tar, names are those of the tree that begins there."""
    from bootsmith.tasks.tree import excerpt

    decoy = PASSWD.replace(b"1001", b"7")
    (tmp_path / "x.tar").write_bytes(
        tar(
            ("etc/passwd", decoy, {}),
            ("d/", b"", {}),
            ("d/etc/passwd", PASSWD, {}),
            ("d/file", b"", {"SCHILY.acl.access": LIST}),
        )
    )
    excerpt.write(tmp_path / "x.tar", tmp_path / "y.tar", tmp_path / "y.index", subdir="/d", strip=0)
    found = {entry.path: entry for entry in layer.read_index(tmp_path / "y.index")}
    assert found["file"].xattrs == {acl.ACCESS: acl.encode(ROWS)}
    assert indexed(tmp_path, (tmp_path / "y.tar").read_bytes()) == found
