"""Stripe's way of reading: lists with filters and cursors, and `expand`."""

import operator
from collections.abc import Callable, Iterable
from typing import Any

from local.stripe_simulator import checkout_sessions
from local.stripe_simulator.errors import NotSimulated, StripeError
from local.stripe_simulator.store import StripeObject, public
from local.stripe_simulator.world import World

DEFAULT_LIMIT, MAXIMUM_LIMIT = 10, 100
_MAXIMUM_DEPTH = 4
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_CURSORS = frozenset({"limit", "starting_after", "ending_before", "created"})


def page(
    objects: Iterable[StripeObject],
    parameters: dict[str, Any],
    *,
    url: str,
    filters: dict[str, Callable[[StripeObject], Any]],
) -> StripeObject:
    """One page of `objects` (newest first) as Stripe's list object.

    `filters` gives, for each filter parameter that is simulated, what it is compared with; any other filter
    the request carries is `NotSimulated`, because ignoring a filter answers another question than was asked.
    """
    limit = parameters.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAXIMUM_LIMIT:
        message = f"This value must be between 1 and {MAXIMUM_LIMIT}."
        raise StripeError(400, message, code="parameter_invalid_integer", parameter="limit")
    for name in parameters:
        if name not in _CURSORS and name not in filters:
            raise NotSimulated(f"The filter {name}")
    wanted = [name for name in parameters if name in filters]
    matching = [
        body
        for body in objects
        if _created_in(body, parameters.get("created", {}))
        and all(filters[name](body) == parameters[name] for name in wanted)
    ]
    data, more = _slice(matching, parameters, limit)
    return {"object": "list", "data": [public(body) for body in data], "has_more": more, "url": url}


def _created_in(body: StripeObject, wanted: dict[str, int] | int) -> bool:
    limits = {"gte": wanted, "lte": wanted} if isinstance(wanted, int) else wanted
    return all(_COMPARISONS[name](body["created"], limit) for name, limit in limits.items())


def _slice(
    objects: list[StripeObject], parameters: dict[str, Any], limit: int
) -> tuple[list[StripeObject], bool]:
    if "starting_after" in parameters and "ending_before" in parameters:
        message = "You may specify only one of these parameters: starting_after, ending_before."
        raise StripeError(400, message, parameter="ending_before")
    identifiers = [body["id"] for body in objects]
    for name in ("starting_after", "ending_before"):
        if name in parameters and parameters[name] not in identifiers:
            message = f"No such object: '{parameters[name][:80]}'"
            raise StripeError(400, message, code="resource_missing", parameter=name)
    if "ending_before" in parameters:
        before = objects[: identifiers.index(parameters["ending_before"])]
        return before[-limit:], len(before) > limit
    after = (
        objects[identifiers.index(parameters["starting_after"]) + 1 :]
        if "starting_after" in parameters
        else objects
    )
    return after[:limit], len(after) > limit


def expand(world: World, body: StripeObject, paths: list[str]) -> StripeObject:
    """`body` with the named references replaced by the objects they name; Stripe's 400 for what it forbids."""
    expanded = public(body)
    for path in paths:
        names = path.split(".")
        if len(names) > _MAXIMUM_DEPTH:
            message = f"You cannot expand more than {_MAXIMUM_DEPTH} levels of a property."
            raise StripeError(400, message, parameter="expand")
        _expand_in(world, expanded, names)
    return expanded


def _expand_in(world: World, body: StripeObject, names: list[str]) -> None:
    name, *rest = names
    if body["object"] == "list":
        if name != "data" or not rest:
            raise _cannot_be_expanded(names)
        for item in body["data"]:
            _expand_in(world, item, rest)
        return
    if body["object"] == "checkout.session" and name == "line_items" and not rest:
        body["line_items"] = line_items(world, body["id"], {})
        return
    if not world.document.is_expandable(body["object"], name):
        raise _cannot_be_expanded(names)
    if isinstance(body.get(name), str):
        found = world.store.get(body[name])
        if found is None:
            raise NotSimulated(f"Expanding {name}")
        body[name] = public(found)
    if rest and isinstance(body.get(name), dict):
        _expand_in(world, body[name], rest)


def line_items(world: World, session: str, parameters: dict[str, Any]) -> StripeObject:
    """The line items of a session as a list object."""
    items = checkout_sessions.line_items(world.find(session, "checkout.session", "session"))
    return page(items, parameters, url=f"/v1/checkout/sessions/{session}/line_items", filters={})


def _cannot_be_expanded(names: list[str]) -> StripeError:
    return StripeError(400, f"This property cannot be expanded ({'.'.join(names)}).", parameter="expand")
