"""The host programs and files bootsmith can need, as data: what for, who packages them, what else shapes their work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Tool(NamedTuple):
    """A host program, or a file of the host where `files` names the places it may stand in.

    `packages` maps a package manager to package names, separated by spaces. `data` are globs of the files that the
    program's work depends on, beyond its executable and libraries; `version` the words that make it print one.
    """

    name: str
    purpose: str
    packages: Mapping[str, str]
    data: tuple[str, ...] = ()
    version: tuple[str, ...] = ("--version",)
    aliases: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def _packages(apt: str, dnf: str = "", pacman: str = "", apk: str = "") -> dict[str, str]:
    """Package names; a manager left out uses Debian's."""
    return {"apt": apt, "dnf": dnf or apt, "pacman": pacman or apt, "apk": apk or apt}


_E2FSPROGS = _packages("e2fsprogs", apk="e2fsprogs e2fsprogs-extra")
_DPKG = _packages("dpkg")
_OPENSSH = _packages("openssh-client", "openssh-clients", "openssh")
_UTIL_LINUX = _packages("util-linux", apk="util-linux-misc")

_CODE_PAGE = (
    "/usr/lib/x86_64-linux-gnu/gconv/IBM850.so",
    "/usr/lib/aarch64-linux-gnu/gconv/IBM850.so",
    "/usr/lib64/gconv/IBM850.so",
    "/usr/lib/gconv/IBM850.so",
)
"""By what FAT's short names are written. Folders are named out: one that a pattern matches would not be watched."""

