import { forbidden } from './refusal.js';
import { isOperator, pathOf, stepOf } from './relations.js';
import { grantingRules, grants, isHarmless, isSearchedWhole, readRules, rowsFor } from './rights.js';

/**
 * Queries through relations.
 *
 * Directus 11.17.4 checks along the path of a filter which fields the caller may read, never which rows: every row behind a
 * relation answers yes or no. Here a condition on related rows is evaluated first, by reading them with the caller's own
 * rights, and replaced by the keys found: hidden rows count as nonexistent. Conditions that only meet readable rows stay
 * as they are. What keys cannot express (an order, a number in a group) is refused.
 */
const MOST_KEYS = 30_000; // of all lists in one query; SQLite takes 32,766 values in a statement

/** Directus counts these with a copy of the filter that no event sees. */
const COPIES = ['directus_files'];
const NO_COUNT = 'Files filtered by related rows have no filter_count: leave out "meta" and request aggregate[countDistinct]=id.';

/** See every read: this event comes before each of them, for items and for Directus's own collections alike. */
export function closeQuestions(filter, services, isTrusted) {
	const rights = new WeakMap();
	filter('*.query', async (query, { collection }, { accountability, database: knex, schema }) => {
		if (isTrusted(accountability) || !asks(query)) return undefined;
		const question = { accountability, knex, schema, services, keysLeft: MOST_KEYS };
		question.rules = () => {
			if (!rights.has(accountability)) rights.set(accountability, readRules(question));
			return rights.get(accountability);
		};
		// A copy: Directus may keep filling in `deep` while the query runs, and that part would go unchecked.
		const asked = { ...query, ...(query.deep && { deep: structuredClone(query.deep) }) };
		await closeLevel(asked, collection, question, true);
		if (question.isAnswered && COPIES.includes(collection) && asked.meta?.includes('filter_count')) throw forbidden(NO_COUNT);
		if (asked.deep) await closeDeep(asked.deep, collection, asked.alias, question);
		return asked;
	});
}

const asks = ({ filter, search, sort, aggregate, group, deep }) => Boolean(filter || search || sort || aggregate || group || deep);

/** One query of one collection. The filter changes in place: Directus counts `filter_count` with the same object, without an event. */
async function closeLevel(query, collection, question, isRoot) {
	if (query.filter) await closeFilter(query.filter, collection, question);
	if (query.search && isSearchedWhole(collection, await question.rules())) {
		throw forbidden(`Some rows of ${collection} may be read in part only, so they cannot be searched. Filter by a field instead.`);
	}
	const calculated = Object.keys(query.aggregate ?? {});
	const sorts = (query.sort ?? []).map((field) => field.replace(/^-/, '')).filter((field) => !calculated.includes(field.split('.')[0]));
	const measured = Object.values(query.aggregate ?? {}).flat().filter((field) => field !== '*');
	for (const field of [...sorts, ...measured]) await refusePartlyGranted(field, collection, question);
	for (const field of new Set([...sorts, ...measured, ...(query.group ?? [])])) {
		const path = field.split('.');
		const isSort = sorts.includes(field);
		// Only a field of the row itself can be grouped or calculated by: Directus fails for a path.
		if ((isSort || path.length === 1) && isHarmless(path, collection, await question.rules(), question.schema)) continue;
		if (isSort && isRoot && (await leadsToVisible(path, query, collection, question))) continue;
		throw forbidden(
			`"${field}" of ${collection} leads to related rows of which you may not see every one, so nothing can be sorted, grouped ` +
				'or calculated by it. Use a field of the row itself, or a filter.',
		);
	}
}

/** What one level of `deep` may request of its rows; Directus treats any other word as a relation or an alias. */
const OF_A_LEVEL = ['_fields', '_filter', '_sort', '_limit', '_offset', '_page', '_search', '_alias'];
/** Directus selects the row's own columns beside the sum: PostgreSQL refuses that, SQLite takes any one row. */
const NOT_OF_A_LEVEL = ['_aggregate', '_group'];

