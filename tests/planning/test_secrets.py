"""Secrets that are missing: refused before anything is resolved or built, by whatever would read them alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.planning import secrets

from tests.support.kernel_files import bzimage
from tests.support.project import dodo, doit

BOX = """\
source: {directory: tree}
system:
  network: none
  ssh_host_keys: none
  users: {root: {password: {file: secrets/root}}}
boot: {loader: syslinux, kernel: vmlinuz, initrd: none}
outputs: [raw, qcow2: {compress: none, encrypt: {env: SAFE}}]
test: {login: {user: root, password: {file: secrets/login}}}
"""
DEBIAN = 'source: {debian: {suite: bookworm, mirror: "http://127.0.0.1:9/debian"}}\n'
KINDS = {
    "a user's password": (
        "system: {users: {ann: {password: {file: pw}}}}\n",
        "x.yaml:2:24: system.users.ann.password: there is no file pw; write the password into it, or name another file",
    ),
    "a user's password, in a folder": (
        "system: {users: {ann: {password: {file: s/pw}}}}\n",
        "x.yaml:2:24: system.users.ann.password: there is no file s/pw; `mkdir -p -m 700 s`, then write the password",
    ),
    "a variable": (
        "system: {users: {ann: {password: {env: NO_PW}}}}\n",
        "x.yaml:2:24: system.users.ann.password: the environment variable NO_PW is not set; let it hold the password",
    ),
    "a key to sign with": (
        "boot: {loader: efistub, secure_boot: {key: {file: k}, certificate: crt}}\n",
        "x.yaml:2:39: boot.secure_boot.key: there is no file k; write an RSA key, such as `openssl genrsa 2048` prints",
    ),
    "a passphrase": (
        "outputs: [qcow2: {compress: none, encrypt: {file: p}}]\n",
        "x.yaml:2:35: outputs.qcow2.encrypt: there is no file p; write the passphrase into it, or name another file",
    ),
}


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A project whose recipe has a secret for its tree, one for an output and one for its test; none is there."""
    recipes = tmp_path / "recipes"
    (recipes / "tree/etc").mkdir(parents=True)
    (recipes / "tree/etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (recipes / "tree/etc/shadow").write_text("root:*:19000:0:99999:7:::\n")
    (recipes / "tree/etc/group").write_text("root:x:0:\n")
    (recipes / "tree/sbin").mkdir()
    (recipes / "tree/sbin/init").touch(0o755)
    (recipes / "vmlinuz").write_bytes(bzimage())
    (recipes / "box.yaml").write_text(BOX)
    (tmp_path / "dodo.py").write_text(dodo("recipes/box.yaml"))
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_missed_before_packages_are_resolved(tmp_path: Path, kind: str) -> None:
    """Whatever kind of secret it is: by its place in the recipe, with what to do; no lock is made, nothing built."""
    text, said = KINDS[kind]
    (tmp_path / "dodo.py").write_text(dodo("x.yaml"))
    (tmp_path / "crt").touch()
    (tmp_path / "x.yaml").write_text(DEBIAN + text)
    assert said in doit(tmp_path, "image", status=3)
    assert not (tmp_path / "x.lock").exists()
    assert not (tmp_path / "build/x").exists()


def test_only_what_reads_a_secret_misses_it(box: Path) -> None:
    """Stages and commands that need none go on; each other misses all that it would read, before anything is built."""
    root, safe, login = "system.users.root.password", "outputs.qcow2.encrypt", "test.login.password"
    for words, keys in {
        ("image",): {root, safe}, (): {root, safe}, ("raw",): {root}, ("layers/*",): {root},
        ("qemu-test",): {root, login},
        ("run-bios", "--format", "qcow2", "--print"): {root, safe}, ("show", "image"): {root, safe},
        (str(box / "build/box/box.raw"),): {root},
    }.items():  # fmt: skip
        said = doit(box, *words, status=3)
        assert {key for key in (root, safe, login) if key in said} == keys, words
        assert "Traceback" not in said
    assert not (box / "build/box").exists()
    for word in ("list", "show", "explain"):
        doit(box, word)
    assert "built    rootfs" in doit(box, "rootfs")
    (box / "recipes/secrets").mkdir()
    (box / "recipes/secrets/root").write_text("pw\n")
    assert "built    assemble" in doit(box, "raw")
    assert safe in doit(box, "run-bios", "--format", "qcow2", "--print", status=3)
    assert login in doit(box, "qemu-test", status=3)


def test_a_remembered_plan_misses_it_too(box: Path) -> None:
    """A secret that went since the last build is missed as if there had been none; explain says so."""
    (box / "recipes/secrets").mkdir()
    (box / "recipes/secrets/root").write_text("pw\n")
    doit(box, "raw")
    assert list((box / "cache/plans").iterdir())
    (box / "recipes/secrets/root").unlink()
    said = doit(box, "raw", status=3)
    assert "recipes/box.yaml:5:18: system.users.root.password: there is no file recipes/secrets/root" in said
    assert "refused before anything is built" in doit(box, "explain", SAFE="x")
    (refused,) = json.loads(doit(box, "explain", "--json", SAFE="x"))["refused"]
    assert refused in said


def test_files_are_opened_and_not_read(tmp_path: Path) -> None:
    """What nobody could read, a terabyte, is there; no folder or pipe is waited for; what is built is left out."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "build").mkdir()
    (tmp_path / "link").symlink_to("build/later")

    def wrong(name: str) -> list[str]:
        return secrets.missing([Secret(file=tmp_path / name, where="r", holds="it")], tmp_path / "build")

    assert [wrong(name) for name in ("large", "build/later", "link")] == [[], [], []]
    assert wrong("pipe") == [f"r: {tmp_path}/pipe is not a file; name another one"]
    assert wrong(".") == [f"r: {tmp_path} is not a file; name another one"]
    assert secrets.missing([Secret(hash="$6$a$b")], tmp_path) == []
