import { isTimezone } from './clients.js';

/**
 * Fills in what staff leave empty when they enter money that the firm itself received or refunded.
 *
 * A form is saved as typed: without a status the row would be pending and not count. Money that is entered has arrived
 * unless the user says otherwise. The date is a day in the firm's time zone, as for Stripe's payments.
 */
export async function completePayment(payload, database) {
	const status = payload.status ?? 'succeeded';
	return status === 'succeeded' && isEmpty(payload.payment_date)
		? { ...payload, status, payment_date: await firmsToday(database) }
		: { ...payload, status };
}

/** The same for a refund, which has a timestamp. */
export function completeRefund(payload) {
	const status = payload.status ?? 'succeeded';
	return status === 'succeeded' && isEmpty(payload.refunded_at) ? { ...payload, status, refunded_at: now() } : { ...payload, status };
}

/** A change after which all payments lack their date. */
export const withPaymentDate = async (payload, database) => ({ ...payload, payment_date: await firmsToday(database) });

/** A change after which all refunds lack their timestamp. */
export const withRefundedAt = (payload) => ({ ...payload, refunded_at: now() });

/**
 * Whether the change leaves this row succeeded and without its date (`column`).
 *
 * A change of another field does not date a row that lacks it already: the day of that change would be wrong.
 */
export function leavesUndated(payload, row, column) {
	const date = payload[column] === undefined ? row[column] : payload[column];
	if ((payload.status ?? row.status) !== 'succeeded' || !isEmpty(date)) return false;
	return row.status !== 'succeeded' || payload[column] !== undefined;
}

/** The calendar day (YYYY-MM-DD) of a time in an IANA time zone, in UTC if that does not exist. */
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
