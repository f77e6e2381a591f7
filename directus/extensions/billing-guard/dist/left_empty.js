import { isTimezone } from './clients.js';

/**
 * What staff leave empty where they enter money that the firm itself received or gave back.
 *
 * A form is saved with what was typed: without a status it would be pending and count for nothing. Money entered has
 * arrived unless somebody says otherwise. When it did is a day in the firm's time zone, as for Stripe's payments.
 */
export async function completePayment(payload, database) {
	const status = payload.status ?? 'succeeded';
	return status === 'succeeded' && isEmpty(payload.payment_date)
		? { ...payload, status, payment_date: await firmsToday(database) }
		: { ...payload, status };
}

/** The same for a refund, which keeps its moment. */
export function completeRefund(payload) {
	const status = payload.status ?? 'succeeded';
	return status === 'succeeded' && isEmpty(payload.refunded_at) ? { ...payload, status, refunded_at: now() } : { ...payload, status };
}

/** A change of payments that all lack their day after it. */
export const withPaymentDate = async (payload, database) => ({ ...payload, payment_date: await firmsToday(database) });

/** A change of refunds that all lack their moment after it. */
export const withRefundedAt = (payload) => ({ ...payload, refunded_at: now() });

/**
 * Whether the change leaves this row succeeded and without its date (`column`).
 *
 * A row that lacks it already is not dated by a change of something else: the day of that change would be wrong.
 */
export function leavesUndated(payload, row, column) {
	const date = payload[column] === undefined ? row[column] : payload[column];
	if ((payload.status ?? row.status) !== 'succeeded' || !isEmpty(date)) return false;
	return row.status !== 'succeeded' || payload[column] !== undefined;
}

/** The calendar day (YYYY-MM-DD) at a moment in an IANA time zone, in UTC where that does not exist. */
export function dayIn(timezone, moment) {
	const options = { timeZone: isTimezone(timezone) ? timezone : 'UTC', year: 'numeric', month: '2-digit', day: '2-digit' };
	const parts = new Intl.DateTimeFormat('en-US', options).formatToParts(moment);
	const { year, month, day } = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
	return `${year}-${month}-${day}`;
}

async function firmsToday(database) {
	const firm = await database('firm').select('timezone').first();
	return dayIn(firm?.timezone, new Date());
}

const isEmpty = (value) => value === undefined || value === null;

const now = () => new Date().toISOString();
