"""What Amazon's cloud imports: a streamOptimized VMDK, and beside it what `aws ec2 import-image` is to be told."""

from __future__ import annotations

import json
from dataclasses import dataclass

from bootsmith.tasks.build.parameters import Params
from bootsmith.tasks.build.stage import Context
from bootsmith.tasks.disk.formats import image, vmdk
from bootsmith.tasks.disk.formats.image import ImageParams


@dataclass(frozen=True)
class AwsParams(Params):
    """The image, and what the request tells of it: where it will be, `key` in `bucket`, and what starts it."""

    image: ImageParams
    bucket: str
    key: str
    description: str
    architecture: str
    boot_mode: str


def run(ctx: Context) -> None:
    """Make a stage's VMDK and its request."""
    params = AwsParams.of(ctx)
    vmdk.run_stream(ctx, ctx.outputs["image"], image.origin(ctx.inputs["disk"], params.image))
    ctx.outputs["request"].write_text(json.dumps(request(params), indent=2) + "\n")


def request(params: AwsParams) -> dict[str, object]:
    """Return the request, as `aws ec2 import-image --cli-input-json` reads it."""
    place = {"S3Bucket": params.bucket, "S3Key": params.key}
    return {
        "Description": params.description,
        "Architecture": params.architecture,
        "BootMode": params.boot_mode,
        "Platform": "Linux",
        "LicenseType": "BYOL",
        "DiskContainers": [{"Description": params.description, "Format": "vmdk", "UserBucket": place}],
    }
