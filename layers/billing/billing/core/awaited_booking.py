"""When the one writer is asked to look at an invoice that was sent and that it has not booked yet.

Who sends an invoice has both queued at the same moment, its PDF and its recompute; the PDF is usually looked at first.
The recompute is then on its way, and another would only double the writer's work: with a thousand invoices sent at once
the writer would be the slower, the more it is asked. It may also be lost: the flow did not reach the functions. Nothing
the renderer can see tells the two apart but how long it has waited.
"""

from __future__ import annotations

#: A message is delivered for the seventh time 315 seconds after the first (`queue_worker.disposition`); from then on so
#: seldom that each time may ask. A thousand invoices are booked by then, but for a slow Directus.
_PATIENT_RECEIVES = 6


def asks_for_booking(receive: int, *, by_hand: bool) -> bool:
    """Whether a recompute must be queued with the message's `receive`th delivery, counted from 1.

    `by_hand`: somebody has chosen *Render again*, as they are told to where the sending's own messages may be lost: then
    it is asked for at once, too, and once only.
    """
    return receive > _PATIENT_RECEIVES or (by_hand and receive == 1)
