"""The words particular keys take: names, units of a guest, GUIDs, ports, keys and passwords, each with its rule."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from bootsmith.cache.display import nearest, shown
from bootsmith.tasks.build.secret import Secret
from bootsmith.tasks.build.stage import Json
from bootsmith.tasks.recipe.text.nodes import Node, Raw, Table, Text
from bootsmith.tasks.recipe.text.problems import KeyPath, Problems, Wrong, dotted, suggest
from bootsmith.tasks.recipe.values import units
from bootsmith.tasks.recipe.values.scalars import FAILED, Choice, FilePath, Number, Parsed, Str, Type

_HOST = r"(?=.{1,64}$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
_UUID = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
_SERIAL = "[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}"
_DEVICE = "([bc]) ([0-9]{1,7}) ([0-9]{1,7})"
_FORWARD = r"\d{1,5}:\d{1,5}"
_VARIABLE = "[A-Za-z_][A-Za-z0-9_]{0,63}"
PINNED = ("PATH", "HOME", "LC_ALL", "TZ", "PWD", "SOURCE_DATE_EPOCH")
"""Variables that what runs in a tree finds as they are, see `tree/commands.py`."""
_KEY_LINE = re.compile(r"(?:\S.*\s)?(?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+ +AAAA[A-Za-z0-9+/]+={0,3}(?: .*)?")
_CRYPT = re.compile(r"\$[A-Za-z0-9]+\$[A-Za-z0-9./$=,+-]+")

ESP_GUID = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
PARTITION_TYPES = ("esp", "bios-boot", "linux", "root", "home", "var", "swap", "lvm", "xbootldr", "root-verity")
_CODES = {  # as sgdisk and gdisk number them
    "EF00": "esp", "EF02": "bios-boot", "8300": "linux", "8304": "root", "8302": "home", "8310": "var", "8200": "swap",
    "8E00": "lvm", "EA00": "xbootldr",
}  # fmt: skip
_NOT_MADE = {
    "0X00": "an entry that is not used", "0X05": "an extended partition", "0X0F": "an extended partition",
    "0XEE": "what protects a GPT",
}  # fmt: skip

NAME = Str("NAME", "[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name", "use letters, digits, and . _ - after the first")
SNAPSHOT = Str(
    "NAME", "[A-Za-z][A-Za-z0-9._-]{0,63}", "a snapshot's name", "use letters, digits, and . _ - after a letter"
)
PLAIN = Str("NAME", "[A-Za-z0-9][A-Za-z0-9_-]{0,35}", "a name", "use letters, digits, and _ - after the first")
BUCKET = Str("NAME", "[A-Za-z0-9][A-Za-z0-9.-]{2,62}", "a bucket's name", "use letters, digits, . and -")
IMAGE = Str("IMAGE", r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*", "an image's name", "write it as FROM does")
LINE = Str()
WORD = Str("STR", r"\S+", "one word", "leave out blanks")
VERSION = Str("STR", r"[A-Za-z0-9][A-Za-z0-9.+~^_-]*", "a version", "use letters, digits and . + ~ ^ _ -")
FILE_NAME = Str("FILENAME", r"[A-Za-z0-9_][^/\s]{0,199}", "a file's name", "leave out folders, blanks and first dots")
SUITE = Str("STR", "[A-Za-z][A-Za-z0-9._/-]*", "a suite", "write its code name, like trixie")
COMPONENT = Str("STR", "[A-Za-z][A-Za-z0-9._/-]*", "a component", "write one like main or contrib")
PACKAGE = Str("PACKAGE", "[a-z0-9][a-z0-9+.-]+", "a package's name", "use lower-case letters, digits and + - .")
PACMAN_PACKAGE = Str(
    "PACKAGE", "[a-z0-9@_+][a-z0-9@._+-]*", "a package's name", "use lower-case letters, digits and @ . _ + -"
)
DAY = Str("DAY", r"20\d\d-[01]\d-[0-3]\d", "a day", "write it as 2025-08-09")
RPM_PACKAGE = Str("PACKAGE", "[A-Za-z0-9_][A-Za-z0-9._+-]*", "a package's name", "use letters, digits and . _ + -")
NUMBER = Str("NUMBER", "[1-9][0-9]{0,2}", "a release's number", "write one like 42")
URL = Str("URL", r"(?:https?|file)://[^\s\[\]]+", "a URL", "write one beginning https://, http:// or file://")
FILE_URL = Str(
    "URL", r"(?:https?://[^\s/@\[\]]+|file://)/[^\s]{1,2000}", "a file's URL",
    "write one beginning https://, http:// or file://, without a password in it",
)  # fmt: skip
SHA256 = Str("SHA256", "[0-9a-f]{64}", "a SHA-256", "write its 64 digits, as sha256sum prints them")
HOST = Str("NAME", _HOST, "a host name", "use letters, digits and -, at most 64 of them, dots between the parts")
USER = Str("NAME", "[a-z_][a-z0-9_-]{0,31}", "a user's name", "use lower-case letters, digits, _ and -, at most 32")
GROUP = Str("NAME", "[a-z_][a-z0-9_-]{0,31}", "a group's name", "use lower-case letters, digits, _ and -, at most 32")
OWNER = Str("OWNER", r"[a-z_][a-z0-9_-]{0,31}|\d{1,9}", "a user or group", "write its name or number")
UNIT = Str("UNIT", r"[A-Za-z0-9:_.\\@-]+", "a unit's name", "write one like ssh or ssh.service")
LOCALE = Str(
    "LOCALE", r"[A-Za-z]{1,8}(?:_[A-Za-z0-9]{1,8})?(?:\.[A-Za-z0-9-]{1,20})?(?:@[A-Za-z0-9]{1,20})?",
    "a locale", "write one like C.UTF-8 or de_DE.UTF-8",
)  # fmt: skip
TIMEZONE = Str(
    "ZONE", r"[A-Za-z0-9][A-Za-z0-9_+-]{0,30}(?:/[A-Za-z0-9][A-Za-z0-9_+-]{0,30}){0,2}",
    "a time zone", "write one like UTC or Europe/Berlin",
)  # fmt: skip
KEYMAP = Str("KEYMAP", "[A-Za-z0-9][A-Za-z0-9_.-]{0,40}", "a keymap", "write one like us or de")
MODULE = Str("MODULE", "[A-Za-z0-9_][A-Za-z0-9_-]{0,54}", "a kernel module", "write one like nbd, without .ko")
SYSCTL = Str(
    "SETTING", r"[a-z0-9_-]{1,40}(?:[./][A-Za-z0-9_*:@-]{1,40}){1,8}",
    "a setting of the kernel", "write one like net.ipv4.ip_forward",
)  # fmt: skip
SYSCTL_VALUE = Str("VALUE", r"[!-~](?:[ -~\t]{0,400}[!-~])?", "a value of one", "write it in one line of plain text")
GLOB = Str("GLOB", r"/[^\n]*[^/\n]", "a path in the tree", "begin it with /, and end it with a name or pattern")
CONSOLE = Str("CONSOLE", r"[A-Za-z]+[0-9]*(?:,\d+[noe]?[5-8]?r?)?", "a console", "write one like tty0 or ttyS0,115200")
ISO_LABEL = Str("LABEL", "[A-Z0-9_]{1,32}", "a label of ISO 9660", "use up to 32 of A-Z, 0-9 and _")
PROGRAM = Str("PROGRAM", r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", "a program's name", "write it as it is called, like gcc")
IMAGE_TAG = Str(
    "TAG", r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "an image's tag", "use letters, digits and _ . -, at most 128 of them"
)
EXT_LABEL = Str("LABEL", r"[^\s\0/]{1,16}", "a label of ext4", "use up to 16 letters without blanks")
DEVICE = Str("DEVICE", r"/dev/\S+|[A-Za-z]+[=:]\S+", "a device", "write it like /dev/vda2")
GRUB_MODULE = Str("MODULE", "[a-z0-9_]+", "a GRUB module", "write one like part_gpt, without .mod")
CPU = Str("STR", r"[A-Za-z0-9][A-Za-z0-9_.,+=-]*", "a CPU model", "write one as qemu -cpu takes it")
PRESEED = Str(
    "LINE",
    r"[a-z0-9][a-z0-9+.-]*[ \t]+[^\s#]+[ \t]+(?:select|multiselect|boolean|string|note|text|password|error|title|seen)"
    r"(?:[ \t].*)?",
    "an answer for debconf",
    "write PACKAGE QUESTION TYPE ANSWER, as debconf-get-selections prints them",
)
COMMAND = Str("COMMAND", r"[\s\S]*\S[\s\S]*", "a command", "write what sh is to run", lines=True)
OPTIONS = Str("STR", r"[^\s#]+", "a set of mount options", "write them with commas and without blanks")


def _read_tree_path(text: str) -> str:
    parts = text.split("/")
    if parts[0] or len(parts) < 2 or any(part in ("", ".", "..") for part in parts[1:]) or not text.isprintable():
        raise Wrong(f"{text!r} is not a path in the tree", "begin it with /, and leave out //, /., /.. and a last /")
    return text


def _read_in_passwd(text: str) -> str:
    if ":" in text:
        raise Wrong(f"{text!r} cannot stand in /etc/passwd", "leave out colons")
    return _read_tree_path(text)


def _read_folder(text: str) -> str:
    return text if text == "/" else _read_tree_path(text)


def _read_mount(text: str) -> str:
    if re.search(r"[\s#\\,]", text):
        raise Wrong(f"{text!r} cannot stand in fstab", "leave out blanks, #, \\ and commas")
    return _read_folder(text)


def _read_machine_id(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{32}", text) or text == "0" * 32:
        raise Wrong(f"{text!r} is not a machine id", "write 32 lower-case hex digits")
    return text


def _read_ip(text: str) -> str:
    import socket  # rare, and slow to import

    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except OSError:
            continue
        return text
    raise Wrong(f"{text!r} is not an IP address", "write one like 192.0.2.1 or 2001:db8::1")


def _read_regex(text: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of what a later Python may read otherwise
            re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        what = f"{text!r} is not a regular expression: {error}"
        raise Wrong(what, "escape what is meant literally with \\") from None
    return text


def _read_forward(text: str) -> tuple[int, int]:
    host, colon, guest = text.partition(":")
    if not (colon and re.fullmatch(_FORWARD, text, re.ASCII)):
        raise Wrong(f"{text!r} is not a port forward", "write HOST:GUEST, like 2222:22")
    for port in (int(host), int(guest)):
        if not 1 <= port <= 65535:
            raise Wrong(f"{port} is not a port", "write numbers from 1 to 65535")
    return int(host), int(guest)


def _write_forward(ports: tuple[int, int]) -> Raw:
    return f"{ports[0]}:{ports[1]}"


def _read_sector(text: str) -> int:
    if text not in ("512", "4096"):
        raise Wrong(f"no disk has sectors of {text} bytes", "write 512, or 4096")
    return int(text)


def _read_uuid(text: str) -> str:
    if not re.fullmatch(_UUID, text):
        raise Wrong(f"{text!r} is not a UUID", "write it like 01234567-89ab-cdef-0123-456789abcdef")
    return text.lower()


def _read_disk_id(text: str) -> str:
    if re.fullmatch("[0-9A-Fa-f]{8}", text) and text != "0" * 8:
        return text.lower()
    if not re.fullmatch(_UUID, text):
        raise Wrong(
            f"{text!r} is not a disk's id", "write a UUID, or on an MBR disk eight hex digits that are not all 0"
        )
    return text.lower()


def _read_partuuid(text: str) -> str:
    return text.lower() if re.fullmatch("[0-9A-Fa-f]{8}-[0-9A-Fa-f]{2}", text) else _read_uuid(text)


def _read_volume_id(text: str) -> str:
    return text.upper() if re.fullmatch(_SERIAL, text) else _read_uuid(text)


def _read_partition_type(text: str) -> str:
    if text in PARTITION_TYPES:
        return text
    if re.fullmatch(_UUID, text):
        return "esp" if text.lower() == ESP_GUID else text.lower()
    code = text.upper()
    if code in _CODES:
        return _CODES[code]
    if re.fullmatch("0X[0-9A-F]{2}", code):
        if code in _NOT_MADE:
            raise Wrong(f"{text} is {_NOT_MADE[code]}", "write the type of a partition, like 0x83")
        return code.lower()
    raise Wrong(f"{text!r} is not a partition type", suggest(text, [*PARTITION_TYPES, *_CODES]))


def _read_attribute(text: str) -> int:
    bit = int(text) if re.fullmatch(r"\d{1,2}", text, re.ASCII) else -1
    if not (0 <= bit <= 2 or 48 <= bit <= 63):
        raise Wrong(f"{text!r} is not an attribute of GPT", "write a bit: 0, 1, 2 or 48 to 63")
    return bit


def _read_inode_size(text: str) -> int:
    if text not in ("128", "256", "512", "1024"):
        raise Wrong(f"{text!r} is no size of an inode", "write 128, 256, 512 or 1024")
    return int(text)


def _read_device(text: str) -> tuple[str, int, int]:
    found = re.fullmatch(_DEVICE, text, re.ASCII)
    if not found:
        raise Wrong(f"{text!r} is not a device node", "write kind, major and minor number, like c 5 1")
    kind, major, minor = found[1], int(found[2]), int(found[3])
    if major >= 1 << 12 or minor >= 1 << 20:
        raise Wrong(f"{text!r} is beyond what Linux numbers", "write a major below 4096, and a minor below 1048576")
    return kind, major, minor


def _write_device(node: tuple[str, int, int]) -> Raw:
    return " ".join(map(str, node))


def _read_variable(text: str) -> str:
    if not re.fullmatch(_VARIABLE, text, re.ASCII):
        raise Wrong(f"{text!r} is no variable's name", "use letters, digits and _, a digit not first")
    if text in PINNED:
        raise Wrong(f"{text} is the same for all that runs in a tree", "take another name")
    return text


TREE_PATH = Parsed("/PATH", _read_tree_path)
VARIABLE = Parsed("NAME", _read_variable, pattern=_VARIABLE)
IN_PASSWD = Parsed("/PATH", _read_in_passwd)
FOLDER = Parsed("/PATH", _read_folder, blank="/")
MOUNT = Parsed("/PATH", _read_mount)
MACHINE_ID = Parsed("HEX", _read_machine_id, pattern="[0-9a-f]{32}")
IP = Parsed("IP", _read_ip)
REGEX = Parsed("REGEX", _read_regex)
FORWARD = Parsed("HOST:GUEST", _read_forward, _write_forward, _FORWARD)
NODE = Parsed("b|c MAJOR MINOR", _read_device, _write_device, _DEVICE, blank=("c", 0, 0))
TAG = Str("TAG", r"[A-Za-z0-9._-]{1,35}", "a share's tag", "use up to 35 letters, digits, dots and dashes")
DEBUG = Str("ITEMS", r"[A-Za-z0-9_:,.-]+", "a list of QEMU's log items", "write items as `qemu -d help` lists")
DATE = Parsed("DATE", units.read_date, units.show_date, units.DATE, blank=0)
SECTOR = Parsed("512|4096", _read_sector, int, "512|4096")
FEATURE = Str("FEATURE", r"\^?[a-z0-9_]+", "a feature of a filesystem", "write one like project, or ^has_journal")
INODE_SIZE = Number("INT", _read_inode_size, int, r"\d+", at_least=128, at_most=1024)
UUID = Parsed("UUID", _read_uuid, pattern=_UUID)
DISK_ID = Parsed("UUID", _read_disk_id, pattern=f"{_UUID}|[0-9A-Fa-f]{{8}}")
PARTUUID = Parsed("UUID", _read_partuuid, lambda text: text or None, f"{_UUID}|[0-9A-Fa-f]{{8}}-[0-9A-Fa-f]{{2}}")
VOLUME_ID = Parsed("UUID", _read_volume_id, lambda text: text or None, f"{_UUID}|{_SERIAL}")
PARTITION_TYPE = Parsed(
    "TYPE",
    _read_partition_type,
    pattern="|".join((*PARTITION_TYPES, "[0-9A-Fa-f]{4}", "0x[0-9A-Fa-f]{2}", _UUID)),
    blank="linux",
)
ATTRIBUTE = Parsed("INT", _read_attribute, int, "[0-2]|4[89]|5[0-9]|6[0-3]")


class UserId(Number):
    """A user's number."""

    def __init__(self) -> None:
        super().__init__("INT", units.read_int, int, r"\d+", at_least=0, at_most=0xFFFFFFFE)

    def parse(self, said: Text) -> Any:
        number = super().parse(said)
        if number == 0xFFFF:  # as 16 bits have what 4294967295 is in 32
            raise Wrong("65535 means nobody to whoever has 16 bits for a user", "take another number")
        return number


