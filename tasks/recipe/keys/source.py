"""The keys of `source:`: where the tree comes from."""

from __future__ import annotations

from bootsmith.tasks.recipe.model import source as model
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.files import RecipeName
from bootsmith.tasks.recipe.values.scalars import Bool, Choice, FilePath, Str, integer
from bootsmith.tasks.recipe.values.shapes import Choose, Key, Kind, ListOf, Named, Section

PACKAGES = ListOf(words.PACKAGE, once=True)

_REPOSITORY = Section(
    {
        "uri": Key(words.URL, "where it is", required=True),
        "suite": Key(words.SUITE, "its suite", required=True),
        "components": Key(ListOf(words.COMPONENT, once=True), "its components", ["main"]),
        "key": Key(FilePath("file"), "the OpenPGP key that signs it", required=True),
    },
    model.Repository,
)

_DEBIAN = Section(
    {
        "suite": Key(words.SUITE, "the release, by its code name", required=True),
        "variant": Key(
            Choice("minbase", "required", "important", "standard"),
            "the packages to begin with: mmdebstrap's sets, by priority",
            "minbase",
        ),
        "components": Key(ListOf(words.COMPONENT, once=True), "the archive's areas to install from", ["main"]),
        "packages": Key(PACKAGES, "what to install, with everything it depends on", []),
        "exclude": Key(PACKAGES, "what must not be installed, even where something recommends it", []),
        "recommends": Key(Bool(), "install recommended packages too", False),
        "docs": Key(Bool(), "keep manuals, documentation and translations", False),
        "security": Key(
            Bool(), "with the security updates of the suite, and of any other that files are taken out of", True
        ),
        "mirror": Key(words.URL, "where to fetch packages; never changes what is built", derived="the host's"),
        "keyring": Key(FilePath("file"), "the keys that sign the archive", derived="by suite"),
        "repositories": Key(ListOf(_REPOSITORY), "further repositories", []),
    },
    model.Debian,
)

_UBUNTU = Section(_DEBIAN.keys, model.Ubuntu)
_DIRECTORY_TREE = Section(
    {
        "path": Key(FilePath("directory"), "the folder", required=True),
        "owner": Key(Choice("root", "keep"), "root: everything becomes root's; keep: whose it is, by number", "root"),
        "modes": Key(
            Choice("keep", "exec"),
            "keep: as they are; exec: 0755 or 0644 by the exec bit, so that a checkout's umask changes nothing",
            "keep",
        ),
        "times": Key(
            Choice("epoch", "keep"),
            "epoch: all files carry the image's date; keep: their own, to the second, so that `touch` is an edit",
            "epoch",
        ),
    },
    model.Directory,
    bare="path",
)
_TAR_TREE = Section(
    {
        "file": Key(FilePath("file"), "the archive", required=True),
        "subdir": Key(words.FOLDER, "the folder of it that holds the tree; what is beside it is left out", "/"),
        "strip": Key(integer(0, 100), "how many leading folders its paths lose, before `subdir` is looked for", 0),
    },
    model.Tar,
    bare="file",
)
_IMAGE = Section(
    {"file": Key(FilePath(), "what docker save wrote, or an OCI archive or layout", required=True)},
    model.Oci,
    bare="file",
)
_CONTAINER = Section(
    {
        "file": Key(FilePath("file"), "the Containerfile", required=True),
        "context": Key(
            FilePath("directory"),
            "the folder it takes files from, but for those that .containerignore or .dockerignore names there",
            derived="the file's",
        ),
        "target": Key(words.WORD, "the stage of it to build", derived="the last"),
        "args": Key(Named(words.VARIABLE, Str()), "values for its ARG lines", {}),
        "images": Key(
            Named(words.IMAGE, FilePath()),
            "what its FROM lines name, each in a file: an OCI archive or layout, of docker save, or a tree's tar",
            {},
        ),
        "subdir": Key(words.FOLDER, "the folder of it that holds the tree; what is beside it is left out", "/"),
        "network": Key(
            Bool(), "let its RUN lines reach the network; what they fetch there is no part of its key", False
        ),
    },
    model.Container,
    bare="file",
)
_EROFS = Section({"file": Key(FilePath("file"), "the image", required=True)}, model.Erofs, bare="file")
_SQUASHFS = Section({"file": Key(FilePath("file"), "the image", required=True)}, model.Squashfs, bare="file")
_DISK = Section(
    {
        "file": Key(FilePath("file"), "the disk image, of any format that `inspect` knows", required=True),
        "partition": Key(words.WORD, "its number or name; root: the only one that holds a system", "root"),
    },
    model.Disk,
    bare="file",
)
_OTHER = Section(
    {"file": Key(RecipeName(), "the recipe, by its name or path", required=True)}, model.OtherRecipe, bare="file"
)
SOURCE = Choose(
    {
        "debian": Kind(_DEBIAN, "a tree installed from Debian's packages", model.Debian),
        "ubuntu": Kind(_UBUNTU, "a tree installed from Ubuntu's packages, as Debian's is", model.Ubuntu),
        "directory": Kind(_DIRECTORY_TREE, "a tree that is there already, modes as they are", model.Directory),
        "tar": Kind(
            _TAR_TREE,
            "a tree in a tar, plain or packed by gzip, zstd or xz, owners, attributes and holes as they are",
            model.Tar,
        ),
        "oci": Kind(_IMAGE, "the tree of a container image, all its layers laid over each other", model.Oci),
        "container": Kind(
            _CONTAINER, "the tree that a Containerfile builds, by buildah or podman, without root", model.Container
        ),
        "erofs": Kind(
            _EROFS, "the tree in an EROFS image, plain or packed by lz4, deflate or zstd; never mounted", model.Erofs
        ),
        "squashfs": Kind(
            _SQUASHFS,
            "the tree in a squashfs image, packed by gzip, xz, lzma or zstd; never mounted",
            model.Squashfs,
        ),
        "disk": Kind(_DISK, "the files in a partition of a disk image: ext2, ext3, ext4 or FAT", model.Disk),
        "recipe": Kind(
            _OTHER, "the finished tree of another recipe, made as that makes it, once for both", model.OtherRecipe
        ),
        "none": Kind(Section({}, model.Nothing), "an empty tree", model.Nothing),
    }
)
