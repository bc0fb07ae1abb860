"""The loader's layer: what it holds for each loader, and what it takes from where."""

from __future__ import annotations

from pathlib import Path

import pytest
from bootsmith.tasks.boot import grub
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.packages import loader_packages
from bootsmith.tasks.planning import placement
from bootsmith.tasks.recipe.load import load
from bootsmith.tasks.tools import host

from tests.support.disk_build import VERSION, DiskBuild
from tests.support.kernel_files import efi_program
from tests.support.tar_members import member

ROOT = "{mount: /, uuid: 01234567-89ab-cdef-0123-456789abcdef}"
DISK = f"disk: {{partitions: {{esp: {{size: 64M, mount: /boot/efi}}, root: {ROOT}}}}}\n"
LOADER = efi_program(b"from the tree")
PARTUUID = "root=PARTUUID={} ro console=tty0 console=ttyS0"


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskBuild:
    """A build with a small base layer."""
    made = DiskBuild(tmp_path, monkeypatch, DISK)
    made.base({"./": member("d"), "usr/lib/systemd/boot/efi/systemd-bootx64.efi": LOADER})
    return made


def files(build: DiskBuild) -> dict[str, bytes]:
    """Return the files of the loader's layer."""
    return build.loader_files()


def cmdline(build: DiskBuild) -> str:
    """Return the command line of an entry without words of its own."""
    return PARTUUID.format(build.recipe.disk.partitions["root"].partuuid)


def test_systemd_boot_with_its_entry(build: DiskBuild) -> None:
    """Its binary is the tree's own; the entry is what the Boot Loader Specification asks for."""
    build.run("bootloader")
    assert files(build) == {
        "esp/EFI/BOOT/BOOTX64.EFI": LOADER,
        "esp/loader/loader.conf": b"default default.conf\ntimeout 0\n",
        "esp/loader/entries/default.conf": (
            "title Debian GNU/Linux 13 (trixie)\n"
            f"version {VERSION}\n"
            "sort-key 0001\n"
            f"linux /debian/{VERSION}/linux\n"
            f"initrd /debian/{VERSION}/initrd\n"
            f"options {cmdline(build)}\n"
        ).encode(),
    }


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"text\n", "it does not begin like one"),
        (b"MZ", "it is cut short"),
        (LOADER[:-1], "it is cut short"),
        (efi_program(b"x", machine=0xAA64), "it is for other machines than x86-64"),
    ],
)
def test_what_the_firmware_starts_is_a_program(data: bytes, what: str, build: DiskBuild) -> None:
    """Whatever a tree has by a loader's name: a disk that nothing starts is not built (W7)."""
    build.base({"./": member("d"), "usr/lib/systemd/boot/efi/systemd-bootx64.efi": data})
    with pytest.raises(StageError, match=rf"systemd-bootx64\.efi is not a 64-bit EFI program: {what}"):
        build.run("bootloader")


def test_systemd_boot_with_several_entries(build: DiskBuild) -> None:
    """One file each, sorted as the recipe has them."""
    build.write_recipe(
        DISK
        + "boot: {root: none, console: [], default: debug, entries: {plain: {title: Plain}, debug: {cmdline: debug}}}\n"
    )
    build.run("bootloader")
    found = files(build)
    assert found["esp/loader/loader.conf"] == b"default debug.conf\ntimeout 5\n"
    assert found["esp/loader/entries/plain.conf"].startswith(b"title Plain\n")
    assert b"options" not in found["esp/loader/entries/plain.conf"]
    assert found["esp/loader/entries/debug.conf"].endswith(b"options debug\n")
    assert b"sort-key 0002\n" in found["esp/loader/entries/debug.conf"]


def test_grub_reads_its_menu_beside_the_kernel(build: DiskBuild) -> None:
    """By the filesystem's UUID; it talks on the serial port too."""
    build.write_recipe(DISK + "boot: {loader: grub-efi, packages: false}\n")
    build.run("bootloader")
    found = files(build)
    assert set(found) == {"esp/EFI/BOOT/BOOTX64.EFI", "root/boot/grub/grub.cfg"}
    assert found["esp/EFI/BOOT/BOOTX64.EFI"].startswith(b"MZ")
    assert found["root/boot/grub/grub.cfg"].decode() == (
        "serial --unit=0 --speed=115200\n"
        "terminal_input console serial\n"
        "terminal_output console serial\n"
        "set default=default\n"
        "set timeout=0\n"
        "\n"
        "menuentry 'Debian GNU/Linux 13 (trixie)' --id default {\n"
        "  search --no-floppy --fs-uuid --set=root 01234567-89ab-cdef-0123-456789abcdef\n"
        f"  linux /boot/vmlinuz-{VERSION} {cmdline(build)}\n"
        f"  initrd /boot/initrd.img-{VERSION}\n"
        "}\n"
    )


def test_grub_with_the_kernel_on_the_esp(build: DiskBuild) -> None:
    """Menu and kernel stand there; the ESP is found by its serial."""
    build.write_recipe(
        DISK.replace("size: 64M,", "size: 64M, uuid: ABCD-1234,")
        + "boot: {loader: grub-efi, place: esp, packages: false, console: []}\n"
    )
    build.run("bootloader")
    found = files(build)
    assert set(found) == {"esp/EFI/BOOT/BOOTX64.EFI", "esp/grub/grub.cfg"}
    text = found["esp/grub/grub.cfg"].decode()
    assert "--set=root ABCD-1234\n" in text
    assert f"linux /debian/{VERSION}/linux " in text
    assert "serial" not in text