async function closeDeep(deep, collection, alias, question) {
	// Under such a name Directus finds a query where others read an operator.
	if (Object.keys(alias ?? {}).some(isOperator)) throw forbidden('The name of an alias cannot begin with "_".');
	for (const [key, level] of Object.entries(deep)) {
		if (OF_A_LEVEL.includes(key)) continue;
		if (NOT_OF_A_LEVEL.includes(key)) throw forbidden(`Related rows cannot be counted or grouped in "deep" (${key}). Ask their own collection.`);
		const to = stepOf(alias?.[key] ?? key, collection, question.schema)?.to;
		if (!to) {
			delete deep[key]; // Directus knows no such relation either, or one to several collections
			continue;
		}
		// Directus merges the keys of the parents into the topmost condition, place by place.
		if (level._filter) level._filter = { _and: [level._filter] };
		const query = Object.fromEntries(OF_A_LEVEL.filter((name) => name in level).map((name) => [name.slice(1), level[name]]));
		await closeLevel(query, to.collection, question, false);
		await closeDeep(level, to.collection, query.alias, question);
	}
}

async function closeFilter(filter, collection, question) {
	const conditions = [];
	for (const [name, value] of Object.entries(filter)) {
		delete filter[name];
		if (name === '_and' || name === '_or') {
			conditions.push({ [name]: await closeEach(value, collection, question) });
		} else conditions.push(await closed(name, value, collection, question));
	}
	Object.assign(filter, conditions.length > 1 ? { _and: conditions } : conditions[0]);
}

/** Several filters; one for a relation without a condition is left out, or Directus would skip the others. */
async function closeEach(filters, collection, question) {
	const kept = [];
	for (const one of filters) {
		const wasEmpty = Object.keys(one).length === 0;
		await closeFilter(one, collection, question);
		if (wasEmpty || Object.keys(one).length > 0) kept.push(one);
	}
	return kept.length > 0 ? kept : filters;
}

/** One allowed condition, limited to the rows whose field the caller may read. */
async function closed(name, condition, collection, question) {
	const step = stepOf(name, collection, question.schema);
	if (!step) throw unreadable(name, collection);
	const [logical] = Object.keys(condition ?? {});
	if (logical === '_and' || logical === '_or') {
		// Below `_some` and `_none` Directus would drop them.
		const conditions = [];
		for (const one of condition[logical]) conditions.push(await closed(name, one, collection, question));
		return { [logical]: conditions };
	}
	const rules = await question.rules();
	const here = rules.filter((rule) => rule.collection === collection);
	// The same message as for a field that does not exist.
	if (step.field && here.length > 0 && !here.some((rule) => grants(rule, step.field))) throw unreadable(name, collection);
	const closedCondition = await answered(step, condition, collection, question);
	const granting = step.field && grantingRules(step.field, collection, rules);
	if (!granting) return closedCondition;
	const rows = granting.map((rule) => rowsFor(rule, question.accountability));
	if (rows.length === 0 || rows.includes(undefined)) throw unreadable(name, collection);
	question.isAnswered = true;
	const { primary } = question.schema.collections[collection];
	// The rules use rows and links that the caller may not see: Directus reads by them.
	const everyRow = new question.services.ItemsService(collection, { knex: question.knex, schema: question.schema });
	return { _and: [{ [primary]: { _in: await keysOf(everyRow, { _or: rows }, primary, question) } }, closedCondition] };
}

/** A condition on the row itself stays; one on related rows becomes the keys that the caller can read. */
async function answered(step, condition, collection, question) {
	const { schema } = question;
	const { name, field, to } = step;
	const inner = condition ?? {};
	const [first] = Object.keys(inner);
	const isOwn = !to || (!to.many && (first === undefined || (isOperator(first) && first !== '_some' && first !== '_none')));
	if (isOwn) {
		if (!to && first !== undefined && !isOperator(first)) throw unreadable(`${name}.${first}`, collection);
		return { [name]: condition };
	}
	if (first === undefined) return {}; // no condition, for which Directus would join all the same
	const rules = await question.rules();
	const path = pathOf(name, condition);
	if (path && isHarmless(path, collection, rules, schema)) return { [name]: condition };
	question.isAnswered = true;
	// Directus checks the right to read a link while it is named; from here on it may not be named.
	if (field && !rules.some((rule) => rule.collection === collection && grants(rule, field))) throw unreadable(field, collection);
	const { primary } = schema.collections[collection];
	const there = schema.collections[to.collection].primary;
	if (step.isCount) return { [primary]: await keysByCount(to, inner, there, question) };
	const related = asCaller(to.collection, question);
	if (!to.many && asksForNone(inner[there])) return { [field]: { _null: true } };
	if (!to.many) return { [field]: { _in: await keysOf(related, inner, there, question) } };
	const found = async (asked) => keysOf(related, asked, to.field, question);
	if (first === '_some') return { [primary]: { _in: await found(inner._some) } };
	if (first === '_none') return { [primary]: { _nin: await found(inner._none) } };
	const asked = isOperator(first) ? { [there]: inner } : inner;
	if (asksForNone(asked[there])) return { [primary]: { _nin: await found({}) } };
	return { [primary]: { _in: await found(asked) } };
}

