"""Hidden rows behind every relation: at one time they have what a question asks for, at another they do not.

Nothing is assumed about who sees what. A row that a person does not see is linked to one that they do see; where it stays
hidden after that, a question can lead to it. Directus alone says which rows those are.
"""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from directus.rest import Directus
from tests.security.directus.questions.graph import MARKER, Collection, Edge, collections_as_seen, edges_of
from tests.security.directus.world import World

#: Rows of these decide what people may do: only those made here are changed.
_SYSTEM: Final = "directus_"
#: What people may do hangs on these links; a person's own rows keep theirs.
_RIGHTS: Final = frozenset({("directus_users", "role"), ("directus_roles", "parent")})
#: How many rows are tried for a link.
_VISIBLE: Final = 3
_HIDDEN: Final = 3


@dataclass
class Hiding:
    """What one person sees, which edges lead them to hidden rows, and the two states of those rows."""

    admin: Directus
    person: Directus
    edges: tuple[Edge, ...]
    collections: dict[str, Collection]
    #: The visible row from which an edge leads to a hidden one.
    start_of: dict[Edge, str] = field(default_factory=dict)
    _states: dict[bool, dict[str, dict[str, Any]]] = field(default_factory=lambda: {True: {}, False: {}})
    _before: dict[str, dict[str, Any]] = field(default_factory=dict)

    def show(self, *, present: bool) -> None:
        """Give every hidden row what is asked for, or take it away; visible rows stay as they are."""
        for row, values in self._states[present].items():
            self.admin.call("PATCH", f"{row}", values)

    def place(self, own: Iterable[str]) -> None:
        """Find hidden rows for every edge; of Directus's own collections only the rows `own` may be changed."""
        mine = set(own)
        changeable = {
            name: [key for key in one.hidden if not name.startswith(_SYSTEM) or one.row(key) in mine]
            for name, one in self.collections.items()
        }
        for edge in self.edges:
            source, target, hidden = (
                self.collections[edge.source],
                self.collections[edge.target],
                changeable[edge.target],
            )
            if source.keys and hidden:
                place = self._place_many if edge.many else self._place_one
                start = place(edge, source, target, hidden[:_HIDDEN])
                if start is not None:
                    self.start_of[edge] = start
        for name, collection in self.collections.items():
            linked = [key for key in changeable[name] if collection.row(key) in self._states[True]]
            for key in dict.fromkeys([*linked, *changeable[name][:_HIDDEN]]):
                if collection.text is not None:
                    self._mark(collection, key, collection.text)

    def restore(self) -> None:
        """Write back whatever was changed."""
        for row, values in self._before.items():
            self.admin.call("PATCH", f"{row}", values)

    def _place_many(
        self, edge: Edge, source: Collection, target: Collection, hidden: list[str]
    ) -> str | None:
        for start in source.keys[:_VISIBLE]:
            for key in hidden:
                if not self._links(target, key, edge.link, start):
                    continue
                if self._sees(source, start) and not self._sees(target, key):
                    away = next(
                        (one for one in source.hidden if self._links(target, key, edge.link, one)), None
                    )
                    if away is None and not self._links(target, key, edge.link, None):
                        break
                    self._state(True, target, key, edge.link, start)
                    self._state(False, target, key, edge.link, away)
                    return start
                self._undo(target, key, edge.link)
        return None

    def _place_one(self, edge: Edge, source: Collection, target: Collection, hidden: list[str]) -> str | None:
        if (source.name, edge.link) in _RIGHTS:
            return None
        for start in reversed(source.keys[-_VISIBLE:]):
            for key in hidden:
                if not self._links(source, start, edge.link, key):
                    continue
                if self._sees(source, start) and not self._sees(target, key):
                    return start
                self._undo(source, start, edge.link)
        return None

    def _links(self, collection: Collection, key: str, link: str, value: str | None) -> bool:
        """Try to write a link; what it was is kept for `restore`."""
        row = collection.row(key)
        before = self.admin.call("GET", f"{row}?fields={link}")[link]
        if self.admin.answer("PATCH", f"{row}?fields={link}", {link: value})[0] != HTTPStatus.OK:
            return False
        self._before.setdefault(row, {}).setdefault(link, before)
        return True

    def _undo(self, collection: Collection, key: str, link: str) -> None:
        row = collection.row(key)
        self.admin.call("PATCH", f"{row}", {link: self._before[row][link]})

    def _mark(self, collection: Collection, key: str, text: str) -> None:
        row = collection.row(key)
        before = self.admin.call("GET", f"{row}?fields={text}")[text]
        self._before.setdefault(row, {}).setdefault(text, before)
        self._state(True, collection, key, text, f"{MARKER} {key}"[:40])
        self._state(False, collection, key, text, "aardvark")

    def _state(self, present: bool, collection: Collection, key: str, name: str, value: Any) -> None:  # noqa: FBT001
        self._states[present].setdefault(collection.row(key), {})[name] = value

    def _sees(self, collection: Collection, key: str) -> bool:
        filtered = f'{{"{collection.primary}":{{"_eq":"{key}"}}}}'
        status, answer = self.person.answer(
            "GET", f"{collection.path}?fields={collection.primary}&filter={filtered}"
        )
        return status == HTTPStatus.OK and bool(answer["data"])


