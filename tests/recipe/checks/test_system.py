"""Mistakes in `system`, with the line their user sees."""

from __future__ import annotations

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

GROWING = SOURCE + "boot: {loader: grub-bios}\nsystem: {grow: true}\ndisk: {partitions: "
BAD = [
    (
        SOURCE + "system: {hostname: a_b}\n",
        [
            (
                "2:20: system.hostname: 'a_b' is not a host name; use letters, digits and -, at most "
                "64 of them, dots between the parts"
            )
        ],
    ),
    (
        SOURCE + "system: {hosts: {db: 192.0.2}}\n",
        ["2:22: system.hosts.db: '192.0.2' is not an IP address; write one like 192.0.2.1 or 2001:db8::1"],
    ),
    (
        SOURCE + "system: {users: {Bob: {}}}\n",
        ["2:18: system.users.Bob: 'Bob' is not a user's name; use lower-case letters, digits, _ and -, at most 32"],
    ),
    (
        SOURCE + "system: {users: {ann: {home: '/home/a:b', shell: '/bin/a:b', uid: 65535}}}\n",
        [
            "2:30: system.users.ann.home: '/home/a:b' cannot stand in /etc/passwd; leave out colons",
            "2:50: system.users.ann.shell: '/bin/a:b' cannot stand in /etc/passwd; leave out colons",
            "2:67: system.users.ann.uid: 65535 means nobody to whoever has 16 bits for a user; take another number",
        ],
    ),
    (SOURCE + "system: {users: [root]}\n", ["2:17: system.users: this takes names of your own; write {NAME: {...}}"]),
    (
        SOURCE + "system: {users: {root: {password: hunter2}}}\n",
        [
            (
                "2:35: system.users.root.password: a secret cannot stand in a recipe; write {file: "
                "PATH} or {env: NAME} or {hash: CRYPT} or locked or empty"
            )
        ],
    ),
    (
        SOURCE + "system: {users: {root: {password: lock}}}\n",
        ["2:35: system.users.root.password: a secret cannot stand in a recipe; did you mean locked?"],
    ),
    (
        SOURCE + "system: {users: {root: {password: {file: a, env: B}}}}\n",
        [
            (
                "2:25: system.users.root.password: a secret has one source; write {file: PATH} or "
                "{env: NAME} or {hash: CRYPT}"
            )
        ],
    ),
    (
        SOURCE + "system: {users: {root: {password: {hash: hunter2}}}}\n",
        [
            (
                "2:42: system.users.root.password.hash: this is not a password hash; write what "
                "`openssl passwd -6` or `mkpasswd` prints"
            )
        ],
    ),
    (
        SOURCE + "system: {users: {root: {password: {text: hunter2}}}}\n",
        ["2:36: system.users.root.password.text: unknown key; known here: file, env, hash"],
    ),
    (
        SOURCE + "system: {users: {root: {ssh_keys: [ssh-rsa AAAA!]}}}\n",
        [
            (
                "2:36: system.users.root.ssh_keys: this is not a whole ssh key; write the line of a "
                ".pub file: type, base64 and a comment"
            )
        ],
    ),
    (
        SOURCE + "system: {users: {root: {ssh_keys: [id.pub]}}}\n",
        ["2:36: system.users.root.ssh_keys: recipes/id.pub does not exist; create that file"],
    ),
    (
        SOURCE + "system: {users: {root: {ssh_keys: [id.key]}}}\n",
        [
            (
                "2:36: system.users.root.ssh_keys: recipes/id.key is a private key, which no image "
                "may hold; name id.key.pub"
            )
        ],
    ),
    (
        SOURCE + "system: {users: {root: {uid: 5}}}\n",
        ["2:30: system.users.root.uid: root's number is 0, not 5; remove this line"],
    ),
    (
        SOURCE + "system: {users: {a: {uid: 1000}, b: {uid: 1000}}}\n",
        ["2:43: system.users.b.uid: 1000 is a's number; take another one"],
    ),
    (
        SOURCE + "system: {users: {a: {shell: bash}}}\n",
        [
            (
                "2:29: system.users.a.shell: 'bash' is not a path in the tree; begin it with /, and "
                "leave out //, /., /.. and a last /"
            )
        ],
    ),
    (
        SOURCE + "system: {services: {enable: [ssh], mask: [ssh]}}\n",
        ["2:42: system.services.mask: ssh is also enabled; remove it from one of them"],
    ),
    (
        SOURCE + "system: {services: {enable: [a b]}}\n",
        ["2:30: system.services.enable: 'a b' is not a unit's name; write one like ssh or ssh.service"],
    ),
    (
        SOURCE + "system: {network: netplann}\n",
        ["2:19: system.network: 'netplann' is not a choice; did you mean netplan?"],
    ),
    (
        SOURCE + "system: {machine_id: 123}\n",
        ["2:22: system.machine_id: '123' is not a machine id; write 32 lower-case hex digits, or empty or none"],
    ),
    (
        SOURCE + "system: {locale: 'de DE', timezone: ../etc/passwd, keymap: /de, modules: [a.ko], sysctl: {ip: 1}}\n",
        [
            "2:18: system.locale: 'de DE' is not a locale; write one like C.UTF-8 or de_DE.UTF-8",
            "2:37: system.timezone: '../etc/passwd' is not a time zone; write one like UTC or Europe/Berlin",
            "2:60: system.keymap: '/de' is not a keymap; write one like us or de",
            "2:75: system.modules: 'a.ko' is not a kernel module; write one like nbd, without .ko",
            "2:91: system.sysctl.ip: 'ip' is not a setting of the kernel; write one like net.ipv4.ip_forward",
        ],
    ),
    (
        SOURCE + 'system: {sysctl: {a.b: "1\\n2", a.c: "\\0", a.d: ""}}\n',
        [
            "2:24: system.sysctl.a.b: this must be one line; write it on one line, or fold it with >-",
            "2:37: system.sysctl.a.c: '\\x00' is not a value of one; write it in one line of plain text",
            "2:48: system.sysctl.a.d: '' is not a value of one; write it in one line of plain text",
        ],
    ),
    (
        SOURCE + "system: {first_boot: gone.sh}\n",
        ["2:22: system.first_boot: recipes/gone.sh does not exist; create that file"],
    ),
    (
        SOURCE + "system: {groups: {a: {gid: 7}, b: {gid: 7}, root: {gid: 1}}}\n",
        [
            "2:41: system.groups.b.gid: 7 is a's number; take another one",
            "2:57: system.groups.root.gid: root's number is 0, not 1; remove this line",
        ],
    ),
    (
        SOURCE + "system: {users: {root: {sudo: true}}}\n",
        ["2:31: system.users.root.sudo: root is root already; remove this line"],
    ),
    (
        SOURCE + "system: {dns: {servers: [a]}}\n",
        ["2:26: system.dns.servers: 'a' is not an IP address; write one like 192.0.2.1 or 2001:db8::1"],
    ),
    (
        SOURCE + "system: {dns: {servers: [10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4]}}\n",
        ["2:25: system.dns.servers: only the first 3 of 4 are asked; leave out some"],
    ),
    (
        SOURCE + "system: {dns: {search: [lan]}}\n",
        ["2:24: system.dns.search: there is nobody to ask; write system.dns.servers too"],
    ),
    (
        GROWING + "{root: {mount: /}, data: {mount: /srv}}}\n",
        [
            (
                "3:16: system.grow: only the last partition can grow, and data stands behind root; write root "
                "behind it, or remove this line"
            )
        ],
    ),
    (
        GROWING + "{fw: {fs: none, size: 1M, in_table: false, start: 2G}, root: {mount: /, start: 8M}}}\n",
        [
            (
                "3:16: system.grow: only the last partition can grow, and fw stands behind root; write root "
                "behind it, or remove this line"
            )
        ],
    ),
    (
        GROWING.replace("grub-bios", "direct") + "{root: {mount: /, fs: btrfs}}}\n",
        ["3:16: system.grow: a btrfs is not grown here; remove this line, or have first_boot do it"],
    ),
    (
        GROWING + "{root: {mount: /, options: ro}}}\n",
        ["3:16: system.grow: a root that is read only cannot grow; remove this line"],
    ),
]


@each_of(BAD)
def test_a_mistake_is_told_with_place_key_reason_and_remedy(
    with_files: RecipeFolder, text: str, lines: list[str]
) -> None:
    """At the key; of a user, at theirs."""
    assert with_files.mistakes(text) == lines
