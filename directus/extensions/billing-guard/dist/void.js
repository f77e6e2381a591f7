import { invalid, locked } from './refusal.js';

/**
 * A void invoice stays void.
 *
 * The invoice writer sets `status` from rows that it read a moment before; it would overwrite a void written in between
 * without a trace. So every write of `void` sets `voided_at` in the same statement. The functions never write that column;
 * once set, it alone decides. They restore the status from it, so they may write `void` only where it is set.
 */
export const FUNCTIONS = 'functions';
export const ADMINISTRATOR = 'administrator';

/** A new invoice: void ones (imports) get their time, unless they have one. */
export function completeNewVoid(payload, { schema }, caller) {
	if (!hasColumn(schema)) return payload;
	mayBecome(payload.voided_at, { id: payload.id, voided_at: null }, caller);
	return payload.status === 'void' && !payload.voided_at ? stamped(payload) : payload;
}

/** Changed invoices, all with the same payload. */
export async function completeVoid(payload, keys, { database, schema }, caller) {
	const becomesVoid = payload.status === 'void';
	if (!becomesVoid && payload.voided_at === undefined) return payload;
	if (!hasColumn(schema)) return becomesVoid && caller === FUNCTIONS ? refuseFunctions(keys[0]) : payload;
	// It is never emptied again, so it may be read outside the transaction of the change.
	const rows = await database('invoices').select(['id', 'voided_at']).whereIn('id', keys);
	for (const row of rows) mayBecome(payload.voided_at, row, caller);
	const unmarked = rows.filter((row) => row.voided_at === null);
	if (!becomesVoid || unmarked.length === 0) return payload;
	if (caller === FUNCTIONS) return refuseFunctions(unmarked[0].id);
	if (payload.voided_at) return payload;
	if (unmarked.length < rows.length) {
		const marked = rows.filter((row) => row.voided_at !== null).map((row) => row.id);
		throw locked('INVOICE_VOID', 'Some of these invoices are void already: leave them out.', { invoices: marked });
	}
	return stamped(payload);
}

const stamped = (payload) => ({ ...payload, voided_at: new Date().toISOString() });

/** The extension is installed before `make apply` adds the column; until then no change may fail for it. */
const hasColumn = (schema) => 'voided_at' in (schema.collections.invoices?.fields ?? {});

/** Set once, by this hook or by an administrator; never changed, not even by restoring an older revision. */
function mayBecome(wanted, row, caller) {
	if (wanted === undefined || sameMoment(wanted, row.voided_at)) return;
	if (row.voided_at !== null) {
		throw locked('INVOICE_VOID', 'A void invoice stays void: "voided_at" cannot be changed.', { invoice: row.id });
	}
	if (caller !== ADMINISTRATOR) {
		throw invalid('VOIDED_AT_NOT_WRITABLE', '"voided_at" cannot be set directly: set the status to void.', {
			field: 'voided_at',
		});
	}
}

/** SQLite gives milliseconds, PostgreSQL a Date, payloads text. */
function sameMoment(wanted, stored) {
	if (wanted === null || stored === null) return wanted === stored;
	return new Date(wanted).getTime() === new Date(stored).getTime();
}

function refuseFunctions(invoice) {
	throw locked('INVOICE_NOT_VOIDED', 'Only people void an invoice; the billing functions restore what they wrote.', { invoice });
}
