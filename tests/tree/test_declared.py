"""What else is declared: name servers, language, time, keyboard, groups, sudo, the kernel, first boot, growth."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tree import kernel_settings, locales

from tests.support.tar_members import member
from tests.support.tree_build import TreeBuild, text

UNIT = "usr/lib/systemd/system"
ETC = "etc/systemd/system"
NETWORKD = {
    "./usr/lib/systemd/systemd-networkd": b"elf",
    f"./{UNIT}/systemd-networkd.service": b"[Install]\nWantedBy=multi-user.target\n",
}
RESOLVED = {
    "./usr/lib/systemd/systemd-resolved": b"elf",
    f"./{UNIT}/systemd-resolved.service": b"[Install]\nWantedBy=sysinit.target\n",
}
MANAGER = {
    "./usr/sbin/NetworkManager": b"elf",
    f"./{UNIT}/NetworkManager.service": b"[Install]\nWantedBy=multi-user.target\n",
}
GETTY = b"[Service]\nExecStart=-/sbin/agetty -o '-- \\\\u' --noclear - ${TERM}\n"
GROWING = {"./usr/sbin/sfdisk": b"elf", "./usr/bin/partx": b"elf", "./usr/lib/systemd/systemd-growfs": b"elf"}


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TreeBuild:
    made = TreeBuild(tmp_path, monkeypatch)
    made.base()
    return made


DNS = "system: {dns: {servers: [192.0.2.53, '2001:db8::53'], search: [example.org, lan]}NETWORK}"
STATIC = "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org lan\n"


def test_name_servers_without_resolved(build: TreeBuild) -> None:
    """They stand in /etc/resolv.conf, no unit of ours writes it, and what DHCP says of them is not asked (A10)."""
    build.base(NETWORKD)
    tree = build.tree(DNS.replace("NETWORK", ""))
    assert text(tree, "etc/resolv.conf") == STATIC
    assert tree.find(f"{ETC}/resolv-conf.service") is None
    assert tree.link(f"{ETC}/multi-user.target.wants/resolv-conf.path") is None
    assert text(tree, "etc/systemd/network/89-wired.network").count("UseDNS=no") == 3


def test_name_servers_with_resolved(build: TreeBuild) -> None:
    """It is told, and goes on to answer whoever asks."""
    build.base({**NETWORKD, **RESOLVED})
    tree = build.tree(DNS.replace("NETWORK", ""))
    assert "DNS=192.0.2.53 2001:db8::53\nDomains=example.org lan ~.\n" in text(
        tree, "etc/systemd/resolved.conf.d/declared.conf"
    )
    assert tree.resolve("etc/resolv.conf") == "run/systemd/resolve/stub-resolv.conf"


def test_name_servers_in_a_link_s_place(build: TreeBuild) -> None:
    """A link that the tree has there is replaced, not followed; NetworkManager leaves the file alone."""
    build.base({**MANAGER, "./etc/resolv.conf": member("l", linkname="../run/NetworkManager/resolv.conf")})
    tree = build.tree(DNS.replace("NETWORK", ", network: networkmanager"))
    entry = tree.link("etc/resolv.conf")
    assert entry is not None
    assert entry.type == "f"
    assert "dns=none" in text(tree, "etc/NetworkManager/conf.d/90-declared-dns.conf")


@pytest.mark.parametrize(
    ("client", "path", "said"),
    [
        ("usr/sbin/dhcpcd", "etc/dhcpcd.conf", "mine\nnohook resolv.conf\n"),
        ("usr/sbin/dhclient", "etc/dhcp/dhclient-enter-hooks.d/declared-dns", "make_resolv_conf() { :; }\n"),
    ],
)
def test_dhcp_clients_leave_name_servers_alone(client: str, path: str, said: str, build: TreeBuild) -> None:
    """Each is told in its own words; one that cannot be told is refused."""
    build.base({"./usr/sbin/ifup": b"elf", f"./{client}": b"elf", "./etc/dhcpcd.conf": b"mine\n"})
    tree = build.tree(DNS.replace("NETWORK", ""))
    assert text(tree, path) == said
    build.base({"./usr/sbin/ifup": b"elf", "./usr/bin/busybox": b"elf"})
    with pytest.raises(StageError, match=r"writes /etc/resolv\.conf by itself"):
        build.tree(DNS.replace("NETWORK", ""))


def test_network_managers(build: TreeBuild) -> None:
    """Each is started or planned by what the tree has, and one that it has not is refused (A10)."""
    build.base(MANAGER)
    tree = build.tree("system: {network: networkmanager}")
    assert tree.link(f"{ETC}/multi-user.target.wants/NetworkManager.service")
    build.base({**NETWORKD, "./usr/sbin/netplan": b"elf"})
    for network in ("netplan", "auto"):
        tree = build.tree(f"system: {{network: {network}}}")
        plan = tree.find("etc/netplan/90-wired.yaml")
        assert plan is not None
        assert plan.mode == 0o600
        assert "renderer: networkd\n" in text(tree, "etc/netplan/90-wired.yaml")
        assert tree.find("etc/systemd/network/89-wired.network") is None
    build.base()
    for network, said in (("networkmanager", "NetworkManager is not in"), ("netplan", "netplan is not in")):
        with pytest.raises(StageError, match=said):
            build.tree(f"system: {{network: {network}}}")
    build.base({"./usr/sbin/netplan": b"elf"})
    with pytest.raises(StageError, match="netplan needs systemd-networkd or NetworkManager"):
        build.tree("system: {network: netplan}")


# -- language, time, keyboard


def test_the_locale(build: TreeBuild) -> None:
    """It is said where systemd and Debian look, if the tree has it: as a folder, or in its archive."""
    folder = {"./usr/lib/locale/de_DE.utf8/LC_CTYPE": b"x"}
    build.base({**folder, "./etc/default/": member("d")})
    tree = build.tree("system: {locale: de_DE.UTF-8}")
    assert text(tree, "etc/locale.conf") == text(tree, "etc/default/locale") == "LANG=de_DE.UTF-8\n"
    build.base(
        {**folder, "./etc/default/": member("d"), "./etc/default/locale": member("l", linkname="../locale.conf")}
    )
    tree = build.tree("system: {locale: de_DE.UTF-8}")
    link = tree.link("etc/default/locale")
    assert link is not None
    assert link.type == "l"
    with pytest.raises(StageError, match=r"no locale de_AT\.UTF-8: did you mean de_DE") as caught:
        build.tree("system: {locale: de_AT.UTF-8}")
    assert "localedef -i de_AT -f UTF-8 de_AT.UTF-8" in caught.value.hint


def archive(*names: str) -> bytes:
    """Return the beginning of a locale archive, as localedef writes it."""
    table, strings = b"", b""
    at = struct.calcsize("=8I") + 3 * 4 * (len(names) + 1)
    for name in names:
        table += struct.pack("=3I", 1, at + len(strings), 9)
        strings += name.encode() + b"\0"
    table += bytes(12)
    count = len(names) + 1
    return struct.pack("=8I", 0xDE020109, 1, 32, len(names), count, at, len(strings), 99) + table + strings


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (archive("x" * 255), {"x" * 255}),
        (archive("eo", "x" * 256), set()),
        (archive("eo", "x" * 100_000), set()),
        (archive("eo", "de")[:-1], set()),
    ],
    ids=["longest", "longer", "much longer", "open"],
)
def test_names_of_an_archive_are_names(made: bytes, names: set[str], build: TreeBuild) -> None:
    """One that is longer than a folder's, or has no end, is of a damaged archive: it may not fill the memory."""
    build.base({"./usr/lib/locale/locale-archive": made})
    found = locales.known(build.tree(""))
    assert found is not None
    assert found - {"C", "POSIX", "C.utf8"} == names


