"""What programs of Arch's are told, here and in the tree."""

from __future__ import annotations

from typing import Final

MACHINE: Final = "x86_64"
"""All that Arch has packages for."""
PACMAN: Final = f"[options]\nArchitecture = {MACHINE}\nSigLevel = Never\nLocalFileSigLevel = Never\n"
"""Signatures are checked before pacman sees what is signed, and what is installed is what the lock says, to the bit."""
ANY_MACHINE: Final = """\
# An image is not for the machine that built it: its initramfs leaves out nothing that this one does not have.
for number in "${!HOOKS[@]}"; do
    [ "${HOOKS[number]}" != autodetect ] || unset "HOOKS[number]"
done
unset number
"""
"""A part of mkinitcpio's configuration, which bash reads: see mkinitcpio(8)."""
