#!/bin/sh
# apt and dpkg alone: one package installed into a tree that is there, by the tree's own, from packages that are there.
#
# apt_floor.sh unpack BASE.tar REPOSITORY WORK     makes WORK/tree ready; not measured
# apt_floor.sh install PACKAGE WORK                what is measured; as root
set -eu
case $1 in
unpack)
    mkdir -p "$4/tree"
    tar --extract --file="$2" --directory="$4/tree" --numeric-owner
    cp -R "$3" "$4/tree/repository"
    printf 'deb [trusted=yes] file:/repository ./\n' >"$4/tree/etc/apt/sources.list"
    ;;
install)
    cd "$3/tree"
    export DEBIAN_FRONTEND=noninteractive INITRD=No LC_ALL=C.UTF-8
    chroot . apt-get -qq -o APT::Sandbox::User=root -o Acquire::Languages=none update
    chroot . apt-get -qq -o APT::Sandbox::User=root -o Dpkg::Options::=--force-unsafe-io install "$2" >/dev/null
    ;;
esac
