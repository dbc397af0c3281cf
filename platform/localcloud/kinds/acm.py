"""Certificates, and the wait for one to be issued. The emulator issues at once, whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.kinds.base import (
    NAME_TAG,
    Found,
    Inputs,
    Kind,
    Tags,
    pairs_from,
    tags_from,
    the_one,
)

_ISSUED = "certificate_validated"
_ALIVE = ["ISSUED", "PENDING_VALIDATION"]


class Certificate(Kind):
    """A certificate. AWS gives it no name, so it is found by its tags."""

    type = "aws:acm/certificate:Certificate"
    replaced_for = frozenset(
        {"domainName", "keyAlgorithm", "subjectAlternativeNames", "validationMethod"}
    )

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return next((one for one in self.owned() if one.tags.get(NAME_TAG) == name), None)

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        try:
            return self._found(resource_id, self._tags(resource_id))
        except self.aws.acm.exceptions.ResourceNotFoundException:
            return None

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind. By the domain, as long as it is or may become valid."""
        pages = self.aws.acm.get_paginator("list_certificates").paginate(CertificateStatuses=_ALIVE)
        arns = (
            one["CertificateArn"]
            for page in pages
            for one in page["CertificateSummaryList"]
            if one["DomainName"] == inputs["domainName"]
        )
        return the_one(self._found(arn, self._tags(arn)) for arn in arns)

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        self.aws.acm.request_certificate(
            DomainName=inputs["domainName"],
            ValidationMethod=inputs["validationMethod"],
            Tags=pairs_from(tags),
        )

    def tag(self, found: Found, tags: Tags) -> None:
        """See Kind."""
        self.aws.acm.add_tags_to_certificate(CertificateArn=found.id, Tags=pairs_from(tags))

    def owned(self) -> Iterable[Found]:
        """See Kind."""
        for page in self.aws.acm.get_paginator("list_certificates").paginate():
            for one in page["CertificateSummaryList"]:
                arn = one["CertificateArn"]
                tags = self._tags(arn)
                if self.is_ours(tags):
                    yield self._found(arn, tags)

    def delete(self, found: Found) -> None:
        """See Kind."""
        self.aws.acm.delete_certificate(CertificateArn=found.id)

    def _tags(self, arn: str) -> Tags:
        return tags_from(self.aws.acm.list_tags_for_certificate(CertificateArn=arn)["Tags"])

    def _found(self, arn: str, tags: Tags) -> Found:
        one = self.aws.acm.describe_certificate(CertificateArn=arn)["Certificate"]
        # An imported one has no proofs, and one that is proven by mail has no records.
        proofs = one.get("DomainValidationOptions", ())
        properties = {
            "domainName": one["DomainName"],
            "validationMethod": next((proof["ValidationMethod"] for proof in proofs), None),
        }
        options = [
            {
                "domainName": proof["DomainName"],
                "resourceRecordName": proof["ResourceRecord"]["Name"],
                "resourceRecordType": proof["ResourceRecord"]["Type"],
                "resourceRecordValue": proof["ResourceRecord"]["Value"],
            }
            for proof in proofs
            if "ResourceRecord" in proof
        ]
        return Found(arn, properties, {"arn": arn, "domainValidationOptions": options}, tags)


class CertificateValidation(Kind):
    """That a certificate is issued, by the records that prove whose the name is."""

    type = "aws:acm/certificateValidation:CertificateValidation"
    has_tags = False
    replaced_for = frozenset({"certificateArn", "validationRecordFqdns"})

    def find(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind."""
        return self.get(inputs["certificateArn"])

    def look_for(self, name: str, inputs: Inputs) -> Found | None:
        """See Kind. AWS's provider imports none; to make one of what is issued changes nothing."""
        return None

    def get(self, resource_id: str) -> Found | None:
        """See Kind."""
        arn = resource_id
        try:
            one = self.aws.acm.describe_certificate(CertificateArn=arn)["Certificate"]
        except self.aws.acm.exceptions.ResourceNotFoundException:
            return None
        if one["Status"] != "ISSUED":
            return None
        proofs = one["DomainValidationOptions"]
        properties = {
            "certificateArn": arn,
            "validationRecordFqdns": sorted(
                proof["ResourceRecord"]["Name"].rstrip(".")
                for proof in proofs
                if "ResourceRecord" in proof
            ),
        }
        return Found(arn, properties, {"certificateArn": arn})

    def wanted(self, inputs: Inputs) -> Mapping[str, Any]:
        """See Kind."""
        names = sorted(name.rstrip(".") for name in inputs["validationRecordFqdns"])
        return {**super().wanted(inputs), "validationRecordFqdns": names}

    def create(self, inputs: Inputs, tags: Tags) -> None:
        """See Kind."""
        waiter = self.aws.acm.get_waiter(_ISSUED)
        waiter.wait(CertificateArn=inputs["certificateArn"])
