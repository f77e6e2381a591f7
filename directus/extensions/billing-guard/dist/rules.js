import { checkClient } from './clients.js';
import { completePayment, completeRefund, leavesUndated, withPaymentDate, withRefundedAt } from './left_empty.js';
import { cents, checkMoney, checkNumbers, fits, withTax } from './money.js';
import { forbidden, invalid, locked } from './refusal.js';
import { heldUntilTheEnd, writeUnderLock } from './under_lock.js';

/** How the firm itself receives money; everything else comes from Stripe. */
const BY_HAND = ['wire', 'check', 'cash', 'other'];

/** From `sent_at` on these are what the client was sent. */
const FROZEN = ['client', 'currency', 'invoice_number', 'issue_date', 'subtotal', 'tax_rate', 'tax', 'total', 'tax_category', 'tax_exemption_reason'];
const FROZEN_NUMBERS = ['subtotal', 'tax_rate', 'tax', 'total'];

/** Fields that hold money. */
const INVOICE_MONEY = ['subtotal', 'tax', 'total'];
const LINE_MONEY = ['rate', 'amount', 'cost_price'];

/** The next states of a payment entered manually; `failed` and `canceled` are final (cancel and enter again). */
const PAYMENT_STEPS = {
	pending: ['pending', 'succeeded', 'failed', 'canceled'],
	succeeded: ['succeeded', 'failed', 'canceled'],
};
const REFUND_STEPS = {
	pending: ['pending', 'succeeded', 'failed', 'canceled'],
	succeeded: ['succeeded', 'canceled'],
};

const day = (value) => (value === null || value === undefined ? null : String(value instanceof Date ? value.toISOString() : value).slice(0, 10));

const one = async (database, table, id, columns) =>
	id === null || id === undefined ? undefined : database(table).select(columns).where({ id }).first();

const many = (database, table, keys, columns) => database(table).select(columns).whereIn('id', keys);

/** Before `make apply` adds the column there is no `voided_at`, so rows that are checked for it are read whole. */
const isVoid = (invoice) => invoice.status === 'void' || (invoice.voided_at ?? null) !== null;

// -- invoices ---------------------------------------------------------------------------------------------------

function invoiceWritten(payload) {
	checkMoney(payload, INVOICE_MONEY, payload.currency);
	checkNumbers(payload);
	return payload;
}

async function invoiceChanged(payload, keys, { database }) {
	const rows = await many(database, 'invoices', keys, '*');
	checkNumbers(payload);
	for (const row of rows) {
		if (isVoid(row) && payload.status !== undefined && payload.status !== 'void') {
			throw locked('INVOICE_VOID', 'A void invoice stays void. Write a new invoice.', { invoice: row.id });
		}
		const changed = FROZEN.filter((field) => payload[field] !== undefined && !sameValue(field, payload[field], row[field]));
		if (row.sent_at !== null && changed.length > 0) {
			throw locked(
				'INVOICE_FROZEN',
				`This invoice has been sent: ${changed.join(', ')} can no longer change. Add a discount line, or void it and write a new one.`,
				{ invoice: row.id, fields: changed },
			);
		}
		checkMoney(payload, INVOICE_MONEY, payload.currency ?? row.currency);
		if (changed.includes('client') || changed.includes('currency')) await refuseIfAttached(database, row.id);
		if (changed.includes('currency')) await checkInNewCurrency({ ...row, ...payload, id: row.id }, database);
	}
	return payload;
}

/** Amounts in dollars and cents do not exist in yen. */
async function checkInNewCurrency(invoice, database) {
	checkMoney(invoice, INVOICE_MONEY, invoice.currency);
	for (const line of await database('line_items').select(LINE_MONEY).where({ invoice: invoice.id })) {
		checkMoney(line, LINE_MONEY, invoice.currency);
	}
}

/** Payments and documents have the client and currency of their invoice; they would not follow. */
async function refuseIfAttached(database, invoice) {
	for (const table of ['payments', 'documents']) {
		if (await database(table).select('id').where({ invoice }).first()) {
			throw locked('INVOICE_HAS_RECORDS', `Client and currency cannot change: the invoice already has ${table}.`, { invoice });
		}
	}
}

function sameValue(field, wanted, actual) {
	if (wanted === null || actual === null) return wanted === actual;
	if (FROZEN_NUMBERS.includes(field)) return Number(wanted) === Number(actual);
	if (field === 'issue_date') return day(wanted) === day(actual);
	return String(wanted) === String(actual);
}