class LoaderFile(FilePath):
    """A bootloader of a user's own, by its Python file; its value is that file's path as text."""

    said = "PATH.py"

    def __init__(self) -> None:
        super().__init__("file")

    def parse(self, said: Text) -> Any:
        from bootsmith.tasks.recipe.loaders import own

        path = super().parse(said)
        own.read(path)
        return str(path)

    def literal(self) -> dict[str, Json]:
        return {"type": "string", "pattern": r"\.py$"}


class LoaderName(Choice):
    """A bootloader: one of ours by its name, or one of a user's own by its file."""

    def __init__(self, *words: str) -> None:
        self._names, self._file = Choice(*words), LoaderFile()
        super().__init__(*words, other=self._file)

    def parse(self, said: Text) -> Any:
        return (self._file if said.text.endswith(".py") else self._names).parse(said)


class SshKey(Str):
    """A public key: its line, or the file that holds such lines."""

    def __init__(self) -> None:
        super().__init__("KEY|PATH")
        self._file = FilePath("file")

    def parse(self, said: Text) -> Any:
        text = said.text
        if _KEY_LINE.fullmatch(text):
            return text
        if re.match(r"(ssh|ecdsa|sk)-\S+ ", text):
            raise Wrong("this is not a whole ssh key", "write the line of a .pub file: type, base64 and a comment")
        path = self._file.parse(said)
        try:
            with path.open("rb") as file:
                start = file.read(100)
        except OSError as error:
            raise Wrong(f"{shown(path)} cannot be read: {error.strerror}", "name a file of public keys") from error
        if b"PRIVATE KEY" in start:
            raise Wrong(f"{shown(path)} is a private key, which no image may hold", f"name {path.name}.pub")
        return path

    def write(self, value: Any) -> Raw:
        return self._file.write(value) if isinstance(value, Path) else str(value)


