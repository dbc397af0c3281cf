"""Where the images of a service are kept, and for how long."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from bootstrap.settings import ImagesSettings


class ImageRepository(pulumi.ComponentResource):
    """A service's images: what a tag names never changes, and each is searched for known holes."""

    def __init__(
        self,
        name: str,
        settings: ImagesSettings,
        key_arn: pulumi.Output[str],
        *,
        protect: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:bootstrap:ImageRepository", name, None, opts)
        repository = aws.ecr.Repository(
            name,
            name=name,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(
                scan_on_push=True
            ),
            encryption_configurations=[
                aws.ecr.RepositoryEncryptionConfigurationArgs(
                    encryption_type="KMS", kms_key=key_arn
                )
            ],
            force_delete=not protect,
            # With a fixed name, created before deleted, the new one would be what is deleted.
            opts=pulumi.ResourceOptions(parent=self, protect=protect, delete_before_replace=True),
        )
        self.url = repository.repository_url
        aws.ecr.LifecyclePolicy(
            name,
            repository=repository.name,
            policy=json.dumps({"rules": _lifecycle(settings)}),
            opts=pulumi.ResourceOptions(parent=repository),
        )
        self.register_outputs({"url": self.url})


def _lifecycle(settings: ImagesSettings) -> list[dict[str, object]]:
    return [
        {
            "rulePriority": 1,
            "description": "Layers that no release names",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": settings.untagged_days,
            },
            "action": {"type": "expire"},
        },
        {
            "rulePriority": 2,
            "description": "Releases that nobody goes back to",
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": ["*"],
                "countType": "imageCountMoreThan",
                "countNumber": settings.keep,
            },
            "action": {"type": "expire"},
        },
    ]
