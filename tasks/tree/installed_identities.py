"""Private keys, and names of a machine's own, that packages make as they are installed: not in an image.

They are made on first boot instead. A key that all machines of an image share protects none, and no two builds would be
the same.
What is listed is found by its path; any other private key, of which no package brings the file, by what it says.
"""

from __future__ import annotations

import shlex
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from bootsmith.tasks.tree.delta import Delta


class Identity(NamedTuple):
    """What a package makes: files by pattern, the first to be looked for; what program makes them anew, and how.

    `command` is for a shell, run as `user`, nothing where whoever needs them makes them.
    """

    package: str
    files: tuple[str, ...]
    program: str = ""
    command: str = ""
    user: str = "root"


_DROPBEAR: Final = (
    "for kind in rsa ecdsa ed25519; do dropbearkey -t $kind -f /etc/dropbear/dropbear_${kind}_host_key; done"
)
_NVME: Final = "nvme gen-hostnqn >/etc/nvme/hostnqn && cat /proc/sys/kernel/random/uuid >/etc/nvme/hostid"
_ISCSI: Final = (
    "umask 077 && name=$(iscsi-iname -p iqn.1993-08.org.debian:01) && "
    'echo "InitiatorName=$name" >/etc/iscsi/initiatorname.iscsi'
)
IDENTITIES: Final = (
    Identity(
        "ssl-cert",
        ("etc/ssl/private/ssl-cert-snakeoil.key", "etc/ssl/certs/ssl-cert-snakeoil.pem"),
        "usr/sbin/make-ssl-cert",
        "make-ssl-cert generate-default-snakeoil",
    ),
    Identity("nvme-cli", ("etc/nvme/hostnqn", "etc/nvme/hostid"), "usr/sbin/nvme", _NVME),
    Identity("bind9", ("etc/bind/rndc.key",), "usr/sbin/rndc-confgen", "rndc-confgen -a -u bind"),
    Identity("munge", ("etc/munge/munge.key",), "usr/sbin/mungekey", "mungekey -c", "munge"),
    Identity("open-iscsi", ("etc/iscsi/initiatorname.iscsi",), "usr/sbin/iscsi-iname", _ISCSI),
    Identity(
        "dropbear",
        ("etc/dropbear/dropbear_ed25519_host_key", "etc/dropbear/dropbear_*_host_key"),
        "usr/bin/dropbearkey",
        f"[ ! -e /usr/sbin/dropbear ] || {_DROPBEAR}",
    ),
    Identity("dropbear-initramfs", ("etc/dropbear/initramfs/dropbear_*_host_key",)),
    Identity(
        "xrdp",
        ("etc/xrdp/rsakeys.ini",),
        "usr/bin/xrdp-keygen",
        "xrdp-keygen xrdp auto && chown xrdp /etc/xrdp/rsakeys.ini",
    ),
    Identity(
        "popularity-contest",
        ("etc/popularity-contest.conf", "etc/cron.d/popularity-contest"),
        "usr/sbin/popularity-contest",
        "DEBIAN_FRONTEND=noninteractive dpkg-reconfigure popularity-contest",
    ),
    Identity("dkms", ("var/lib/dkms/mok.key", "var/lib/dkms/mok.pub")),
    Identity("shim-signed", ("var/lib/shim-signed/mok/MOK.*",)),
    Identity("mysql-server", ("var/lib/mysql/auto.cnf",)),
    Identity("systemd", ("var/lib/systemd/credential.secret", "var/lib/systemd/random-seed")),
    Identity("dbus", ("var/lib/dbus/machine-id",)),
)
NAMED: Final = (
    ("postgresql", "var/lib/postgresql/*/*/global/pg_control"),
    ("slapd", "var/lib/ldap/data.mdb"),
    ("samba", "var/lib/samba/private/secrets.tdb"),
)
"""What is part of a data base: taken away, it would take that with it. It stays, and is said."""
TOOLS: Final = ("find", "grep")
"""What `removal` runs of the host, declared by the stage that has it run."""
LARGEST: Final = "1024k"
"""How large a file may be that is read for a private key in it, as find(1) has it."""

