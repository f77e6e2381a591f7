import { invalid } from './refusal.js';

/** Currencies without a smaller unit, as in `billing.money` (a test keeps the two equal); the others have two decimals. */
const WITHOUT_DECIMALS = ['JPY', 'KRW'];

/** Digits before and after the point, as the columns of directus/model hold them. */
const MONEY_DIGITS = 12;
const NUMBERS = { hours: [6, 2], tax_rate: [3, 4], markup_percent: [3, 4] };

/** What `decimal(14,2)` holds less than, in cents. */
const MOST_CENTS = 10 ** (MONEY_DIGITS + 2);

const DECIMAL = /^-?([0-9]+)(?:\.([0-9]+))?$/;
/** Longer than any number needs: a megabyte of digits is not worth reading. */
const LONGEST = 40;

const decimalsOf = (currency) => (WITHOUT_DECIMALS.includes(currency) ? 0 : 2);

/** Check these fields of a payload, where given: amounts of money in that currency. */
export function checkMoney(payload, fields, currency) {
	for (const field of fields) checkDecimal(field, payload[field], MONEY_DIGITS, decimalsOf(currency), ` in ${currency}`);
}

/** Check the hours and percentages of a payload, where given. */
export function checkNumbers(payload) {
	for (const [field, [digits, decimals]] of Object.entries(NUMBERS)) checkDecimal(field, payload[field], digits, decimals, '');
}

/**
 * SQLite stores anything and PostgreSQL rounds silently, so only exact numbers are let through.
 * Null is for the model to allow or refuse.
 */
function checkDecimal(field, value, digits, decimals, unit) {
	if (value === undefined || value === null) return;
	const [, whole, fraction = ''] = parts(value) ?? refuse(field, 'must be a number such as "123.45"');
	if (whole.replace(/^0+/, '').length > digits) refuse(field, `can have at most ${digits} digits before the decimal point`);
	if (fraction.replace(/0+$/, '').length > decimals) refuse(field, `can have at most ${decimals} decimals${unit}`);
}

function parts(value) {
	if (typeof value !== 'string' && typeof value !== 'number') return null;
	const text = String(value);
	return text.length > LONGEST ? null : DECIMAL.exec(text);
}

function refuse(field, what) {
	throw invalid('INVALID_AMOUNT', `"${field}" ${what}.`, { field });
}

/** Whole cents of a checked or stored amount: exact, because 2^53 cents are more than the column holds. */
export const cents = (amount) => Math.round(Number(amount ?? 0) * 100);

/** Cents with tax, rounded once, half away from zero, to the currency's unit, as the invoice writer rounds. */
export function withTax(net, { tax_rate: taxRate, currency }) {
	const unit = decimalsOf(currency) === 0 ? 100n : 1n;
	const size = BigInt(Math.abs(net));
	const rate = BigInt(Math.round(Number(taxRate ?? 0) * 10_000)); // of a million
	const whole = 1_000_000n * unit;
	const tax = ((2n * size * rate + whole) / (2n * whole)) * unit;
	return Math.sign(net) * Number(size + tax);
}

/** Whether a total of so many cents fits its column. */
export const fits = (total) => Math.abs(total) < MOST_CENTS;
