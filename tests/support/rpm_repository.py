"""A mirror of Fedora's with a handful of tiny packages, each signed: what rpm installs becomes a tree that runs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.host_tree import programs
from tests.support.openpgp_key import OpenPgpKey
from tests.support.tar_members import Member

BUILT = 1_755_331_200
"""When all packages were built, in seconds UTC."""


class Package(NamedTuple):
    """A package: what stands in its preamble beside its name, its files (modes by `%attr`), and scripts."""

    preamble: str = ""
    files: Mapping[str, str] = {}
    attributes: Mapping[str, str] = {}
    scripts: str = ""
    folders: Sequence[str] = ()


PACKAGES: dict[str, Package] = {
    "filesystem": Package(
        files={
            "etc/passwd": "root:x:0:0::/root:/bin/sh\nlp:x:99:99::/:/bin/sh\n",
            "etc/group": "root:x:0:\nlp:x:99:\n",
            "usr/lib/os-release": 'ID=fedora\nPRETTY_NAME="Fedora Linux 42"\n',
        },
        folders=("boot", "dev", "proc", "root", "tmp", "usr/bin", "usr/lib64", "var"),
        attributes={"root": "0550,root,root", "tmp": "1777,root,root", "proc": "0555,root,root"},
    ),
    "shell": Package("Requires(pre): filesystem\nProvides: /bin/sh"),
    "tool": Package(
        "Requires: shell, lib >= 2",
        {"usr/bin/tool": "#!/bin/sh\n", "etc/tool.conf": "x\n"},
        {"usr/bin/tool": "4755,root,root", "etc/tool.conf": "0640,root,lp"},
        "%post\necho installed $1 >/etc/tool-state\necho 0123456789abcdef >/etc/machine-id\n"
        "[ -c /dev/null ] && [ -r /proc/self/status ] && [ ! -s /proc/cpuinfo ] && echo yes >/etc/tool-view\n"
        '%posttrans -p <lua>\nio.open("/etc/by-lua", "w"):write("yes\\n"):close()\n',
    ),
    "lib": Package("", {"usr/lib64/libtool.so": "1"}),
    "lib-2": Package("Epoch: 1", {"usr/lib64/libtool.so": "2"}),
    "broken": Package("Requires: shell", {}, {}, "%post\nexit 3\n"),
    "kernel-core": Package("", {"usr/lib/modules/6.12/vmlinuz": "MZ kernel"}),
    "unmet": Package("Requires: nowhere"),
}
"""By name; `lib-2` is lib's update."""


class RpmRepository:
    """A mirror at `top` of a release 42, its updates and, at `other`, a repository with the same packages."""

    def __init__(self, top: Path, key: OpenPgpKey) -> None:
        self.top = top
        self.keyring = top.with_name("keys.asc")
        self.keyring.write_bytes(key.armored)
        self._key = key
        main = top / "releases/42/Everything/x86_64/os"
        updates = top / "updates/42/Everything/x86_64"
        for place, names in ((main, [name for name in PACKAGES if name != "lib-2"]), (updates, ["lib-2"])):
            place.mkdir(parents=True)
            made = [self._build(name, place) for name in names]
            key.sign_rpms(made)
            subprocess.run(["createrepo_c", "--quiet", "--no-database", "--set-timestamp-to-revision", "--revision",
                            str(BUILT), place], check=True)  # fmt: skip

    def file(self, name: str) -> Path:
        """Return where the package of a name is."""
        return next(self.top.glob(f"*/42/Everything/x86_64/**/{name}-*.rpm"))

    def _build(self, name: str, place: Path) -> Path:
        work = self.top.with_name("rpmbuild") / name
        root = work / "files"
        root.mkdir(parents=True)
        about = PACKAGES[name]
        listed = []
        for path in about.folders:
            (root / path).mkdir(parents=True)
            listed.append(f"%dir {_attr(about, path, '0755,root,root')} /{path}")
        for path, data in about.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(data)
            listed.append(f"{_attr(about, path, '0644,root,root')} /{path}")
        listed += _shell(root) if name == "shell" else []
        version = "2" if name == "lib-2" else "1"
        (work / "x.spec").write_text(
            f"Name: {name.partition('-2')[0]}\nVersion: {version}\nRelease: 1\nSummary: x\nLicense: none\n"
            f"AutoReqProv: no\n{about.preamble}\n%description\nx\n%install\ncp -a {root}/. %{{buildroot}}\n"
            f"{about.scripts}\n%files\n" + "\n".join(listed) + "\n"
        )
        settings = {"_topdir": work / "top", "_rpmdir": place, "_rpmfilename": "%{NAME}-%{VERSION}.rpm",
                    "_build_id_links": "none", "__os_install_post": "%{nil}", "debug_package": "%{nil}",
                    "_buildhost": "localhost", "use_source_date_epoch_as_buildtime": "1",
                    "_binary_payload": "w1.gzdio"}  # fmt: skip
        words = [word for setting, value in settings.items() for word in ("--define", f"{setting} {value}")]
        env = {**os.environ, "SOURCE_DATE_EPOCH": str(BUILT), "HOME": "/nonexistent"}
        command = ["rpmbuild", "--target", "x86_64-linux", "--quiet", *words, "-bb", work / "x.spec"]
        subprocess.run(command, env=env, capture_output=True, check=True)
        return place / f"{name.partition('-2')[0]}-{version}.rpm"


def _attr(about: Package, path: str, usual: str) -> str:
    return f"%attr({about.attributes.get(path, usual)})"


def _shell(root: Path) -> list[str]:
    """Write programs in which scripts run, as Fedora has them, all in /usr; return how a package lists them."""
    listed = []
    links = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/bin"}
    for path, target in links.items():
        (root / path).symlink_to(target)
        listed.append(f"/{path}")
    for path, each in programs("sh").items():
        if isinstance(each, Member) and each.isfile():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(each.data)
            listed.append(f"%attr(0755,root,root) /{path.removeprefix('./')}")
    return listed
