"""Repositories of images, and which images they let go by themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from localcloud.kinds.base import Found, Inputs, Kind, Tags, pairs_from, tags_from


class Repository(Kind):
    """A repository, by its name."""

    type = "aws:ecr/repository:Repository"
    defaults: ClassVar = {
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
        "imageScanningConfiguration": {"scanOnPush": False},
        "imageTagMutability": "MUTABLE",
    }
    replaced_for = frozenset({"encryptionConfigurations", "name"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["name"])

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            answer = self.aws.ecr.describe_repositories(repositoryNames=[resource_id])
        except self.aws.ecr.exceptions.RepositoryNotFoundException:
            return None
        [one] = answer["repositories"]
        return self._found(one)

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        values = {**super().wanted(inputs)}
        values.pop("forceDelete", None)  # how to delete it, not how it is
        return values

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        wanted = self.wanted(inputs)
        [encryption] = wanted["encryptionConfigurations"]
        self.aws.ecr.create_repository(
            repositoryName=wanted["name"],
            imageTagMutability=wanted["imageTagMutability"],
            imageScanningConfiguration=wanted["imageScanningConfiguration"],
            encryptionConfiguration=encryption,
            tags=pairs_from(tags),
        )

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        for key, value in differing.items():
            match key:
                case "imageTagMutability":
                    self.aws.ecr.put_image_tag_mutability(
                        repositoryName=found.id, imageTagMutability=value
                    )
                case "imageScanningConfiguration":
                    self.aws.ecr.put_image_scanning_configuration(
                        repositoryName=found.id, imageScanningConfiguration=value
                    )
                case _:
                    raise self.fixed(found, [key])

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.ecr.tag_resource(resourceArn=found.outputs["arn"], tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for page in self.aws.ecr.get_paginator("describe_repositories").paginate():
            for one in page["repositories"]:
                found = self._found(one)
                if self.is_ours(found.tags):
                    yield found

    def delete(self, found: Found) -> None:
        """See Kind. AWS refuses while there is an image in it."""
        self.aws.ecr.delete_repository(repositoryName=found.id)

    def _found(self, one: Mapping[str, Any]) -> Found:
        arn, name = one["repositoryArn"], one["repositoryName"]
        properties = {
            "name": name,
            "imageTagMutability": one["imageTagMutability"],
            "imageScanningConfiguration": one["imageScanningConfiguration"],
            "encryptionConfigurations": [one["encryptionConfiguration"]],
        }
        tags = tags_from(self.aws.ecr.list_tags_for_resource(resourceArn=arn)["tags"])
        outputs = {"arn": arn, "repositoryUrl": one["repositoryUri"]}
        return Found(name, properties, outputs, tags)


class LifecyclePolicy(Kind):
    """Which images a repository lets go, and when."""

    type = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    has_tags = False
    documents = frozenset({"policy"})
    replaced_for = frozenset({"policy", "repository"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self._of(inputs["repository"], {})

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            return self._of(resource_id, {})
        except self.aws.ecr.exceptions.RepositoryNotFoundException:
            return None

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["repository"])

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self._put(inputs["repository"], inputs["policy"])

    def change(self, found: Found, differing: Mapping[str, Any]) -> None:
        """See Kind."""
        self._put(found.id, json.dumps(differing["policy"]))

    def owned(self) -> Iterable[Found]:
        """The policy of each repository of the stack, protected as the repository is."""
        for repository in Repository(self.aws, self.stack).owned():
            if found := self._of(repository.id, repository.tags):
                yield found

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.ecr.delete_lifecycle_policy(repositoryName=found.id)

    def _of(self, repository: str, tags: Tags) -> Found | None:
        try:
            answer = self.aws.ecr.get_lifecycle_policy(repositoryName=repository)
        except self.aws.ecr.exceptions.LifecyclePolicyNotFoundException:
            return None
        policy = json.loads(answer["lifecyclePolicyText"])
        return Found(repository, {"repository": repository, "policy": policy}, {}, tags)

    def _put(self, repository: str, policy: str) -> None:
        self.aws.ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=policy)
