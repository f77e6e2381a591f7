import { closeAddressDoors } from './addresses.js';
import { closeByQuery } from './by_query.js';
import { checkLinks, mustBeReadable } from './links.js';
import { refuseUncounted, throttleLogins } from './login.js';
import { closeQuestions } from './questions.js';
import { forbidden } from './refusal.js';
import { surviveBadQueries } from './rejections.js';
import { scheduleRetention } from './retention.js';
import { RULES, functionsChangeDocuments } from './rules.js';
import { ADMINISTRATOR, FUNCTIONS, completeNewVoid, completeVoid } from './void.js';

/** Part of the refusal of changes by query, so that the installer can see which guard is loaded. */
export const VERSION = '1.6.0';

/** The role of the functions' service user, fixed in directus/access/billing_functions.yaml. */
export const SERVICE_ROLE = '5a1c0de0-0000-4000-8000-000000000104';

/** Everyone except administrators and the functions, logged in or not: their links and rules are checked. */
const ANYBODY = 'anybody';

/** Who writes: administrators and Directus itself (no accountability), the functions, or anyone else. */
function callerOf(accountability) {
	if (!accountability || accountability.admin === true) return ADMINISTRATOR;
	return accountability.role === SERVICE_ROLE ? FUNCTIONS : ANYBODY;
}

export default ({ init, filter, schedule }, directus) => {
	const { ItemsService } = directus.services;

	init('middlewares.after', ({ app }) => closeByQuery(app, VERSION));
	init('middlewares.after', ({ app }) => closeAddressDoors(app, (accountability) => callerOf(accountability ?? {}) !== ANYBODY));
	init('middlewares.after', ({ app }) => throttleLogins(app, directus));
	filter('auth.login', (payload, _meta, context) => refuseUncounted(payload, context, directus.env));

	closeQuestions(filter, directus.services, (accountability) => callerOf(accountability) !== ANYBODY);

	surviveBadQueries(directus.logger);

	scheduleRetention(schedule, directus);

	filter('items.create', (payload, { collection }, context) =>
		checked('create', collection, context, async (caller) => {
			let completed = payload;
			if (caller === ANYBODY) {
				await checkLinks(collection, payload, context, ItemsService);
				completed = (await RULES[collection].create?.(payload, context)) ?? payload;
			}
			return collection === 'invoices' ? completeNewVoid(completed, context, caller) : completed;
		}).then((completed) => completed ?? payload),
	);

	filter('items.update', (payload, { collection, keys }, context) =>
		checked('update', collection, context, async (caller) => {
			let completed = payload;
			if (caller === ANYBODY) {
				// First, so that no refusal below reveals anything about a row the caller cannot see.
				await mustBeReadable(collection, keys, context, ItemsService);
				await checkLinks(collection, payload, context, ItemsService);
				completed = (await RULES[collection].update?.(payload, keys, { ...context, ItemsService })) ?? payload;
			}
			if (caller === FUNCTIONS && collection === 'documents') await functionsChangeDocuments(payload, keys, context);
			return collection === 'invoices' ? completeVoid(completed, keys, context, caller) : completed;
		}).then((completed) => completed ?? payload),
	);
};

/** Run a check with the writer. Filters run before Directus checks permissions. */
async function checked(action, collection, context, check) {
	if (!(collection in RULES)) return undefined;
	const caller = callerOf(context.accountability);
	if (caller !== ANYBODY) return check(caller);
	if (!context.accountability.user) throw forbidden();
	try {
		return await check(caller);
	} catch (refusal) {
		// A caller without the right gets only that refusal, not what else is wrong.
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
