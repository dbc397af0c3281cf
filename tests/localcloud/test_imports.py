"""What is there, seen by its id alone, and told as a program would declare it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from localcloud import apply as applying
from localcloud.kinds.base import Found, Kind
from localcloud.kinds.not_told import NOT_TOLD
from localcloud.program import Declared


@dataclass
class There:
    """A resource of production or its bootstrap, as it was found."""

    kind: Kind
    declared: Declared
    found: Found


@pytest.fixture(scope="module")
def there(prod):
    """Every resource that the two programs declare."""
    resources = []

    class Noting(applying._LocalProvider):
        def _converge(self, kind, declared):
            found = super()._converge(kind, declared)
            resources.append(There(kind, declared, found))
            return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(applying, "_LocalProvider", Noting)
        prod.bootstrap("prod")
        prod.apply("prod")
    return resources


def different(resources, same):
    """Name those of which something does not hold."""
    return [f"{one.kind.type} {one.declared.name}" for one in resources if not same(one)]


def test_every_resource_is_got_by_its_id(there):
    assert len(there) > 200
    assert different(there, lambda one: one.kind.get(one.found.id) == one.found) == []


def test_what_is_there_is_told_as_a_program_would_declare_it(there):
    def same(one):
        wanted = one.kind.wanted(one.kind.inputs_of(one.kind.get(one.found.id)))
        told = wanted.keys() - NOT_TOLD.get(one.kind.type, {}).keys()
        return {key: wanted[key] for key in told} == {
            key: one.found.properties.get(key) for key in told
        }

    assert different(there, same) == []