// -- line items -------------------------------------------------------------------------------------------------

async function lineItemAdded(payload, { database }) {
	const invoice = await one(database, 'invoices', payload.invoice, '*');
	if (invoice === undefined) throw invalid('LINK_REQUIRED', '"invoice" is required.', { collection: 'line_items', field: 'invoice' });
	checkLine(payload, invoice);
	checkDiscount(payload.kind, payload.amount);
	if (invoice.sent_at !== null && (payload.kind !== 'discount' || isVoid(invoice))) {
		throw locked('INVOICE_FROZEN', 'This invoice has been sent: only a discount can be added.', { invoice: invoice.id });
	}
	if (invoice.sent_at !== null) await checkTotalFits(invoice, payload.amount, database);
	return payload;
}

function checkLine(payload, invoice) {
	checkMoney(payload, LINE_MONEY, invoice.currency);
	checkNumbers(payload);
}

/** A discount is permanent; one too many would leave a total that does not fit the column. */
async function checkTotalFits(invoice, amount, database) {
	const lines = await database('line_items').select('amount').where({ invoice: invoice.id });
	const net = lines.reduce((sum, line) => sum + cents(line.amount), cents(amount));
	if (!fits(withTax(net, invoice))) {
		throw invalid('INVALID_AMOUNT', 'With this discount the total of the invoice would be out of range.', { field: 'amount' });
	}
}

async function lineItemChanged(payload, keys, { database }) {
	const rows = await many(database, 'line_items', keys, ['id', 'invoice', 'kind', 'amount']);
	const invoices = [...new Set([...rows.map((row) => row.invoice), payload.invoice].filter(Boolean))];
	for (const invoice of await many(database, 'invoices', invoices, ['id', 'sent_at', 'currency'])) {
		checkLine(payload, invoice);
		if (invoice.sent_at !== null) {
			throw locked('INVOICE_FROZEN', 'This invoice has been sent: its lines can no longer change.', { invoice: invoice.id });
		}
	}
	for (const row of rows) checkDiscount(payload.kind ?? row.kind, payload.amount ?? row.amount);
	return payload;
}

function checkDiscount(kind, amount) {
	if (kind === 'discount' && cents(amount) >= 0) {
		throw invalid('DISCOUNT_MUST_BE_NEGATIVE', 'The amount of a discount must be negative.', { field: 'amount' });
	}
}

// -- payments ---------------------------------------------------------------------------------------------------

async function paymentEntered(payload, { database }) {
	const invoice = await one(database, 'invoices', payload.invoice, ['id', 'client', 'currency']);
	if (invoice === undefined) throw invalid('LINK_REQUIRED', 'A payment entered manually needs its invoice.', { field: 'invoice' });
	if (!BY_HAND.includes(payload.method)) {
		throw invalid('INVALID_METHOD', 'Only wire, check, cash and other payments are entered manually.', { field: 'method' });
	}
	checkMoney(payload, ['amount'], invoice.currency);
	return completePayment(withFactsOf(invoice, payload), database);
}

/** Client and currency are the invoice's: filled in when absent, refused when different. */
function withFactsOf(invoice, payload) {
	for (const field of ['client', 'currency']) {
		if (payload[field] !== undefined && payload[field] !== null && payload[field] !== invoice[field]) {
			throw invalid('DIFFERS_FROM_INVOICE', `The ${field} of a payment must be its invoice's.`, { field });
		}
	}
	return { ...payload, client: invoice.client, currency: invoice.currency };
}

async function paymentChanged(payload, keys, context) {
	const rows = await paymentRows(keys, context.database);
	if (payload.status !== undefined && !context.database.isTransaction && !rows.every(isByHand)) {
		return writeUnderLock('payments', payload, keys, context);
	}
	const undated = rows.filter((row) => isByHand(row) && leavesUndated(payload, row, 'payment_date'));
	// One change has one date for all rows: those that have a date keep it only when each row is written separately.
	if (undated.length > 0 && undated.length < rows.length) return writeUnderLock('payments', payload, keys, context);
	let result = payload;
	for (const row of rows) {
		const isMove = ['invoice', 'client'].some((field) => payload[field] !== undefined && payload[field] !== row[field]);
		if (isMove) result = await assign(payload, keys, row, context);
		else if (isByHand(row)) await editedByHand(payload, row, context);
		else stripeRowChanged(payload, row);
	}
	return undated.length > 0 ? withPaymentDate(result, context.database) : result;
}