@pytest.mark.parametrize("cut", [None, 40, 10, 0])
def test_locales_of_an_archive(cut: int | None, build: TreeBuild) -> None:
    """They are read out of it; of a damaged one none, and nothing worse."""
    build.base({"./usr/lib/locale/locale-archive": archive("nl_BE.utf8", "eo")[:cut]})
    tree = build.tree("")
    found = locales.known(tree)
    assert found is not None
    assert found - {"C", "POSIX", "C.utf8"} == ({"nl_BE.utf8", "eo"} if cut is None else set())


def test_musl_takes_any_locale(build: TreeBuild) -> None:
    """What has none of glibc's is not asked for them."""
    build.base({"./usr/lib/ld-musl-x86_64.so.1": b"elf"})
    assert text(build.tree("system: {locale: de_AT.UTF-8}"), "etc/locale.conf") == "LANG=de_AT.UTF-8\n"


def test_the_time_zone(build: TreeBuild) -> None:
    """/etc/localtime leads to it, /etc/timezone follows where there is one; UTC needs nothing."""
    zones = {"./usr/share/zoneinfo/Europe/Berlin": b"TZif", "./etc/timezone": b"Etc/UTC\n"}
    build.base(zones)
    tree = build.tree("system: {timezone: Europe/Berlin}")
    link = tree.link("etc/localtime")
    assert link is not None
    assert link.link == "/usr/share/zoneinfo/Europe/Berlin"
    assert text(tree, "etc/timezone") == "Europe/Berlin\n"
    with pytest.raises(StageError, match="no time zone Europe/Berlim: did you mean Europe/Berlin"):
        build.tree("system: {timezone: Europe/Berlim}")
    build.base({"./etc/localtime": member("l", linkname="/usr/share/zoneinfo/Mars")})
    assert build.tree("system: {timezone: UTC}").link("etc/localtime") is None
    with pytest.raises(StageError, match="the tree has no time zones") as caught:
        build.tree("system: {timezone: Europe/Berlin}")
    assert caught.value.hint == "Add the package tzdata."


