"""Stripe's way of reading: lists with filters and cursors, and `expand`."""

from collections.abc import Callable, Sequence
from typing import Any

from local.stripe_simulator import checkout_sessions
from local.stripe_simulator.errors import NotSimulated, StripeError
from local.stripe_simulator.store import Condition, StripeObject, public
from local.stripe_simulator.world import World

DEFAULT_LIMIT, MAXIMUM_LIMIT = 10, 100
_MAXIMUM_DEPTH = 4
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_CURSORS = frozenset({"limit", "starting_after", "ending_before"})

#: What a filter parameter's value asks of the objects.
type Filter = Callable[[Any], list[Condition]]


def equal(column: str) -> Filter:
    """The filter that wants a column to have the given value."""
    return lambda value: [Condition(column, "=", value)]


def created(value: dict[str, int] | int) -> list[Condition]:
    """The filter by time of creation, which every list has: a moment, or limits."""
    if isinstance(value, int):
        return [Condition("created", "=", value)]
    return [Condition("created", _COMPARISONS[name], limit) for name, limit in value.items()]


def page(
    world: World,
    kind: str,
    parameters: dict[str, Any],
    *,
    url: str,
    filters: dict[str, Filter],
    conditions: Sequence[Condition] = (),
) -> StripeObject:
    """One page of the objects of a kind, newest first, as Stripe's list object.

    `filters` are the filter parameters that are simulated; any other the request carries is `NotSimulated`,
    because ignoring a filter answers another question than was asked. `conditions` hold for every request.
    """
    limit = _limit(parameters)
    wanted = list(conditions)
    for name, value in parameters.items():
        if name in filters:
            wanted += filters[name](value)
        elif name not in _CURSORS:
            raise NotSimulated(f"The filter {name}")
    older_than, newer_than = parameters.get("starting_after"), parameters.get("ending_before")
    _check_cursors(older_than, newer_than)
    for name, cursor in (("starting_after", older_than), ("ending_before", newer_than)):
        if cursor is not None and (world.store.get(cursor) or {}).get("object") != kind:
            raise _no_such_cursor(name, cursor)
    found = world.store.newest_first(
        kind, wanted, limit=limit + 1, older_than=older_than, newer_than=newer_than
    )
    # One more than asked for shows that there is more; going back it is the first, which is the newest.
    data = found[:limit] if newer_than is None else found[-limit:]
    return _list_object([public(body) for body in data], len(found) > limit, url)


def _list_object(data: list[StripeObject], more: bool, url: str) -> StripeObject:  # noqa: FBT001 - Stripe's field
    return {"object": "list", "data": data, "has_more": more, "url": url}


def _limit(parameters: dict[str, Any]) -> int:
    limit: int = parameters.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAXIMUM_LIMIT:
        message = f"This value must be between 1 and {MAXIMUM_LIMIT}."
        raise StripeError(400, message, code="parameter_invalid_integer", parameter="limit")
    return limit


def _check_cursors(older_than: str | None, newer_than: str | None) -> None:
    if older_than is not None and newer_than is not None:
        message = "You may specify only one of these parameters: starting_after, ending_before."
        raise StripeError(400, message, parameter="ending_before")


def _no_such_cursor(name: str, cursor: str) -> StripeError:
    message = f"No such object: '{cursor[:80]}'"
    return StripeError(400, message, code="resource_missing", parameter=name)


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
    included = _INCLUDED.get((body["object"], name))
    if included is not None:
        body[name] = included(world, body["id"])
    elif not world.document.is_expandable(body["object"], name):
        raise _cannot_be_expanded(names)
    elif isinstance(body.get(name), str):
        found = world.store.get(body[name])
        if found is None:
            raise NotSimulated(f"Expanding {name}")
        body[name] = public(found)
    if rest and isinstance(body.get(name), dict):
        _expand_in(world, body[name], rest)


def _refunds(world: World, charge: str) -> StripeObject:
    of_the_charge = [Condition("charge", "=", charge)]
    url = f"/v1/charges/{charge}/refunds"
    return page(world, "refund", {}, url=url, filters={}, conditions=of_the_charge)


def line_items(world: World, session: str, parameters: dict[str, Any]) -> StripeObject:
    """The line items of a session as a list object."""
    limit = _limit(parameters)
    items = checkout_sessions.line_items(world.find(session, "checkout.session", "session"))
    places = {item["id"]: place for place, item in enumerate(items)}
    older_than, newer_than = parameters.get("starting_after"), parameters.get("ending_before")
    _check_cursors(older_than, newer_than)
    for name, cursor in (("starting_after", older_than), ("ending_before", newer_than)):
        if cursor is not None and cursor not in places:
            raise _no_such_cursor(name, cursor)
    url = f"/v1/checkout/sessions/{session}/line_items"
    if newer_than is not None:
        before = items[: places[newer_than]]
        return _list_object(before[-limit:], len(before) > limit, url)
    after = items if older_than is None else items[places[older_than] + 1 :]
    return _list_object(after[:limit], len(after) > limit, url)


#: Lists inside an object that are only there when they are asked for.
_INCLUDED: dict[tuple[str, str], Callable[[World, str], StripeObject]] = {
    ("checkout.session", "line_items"): lambda world, session: line_items(world, session, {}),
    ("charge", "refunds"): _refunds,
}


def _cannot_be_expanded(names: list[str]) -> StripeError:
    return StripeError(400, f"This property cannot be expanded ({'.'.join(names)}).", parameter="expand")
