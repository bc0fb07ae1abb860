"""Mistakes in `machine` and `test`, with the line their user sees."""

from __future__ import annotations

import pytest
from bootsmith.tasks.command.actions import qemu_test

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

BAD = [
    (
        SOURCE + "machine: {type: virt}\n",
        ["2:17: machine.type: 'virt' is not a choice; known here: q35, pc, microvm"],
    ),
    (
        SOURCE + "machine: {type: microvm, drive: ide, firmware: uefi}\n",
        [
            "2:33: machine.drive: microvm has no ide; write virtio, nvme or scsi",
            "2:48: machine.firmware: microvm starts kernels directly only; write direct, or type: q35",
        ],
    ),
    (
        SOURCE + "machine: {type: microvm}\ntest: {firmware: [auto, uefi]}\n",
        ["3:25: test.firmware: microvm starts kernels directly only; write direct, or machine.type: q35"],
    ),
    (
        SOURCE + "machine: {type: microvm, display: gtk}\n",
        ["2:35: machine.display: microvm has no screen; write none, or type: q35"],
    ),
    (
        SOURCE + "machine: {secure_boot: true, firmware: direct}\n",
        ["2:24: machine.secure_boot: direct verifies nothing; write firmware: uefi"],
    ),
    (
        SOURCE + "machine: {secure_boot: true, type: pc}\n",
        ["2:24: machine.secure_boot: pc cannot guard the keys; write type: q35"],
    ),
    (
        SOURCE + "machine: {share: {'a b': .}}\n",
        ["2:19: machine.share.a b: 'a b' is not a share's tag; use up to 35 letters, digits, dots and dashes"],
    ),
    (
        SOURCE + "machine: {share: {work: nowhere}}\n",
        ["2:25: machine.share.work: recipes/nowhere does not exist; create that directory"],
    ),
    (
        SOURCE + "machine: {debug: 'int -D /etc/x'}\n",
        ["2:18: machine.debug: 'int -D /etc/x' is not a list of QEMU's log items; write items as `qemu -d help` lists"],
    ),
    (
        SOURCE + "machine: {forward: ['22']}\n",
        ["2:21: machine.forward: '22' is not a port forward; write HOST:GUEST, like 2222:22"],
    ),
    (
        SOURCE + "machine: {forward: ['70000:22']}\n",
        ["2:21: machine.forward: 70000 is not a port; write numbers from 1 to 65535"],
    ),
    (
        SOURCE + "machine: {forward: ['2222:22', '2222:80']}\n",
        ["2:32: machine.forward: port 2222 is forwarded already; take another one"],
    ),
    (
        SOURCE + "machine: {nic: none, forward: ['2222:22']}\n",
        ["2:31: machine.forward: without a network card nothing can be forwarded; remove nic: none"],
    ),
    (
        SOURCE + "test: {login: {user: root}}\n",
        ["2:8: test.login.password: this must be given; write `password: SECRET`"],
    ),
    (
        SOURCE + "test: {login: {user: root, password: {env: PW}}}\n",
        ["2:22: test.login.user: root's password is locked; write system.users.root.password"],
    ),
    (
        SOURCE + ("system: {users: {root: {password: empty}}}\ntest: {login: {user: root, password: {env: PW}}}\n"),
        ["3:22: test.login.user: root's password is empty; write the one to log in with in system.users"],
    ),
    (
        SOURCE + "test: {login: {user: root, password: {hash: $6$a$b}}}\n",
        ["2:28: test.login.password.hash: a hash cannot be typed at a login; write {file: PATH} or {env: NAME}"],
    ),
]


@each_of(BAD)
def test_a_mistake_is_told_with_place_key_reason_and_remedy(
    with_files: RecipeFolder, text: str, lines: list[str]
) -> None:
    """Before anything is started."""
    assert with_files.mistakes(text) == lines


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("", ["uefi"]),
        ("machine: {type: microvm}\n", ["direct"]),
        ("test: {firmware: [auto, direct]}\n", ["uefi", "direct"]),
        ("boot: {loader: [grub-efi, grub-bios]}\ntest: {firmware: [bios, auto, uefi]}\n", ["bios", "uefi"]),
        ("boot: {loader: [grub-efi, grub-bios]}\nmachine: {firmware: bios}\n", ["bios"]),
    ],
)
def test_under_what_a_recipe_is_tested(recipes: RecipeFolder, more: str, found: list[str]) -> None:
    """`auto` is what the machine says, else what its board can, else its loaders' first; each once."""
    assert qemu_test.kinds(recipes.load(SOURCE + more)) == found
