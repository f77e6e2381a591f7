/**
 * Old rows of `stripe_events`: the functions' service user deletes nothing, so Directus does it, at night.
 *
 * Only finished events are deleted. `received`, `parked` and `failed` ones stay until a person has dealt with them, and so
 * do rows without a date.
 */
const COLLECTION = 'stripe_events';
const FINISHED = ['done', 'ignored'];

const DAYS_VARIABLE = 'BILLING_STRIPE_EVENTS_RETENTION_DAYS';
const DEFAULT_DAYS = 90;
/** Stripe lists and resends events for 30 days; an event that comes back must still be known. */
const FEWEST_DAYS = 35;
const DAY = 24 * 60 * 60 * 1000;

const CRON_VARIABLE = 'BILLING_STRIPE_EVENTS_RETENTION_CRON';
/** Three times in one quiet hour of the server's clock, so that a busy day's events are gone in one night. */
const DEFAULT_CRON = '7,27,47 3 * * *';

/** Maximum rows per statement and batches per run: no lock is held for long. */
const BATCH = 500;
const BATCHES = 10;

/** Delete old events on `schedule`, a hook of Directus; never throws. */
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

/** Days to keep, from the variable as Directus parsed it (numbers are numbers); logs when it uses another value. */
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

/** The times of deletion; Directus turns a variable with commas into a list. */
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
			// The status again: an event may be in progress again. Another process that deletes the same keys counts fewer.
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

/** The database's message in one line: Knex puts the whole statement in front of it. */
function reason(error) {
	const [line] = String(error?.message ?? error).split(' - ').at(-1).split('\n');
	return line.slice(0, 200);
}