def test_the_keyboard(build: TreeBuild) -> None:
    """Debian's setupcon and systemd are told, what was made of the layout before goes, and us needs nobody."""
    debian = {
        "./usr/bin/setupcon": b"#!", "./usr/share/X11/xkb/symbols/de": b"x",
        "./etc/default/keyboard": b'XKBMODEL="pc104"\nXKBLAYOUT="us"\nXKBVARIANT="intl"\n',
        "./etc/console-setup/cached_setup_keyboard.sh": b"x", "./etc/console-setup/remap.inc": b"x",
    }  # fmt: skip
    build.base(debian)
    tree = build.tree("system: {keymap: de}")
    assert text(tree, "etc/default/keyboard") == 'XKBMODEL="pc104"\nXKBLAYOUT="de"\nXKBVARIANT=""\n'
    assert tree.names("etc/console-setup") == ["remap.inc"]
    with pytest.raises(StageError, match="no keyboard's layout dee: did you mean de"):
        build.tree("system: {keymap: dee}")
    maps = {"./usr/lib/systemd/systemd-vconsole-setup": b"elf", "./usr/lib/kbd/keymaps/i386/de-latin1.map.gz": b"x"}
    build.base({**maps, "./etc/vconsole.conf": b"FONT=a\nKEYMAP=us\n"})
    assert text(build.tree("system: {keymap: de-latin1}"), "etc/vconsole.conf") == "FONT=a\nKEYMAP=de-latin1\n"
    build.base()
    assert "etc/vconsole.conf" not in build.tree("system: {keymap: us}").entries
    with pytest.raises(StageError, match="nothing in the tree sets the keyboard's layout"):
        build.tree("system: {keymap: de}")


# -- accounts


def row(build: TreeBuild, recipe: str, file: str, name: str) -> str:
    return next(line for line in text(build.tree(recipe), f"etc/{file}").splitlines() if line.startswith(f"{name}:"))


def test_groups(build: TreeBuild) -> None:
    """They are there, with the number given or the next free one, and users may be of them at once."""
    recipe = "system: {groups: {web: {gid: 4000}, team: {}, adm: {gid: 4}}, users: {ann: {groups: [web, team]}}}"
    assert row(build, recipe, "group", "web") == "web:x:4000:ann"
    assert row(build, recipe, "group", "team") == "team:x:1000:ann"
    assert row(build, recipe, "gshadow", "web") == "web:!::ann"
    assert row(build, recipe, "passwd", "ann").split(":")[2:4] == ["1001", "1001"]


