"""Mistakes in `layers`, with the line their user sees."""

from __future__ import annotations

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

BAD = [
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
                "devices, remove, packages, run, script"
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
    (
        SOURCE + "layers: [packages: []]\n",
        ["2:20: layers.packages: nothing is installed or removed; name a package, or leave the layer out"],
    ),
    (
        SOURCE + "layers: [packages: {install: [jq], remove: [jq]}]\n",
        ["2:44: layers.packages.remove: jq is also to be installed; remove it from one of them"],
    ),
    (
        "source: {debian: {suite: trixie, exclude: [jq]}}\nlayers: [packages: [jq]]\n",
        ["2:20: layers.packages: jq is excluded by source.debian.exclude; remove it from one of them"],
    ),
    (
        "source: none\nsystem: none\nboot: {kernel: none, initrd: none}\noutputs: [tar]\nlayers: [packages: [jq]]\n",
        [
            (
                "5:20: layers.packages: this source's tree has no apt to install them; write source: debian, or begin "
                "with another tree that has one"
            )
        ],
    ),
    (
        SOURCE + "archive: {security: false}\n",
        ["2:1: archive: its packages come from where source.debian says; write it there"],
    ),
    (
        (
            "source: {directory: files}\nsystem: none\narchive: {security: false}\nboot: {kernel: none, initrd: none}\n"
            "outputs: [tar]\n"
        ),
        ["3:1: archive: no packages come on top of this tree; remove it, or add a layer of packages"],
    ),
    (
        "source: {directory: files}\nsystem: none\nboot: {kernel: install}\nlayers: [{name: kernel, remove: [/x]}]\n",
        ["4:17: layers.name: bootsmith has a layer kernel of its own; take another name"],
    ),
    (
        SOURCE + "layers: [packages: {preseed: [what]}]\n",
        [
            (
                "2:31: layers.packages.preseed: 'what' is not an answer for debconf; write PACKAGE QUESTION TYPE "
                "ANSWER, as debconf-get-selections prints them"
            )
        ],
    ),
    (SOURCE + "layers: [run: ' ']\n", ["2:15: layers.run.command: ' ' is not a command; write what sh is to run"]),
    (
        SOURCE + "layers: [run: {command: id, env: {HOME: /x}}]\n",
        ["2:35: layers.run.env.HOME: HOME is the same for all that runs in a tree; take another name"],
    ),
    (
        SOURCE + "layers: [run: {command: id, inputs: {a: files}, env: {a: b}}]\n",
        ["2:58: layers.run.env.a: a is the variable of an input; take another name"],
    ),
    (
        SOURCE + "layers: [script: files/isue.txt]\n",
        ["2:18: layers.script.file: recipes/files/isue.txt does not exist; did you mean issue.txt?"],
    ),
    (SOURCE + "layers: [{links: {/a: [b]}}]\n", ["2:23: layers.links./a: this takes one value; write STR alone"]),
]


@each_of(BAD)
def test_a_mistake_is_told_with_place_key_reason_and_remedy(
    with_files: RecipeFolder, text: str, lines: list[str]
) -> None:
    """At the layer's own key."""
    assert with_files.mistakes(text) == lines
