#!/bin/sh
# The floor: the same image as recipes/minimal.yaml, as a careful engineer's script makes it by hand, all of it every
# time, as root, with every short cut we know of. Frozen: a faster bootsmith must not be had by a slower floor.
#
# floor.sh REPOSITORY OVERLAY WORK    the packages as a flat apt repository; the overlay folder; where to work (tmpfs)
# Leaves WORK/disk.raw and WORK/disk.qcow2.
set -eu
repository=$1 overlay=$2 work=$3
export work overlay INITRD=No SOURCE_DATE_EPOCH=1700000000 TMPDIR="$work" LC_ALL=C.UTF-8 TZ=UTC
packages=linux-image-cloud-amd64,systemd-sysv,udev,openssh-server,iproute2,systemd-boot-efi
esp_uuid=c1d2e3f4-0000-4000-8000-000000000001
root_uuid=c1d2e3f4-0000-4000-8000-000000000002

mmdebstrap --quiet --variant=minbase --include="$packages" --mode=root --format=directory \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --customize-hook='rm -f "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$1"/etc/ssh/ssh_host_*' \
    --customize-hook='cp -R "$overlay/." "$1/"' \
    --customize-hook='echo minimal > "$1/etc/hostname"' \
    --customize-hook="printf 'PARTUUID=$root_uuid / ext4 defaults 0 1\n' > \"\$1/etc/fstab\"" \
    --customize-hook='printf "[Match]\nName=en*\n[Network]\nDHCP=yes\n" > "$1/etc/systemd/network/wired.network"' \
    --customize-hook='ln -sf /usr/lib/systemd/system/systemd-networkd.service "$1/etc/systemd/system/multi-user.target.wants/"' \
    --customize-hook='unset INITRD; chroot "$1" update-initramfs -c -k all > /dev/null' \
    --customize-hook='cp "$1"/boot/vmlinuz-* "$work/vmlinuz"; cp "$1"/boot/initrd.img-* "$work/initrd.img"' \
    --customize-hook='cp "$1/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$work/BOOTX64.EFI"' \
    trixie "$work/tree" "deb [trusted=yes] copy:$repository ./"
truncate -s 1G "$work/root.img"
mke2fs -q -t ext4 -L root -d "$work/tree" "$work/root.img"

mkdir -p "$work/loader/entries"
printf 'timeout 0\n' > "$work/loader/loader.conf"
printf 'title Debian\nlinux /vmlinuz\ninitrd /initrd.img\noptions root=PARTUUID=%s ro console=tty0 console=ttyS0\n' \
    "$root_uuid" > "$work/loader/entries/debian.conf"
truncate -s 512M "$work/esp.img"
mkfs.vfat -F 32 -n ESP "$work/esp.img" > /dev/null
mmd -i "$work/esp.img" ::EFI ::EFI/BOOT ::loader ::loader/entries
mcopy -i "$work/esp.img" "$work/BOOTX64.EFI" ::EFI/BOOT/
mcopy -i "$work/esp.img" "$work/vmlinuz" "$work/initrd.img" ::
mcopy -i "$work/esp.img" "$work/loader/loader.conf" ::loader/
mcopy -i "$work/esp.img" "$work/loader/entries/debian.conf" ::loader/entries/

truncate -s 1538M "$work/disk.raw"
sfdisk -q "$work/disk.raw" <<EOF
label: gpt
start=1MiB, size=512MiB, type=uefi, name=esp, uuid=$esp_uuid
start=513MiB, size=1GiB, type=linux, name=root, uuid=$root_uuid
EOF
dd if="$work/esp.img" of="$work/disk.raw" bs=1M seek=1 conv=notrunc,sparse status=none
dd if="$work/root.img" of="$work/disk.raw" bs=1M seek=513 conv=notrunc,sparse status=none
qemu-img convert -f raw -O qcow2 -c -o compression_type=zstd "$work/disk.raw" "$work/disk.qcow2"
