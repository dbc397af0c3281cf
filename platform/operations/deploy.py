"""A deploy from the lease to the proof that what was declared runs, and the way back.

Preview into a plan, show it, apply exactly that, verify; when that fails, put the services back to
the last release that was good. A rollback is the same with an older release's services. Data is
never put back: only what runs is.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.program import service_in, stack_file
from operations.account import StackAccount
from operations.changes import Change, check, summary
from operations.engine import Engine, OnEvent
from operations.errors import OperationError, WrongInput
from operations.lease import LeaseLost
from operations.progress import Say
from operations.releases import DamagedRelease, Release, Releases, What
from operations.replaced import changes_ahead
from operations.under_lease import UnderLease, under_lease, whoami
from operations.verify import declared_services, declared_url, verify_ready, verify_running

_SERVICES = "retainwise:services"


class DeployFailed(OperationError):
    """A deploy did not end well; the message says why, and what runs now."""


class NotConfirmed(OperationError):
    """The person said no."""


class NoSuchRelease(WrongInput):
    """There is nothing to go back to."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for what was deployed, seconds."""

    running_s: float = 15 * 60
    ready_s: float = 5 * 60


@dataclass(frozen=True)
class Deployment:
    """What a deploy and a rollback of one stack have in common.

    url: of the service, where it is another than the stack's own.
    may_go_on: asked with the changes, before anything is changed.
    """

    account: StackAccount
    engine: Engine
    say: Say
    may_go_on: Callable[[list[Change]], bool]
    on_event: OnEvent = lambda _event: None
    url: str | None = None
    patience: Patience = Patience()

    def deploy(self, allow_replace: Collection[str] = ()) -> Release | None:
        """Bring what the checkout declares; None when there is nothing to change.

        Raises what `under_lease` raises; StateLocked, CannotSettle, NotAllowed, NotConfirmed and
        EngineFailed before AWS is changed; DeployFailed afterwards.
        """
        revision, is_dirty = _revision(self.engine.folder)
        what = f"deploy {revision[:7]}" if revision else "deploy"
        return self._under_lease(
            what, lambda: _New("deploy", revision, is_dirty, None), allow_replace
        )

    def roll_back(
        self, to: str | None = None, allow_replace: Collection[str] = ()
    ) -> Release | None:
        """Bring back what ran in an earlier release, by default in the last good one before this.

        Raises what `deploy` raises, and NoSuchRelease.
        """

        def earlier() -> _New:
            release = self._earlier(to)
            self.say(f"going back to release {release.id} of {release.started:%Y-%m-%d %H:%M} UTC")
            return _New("rollback", release.revision, release.dirty, release)

        return self._under_lease("roll back", earlier, allow_replace)

    @property
    def releases(self) -> Releases:
        """The stack's release records."""
        account = self.account
        return Releases(account.session.client("s3"), account.state_bucket, account.stack)

    def _under_lease(
        self, what: str, new: Callable[[], _New], allow_replace: Collection[str]
    ) -> Release | None:
        with under_lease(self.account, what, self.say) as held, TemporaryDirectory() as folder:
            fenced = replace(self, account=held.account, engine=held.engine(self.engine))
            return _Run(fenced, Path(folder), held, allow_replace).bring(new())

    def _earlier(self, to: str | None) -> Release:
        if to is not None:
            return self._good(to)
        releases = self.releases.newest_first()
        for newest in releases:
            if newest.result == "put back":
                continue  # it left what ran before
            good = (one for one in releases if one.result == "good")
            if newest.result != "good":  # it may run in part
                if newest.puts_back is not None:  # a rollback: to where it was going
                    return self._good(newest.puts_back)
                if (before := next(good, None)) is not None:
                    return before
                break
            runs = newest
            if newest.puts_back is not None:
                runs = self.releases.get(newest.puts_back) or newest
            for one in good:
                # Older than what runs, or a second rollback would undo the first.
                is_older = one.id < runs.id and one.puts_back is None
                if is_older and _services_of(one.configuration) != _services_of(runs.configuration):
                    return one
        raise NoSuchRelease(
            f"{self.account.stack} has no good release with other images or settings before this "
            f"one; `retainwise releases {self.account.stack}` lists all there are"
        )

    def _good(self, release_id: str) -> Release:
        found = self.releases.get(release_id)
        if found is None or found.result != "good":
            raise NoSuchRelease(
                f"{release_id!r} is no good release of {self.account.stack}; "
                f"`retainwise releases {self.account.stack}` lists them"
            )
        return found


@dataclass(frozen=True)
class _New:
    """What is to be brought."""

    what: What
    revision: str | None
    is_dirty: bool
    services_of: Release | None


