"""Mistakes in YAML, in names, and in values of every kind, with the line their user sees."""

from __future__ import annotations

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

KINDS = "debian, arch, fedora, directory, tar, oci, container, erofs, squashfs, disk, none"
ALPINE = (
    "Alpine's packages are installed by apk, of apk-tools, which Debian does not have and Alpine does; take the tree "
    "of its container or its minirootfs instead: write tar: FILE, or container: for packages on top"
)
NO_TREE_PATH = "begin it with /, and leave out //, /., /.. and a last /"
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
    ("name: x\n", [f"1:1: source: this must be given; write `source: {KINDS.replace(', ', '|')}`"]),
    (
        "source:\n  debian:\n    variant: minbase\n",
        ["2:3: source.debian.suite: this must be given; write `suite: STR`"],
    ),
    ("source: debian\n", ["1:9: source.debian.suite: this must be given; write `suite: STR`"]),
    (
        "source: {}\n",
        [f"1:1: source: nothing is chosen; write exactly one of {KINDS}"],
    ),
    (
        "source: {btrfs-send: root.img}\n",
        [f"1:10: source.btrfs-send: no such kind; known here: {KINDS}"],
    ),
    ("source: {alpine: {release: '3.22'}}", [f"1:10: source.alpine: {ALPINE}"]),  # A8
    (
        "source: {tar: {file: recipes.tar, subdir: mnt, strip: -1}}\n",
        [
            "1:22: source.tar.file: recipes/recipes.tar does not exist; create that file",
            "1:43: source.tar.subdir: 'mnt' is not a path in the tree; " + NO_TREE_PATH,
            "1:55: source.tar.strip: -1 is too small; write at least 0",
        ],
    ),
    (
        "source: [debian]\n",
        [f"1:9: source: this is a list, not one of {KINDS}; write one of them"],
    ),
    (SOURCE + "dsk: {size: 8G}\n", ["2:1: dsk: unknown key; did you mean disk?"]),
    (SOURCE + "disk: {siez: 8G, sector: 512}\n", ["2:8: disk.siez: unknown key; did you mean size?"]),
    (SOURCE + "verfy: {min_free: 1M}\n", ["2:1: verfy: unknown key; did you mean verify?"]),
    (SOURCE + "verify: {skip: [tables]}\n", ["2:17: verify.skip: 'tables' is not a choice; did you mean table?"]),
    (SOURCE + "boot: {kernel: x}\n", ["2:16: boot.kernel.file: recipes/x does not exist; create that file"]),
    (
        SOURCE + "system: non\n",
        [
            (
                "2:9: system: this takes keys of its own; known here: hostname, hosts, dns, "
                "locale, timezone, keymap, users, groups, services, network, machine_id, ssh_host_keys, modules, "
                "sysctl, first_boot, autologin, grow, cloud_init, fstab"
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
    (SOURCE + "test: {expect: 'login:'}\n", ['2:16: test.expect: this takes a list; write ["login:"]']),
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


@each_of(BAD)
def test_a_mistake_is_told_with_place_key_reason_and_remedy(
    with_files: RecipeFolder, text: str, lines: list[str]
) -> None:
    """Each mistake of a recipe is one line: file:line:column: key: what is wrong; what to do. V16."""
    assert with_files.mistakes(text) == lines
