"""What loaders ask of the rest of a recipe: each its table, its partitions, kernels it can read, and no rival."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from bootsmith.tasks.recipe import cmdline
from bootsmith.tasks.recipe.loaders import optical, own, partitions
from bootsmith.tasks.recipe.loaders.kinds import KINDS, boot_places, readers, served
from bootsmith.tasks.recipe.model.recipe import Recipe
from bootsmith.tasks.recipe.text.problems import Finding, KeyPath, suggest

PARTS: KeyPath = ("disk", "partitions")
GAP = 1 << 20  # bytes before the first partition in which GRUB lies on an MBR disk
_NEEDED = {
    "esp": "an ESP; write `esp: {size: 512M, mount: /boot/efi}` too",
    "bios-boot": "a place on a GPT disk; write `bios-boot: {type: bios-boot, size: 1M}` too",
}
_TYPES = {"esp": "the ESP", "xbootldr": "a partition of type xbootldr"}
_PLACES = {"esp": "the ESP", "active": "the active partition", "root": "the tree's /boot"}


def _rivals(recipe: Recipe) -> Iterable[Finding]:
    owners: dict[str, str] = {}
    for number, name in enumerate(recipe.boot.loader):
        for place in boot_places(name, recipe.boot.loader, recipe.boot.removable):
            if place in owners:
                what = f"{owners[place]} and {name} both want {place}; keep one of them"
                yield ("boot", "loader", number), what
            owners.setdefault(place, name)


def _tables(recipe: Recipe) -> Iterable[Finding]:
    for name in recipe.boot.loader:
        tables = list(KINDS[name].layouts)
        if recipe.disk.table not in tables:
            yield ("disk", "table"), f"{name} cannot live on {recipe.disk.table}; write {' or '.join(tables)}"


def _needs(recipe: Recipe) -> Iterable[Finding]:
    present = {part.type for part in recipe.disk.partitions.values()}
    for name in recipe.boot.loader:
        for keys in KINDS[name].layouts.get(recipe.disk.table, {}).values():
            kind = str(keys["type"]) if isinstance(keys, dict) and "type" in keys else ""
            if kind and kind not in present:
                yield PARTS, f"{name} needs {_NEEDED.get(kind, f'a partition of type {kind}; write one too')}"
                present.add(kind)


def _kernels(recipe: Recipe) -> Iterable[Finding]:
    """Kernels stand where every loader finds them, on a filesystem every loader reads."""
    disk, place = recipe.disk, recipe.boot.place
    part = partitions.kernels(disk, place)
    reading = readers(recipe.boot.loader)
    if part is None:
        needy = next((name for name in reading if KINDS[name].places == (place,)), "")
        if place == "none":
            for name in reading:
                yield ("boot", "place"), f"{name} reads kernels from somewhere; write {KINDS[name].places[0]}, or auto"
        elif place == "active" and needy:
            what = f"{needy} needs a FAT partition; write `boot: {{fs: vfat, size: 256M, mount: /boot/syslinux}}` too"
            yield PARTS, what
        elif place != "esp" and disk.partitions:  # an ESP that is missing is told by who needs it
            yield ("boot", "place"), f"there is no such partition: {_PLACES[place]}; add it, or write auto"
        return
    for name in reading:
        kind = KINDS[name]
        looked_at = [partitions.kernels(disk, each) for each in kind.places]
        types = partitions.types(kind, disk.table)
        if part not in looked_at or (types and part.type not in types):
            readable = " or ".join(_TYPES[each] for each in types) or " or ".join(_PLACES[each] for each in kind.places)
            others = next((other for other in KINDS if other != name and KINDS[other].firmware == kind.firmware
                           and place in KINDS[other].places), None)  # fmt: skip
            instead = f", or loader: {others}" if others else ""
            yield ("boot", "place"), f"{name} reads kernels from {readable} only; write {kind.places[0]}{instead}"
        elif part.encrypt:
            what = f"{name} reads no kernels from what is encrypted; put a /boot of its own beside it"
            elsewhere = [each for each in kind.places if each != place]
            yield (
                (*PARTS, part.name, "encrypt"),
                f"{what}{f', or write boot.place: {elsewhere[0]}' if elsewhere else ''}",
            )
        elif part.fs not in kind.reads:
            what = f"{name} cannot read kernels from {part.fs}; write {' or '.join(kind.reads)}"
            yield (*PARTS, part.name, "fs"), what


def _entries(recipe: Recipe) -> Iterable[Finding]:
    boot = recipe.boot
    if "efistub" in boot.loader and "systemd-boot" not in boot.loader and len(boot.entries) > 1:
        what = "a kernel image that the firmware starts shows no menu"
        yield ("boot", "entries"), f"{what}; keep one entry, or write loader: [systemd-boot, efistub]"


def _paths(recipe: Recipe) -> Iterable[Finding]:
    if recipe.boot.removable != "only" and "uefi" not in served(recipe.boot.loader):
        yield ("boot", "removable"), "no loader here is started by UEFI; remove this line"


def _own_files(recipe: Recipe) -> Iterable[Finding]:
    boot = recipe.boot
    known = list(dict.fromkeys(file for name in boot.loader for file in KINDS[name].config))
    for file in boot.config:
        if file not in known:
            what = f"{' and '.join(boot.loader)} {'read' if len(boot.loader) > 1 else 'reads'} no {file}"
            yield ("boot", "config", file), f"{what}; {suggest(file, known) if known else 'remove it'}"
    if boot.grub_modules and not any(name.startswith("grub-") for name in boot.loader):
        yield ("boot", "grub_modules"), "there is no GRUB here to have modules; remove this line"


def _secure_boot(recipe: Recipe) -> Iterable[Finding]:
    """Find what cannot keep a signature's promise: that nothing else is started."""
    boot, path = recipe.boot, ("boot", "secure_boot")
    if boot.secure_boot is None:
        ours = not any(own.is_own(name) for name in boot.loader)
        if recipe.machine.secure_boot and ours:
            what = "the firmware would refuse this image, on which nothing is signed"
            yield ("machine", "secure_boot"), f"{what}; write boot.secure_boot, or false"
        return
    if "uefi" not in served(boot.loader):
        yield path, "no loader here is started by UEFI, which alone looks at signatures; add efistub to boot.loader"
    elif "grub-efi" in boot.loader:
        what = "GRUB without shim verifies neither its menu nor the kernel"
        yield path, f"{what}; write loader: efistub, or [systemd-boot, efistub]"
    elif "systemd-boot" in readers(boot.loader):
        what = "nobody verifies the initrd and the command line that systemd-boot reads from files"
        yield path, f"{what}; write loader: [systemd-boot, efistub], which signs them with the kernel"
    if boot.secure_boot.enroll and "systemd-boot" not in boot.loader:
        yield (
            (*path, "enroll"),
            "only systemd-boot offers keys to a firmware; add it to boot.loader, or write false",
        )


