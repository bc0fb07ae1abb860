"""Signatures: believed by who knows the certificate, the same every time, and never at the price of the key."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from bootsmith.tasks.boot import der, enrolment, pe, signing
from bootsmith.tasks.errors import StageError
from bootsmith.tasks.tools import host

from tests.support.signing_keys import context, make_key

LOADER = host.find("systemd-boot").read_bytes()


def signature(program: bytes) -> bytes:
    """Return the signature a program carries."""
    start, size = pe.parse(program, "it").signatures
    return program[start + 8 : start + size]


def test_the_same_key_signs_the_same(tmp_path: Path) -> None:
    """Twice the same bytes, and signing what is signed changes nothing: neither time nor chance is in it (V24)."""
    key, certificate = make_key(tmp_path)
    signer = signing.Signer(context(tmp_path, key, certificate))
    signed = signer.program(LOADER, "systemd-boot")
    assert signed == signer.program(signed, "systemd-boot")
    assert signature(signed)


def test_openssl_believes_it(tmp_path: Path) -> None:
    """An implementation of others verifies the signature over the program's digest, and not over another's (V24)."""
    key, certificate = make_key(tmp_path)
    signed = signing.Signer(context(tmp_path, key, certificate)).program(LOADER, "systemd-boot")
    (info,) = [each for each in der.elements(signature(signed)) if each.tag == der.SEQUENCE]
    (tmp_path / "p7").write_bytes(info.whole)
    content = info.parts[1].parts[0].parts[2].parts[1].parts[0]  # ContentInfo, SignedData, contentInfo, [0], value
    assert pe.digest(pe.parse(signed, "it")) in content.content
    for text, status in ((content.content, 0), (content.content[:-1] + b"?", 4)):
        (tmp_path / "content").write_bytes(text)
        verified = subprocess.run(
            ["openssl", "smime", "-verify", "-inform", "DER", "-in", tmp_path / "p7", "-content", tmp_path / "content",
             "-binary", "-certfile", certificate, "-CAfile", certificate, "-purpose", "any", "-out", tmp_path / "out"],
            capture_output=True, check=False,
        )  # fmt: skip
        assert verified.returncode == status, verified.stderr


def test_a_variable_is_signed_as_the_firmware_checks_it(tmp_path: Path) -> None:
    """The proof covers name, vendor, attributes, time and value, and openssl believes it."""
    key, certificate = make_key(tmp_path)
    signer = signing.Signer(context(tmp_path, key, certificate))
    variable = next(iter(enrolment.variables(signer.certificate.whole)))
    made = enrolment.signed(variable, 1_755_000_000, signer.detached)
    assert made.startswith(enrolment.moment(1_755_000_000))
    assert made.endswith(variable.value)
    proof = made[16 + 24 : -len(variable.value)]
    (tmp_path / "p7").write_bytes(der.sequence(der.oid("1.2.840.113549.1.7.2"), der.tagged(0, proof)))
    message = variable.name.encode("utf-16-le") + variable.vendor.bytes_le + b"\x27\0\0\0" + made[:16] + variable.value
    (tmp_path / "content").write_bytes(message)
    subprocess.run(
        ["openssl", "smime", "-verify", "-inform", "DER", "-in", tmp_path / "p7", "-content", tmp_path / "content",
         "-binary", "-CAfile", certificate, "-purpose", "any", "-out", tmp_path / "out"],
        capture_output=True, check=True,
    )  # fmt: skip


def test_the_key_stays_out_of_files_and_logs(tmp_path: Path) -> None:
    """Neither the work directory nor the log holds a line of it."""
    key, certificate = make_key(tmp_path)
    log = io.BytesIO()
    ctx = context(tmp_path, key, certificate, log)
    signing.Signer(ctx).program(LOADER, "systemd-boot")
    line = key.read_bytes().splitlines()[3]
    files = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert files
    assert not any(line in path.read_bytes() for path in files)
    assert line not in log.getvalue()
    assert b"openssl" in log.getvalue()


def test_a_certificate_may_be_der(tmp_path: Path) -> None:
    """PEM or DER: the same signature."""
    key, certificate = make_key(tmp_path)
    pem = signing.Signer(context(tmp_path, key, certificate))
    (tmp_path / "c.der").write_bytes(pem.certificate.whole)
    assert signing.Signer(context(tmp_path, key, tmp_path / "c.der")).certificate == pem.certificate


def test_keys_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    """Another's certificate, no certificate, an EC key, a key with a passphrase, no key: each is said."""
    key, certificate = make_key(tmp_path)
    other, _ = make_key(tmp_path, "other")
    ec, ec_certificate = make_key(tmp_path, "ec", "ec")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:word", "-out", locked], check=True,
        capture_output=True,
    )  # fmt: skip
    for given, shown, said in (
        (other, certificate, "is not that of the key"),
        (key, key, "is not an X.509 certificate"),
        (ec, ec_certificate, "is not of an RSA key"),
        (locked, certificate, "openssl cannot use this key"),
        (certificate, certificate, "openssl cannot use this key"),
    ):
        with pytest.raises(StageError, match=said):
            signing.Signer(context(tmp_path, given, shown))


@pytest.mark.parametrize(
    ("dotted", "encoded"), [("1.2.840.113549.1.7.2", "06092a864886f70d010702"), ("2.5.4.3", "0603550403")]
)
def test_names_of_things(dotted: str, encoded: str) -> None:
    """Object identifiers are encoded as X.690 has it."""
    assert der.oid(dotted).hex() == encoded


def test_lengths_in_either_form() -> None:
    """Short and long contents are read back as they were written; what is cut short is no DER."""
    for size in (0, 127, 128, 255, 256, 70_000):
        (found,) = der.elements(der.encode(der.OCTET_STRING, bytes(size)))
        assert found.content == bytes(size)
    with pytest.raises(ValueError, match="cut short"):
        list(der.elements(der.encode(der.OCTET_STRING, bytes(300))[:-1]))
