"""An archive in Ubuntu's shape, its updates and security updates beside the release; signed as debian_archive's is."""

from __future__ import annotations

from pathlib import Path

from tests.support.debian_archive import Fields, release, write

PACKAGES: dict[str, list[Fields]] = {
    "noble": [
        {"Package": "base-files", "Version": "13ubuntu10", "Essential": "yes", "Priority": "required"},
        {"Package": "apt", "Version": "2.7.14build2"},
        {"Package": "tool", "Version": "1.0ubuntu1", "Depends": "lib"},
        {"Package": "lib", "Version": "1.0"},
        {"Package": "systemd-boot-efi", "Version": "255.4-1ubuntu8"},
        {"Package": "linux-image-generic", "Version": "6.8", "Depends": "linux-image-6.8.0-31-generic (= 6.8)"},
        {"Package": "linux-image-6.8.0-31-generic", "Version": "6.8"},
    ],
    "noble-updates": [{"Package": "apt", "Version": "2.8.3"}],
    "noble-security": [{"Package": "lib", "Version": "1.0ubuntu0.1"}],
}
RELEASES: dict[str, Fields] = {
    name: {"Suite": name, "Codename": "noble", "Date": f"{day} Apr 2025 15:00:00 UTC"}
    for name, day in zip(PACKAGES, ("Thu, 24", "Fri, 25", "Sat, 26"), strict=True)
}
KEY = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZ3XXABYJKwYBBAHaRw8BAQdAlM5PN4OV2RFhBmgDyiusS1uK4Xaozit/BsO1
upvginK0DFRlc3QgYXJjaGl2ZYiQBBMWCAA4FiEEQoWM8vSmHgyqJ89NEw6rUZcy
3WMFAmd11wACGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQEw6rUZcy3WND
4wD+KHASl/1PBShUkulqjhzcKAzFaGNpYmncibLTszlsAhoA/1GOR4yHcA5h2DFz
SO4FUlYiY2kdJ0OQzfv82+EU30EG
=jUC6
-----END PGP PUBLIC KEY BLOCK-----
"""
SIGNATURES: dict[str, str] = {
    "noble": """\
-----BEGIN PGP SIGNATURE-----

iHUEARYKAB0WIQRChYzy9KYeDKonz00TDqtRlzLdYwUCaBK5gAAKCRATDqtRlzLd
Y2JMAQCpKA3+toT8RcQDl596qfbrU9wpSVP3DSDOX8eDyLNLuQD/TXVuTITvS3V9
DCbv+PZBGb3JEmAaV9dpPpfOMQaiGQE=
=Rpok
-----END PGP SIGNATURE-----
""",
    "noble-updates": """\
-----BEGIN PGP SIGNATURE-----

iHUEARYKAB0WIQRChYzy9KYeDKonz00TDqtRlzLdYwUCaBK5gAAKCRATDqtRlzLd
Y0E5AQCH2A53z6YnsjDnevD/B2YyZUF2Cjna4mFCLFebNXPaAwEA3OI3tZP7XXRC
u0ybUj8SFBVgRjQ4uNw5IimxyK9/1wQ=
=MoS6
-----END PGP SIGNATURE-----
""",
    "noble-security": """\
-----BEGIN PGP SIGNATURE-----

iHUEARYKAB0WIQRChYzy9KYeDKonz00TDqtRlzLdYwUCaBK5gAAKCRATDqtRlzLd
Y1ngAP9q6Moie2WiWp70pupjm5Q/mtyHaLqolkYymVho/Km4EwD+N4MblRs55Pb0
Yf9gsP+qTTYPrMztGkTgZoawxBAlZQo=
=VE+f
-----END PGP SIGNATURE-----
""",
}


class Archive:
    """The archive in a folder: `main` is its base, `keyring` the key it is signed with."""

    def __init__(self, folder: Path) -> None:
        self.main = folder / "ubuntu"
        self.keyring = folder / "ubuntu.asc"
        self.main.mkdir(parents=True)
        self.keyring.write_text(KEY)
        for name, packages in PACKAGES.items():
            text = release(RELEASES[name], packages, "Ubuntu")
            write(self.main, name, packages, text, SIGNATURES[name])
