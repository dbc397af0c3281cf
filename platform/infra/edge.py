"""Where people come in: the load balancer with its name, certificate, firewall and log.

Nothing is forwarded before somebody has signed in, but calls of the API that carry a token of the
service's own: the app checks those, and believes no other sign of identity that comes with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import pulumi
import pulumi_aws as aws

from infra.firewall import Firewall
from infra.identity import Account
from infra.network import ANYWHERE, HTTPS, Network
from infra.settings import DataSettings, EdgeSettings
from infra.sign_in import SignIn
from infra.storage import PrivateBucket
from infra.trails import may_write

_ONLY_TLS_1_3 = "ELBSecurityPolicy-TLS13-1-3-2021-06"
# A page that waits says so every 10 s; an upload is never silent for so long.
_IDLE_S = 60
_HEALTHY = {
    # Not /readyz: where a dependency of all is away, replacing every task mends nothing.
    "path": "/healthz",
    "interval": 5,
    "timeout": 4,
    "healthy_threshold": 2,
    "unhealthy_threshold": 2,
    "matcher": "200",
}
# A request that is under way is given so long when its task goes: with AWS's 300 s a deploy waits.
_DEREGISTRATION_S = 5


class Target(Protocol):
    """What a service stands behind."""

    @property
    def arn(self) -> pulumi.Output[str]:
        """The target group's."""

    @property
    def group(self) -> aws.ec2.SecurityGroup:
        """Where requests come from."""

    @property
    def listeners(self) -> Sequence[pulumi.Resource]:
        """What must be there before tasks can be registered."""


