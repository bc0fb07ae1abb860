"""The keys of `system:`: what the guest is declared to be."""

from __future__ import annotations

from bootsmith.tasks.recipe.model import system as model
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.files import File
from bootsmith.tasks.recipe.values.scalars import Bool, Choice, FilePath
from bootsmith.tasks.recipe.values.shapes import Key, ListOf, Named, Section

USER = Section(
    {
        "password": Key(
            words.SecretRef("locked", "empty", holds="the password", hashed=True),
            "none that works, none at all, or the password (or its hash) by reference",
            "locked",
        ),
        "ssh_keys": Key(ListOf(words.SshKey()), "public keys that may log in: their lines, or files of such lines", []),
        "uid": Key(words.UserId(), "the user's number", derived="the next free one"),
        "groups": Key(ListOf(words.GROUP, once=True), "further groups", []),
        "shell": Key(words.IN_PASSWD, "the login shell", derived="the tree's usual one"),
        "home": Key(words.IN_PASSWD, "the home directory", derived="/home/NAME, for root /root"),
        "sudo": Key(Bool(), "may do as root what sudo is asked; without a password where it is locked or empty", False),
    },
    model.User,
)
GROUP = Section({"gid": Key(words.UserId(), "the group's number", derived="the next free one")}, model.Group)
_UNITS = ListOf(words.UNIT, once=True)
_MANAGERS = ("auto", "networkd", "networkmanager", "ifupdown", "netplan", "none")

SYSTEM = Section(
    {
        "hostname": Key(words.HOST, "the guest's name", derived="name"),
        "hosts": Key(Named(words.HOST, words.IP), "further names for /etc/hosts", {}),
        "dns": Key(
            Section(
                {
                    "servers": Key(ListOf(words.IP, once=True), "who is asked for names, three at most", []),
                    "search": Key(ListOf(words.HOST, once=True), "domains in which names without dots are", []),
                },
                model.Dns,
            ),
            "how names are resolved, whatever DHCP says; without servers the guest finds out",
            {},
        ),
        "locale": Key(words.LOCALE, "the language of messages", derived="the tree's own; systemd takes C.UTF-8"),
        "timezone": Key(words.TIMEZONE, "the local time", derived="the tree's own, else UTC"),
        "keymap": Key(words.KEYMAP, "the console's keyboard", derived="the tree's own, else us"),
        "users": Key(Named(words.USER, USER), "the users; root is always among them", {"root": {}}),
        "groups": Key(Named(words.GROUP, GROUP), "groups that are there", {}),
        "services": Key(
            Section(
                {
                    "enable": Key(_UNITS, "units to start", []),
                    "disable": Key(_UNITS, "units not to start by themselves", []),
                    "mask": Key(_UNITS, "units never to start", []),
                },
                model.Services,
            ),
            "systemd units",
            {},
        ),
        "network": Key(
            Choice(*_MANAGERS),
            "who asks for addresses (DHCP) on every wired link; auto is what the tree has",
            "auto",
        ),
        "machine_id": Key(
            Choice("empty", "none", other=words.MACHINE_ID),
            "empty: made on first boot; none: no such file; or the id itself",
            "empty",
        ),
        "ssh_host_keys": Key(
            Choice("first-boot", "keep", "none"),
            "made on first boot, left as the packages made them, or removed",
            "first-boot",
        ),
        "modules": Key(ListOf(words.MODULE, once=True), "kernel modules that are loaded as the guest starts", []),
        "sysctl": Key(Named(words.SYSCTL, words.SYSCTL_VALUE), "settings of the kernel", {}),
        "first_boot": Key(FilePath("file"), "a script that runs once, as the guest first starts: until it succeeds"),
        "autologin": Key(Bool(), "root is logged in on every console, and nobody is asked", False),
        "grow": Key(Bool(), "the root partition and its filesystem grow to the disk as the guest starts", False),
        "cloud_init": Key(
            Section(
                {
                    "user_data": Key(File(), "what is to be done: #cloud-config, a script, ..."),
                    "meta_data": Key(
                        File(), "what the instance is", derived="its name, and an id that follows from all three"
                    ),
                    "network_config": Key(File(), "how its links are set up, as netplan says it"),
                },
                model.CloudInit,
            ),
            "what the output `cidata` holds",
        ),
        "fstab": Key(
            Choice("uuid", "partuuid", "label", "none"),
            "what /etc/fstab names filesystems by; none leaves the file alone",
            "uuid",
        ),
    }
)
