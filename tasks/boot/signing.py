"""Signatures that firmware believes: of EFI programs (Authenticode) and of its own variables (UEFI 2.10, 8.2.2).

A signature holds no time and no salt (RSA, PKCS #1 v1.5): the same program and key give the same bytes, on any day.
The signed structures are made here; openssl does the arithmetic, and is given the key through a pipe, so that it
stands in no file of ours and on no command line.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootsmith.tasks.boot import der, pe
from bootsmith.tasks.errors import StageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bootsmith.tasks.build.stage import Context

TOOLS: tuple[str, ...] = ("openssl",)
CERTIFICATE = "certificate"
"""The role of the certificate among a stage's inputs."""
KEY = "secure boot key"
"""The role of the key among a stage's secrets."""

_RSA = der.oid("1.2.840.113549.1.1.1")
_SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.encode(der.NULL))
_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
_DATA = der.oid("1.2.840.113549.1.7.1")
_CONTENT_TYPE = der.oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = der.oid("1.2.840.113549.1.9.4")
_INDIRECT_DATA = der.oid("1.3.6.1.4.1.311.2.1.4")
_PE_IMAGE = der.oid("1.3.6.1.4.1.311.2.1.15")


@dataclass(frozen=True, slots=True)
class Certificate:
    """An X.509 certificate (DER), and of it who issued it under which number, and the public key it is for."""

    whole: bytes
    issuer: bytes
    serial: bytes
    key: bytes


def read_certificate(data: bytes, what: str) -> Certificate:
    """Return the certificate in a file's bytes, PEM or DER. Raises StageError naming `what`."""
    found = re.search(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", data, re.DOTALL)
    try:
        whole = base64.b64decode(found[1]) if found else data
        (outer,) = der.elements(whole)
        fields = outer.parts[0].parts
        if fields[0].tag == 0xA0:  # the version, which the first one leaves out
            del fields[0]
        serial, _, issuer, _, _, key = fields[:6]
        algorithm = key.parts[0].parts[0].whole
    except (ValueError, IndexError) as error:
        raise StageError(
            f"{what} is not an X.509 certificate", "Name the certificate of the key, as PEM or DER."
        ) from error
    if algorithm != _RSA:
        raise StageError(f"{what} is not of an RSA key", "Make one: firmware believes RSA of 2048 bits everywhere.")
    return Certificate(whole, issuer.whole, serial.whole, key.whole)


class Signer:
    """The key and the certificate that a stage was given, ready to sign."""

    def __init__(self, ctx: Context) -> None:
        path = ctx.inputs[CERTIFICATE]
        self.certificate = read_certificate(path.read_bytes(), str(path))
        self._ctx = ctx
        self._key = ctx.secret(KEY)
        if self._openssl("pkey", "-in", "/dev/stdin", "-pubout", "-outform", "DER") != self.certificate.key:
            raise StageError(
                f"boot.secure_boot: the certificate {path} is not that of the key", "Name the two that belong together."
            )

    def program(self, data: bytes, what: str) -> bytes:
        """Return an EFI program, signed; earlier signatures are gone. Raises StageError where `what` is none."""
        found = pe.parse(data, what)
        image = der.sequence(
            _PE_IMAGE,
            # flags: none; the file: "by an empty text", for what it once was is obsolete
            der.sequence(der.encode(der.BIT_STRING, b"\0"), der.tagged(0, der.tagged(2, der.encode(0x80)))),
        )
        content = image + der.sequence(_SHA256, der.encode(der.OCTET_STRING, pe.digest(found)))
        attributes = (
            der.sequence(_CONTENT_TYPE, der.set_of(_INDIRECT_DATA)),
            der.sequence(_MESSAGE_DIGEST, der.set_of(der.encode(der.OCTET_STRING, _sha256(content)))),
        )
        signature = self._sign(der.set_of(*attributes))
        info = der.sequence(_INDIRECT_DATA, der.tagged(0, der.sequence(content)))
        signed = self._signed_data(info, signature, der.tagged(0, *sorted(attributes)))
        return pe.attach(found, der.sequence(_SIGNED_DATA, der.tagged(0, signed)))

    def detached(self, message: bytes) -> bytes:
        """Return a SignedData over a message that it does not hold, as the firmware's variables need it."""
        return self._signed_data(der.sequence(_DATA), self._sign(message))

    def _signed_data(self, info: bytes, signature: bytes, attributes: bytes = b"") -> bytes:
        """Return SignedData (RFC 2315, 9.1)."""
        signer = der.sequence(
            der.integer(1), der.sequence(self.certificate.issuer, self.certificate.serial), _SHA256, attributes,
            der.sequence(_RSA, der.encode(der.NULL)), der.encode(der.OCTET_STRING, signature),
        )  # fmt: skip
        return der.sequence(
            der.integer(1), der.set_of(_SHA256), info, der.tagged(0, self.certificate.whole), der.set_of(signer)
        )

    def _sign(self, message: bytes) -> bytes:
        file = self._ctx.work / "to-be-signed"
        file.write_bytes(message)
        return self._openssl("dgst", "-sha256", "-sign", "/dev/stdin", last=[file])

    def _openssl(self, *words: str, last: Sequence[Path] = ()) -> bytes:
        """Return what openssl makes with the key on its standard input."""
        made = self._ctx.work / "made"
        done = self._ctx.run(
            "openssl", *words, "-passin", "pass:", "-out", made, *last,
            input=self._key + b"\n", env={"OPENSSL_CONF": "/dev/null"}, check=False,
        )  # fmt: skip
        if done.status:
            raise StageError(
                "boot.secure_boot.key: openssl cannot use this key", "Give an RSA key as PEM, without a passphrase."
            )
        return made.read_bytes()


def _sha256(data: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(data).digest()
