import { isOperator, stepOf } from './relations.js';

/**
 * What a caller may read, by rule: `{collection, fields, rows, isBound}`.
 *
 * Read as Directus reads them (`fetchPolicies`, `fetchPermissions`): the policies of the user and of their roles, Public's
 * for users without a role, and what Directus's own code lets every user of the Data Studio read. A rule of a policy that
 * is bound to addresses (`isBound`) may show rows, but is never relied on.
 */
export async function readRules({ accountability, knex, schema, services }) {
	const { user, roles = [], share, app } = accountability;
	if (share) return [];
	const own = await knex('directus_permissions as permission')
		.join('directus_access as access', 'access.policy', 'permission.policy')
		.join('directus_policies as policy', 'policy.id', 'permission.policy')
		.where('permission.action', 'read')
		.where((held) => {
			if (user) held.where('access.user', user);
			if (roles.length > 0) held.orWhereIn('access.role', roles);
			else held.orWhere((everybody) => everybody.whereNull('access.role').whereNull('access.user'));
		})
		.select('permission.collection', 'permission.fields', 'permission.permissions', 'policy.ip_access');
	return [...own, ...(app ? await builtIn(services, knex, schema) : [])].map(({ collection, fields, permissions, ip_access }) => ({
		collection,
		isBound: Boolean(ip_access),
		fields: typeof fields === 'string' ? fields.split(',') : (fields ?? []),
		rows: (typeof permissions === 'string' ? JSON.parse(permissions) : permissions) ?? {},
	}));
}

/** Directus's own rules, added to those of an administrator; constant while it runs. */
let ofTheDataStudio;
async function builtIn(services, knex, schema) {
	if (!ofTheDataStudio) {
		const listed = new services.PermissionsService({ knex, schema, accountability: { admin: true, app: true } });
		const rules = await listed.readByQuery({ filter: { action: { _eq: 'read' } }, limit: 1 });
		ofTheDataStudio = rules.filter((rule) => rule.system);
	}
	return ofTheDataStudio;
}

export const grants = (rule, field) => rule.fields.includes('*') || rule.fields.includes(field);

const isEveryRow = (rule) => Object.keys(rule.rows).length === 0;

/**
 * Whether a path meets only rows and fields that the caller may read, so that Directus may answer it itself.
 *
 * Each step leads to a collection with only readable rows, or to rows that are readable whenever the row before them is:
 * its rule asks of them all that theirs asks.
 */
export function isHarmless(path, collection, rules, schema) {
	let at = collection;
	for (const [index, name] of path.entries()) {
		if (index > 0 && (name === '_some' || name === '_none')) continue;
		const step = stepOf(name, at, schema);
		const isLast = index === path.length - 1;
		if (!step || (!step.to && !isLast)) return false;
		if (!step.to || (isLast && !step.to.many)) return true;
		const next = step.isCount ? undefined : path.slice(index + 1).find((one) => !isOperator(one));
		const needed = [
			next ? stepOf(next, step.to.collection, schema)?.field : !step.isCount && schema.collections[step.to.collection].primary,
			step.field ? undefined : step.to.field,
		];
		const there = rules.filter((rule) => rule.collection === step.to.collection && !rule.isBound);
		const enough = there.filter((rule) => needed.every((field) => !field || grants(rule, field)));
		const here = rules.filter((rule) => rule.collection === at);
		if (!enough.some((rule) => isEveryRow(rule) || isImplied(rule, step, here))) return false;
		at = step.to.collection;
	}
	return true;
}

/** Whether every rule that shows a row implies all that this rule asks of the rows one step away. */
function isImplied(rule, step, here) {
	const asked = conditionsOf(rule.rows);
	return (
		here.length > 0 &&
		here.every(({ rows }) => {
			const said = new Set(conditionsOf(rows).map((one) => JSON.stringify(one)));
			return asked.every((one) =>
				step.to.many
					? step.to.field in one && said.has(JSON.stringify(one[step.to.field]))
					: said.has(JSON.stringify({ [step.field]: one })),
			);
		})
	);
}

/** A rule as conditions that must all hold, each with its whole path; an `_or` stays one condition. */
function conditionsOf(rule, under = (one) => one) {
	return Object.entries(rule).flatMap(([name, value]) => {
		if (name === '_and') return value.flatMap((one) => conditionsOf(one, under));
		if (isOperator(name) || value === null || typeof value !== 'object') return [under({ [name]: value })];
		return conditionsOf(value, (one) => under({ [name]: one }));
	});
}

/**
 * On which rows a field may be read: undefined if on every row the caller sees, otherwise the rules that grant it.
 * Directus checks a requested field against all rules together, regardless of the row.
 */
export function grantingRules(field, collection, rules) {
	const held = rules.filter((rule) => rule.collection === collection);
	const granting = held.filter((rule) => grants(rule, field));
	if (granting.length === 0 || granting.length === held.length) return undefined;
	const dependable = granting.filter((rule) => !rule.isBound);
	return dependable.some(isEveryRow) ? undefined : dependable;
}

/** Whether Directus searches every field on every row although some may only be read in part: one rule with `*` is enough. */
export function isSearchedWhole(collection, rules) {
	const held = rules.filter((rule) => rule.collection === collection);
	const whole = held.filter((rule) => rule.fields.includes('*'));
	return whole.length > 0 && whole.length < held.length && !whole.some((rule) => isEveryRow(rule) && !rule.isBound);
}

/** A rule with `_and` and `_or` outermost: Directus drops them deeper down and beside other names. */
function outward(rule, under = (one) => one) {
	const parts = Object.entries(rule).map(([name, value]) => {
		if (name === '_and' || name === '_or') return { [name]: value.map((one) => outward(one, under)) };
		if (isOperator(name) || value === null || typeof value !== 'object') return under({ [name]: value });
		return outward(value, (one) => under({ [name]: one }));
	});
	return parts.length === 1 ? parts[0] : { _and: parts };
}

/** A rule's rows with Directus's variables replaced by the caller's values; undefined for other variables. */
export function rowsFor(rule, { user, role, roles }) {
	const values = { $CURRENT_USER: user, $CURRENT_ROLE: role, $CURRENT_ROLES: roles };
	let known = true;
	const rows = JSON.parse(JSON.stringify(rule.rows), (_, value) => {
		if (typeof value !== 'string' || !value.startsWith('$')) return value;
		if (Object.hasOwn(values, value)) return values[value] ?? null;
		known = false;
		return value;
	});
	return known ? outward(rows) : undefined;
}
