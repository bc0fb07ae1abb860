"""Extended attributes that say nothing of a tree: the host gives them by itself, or shows them only to root."""

HOST_GIVEN = (b"trusted.", b"security.selinux", b"security.SMACK64", b"security.ima", b"security.evm")
"""How their names begin."""
