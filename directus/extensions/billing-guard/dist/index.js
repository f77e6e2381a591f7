import { closeByQuery } from './by_query.js';
import { checkLinks, mustBeReadable } from './links.js';
import { forbidden } from './refusal.js';
import { RULES } from './rules.js';

/** Told in the refusal of changes by query, so that the installer can see which guard is loaded. */
export const VERSION = '1.0.0';

/** The role of the functions' service user, fixed in directus/access/billing_functions.yaml. */
export const SERVICE_ROLE = '5a1c0de0-0000-4000-8000-000000000104';

/** Administrators, the functions, and Directus itself (no accountability) are not checked. */
const isTrusted = (accountability) =>
	!accountability || accountability.admin === true || accountability.role === SERVICE_ROLE;

export default ({ init, filter }, { services }) => {
	const { ItemsService } = services;

	init('middlewares.after', ({ app }) => closeByQuery(app, VERSION));

	filter('items.create', async (payload, { collection }, context) => {
		const rules = RULES[collection];
		if (rules === undefined || isTrusted(context.accountability)) return payload;
		refuseNobody(context.accountability);
		await checkLinks(collection, payload, context, ItemsService);
		return rules.create ? rules.create(payload, context) : payload;
	});

	filter('items.update', async (payload, { collection, keys }, context) => {
		const rules = RULES[collection];
		if (rules === undefined || isTrusted(context.accountability)) return payload;
		refuseNobody(context.accountability);
		// First of all, so that no refusal below tells anything about a row the caller cannot see.
		await mustBeReadable(collection, keys, context, ItemsService);
		await checkLinks(collection, payload, context, ItemsService);
		return rules.update ? rules.update(payload, keys, context) : payload;
	});
};

/** Filters run before Directus checks permissions: nobody gets as far as the database. */
function refuseNobody(accountability) {
	if (!accountability.user) throw forbidden();
}
