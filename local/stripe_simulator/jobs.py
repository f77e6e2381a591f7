"""What happens by itself when its time has come: sessions expire, fees and references become known."""

import time

from local.stripe_simulator import checkout_sessions, payments, refunds
from local.stripe_simulator.world import World


def run_due_jobs(world: World) -> None:
    """Does everything that is due now; each job in its own transaction."""
    for job in world.store.due_jobs(time.time()):
        with world.change():
            match job.kind:
                case "expire":
                    checkout_sessions.expire(world, world.find(job.subject, "checkout.session"))
                case "settle_fee":
                    payments.settle_fee(world, world.find(job.subject, "charge"))
                case "settle_reference":
                    refunds.settle_reference(world, world.find(job.subject, "refund"))
                case "come_later":
                    payments.come_later(world, world.find(job.subject, "charge"))
                case _:
                    raise ValueError(f"Unknown job {job.kind!r}.")
            world.store.unschedule(job)
