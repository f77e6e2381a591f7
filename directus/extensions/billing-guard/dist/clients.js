import { invalid } from './refusal.js';

/** Who may be assigned to a client: holders of these policies (directus/access) and administrators. */
const FIRM_POLICIES = ['5a1c0de0-0000-4000-8000-000000000202', '5a1c0de0-0000-4000-8000-000000000203'];

/** Checks of a client, on creation and change. */
export async function checkClient(payload, { database }) {
	checkTimezone(payload.timezone);
	const user = payload.assigned_staff;
	if (user !== undefined && user !== null && !(await worksAtTheFirm(user, database))) {
		throw invalid('NOT_STAFF', 'Only staff, a partner or an administrator can be assigned to a client.', { field: 'assigned_staff' });
	}
	return payload;
}

/** With an unknown zone days would silently be counted in the firm's zone. */
function checkTimezone(timezone) {
	if (timezone === undefined || timezone === null || isTimezone(timezone)) return;
	throw invalid('INVALID_TIMEZONE', '"timezone" must be an IANA time zone such as Europe/Berlin.', { field: 'timezone' });
}

/** Whether the functions' time zone database has the name, too. */
export function isTimezone(name) {
	try {
		const known = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone;
		// JavaScript takes europe/berlin; the functions' database of zones does not.
		return known === name || known.toLowerCase() !== String(name).toLowerCase();
	} catch {
		return false;
	}
}

async function worksAtTheFirm(user, database) {
	const policy = await database('directus_access')
		.join('directus_policies', 'directus_policies.id', 'directus_access.policy')
		.select('directus_policies.id')
		.where((held) =>
			held
				.where('directus_access.user', user)
				.orWhereIn('directus_access.role', database('directus_users').select('role').where({ id: user }).whereNotNull('role')),
		)
		.andWhere((granting) => granting.whereIn('directus_policies.id', FIRM_POLICIES).orWhere('directus_policies.admin_access', true))
		.first();
	return policy !== undefined;
}
