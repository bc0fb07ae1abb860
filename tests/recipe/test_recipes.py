"""The recipes this repository ships."""

from __future__ import annotations

from pathlib import Path

from bootsmith.tasks.recipe import listing
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model import Overlay, Qcow2, Raw

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


def test_passwords_are_not_committed() -> None:
    """Git ignores the folder that the recipes' secrets are in."""
    assert "secrets/" in (RECIPES / ".gitignore").read_text().split()
