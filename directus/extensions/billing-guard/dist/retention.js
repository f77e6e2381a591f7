/**
 * Old rows of `stripe_events`: the functions' service user deletes nothing, so Directus does it, at night.
 *
 * Only events that are finished go. What is `received`, `parked` or `failed` stays until somebody has seen to it, and
 * so does a row without a date.
 */
const COLLECTION = 'stripe_events';
const FINISHED = ['done', 'ignored'];

const DAYS_VARIABLE = 'BILLING_STRIPE_EVENTS_RETENTION_DAYS';
const DEFAULT_DAYS = 90;
/** Stripe lists events, and sends them again, for 30 days; an event must still be known when it comes back. */
const FEWEST_DAYS = 35;
const DAY = 24 * 60 * 60 * 1000;

const CRON_VARIABLE = 'BILLING_STRIPE_EVENTS_RETENTION_CRON';
/** Three times in one quiet hour of the server's clock, so that a busy day's events are gone in one night. */
const DEFAULT_CRON = '7,27,47 3 * * *';

/** A statement deletes so many rows at most, a run so many batches: no lock is held for long. */
const BATCH = 500;
const BATCHES = 10;

/** Delete old events by `schedule`, a hook of Directus; never lets an error out. */
export function scheduleRetention(schedule, { env, logger, database, getSchema, services: { ItemsService } }) {
	const days = retentionDays(env[DAYS_VARIABLE], (sentence) => logger.warn(`billing-guard: ${sentence}`));
	let running = false;
	schedule(retentionCron(env[CRON_VARIABLE]), async () => {
		if (running) return;
		running = true;
		try {
			await deleteOldEvents(new Date(Math.max(0, Date.now() - days * DAY)), { logger, database, getSchema, ItemsService });
		} catch (error) {
			logger.error(`billing-guard: old Stripe events could not be deleted; the next run tries again. ${reason(error)}`);
		} finally {
			running = false;
		}
	});
}

/** Days to keep, from the variable as Directus has read it (numbers are numbers); says so when it takes another value. */
export function retentionDays(value, warn) {
	if (value === undefined || value === null || value === '') return DEFAULT_DAYS;
	const days = typeof value === 'number' || typeof value === 'string' ? Number(value) : NaN;
	if (!Number.isInteger(days)) {
		warn(`${DAYS_VARIABLE} is not a whole number; old Stripe events are kept for ${DEFAULT_DAYS} days.`);
		return DEFAULT_DAYS;
	}
	if (days < FEWEST_DAYS) {
		warn(`${DAYS_VARIABLE} is ${days}, but Stripe sends events again for 30 days; they are kept for ${FEWEST_DAYS} days.`);
		return FEWEST_DAYS;
	}
	return days;
}

/** The times of deletion; of a variable with commas Directus makes a list. */
export function retentionCron(value) {
	const text = Array.isArray(value) ? value.join(',') : String(value ?? '');
	return text.trim() === '' ? DEFAULT_CRON : text;
}

async function deleteOldEvents(before, { logger, database, getSchema, ItemsService }) {
	const schema = await getSchema();
	if (!(COLLECTION in schema.collections)) return; // before the first `make apply`
	const events = new ItemsService(COLLECTION, { knex: database, schema });
	let deleted = 0;
	try {
		for (let batch = 0; batch < BATCHES; batch += 1) {
			const keys = await oldest(events, before);
			if (keys.length === 0) break;
			// The status again: an event may have been taken up anew. Whoever else deletes the same keys just counts fewer.
			deleted += await database(COLLECTION).whereIn('id', keys).whereIn('status', FINISHED).delete();
		}
	} finally {
		if (deleted > 0) logger.info(`billing-guard: deleted ${deleted} Stripe events received before ${before.toISOString()}.`);
	}
}

/** Through Directus's own service, which knows how each database stores a timestamp. */
async function oldest(events, before) {
	const filter = { _and: [{ status: { _in: FINISHED } }, { received_at: { _lt: before.toISOString() } }] };
	const rows = await events.readByQuery({ filter, fields: ['id'], sort: ['received_at', 'id'], limit: BATCH }, { emitEvents: false });
	return rows.map((row) => row.id);
}

/** What the database said, in one line: Knex writes the whole statement in front of it. */
function reason(error) {
	const [line] = String(error?.message ?? error).split(' - ').at(-1).split('\n');
	return line.slice(0, 200);
}