const PAYMENT_COLUMNS = ['id', 'invoice', 'client', 'currency', 'amount', 'status', 'method', 'payment_date', 'transaction_id', 'checkout_session'];

/** Lock the rows until the transaction ends: the billing functions may book Stripe's payments at any moment. */
async function paymentRows(keys, database) {
	const query = many(database, 'payments', keys, PAYMENT_COLUMNS).orderBy('id');
	return heldUntilTheEnd(query, database);
}

const isByHand = (row) => BY_HAND.includes(row.method) && row.transaction_id === null && row.checkout_session === null;

/** An unapplied payment (no invoice, no client) is assigned once; other payments are never moved. */
async function assign(payload, keys, row, { database }) {
	if (row.invoice !== null || row.client !== null) {
		throw locked('PAYMENT_MOVED', 'A payment cannot be moved: cancel it and enter it again.', { payment: row.id });
	}
	if (keys.length !== 1 || Object.keys(payload).some((field) => !['invoice', 'client', 'note'].includes(field))) {
		throw invalid('ASSIGN_ONE', 'Assign one unapplied payment at a time, without other changes.', { payment: row.id });
	}
	const invoice = await one(database, 'invoices', payload.invoice, ['id', 'client', 'currency']);
	if (invoice === undefined) throw invalid('LINK_REQUIRED', 'Name the invoice this payment belongs to.', { field: 'invoice' });
	if (invoice.currency !== row.currency) {
		throw invalid('DIFFERS_FROM_INVOICE', `The payment is in ${row.currency}, the invoice in ${invoice.currency}.`, { field: 'currency' });
	}
	const { client } = withFactsOf(invoice, { client: payload.client });
	return { ...payload, client };
}

async function editedByHand(payload, row, { database }) {
	const steps = PAYMENT_STEPS[row.status] ?? [];
	const edits = Object.keys(payload).filter((field) => !['note', 'reference', 'invoice', 'client'].includes(field));
	if (edits.length > 0 && steps.length === 0) {
		throw locked('PAYMENT_FINAL', `A ${row.status} payment can no longer change: enter a new one.`, { payment: row.id });
	}
	if (payload.status !== undefined && !steps.includes(payload.status)) {
		throw locked('INVALID_STATUS', `A ${row.status} payment cannot become ${payload.status}.`, { payment: row.id });
	}
	checkMoney(payload, ['amount'], row.currency);
	const refunds = await refunded(database, row.id);
	if (payload.amount !== undefined && cents(payload.amount) < refunds) {
		throw invalid('BELOW_REFUNDS', 'The amount cannot be less than what was refunded.', { payment: row.id });
	}
	// Entered again it would count in full, and its refunds would be lost. (A check may bounce.)
	if (payload.status === 'canceled' && refunds > 0) {
		throw locked('HAS_REFUNDS', 'This payment has refunds: cancel them first, and enter them again with the new payment.', {
			payment: row.id,
		});
	}
}

/** Staff may only cancel a pending attempt of a Stripe payment; if Stripe says paid, Stripe wins. */
function stripeRowChanged(payload, row) {
	const fields = Object.keys(payload).filter((field) => !['invoice', 'client'].includes(field));
	const asksToCancel = fields.length === 1 && payload.status === 'canceled' && ['pending', 'canceled'].includes(row.status);
	if (fields.length > 0 && !asksToCancel) {
		throw locked('STRIPE_PAYMENT', 'This payment comes from Stripe: only a pending one can be canceled.', { payment: row.id });
	}
}

// -- refunds ----------------------------------------------------------------------------------------------------

async function refundEntered(payload, { database }) {
	const query = database('payments')
		.select(['id', 'amount', 'currency', 'status', 'method', 'transaction_id', 'checkout_session'])
		.where({ id: payload.payment ?? null })
		.first();
	// Two refunds entered at the same moment must not both see the same remainder.
	const payment = await heldUntilTheEnd(query, database);
	if (payment === undefined) throw invalid('LINK_REQUIRED', 'A refund needs its payment.', { field: 'payment' });
	if (payload.stripe_refund !== undefined && payload.stripe_refund !== null) {
		throw locked('STRIPE_REFUND', "Stripe's refunds are recorded by the billing functions.", { field: 'stripe_refund' });
	}
	if (!isByHand(payment) || payment.status !== 'succeeded') {
		throw locked('NOT_REFUNDABLE_BY_HAND', 'Only a succeeded payment entered manually can be refunded here. Refund the others in Stripe.', {
			payment: payment.id,
		});
	}
	if (payload.currency !== undefined && payload.currency !== null && payload.currency !== payment.currency) {
		throw invalid('DIFFERS_FROM_PAYMENT', "The currency of a refund must be its payment's.", { field: 'currency' });
	}
	checkMoney(payload, ['amount'], payment.currency);
	const left = cents(payment.amount) - (await refunded(database, payment.id));
	if (cents(payload.amount) > left) {
		throw invalid('MORE_THAN_IS_LEFT', `At most ${(left / 100).toFixed(2)} ${payment.currency} is left to refund.`, { field: 'amount' });
	}
	return completeRefund({ ...payload, currency: payment.currency });
}

