/**
 * What a name in a query means: a field of the collection itself, or a step to related rows.
 *
 * Strict where Directus is lenient. It trims names, reads only the beginning of some, and takes any two columns for
 * `$FOLLOW`: here a name that is not exactly one of the model's is unknown.
 */
const FOLLOW = /^\$FOLLOW\(([^(),]+),([^(),]+)\)$/;
const CALL = /^([a-z]+)\(([^()]+)\)$/;

/**
 * The step of a name, or undefined if the model has no such name.
 *
 * `field` is the collection's own field (undefined for `$FOLLOW`, which names a field of the related rows), `isCount`
 * says that their number is asked, `to` where the step leads: `many` of them have their `field` pointing back here.
 */
export function stepOf(name, collection, schema) {
	const [, child, link] = FOLLOW.exec(name) ?? [];
	if (child) {
		const to = pointingHere(schema, collection, (one) => one.collection === child.trim() && one.field === link.trim());
		return to && { name, isCount: false, to };
	}
	const [, call, argument] = CALL.exec(name) ?? [];
	const field = argument ?? name;
	if (!Object.hasOwn(schema.collections[collection]?.fields ?? {}, field)) return undefined;
	const to = relatedBy(schema, collection, field);
	if (call && to && !(call === 'count' && to.many)) return undefined;
	return { name, field, isCount: call === 'count' && to !== undefined, to };
}

function relatedBy(schema, collection, field) {
	const own = schema.relations.find((one) => one.collection === collection && one.field === field && one.related_collection);
	if (own) return { collection: own.related_collection, many: false };
	return pointingHere(schema, collection, (one) => one.meta?.one_field === field);
}

function pointingHere(schema, collection, is) {
	const found = schema.relations.find((one) => one.related_collection === collection && is(one));
	return found && { collection: found.collection, field: found.field, many: true };
}

/** `_eq`, `_some`, ...: what is not the name of a field. */
export const isOperator = (name) => name.startsWith('_');

const isPlainObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/**
 * The names along a condition down to its operator, with `_some` and `_none` between them; undefined where it holds more
 * than one condition. Directus takes the first of several keys, and so does this.
 */
export function pathOf(name, condition) {
	if (!isPlainObject(condition)) return [name];
	const [inner] = Object.keys(condition);
	if (inner === undefined) return [name];
	if (inner === '_and' || inner === '_or') return undefined;
	if (isOperator(inner) && inner !== '_some' && inner !== '_none') return [name];
	const rest = pathOf(inner, condition[inner]);
	return rest && [name, ...rest];
}
