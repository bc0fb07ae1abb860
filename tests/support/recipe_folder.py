"""A folder to write recipes in, and to load them from as a user in it would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from bootsmith.tasks.errors import RecipeError
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.recipe.model.recipe import Recipe

SOURCE = "source: {debian: {suite: trixie}}\n"
"""The least a recipe must say; it takes the first line of most recipes here."""

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
  - packages: {install: [jq], remove: [ed], preseed: ["tzdata tzdata/Areas select Europe"]}
  - run: {command: "echo $$x\n\tid", inputs: {k: files}, env: {A: "x: y"}, network: true}
  - script: {file: files/key.gpg, env: {B: ""}}
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
    root: {mount: /, fs: ext3, start: 512M, attributes: [no-auto, 59], options: "a,ro", features: [^has_journal]}
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
"""A recipe that says nearly all that can be said; it needs what `RecipeFolder.write_files` writes."""


class RecipeFolder:
    """Recipes live in `recipes/` below `folder`, which is the current directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "recipes").mkdir()

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file below `recipes/`, and return its path; a name without a dot is a recipe's."""
        path = self.folder / "recipes" / (name if "." in name else f"{name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def write_files(self) -> None:
        """Write the files that `LARGE` names."""
        self.write("files/key.gpg", "")
        self.write("base", SOURCE + "profiles: {debug: {machine: {memory: 3G}}}\nboot: {timeout: 7}\n")

    def load(self, text: str, words: Mapping[str, str] | None = None, profile: str | None = None) -> Recipe:
        """Write the recipe `x` and load it as `recipes/x.yaml`, with words of the command line."""
        self.write("x", text)
        return load(Path("recipes/x.yaml"), overrides=words or {}, profile=profile)

    def mistakes(self, text: str) -> list[str]:
        """Load a recipe that is wrong; return what its user sees of each mistake, behind `recipes/x.yaml:`."""
        with pytest.raises(RecipeError) as caught:
            self.load(text)
        assert caught.value.exit_code == 3
        assert all(line.startswith("recipes/x.yaml:") for line in caught.value.problems), caught.value.problems
        return [line.removeprefix("recipes/x.yaml:") for line in caught.value.problems]


def each_of(bad: Sequence[tuple[str, list[str]]]) -> pytest.MarkDecorator:
    """Return the mark of a test that takes `text` and `lines` from a table: recipes, and what is wrong with them."""
    names = [text.removeprefix(SOURCE).strip()[:60] for text, _ in bad]
    return pytest.mark.parametrize(("text", "lines"), bad, ids=names)