_ALL = (
    # packages and trees
    Tool("mmdebstrap", "installs a distribution's packages into a tree", _packages("mmdebstrap")),
    Tool(
        "apt-get",
        "resolves and fetches packages",
        _packages("apt"),
        data=("/usr/lib/apt/methods/*", "/usr/lib/apt/solvers/*"),
    ),
    Tool("apt-config", "reads the host's apt configuration", _packages("apt")),
    Tool("apt-cache", "reads package lists", _packages("apt")),
    Tool("gpgv", "verifies a distribution's signatures", _packages("gpgv", "gnupg2", "gnupg", "gpgv")),
    Tool("dpkg", "unpacks and configures packages", _DPKG, data=("/usr/share/dpkg/*table",)),
    Tool("dpkg-deb", "reads package files", _DPKG),
    Tool("tar", "packs and unpacks trees", _packages("tar")),
    Tool(
        "debian-archive-keyring",
        "the keys that Debian's releases are signed with",
        _packages("debian-archive-keyring", "debian-keyring"),
        files=("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"),
    ),
    Tool("sh", "runs what is done inside a tree", _packages("dash", "bash", "bash", "busybox"), version=()),
    Tool("rm", "clears a tree away", _packages("coreutils", apk="busybox")),
    Tool("mount", "gives a tree its /proc", _packages("mount", "util-linux-core", "util-linux", "mount")),
    Tool("hostname", "names a tree while it is built", _packages("hostname", pacman="inetutils", apk="busybox")),
    # filesystems and disks
    Tool("mke2fs", "makes ext2, ext3 and ext4", _E2FSPROGS, version=("-V",)),
    Tool("e2fsck", "checks ext filesystems", _E2FSPROGS, version=("-V",)),
    Tool("debugfs", "writes into and reads from ext filesystems", _E2FSPROGS, version=("-V",)),
    Tool("resize2fs", "resizes ext filesystems", _E2FSPROGS, version=()),
    Tool("dumpe2fs", "reads ext superblocks", _E2FSPROGS, version=("-V",)),
    Tool("mkfs.vfat", "makes FAT", _packages("dosfstools"), _CODE_PAGE, ("--help",)),
    Tool("mcopy", "writes into FAT", _packages("mtools"), _CODE_PAGE, ("-V",)),
    Tool("mmd", "makes directories in FAT", _packages("mtools"), _CODE_PAGE, ("-V",)),
    Tool("mdir", "lists FAT", _packages("mtools"), version=("-V",)),
    Tool("mtools", "what mcopy and its sisters are", _packages("mtools"), _CODE_PAGE, ("-V",)),
    Tool("mtype", "reads files out of FAT", _packages("mtools"), version=("-V",)),
    Tool("sfdisk", "writes partition tables", _packages("fdisk", "util-linux", "util-linux", "sfdisk")),
    Tool("qemu-img", "converts and checks disk images", _packages("qemu-utils", "qemu-img", "qemu-img", "qemu-img")),
    # bootloaders
    Tool(
        "grub-mkimage",
        "builds GRUB",
        _packages("grub-common", "grub2-tools", "grub", "grub"),
        aliases=("grub2-mkimage",),
    ),
    Tool(
        "grub-efi-modules",
        "GRUB's modules for UEFI",
        _packages("grub-efi-amd64-bin", "grub2-efi-x64-modules", "grub", "grub-efi"),
        files=("/usr/lib/grub/x86_64-efi/moddep.lst",),
        data=("/usr/lib/grub/x86_64-efi/*.mod", "/usr/lib/grub/x86_64-efi/*.lst", "/usr/lib/grub/x86_64-efi/*.img"),
    ),
    Tool(
        "grub-bios-modules",
        "GRUB's modules for BIOS",
        _packages("grub-pc-bin", "grub2-pc-modules", "grub", "grub-bios"),
        files=("/usr/lib/grub/i386-pc/moddep.lst",),
        data=("/usr/lib/grub/i386-pc/*.mod", "/usr/lib/grub/i386-pc/*.lst", "/usr/lib/grub/i386-pc/*.img"),
    ),
    Tool("syslinux", "makes FAT start SYSLINUX", _packages("syslinux", apk="syslinux mtools"), version=("--version",)),
    Tool(
        "syslinux-mbr",
        "what finds SYSLINUX's partition",
        _packages("syslinux-common", "syslinux", "syslinux", "syslinux"),
        files=("/usr/lib/syslinux/mbr/mbr.bin", "/usr/share/syslinux/mbr.bin", "/usr/lib/syslinux/bios/mbr.bin"),
        data=(
            "/usr/lib/syslinux/mbr/gptmbr.bin",
            "/usr/share/syslinux/gptmbr.bin",
            "/usr/lib/syslinux/bios/gptmbr.bin",
        ),
    ),
    Tool(
        "syslinux-menu",
        "SYSLINUX's menu",
        _packages("syslinux-common", "syslinux", "syslinux", "syslinux"),
        files=(
            "/usr/lib/syslinux/modules/bios/menu.c32",
            "/usr/share/syslinux/menu.c32",
            "/usr/lib/syslinux/bios/menu.c32",
        ),
        data=(
            "/usr/lib/syslinux/modules/bios/libutil.c32",
            "/usr/share/syslinux/libutil.c32",
            "/usr/lib/syslinux/bios/libutil.c32",
        ),
    ),
    Tool(
        "systemd-boot",
        "the loader, where a tree does not bring its own",
        _packages("systemd-boot-efi", "systemd-boot-unsigned", "systemd", "systemd-boot"),
        files=("/usr/lib/systemd/boot/efi/systemd-bootx64.efi",),
    ),
    Tool(
        "systemd-stub",
        "the start of a unified kernel image, where a tree does not bring its own",
        _packages("systemd-boot-efi", "systemd-boot-unsigned", "systemd", "systemd-boot"),
        files=("/usr/lib/systemd/boot/efi/linuxx64.efi.stub",),
    ),
    Tool("openssl", "signs loaders", _packages("openssl"), version=("version",)),
    # machines
    Tool(
        "qemu-system-x86_64",
        "runs an image",
        _packages("qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86", "qemu-system-x86_64"),
        data=(
            "/usr/share/qemu/*.bin",
            "/usr/share/qemu/*.rom",
            "/usr/share/seabios/*.bin",
            "/usr/lib/ipxe/qemu/*.rom",
            "/usr/lib/x86_64-linux-gnu/qemu/*.so",
            "/usr/lib64/qemu/*.so",
            "/usr/lib/qemu/*.so",
        ),
    ),
    Tool(
        "ovmf",
        "UEFI firmware for QEMU",
        _packages("ovmf", "edk2-ovmf", "edk2-ovmf", "ovmf"),
        files=(
            "/usr/share/OVMF/OVMF_CODE_4M.fd",
            "/usr/share/OVMF/OVMF_CODE.fd",
            "/usr/share/edk2/ovmf/OVMF_CODE.fd",
            "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
            "/usr/share/edk2/x64/OVMF_CODE.fd",
            "/usr/share/edk2-ovmf/x64/OVMF_CODE.fd",
            "/usr/share/OVMF/x64/OVMF_CODE.fd",
        ),
    ),
    Tool("ssh", "enters a running image", _OPENSSH, version=("-V",)),
    Tool(
        "ssh-keygen",
        "makes keys to enter it with",
        _packages("openssh-client", "openssh", "openssh", "openssh-keygen"),
        version=(),
    ),
    # archives
    Tool("zstd", "compresses", _packages("zstd")),
    Tool("xz", "compresses", _packages("xz-utils", "xz", "xz", "xz")),
    Tool("gzip", "compresses", _packages("gzip")),
    Tool("cpio", "packs initramfs archives", _packages("cpio")),
    # walls
    Tool("setpriv", "ends programs together with us", _packages("util-linux", apk="setpriv")),
    Tool("unshare", "gives programs namespaces of their own", _UTIL_LINUX),
    Tool(
        "newuidmap",
        "lets an ordinary user own a tree's files",
        _packages("uidmap", "shadow-utils", "shadow", "shadow-uidmap"),
        version=(),
    ),
)

TOOLS: Mapping[str, Tool] = {tool.name: tool for tool in _ALL}
