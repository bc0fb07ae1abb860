"""The recipes this repository ships."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path

from bootsmith.tasks.recipe import listing
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.layers import Overlay
from bootsmith.tasks.recipe.model.outputs import Qcow2, Raw

RECIPES = Path(__file__).parents[2] / "recipes"


def test_every_shipped_recipe_loads() -> None:
    """No recipe here is broken, and each says in one line what it is."""
    summaries = dict(listing.summaries(RECIPES))
    assert {"minimal", "grub"} <= summaries.keys()
    assert all(text and not text.startswith("broken:") for text in summaries.values())


def test_minimal_is_debian_13_with_systemd_boot() -> None:
    """The default recipe is a small Debian that boots to a login, kept as raw and as compressed qcow2."""
    recipe = load(RECIPES / "minimal.yaml")
    assert (recipe.source.suite, recipe.boot.loader, recipe.test.expect) == ("trixie", ("systemd-boot",), ("login:",))
    assert recipe.layers == (Overlay("1-overlay", RECIPES / "files/minimal", "/", ()),)
    assert (RECIPES / "files/minimal/etc/motd").is_file()
    assert recipe.outputs == (
        Raw("minimal.raw"), Qcow2("minimal.qcow2", "zstd", "off", 64 << 10, "1.1", lazy_refcounts=True),
    )  # fmt: skip


def test_grub_differs_in_suite_loader_and_password() -> None:
    """The second recipe is the first on Debian 12 with GRUB, and its test logs in with the password. C1."""
    minimal, grub = load(RECIPES / "minimal.yaml"), load(RECIPES / "grub.yaml")
    assert (grub.source.suite, grub.boot.loader, grub.boot.place) == ("bookworm", ("grub-efi",), "root")
    assert grub.source.packages == minimal.source.packages
    password = grub.system.users["root"].password
    assert grub.test.login is not None
    assert grub.test.login.password == password
    assert password.file == RECIPES / "secrets/root.password"  # type: ignore[union-attr]
    assert {grub.disk.id}.isdisjoint({minimal.disk.id})


def test_hybrid_is_minimal_for_two_firmwares() -> None:
    """The same tree on a disk that both start, and a test under each (C5)."""
    minimal, hybrid = load(RECIPES / "minimal.yaml"), load(RECIPES / "hybrid.yaml")
    assert hybrid.boot.loader == ("grub-efi", "grub-bios")
    assert (hybrid.source, hybrid.layers, hybrid.test.firmware) == (minimal.source, minimal.layers, ("uefi", "bios"))


def test_vagrant_has_the_user_that_vagrant_enters_as() -> None:
    """Its box lets Vagrant in by its well-known key and password, and root's work needs no password (W11)."""
    recipe = load(RECIPES / "vagrant.yaml")
    user = recipe.system.users["vagrant"]
    (key,) = user.ssh_keys
    blob = base64.b64decode(str(key).split()[1])
    fingerprint = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    assert fingerprint == "1M4RzhMyWuFS/86uPY/ce2prh/dVTHW7iD2RhpquOZA"
    password = user.password.hash  # type: ignore[union-attr]
    words = ["openssl", "passwd", "-6", "-salt", password.split("$")[2], "vagrant"]
    made = subprocess.run(words, text=True, capture_output=True, check=True)
    assert made.stdout.strip() == password
    sudoers = recipe.layers[-1].files["/etc/sudoers.d/vagrant"]  # type: ignore[union-attr]
    assert (sudoers.mode, sudoers.content) == (0o440, "vagrant ALL=(ALL) NOPASSWD: ALL\n")
    assert [each.kind for each in recipe.outputs] == ["box"]


def test_passwords_are_not_committed() -> None:
    """Git ignores the folder that the recipes' secrets are in."""
    assert "secrets/" in (RECIPES / ".gitignore").read_text().split()
