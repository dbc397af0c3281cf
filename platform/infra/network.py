"""Where the tasks run: a VPC with private subnets and no way to the internet, in or out.

The endpoints through which the tasks reach AWS, and the load balancer in front of the web service,
are added with the edge of the stack; until then nothing here is reachable from outside.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.settings import NetworkSettings

_HTTPS = 443


class Network(pulumi.ComponentResource):
    """A VPC with one private subnet in each zone."""

    def __init__(
        self,
        name: str,
        settings: NetworkSettings,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:Network", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        self._cidr = str(settings.cidr)
        self.vpc = aws.ec2.Vpc(
            name,
            cidr_block=self._cidr,
            # Endpoints are found by AWS's own names, which then resolve to private addresses.
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": name},
            opts=inside,
        )
        # A sixteenth each: adding a zone never moves the subnets that are there.
        blocks = settings.cidr.subnets(prefixlen_diff=4)
        self.subnets = [
            aws.ec2.Subnet(
                f"{name}-private-{zone}",
                vpc_id=self.vpc.id,
                availability_zone=f"{region}{zone}",
                cidr_block=str(block),
                map_public_ip_on_launch=False,
                tags={"Name": f"{name}-private-{zone}"},
                opts=inside,
            )
            for zone, block in zip(settings.zones, blocks, strict=False)
        ]
        self.register_outputs({"vpc_id": self.vpc.id})

    def security_group(self, name: str, parent: pulumi.Resource) -> aws.ec2.SecurityGroup:
        """Make a service's own group: HTTPS to inside the VPC, and nobody comes in."""
        return aws.ec2.SecurityGroup(
            name,
            name=name,
            description=f"{name}: HTTPS out to the endpoints, nothing in",
            vpc_id=self.vpc.id,
            ingress=[],
            egress=[
                aws.ec2.SecurityGroupEgressArgs(
                    description="AWS, through the endpoints",
                    protocol="tcp",
                    from_port=_HTTPS,
                    to_port=_HTTPS,
                    cidr_blocks=[self._cidr],
                )
            ],
            tags={"Name": name},
            opts=pulumi.ResourceOptions(parent=parent),
        )
