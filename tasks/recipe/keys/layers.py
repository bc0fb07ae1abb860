"""The keys of `layers:`: what is added to the tree."""

from __future__ import annotations

from bootsmith.tasks.recipe.model import layers as model
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.files import File
from bootsmith.tasks.recipe.values.scalars import Bool, FilePath, Str, mode
from bootsmith.tasks.recipe.values.shapes import Choose, Key, Kind, ListOf, Named, Section

_OWNED = {
    "owner": Key(words.OWNER, "the user it belongs to, a name of the tree or a number", "root"),
    "group": Key(words.OWNER, "the group it belongs to", "root"),
}
_OVERLAY = Section(
    {
        "from": Key(FilePath("directory"), "the folder whose contents to add", required=True, attr="source"),
        "to": Key(words.FOLDER, "where in the tree", "/"),
        "exclude": Key(ListOf(words.LINE), "patterns of what to leave out, relative to the folder", []),
    },
    bare="from",
)
_FILE = Section(
    {
        "from": Key(File(), "the file to copy", attr="source"),
        "content": Key(Str(lines=True), "or its text"),
        "mode": Key(mode(), "its permissions", "0644"),
        **_OWNED,
    },
    model.FileSpec,
    bare="from",
)
_DIRECTORY = Section({"mode": Key(mode(), "its permissions", "0755"), **_OWNED}, model.DirectorySpec)
_DEVICE = Section(
    {
        "node": Key(words.NODE, "what it is: a block or character device, major and minor number", required=True),
        "mode": Key(mode(), "its permissions", "0600"),
        **_OWNED,
    },
    model.Device,
    bare="node",
)

_PACKAGES = Section(
    {
        "install": Key(ListOf(words.PACKAGE, once=True), "what to install, with everything it depends on", []),
        "remove": Key(ListOf(words.PACKAGE, once=True), "what to remove, its settings and what depends on it too", []),
        "preseed": Key(
            ListOf(words.PRESEED), "answers to what packages would ask, as debconf-set-selections reads", []
        ),
    },
    bare="install",
)
_AS_RUN = {
    "inputs": Key(
        Named(words.VARIABLE, FilePath()), "files and folders of the host it reads, each found by the variable", {}
    ),
    "env": Key(Named(words.VARIABLE, Str(lines=True)), "further variables", {}),
    "network": Key(Bool(), "let it reach the network; what it fetches there is no part of its key", False),
}
_RUN = Section(
    {"command": Key(words.COMMAND, "the command, for sh -eu", required=True), **_AS_RUN},
    bare="command",
)
_SCRIPT = Section(
    {"file": Key(FilePath("file"), "the script: run by what its #! names, else by sh -eu", required=True), **_AS_RUN},
    bare="file",
)

LAYER = Choose(
    {
        "overlay": Kind(
            _OVERLAY, "a folder laid over the tree: all root's, 0755 where executable, else 0644", model.Overlay
        ),
        "files": Kind(Named(words.TREE_PATH, _FILE), "single files", model.Files),
        "directories": Kind(Named(words.TREE_PATH, _DIRECTORY), "directories", model.Directories),
        "links": Kind(Named(words.TREE_PATH, words.LINE), "symbolic links, each with its target", model.Links),
        "devices": Kind(Named(words.TREE_PATH, _DEVICE), "device nodes, made without root", model.Devices),
        "remove": Kind(ListOf(words.GLOB), "patterns of what to remove", model.Remove),
        "packages": Kind(
            _PACKAGES, "packages on top of the tree so far, locked as those of the source", model.Packages
        ),
        "run": Kind(_RUN, "a command run in the tree so far", model.Run),
        "script": Kind(_SCRIPT, "a script of the host's run in the tree so far", model.Script),
    },
    Key(words.PLAIN, "the layer's own name", derived="its number and kind"),
)
