"""A Debian archive of a dozen tiny packages, signed as a real one is; the key that signed it was thrown away.

Whoever changes what is signed (PACKAGES, RELEASES) makes a key and signs again:

    gpg --quick-generate-key 'Test archive' ed25519 sign never
    gpg --armor --export                                       into KEY
    gpg --digest-algo SHA512 --clearsign < RELEASE             its end into SIGNATURES, for each text `release` returns
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Sequence
from pathlib import Path

Fields = dict[str, str]

PACKAGES: dict[str, list[Fields]] = {
    "trixie": [
        {"Package": "base-files", "Version": "13", "Essential": "yes", "Priority": "required"},
        {"Package": "apt", "Version": "3.0", "Priority": "optional", "Depends": "libapt (>= 3)"},
        {"Package": "libapt", "Version": "3.0"},
        {"Package": "tzdata", "Version": "2025a-1", "Architecture": "all", "Priority": "required"},
        {"Package": "editor", "Version": "1", "Priority": "important"},
        {"Package": "pager", "Version": "1", "Priority": "standard"},
        {"Package": "tool", "Version": "1:1.0+b1", "Depends": "lib", "Recommends": "extra"},
        {"Package": "lib", "Version": "1.0"},
        {"Package": "extra", "Version": "1.0"},
        {"Package": "systemd-boot-efi", "Version": "257"},
        {"Package": "mailer", "Version": "1", "Provides": "mail-agent (= 1), smtp"},
        {"Package": "lib-dev", "Version": "1.1", "Depends": "lib (= 1.1)"},
        {"Package": "broken", "Version": "1", "Depends": "nowhere"},
        {"Package": "rival", "Version": "1", "Conflicts": "tool"},
        {"Package": "linux-image-amd64", "Version": "6.12", "Depends": "linux-image-6.12-amd64 (= 6.12)"},
        {"Package": "linux-image-6.12-amd64", "Version": "6.12"},
        {"Package": "linux-image-6.12-amd64-dbg", "Version": "6.12"},
    ],
    "trixie-updates": [{"Package": "tzdata", "Version": "2025b-0", "Architecture": "all", "Priority": "required"}],
    "trixie-security": [{"Package": "lib", "Version": "1.1"}],
    "trixie-later": [
        {"Package": "lib", "Version": "1.2"},
        {"Package": "editor", "Version": "2", "Recommends": "extra"},
    ],
    "bookworm": [{"Package": "base-files", "Version": "12", "Essential": "yes", "Priority": "required"}],
}
"""Of each release below; what `trixie-later` says is the security archive's next state."""

RELEASES: dict[str, Fields] = {
    "trixie": {"Suite": "stable", "Codename": "trixie", "Date": "Sat, 09 Aug 2025 09:00:00 UTC"},
    "trixie-updates": {
        "Suite": "stable-updates",
        "Codename": "trixie-updates",
        "Date": "Sat, 16 Aug 2025 08:00:00 UTC",
    },
    "trixie-security": {
        "Suite": "stable-security",
        "Codename": "trixie-security",
        "Date": "Fri, 15 Aug 2025 07:00:00 UTC",
    },
    "trixie-later": {
        "Suite": "stable-security",
        "Codename": "trixie-security",
        "Date": "Sat, 30 Aug 2025 07:00:00 UTC",
    },
    "bookworm": {
        "Suite": "oldstable",
        "Codename": "bookworm",
        "Date": "Sat, 10 Jun 2023 09:00:00 UTC",
        "Valid-Until": "Sat, 17 Jun 2023 09:00:00 UTC",
    },
}

KEY = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZ3SFgBYJKwYBBAHaRw8BAQdAIPWq7Z1hcmfjqW+EIgEfy+0BbLDLPRX9aJlA
okPoJg20DFRlc3QgYXJjaGl2ZYiQBBMWCAA4FiEES7vvJq2RJeC2Zpe7EfV+xguJ
t8cFAmd0hYACGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQEfV+xguJt8cE
bAEAg9KbxmXMYUAS0JxzHUvh9zeM12jcbClD5pYCHR1ZNdoBAOXcpL8Pu0E7l94N
H0xLFGlVMnwvy6afNURTI0iaknUP
=+yvp
-----END PGP PUBLIC KEY BLOCK-----
"""
SIGNATURES: dict[str, str] = {
    "trixie": """\
-----BEGIN PGP SIGNATURE-----

iHUEARYKAB0WIQRLu+8mrZEl4LZml7sR9X7GC4m3xwUCaLOQgAAKCRAR9X7GC4m3
x2dOAP96a1e4BIkQ1/ev4vwcxGt9N9Z+49hMYJAiVdzJSEKVZQEAnDv1Vx95ibS+
e22MJpfUrGLa2ZIJJpgMT7JJ488DdgE=
=egqr
-----END PGP SIGNATURE-----
""",
    "trixie-updates": """\
-----BEGIN PGP SIGNATURE-----

iHUEARYKAB0WIQRLu+8mrZEl4LZml7sR9X7GC4m3xwUCaLOQgAAKCRAR9X7GC4m3
xyqFAP0VZpEYtTALiSdnebXJKyF1QXMnTvm4Kan6wcIVddK/3wD/ZMtbFAzTgCW4
c5HYvKwVXllsF735zJWwcX5TwfKAyA4=
=wcyK
-----END PGP SIGNATURE-----
""",
    "trixie-security": """\
-----BEGIN PGP SIGNATURE-----