async function refunded(database, payment) {
	const rows = await database('refunds').select(['amount', 'status']).where({ payment });
	return rows
		.filter((row) => !['failed', 'canceled'].includes(row.status))
		.reduce((sum, row) => sum + cents(row.amount), 0);
}

async function refundChanged(payload, keys, context) {
	const rows = await many(context.database, 'refunds', keys, ['id', 'status', 'stripe_refund', 'refunded_at']);
	for (const row of rows) {
		if (row.stripe_refund !== null) {
			throw locked('STRIPE_REFUND', "Stripe's refunds are recorded by the billing functions.", { refund: row.id });
		}
		if (['payment', 'amount', 'currency', 'stripe_refund'].some((field) => payload[field] !== undefined)) {
			throw locked('REFUND_FIXED', 'Payment and amount of a refund are fixed: cancel it and enter it again.', { refund: row.id });
		}
		if (payload.status !== undefined && !(REFUND_STEPS[row.status] ?? []).includes(payload.status)) {
			throw locked('INVALID_STATUS', `A ${row.status} refund cannot become ${payload.status}.`, { refund: row.id });
		}
	}
	const undated = rows.filter((row) => leavesUndated(payload, row, 'refunded_at'));
	if (undated.length > 0 && undated.length < rows.length) return writeUnderLock('refunds', payload, keys, context);
	return undated.length > 0 ? withRefundedAt(payload) : payload;
}

// -- documents --------------------------------------------------------------------------------------------------

async function documentAdded(payload, { database }) {
	const invoice = await one(database, 'invoices', payload.invoice, ['id', 'client']);
	const filled = invoice !== undefined && payload.client === undefined ? { ...payload, client: invoice.client } : payload;
	checkDocument(filled, invoice);
	return filled;
}

async function documentChanged(payload, keys, { database }) {
	const columns = ['id', 'type', 'client', 'invoice', 'visible_to_client', 'content_hash', 'sha256'];
	for (const row of await many(database, 'documents', keys, columns)) {
		const next = { ...row, ...payload };
		// It has no file yet, and may never get one: its content may be that of yesterday.
		if (next.visible_to_client && isBegun(next)) throw forbidden();
		checkDocument(next, await one(database, 'invoices', next.invoice, ['id', 'client']));
	}
	return payload;
}

/**
 * The functions show a document that they have begun once, together with its file. They may hide a receipt whose payment
 * has moved and show it again; people decide who sees any other document.
 * They may fill in the payment of an older receipt once, and never change it. They may title a replaced version of an
 * invoice's document; the newest one only together with its version.
 */
export async function functionsChangeDocuments(payload, keys, { database }) {
	const { visible_to_client: visible, payment, title, version } = payload;
	if (visible === undefined && payment === undefined && title === undefined) return;
	// Whole rows: before `make apply` adds the column there is no `payment`.
	for (const row of await many(database, 'documents', keys, '*')) {
		const isRelinked = payment !== undefined && (row.payment ?? null) !== null && row.payment !== payment;
		if (payment !== undefined && (row.type !== 'receipt' || isRelinked)) throw forbidden();
		if (visible !== undefined && !(isBegun(row) ? isFirstShown(row, payload) : row.type === 'receipt')) throw forbidden();
		if (title !== undefined && !(await mayBeTitled(row, version, database))) throw forbidden();
	}
}

/** What people add has no hash of its content, what was shown before has one of its bytes. */
const isBegun = (row) => row.content_hash !== null && row.sha256 === null;

/** With its file, and a report to nobody but staff. */
function isFirstShown(row, { visible_to_client: visible, file, sha256 }) {
	return visible === (row.type !== 'report') && Boolean(file) && Boolean(sha256);
}

