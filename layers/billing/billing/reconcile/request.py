"""What a run of reconciliation is asked for, and what its parts tell each other."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from billing.aws.http_api import flag, members_of, parse_moment
from billing.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Resume:
    """Where an earlier invocation of the same run stopped: behind the record `after` of a phase.

    `suspect_since` is the earliest of the differences so far (`Difference`); `began` when the run began, `parts` how
    many invocations have ended within this phase, `notes` where the others' notes are (`reconcile_ports.RunNotes`).
    """

    phase: str
    after: str | None = None
    checked: Mapping[str, int] = field(default_factory=dict)
    suspect_since: dt.datetime | None = None
    began: dt.datetime | None = None
    parts: int = 0
    notes: str | None = None

    @classmethod
    def from_member(cls, given: object) -> Resume:
        """Parse the member `resume`; `BadRequest` for what no run of ours has written."""
        message = "resume is written by an earlier part of a run; leave it out."
        if not isinstance(given, dict) or not isinstance(given.get("phase"), str):
            raise BadRequest(message, code="invalid_resume")
        after, checked = given.get("after"), given.get("checked", {})
        counts = checked.values() if isinstance(checked, dict) else [None]
        if not isinstance(after, str | None) or not all(isinstance(count, int) for count in counts):
            raise BadRequest(message, code="invalid_resume")
        parts, notes = given.get("parts", 0), given.get("notes")
        if not isinstance(parts, int) or not isinstance(notes, str | None):
            raise BadRequest(message, code="invalid_resume")
        suspect, began = (_moment(given.get(name), message) for name in ("suspect_since", "began"))
        return cls(given["phase"], after, checked, suspect, began, parts, notes)

    def as_member(self) -> dict[str, object]:
        """The member `resume` of the event that goes on."""
        member: dict[str, object] = {"phase": self.phase, "after": self.after, "checked": dict(self.checked)}
        moments = {"suspect_since": self.suspect_since, "began": self.began}
        member |= {name: moment.isoformat() for name, moment in moments.items() if moment is not None}
        if self.parts:
            member["parts"] = self.parts
        if self.notes is not None:
            member["notes"] = self.notes
        return member


def _moment(given: object, message: str) -> dt.datetime | None:
    if given is None:
        return None
    moment = parse_moment(given, "resume")
    if not isinstance(moment, dt.datetime):
        raise BadRequest(message, code="invalid_resume")
    return moment


@dataclass(frozen=True)
class ReconcileRequest:
    """`since`: how far back Stripe's lists are read, None for `DEFAULT_LOOK_BACK`. `dry_run`: repair nothing.

    `widened`: an earlier run has asked for it, on the suspicion that rows are missing; it asks for no other one.
    """

    since: dt.datetime | None = None
    dry_run: bool = False
    resume: Resume | None = None
    widened: bool = False

    @classmethod
    def from_event(cls, event: object) -> ReconcileRequest:
        """Parse the event: `since` (a day is its beginning in UTC), `dry_run`, and what runs give each other.

        `BadRequest` for anything else.
        """
        given = members_of(event)
        if unknown := sorted(set(given) - {"since", "dry_run", "resume", "widened"}):
            message = f"Reconcile takes since and dry_run, not {', '.join(unknown)}."
            raise BadRequest(message, code="unknown_member")
        dry_run, widened = flag(given, "dry_run"), flag(given, "widened")
        resume = Resume.from_member(given["resume"]) if "resume" in given else None
        if "since" not in given:
            return cls(None, dry_run, resume, widened)
        moment = parse_moment(given["since"], "since")
        if not isinstance(moment, dt.datetime):
            moment = dt.datetime.combine(moment, dt.time(0), tzinfo=dt.UTC)
        return cls(moment, dry_run, resume, widened)
