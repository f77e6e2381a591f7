import { forbidden, invalid } from './refusal.js';

/** Links that must not be emptied although their column may be null. */
const NEVER_EMPTIED = { payments: ['invoice', 'client'] };

/**
 * Check every foreign key in a payload.
 *
 * Directus checks the rights on the row being written, not on the rows it points to. Here each target is read with
 * the caller's own rights, inside the caller's transaction.
 */
export async function checkLinks(collection, payload, context, ItemsService) {
	for (const relation of context.schema.relations) {
		if (relation.collection !== collection || !relation.related_collection) continue;
		const value = payload[relation.field];
		if (value === undefined) continue;
		if (value === null) {
			refuseEmptied(collection, relation.field, context.schema);
		} else if (typeof value === 'string' || typeof value === 'number') {
			await mustBeReadable(relation.related_collection, [value], context, ItemsService, relation.field);
		} else {
			throw invalid('LINK_MUST_BE_A_KEY', `"${relation.field}" must be the key of an existing row.`, {
				collection,
				field: relation.field,
			});
		}
	}
}

function refuseEmptied(collection, field, schema) {
	const required = schema.collections[collection]?.fields[field]?.nullable === false;
	if (required || NEVER_EMPTIED[collection]?.includes(field)) {
		throw invalid('LINK_REQUIRED', `"${field}" cannot be emptied.`, { collection, field });
	}
}

/** Refuse, as Directus does for unknown rows, unless the caller may read every one of these rows. */
export async function mustBeReadable(collection, keys, context, ItemsService, field) {
	const primary = context.schema.collections[collection]?.primary;
	const refusal = forbidden(
		field
			? `"${field}" points to a row that does not exist or that you have no permission to see.`
			: "You don't have permission to change this or it does not exist.",
	);
	if (!primary) throw refusal;
	const service = new ItemsService(collection, {
		knex: context.database,
		schema: context.schema,
		accountability: context.accountability,
	});
	const wanted = [...new Set(keys.map(String))];
	let rows;
	try {
		rows = await service.readMany(wanted, { fields: [primary], limit: -1 }, { emitEvents: false });
	} catch (error) {
		if (error?.name === 'DirectusError' && error.status < 500) throw refusal;
		throw error;
	}
	const found = new Set(rows.map((row) => String(row[primary]).toLowerCase()));
	if (wanted.some((key) => !found.has(key.toLowerCase()))) throw refusal;
}