/** Documents that people add have no content hash. */
async function mayBeTitled({ type, invoice, content_hash: hash, version: own }, version, database) {
	if (type !== 'invoice' || hash === null) return false;
	if (version !== undefined) return true;
	const newer = database('documents').select('id').where({ invoice, type }).whereNotNull('content_hash').andWhere('version', '>', own);
	return (await newer.first()) !== undefined;
}

function checkDocument(document, invoice) {
	const isReport = document.type === 'report';
	if (isReport && document.visible_to_client) {
		throw invalid('REPORT_IS_INTERNAL', 'A report is never shown to a client.', { field: 'visible_to_client' });
	}
	if (!isReport && (document.client === undefined || document.client === null)) {
		throw invalid('LINK_REQUIRED', 'A document needs its client.', { field: 'client' });
	}
	if (invoice !== undefined && document.client !== invoice.client) {
		throw invalid('DIFFERS_FROM_INVOICE', "The client of a document must be its invoice's.", { field: 'client' });
	}
}

// -- disputes ---------------------------------------------------------------------------------------------------

async function disputeOpened(payload, { database }) {
	const invoice = await one(database, 'invoices', payload.invoice, '*');
	if (invoice === undefined || invoice.status === 'draft' || isVoid(invoice)) {
		throw invalid('NOT_DISPUTABLE', 'Only an invoice that was sent can be disputed.', { field: 'invoice' });
	}
	checkMoney(payload, ['amount'], invoice.currency);
	await checkDisputedLine(payload.line_item, invoice.id, database);
	return payload;
}

async function disputeChanged(payload, keys, { database }) {
	if (payload.amount !== undefined) {
		throw locked('DISPUTE_FIXED', 'The amount of an objection is fixed: withdraw it and object again.', { field: 'amount' });
	}
	const rows = await many(database, 'disputes', keys, ['id', 'invoice', 'line_item', 'amount', 'status', 'date_created']);
	for (const row of rows) {
		const next = { ...row, ...payload };
		await checkDisputedLine(next.line_item, next.invoice, database);
	}
	const accepted = rows.filter((row) => payload.status === 'accepted' && row.status !== 'accepted' && row.amount !== null);
	for (const invoice of new Set(accepted.map((row) => row.invoice))) {
		await mustHaveDiscount(invoice, accepted.filter((row) => row.invoice === invoice), database);
	}
	return payload;
}

async function checkDisputedLine(lineItem, invoice, database) {
	if (lineItem === undefined || lineItem === null) return;
	const line = await one(database, 'line_items', lineItem, ['invoice']);
	if (line?.invoice !== invoice) {
		throw invalid('DIFFERS_FROM_INVOICE', 'The disputed line must be one of the disputed invoice.', { field: 'line_item' });
	}
}

/** Accepted amounts must also leave the invoice: the discount lines come first. */
async function mustHaveDiscount(invoiceId, beingAccepted, database) {
	const columns = ['id', 'amount', 'date_created'];
	const before = await database('disputes').select(columns).where({ invoice: invoiceId, status: 'accepted' }).whereNotNull('amount');
	const all = [...before, ...beingAccepted];
	const first = all.map((dispute) => dispute.date_created).reduce((a, b) => (b < a ? b : a));
	const discounts = await database('line_items')
		.select('amount')
		.where({ invoice: invoiceId, kind: 'discount' })
		.andWhere('date_created', '>=', first);
	const invoice = await one(database, 'invoices', invoiceId, ['tax_rate', 'currency']);
	// A client objects to the amount payable, tax included; line amounts exclude it.
	const given = withTax(discounts.reduce((sum, line) => sum - cents(line.amount), 0), invoice);
	const wanted = all.reduce((sum, dispute) => sum + cents(dispute.amount), 0);
	if (given < wanted) {
		const amounts = `accepted ${(wanted / 100).toFixed(2)}, discounts with tax ${(given / 100).toFixed(2)}`;
		throw locked('DISCOUNT_FIRST', `Add the discount line to the invoice first, then accept the objection (${amounts}).`, {
			dispute: beingAccepted[0].id,
		});
	}
}

/** What each collection checks besides its links. Each returns the payload, possibly completed. */
export const RULES = {
	clients: { create: checkClient, update: (payload, keys, context) => checkClient(payload, context) },
	invoices: { create: invoiceWritten, update: invoiceChanged },
	line_items: { create: lineItemAdded, update: lineItemChanged },
	payments: { create: paymentEntered, update: paymentChanged },
	refunds: { create: refundEntered, update: refundChanged },
	documents: { create: documentAdded, update: documentChanged },
	disputes: { create: disputeOpened, update: disputeChanged },
	portal_access: {},
};