# $1: the tree. Links stay: they lead to what is made on first boot, but for those that are called by a hash of it.
_REMOVE: Final = r"""
set -eu
cd "$1"
key='^-----BEGIN ([A-Z]+ )*PRIVATE KEY( BLOCK)?-----'
take() {{
    [ -f "$2" ] && [ ! -h "$2" ] || return 0
    rm -f -- "$2"
    printf '%s\t%s\n' "$1" "$2" >>{removed}
}}
name() {{
    [ ! -f "$2" ] || printf '%s\t%s\n' "$1" "$2" >>{named}
}}
: >{removed} >{named}
{calls}
[ ! -d etc/ssl/certs ] || find etc/ssl/certs -maxdepth 1 -lname ssl-cert-snakeoil.pem -delete
for folder in etc var/lib; do
    [ ! -d "$folder" ] || find "$folder" -xdev -type f -size -{largest} -exec grep -lE -- "$key" {{}} + || :
done |
while IFS= read -r file; do
    grep -qsxF -- "/$file" var/lib/dpkg/info/*.list || grep -qsxF -- "$file" var/lib/pacman/local/*/files ||
        take '' "$file"
done
"""


def removal(removed: Path, named: Path) -> str:
    """Return a script that takes identities out of the tree that is its first argument.

    It writes a line for each file, the package, a tab and the path, to the file `removed`, and to `named` what stays.
    """
    calls = [("take", each.package, pattern) for each in IDENTITIES for pattern in each.files]
    calls += [("name", package, pattern) for package, pattern in NAMED]
    return _REMOVE.format(
        removed=shlex.quote(str(removed)),
        named=shlex.quote(str(named)),
        largest=LARGEST,
        calls="\n".join(f'for file in {pattern}; do {do} {package} "$file"; done' for do, package, pattern in calls),
    )


def of(path: str) -> str | None:
    """Return the package that makes a file for one machine, None where none is known to."""
    return next((each.package for each in IDENTITIES for file in each.files if matches(path, file)), None)


def named(path: str) -> str | None:
    """Return the package that makes a file which is part of a data base, and one machine's own."""
    return next((package for package, file in NAMED if matches(path, file)), None)


def matches(path: str, pattern: str) -> bool:
    """Tell whether a pattern of the lists here matches a path, as a shell would have it."""
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)


def told(removed: str, named: str) -> list[str]:
    """Return what is to be said of what that script wrote."""
    found = []
    for text, what in (
        (removed, "made as it was installed, for one machine: not in the image"),
        (named, "made as it was installed, the same on every machine of this image: make it anew there"),
    ):
        rows = [line.partition("\t") for line in text.splitlines()]
        files = [
            f"/{path}" + (f" ({package})" if package else "")
            for package, _, path in sorted(rows, key=lambda row: row[2])
        ]
        if files:
            found.append(f"{', '.join(files)}: {what}")
    return found


_UNITS: Final = "etc/systemd/system"
_UNIT: Final = """\
[Unit]
Description=Make what {package} has of this machine alone
ConditionPathExists=!/{file}
DefaultDependencies=no
After={after}
Before=basic.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
User={user}
ExecStart=/bin/sh -c {command}

[Install]
WantedBy=basic.target
"""


def declare(delta: Delta) -> None:
    """Have what is missing made on first boot, before any service, where the tree has systemd and the program."""
    if not delta.tree.find("lib/systemd/systemd"):
        return
    after = "sysinit.target"
    for each in IDENTITIES:
        file = each.files[0]
        if each.program and delta.tree.find(each.program) and not delta.tree.find(file):
            unit = f"make-{each.package}-identity.service"
            command = "'" + each.command.replace("$", "$$") + "'"
            text = _UNIT.format(package=each.package, file=file, after=after, user=each.user, command=command)
            after += f" {unit}"  # one after the other: two of them ask debconf, which has one at a time
            delta.add_file(f"{_UNITS}/{unit}", text.encode())
            delta.add_link(f"{_UNITS}/basic.target.wants/{unit}", f"/{_UNITS}/{unit}")
