"""What a run asks of the guest's systemd by system credentials: a unit of ours, a shell on the console, an ssh key.

None of it is in the image, and but for the ssh key none reaches the guest's disk. It needs systemd 252 or later with
udev and tmpfiles in the guest; anything else ignores it.

The way in is `tmpfiles.extra`, the one credential that 252 applies early enough. It is applied twice: to what is below
/dev before udev starts, to the rest much later. A link below /dev to /run lets the early pass write a unit and a udev
rule where systemd and udev look; by the rule the device /dev/null wants the unit. systemd 256 can take units from
credentials directly, but this way it knows as well, and one page is not enough for both (see LIMIT).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

SECOND_PORT = "/dev/ttyS1"
LIMIT = 4000
"""Bytes that all credentials of a run may take, base64 and names included: Debian 12 reads one page of them."""

_LINK = "/dev/.bootsmith"
_RULE = 'SUBSYSTEM=="mem", KERNEL=="null", TAG+="systemd", ENV{SYSTEMD_WANTS}+="bootsmith.service"\n'
_UNIT = """[Unit]
Description=What bootsmith asked of this run
DefaultDependencies=no
After=local-fs.target
Before=serial-getty@ttyS0.service ssh.service sshd.service
[Service]
"""
_GETTY = "serial-getty@.service"
_AUTOLOGIN = """[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear --keep-baud 115200,57600,38400,9600 - $TERM
"""
_RELOAD = """u=serial-getty@ttyS0.service
case $(systemctl show -p DropInPaths $u) in *bootsmith*) exit ;; esac
systemctl daemon-reload
systemctl -q is-active $u && systemctl --no-block restart $u
"""
_KEY = """k='{key}' f=/root/.ssh/authorized_keys
umask 077
mkdir -p /root/.ssh
grep -qsxF "$k" $f || printf '\n%s\n' "$k" >>$f
"""
_AGENT = """n={nonce} f=/run/bootsmith-command
export HOME=/root LC_ALL=C.UTF-8
cd /
stty -F {port} raw -echo || {{ echo "$n up" >/dev/console; exit; }}
exec <{port} >{port} 2>&1
echo "$n up"
while read -r do what; do
case $do in
add) echo "$what" >>$f; echo "$n added" ;;
run) base64 -d $f >$f.sh && sh $f.sh </dev/null; s=$?; rm $f; echo; echo "$n exit $s" ;;
esac
done
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run asks of the guest.

    With a `nonce` a unit prints "NONCE up" on the second serial port, or on the console where there is none, and then
    runs the commands it is sent there (see `Agent` in dialogue.py). `autologin` is a root shell on the serial console,
    `ssh_key` the line of a public key that lets root in.
    """

    nonce: str = ""
    autologin: bool = False
    ssh_key: str = ""


def credentials(asked: Asked) -> Mapping[str, bytes]:
    """Return the system credentials, by name, that ask it."""
    if asked == Asked():
        return {}
    named: dict[str, str] = {}
    lines = [f"L+ {_LINK} - - - - /run"]
    unit = _UNIT
    if asked.ssh_key:
        # Added to the keys that are there, once: a guest that keeps its disk is given the same key again.
        lines.append(_file("bootsmith-key", _KEY.format(key=asked.ssh_key.strip())))
        unit += "ExecStartPre=-sh /run/bootsmith-key\n"
    if asked.autologin:
        named[f"systemd.unit-dropin.{_GETTY}~bootsmith"] = _AUTOLOGIN  # since systemd 256; before that:
        lines.append(_file(f"systemd/system/{_GETTY}.d/bootsmith.conf", _AUTOLOGIN))
        lines.append(_file("bootsmith-reload", _RELOAD))
        unit += "ExecStartPre=-sh /run/bootsmith-reload\n"
    if asked.nonce:
        lines.append(_file("bootsmith-agent", _AGENT.format(nonce=asked.nonce, port=SECOND_PORT)))
    unit += "ExecStart=sh /run/bootsmith-agent\n" if asked.nonce else "ExecStart=true\n"
    lines += [_file("systemd/system/bootsmith.service", unit), _file("udev/rules.d/99-bootsmith.rules", _RULE)]
    named["tmpfiles.extra"] = "".join(f"{line}\n" for line in lines)
    return {name: text.encode() for name, text in named.items()}


def _file(below_run: str, text: str) -> str:
    """Return the tmpfiles line that writes a file below /run, and the folders it needs, before udev starts."""
    return f"f~ {_LINK}/{below_run} 0644 - - - {_base64(text)}"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