/** Whether having no related rows meets a condition on their key. */
const asksForNone = (test) => Boolean(test) && (('_null' in test && test._null !== false) || test._nnull === false || test._eq === null);

const asCaller = (collection, { services, accountability, knex, schema }) =>
	new services.ItemsService(collection, { accountability, knex, schema });

/** The values of a field on the rows that a service reads; with the caller's rights, this event sees the read again. */
async function keysOf(service, filter, field, question) {
	const asked = { filter: { _and: [structuredClone(filter), { [field]: { _nnull: true } }] }, group: [field], sort: [field], limit: MOST_KEYS + 1 };
	return counted(await service.readByQuery(asked), field, question);
}

function counted(rows, field, question) {
	question.keysLeft -= rows.length;
	if (question.keysLeft < 0) throw forbidden(`More than ${MOST_KEYS} related rows meet the conditions of this query. Narrow them.`);
	return rows.map((row) => row[field]);
}

const COMPARISONS = {
	_eq: (n, v) => n === Number(v), _neq: (n, v) => n !== Number(v),
	_lt: (n, v) => n < v, _lte: (n, v) => n <= v, _gt: (n, v) => n > v, _gte: (n, v) => n >= v,
	_in: (n, v) => v.map(Number).includes(n), _nin: (n, v) => !v.map(Number).includes(n),
	_between: (n, [from, to]) => n >= from && n <= to, _nbetween: (n, [from, to]) => n < from || n > to,
}; // prettier-ignore

async function keysByCount(to, inner, there, question) {
	const holds = (n) =>
		Object.entries(inner).every(([operator, value]) => {
			if (!Object.hasOwn(COMPARISONS, operator)) throw forbidden(`"${operator}" cannot be asked of a number of related rows.`);
			return COMPARISONS[operator](n, value);
		});
	const asked = { filter: { [to.field]: { _nnull: true } }, group: [to.field], aggregate: { countDistinct: [there] }, limit: -1 };
	const rows = await asCaller(to.collection, question).readByQuery(asked);
	// Rows without any are in no group: if these match, the others are listed.
	const matchesNone = holds(0);
	const found = rows.filter((row) => holds(Number(row.countDistinct[there])) !== matchesNone);
	return { [matchesNone ? '_nin' : '_in']: counted(found, to.field, question) };
}

/** Whether every row of the answer leads, step by step, to a row that the caller may read: then its order hides nothing. */
async function leadsToVisible(path, query, collection, question) {
	const { schema } = question;
	let [at, filter, search] = [collection, query.filter ?? {}, query.search];
	for (const name of path.slice(0, -1)) {
		const to = stepOf(name, at, schema)?.to;
		if (!to || to.many) return false;
		const there = schema.collections[to.collection].primary;
		const asked = { filter: { _and: [filter, { [name]: { _nnull: true } }] }, group: [name], sort: [name], limit: MOST_KEYS + 1, ...(search && { search }) };
		const linked = counted(await asCaller(at, question).readByQuery(asked, { emitEvents: false }), name, question);
		if (linked.length === 0) return true;
		[at, filter, search] = [to.collection, { [there]: { _in: linked } }, undefined];
		const seen = await asCaller(at, question).readByQuery({ filter, aggregate: { countDistinct: [there] } }, { emitEvents: false });
		if (Number(seen[0].countDistinct[there]) !== linked.length) return false;
	}
	const last = stepOf(path.at(-1), at, schema);
	return last !== undefined && !last.to?.many && !grantingRules(last.field, at, await question.rules());
}

/** The order, sum or maximum of a field reveals it, even on rows where it may not be read. */
async function refusePartlyGranted(field, collection, question) {
	const step = stepOf(field.split('.')[0], collection, question.schema);
	if (!step) throw unreadable(field, collection);
	if (step.field && grantingRules(step.field, collection, await question.rules())) {
		throw forbidden(`"${step.field}" of ${collection} may be read on some of these rows only, so nothing can be sorted or calculated by it.`);
	}
}

const unreadable = (field, collection) => forbidden(`You don't have permission to access field "${field}" in collection "${collection}" or it does not exist.`);