class SecretRef(Type):
    """A password or key by reference; or one of `words`. What a recipe says in clear is refused and not repeated.

    `holds` is what is to be found where it refers to.
    """

    blank = Secret()

    def __init__(self, *words: str, holds: str, hashed: bool = False) -> None:
        self._words = words
        self._holds = holds
        self._forms = {"file": "PATH", "env": "NAME"} | ({"hash": "CRYPT"} if hashed else {})
        self.said = "|".join([*words, "SECRET"])

    def read(self, node: Node, path: KeyPath, problems: Problems) -> Any:
        if isinstance(node, Text) and node.text in self._words:
            return node.text
        forms = " or ".join(f"{{{form}: {said}}}" for form, said in self._forms.items())
        if not isinstance(node, Table):
            meant = nearest(node.text, self._words) if isinstance(node, Text) else None
            todo = f"did you mean {meant}?" if meant else " or ".join(["write " + forms, *self._words])
            problems.add(node.place, path, f"a secret cannot stand in a recipe; {todo}")
            return FAILED
        if list(node.entries) == ["hash"] and "hash" not in self._forms:
            problems.add(node.place, (*path, "hash"), f"a hash cannot be typed at a login; write {forms}")
            return FAILED
        unknown = [word for word in node.entries if word not in self._forms]
        for word in unknown:
            problems.add(node.entries[word].place, (*path, word), f"unknown key; {suggest(word, [*self._forms])}")
        if unknown or len(node.entries) != 1:
            if not unknown:
                problems.add(node.place, path, f"a secret has one source; write {forms}")
            return FAILED
        form, entry = next(iter(node.entries.items()))
        reader = {"file": FilePath(), "env": _ENVIRONMENT, "hash": _HASH}[form]
        found = reader.read(entry.value, (*path, form), problems)
        said = {form: found, "where": f"{node.place}: {dotted(path)}", "holds": self._holds}
        return FAILED if found is FAILED else Secret(**said)

    def write(self, value: Any) -> Raw:
        if not isinstance(value, Secret):
            return str(value)
        if value.file is not None:
            return {"file": FilePath().write(value.file)}
        return {"env": value.env} if value.env is not None else {"hash": value.hash}

    def schema(self) -> dict[str, Json]:
        form: dict[str, Json] = {
            "type": ["object", "null"],
            "properties": {form: {"type": "string"} for form in self._forms},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        return {"anyOf": [{"enum": list(self._words)}, form]} if self._words else form


def _read_hash(text: str) -> str:
    if not _CRYPT.fullmatch(text):
        raise Wrong("this is not a password hash", "write what `openssl passwd -6` or `mkpasswd` prints")
    return text


_ENVIRONMENT = Str("NAME", "[A-Za-z_][A-Za-z0-9_]*", "an environment variable's name", "use letters, digits and _")
_HASH = Parsed("HASH", _read_hash)
