/**
 * A change whose check must still hold when it is written.
 *
 * Directus calls the filters of an update before it opens its transaction, and gives the UPDATE no condition. What a
 * check has read may have changed by then. So the change is checked again and written here, by Directus's own service
 * with the caller's permissions, in one transaction that holds the rows; nothing is left for Directus to write.
 */
export async function writeUnderLock(collection, payload, keys, context, check) {
	const { database, schema, accountability, ItemsService } = context;
	await database.transaction(async (transaction) => {
		await check({ ...context, database: transaction });
		const service = new ItemsService(collection, { knex: transaction, schema, accountability });
		// Without events: this filter would run again, and flows would hear of it before it is committed. They hear of
		// it, by its key, when Directus has gone through the change that is left.
		await service.updateMany([...keys], payload, { emitEvents: false });
	});
	return {};
}

/** Inside a transaction nobody else writes the rows of this query until it ends. SQLite has one writer anyway. */
export function heldUntilTheEnd(query, database) {
	return database.isTransaction && database.client.config.client === 'pg' ? query.forUpdate() : query;
}
