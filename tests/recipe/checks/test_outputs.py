"""Mistakes in `outputs`, with the line their user sees."""

from __future__ import annotations

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

BAD = [
    (SOURCE + "outputs: raw\n", ["2:10: outputs: this takes a list; write [raw]"]),
    (
        SOURCE + "outputs: [vmdk]\n",
        ["2:11: outputs.vmdk: no such kind; known here: raw, qcow2, kernel, initramfs, iso, cidata"],
    ),
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
]


@each_of(BAD)
def test_a_mistake_is_told_with_place_key_reason_and_remedy(
    with_files: RecipeFolder, text: str, lines: list[str]
) -> None:
    """What qemu-img refuses together is refused here, with the reason. L9."""
    assert with_files.mistakes(text) == lines