iHUEARYKAB0WIQRLu+8mrZEl4LZml7sR9X7GC4m3xwUCaLOQgAAKCRAR9X7GC4m3
x1v1AQCAOMQz7nSzFzgZwEn98Q+EtBm0mYydsxeATAZ2cLqf0QEAkfymm7WLjsc+
z6lqs/YAplI4bp+53w7nbA956bAQtgk=
=+rer
-----END PGP SIGNATURE-----
""",
    "trixie-later": """\
-----BEGIN PGP SIGNATURE-----

iHUEARYKAB0WIQRLu+8mrZEl4LZml7sR9X7GC4m3xwUCaLOQgAAKCRAR9X7GC4m3
xyTFAQDf0QLd/IJ6GFnfmrxK4ifGKDPJ7+SmyRAiu+o+wgpohgD/TZ6r6ZZc5bMh
1vlJdZ9kBysEF04CPAt5w1jPaS8HRgM=
=hQZl
-----END PGP SIGNATURE-----
""",
    "bookworm": """\
-----BEGIN PGP SIGNATURE-----

iHUEARYKAB0WIQRLu+8mrZEl4LZml7sR9X7GC4m3xwUCaLOQgAAKCRAR9X7GC4m3
x2o/AQDUMp6+I1jDN3DYhanNikGihm+A82+Iqq6ibiyJ+ZRc/QEAx3IFCzhndhaJ
fv3JF5t8hnwAbqNd6TzzklM2cCB1TQ4=
=e3o4
-----END PGP SIGNATURE-----
""",
}


def deb(
    fields: Fields, *, pack: str = "xz", data: dict[str, bytes] | None = None, postinst: str | None = None
) -> bytes:
    """Return a package; `pack` is how its members are packed: none, gz or xz. `postinst` runs as it is installed."""
    control = "".join(f"{name}: {value}\n" for name, value in full(fields).items())
    scripts = {"postinst": postinst.encode()} if postinst else {}
    files = {f"usr/share/{fields['Package']}": fields["Version"].encode()} if data is None else data
    packer = {"xz": lzma.compress, "gz": lambda raw: gzip.compress(raw, mtime=0), "none": bytes}[pack]
    suffix = "" if pack == "none" else f".{pack}"
    members = {
        "debian-binary": b"2.0\n",
        f"control.tar{suffix}": packer(_tar({"control": control.encode(), **scripts})),
        f"data.tar{suffix}": packer(_tar(files)),
    }
    made = b"!<arch>\n"
    for name, content in members.items():
        made += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        made += content + b"\n" * (len(content) % 2)
    return made


def full(fields: Fields) -> Fields:
    """Return a package's fields with those that all have."""
    return {"Architecture": "amd64", "Priority": "optional", **fields, "Maintainer": "Nobody <nobody@example.org>",
            "Description": f"the {fields['Package']}"}  # fmt: skip


def _tar(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            info.mode = 0o755 if name == "postinst" else 0o644
            tar.addfile(info, io.BytesIO(content))
    return made.getvalue()


def pool_name(fields: Fields) -> str:
    """Return where a package stands below its archive."""
    version = fields["Version"].rpartition(":")[2]
    name = fields["Package"]
    return f"pool/main/{name[0]}/{name}/{name}_{version}_{full(fields)['Architecture']}.deb"


def index(packages: Sequence[Fields]) -> bytes:
    """Return a release's package list. What xz makes of a package may change with it, so packages are not packed."""
    stanzas = []
    for fields in packages:
        content = deb(fields, pack="none")
        about = {
            **full(fields),
            "Filename": pool_name(fields),
            "Size": str(len(content)),
            "SHA256": hashlib.sha256(content).hexdigest(),
        }
        stanzas.append("".join(f"{name}: {value}\n" for name, value in about.items()))
    return "\n".join(stanzas).encode()


def release(facts: Fields, packages: Sequence[Fields], origin: str = "Debian") -> str:
    """Return the text of a release, to be signed."""
    listed = index(packages)
    facts = {"Origin": origin, "Label": origin, **facts, "Architectures": "amd64", "Components": "main"}
    text = "".join(f"{key}: {value}\n" for key, value in facts.items())
    return f"{text}SHA256:\n {hashlib.sha256(listed).hexdigest()} {len(listed)} main/binary-amd64/Packages\n"


def write(base: Path, suite: str, packages: Sequence[Fields], text: str, signature: str) -> None:
    """Write a signed release and its packages into the folder of an archive."""
    dists = base / "dists" / suite
    lists = dists / "main/binary-amd64"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / "Packages").write_bytes(index(packages))
    (dists / "InRelease").write_text(f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}{signature}")
    for fields in packages:
        path = base / pool_name(fields)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(deb(fields, pack="none"))


class Archive:
    """The archive in a folder: `main` and `security` are its bases, `keyring` the key it is signed with."""

    def __init__(self, folder: Path) -> None:
        self.main = folder / "debian"
        self.security = folder / "debian-security"
        self.keyring = folder / "archive.asc"
        self.keyring.parent.mkdir(parents=True, exist_ok=True)
        self.keyring.write_text(KEY)
        for name in ("trixie", "trixie-updates", "bookworm"):
            self.publish(self.main, name)
        self.publish(self.security, "trixie-security")

    def publish(self, base: Path, name: str, suite: str | None = None) -> None:
        """Put a release and its packages where apt looks for them."""
        write(base, suite or name, PACKAGES[name], release(RELEASES[name], PACKAGES[name]), SIGNATURES[name])

    def advance(self) -> None:
        """Replace the security archive's state by its next; the version it had is gone."""
        for path in self.security.rglob("*.deb"):
            path.unlink()
        self.publish(self.security, "trixie-later", "trixie-security")