def test_all_that_accounts_lack_is_told_at_once(build: TreeBuild) -> None:
    """Groups, numbers and sudo, of all users together."""
    recipe = """system:
      groups: {new: {gid: 4}, adm: {gid: 7}}
      users: {ann: {groups: [admm, nobodys], sudo: true}, bob: {groups: [admm]}}
"""
    with pytest.raises(StageError) as caught:
        build.tree(recipe)
    said = caught.value.message.splitlines()
    assert said == [
        "system.groups.new: gid 4 is adm's in the tree",
        "system.groups.adm: gid is 7, but the tree's adm has 4",
        "system.users.ann: the tree has no group admm: did you mean adm?",
        "system.users.ann: the tree has no group nobodys",
        "system.users.bob: the tree has no group admm: did you mean adm?",
        "system.users: ann is to use sudo, which is not in the tree",
    ]


def test_sudo(build: TreeBuild) -> None:
    """Who has a password is asked for it, who has none is not; the files are as sudo wants them."""
    build.base({"./usr/bin/sudo": b"elf", "./etc/sudoers": b"@includedir /etc/sudoers.d\n"})
    password = "$6$saltsalt$" + "x" * 86
    tree = build.tree(
        f"system: {{users: {{ann: {{sudo: true, password: {{hash: '{password}'}}}}, bob: {{sudo: true}}}}}}"
    )
    assert text(tree, "etc/sudoers.d/declared-ann") == "ann ALL=(ALL:ALL) ALL\n"
    assert text(tree, "etc/sudoers.d/declared-bob") == "bob ALL=(ALL:ALL) NOPASSWD: ALL\n"
    entry = tree.find("etc/sudoers.d/declared-ann")
    assert entry is not None
    assert (entry.mode, entry.uid, entry.gid) == (0o440, 0, 0)
    build.base({"./usr/bin/sudo": b"elf", "./etc/sudoers": b"root ALL=(ALL) ALL\n"})
    with pytest.raises(StageError, match=r"/etc/sudoers does not read /etc/sudoers\.d"):
        build.tree("system: {users: {bob: {sudo: true}}}")


# -- the kernel


def test_modules(build: TreeBuild) -> None:
    """Modules are loaded that a kernel of the tree has, built in or not; the others are all named."""
    lists = {
        "./usr/lib/modules/6.1/modules.dep": b"kernel/drivers/block/nbd.ko.xz: kernel/lib/a.ko.xz\n"
        b"kernel/net/snd-a.ko:\n",
        "./usr/lib/modules/6.1/modules.builtin": b"kernel/fs/ext4/ext4.ko\n",
    }
    build.base(lists)
    tree = build.tree("system: {modules: [nbd, snd_a, ext4]}")
    assert text(tree, "etc/modules-load.d/declared.conf") == "nbd\nsnd_a\next4\n"
    with pytest.raises(StageError) as caught:
        build.tree("system: {modules: [nbb, zfs]}")
    assert [line.partition("module ")[2] for line in caught.value.message.splitlines()] == [
        "nbb: did you mean nbd?", "zfs",
    ]  # fmt: skip
    build.base()
    assert text(build.tree("system: {modules: [zfs]}"), "etc/modules-load.d/declared.conf") == "zfs\n"


def test_settings(build: TreeBuild) -> None:
    """They come after those of /etc/sysctl.conf, which is read as 99-sysctl.conf."""
    assert kernel_settings.SETTINGS > "etc/sysctl.d/99-sysctl.conf"
    tree = build.tree("system: {sysctl: {net.ipv4.ip_forward: 1, kernel.printk: 4 4 1 7}}")
    assert text(tree, kernel_settings.SETTINGS) == "net.ipv4.ip_forward = 1\nkernel.printk = 4 4 1 7\n"


# -- as the guest starts


