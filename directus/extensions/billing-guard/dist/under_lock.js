/**
 * A change whose check must still hold when it is written.
 *
 * Directus calls the filters of an update before it opens its transaction, and its UPDATE has no condition: what a check
 * has read may have changed by then. For a batch Directus opens the transaction first. The change goes through every filter
 * again, including this guard, which now locks the rows, and is written with the caller's permissions. The original change
 * is then empty.
 */
export async function writeUnderLock(collection, payload, keys, { database, schema, accountability, ItemsService }) {
	const { primary } = schema.collections[collection];
	const service = new ItemsService(collection, { knex: database, schema, accountability });
	const rows = [...keys].sort().map((key) => ({ ...payload, [primary]: key }));
	// Inside the transaction flows would be called before the commit. They get its keys after the original, now empty,
	// change.
	await service.updateBatch(rows, { bypassEmitAction: () => {} });
	return {};
}

/** Lock the rows of this query until the transaction ends. SQLite has one writer anyway. */
export function heldUntilTheEnd(query, database) {
	return database.isTransaction && database.client.config.client === 'pg' ? query.forUpdate() : query;
}
