/**
 * A change whose check must still hold when it is written.
 *
 * Directus calls the filters of an update before it opens its transaction, and gives the UPDATE no condition. What a
 * check has read may have changed by then. As a batch Directus opens the transaction first: there this change goes
 * through every filter again, this guard's included, which now holds the rows, and is written with the caller's
 * permissions. Nothing is left of it for the change that was asked for.
 */
export async function writeUnderLock(collection, payload, keys, { database, schema, accountability, ItemsService }) {
	const { primary } = schema.collections[collection];
	const service = new ItemsService(collection, { knex: database, schema, accountability });
	const rows = [...keys].sort().map((key) => ({ ...payload, [primary]: key }));
	// Inside the transaction flows would hear of it before it is committed. They hear of it, by its keys, when Directus
	// has gone through the change that is left.
	await service.updateBatch(rows, { bypassEmitAction: () => {} });
	return {};
}

/** Inside a transaction nobody else writes the rows of this query until it ends. SQLite has one writer anyway. */
export function heldUntilTheEnd(query, database) {
	return database.isTransaction && database.client.config.client === 'pg' ? query.forUpdate() : query;
}
