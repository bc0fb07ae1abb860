"""Layers from inside on real Debian: booted, and made again elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.ordinary_user import ordinary_user
from tests.support.project import Project

LAYERS = """
  - packages: {install: [cron, jq], preseed: ["tzdata tzdata/Areas select Europe"]}
  - run: |
      jq --version >/srv/said
      adduser --system --group app
      install -o app -g app -m 0640 /srv/said /srv/mine
  - script: {file: setup.sh, inputs: {data: files}, env: {GREETING: "hello"}}
test:
  run: [systemctl is-active cron, test -s /srv/said, grep -x hello /srv/greeting, getent passwd app]
boot:"""
SETUP = """#!/bin/bash
set -eu
cp -R "$data/minimal/etc/motd" /srv/motd
echo "$GREETING" >/srv/greeting
systemctl enable cron
"""


@pytest.mark.boot
@pytest.mark.soak(whole=1)
def test_layers_boot_and_are_the_same_elsewhere(tmp_path: Path) -> None:
    """V11, V12: an image with layers of each kind boots, its service runs, and another folder gives the same bytes."""
    digests = []
    lock = None
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        user = ordinary_user(tmp_path / name)
        project = Project.make(user.home / "project", user)
        recipe = project.top / "recipes/minimal.yaml"
        recipe.write_text(recipe.read_text().replace("\nboot:", LAYERS))
        (project.top / "recipes/setup.sh").write_text(SETUP)
        if lock is not None:
            (project.top / "recipes/minimal.lock").write_text(lock)
        project.give_away()
        project.doit("raw")
        digests.append(project.digest("minimal/minimal.raw"))
        lock = (project.top / "recipes/minimal.lock").read_text()
        if name == "one":
            assert "nonce seen" in project.doit("qemu-test")
        shutil.rmtree(project.top)
    assert digests[0] == digests[1]