class Edge(pulumi.ComponentResource):
    """The load balancer at `settings.host`, in front of the one service that people reach."""

    def __init__(
        self,
        name: str,
        settings: EdgeSettings,
        data: DataSettings,
        *,
        account: Account,
        network: Network,
        port: int,
        log_days: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("retainwise:infra:Edge", name, None, opts)
        self._name, self._settings = name, settings
        self._inside = pulumi.ResourceOptions(parent=self)
        self.group = self._security_group(network)
        self.sign_in = SignIn(
            name,
            settings.host,
            account,
            session_hours=settings.session_hours,
            protect=data.protect,
            opts=self._inside,
        )
        logs = self.logs = self._log_bucket(account, log_days)
        self.load_balancer = aws.lb.LoadBalancer(
            name,
            name=name,
            load_balancer_type="application",
            internal=False,
            subnets=network.public_subnet_ids,
            security_groups=[self.group.id],
            access_logs=aws.lb.LoadBalancerAccessLogsArgs(bucket=logs.bucket, enabled=True),
            # What is no proper HTTP is refused, not passed on.
            drop_invalid_header_fields=True,
            desync_mitigation_mode="strictest",
            idle_timeout=_IDLE_S,
            enable_deletion_protection=data.protect,
            # The log is written as soon as it is on, so the bucket must allow that already.
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=data.protect,
                delete_before_replace=True,
                depends_on=[logs.policy, *network.internet],
            ),
        )
        self._target = aws.lb.TargetGroup(
            name,
            name=name,
            vpc_id=network.vpc.id,
            port=port,
            protocol="HTTP",  # inside the VPC, from the one group that may connect
            target_type="ip",
            deregistration_delay=_DEREGISTRATION_S,
            health_check=aws.lb.TargetGroupHealthCheckArgs(**_HEALTHY),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.arn = self._target.arn
        self.listeners = self._listen()
        self._name_it()
        self.firewall = Firewall(name, settings, self.load_balancer.arn, opts=self._inside)
        self.environment: dict[str, pulumi.Input[str]] = {
            "IDENTITY_PROVIDER": "load-balancer",
            "SIGN_IN_LOAD_BALANCER": self.load_balancer.arn,
            "SIGN_IN_CLIENT": self.sign_in.client_id,
            "SIGN_OUT_URL": self.sign_in.sign_out_url,
        }
        self.url = f"https://{settings.host}"
        self.register_outputs({"url": self.url})

    def _security_group(self, network: Network) -> aws.ec2.SecurityGroup:
        name = f"{self._name}-load-balancer"
        group = network.security_group(name, "The load balancer", parent=self)
        inside = pulumi.ResourceOptions(parent=group)
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-from-anywhere",
            security_group_id=group.id,
            cidr_ipv4=ANYWHERE,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            description="People and programs",
            opts=inside,
        )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-to-sign-in",
            security_group_id=group.id,
            cidr_ipv4=ANYWHERE,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            description="Asks the identity provider, at public addresses, who somebody is",
            opts=inside,
        )
        return group

    def _log_bucket(self, account: Account, log_days: int) -> PrivateBucket:
        name = f"{self._name}-access-logs-{account.id}"
        return PrivateBucket(
            name,
            protect=False,  # a copy of what has been; it goes by itself
            key_arn=None,  # the load balancer writes with S3's own key and no other
            old_version_days=1,
            expire_days=log_days,
            also_allow=[
                {
                    "Sid": "LoadBalancerWrites",
                    "Effect": "Allow",
                    "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
                    "Action": "s3:PutObject",
                    "Resource": f"arn:aws:s3:::{name}/AWSLogs/{account.id}/*",
                    "Condition": {
                        "ArnLike": {
                            "aws:SourceArn": account.arn(
                                "elasticloadbalancing", f"loadbalancer/app/{self._name}/*"
                            )
                        }
                    },
                },
                *may_write(f"arn:aws:s3:::{name}", account),
            ],
            opts=self._inside,
        )

    def _certificate(self) -> pulumi.Output[str]:
        """Have a certificate made, and prove by a record that the name is ours."""
        certificate = aws.acm.Certificate(
            self._name,
            domain_name=self._settings.host,
            validation_method="DNS",
            opts=self._inside,
        )
        proof = certificate.domain_validation_options[0]
        record = aws.route53.Record(
            f"{self._name}-proof",
            zone_id=self._settings.hosted_zone_id,
            name=proof.resource_record_name,
            type=proof.resource_record_type,
            records=[proof.resource_record_value],
            ttl=300,
            allow_overwrite=True,  # the same name always has the same proof
            opts=self._inside,
        )
        validated = aws.acm.CertificateValidation(
            self._name,
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn],
            opts=self._inside,
        )
        arn: pulumi.Output[str] = validated.certificate_arn
        return arn

    def _listen(self) -> list[pulumi.Resource]:
        listener = aws.lb.Listener(
            self._name,
            load_balancer_arn=self.load_balancer.arn,
            port=HTTPS,
            protocol="HTTPS",
            ssl_policy=_ONLY_TLS_1_3,
            certificate_arn=self._certificate(),
            default_actions=self._signed_in("authenticate"),
            opts=self._inside,
        )
        inside = pulumi.ResourceOptions(parent=listener)
        api = {"path_pattern": {"values": ["/api/*"]}}
        with_token = {
            "http_header": {"http_header_name": "Authorization", "values": ["Bearer rw_*"]}
        }
        return [
            listener,
            # A deploy asks it before it counts as done; it tells which dependency is away, no more.
            aws.lb.ListenerRule(
                f"{self._name}-ready",
                listener_arn=listener.arn,
                priority=5,
                conditions=[{"path_pattern": {"values": ["/readyz"]}}],
                actions=[self._forward(1)],
                opts=inside,
            ),
            aws.lb.ListenerRule(
                f"{self._name}-tokens",
                listener_arn=listener.arn,
                priority=10,
                conditions=[api, with_token],
                actions=[self._forward(1)],
                opts=inside,
            ),
            # A program, or a page whose session has ended, is told so and not sent to a form.
            aws.lb.ListenerRule(
                f"{self._name}-api",
                listener_arn=listener.arn,
                priority=20,
                conditions=[api],
                actions=self._signed_in("deny"),
                opts=inside,
            ),
        ]

    def _signed_in(self, otherwise: str) -> list[Any]:
        """Find out who it is before anything is forwarded."""
        return [
            {
                "type": "authenticate-cognito",
                "order": 1,
                "authenticate_cognito": {
                    "user_pool_arn": self.sign_in.pool_arn,
                    "user_pool_client_id": self.sign_in.client_id,
                    "user_pool_domain": self.sign_in.domain,
                    "scope": "openid email profile",
                    "session_timeout": self._settings.session_hours * 3600,
                    "on_unauthenticated_request": otherwise,
                },
            },
            self._forward(2),
        ]

    def _forward(self, order: int) -> dict[str, Any]:
        return {"type": "forward", "order": order, "target_group_arn": self._target.arn}

    def _name_it(self) -> None:
        aws.route53.Record(
            self._name,
            zone_id=self._settings.hosted_zone_id,
            name=self._settings.host,
            type="A",
            aliases=[
                aws.route53.RecordAliasArgs(
                    name=self.load_balancer.dns_name,
                    zone_id=self.load_balancer.zone_id,
                    evaluate_target_health=False,
                )
            ],
            opts=self._inside,
        )
