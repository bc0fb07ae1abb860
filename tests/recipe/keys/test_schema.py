"""The JSON Schema, and the reference made with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from bootsmith.tasks.recipe.keys import reference, schema
from jsonschema import Draft202012Validator

from tests.support.checkout import CHECKOUT
from tests.support.recipe_folder import SOURCE

VALIDATOR = Draft202012Validator(schema.schema())


def errors(text: str) -> list[str]:
    """Return what the schema has against a recipe, as an editor reads it."""
    found: Any = yaml.safe_load(text)
    return [error.json_path for error in VALIDATOR.iter_errors(found)]


def test_the_schema_is_one() -> None:
    """Editors can load it: it keeps to JSON Schema's draft 2020-12."""
    Draft202012Validator.check_schema(schema.schema())


@pytest.mark.parametrize("page", ["recipe.schema.json", "recipe.md"])
def test_the_committed_pages_are_current(page: str) -> None:
    """The pages say what the loader does; `python -m bootsmith.tasks.recipe.keys.reference` writes them again."""
    text = (CHECKOUT / "docs/reference" / page).read_text()
    assert text == (schema.text() if page.endswith("json") else reference.page(text))


@pytest.mark.parametrize("path", sorted((CHECKOUT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_schema_accepts_what_is_shipped(path: Path) -> None:
    """The recipes of this repository name the schema in their first line, and keep to it."""
    text = path.read_text()
    first = text.partition("\n")[0]
    assert first == "# yaml-language-server: $schema=../docs/reference/recipe.schema.json"
    assert (path.parent / first.partition("=")[2]).is_file()
    assert errors(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "extends: minimal\nsource: {debian: {packages+: [vim], exclude-: [nano]}}\nboot: {cmdline+: x}\n",
        SOURCE + "vars: {n: null, m: {help: x, choices: [1, b]}}\ndisk: {size: '${n}', partitions: null}\n",
        SOURCE
        + "outputs: [raw: {compress: xz}, vmdk: {subformat: monolithicFlat}, gcp, box: x.box]\ndisk: {size: 4G}\n",
        SOURCE + "outputs: [raw, raw: x.img, qcow2: {compat: 0.10, lazy_refcounts: false}]\nversion: 1.10\n",
        SOURCE + "layers: [overlay: files, {files: {/a: b, /c: {content: x, mode: 0755}}, name: n}, remove: [/a]]\n",
        SOURCE + "profiles: {debug: {boot: {cmdline+: debug, loader: [grub-efi]}, system: null}}\n",
        SOURCE + "system: {users: {root: {password: {file: x}}, a: {password: empty}, b: null}}\n",
    ],
)
def test_the_schema_accepts_what_the_loader_reads(text: str) -> None:
    """Additions, variables, nulls and short forms are no mistakes to an editor."""
    assert errors(text) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("name: x\n", "$"),
        (SOURCE + "dsk: 1\n", "$"),
        (SOURCE + "disk: {siez: 1G}\n", "$.disk"),
        (SOURCE + "disk: {size: 64}\n", "$.disk.size"),
        (SOURCE + "disk: {size: 64GB}\n", "$.disk.size"),
        (SOURCE + "boot: {loader: grub}\n", "$.boot.loader"),
        (SOURCE + "boot: {packages: 'no'}\n", "$.boot.packages"),
        (SOURCE + "machine: {cpus: 0}\n", "$.machine.cpus"),
        (SOURCE + "machine: {forward: [22]}\n", "$.machine.forward[0]"),
        (SOURCE + "outputs: raw\n", "$.outputs"),
        (SOURCE + "outputs: [tape]\n", "$.outputs[0]"),
        (SOURCE + "outputs: [qcow2: {compress: lzma}]\n", "$.outputs[0]"),
        (SOURCE + "layers: [{overlay: a, remove: [/b]}]\n", "$.layers[0]"),
        (SOURCE + "system: {users: {root: {password: hunter2}}}\n", "$.system"),
        (SOURCE + "test: {timeout: 90}\n", "$.test.timeout"),
        (SOURCE + "profiles: {a: {extends: b}}\n", "$.profiles.a"),
        (SOURCE + "vars: {a: {halp: b}}\n", "$.vars.a"),
        ("source: {debian: {suite: trixie, packages: [Vim]}}\n", "$.source"),
    ],
)
def test_the_schema_rejects_what_it_can_see(text: str, path: str) -> None:
    """An editor underlines wrong keys, kinds and choices."""
    assert path in errors(text)