def test_grub_on_a_boot_partition_of_its_own(build: DiskBuild) -> None:
    """Paths are those of that partition."""
    build.write_recipe(
        "disk: {partitions: {esp: {size: 64M}, root: {mount: /},"
        " boot: {mount: /boot, uuid: 11111111-2222-3333-4444-555555555555}}}\n"
        "boot: {loader: grub-efi, packages: false}\n"
    )
    build.run("bootloader")
    text = files(build)["boot/grub/grub.cfg"].decode()
    assert "--set=root 11111111-2222-3333-4444-555555555555\n" in text
    assert f"linux /vmlinuz-{VERSION} " in text


def test_grubs_own_modules_in_the_tree_are_used(build: DiskBuild) -> None:
    """Not the host's: the same image from any host."""
    folder = host.find("grub-efi-modules").parent
    modules = {f"usr/lib/grub/x86_64-efi/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())
               if path.suffix in (".mod", ".lst", ".img")}  # fmt: skip
    build.base({"./": member("d"), **modules})
    build.write_recipe(DISK + "boot: {loader: grub-efi}\n")
    assert "grub-efi-modules" not in build.stages()["bootloader"].tools
    build.run("bootloader")
    from_tree = files(build)
    build.base({"./": member("d")})
    build.write_recipe(DISK + "boot: {loader: grub-efi, packages: false}\n")
    assert "grub-efi-modules" in build.stages()["bootloader"].tools
    build.run("bootloader")
    assert files(build) == from_tree


@pytest.mark.parametrize("loader", ["systemd-boot", "grub-efi"])
def test_a_tree_without_its_loader_says_what_to_do(build: DiskBuild, loader: str) -> None:
    """The host's files are taken only when the recipe says so."""
    build.base({"./": member("d")})
    build.write_recipe(DISK + f"boot: {{loader: {loader}}}\n")
    with pytest.raises(StageError, match="do not hold the loader's files") as caught:
        build.run("bootloader")
    assert "packages: false" in caught.value.hint


def test_systemd_boot_of_the_host(build: DiskBuild) -> None:
    """With `packages: false` and none in the tree."""
    build.base({"./": member("d")})
    build.write_recipe(DISK + "boot: {packages: false}\n")
    build.run("bootloader")
    assert files(build)["esp/EFI/BOOT/BOOTX64.EFI"] == host.find("systemd-boot").read_bytes()


def test_the_same_recipe_gives_the_same_layer(build: DiskBuild) -> None:
    """grub-mkimage included."""
    build.write_recipe(DISK + "boot: {loader: grub-efi, packages: false}\n")
    made = []
    for _ in range(2):
        build.run("bootloader")
        made.append((build.site.loader.tar.read_bytes(), build.site.loader.index.read_bytes()))
    assert made[0] == made[1]


def test_another_command_line_changes_loader_and_esp_only(build: DiskBuild) -> None:
    """Kernel, initrd and root filesystem do not depend on it."""
    before = build.stages()
    build.write_recipe(DISK + "boot: {cmdline: debug}\n")
    after = build.stages()
    assert [name for name in before if before[name].params != after[name].params] == ["bootloader"]
    assert [name for name, stage in after.items() if build.site.loader.tar in stage.inputs.values()] == ["populate/esp"]


@pytest.mark.parametrize(("suite", "loader", "packages"),
    [("trixie", "systemd-boot", ("systemd-boot-efi",)), ("bullseye", "systemd-boot", ()),
     ("bookworm", "grub-efi", ("grub-efi-amd64-bin",))],
)  # fmt: skip
def test_a_loader_names_its_packages(build: DiskBuild, suite: str, loader: str, packages: tuple[str, ...]) -> None:
    """For the tree to have them (C15); none when the recipe wants none."""
    file = build.folder / "other.yaml"
    for text, wanted in (("", packages), (", packages: false", ())):
        file.write_text(f"source: {{debian: {{suite: {suite}}}}}\nboot: {{loader: {loader}{text}}}\n")
        assert loader_packages.packages(load(file)) == wanted


@pytest.mark.parametrize(("word", "quoted"),
    [("quiet", "quiet"), ("a=b,c:d/e.f-g_h@i%j+k", "a=b,c:d/e.f-g_h@i%j+k"), ("$(task-create)", "'$(task-create)'"),
     ("it's", "'it'\\''s'"), ("a;b", "'a;b'"), ("", "''"), ("x{y}", "'x{y}'")],
)  # fmt: skip
def test_grub_reads_words_literally(word: str, quoted: str) -> None:
    """Unquoted, GRUB's shell would read dollars, semicolons and braces itself."""
    assert grub.quote(word) == quoted


def test_names_follow_the_kernel_that_was_built(build: DiskBuild) -> None:
    """Version and distribution are known only then."""
    where = placement.placement(build.recipe)
    assert where.partition == "esp"
    named = where.named({"": {"id": "ubuntu", "version": "6.8"}})
    assert (named.kernels, named.initrds) == ({"": "ubuntu/6.8/linux"}, {"": "ubuntu/6.8/initrd"})
