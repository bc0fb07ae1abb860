"""Mistakes in parents, profiles and variables, with the line their user sees."""

from __future__ import annotations

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

BAD = [
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
]


@each_of(BAD)
def test_a_mistake_is_told_with_place_key_reason_and_remedy(
    with_files: RecipeFolder, text: str, lines: list[str]
) -> None:
    """Where it is written, whichever file that is."""
    assert with_files.mistakes(text) == lines