def first_boot(build: TreeBuild, script: bytes) -> str:
    build.recipes.write("setup.sh", script)
    return "system: {first_boot: setup.sh}"


def test_the_script_of_the_first_boot(build: TreeBuild) -> None:
    """It is started by systemd, until it has succeeded once."""
    tree = build.tree(first_boot(build, b"#!/bin/bash\ntrue\n"))
    entry = tree.find("usr/lib/bootsmith/first-boot")
    assert entry is not None
    assert entry.mode == 0o755
    unit = text(tree, f"{ETC}/first-boot.service")
    assert "ConditionPathExists=!/var/lib/bootsmith/first-boot.done\n" in unit
    assert unit.index("ExecStart=/usr/lib/bootsmith/first-boot\n") < unit.index(">/var/lib/bootsmith/first-boot.done")
    assert tree.resolve(f"{ETC}/multi-user.target.wants/first-boot.service") == f"{ETC}/first-boot.service"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (b"echo hello\n", "begins with no #!"),
        (b"", "begins with no #!"),
        (b"#!/bin/bash\r\ntrue\r\n", "as on Windows"),
        (b"#!/usr/bin/python3\n", "is run by /usr/bin/python3, which is not in the tree"),
    ],
)
def test_a_script_that_nothing_could_start(script: bytes, said: str, build: TreeBuild) -> None:
    """It is refused, and not found out by the guest."""
    with pytest.raises(StageError, match=said):
        build.tree(first_boot(build, script))


def test_autologin(build: TreeBuild) -> None:
    """The tree's own getty is started as before, but for whom login is to ask; without one it is refused."""
    build.base({f"./{UNIT}/getty@.service": GETTY})
    tree = build.tree("system: {autologin: true}")
    assert text(tree, f"{ETC}/getty@.service.d/autologin.conf") == (
        "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear - ${TERM}\n"
    )
    build.base()
    with pytest.raises(StageError, match="no unit of the tree asks for a login by agetty"):
        build.tree("system: {autologin: true}")


def test_growing_needs_programs(build: TreeBuild) -> None:
    """All that is missing is told at once, by package; a bare filesystem needs no sfdisk (W15)."""
    with pytest.raises(StageError) as caught:
        build.tree("system: {grow: true}")
    assert caught.value.message.count("is not in the tree") == 2
    assert "neither systemd-growfs nor resize2fs" in caught.value.message
    assert "Add the package fdisk" in caught.value.hint
    build.base({"./usr/sbin/resize2fs": b"elf"})
    tree = build.tree("boot: {loader: direct}\nsystem: {grow: true}")
    script = text(tree, "usr/lib/bootsmith/grow-root")
    assert "sfdisk" not in script
    assert script.endswith('exec resize2fs "$(named "$here")"\n')


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_growing_script_is_one(shell: str, build: TreeBuild) -> None:
    """What the guest runs any shell can read."""
    build.base(GROWING)
    script = text(build.tree("system: {grow: true}"), "usr/lib/bootsmith/grow-root")
    subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_all_that_is_missing_is_told_at_once(build: TreeBuild) -> None:
    """Units, programs, locales, zones: one build tells them all, and what to do about each."""
    with pytest.raises(StageError) as caught:
        build.tree("""system:
  locale: de_DE.UTF-8
  timezone: Europe/Berlin
  network: networkmanager
  services: {enable: [sshd, chronyd]}
  users: {ann: {sudo: true}}
  grow: true
""")
    said = caught.value.message
    for each in ("locale de_DE", "no time zones", "NetworkManager", "unit sshd", "unit chronyd", "use sudo", "sfdisk"):
        assert each in said
    assert "Add the package tzdata." in caught.value.hint


def test_a_system_that_says_nothing_is_as_before(build: TreeBuild) -> None:
    """None of these keys leaves a file where none is written."""
    build.tree("")
    assert not [path for path in build.added("system") if path.startswith(("usr/lib/bootsmith", "etc/sysctl.d"))]
    assert not {"etc/locale.conf", "etc/localtime", "etc/default/keyboard"} & set(build.added("system"))
