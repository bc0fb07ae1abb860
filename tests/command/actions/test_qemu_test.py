"""qemu-test: under what an image is booted, with what, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.command.actions import qemu_test
from bootsmith.tasks.disk import bootable
from bootsmith.tasks.errors import RecipeError, UsageError
from bootsmith.tasks.machine import boot_setup, boot_test
from bootsmith.tasks.machine.verdict import Verdict

from tests.command.actions.conftest import Calls

Tests = Callable[..., list[Any]]


@pytest.fixture(name="tests")
def fixture_tests(call: Calls, monkeypatch: pytest.MonkeyPatch) -> Tests:
    """What calls qemu-test, and returns the boots that it asks for, each with where its results go; all pass."""

    def act(*, cached: bool = False, **named: Any) -> list[Any]:
        asked: list[Any] = []

        def prove(setup: Any, out: Path, **more: Any) -> Verdict:
            out.mkdir(parents=True, exist_ok=True)
            (out / boot_test.TIMING).write_text("login 3 s\n")
            asked.append((setup, out.relative_to(call.top), more["force"]))
            return Verdict(7.0, {"login": 3.0}, ("nonce seen",), "tcg", {}, 0.0, cached)

        disk = call.top / "build/box/box.raw"
        disk.parent.mkdir(parents=True, exist_ok=True)
        disk.write_bytes(bytes(512))
        monkeypatch.setattr(boot_setup, "prepare", lambda _machine, _test, subject, **more: (subject, more))
        monkeypatch.setattr(boot_test, "prove", prove)
        monkeypatch.setattr(bootable, "firmware", lambda *_: ["bios"])
        monkeypatch.setattr(bootable, "vendors", lambda *_: "EFI/vendor.efi")
        qemu_test.qemu_test(call("qemu-test", **named))
        return asked

    return act


@pytest.mark.parametrize(
    ("edit", "firmware", "kinds"),
    [
        ("system: none", "auto", ["bios"]),
        ("system: none\nmachine: {type: microvm}", "auto", ["direct"]),
        ("system: none\nmachine: {firmware: bios}", "direct,auto,bios,direct", ["direct", "bios"]),
    ],
)
def test_auto_is_what_the_recipe_means(call: Calls, edit: str, firmware: str, kinds: list[str]) -> None:
    """Its machine's firmware, else what its loaders serve; each kind once, in the order in which they are named."""
    call.edit("system: none", edit)
    recipe = call("qemu-test").session.recipe(None, {"test.firmware": f"[{firmware}]"})
    assert qemu_test.kinds(recipe) == kinds


def test_each_firmware_has_a_boot_and_a_folder(call: Calls, tests: Tests) -> None:
    """One alone goes without a folder, and without its name before what is said."""
    ((subject, _), out, force), *more = tests()
    assert more == []
    assert (subject.kind, subject.disk, out, force) == (
        "bios", call.top / "build/box/box.raw", Path("build/box/test"), False,
    )  # fmt: skip
    assert "login reached in 3 s, nonce seen (tcg)\n" in call.said
    both = tests(firmware="bios,direct", force=True)
    assert [out for _, out, _ in both] == [Path("build/box/test/bios"), Path("build/box/test/direct")]
    assert [force for _, _, force in both] == [True, True]
    (_, _, _), ((direct, more_of_it), _, _) = both
    assert direct.kernel.image == call.top / "build/box/kernel/vmlinuz"
    assert more_of_it["password"] == b""
    assert "bios: login reached" in call.said
    assert "direct: login reached" in call.said


def test_the_entry_asked_for_is_booted(tests: Tests) -> None:
    """Directly by its own words for the kernel."""
    ((subject, _), _, _), *_ = tests(firmware="direct", entry="rescue")
    assert subject.kernel.cmdline.endswith("single")


def test_a_boot_that_passed_before_is_told_so(call: Calls, tests: Tests) -> None:
    """With what it saved; the times of its phases only where they are asked for."""
    tests(cached=True)
    assert "passed (cached, 7 s saved): login reached" in call.said
    assert "login 3 s" not in call.said
    tests(cached=True, timing=True)
    assert "login 3 s" in call.said


def test_a_recipe_without_a_disk_is_tested_directly(tests: Tests) -> None:
    """There is nothing else that starts it."""
    ((subject, _), _, _), *_ = tests(recipe="kernel")
    assert (subject.kind, subject.disk) == ("direct", None)


@pytest.mark.parametrize(
    "options", [{"entry": "none"}, {"timeout": "5"}, {"firmware": "uefi,boos"}, {"accel": "magic"}]
)
def test_options_that_no_test_has_are_refused(call: Calls, options: dict[str, str]) -> None:
    """As keys of the recipe would be, before anything is built."""
    qemu_test.check(call("qemu-test", timing=True))
    with pytest.raises(RecipeError):
        qemu_test.check(call("qemu-test", **options))


def test_the_password_that_is_typed_is_read_first(call: Calls) -> None:
    """One that is missing is told before anything is built."""
    plan = call("qemu-test").session.builder().plan
    assert list(qemu_test.secrets(call("qemu-test"), plan)) == []
    call.edit("system: none", "system: none\ntest: {login: {user: ann, password: {env: WORD}}}")
    assert list(qemu_test.secrets(call("qemu-test"), plan)) == [Secret(env="WORD")]


def test_what_does_not_boot_is_refused_first(call: Calls) -> None:
    """Before its tree is built; a disk, a CD and a kernel alone are something to test."""
    qemu_test.refuse(call("qemu-test"), call("qemu-test").session.builder(None).plan)
    qemu_test.refuse(call("qemu-test"), call("qemu-test").session.builder("kernel").plan)
    (call.top / "box.yaml").write_text(
        "source: {directory: tree}\nboot: {kernel: none}\nsystem: none\noutputs: [oci]\n"
    )
    with pytest.raises(UsageError, match="box has nothing that boots"):
        qemu_test.refuse(call("qemu-test"), call("qemu-test").session.builder(None).plan)
