"""The declared users: accounts, passwords, homes and ssh keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bootsmith.tasks.build.secret import is_typed
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.errors import StageError, Together
from bootsmith.tasks.tree import crypt, sudo
from bootsmith.tasks.tree.accounts import LOCKED, Account, Accounts
from bootsmith.tasks.tree.delta import Delta


@dataclass(frozen=True)
class DeclaredUser:
    """A user: `password` says which it is ("locked", "empty", "hash", "secret"); a key of None is an input."""

    password: str
    ssh_keys: tuple[str | None, ...]
    uid: int | None
    groups: tuple[str, ...]
    shell: str | None
    home: str | None
    sudo: bool


def declare(
    ctx: Context,
    delta: Delta,
    users: Sequence[tuple[str, DeclaredUser]],
    groups: Sequence[tuple[str, int | None]],
    *,
    epoch: int,
    seed: str,
) -> None:
    """Add groups and users to the tree, or change them; no password's hash is of another `seed`'s. Raises StageError.

    Numbers given go before numbers found.
    """
    accounts = Accounts(delta.tree, epoch)
    made: list[tuple[Account, list[str]]] = []
    together = Together()
    for group, gid in sorted(groups, key=lambda pair: pair[1] is None):
        with together:
            accounts.ensure_group(group, gid)
    for name, user in sorted(users, key=lambda pair: pair[1].uid is None):
        with together:
            account = accounts.ensure(name, uid=user.uid, groups=user.groups, shell=user.shell, home=user.home)
            accounts.set_password(name, _password(ctx, name, user.password, seed))
            made.append((account, _keys(ctx, name, user.ssh_keys)))
    with together:
        sudo.declare(delta, ((name, user.password not in ("locked", "empty")) for name, user in users if user.sudo))
    together.settle()
    for file, text in accounts.files().items():
        path = f"etc/{file}"
        entry = delta.tree.find(path)
        if entry and text != delta.tree.text(path):
            data = text.encode("utf-8", "surrogateescape")
            delta.add_file(path, data, entry.mode, entry.uid, entry.gid, entry.xattrs)
    for account, keys in made:
        if account.new:
            _make_home(delta, account)
        if keys:
            _authorize(delta, account, keys)


def _password(ctx: Context, name: str, kind: str, seed: str) -> str:
    """Return the field of /etc/shadow."""
    if kind in ("locked", "empty"):
        return LOCKED if kind == "locked" else ""
    secret = ctx.secret(f"password of {name}")
    if not secret:
        raise StageError(f"system.users.{name}: the password is empty", "To need none, say password: empty.")
    if kind == "secret":
        if not is_typed(secret):
            raise StageError(
                f"system.users.{name}: nobody can type the password: it holds a line end or another control character",
                "Write it as one line of text.",
            )
        return crypt.sha512(secret, f"{seed}\0{name}")
    field = secret.decode("ascii", "replace")
    if ":" in field or not (field.isascii() and field.isprintable()):
        raise StageError(f"system.users.{name}: the hash of the password is none", "Write what `mkpasswd` prints.")
    return field


def _keys(ctx: Context, name: str, keys: Sequence[str | None]) -> list[str]:
    """Return the lines of authorized_keys."""
    lines: list[str] = []
    for number, key in enumerate(keys):
        where = f"system.users.{name}.ssh_keys"
        text = key
        if text is None:
            path: Path = ctx.inputs[f"{name} key {number}"]
            where = str(path)
            text = path.read_text(encoding="utf-8", errors="replace")
        if "PRIVATE KEY" in text:
            raise StageError(f"{where} is a private key", "Name the public one: it ends in .pub.")
        found = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if not found or not all(len(line.split()) > 1 for line in found):
            raise StageError(f"{where} holds no ssh key", "A key is one line: its type, its text, a comment.")
        lines += found
    return lines


def _make_home(delta: Delta, account: Account) -> None:
    """Make a home with what /etc/skel has, all of it the user's."""
    delta.set_directory(account.home, 0o700, account.uid, account.gid)
    _copy(delta, "etc/skel", account.home, account)


def _copy(delta: Delta, source: str, target: str, account: Account) -> None:
    tree = delta.tree
    waiting = [f"/{name}" for name in tree.names(source)]
    while waiting:
        below = waiting.pop()
        path, to = f"{source}{below}", f"{target}{below}"
        entry = tree.link(path)
        if entry is None or tree.link(to) is not None:  # a layer brought its own
            continue
        if entry.type == "d":
            delta.set_directory(to, entry.mode, account.uid, account.gid)
            waiting += [f"{below}/{name}" for name in tree.names(path)]
        elif entry.type == "l":
            delta.add_link(to, entry.link, account.uid, account.gid)
        elif (data := tree.read(path)) is not None:
            delta.add_file(to, data, entry.mode, account.uid, account.gid)


def _authorize(delta: Delta, account: Account, keys: Sequence[str]) -> None:
    if not account.new and delta.tree.find(account.home) is None:
        delta.set_directory(account.home, 0o700, account.uid, account.gid)
    folder = f"{account.home}/.ssh"
    delta.set_directory(folder, 0o700, account.uid, account.gid)
    text = "".join(f"{key}\n" for key in keys)
    delta.add_file(f"{folder}/authorized_keys", text.encode(), 0o600, account.uid, account.gid)
