"""Resolving packages of Arch's, and what is refused there: real pacman and GnuPG on small mirrors. A8."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bootsmith.cache.store.location import default_root
from bootsmith.cache.store.store import Store
from bootsmith.tasks.errors import BootsmithError, RecipeError, StageError
from bootsmith.tasks.packages import lockfile, renewal
from bootsmith.tasks.packages.lockfile import LockFile

from tests.support.arch_repository import ArchRepository
from tests.support.openpgp_key import OpenPgpKey, openpgp_key
from tests.support.recipe_folder import RecipeFolder

Lock = Callable[..., LockFile]


@pytest.fixture(scope="module")
def keys() -> Iterator[list[OpenPgpKey]]:
    with openpgp_key() as one, openpgp_key() as other:
        yield [one, other]


@pytest.fixture(scope="module")
def whole(keys: list[OpenPgpKey], tmp_path_factory: pytest.TempPathFactory) -> ArchRepository:
    return ArchRepository(tmp_path_factory.mktemp("arch") / "mirror", keys[0])


@pytest.fixture
def mirror(whole: ArchRepository, tmp_path: Path) -> Path:
    """A mirror to change."""
    shutil.copytree(whole.top, tmp_path / "mirror")
    shutil.copy(whole.keyring, tmp_path / "keys.gpg")
    return tmp_path / "mirror"


@pytest.fixture
def lock(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> Lock:
    """Return what locks a recipe with further keys of its source."""
    monkeypatch.chdir(mirror.parent)
    recipes = RecipeFolder(mirror.parent)

    def lock(more: str = "packages: [tool]", only: tuple[str, ...] = ()) -> LockFile:
        text = f"source:\n  arch:\n    mirror: file://{mirror}\n    keyring: ../keys.gpg\n    {more}\n"
        recipe, path = recipes.load(text), mirror.parent / "recipes/x.lock"
        if only:
            renewal.update(recipe, path, Store(default_root()), lambda _: None, only)
            return lockfile.read(path)
        return renewal.ensure(recipe, path, Store(default_root()), lambda _: None)

    return lock


def extra(mirror: Path, name: str) -> Path:
    return next(mirror.glob(f"*/os/x86_64/{name}"))


def test_a_lock_that_fits_is_kept(lock: Lock, mirror: Path) -> None:
    """No mirror is asked while the recipe asks for the same; another package is an edit that resolves. A8."""
    made = lock()
    shutil.move(mirror, mirror.with_name("away"))
    assert lock() == made
    with pytest.raises(RecipeError, match="has no repository core"):
        lock("packages: [linux]")


@pytest.mark.parametrize(
    ("damage", "wanted"),
    [
        ("missing", "tool 1:2.0-3 of Arch's repository extra is not signed"),
        ("none", "tool 1:2.0-3 of Arch's extra is not to be trusted: its signature is none"),
        ("another's", "tool 1:2.0-3 of Arch's extra is not to be trusted: its signature is of other bytes"),
        ("stranger's", "tool 1:2.0-3 of Arch's extra .* it is signed by [0-9A-F]{16}, which is not among the keys"),
        ("inline", "lib 1-1 of Arch's extra .* which is not among the keys"),
    ],
)
def test_what_is_not_signed_is_refused(
    lock: Lock, mirror: Path, keys: list[OpenPgpKey], damage: str, wanted: str
) -> None:
    """No lock has a package whose signature is missing, none, of other bytes, or of a key that does not count. A8."""
    file = extra(mirror, "tool-*.zst")
    signature = extra(mirror, "tool-*.sig")
    match damage:
        case "missing":
            signature.unlink()
        case "none":
            signature.write_bytes(b"nothing")
        case "another's":
            signature.write_bytes(extra(mirror, "shell-*.sig").read_bytes())
        case "stranger's":
            signature.write_bytes(keys[1].sign(file.read_bytes()))
        case _:
            (mirror.parent / "keys.gpg").write_bytes(keys[1].public)
    with pytest.raises(StageError, match=wanted):
        lock()
    assert not (mirror.parent / "recipes/x.lock").exists()


def test_keys_vouch_for_others(lock: Lock, mirror: Path, keys: list[OpenPgpKey]) -> None:
    """With NAME-trusted a key counts that three of those vouch for, and one does not do; one revoked never does. A8."""
    signer, master = keys
    keyring = mirror.parent / "keys.gpg"
    keyring.write_bytes(master.public + signer.public)
    (mirror.parent / "keys-trusted").write_text(f"{master.fingerprint}:4:\n")
    with pytest.raises(StageError, match=r"tool .* which nobody vouches for"):
        lock()
    certified = b""
    with openpgp_key() as second, openpgp_key() as third:
        masters = [master, second, third]
        certified = b"".join(each.public + each.certify(signer) for each in masters)
        trusted = "".join(f"{each.fingerprint}:4:\n" for each in masters)
    keyring.write_bytes(certified)
    (mirror.parent / "keys-trusted").write_text(trusted)
    assert len(lock().packages) == 5
    (mirror.parent / "recipes/x.lock").unlink()
    (mirror.parent / "keys-revoked").write_text(f"{signer.fingerprint}\n")
    with pytest.raises(StageError, match="which is not among the keys"):
        lock()


def test_a_signed_database_is_held_to_its_signature(lock: Lock, mirror: Path, keys: list[OpenPgpKey]) -> None:
    """A mirror may sign what it lists; then that counts too. A8."""
    database = extra(mirror, "extra.db")
    database.with_name("extra.db.sig").write_bytes(keys[1].sign(database.read_bytes()))
    with pytest.raises(StageError, match="the database of Arch's extra is not to be trusted"):
        lock()
    database.with_name("extra.db.sig").write_bytes(keys[0].sign(database.read_bytes()))
    assert len(lock().packages) == 5


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (
            "packages: [toll]",
            r"x\.yaml:5:16: source\.arch\.packages: Arch \(core extra\) has no package toll; did you mean tool\?",
        ),
        ("repositories: [core, more]", "has no repository more"),
        ("snapshot: 2025-08-09", "has no state of 2025-08-09"),
    ],
)
def test_what_is_not_there_is_told_in_the_recipe(lock: Lock, more: str, wanted: str) -> None:
    """A package, a repository or a day that the mirror has not is a mistake in the recipe, at its place. A8."""
    with pytest.raises(RecipeError, match=wanted):
        lock(more)


def test_a_day_of_the_archive_is_taken(lock: Lock, mirror: Path) -> None:
    """`snapshot` takes the state of that day, from below repos/. A8."""
    shutil.copytree(mirror, mirror / "repos/2025/08/09")
    for name in ("core", "extra"):
        shutil.rmtree(mirror / name)
    made = lock("snapshot: 2025-08-09")
    assert made.request["snapshot"] == "2025-08-09"
    assert [each.name for each in made.packages] == ["base", "filesystem", "shell"]


def test_no_package_is_renewed_by_itself(lock: Lock) -> None:
    """Arch's packages go together: one alone is not brought up to date, with the reason. A8."""
    lock()
    with pytest.raises(StageError, match="none can be brought up to date by itself"):
        lock(only=("tool",))


@pytest.mark.parametrize("data", [b"", b"no database", b"\x1f\x8b"])
def test_damaged_databases_are_told(lock: Lock, mirror: Path, data: bytes) -> None:
    """What is no database is told as that, whatever it is instead. A8."""
    extra(mirror, "extra.db").write_bytes(data)
    with pytest.raises(BootsmithError, match="the database of Arch's repository extra is damaged"):
        lock()


def test_files_that_hold_no_keys_are_told(lock: Lock, mirror: Path) -> None:
    """A keyring that is none is told, with how to make one. A8."""
    (mirror.parent / "keys.gpg").write_bytes(b"nothing")
    with pytest.raises(StageError, match=r"keys\.gpg holds no keys") as refused:
        lock()
    assert "gpg --export" in refused.value.hint
