"""Mistakes in `outputs`, with the line their user sees."""

from __future__ import annotations

import pytest

from tests.support.recipe_folder import SOURCE, RecipeFolder, each_of

FIRMWARE = """\
disk:
  table: gpt
  partitions:
    fw: {fs: none, size: 1M, in_table: false, start: 2G}
    root: {mount: /, start: 8M}
"""
BAD = [
    (SOURCE + "outputs: raw\n", ["2:10: outputs: this takes a list; write [raw]"]),
    (
        SOURCE + "outputs: [tape]\n",
        [
            (
                "2:11: outputs.tape: no such kind; known here: raw, qcow2, vhd, vhdx, vdi, vmdk, azure, gcp, aws, ova, "
                "ovf, box, kernel, initramfs, iso, cidata, tar, tgz, oci, directory, ext4, "
                "squashfs, erofs, manifest, sbom"
            )
        ],
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
        SOURCE + "outputs: [ovf: {file: 'a#b.ovf'}]\n",
        [
            (
                "2:23: outputs.ovf.file: an OVF names its disk by a URI, which could not hold that; "
                "use letters, digits and . - _ ~ alone"
            )
        ],
    ),
    (
        SOURCE + "outputs: [vmdk: {file: 'a\"b.vmdk'}]\n",
        ["2:24: outputs.vmdk.file: a VMDK names its disk in quotes, which could not hold that; leave them out"],
    ),
    (
        SOURCE + "outputs: [raw: {file: kernel}]\n",
        ["2:23: outputs.raw.file: bootsmith keeps kernel there itself; take another name"],
    ),
    (
        SOURCE + "outputs: [raw: {file: readback}]\n",
        ["2:23: outputs.raw.file: bootsmith keeps readback there itself; take another name"],
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
        SOURCE + "outputs: [raw: {compress: lz4}]\n",
        ["2:27: outputs.raw.compress: 'lz4' is not a choice; known here: none, gzip, xz, zstd"],
    ),
    (
        SOURCE + "outputs: [raw: {file: a.gz, compress: gzip}, vhd: a.gz.bmap]\n",
        ["2:51: outputs.vhd.file: two outputs are called a.gz.bmap; give one another file:"],
    ),
    (
        SOURCE + "outputs: [raw: a-flat.vmdk, vmdk: {file: a.vmdk, subformat: monolithicFlat}]\n",
        [
            (
                "2:42: outputs.vmdk.file: two outputs are called a-flat.vmdk, as this one writes it beside a.vmdk; "
                "give one another file:"
            )
        ],
    ),
    (
        SOURCE + "outputs: [vdi: {subformat: monolithicSparse}]\n",
        ["2:28: outputs.vdi.subformat: 'monolithicSparse' is not a choice; known here: dynamic, fixed"],
    ),
    (
        SOURCE + "outputs: [vmdk: {subformat: streamoptimized}]\n",
        ["2:29: outputs.vmdk.subformat: 'streamoptimized' is not a choice; did you mean streamOptimized?"],
    ),
    (
        SOURCE + "outputs: [gcp: {size: 5G}, qcow2: {size: 1G}, azure: {size: 4097s}]\ndisk: {size: 2G}\n",
        [
            "2:42: outputs.qcow2.size: 1G is less than the disk has, 2G; write more, or leave it out",
            "2:47: outputs.azure: Azure takes disks of whole MiB, and 4097s is none; make it one by disk.size",
            "2:61: outputs.azure.size: 4097s is less than the disk has, 2G; write more, or leave it out",
        ],
    ),
    (
        SOURCE + "outputs: [qcow2: {size: 9G}, vdi]\nboot: {loader: direct}\n" + FIRMWARE,
        [
            (
                "2:25: outputs.qcow2.size: the last partition of the table grows to the disk's end, over fw, which "
                "stands behind it; put fw before it, or leave this out"
            )
        ],
    ),
    (
        SOURCE + "outputs: [qcow2: {size: 4G}]\nboot: {loader: direct}\n" + FIRMWARE.replace("gpt", "mbr\n  size: 4G"),
        [
            (
                "2:25: outputs.qcow2.size: the last partition of the table grows to the disk's end, over fw, which "
                "stands behind it; put fw before it, or leave this out"
            )
        ],
    ),
    (
        SOURCE + "outputs: [gcp]\n",
        ["2:11: outputs.gcp: Google's cloud takes disks of whole GiB; make it one, such as 4G, by disk.size"],
    ),
    (
        SOURCE + "outputs: [gcp, azure]\ndisk: {size: 2098177s}\n",
        [
            (
                "2:11: outputs.gcp: Google's cloud takes disks of whole GiB, and 2098177s is none; make it one, such "
                "as 4G, by disk.size"
            ),
            "2:16: outputs.azure: Azure takes disks of whole MiB, and 2098177s is none; make it one by disk.size",
        ],
    ),
    (
        SOURCE + "outputs: [vhd, azure, vmdk, aws, ova, vhdx]\ndisk: {size: 3T}\n",
        [
            "2:11: outputs.vhd: vhd holds disks of up to 2040G, not 3T; take another format",
            "2:16: outputs.azure: azure holds disks of up to 2040G, not 3T; take another format",
            "2:23: outputs.vmdk: vmdk holds disks of up to 2T, not 3T; take another format",
            "2:29: outputs.aws: aws holds disks of up to 2T, not 3T; take another format",
            "2:34: outputs.ova: ova holds disks of up to 2T, not 3T; take another format",
        ],
    ),
    (
        SOURCE + "outputs: [aws: {bucket: my_bucket}]\n",
        ["2:25: outputs.aws.bucket: 'my_bucket' is not a bucket's name; use letters, digits, . and -"],
    ),
    (
        SOURCE + "outputs: [box: {provider: vmware}]\n",
        ["2:27: outputs.box.provider: 'vmware' is not a choice; known here: libvirt, virtualbox"],
    ),
    (
        SOURCE + "outputs: [ova: {os: windows}]\n",
        ["2:21: outputs.ova.os: 'windows' is not a choice; known here: debian, ubuntu, linux, other"],
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


@pytest.mark.parametrize(
    "text",
    [
        FIRMWARE.replace(", start: 2G", "").replace(", start: 8M", "") + "outputs: [qcow2: {size: 9G}]\n",
        FIRMWARE.replace("gpt", "gpt\n  size: 4G") + "outputs: [qcow2: {size: 4G}]\n",
        FIRMWARE + "outputs: [qcow2]\n",
    ],
)
def test_bytes_that_nothing_grows_over_may_stand_anywhere(with_files: RecipeFolder, text: str) -> None:
    """Before the last partition, and behind it on a disk that stays as it is."""
    assert with_files.load(f"{SOURCE}boot: {{loader: direct}}\n{text}").outputs
