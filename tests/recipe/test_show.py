"""A recipe in full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model import Recipe
from bootsmith.tasks.recipe.nodes import Place, Text
from bootsmith.tasks.recipe.parse import parse_text
from bootsmith.tasks.recipe.problems import Problems
from bootsmith.tasks.recipe.show import flow, show
from bootsmith.tasks.recipe.variables import Variables
from hypothesis import given
from hypothesis import strategies as some
from kitchen import SOURCE, Kitchen

LARGE = r"""
name: large-1
description: "what: it # is, said \"so\""
version: 1.10
seed: "null"
epoch: 2025-01-31
vars: {n: 5}
extends: base
source:
  debian:
    suite: bookworm
    packages: [vim]
    exclude: [nano]
    mirror: https://example.org/debian
    keyring: files/key.gpg
    repositories: [{uri: "https://example.org/", suite: stable, key: files/key.gpg}]
layers:
  - overlay: {from: files, to: /srv, exclude: ["*.o"]}
    name: mine
  - files: {/etc/a: files/key.gpg, /etc/b b: {content: "x: ${n}\n\t$${y} \\ \"é\" \u2028 \x07", mode: 4755, owner: "5"}}
  - directories: {/d: {mode: 0700}}
  - links: {/l: "a b", "/m:": "-"}
  - remove: ["/usr/share/doc/*"]
system:
  hostname: db.example
  hosts: {peer: "2001:db8::1"}
  users:
    root: {password: {hash: $6$a$b}, ssh_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me", files/key.gpg]}
    ann: {password: {file: ../pw}, uid: 1000, groups: [sudo], shell: /bin/bash, home: /srv/ann}
    bob: {password: {env: PW}}
  services: {enable: [ssh], disable: [a@b.service], mask: [c]}
  machine_id: 0123456789abcdef0123456789abcdef
disk:
  size: 16G
  partitions:
    root: {mount: /, fs: ext3, start: 512M, attributes: [no-auto, 59], options: "a,ro", mkfs: ["-O", "^has_journal"]}
    esp: {mount: /boot/efi, start: 2048s, size: 100M, uuid: abcd-1234, label: EFI, name: EFI System}
    raw: {fs: none, size: 4097s, start: 8G, type: 0fc63daf-8483-4772-8e79-3d69d8477de4}
boot:
  loader: grub-efi
  root: /dev/vda1
  cmdline: a="b c" 100%
  console: ["ttyS0,115200n8"]
  entries: {one: {title: "One: 1"}, two: {cmdline: -s}}
  default: two
  place: esp
outputs: [raw: a.img, qcow2: {compress: none, cluster: 512K, preallocation: full}, qcow2: {file: b, compat: 0.10}]
machine: {serial: log.txt, forward: ["2222:22"], qemu: ["-s", "", " a ", "[x]"]}
test: {expect: ["a\\.b$", "login:"], login: {user: ann, password: {file: ../pw}}, run: ["true", "~", "- x", "#", "!a"]}
profiles: {debug: {boot: {timeout: 9}}}
"""


def again(recipe: Recipe, folder: Path) -> Recipe:
    """Return what `show` says of a recipe, loaded from its own folder."""
    file = folder / "recipes/again.yaml"
    file.write_text(show(recipe))
    return replace(load(file), file=recipe.file, files=recipe.files, profile=recipe.profile)


@pytest.mark.parametrize("text", [SOURCE, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("profile", [None, "debug"])
def test_what_is_shown_loads_back_equal(kitchen: Kitchen, text: str, profile: str | None) -> None:
    """Every key, default and derived value stands in what `show` prints, and means the same there."""
    kitchen.write("files/key.gpg", "")
    kitchen.write("base", SOURCE + "profiles: {debug: {machine: {memory: 3G}}}\nboot: {timeout: 7}\n")
    recipe = kitchen.cook(text if text != SOURCE else text + "extends: base\n", profile=profile)
    assert again(recipe, kitchen.folder) == recipe
    assert recipe.machine.memory == (3 if profile else 1) << 30
    assert show(again(recipe, kitchen.folder)).partition("\n")[2] == show(recipe).partition("\n")[2]


def test_secrets_are_shown_by_reference(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password never stands in what is shown, though its file and variable exist."""
    kitchen.write("pw.txt", "hunter2")
    monkeypatch.setenv("PW", "hunter2")
    shown = show(kitchen.cook(SOURCE + "system: {users: {root: {password: {file: pw.txt}}, a: {password: {env: PW}}}}"))
    assert "hunter2" not in shown
    assert "{password: {file: pw.txt}" in shown
    assert "{password: {env: PW}" in shown


@given(some.text(max_size=30))
def test_any_text_is_shown_so_that_it_reads_back(text: str) -> None:
    """Whatever a value holds, quoting and escapes bring it back: colons, quotes, dollars, line ends, controls."""
    problems = Problems()
    place = Place("x", 1, 1, Path("/"))
    for line in (f"key: {flow(text, Path('/'))}\n", f"{{key: [{flow(text, Path('/'))}]}}\n"):
        table = parse_text(line, place, problems)
        assert not problems.lines()
        assert table is not None
        found = table.get("key")
        found = found if isinstance(found, Text) else found.items[0]  # type: ignore[union-attr]
        filled = Variables({}, {}, {}, problems).expand(found)
        assert isinstance(filled, Text)
        assert (filled.text, filled.null) == (text, False)