def _protocol(recipe: Recipe) -> Iterable[Finding]:
    protocol = recipe.boot.protocol
    for number, name in enumerate(recipe.boot.loader):
        if protocol not in KINDS[name].protocols:
            able = " or ".join(other for other, kind in KINDS.items() if protocol in kind.protocols)
            yield ("boot", "loader", number), f"{name} starts no {protocol} kernels; write {able}"


def _words(recipe: Recipe) -> Iterable[Finding]:
    return handed_otherwise(recipe, recipe.boot.loader)


def handed_otherwise(recipe: Recipe, loaders: Sequence[str]) -> Iterable[Finding]:
    """Find what a loader would hand a kernel otherwise than it is written."""
    boot = recipe.boot
    said: list[tuple[KeyPath, str]] = [(("boot", "cmdline"), boot.cmdline)]
    said += [(("boot", "entries", name, "cmdline"), entry.cmdline) for name, entry in boot.entries.items()]
    said += [(("boot", "modules", number, "args"), module.args) for number, module in enumerate(boot.modules)]
    for name in loaders:
        letters = KINDS[name].escaped
        for path, text in said:
            found = next((letter for letter in letters if letter in text), "")
            if found:
                yield path, f"{name} puts a backslash before {found}; leave it out, or take another loader"
            elif letters and not _well_quoted(text):
                yield path, f'{name} takes double quotes around a word or a value alone; write like a="b c"'


def _well_quoted(text: str) -> bool:
    try:
        cmdline.words(text)
    except ValueError:
        return False
    return True


def _gap(recipe: Recipe) -> Iterable[Finding]:
    if "grub-bios" not in recipe.boot.loader or recipe.disk.table != "mbr":
        return
    for name, part in recipe.disk.partitions.items():
        if part.start is not None and part.start < GAP:
            what = "GRUB lies before the first partition of an MBR disk; write 1M or more"
            yield (*PARTS, name, "start"), what


def _firmware(recipe: Recipe) -> Iterable[Finding]:
    able = served(optical.started(recipe))
    asked: list[tuple[KeyPath, str]] = [(("machine", "firmware"), recipe.machine.firmware)]
    asked += [(("test", "firmware", number), each) for number, each in enumerate(recipe.test.firmware)]
    for path, firmware in asked:
        if firmware in ("uefi", "bios") and firmware not in able:
            fitting = " or ".join(name for name, kind in KINDS.items() if kind.firmware == firmware)
            yield path, f"no loader here starts under {firmware}; add {fitting} to boot.loader, or write auto"
        elif firmware in ("uefi", "bios") and recipe.machine.type == "microvm" and path[0] == "test":
            yield path, "microvm starts kernels directly only; write direct, or machine.type: q35"


_READS: tuple[KeyPath, ...] = (("disk",), ("boot", "loader"), ("boot", "place"))
RULES: tuple[tuple[tuple[KeyPath, ...], Callable[[Recipe], Iterable[Finding]]], ...] = (
    ((("boot", "loader"), ("boot", "removable")), _rivals),
    ((("boot", "loader"), ("boot", "entries")), _entries),
    ((("boot", "loader"), ("boot", "removable")), _paths),
    ((("boot", "loader"), ("boot", "config"), ("boot", "grub_modules")), _own_files),
    ((("boot", "loader"), ("boot", "secure_boot"), ("machine",)), _secure_boot),
    (_READS, _tables),
    (_READS, _needs),
    (_READS, _kernels),
    (_READS, _gap),
    ((("boot", "loader"), ("boot", "cmdline"), ("boot", "entries"), ("boot", "modules")), _words),
    ((("boot", "loader"), ("boot", "protocol")), _protocol),
    ((("boot", "loader"), ("outputs",), ("machine", "firmware"), ("machine", "type"), ("test", "firmware")), _firmware),
)