@contextmanager
def hiding(world: World, person: str) -> Iterator[Hiding]:
    """Everything that can be hidden from a person, hidden; afterwards all is as it was before."""
    made = _strangers(world)
    edges = edges_of(world.admin.call("GET", "/relations"))
    names = {edge.source for edge in edges} | {edge.target for edge in edges}
    collections = collections_as_seen(world.admin, world.as_(person), names)
    hidden = Hiding(world.admin, world.as_(person), edges, collections)
    try:
        hidden.place(made)
        for present in (False, True):
            hidden.show(present=present)
            again = collections_as_seen(world.admin, world.as_(person), names)
            moved = [name for name, one in again.items() if one.keys != collections[name].keys]
            assert moved == [], "what the person sees must not change with what is hidden"
        yield hidden
    finally:
        hidden.restore()
        for row in reversed(made):
            world.admin.call("DELETE", row)


def _strangers(world: World) -> list[str]:
    """Rows of Directus's own collections that belong to a stranger, by their endpoints."""
    made: list[str] = []

    def new(path: str, **row: Any) -> str:
        key = str(world.admin.call("POST", f"{path}?fields=*", row)["id"])
        made.append(f"{path}/{key}")
        return key

    client_role = "5a1c0de0-0000-4000-8000-000000000101"
    role = new("/roles", name="Stranger")
    policy = new("/policies", name="Stranger")
    users = [
        new(
            "/users",
            email=f"{uuid.uuid4().hex}@example.com",
            role=client_role,
            client=world.two.client,
            status="suspended",
        )
        for _ in range(4)
    ]
    for user in users[:2]:
        new("/access", policy=policy, user=user)
        new("/notifications", recipient=user, subject="Stranger")
        new("/presets", user=user, bookmark="Stranger")
    new("/access", policy=policy, role=role)
    new("/comments", collection="invoices", item=world.two.sent, comment="Stranger")
    new("/comments", collection="invoices", item=world.one.sent, comment="Stranger")
    for name in ("one", "two", "three"):
        new("/folders", name=name)
        file = f"{uuid.uuid4()}.pdf"
        new(
            "/files",
            storage="local",
            type="application/pdf",
            title=name,
            filename_disk=file,
            filename_download=file,
        )
    dashboard = new("/dashboards", name="Stranger")
    new("/panels", dashboard=dashboard, type="label", position_x=1, position_y=1, width=1, height=1)
    flow = new("/flows", name="Stranger", trigger="webhook", status="inactive")
    new("/operations", flow=flow, key="stranger", type="log", position_x=1, position_y=1, options={})
    return made
