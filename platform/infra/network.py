"""Where the tasks run: private subnets with no way to the internet, in or out.

The load balancer alone stands in public subnets. Who may talk to whom is said by naming security
groups, never by addresses; the one exception is the load balancer, which the whole world may reach.
"""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from infra.settings import ZONES, NetworkSettings

HTTPS = 443
ANYWHERE = "0.0.0.0/0"


class Network(pulumi.ComponentResource):
    """A VPC: a private subnet in each zone of tasks, a public one in each of the load balancer.

    `is_public`: whether there is anything for the public subnets to hold.
    """

    def __init__(
        self,
        name: str,
        settings: NetworkSettings,
        region: str,
        *,
        is_public: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:Network", name, None, opts)
        self._inside = pulumi.ResourceOptions(parent=self)
        self._name, self._region = name, region
        self.vpc = aws.ec2.Vpc(
            name,
            cidr_block=str(settings.cidr),
            # Endpoints are found by AWS's own names, which then resolve to private addresses.
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": name},
            opts=self._inside,
        )
        # The group that whatever names none would get lets nothing in and nothing out.
        aws.ec2.DefaultSecurityGroup(
            name, vpc_id=self.vpc.id, ingress=[], egress=[], opts=self._inside
        )
        # A sixteenth each by the zone's letter, private ones from below and public ones from above:
        # adding a zone moves none that is there.
        blocks = [str(block) for block in settings.cidr.subnets(prefixlen_diff=4)]
        block_of = dict(zip(ZONES, blocks, strict=False))
        public_block_of = dict(zip(ZONES, reversed(blocks), strict=False))
        self.subnets = {
            zone: self._subnet("private", zone, block_of[zone]) for zone in settings.zones
        }
        # One table for all of them, with no route in it but those to inside and to gateways.
        self.private_routes = self._routes("private", self.subnets)
        self.public_subnets = {}
        self.internet: list[pulumi.Resource] = []
        """The way out of the public subnets: without it AWS makes no load balancer there."""
        if is_public:
            self.public_subnets = {
                zone: self._subnet("public", zone, public_block_of[zone])
                for zone in settings.public_zones
            }
            gateway = aws.ec2.InternetGateway(
                name, vpc_id=self.vpc.id, tags={"Name": name}, opts=self._inside
            )
            route = aws.ec2.Route(
                f"{name}-internet",
                route_table_id=self._routes("public", self.public_subnets).id,
                destination_cidr_block=ANYWHERE,
                gateway_id=gateway.id,
                opts=self._inside,
            )
            self.internet = [gateway, route]
        self.register_outputs({"vpc_id": self.vpc.id})

    @property
    def private_subnet_ids(self) -> list[pulumi.Output[str]]:
        """Where tasks and endpoints are."""
        return [subnet.id for subnet in self.subnets.values()]

    @property
    def public_subnet_ids(self) -> list[pulumi.Output[str]]:
        """Where the load balancer is."""
        return [subnet.id for subnet in self.public_subnets.values()]

    def security_group(
        self, name: str, what: str, parent: pulumi.Resource
    ) -> aws.ec2.SecurityGroup:
        """Make a group that lets nothing in and nothing out; `let` opens it."""
        return aws.ec2.SecurityGroup(
            name,
            name=name,
            description=what,
            vpc_id=self.vpc.id,
            tags={"Name": name},
            # A group in use cannot be deleted, and a name cannot be there twice.
            opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
        )

    def _subnet(self, kind: str, zone: str, block: str) -> aws.ec2.Subnet:
        name = f"{self._name}-{kind}-{zone}"
        return aws.ec2.Subnet(
            name,
            vpc_id=self.vpc.id,
            availability_zone=f"{self._region}{zone}",
            cidr_block=block,
            # The load balancer gets its public addresses from AWS by being internet-facing.
            map_public_ip_on_launch=False,
            tags={"Name": name},
            opts=self._inside,
        )

    def _routes(self, kind: str, subnets: dict[str, aws.ec2.Subnet]) -> aws.ec2.RouteTable:
        table = aws.ec2.RouteTable(
            f"{self._name}-{kind}",
            vpc_id=self.vpc.id,
            tags={"Name": f"{self._name}-{kind}"},
            opts=self._inside,
        )
        for zone, subnet in subnets.items():
            aws.ec2.RouteTableAssociation(
                f"{self._name}-{kind}-{zone}",
                route_table_id=table.id,
                subnet_id=subnet.id,
                opts=self._inside,
            )
        return table


def let(
    name: str,
    group: aws.ec2.SecurityGroup,
    peer: aws.ec2.SecurityGroup,
    port: int,
) -> list[pulumi.Resource]:
    """Let the members of one group open connections to those of another on one port.

    Returns the rules, for what must not start without them.
    """
    out = aws.vpc.SecurityGroupEgressRule(
        name,
        security_group_id=group.id,
        referenced_security_group_id=peer.id,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        description=name,
        opts=pulumi.ResourceOptions(parent=group),
    )
    into = aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=peer.id,
        referenced_security_group_id=group.id,
        ip_protocol="tcp",
        from_port=port,
        to_port=port,
        description=name,
        opts=pulumi.ResourceOptions(parent=peer),
    )
    return [out, into]
