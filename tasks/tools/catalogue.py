"""The host programs and files bootsmith can need, as data: what for, who packages them, what else shapes their work."""

from __future__ import annotations

from collections.abc import Mapping

from bootsmith.tasks.tools.tool import MOUNT, NEWUIDMAP, PIVOT_ROOT, SETPRIV, SH, UMOUNT, UNSHARE, Tool, packaged

_E2FSPROGS = packaged("e2fsprogs", apk="e2fsprogs e2fsprogs-extra")
_DPKG = packaged("dpkg")
_OPENSSH = packaged("openssh-client", "openssh-clients", "openssh")

_CODE_PAGE = (
    "/usr/lib/x86_64-linux-gnu/gconv/IBM850.so",
    "/usr/lib/aarch64-linux-gnu/gconv/IBM850.so",
    "/usr/lib64/gconv/IBM850.so",
    "/usr/lib/gconv/IBM850.so",
)
"""By what FAT's short names are written. Folders are named out: one that a pattern matches would not be watched."""

_PERL = ("perl-modules-5.36", "libperl5.36:amd64", "perl-modules-5.40", "libperl5.40:amd64")
"""Of Debian 12 and 13. Named out: to look for others would be to list thousands of files at every run."""


def _whole(*packages: str) -> tuple[str, ...]:
    """Return dpkg's lists of what packages hold, by which a program stands for all that comes with it."""
    return tuple(f"/var/lib/dpkg/info/{package}.md5sums" for package in packages)