@dataclass(frozen=True)
class _Run:
    """One deploy under its lease."""

    of: Deployment
    folder: Path
    held: UnderLease
    allow_replace: Collection[str]

    def bring(self, new: _New) -> Release | None:
        of = self.of
        self._heal()
        self._note_what_was_cut_off()
        config = self._config(new.services_of)
        plan = self.folder / f"{new.what}.json"
        of.say(f"looking at what {of.account.stack} has in AWS, and what is to change")
        with self._changes_ahead(plan, config) as changes:
            for line in summary(changes):
                of.say(line)
            check(changes, self.allow_replace)
            if changes and not of.may_go_on(changes):
                raise NotConfirmed("nothing in AWS was changed")
        if not changes:
            state = of.engine.state()
            if any(one.get("delete") for one in state):
                self._apply(plan, config)  # replaced and gone: the update's own look drops it
            self._verify(state)
            self._finish_what_was_cut_off(new, config)
            return None
        configuration = _configuration(config)
        release = of.releases.start(
            revision=new.revision,
            dirty=new.is_dirty,
            images=_images(configuration),
            configuration=configuration,
            who=whoami(),
            what=new.what,
            puts_back=new.services_of.id if new.services_of else None,
        )
        try:
            self._apply(plan, config)
            self._verify(of.engine.state())
        except KeyboardInterrupt:
            self._note(release, "it was cancelled")
            raise
        except Exception as exc:
            if self.held.is_over:  # what is to be done now, the next one does
                raise
            self._put_back(release, str(exc))
        return of.releases.finish(release, "good")

    def _heal(self) -> None:
        of = self.of
        self.held.heal(of.engine, service_in(of.engine.folder), of.say)

    def _changes_ahead(self, plan: Path, config: Path) -> AbstractContextManager[list[Change]]:
        of = self.of
        return changes_ahead(of.engine, of.say, plan=plan, config_file=config, on_event=of.on_event)

    def _apply(self, plan: Path, config: Path) -> None:
        self.of.engine.up(plan=plan, config_file=config, on_event=self.of.on_event)

    def _verify(self, state: Sequence[Mapping[str, Any]]) -> None:
        of = self.of
        verify_running(of.account, declared_services(state), of.patience.running_s, of.say)
        if url := of.url or declared_url(state):
            verify_ready(url, of.patience.ready_s, of.say)
        if self.held.is_over:
            raise LeaseLost(f"{of.account.stack}: the deploy lease was lost meanwhile")

    def _note_what_was_cut_off(self) -> None:
        """Note that of the newest release nobody is at work: the lease is ours."""
        with suppress(DamagedRelease):  # of which more is said where it matters
            newest = next(self.of.releases.newest_first(), None)
            if newest is not None and newest.result == "running":
                self.of.releases.finish(newest, "failed", "it was cut off")

    def _finish_what_was_cut_off(self, new: _New, config: Path) -> None:
        """Note that the newest release runs after all, where nobody was left to see it come up.

        That is known of the same commit, or the same release brought back, and configuration.
        """
        try:
            newest = next(self.of.releases.newest_first(), None)
        except DamagedRelease as exc:
            self.of.say(f"warning: {exc}")
            return
        if newest is None or newest.result != "failed":
            return
        if new.services_of is not None:
            is_known = new.services_of.id == newest.puts_back
        else:
            is_clean = new.revision is not None and not (new.is_dirty or newest.dirty)
            is_known = is_clean and new.revision == newest.revision
        if is_known and newest.configuration == _configuration(config):
            self.of.releases.finish(newest, "good")
            self.of.say(f"release {newest.id}, which nobody saw come up, runs")

    def _note(self, failed: Release, why: str) -> None:
        """Note how it failed, where that can be written still; what it has to say matters more."""
        with suppress(BotoCoreError, ClientError):
            self.of.releases.finish(failed, "failed", why)

    def _put_back(self, failed: Release, why: str) -> NoReturn:
        """Bring back the services of the last good release; raise DeployFailed in any case."""
        of = self.of
        of.say(f"release {failed.id} failed: {why}")
        if failed.what == "rollback":  # the last good one is what somebody wanted to get away from
            self._note(failed, why)
            raise DeployFailed(f"{why}\nNothing was put back.")
        try:
            good = of.releases.last_good(before=failed.id)
        except (DamagedRelease, BotoCoreError, ClientError) as exc:
            self._note(failed, why)
            raise DeployFailed(f"{why}\nNothing was put back: {exc}") from exc
        if good is None:
            self._note(failed, why)
            raise DeployFailed(f"{why}\nThere is no good release to put back.")
        of.say(f"putting back release {good.id}")
        config = self._config(good)
        plan = self.folder / "put-back.json"
        try:
            with self._changes_ahead(plan, config) as changes:
                check(changes, self.allow_replace)
            self._apply(plan, config)
            self._verify(of.engine.state())
        except Exception as exc:
            self._note(failed, why)
            raise DeployFailed(
                f"{why}\nRelease {good.id} could not be put back either: {exc}"
            ) from exc
        of.releases.finish(failed, "put back", why)
        raise DeployFailed(
            f"{why}\nRelease {good.id} was put back and runs. "
            f"{stack_file(of.account.stack).name} still names the one that failed."
        )

    def _config(self, services_of: Release | None) -> Path:
        """Return the stack's file as it is to be used: with an older release's services, or not."""
        file = stack_file(self.of.account.stack, self.of.engine.folder)
        if services_of is None:
            # As it is: another reader of YAML may take an odd value for something else.
            return Path(shutil.copy(file, self.folder / "checkout.yaml"))
        document = yaml.safe_load(file.read_text("utf-8"))
        document["config"][_SERVICES] = _services_of(services_of.configuration)
        path = self.folder / f"{services_of.id}.yaml"
        path.write_text(yaml.safe_dump(document), "utf-8")
        return path


def _configuration(path: Path) -> dict[str, Any]:
    configuration: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))["config"]
    return configuration


def _services_of(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    services: Mapping[str, Any] = configuration.get(_SERVICES) or {}
    return services


def _images(configuration: Mapping[str, Any]) -> dict[str, str]:
    services = _services_of(configuration)
    return {name: settings["image_digest"] for name, settings in services.items()}


def _revision(folder: Path) -> tuple[str | None, bool]:
    """Return the checkout's commit, and whether there is more than it says; none without git."""
    with suppress(OSError, subprocess.CalledProcessError):
        return _git(folder, "rev-parse", "HEAD"), bool(_git(folder, "status", "--porcelain"))
    return None, False


def _git(folder: Path, *arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        raise FileNotFoundError("git")
    done = subprocess.run([git, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()
