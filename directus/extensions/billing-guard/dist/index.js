import { closeByQuery } from './by_query.js';
import { checkLinks, mustBeReadable } from './links.js';
import { forbidden } from './refusal.js';
import { scheduleRetention } from './retention.js';
import { RULES } from './rules.js';

/** Told in the refusal of changes by query, so that the installer can see which guard is loaded. */
export const VERSION = '1.2.0';

/** The role of the functions' service user, fixed in directus/access/billing_functions.yaml. */
export const SERVICE_ROLE = '5a1c0de0-0000-4000-8000-000000000104';

/** Administrators, the functions, and Directus itself (no accountability) are not checked. */
const isTrusted = (accountability) =>
	!accountability || accountability.admin === true || accountability.role === SERVICE_ROLE;

export default ({ init, filter, schedule }, directus) => {
	const { ItemsService } = directus.services;

	init('middlewares.after', ({ app }) => closeByQuery(app, VERSION));

	scheduleRetention(schedule, directus);

	filter('items.create', (payload, { collection }, context) =>
		checked('create', collection, context, async () => {
			await checkLinks(collection, payload, context, ItemsService);
			return RULES[collection].create?.(payload, context);
		}).then((completed) => completed ?? payload),
	);

	filter('items.update', (payload, { collection, keys }, context) =>
		checked('update', collection, context, async () => {
			// First of all, so that no refusal below tells anything about a row the caller cannot see.
			await mustBeReadable(collection, keys, context, ItemsService);
			await checkLinks(collection, payload, context, ItemsService);
			return RULES[collection].update?.(payload, keys, context);
		}).then((completed) => completed ?? payload),
	);
};

/** Run a check for whom it concerns. Filters run before Directus checks permissions. */
async function checked(action, collection, context, check) {
	const { accountability } = context;
	if (!(collection in RULES) || isTrusted(accountability)) return undefined;
	if (!accountability.user) throw forbidden();
	try {
		return await check();
	} catch (refusal) {
		// Who may not do this at all is told so, and not what would be wrong with it.
		if (refusal?.name === 'DirectusError' && !(await mayAtAll(action, collection, context))) throw forbidden();
		throw refusal;
	}
}

/** Whether any policy of the caller allows the action on any row of the collection. */
async function mayAtAll(action, collection, { database, accountability }) {
	const policies = database('directus_access')
		.select('policy')
		.where({ user: accountability.user })
		.orWhereIn('role', accountability.roles ?? []);
	const permission = await database('directus_permissions')
		.select('id')
		.where({ collection, action })
		.whereIn('policy', policies)
		.first();
	return permission !== undefined;
}