_ALL = (
    # packages and trees
    Tool(
        "mmdebstrap",
        "installs a distribution's packages into a tree",
        packaged("mmdebstrap"),
        data=("/usr/share/distro-info/*.csv", *_whole("perl-base", *_PERL)),
    ),
    Tool(
        "apt-get",
        "resolves and fetches packages",
        packaged("apt"),
        data=("/usr/lib/apt/methods/*", "/usr/lib/apt/solvers/*"),
    ),
    Tool("apt-config", "reads the host's apt configuration", packaged("apt")),
    Tool("apt-cache", "reads package lists", packaged("apt")),
    Tool("gpgv", "verifies a distribution's signatures", packaged("gpgv", "gnupg2", "gnupg", "gpgv")),
    Tool("dpkg", "unpacks and configures packages", _DPKG, data=("/usr/share/dpkg/*table",)),
    Tool("dpkg-deb", "reads package files", _DPKG),
    Tool("tar", "packs and unpacks trees", packaged("tar")),
    Tool(
        "debian-archive-keyring",
        "the keys that Debian's releases are signed with",
        packaged("debian-archive-keyring", "debian-keyring"),
        files=("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"),
    ),
    Tool("pacman", "installs Arch's packages into a tree", packaged("pacman-package-manager", "pacman")),
    Tool("gpg", "verifies the signatures of Arch's packages", packaged("gpg", "gnupg2", "gnupg", "gnupg")),
    Tool("gpg-agent", "vouches for keys while it does", packaged("gpg-agent", "gnupg2", "gnupg", "gnupg")),
    Tool(
        "archlinux-keyring",
        "the keys that Arch's packages are signed with",
        packaged("archlinux-keyring"),
        files=("/usr/share/keyrings/archlinux.gpg", "/usr/share/pacman/keyrings/archlinux.gpg"),
        data=("/usr/share/keyrings/archlinux-trusted", "/usr/share/keyrings/archlinux-revoked"),
    ),
    Tool("dnf", "resolves Fedora's packages", packaged("dnf"), aliases=("dnf-3",)),
    Tool(
        "rpm",
        "installs Fedora's packages into a tree",
        packaged("rpm"),
        data=("/usr/lib/rpm/macros", "/usr/lib/rpm/rpmrc", "/usr/lib/rpm/rpmpopt-*"),
    ),
    Tool("rpmkeys", "verifies the signatures of Fedora's packages", packaged("rpm")),
    Tool("createrepo_c", "makes repositories of RPM packages, in tests", packaged("createrepo-c", "createrepo_c")),
    Tool("sed", "takes the day of the installation out of a tree", packaged("sed", apk="busybox")),
    SH,
    Tool("rm", "clears a tree away", packaged("coreutils", apk="busybox"), _whole("coreutils")),
    Tool("find", "finds what packages made for one machine", packaged("findutils", apk="busybox")),
    Tool("grep", "finds private keys among it", packaged("grep", apk="busybox")),
    Tool("chroot", "lets programs see a tree alone", packaged("coreutils")),
    Tool("env", "gives programs in a tree their variables", packaged("coreutils", apk="busybox")),
    Tool("ln", "makes a tree's /dev while something runs in it", packaged("coreutils", apk="busybox")),
    Tool("mkdir", "makes a tree's /dev while something runs in it", packaged("coreutils", apk="busybox")),
    MOUNT,
    Tool("hostname", "names a tree while it is built", packaged("hostname", pacman="inetutils", apk="busybox")),
    Tool(
        "buildah",
        "builds Containerfiles",
        packaged("buildah"),
        data=("/usr/share/containers/seccomp.json",),
        aliases=("podman",),
    ),
    # filesystems and disks
    Tool("mke2fs", "makes ext2, ext3 and ext4", _E2FSPROGS, version=("-V",)),
    Tool("e2fsck", "checks ext filesystems", _E2FSPROGS, version=("-V",)),
    Tool("debugfs", "writes into and reads from ext filesystems", _E2FSPROGS, version=("-V",)),
    Tool("resize2fs", "resizes ext filesystems", _E2FSPROGS, version=()),
    Tool("dumpe2fs", "reads ext superblocks", _E2FSPROGS, version=("-V",)),
    Tool("mkfs.vfat", "makes FAT", packaged("dosfstools"), _CODE_PAGE, ("--help",)),
    Tool("fsck.vfat", "checks FAT", packaged("dosfstools"), _CODE_PAGE, version=()),
    Tool("btrfs", "checks btrfs", packaged("btrfs-progs"), version=("--version",)),
    Tool("mkfs.xfs", "makes what is read, in tests", packaged("xfsprogs"), version=("-V",)),
    Tool("mcopy", "writes into FAT", packaged("mtools"), _CODE_PAGE, ("-V",)),
    Tool("mmd", "makes directories in FAT", packaged("mtools"), _CODE_PAGE, ("-V",)),
    Tool("mdir", "lists FAT", packaged("mtools"), version=("-V",)),
    Tool("mtools", "what mcopy and its sisters are", packaged("mtools"), _CODE_PAGE, ("-V",)),
    Tool("mtype", "reads files out of FAT", packaged("mtools"), version=("-V",)),
    Tool("sfdisk", "writes partition tables", packaged("fdisk", "util-linux", "util-linux", "sfdisk")),
    Tool("mksquashfs", "packs a live system's tree", packaged("squashfs-tools"), version=("-version",)),
    Tool("mkfs.erofs", "packs a tree as EROFS", packaged("erofs-utils"), version=()),
    Tool("xorriso", "makes CDs", packaged("xorriso", pacman="libisoburn"), version=("-version",)),
    Tool("qemu-img", "converts and checks disk images", packaged("qemu-utils", "qemu-img", "qemu-img", "qemu-img")),
    # bootloaders
    Tool(
        "grub-mkimage",
        "builds GRUB",
        packaged("grub-common", "grub2-tools", "grub", "grub"),
        aliases=("grub2-mkimage",),
    ),
    Tool(
        "grub-efi-modules",
        "GRUB's modules for UEFI",
        packaged("grub-efi-amd64-bin", "grub2-efi-x64-modules", "grub", "grub-efi"),
        files=("/usr/lib/grub/x86_64-efi/moddep.lst",),
        data=("/usr/lib/grub/x86_64-efi/*.mod", "/usr/lib/grub/x86_64-efi/*.lst", "/usr/lib/grub/x86_64-efi/*.img"),
    ),
    Tool(
        "grub-bios-modules",
        "GRUB's modules for BIOS",
        packaged("grub-pc-bin", "grub2-pc-modules", "grub", "grub-bios"),
        files=("/usr/lib/grub/i386-pc/moddep.lst",),
        data=("/usr/lib/grub/i386-pc/*.mod", "/usr/lib/grub/i386-pc/*.lst", "/usr/lib/grub/i386-pc/*.img"),
    ),
    Tool("syslinux", "makes FAT start SYSLINUX", packaged("syslinux", apk="syslinux mtools"), version=("--version",)),
    Tool(
        "syslinux-mbr",
        "what finds SYSLINUX's partition",
        packaged("syslinux-common", "syslinux", "syslinux", "syslinux"),
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
        packaged("syslinux-common", "syslinux", "syslinux", "syslinux"),
        files=(
            "/usr/lib/syslinux/modules/bios/menu.c32",
            "/usr/share/syslinux/menu.c32",
            "/usr/lib/syslinux/bios/menu.c32",
        ),
        data=(
            "/usr/lib/syslinux/modules/bios/l*.c32",
            "/usr/share/syslinux/l*.c32",
            "/usr/lib/syslinux/bios/l*.c32",
        ),
    ),
    Tool(
        "isolinux",
        "SYSLINUX for CDs",
        packaged("isolinux", "syslinux", "syslinux", "syslinux"),
        files=(
            "/usr/lib/ISOLINUX/isolinux.bin",
            "/usr/share/syslinux/isolinux.bin",
            "/usr/lib/syslinux/bios/isolinux.bin",
        ),
        data=(
            "/usr/lib/ISOLINUX/isohdpfx.bin",
            "/usr/share/syslinux/isohdpfx.bin",
            "/usr/lib/syslinux/bios/isohdpfx.bin",
        ),
    ),
    Tool(
        "systemd-boot",
        "the loader, where a tree does not bring its own",
        packaged("systemd-boot-efi", "systemd-boot-unsigned", "systemd", "systemd-boot"),
        files=("/usr/lib/systemd/boot/efi/systemd-bootx64.efi",),
    ),
    Tool(
        "systemd-stub",
        "the start of a unified kernel image, where a tree does not bring its own",
        packaged("systemd-boot-efi", "systemd-boot-unsigned", "systemd", "systemd-boot"),
        files=("/usr/lib/systemd/boot/efi/linuxx64.efi.stub",),
    ),
    Tool("openssl", "signs loaders, and encrypts by its library", packaged("openssl"), version=("version",)),
    Tool(
        "cryptsetup",
        "reads encrypted volumes back, in tests",
        packaged("cryptsetup-bin", "cryptsetup", "cryptsetup", "cryptsetup"),
    ),
    Tool("sgdisk", "judges partition tables, in tests", packaged("gdisk", "gdisk", "gptfdisk", "sgdisk")),
    # machines
    Tool(
        "qemu-system-x86_64",
        "runs an image",
        packaged("qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86", "qemu-system-x86_64"),
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
        packaged("ovmf", "edk2-ovmf", "edk2-ovmf", "ovmf"),
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
        packaged("openssh-client", "openssh", "openssh", "openssh-keygen"),
        version=(),
    ),
    # archives
    Tool(
        "liblz4",
        "unpacks images of EROFS",
        packaged("liblz4-1", "lz4-libs", "lz4", "lz4-libs"),
        files=(
            "/usr/lib/x86_64-linux-gnu/liblz4.so.1",
            "/usr/lib/aarch64-linux-gnu/liblz4.so.1",
            "/usr/lib64/liblz4.so.1",
            "/usr/lib/liblz4.so.1",
        ),
    ),
    Tool("zstd", "compresses", packaged("zstd")),
    Tool("xz", "compresses", packaged("xz-utils", "xz", "xz", "xz")),
    Tool("gzip", "compresses", packaged("gzip")),
    Tool("cpio", "packs initramfs archives", packaged("cpio")),
    # walls
    *(SETPRIV, UNSHARE, UMOUNT, PIVOT_ROOT, NEWUIDMAP),
)

TOOLS: Mapping[str, Tool] = {tool.name: tool for tool in _ALL}
