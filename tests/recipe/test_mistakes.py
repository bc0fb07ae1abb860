"""Every mistake a recipe can hold, with the line its user sees."""

from __future__ import annotations

import pytest
from bootsmith.tasks.errors import RecipeError
from kitchen import SOURCE, Kitchen

BAD = [
    # -- YAML itself
    ("", ["1:1: the recipe is empty; write at least `source:`"]),
    ("# nothing\n", ["1:1: the recipe is empty; write at least `source:`"]),
    ("- source\n", ["1:1: a recipe is a mapping, `key: value` lines; write at least `source:`"]),
    (
        "source: debian: x\n",
        ["1:15: a second `key:` on one line, or a line indented too far; put a value that holds `: ` in quotes"],
    ),
    (SOURCE + "\tname: x\n", ["2:1: a tab cannot indent in YAML; use spaces"]),
    (SOURCE + "disk: {size: ${x}}\n", ['2:15: inside {} and [] a variable needs quotes; write "${...}"']),
    (SOURCE + "boot: [\n", ["3:1: a bracket is never closed; close every [ and {"]),
    (SOURCE + "name: 'x\n", ["3:1: a quote is never closed; close the one opened at line 2"]),
    (SOURCE + "name: *x\n", ["2:7: there is no &x before; put a text that begins with * in quotes"]),
    (SOURCE + "name: @x\n", ["2:7: a value cannot begin with @ here; put it in quotes"]),
    (
        SOURCE + "layers:\n- overlay: files\n- remove: [/a]\n boot: {}\n",
        ["5:2: this line is no part of what stands above; indent the lines of one mapping or list alike"],
    ),
    (SOURCE + "---\nname: y\n", ["2:1: a second document begins here; one file is one recipe"]),
    (SOURCE + "? [a]\n: b\n", ["2:3: a key must be a word; put a text with brackets in quotes"]),
    (SOURCE + "<<: {name: x}\n", ["2:1: merge keys are not read; name a parent recipe with extends:"]),
    (SOURCE + "name: !tag x\n", ["2:7: the tag !tag means nothing here; remove it"]),
    (SOURCE + "name: x\nname: y\n", ["3:1: name is written twice; it already stands at line 2"]),
    (SOURCE + "name: &a [*a]\n", ["2:11: *a stands inside what it repeats; write the value out"]),
    (SOURCE + "name: a\x07b\n", ["2:8: the character U+0007 cannot stand in YAML; remove it"]),
    (
        SOURCE + "seed: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n",
        ["2:47: nested more than 40 deep; no recipe needs that"],
    ),
    (
        SOURCE + "test: {expect: [login:]}\n",
        ["2:22: a line without `key:`; write `key: value`, or put a text with : or several lines in quotes"],
    ),
    # -- unknown and missing keys
    ("name: x\n", ["1:1: source: this must be given; write `source: debian|directory|tar|none`"]),
    (
        "source:\n  debian:\n    variant: minbase\n",
        ["2:3: source.debian.suite: this must be given; write `suite: STR`"],
    ),
    ("source: debian\n", ["1:9: source.debian.suite: this must be given; write `suite: STR`"]),
    ("source: {}\n", ["1:1: source: nothing is chosen; write exactly one of debian, directory, tar, none"]),
    (
        "source: {squashfs: root.img}\n",
        ["1:10: source.squashfs: no such kind; known here: debian, directory, tar, none"],
    ),
    ("source: [debian]\n", ["1:9: source: this is a list, not one of debian, directory, tar, none; write one of them"]),
    (SOURCE + "dsk: {size: 8G}\n", ["2:1: dsk: unknown key; did you mean disk?"]),
    (SOURCE + "disk: {siez: 8G, sector: 512}\n", ["2:8: disk.siez: unknown key; did you mean size?"]),
    (SOURCE + "verify: {min_free: 1M}\n", ["2:1: verify: unknown key; did you mean version?"]),
    (SOURCE + "boot: {kernel: x}\n", ["2:16: boot.kernel.file: recipes/x does not exist; create that file"]),
    (
        SOURCE + "system: non\n",
        [
            (
                "2:9: system: this takes keys of its own; known here: hostname, hosts, users, "
                "services, network, machine_id, ssh_host_keys, fstab"
            )
        ],
    ),
    (
        SOURCE + "disk: 8G\n",
        ["2:7: disk: this takes keys of its own; known here: table, size, sector, id, partitions"],
    ),
    (SOURCE + "machine: {}\nmachines: {}\n", ["3:1: machines: unknown key; did you mean machine?"]),
    # -- kinds of values
    (SOURCE + "disk: {size: 64}\n", ["2:14: disk.size: 64 has no unit; did you mean 64G?"]),
    (
        SOURCE + "disk: {size: 64GB}\n",
        ["2:14: disk.size: 64GB is not a unit of 1024, written K, M, G or T; did you mean 64G?"],
    ),
    (SOURCE + "disk: {size: 1.5G}\n", ["2:14: disk.size: 1.5G is not a whole number; did you mean 1536M?"]),
    (
        SOURCE + "disk: {size: big}\n",
        ["2:14: disk.size: 'big' is not a size; write it like 512M, 2G or 2048s (sectors), or auto"],
    ),
    (SOURCE + "disk: {size: [8G]}\n", ["2:14: disk.size: this takes one value; write auto|SIZE alone"]),
    (
        SOURCE + "machine: {memory: 16385K}\n",
        ["2:19: machine.memory: 16385K is not a multiple of 1M; did you mean 17M?"],
    ),
    (SOURCE + "machine: {memory: 1M}\n", ["2:19: machine.memory: 1M is too small; write at least 16M"]),
    (SOURCE + "machine: {cpus: two}\n", ["2:17: machine.cpus: 'two' is not a whole number; write decimal digits"]),
    (SOURCE + "machine: {cpus: 0}\n", ["2:17: machine.cpus: 0 is too small; write at least 1"]),
    (SOURCE + "boot: {timeout: 9999}\n", ["2:17: boot.timeout: 9999 is too large; write at most 3600"]),
    (SOURCE + "boot: {packages: no}\n", ["2:18: boot.packages: 'no' is text, not true or false; did you mean false?"]),
    (
        SOURCE + "boot: {packages: maybe}\n",
        ["2:18: boot.packages: 'maybe' is text, not true or false; write one of them"],
    ),
    (SOURCE + "test: {timeout: 90}\n", ["2:17: test.timeout: 90 has no unit; did you mean 90s?"]),
    (SOURCE + "test: {timeout: soon}\n", ["2:17: test.timeout: 'soon' is not a time; write it like 90s or 5m"]),
    (SOURCE + "test: {expect: login}\n", ["2:16: test.expect: this takes a list; write [login]"]),
    (
        SOURCE + "test: {expect: ['a(']}\n",
        [
            (
                "2:17: test.expect: 'a(' is not a regular expression: missing ), unterminated "
                "subpattern at position 1; escape what is meant literally with \\"
            )
        ],
    ),
    (
        SOURCE + "test: {firmware: []}\n",
        ["2:18: test.firmware: the list is empty; write at least 1 of auto|uefi|bios|direct"],
    ),
    (SOURCE + "test: {run: [~]}\n", ["2:14: test.run: an empty item; remove it, or write the value"]),
    (
        SOURCE + "description: |\n  two\n  lines\n",
        ["2:14: description: this must be one line; write it on one line, or fold it with >-"],
    ),
    (
        SOURCE + "epoch: yesterday\n",
        ["2:8: epoch: 'yesterday' is not a date; write it like 2025-01-31 or 2025-01-31T12:00:00Z"],
    ),
    (
        SOURCE + "epoch: 1970-01-01\n",
        ["2:8: epoch: 1970-01-01 cannot be a file's time on every filesystem; write a date from 1980 to 2037"],
    ),
    (
        SOURCE + "name: my recipe\n",
        ["2:7: name: 'my recipe' is not a name; use letters, digits, and . _ - after the first"],
    ),
    (SOURCE + "version: a b\n", ["2:10: version: 'a b' is not a version; use letters, digits and . + ~ ^ _ -"]),
    (
        SOURCE + "arch: i386\nboot: {loader: grub-efi}\n",
        ["3:16: boot.loader: grub-efi is for 64-bit machines; with arch: i386 write grub-bios"],
    ),
    (SOURCE + "arch: arm\n", ["2:7: arch: 'arm' is not a choice; known here: amd64, i386"]),
    (
        "source: {debian: {suite: trixie, packages: [Vim]}}\n",
        ["1:45: source.debian.packages: 'Vim' is not a package's name; use lower-case letters, digits and + - ."],
    ),
    (
        "source: {debian: {suite: trixie, packages: [vim], exclude: [nano, vim]}}\n",
        ["1:60: source.debian.exclude: vim is also in packages; remove it from one of them"],
    ),
    (
        "source: {debian: {suite: trixie, mirror: mirror.example}}\n",
        [
            (
                "1:42: source.debian.mirror: 'mirror.example' is not a URL; write one beginning "
                "https://, http:// or file://"
            )
        ],
    ),
    (
        "source: {debian: {suite: trixie, keyring: keys.gpg}}\n",
        ["1:43: source.debian.keyring: recipes/keys.gpg does not exist; create that file"],
    ),
    (
        ("source: {debian: {suite: trixie, repositories: [{uri: 'https://example.org/', key: files/issue.txt}]}}\n"),
        ["1:49: source.debian.repositories.suite: this must be given; write `suite: STR`"],
    ),
    # -- layers
    (SOURCE + "layers: [overlay]\n", ["2:10: layers.overlay.from: this must be given; write `from: PATH`"]),
    (
        SOURCE + "layers: [{overlay: filse}]\n",
        ["2:20: layers.overlay.from: recipes/filse does not exist; did you mean files?"],
    ),
    (
        SOURCE + "layers: [{overlay: files/issue.txt}]\n",
        ["2:20: layers.overlay.from: recipes/files/issue.txt is not a directory; name a directory"],
    ),
    (
        SOURCE + "layers: [{overlay: files, remove: [/a]}]\n",
        [
            (
                "2:10: layers: overlay and remove at once; write exactly one of overlay, files, directories, links, "
                "devices, remove"
            )
        ],
    ),
    (SOURCE + "layers: [{overly: files}]\n", ["2:11: layers.overly: no such kind; did you mean overlay?"]),
    (
        SOURCE + "layers: [{files: {/etc/motd: files/isue.txt}}]\n",
        ["2:30: layers.files./etc/motd.from: recipes/files/isue.txt does not exist; did you mean issue.txt?"],
    ),
    (
        SOURCE + "layers: [{files: {etc/motd: files/issue.txt}}]\n",
        [
            (
                "2:19: layers.files.etc/motd: 'etc/motd' is not a path in the tree; begin it with /, "
                "and leave out //, /., /.. and a last /"
            )
        ],
    ),
    (
        SOURCE + "layers: [{files: {/etc/../motd: files/issue.txt}}]\n",
        [
            (
                "2:19: layers.files./etc/../motd: '/etc/../motd' is not a path in the tree; begin it "
                "with /, and leave out //, /., /.. and a last /"
            )
        ],
    ),
    (
        SOURCE + "layers: [{files: {/etc/motd: {mode: 0644}}}]\n",
        ["2:19: layers.files./etc/motd: nothing to put here; write exactly one of from: and content:"],
    ),
    (
        SOURCE + "layers: [{files: {/etc/motd: {from: files/issue.txt, content: x}}}]\n",
        ["2:19: layers.files./etc/motd: two sources; write exactly one of from: and content:"],
    ),
    (
        SOURCE + "layers: [{files: {/etc/motd: {from: files/issue.txt, mode: 0999}}}]\n",
        ["2:60: layers.files./etc/motd.mode: '0999' is not a mode; write octal digits like 0755"],
    ),
    (
        SOURCE + "layers: [{files: {/etc/motd: ~/motd}}]\n",
        ["2:30: layers.files./etc/motd.from: ~/motd: ~ is not expanded; write the path out"],
    ),
    (
        SOURCE + "layers: [{name: a, remove: [/a]}, {name: a, remove: [/b]}]\n",
        ["2:42: layers.name: two layers are called a; give one another name"],
    ),
    (
        SOURCE + "layers: [{remove: [a]}]\n",
        ["2:20: layers.remove: 'a' is not a path in the tree; begin it with /, and end it with a name or pattern"],
    ),
    (SOURCE + "layers: [{links: {/a: [b]}}]\n", ["2:23: layers.links./a: this takes one value; write STR alone"]),
    # -- system
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
        SOURCE + "system: {network: netplan}\n",
        ["2:19: system.network: 'netplan' is not a choice; known here: auto, networkd, ifupdown, none"],
    ),
    (
        SOURCE + "system: {machine_id: 123}\n",
        ["2:22: system.machine_id: '123' is not a machine id; write 32 lower-case hex digits, or empty or none"],
    ),
    # -- disk
    (SOURCE + "disk: {table: bsd}\n", ["2:15: disk.table: 'bsd' is not a choice; known here: gpt, mbr, none"]),
    (SOURCE + "disk: {sector: 4096}\n", ["2:16: disk.sector: sectors of 4096 bytes cannot be built; write 512"]),
    (
        SOURCE + "disk: {id: 1234}\n",
        [
            (
                "2:12: disk.id: '1234' is not a disk's id; write a UUID, or on an MBR disk eight hex "
                "digits that are not all 0"
            )
        ],
    ),
    (
        SOURCE + "disk: {size: 40M}\n",
        [
            (
                "2:14: disk.size: 40M is too small: the partitions need 515M, and what their files "
                "take; raise it, or make them smaller"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {root: {mount: /}}}\n",
        ["2:8: disk.partitions: systemd-boot needs an ESP; write `esp: {size: 512M, mount: /boot/efi}` too"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}}}\n",
        [
            (
                "2:8: disk.partitions: no partition is mounted at /; this replaces the usual layout, "
                "so write `root: {mount: /}` too"
            )
        ],
    ),
    (
        SOURCE
        + (
            "disk:\n  size: 8G\n  partitions:\n    esp: {size: 32M}\n    root: {mount: /, size: "
            "remaining}\n    home: {mount: /home, size: remaining}\n"
        ),
        [
            "5:17: disk.partitions.esp.size: 32M is too small for FAT32; write at least 33M",
            "7:32: disk.partitions.home.size: root takes what is remaining already; write a size",
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, size: remaining}}}\n",
        [
            (
                "2:53: disk.partitions.root.size: there is no disk.size for it to be remaining of; "
                "write disk.size, or auto here"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {fs: ext4}, root: {mount: /}}}\n",
        ["2:31: disk.partitions.esp.fs: firmware reads no ext4; write vfat, or another type:"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, efi: {mount: /efi}, root: {mount: /}}}\n",
        ["2:30: disk.partitions.efi.type: esp is the ESP already; give this one another type"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, fs: vfat}}}\n",
        ["2:51: disk.partitions.root.fs: vfat cannot hold the root filesystem; write ext4"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /}, b: {mount: /}}}\n",
        ["2:59: disk.partitions.b.mount: root is mounted at / already; take another place"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /}, b: {mount: home}}}\n",
        [
            (
                "2:59: disk.partitions.b.mount: 'home' is not a path in the tree; begin it with /, "
                "and leave out //, /., /.. and a last /"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /}, b: {fs: none}}}\n",
        ["2:48: disk.partitions.b.size: there is no filesystem to measure; write a size"],
    ),
    (
        SOURCE + ("disk: {partitions: {esp: {}, root: {mount: /}, b: {fs: none, size: 1M, mount: /b, label: x}}}\n"),
        ["2:79: disk.partitions.b.mount: there is no filesystem to mount; write fs:, or remove the mount"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {start: 1M, size: 64M}, root: {mount: /, start: 32M}}}\n",
        [
            (
                "2:74: disk.partitions.root.start: it begins at 32M, inside esp, which needs up to "
                "65M; move one of them, or make esp smaller"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {start: 1s}, root: {mount: /}}}\n",
        ["2:34: disk.partitions.esp.start: 1s is too small; write at least 17K"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {type: 0x0F}, root: {mount: /, type: rot}}}\n",
        [
            "2:33: disk.partitions.esp.type: 0x0F is an extended partition; write the type of a partition, like 0x83",
            "2:63: disk.partitions.root.type: 'rot' is not a partition type; did you mean root?",
        ],
    ),
    (
        SOURCE + ("disk: {partitions: {esp: {label: much-too-long}, root: {mount: /, label: also-much-too-long}}}\n"),
        [
            (
                "2:34: disk.partitions.esp.label: 'much-too-long' cannot be a FAT label; write at "
                "most 11 plain letters and digits"
            ),
            (
                "2:74: disk.partitions.root.label: 'also-much-too-long' cannot be a label of ext4; "
                "write at most 16 bytes"
            ),
        ],
    ),
    (
        SOURCE + ("disk: {partitions: {esp: {name: a-name-of-more-than-thirty-six-letters}, root: {mount: /}}}\n"),
        [
            (
                "2:33: disk.partitions.esp.name: 'a-name-of-more-than-thirty-six-letters' cannot be "
                "a name in GPT; write at most 36 letters"
            )
        ],
    ),
    (
        SOURCE
        + (
            "disk: {partitions: {esp: {uuid: 01234567-89ab-cdef-0123-456789abcdef}, root: "
            "{mount: /, uuid: 1234-ABCD}}}\n"
        ),
        [
            (
                "2:33: disk.partitions.esp.uuid: 01234567-89ab-cdef-0123-456789abcdef cannot be the "
                "UUID of vfat; write one like ABCD-1234"
            ),
            (
                "2:95: disk.partitions.root.uuid: 1234-ABCD cannot be the UUID of ext4; write one "
                "like 01234567-89ab-cdef-0123-456789abcdef"
            ),
        ],
    ),
    (
        SOURCE
        + (
            "disk: {partitions: {esp: {partuuid: 01234567-89ab-cdef-0123-456789abcdef}, root: "
            "{mount: /, partuuid: 01234567-89AB-cdef-0123-456789abcdef}}}\n"
        ),
        [
            (
                "2:103: disk.partitions.root.partuuid: 01234567-89ab-cdef-0123-456789abcdef belongs "
                "to esp already; write another one"
            )
        ],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {attributes: [boot]}, root: {mount: /, pass: 3}}}\n",
        [
            (
                "2:40: disk.partitions.esp.attributes: 'boot' is not an attribute of GPT; write a "
                "bit: 0, 1, 2 or 48 to 63, or legacy-boot or no-auto or read-only"
            ),
            "2:71: disk.partitions.root.pass: 3 is too large; write at most 2",
        ],
    ),
    (
        SOURCE + "disk: {partitions: {e.sp: {}, root: {mount: /}}}\n",
        ["2:21: disk.partitions.e.sp: 'e.sp' is not a name; use letters, digits, and _ - after the first"],
    ),
    (
        SOURCE
        + (
            "system: {fstab: label}\ndisk: {partitions: {esp: {}, root: {mount: /, label: a}, b: "
            "{mount: /b, label: a}}}\n"
        ),
        ["3:80: disk.partitions.b.label: root has the same label, by which they are found; write another one"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /, options: 'ro, noatime'}}}\n",
        [
            (
                "2:56: disk.partitions.root.options: 'ro, noatime' is not a set of mount options; "
                "write them with commas and without blanks"
            )
        ],
    ),
    # -- boot and outputs
    (SOURCE + "boot: {loader: grub}\n", ["2:16: boot.loader: 'grub' is not a choice; did you mean grub-efi?"]),
    (
        SOURCE + "boot: {loader: [systemd-boot, grub-efi]}\n",
        [("2:31: boot.loader: systemd-boot and grub-efi both want EFI/BOOT/BOOTX64.EFI; keep one of them")],
    ),
    (SOURCE + "boot: {root: partuid}\n", ["2:14: boot.root: 'partuid' is not a device; did you mean partuuid?"]),
    (
        SOURCE + "boot: {console: [tty 0]}\n",
        ["2:18: boot.console: 'tty 0' is not a console; write one like tty0 or ttyS0,115200"],
    ),
    (SOURCE + "boot: {entries: {}}\n", ["2:8: boot.entries: there is nothing to boot; write at least one entry"]),
    (
        SOURCE + "boot: {entries: {a: {}}, default: b}\n",
        ["2:35: boot.default: there is no entry 'b'; only a is known here"],
    ),
    (
        SOURCE + "boot: {entries: {a: {}, debug: {}}}\ntest: {entry: debig}\n",
        ["3:15: test.entry: there is no entry 'debig'; did you mean debug?"],
    ),
    (SOURCE + "boot: {entries: {a: {titel: A}}}\n", ["2:22: boot.entries.a.titel: unknown key; did you mean title?"]),
    (
        SOURCE + "boot: {place: root}\n",
        [
            (
                "2:15: boot.place: systemd-boot reads kernels from the ESP or a partition of type xbootldr only; "
                "write esp, or loader: grub-efi"
            )
        ],
    ),
    (SOURCE + "boot: {timeout: 5s}\n", ["2:17: boot.timeout: '5s' is not a whole number; write decimal digits"]),
    (SOURCE + "outputs: raw\n", ["2:10: outputs: this takes a list; write [raw]"]),
    (SOURCE + "outputs: [vmdk]\n", ["2:11: outputs.vmdk: no such kind; known here: raw, qcow2, kernel, initramfs"]),
    (
        SOURCE + "outputs: [raw, raw]\n",
        ["2:16: outputs.raw.file: two outputs are called x.raw; give one another file:"],
    ),
    (
        SOURCE + "outputs: [raw: {file: a/b.raw}]\n",
        ["2:23: outputs.raw.file: 'a/b.raw' is not a file's name; leave out folders, blanks and first dots"],
    ),
    (
        SOURCE + "outputs: [raw: {file: kernel}]\n",
        ["2:23: outputs.raw.file: bootsmith keeps kernel there itself; take another name"],
    ),
    (
        SOURCE + "outputs: [qcow2: {compress: zlib, preallocation: full}]\n",
        [
            (
                "2:50: outputs.qcow2.preallocation: clusters packed by zlib cannot be laid out "
                "beforehand; add compress: none"
            )
        ],
    ),
    (
        SOURCE + "outputs: [qcow2: {compat: 0.10, lazy_refcounts: true}]\n",
        ["2:49: outputs.qcow2.lazy_refcounts: compat 0.10 has no lazy reference counts; write false, or compat: 1.1"],
    ),
    (
        SOURCE + "outputs: [qcow2: {compat: 0.10, compress: zstd}]\n",
        ["2:43: outputs.qcow2.compress: compat 0.10 knows no zstd; write zlib, or compat: 1.1"],
    ),
    (
        SOURCE + "outputs: [qcow2: {encrypt: {env: P}, compress: zlib}]\n",
        ["2:48: outputs.qcow2.compress: qemu-img cannot pack clusters by zlib and encrypt them; write none"],
    ),
    (
        SOURCE + "outputs: [qcow2: {encrypt: {env: P}, backing: x.yaml}]\n",
        ["2:19: outputs.qcow2.encrypt: what is in the backing file would stay in clear; leave out one of the two"],
    ),
    (
        SOURCE + "outputs: [qcow2: {encrypt: open-sesame}]\n",
        [("2:28: outputs.qcow2.encrypt: a secret cannot stand in a recipe; write {file: PATH} or {env: NAME}")],
    ),
    (
        SOURCE + "outputs: [qcow2: {backing: x.yaml, compress: none, preallocation: full}]\n",
        [("2:67: outputs.qcow2.preallocation: clusters laid out beforehand would hide the backing file; write 'off'")],
    ),
    (
        SOURCE + "outputs: [qcow2: {snapshot: s, compress: none, preallocation: metadata}]\n",
        [
            (
                "2:63: outputs.qcow2.preallocation: clusters laid out beforehand would belong to the snapshot, "
                "and writes go to others; write 'off'"
            )
        ],
    ),
    (
        SOURCE + "outputs: [qcow2: {snapshot: 1st}]\n",
        ["2:29: outputs.qcow2.snapshot: '1st' is not a snapshot's name; use letters, digits, and . _ - after a letter"],
    ),
    (
        SOURCE + "outputs: [qcow2: {backing_format: raw}]\n",
        ["2:35: outputs.qcow2.backing_format: there is no backing file; write backing, or leave this out"],
    ),
    (
        SOURCE + "outputs: [qcow2: {cluster: 3K}]\n",
        ["2:28: outputs.qcow2.cluster: 3K cannot be a cluster; write a power of two from 1s (512 bytes) to 2M"],
    ),
    (
        SOURCE + "outputs: [qcow2: {cluster: 4M}]\n",
        ["2:28: outputs.qcow2.cluster: 4M cannot be a cluster; write a power of two from 1s (512 bytes) to 2M"],
    ),
    (
        SOURCE + "outputs: [qcow2: {compat: 1.0}]\n",
        ["2:27: outputs.qcow2.compat: '1.0' is not a choice; did you mean 1.1?"],
    ),
    # -- machine and test
    (
        SOURCE + "machine: {type: virt}\n",
        ["2:17: machine.type: 'virt' is not a choice; known here: q35, pc, microvm"],
    ),
    (
        SOURCE + "machine: {type: microvm, drive: ide, firmware: uefi}\n",
        [
            "2:33: machine.drive: microvm has no ide; write virtio, nvme or scsi",
            "2:48: machine.firmware: microvm starts kernels directly only; write direct, or type: q35",
        ],
    ),
    (
        SOURCE + "machine: {type: microvm, display: gtk}\n",
        ["2:35: machine.display: microvm has no screen; write none, or type: q35"],
    ),
    (
        SOURCE + "machine: {secure_boot: true, firmware: direct}\n",
        ["2:24: machine.secure_boot: direct verifies nothing; write firmware: uefi"],
    ),
    (
        SOURCE + "machine: {secure_boot: true, type: pc}\n",
        ["2:24: machine.secure_boot: pc cannot guard the keys; write type: q35"],
    ),
    (
        SOURCE + "machine: {share: {'a b': .}}\n",
        ["2:19: machine.share.a b: 'a b' is not a share's tag; use up to 35 letters, digits, dots and dashes"],
    ),
    (
        SOURCE + "machine: {share: {work: nowhere}}\n",
        ["2:25: machine.share.work: recipes/nowhere does not exist; create that directory"],
    ),
    (
        SOURCE + "machine: {debug: 'int -D /etc/x'}\n",
        ["2:18: machine.debug: 'int -D /etc/x' is not a list of QEMU's log items; write items as `qemu -d help` lists"],
    ),
    (
        SOURCE + "machine: {forward: ['22']}\n",
        ["2:21: machine.forward: '22' is not a port forward; write HOST:GUEST, like 2222:22"],
    ),
    (
        SOURCE + "machine: {forward: ['70000:22']}\n",
        ["2:21: machine.forward: 70000 is not a port; write numbers from 1 to 65535"],
    ),
    (
        SOURCE + "machine: {forward: ['2222:22', '2222:80']}\n",
        ["2:32: machine.forward: port 2222 is forwarded already; take another one"],
    ),
    (
        SOURCE + "machine: {nic: none, forward: ['2222:22']}\n",
        ["2:31: machine.forward: without a network card nothing can be forwarded; remove nic: none"],
    ),
    (
        SOURCE + "test: {login: {user: root}}\n",
        ["2:8: test.login.password: this must be given; write `password: SECRET`"],
    ),
    (
        SOURCE + "test: {login: {user: root, password: {env: PW}}}\n",
        ["2:22: test.login.user: root's password is locked; write system.users.root.password"],
    ),
    (
        SOURCE + ("system: {users: {root: {password: empty}}}\ntest: {login: {user: root, password: {env: PW}}}\n"),
        ["3:22: test.login.user: root's password is empty; write the one to log in with in system.users"],
    ),
    (
        SOURCE + "test: {login: {user: root, password: {hash: $6$a$b}}}\n",
        ["2:28: test.login.password.hash: a hash cannot be typed at a login; write {file: PATH} or {env: NAME}"],
    ),
    # -- inheritance and variables
    (SOURCE + "extends: minimal\n", ["2:10: extends: there is no recipe 'minimal'; there is none here"]),
    (
        SOURCE + "extends: ../other.yaml\n",
        ["2:10: extends: recipes/../other.yaml does not exist; name a recipe, or the path of one"],
    ),
    (SOURCE + "extends: /\n", ["2:10: extends: /: this is a directory; give the path of a YAML file"]),
    (
        SOURCE + "extends: [./, /dev/null]\n",
        [
            "2:11: extends: recipes: this is a directory; give the path of a YAML file",
            "2:15: extends: /dev/null: this is not a regular file; give the path of a YAML file",
        ],
    ),
    (
        SOURCE + "extends: x\n",
        ["2:10: extends: recipes in a circle: recipes/x.yaml extends recipes/x.yaml; remove one of these extends"],
    ),
    (
        SOURCE + "extends: [{a: b}]\n",
        ["2:11: extends: a parent is a name or a path, without variables; write one, or several in []"],
    ),
    (SOURCE + "profiles: [a]\n", ["2:11: profiles: this takes names of your own; write {NAME: ...}"]),
    (SOURCE + "profiles: {a: 5}\n", ["2:12: profiles.a: a profile is a partial recipe; write its keys"]),
    (
        SOURCE + "profiles: {a: {extends: b}}\n",
        ["2:16: profiles.a.extends: this cannot stand in a profile; move it out"],
    ),
    (SOURCE + "profiles: {a: {disk: {size: 64}}}\n", ["2:29: disk.size: 64 has no unit; did you mean 64G?"]),
    (SOURCE + "vars: [a]\n", ["2:7: vars: this takes names of your own; write {NAME: ...}"]),
    (SOURCE + "vars: {a b: c}\n", ["2:8: vars.a b: 'a b' is not a name; use letters, digits and _"]),
    (SOURCE + "vars: {name: c}\n", ["2:8: vars.name: name already means something else; take another name"]),
    (SOURCE + "vars: {disk: c}\n", ["2:8: vars.disk: disk already means something else; take another name"]),
    (
        SOURCE + "vars: {a: [b]}\n",
        ["2:8: vars.a: a variable is one text; write its default, or {default:, help:, choices:}"],
    ),
    (SOURCE + "vars: {a: {default: b, halp: c}}\n", ["2:24: vars.a.halp: unknown key; did you mean help?"]),
    (
        SOURCE + "vars: {a: {default: b, choices: [c, d]}}\n",
        ["2:21: vars.a: 'b' is not a choice of a; known here: c, d"],
    ),
    (
        SOURCE + "vars: {a: {help: what it is}}\n",
        ["2:8: vars.a: this variable must be given (what it is); add a=VALUE to the command"],
    ),
    (
        SOURCE + "vars: {a: '${b}', b: '${a}'}\n",
        ["2:22: vars.b: variables in a circle: a -> b -> a; give one of them a value of its own"],
    ),
    (
        SOURCE + "seed: ${sede}\nvars: {seed_: x}\n",
        ["2:7: seed: there is no variable 'sede' (the text itself is written $${sede}); did you mean seed_?"],
    ),
    (SOURCE + "seed: ${suite\n", ["2:7: seed: ${ is never closed; write ${name}, or $${ for the text itself"]),
    (
        SOURCE + "vars: {a: null}\nseed: x${a}\n",
        ["3:7: seed: the variable a is null inside a text; give it a value: a=VALUE"],
    ),
    (
        SOURCE + "layers: []\nlayers+: [{remove: [/a]}]\n",
        ["3:1: layers: layers is set here and changed by layers+ as well; write it once"],
    ),
    (
        SOURCE + "boot: {console-: [ttyS1]}\n",
        ["2:19: boot.console: ttyS1 is not in the list, so it cannot be removed; remove this line"],
    ),
    (SOURCE + "boot: {timeout+: 5}\n", ["2:8: boot.timeout: INT cannot grow; write timeout: without +"]),
    (SOURCE + "machine: {qemu+: -s}\n", ["2:18: machine.qemu: a list is appended to a list; write it in []"]),
    (
        SOURCE + "system: {users+: {a: {}}}\n",
        ["2:10: system.users: mappings merge by themselves; write users: without +"],
    ),
    (SOURCE + "boot: {cmdline+: [a]}\n", ["2:18: boot.cmdline: only text is appended to text; write one value"]),
    # -- names, and what cannot be looked at
    (
        SOURCE + "layers: [{files: {'/${name}': {content: x}}}]\n",
        ["2:19: layers.files./${name}: variables do not stand in keys; write the name itself"],
    ),
    (
        SOURCE + "layers: [{name: system, remove: [/a]}]\n",
        ["2:17: layers.name: bootsmith has a layer system of its own; take another name"],
    ),
    (
        SOURCE + "layers: [overlay: " + "x" * 300 + "]\n",
        ["2:19: layers.overlay.from: recipes/" + "x" * 300 + " cannot be read: File name too long; name a directory"],
    ),
    (
        SOURCE + "extends: ./" + "x" * 300 + "\n",
        ["2:10: extends: recipes/" + "x" * 300 + " does not exist; name a recipe, or the path of one"],
    ),
    (
        SOURCE + "profiles: {a/b: {}}\n",
        ["2:12: profiles.a/b: 'a/b' is not a name; use letters, digits, and _ - after the first"],
    ),
    (
        SOURCE + "disk: {partitions: {esp: {}, root: {mount: /}, layout: {}}}\n",
        ["2:48: disk.partitions.layout: bootsmith keeps a file of that name; take another name"],
    ),
    (
        SOURCE + "boot: {console+: [tty0]}\n",
        [
            (
                "2:19: boot.console: tty0 stands here twice, and only the last of all is /dev/console; "
                "write the whole list anew"
            )
        ],
    ),
    (
        SOURCE + "system: {users: {root: {password: {hash: thirteen1char}}}}\n",
        [
            (
                "2:42: system.users.root.password.hash: this is not a password hash; "
                "write what `openssl passwd -6` or `mkpasswd` prints"
            )
        ],
    ),
]


@pytest.fixture
def stocked(kitchen: Kitchen) -> Kitchen:
    """A kitchen with the files that some recipes name."""
    kitchen.write("files/issue.txt", "hello\n")
    kitchen.write("id.key", "-----BEGIN OPENSSH PRIVATE KEY-----\n")
    return kitchen


@pytest.mark.parametrize(("text", "lines"), BAD, ids=[text.removeprefix(SOURCE).strip()[:60] for text, _ in BAD])
def test_a_mistake_is_told_with_place_key_reason_and_remedy(stocked: Kitchen, text: str, lines: list[str]) -> None:
    """Each mistake of a recipe is one line: file:line:column: key: what is wrong; what to do. V16, C3, C17, L9."""
    with pytest.raises(RecipeError) as caught:
        stocked.cook(text)
    assert caught.value.problems == [f"recipes/x.yaml:{line}" for line in lines]
    assert caught.value.exit_code == 3
