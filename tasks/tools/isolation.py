"""The walls around a host program: namespaces of its own, and its end together with ours.

A program runs as `setpriv --pdeathsig KILL unshare --pid --fork --kill-child ... sh -c GUARD program`. When the thread
that started it ends, however it ends, the kernel kills `unshare`, then the shell, which is process 1 of the pid
namespace, and with it all that is left inside. Three things make that hold at any moment, not only later:

- The program starts only after a handshake: the guard says that it stands, we answer. A parent that died before it had
  set its death signal never hears us and never lets the program start.
- Process 1 is the shell and not the program. A program that changes its ids (mmdebstrap, apt) loses its death signal,
  and a program that is process 1 does not die of its own signals.

bwrap is neither quicker (0.1 ms apart) nor able to map subordinate ids, so there is one way, not two.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bootsmith.tasks.tools.programs import find
from bootsmith.tasks.tools.tool import SETPRIV, SH, UNSHARE

READY = b"\0"
ANSWER = b"go\n"

_STANDING = r'printf "\0" >&2; read -r go || exit 125; unset go PWD OLDPWD SHLVL; '
GUARDS = {
    # (in a pid namespace, has input) -> what the shell does
    (True, False): _STANDING + '"$@" </dev/null; exit $?',
    (True, True): _STANDING + '"$@"; exit $?',
    # Without a pid namespace the death signal is the program's own: it must take the shell's place.
    (False, False): _STANDING + 'exec "$@" </dev/null',
    (False, True): _STANDING + 'exec "$@"',
}


class Wall(NamedTuple):
    """One way to run a program: the words of `unshare`, and what is lost by it, "" where nothing is.

    Where `unmapped`, its user namespace has no ids yet when the guard stands: they are for us to map.
    """

    unshare: tuple[str, ...]
    caveat: str = ""
    unmapped: bool = False

    @property
    def namespaced(self) -> bool:
        """True where all that the program starts dies with it."""
        return bool(self.unshare)


_PID = ("--pid", "--fork", "--kill-child")
_BARE = Wall(
    (), "namespaces are forbidden here: what a program starts may outlive a killed build, and sees the network"
)
_NO_PROC = "no /proc of its own can be mounted here: programs in the tree see the host's processes"


def walls(*, root: bool, network: bool, uid: int) -> Iterator[Wall]:
    """Yield the ways to run a program as `uid`, the best first; as uid 0 of its own tree where `root` is asked."""
    net = () if network else ("--net",)
    if root:
        for user in ((), ("--user",)) if uid == 0 else (("--user",),):
            words = (*user, *_PID, *net, "--mount")
            yield Wall((*words, "--mount-proc"), unmapped=bool(user))
            yield Wall(words, _NO_PROC, unmapped=bool(user))
        return
    if uid == 0:
        yield Wall((*_PID, *net))
    yield Wall(("--user", "--map-current-user", *_PID, *net))
    yield _BARE


def enclosing(*, uid: int, proc: bool) -> Iterator[Wall]:
    """Yield the ways to run a program as `uid` in a view of its own, with a /proc where it needs one."""
    mounts = (*_PID, "--net", "--mount", *(("--mount-proc",) if proc else ()))
    if uid == 0:
        yield Wall(mounts)
    yield Wall(("--user", "--map-root-user", *mounts))


def command(wall: Wall, *, has_input: bool, enclosed: Sequence[str] = ()) -> list[str]:
    """Return the words before the program's own; `enclosed` are those that give it a view of its own."""
    words = [str(find(SETPRIV)), "--pdeathsig", "KILL"]
    if wall.unshare:
        words += [str(find(UNSHARE)), *wall.unshare, "--", *enclosed, *(["--"] if enclosed else [])]
    return [*words, str(find(SH)), "-c", GUARDS[wall.namespaced, has_input], "sh"]


def pdeathsig_command() -> list[str]:
    """Return the words before a program that shares our terminal and network, and dies with the calling thread.

    The shell makes sure that we were still there once the death signal was set.
    """
    guard = '[ "$PPID" = "$1" ] || exit 125; shift; exec "$@"'
    return [str(find(SETPRIV)), "--pdeathsig", "KILL", str(find(SH)), "-c", guard, "sh", str(os.getpid())]
