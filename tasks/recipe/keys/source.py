"""The keys of `source:`: where the tree comes from."""

from __future__ import annotations

from bootsmith.tasks.recipe.model import source as model
from bootsmith.tasks.recipe.values import words
from bootsmith.tasks.recipe.values.files import RecipeName
from bootsmith.tasks.recipe.values.scalars import Bool, Choice, FilePath, Str, integer
from bootsmith.tasks.recipe.values.shapes import Choose, Key, Kind, ListOf, Named, Section

PACKAGES = ListOf(words.PACKAGE, once=True)

REPOSITORY = Section(
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
        "repositories": Key(ListOf(REPOSITORY), "further repositories", []),
    },
    model.Debian,
)

_UBUNTU = Section(_DEBIAN.keys, model.Ubuntu)
_ARCH = Section(
    {
        "packages": Key(
            ListOf(words.PACMAN_PACKAGE, once=True), "what to install beside base, with all it depends on", []
        ),
        "mirror": Key(
            words.URL, "where to fetch packages: the URL that core/os/x86_64 is below", derived="the host's pacman's"
        ),
        "snapshot": Key(words.DAY, "the state of a day, of a mirror that is Arch's archive", None),
        "repositories": Key(ListOf(words.COMPONENT, once=True), "whose packages, the first first", ["core", "extra"]),
        "keyring": Key(
            FilePath("file"),
            "the keys that sign the packages; beside NAME.gpg may stand NAME-trusted and NAME-revoked",
            derived="the host's archlinux-keyring",
        ),
    },
    model.Arch,
)
_RPM_REPOSITORY = Section(
    {
        "uri": Key(words.URL, "where it is: the URL that repodata is below", required=True),
        "key": Key(FilePath("file"), "the OpenPGP keys that sign its packages, in text", required=True),
    },
    model.RpmRepository,
)
_FEDORA = Section(
    {
        "release": Key(words.NUMBER, "the release, by its number", required=True),
        "packages": Key(ListOf(words.RPM_PACKAGE, once=True), "what to install, with all it depends on", required=True),
        "mirror": Key(words.URL, "where to fetch packages: the URL that releases and updates are below", required=True),
        "keyring": Key(FilePath("file"), "the OpenPGP keys that sign the release's packages, in text", required=True),
        "updates": Key(Bool(), "with the updates of the release", True),
        "repositories": Key(ListOf(_RPM_REPOSITORY), "further repositories", []),
    },
    model.Fedora,
)
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
_ABSENT = {
    "alpine": "Alpine's packages are installed by apk, of apk-tools, which Debian does not have and Alpine does; "
    "take the tree of its container or its minirootfs instead: write tar: FILE, or container: for packages on top",
}
SOURCE = Choose(
    {
        "debian": Kind(_DEBIAN, "a tree installed from Debian's packages", model.Debian),
        "ubuntu": Kind(_UBUNTU, "a tree installed from Ubuntu's packages, as Debian's is", model.Ubuntu),
        "arch": Kind(_ARCH, "a tree installed from Arch's packages, by pacman", model.Arch),
        "fedora": Kind(_FEDORA, "a tree installed from Fedora's packages, by dnf and rpm", model.Fedora),
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
        "disk": Kind(
            _DISK, "the files in a partition of a disk image: ext, FAT, btrfs, xfs, squashfs or EROFS", model.Disk
        ),
        "recipe": Kind(
            _OTHER, "the finished tree of another recipe, made as that makes it, once for both", model.OtherRecipe
        ),
        "none": Kind(Section({}, model.Nothing), "an empty tree", model.Nothing),
    },
    absent=_ABSENT,
)
