/**
 * Doors of Directus that take an e-mail address and are open to everybody.
 *
 * Directus 11.17.4 looks for the account before it looks at permissions: `POST /users/invite` answers 204 where there is
 * one and 403 where there is none, and mails the invited; `POST /users/register`, once it is on, refuses a weak password
 * only for addresses without an account. Closed, with one answer, to everybody but administrators and the functions. Of
 * GraphQL the same doors are closed, and those that take a password or a code as well: a document can ask one of them a
 * hundred times, and `login.js` counts requests. What stays open (`POST /auth/login`, `POST /auth/password/request`)
 * answers everybody alike.
 *
 * What is too long for an address is refused before anything compares it: the time that takes grows with the square of
 * its length, and Directus compares before it asks for a right.
 */
const CLOSED = ['users/invite', 'users/register'];

/** Only who may invite at all gets through; Directus still asks for the right. */
const INVITATION = mentions('users_invite');

/** Fields of `Mutation` that REST has as well, where they are counted or answer everybody alike. */
const ONLY_OVER_REST = mentions(
	'auth_login',
	'auth_password_request',
	'users_register',
	'users_me_tfa_generate',
	'users_me_tfa_disable',
);

const WITH_ADDRESSES = ['auth', 'users'];
const LONGEST_ADDRESS = 254;

/** PostgreSQL has no text with a NUL in it. */
const isNoAddress = (value) => typeof value === 'string' && (value.length > LONGEST_ADDRESS || value.includes('\0'));

/** In a row, in several, or in the `data` for several. */
function hasNoAddress(body) {
	const rows = [body, body?.data].flat();
	return rows.some((row) => [row?.email, row?.identifier].flat().some(isNoAddress));
}

/** `mayInvite` says of a request's accountability whether it is an administrator's or the functions'. */
export function closeAddressDoors(app, mayInvite) {
	app.use((request, response, next) => {
		const [first] = segmentsOf(request);
		if (WITH_ADDRESSES.includes(first) && hasNoAddress(request.body)) return refuseAddress(response);
		const asked = first === 'graphql' ? documentOf(request) : '';
		if (ONLY_OVER_REST.test(asked)) {
			return refuse(response, 'Addresses, passwords and codes are not taken over GraphQL. Use the REST API.');
		}
		const closed = INVITATION.test(asked) || (request.method === 'POST' && CLOSED.includes(segmentsOf(request).join('/')));
		if (closed && !mayInvite(request.accountability)) return refuse(response);
		return next();
	});
}

/** The parts of the path as Directus's routers tell them apart: case and additional slashes make no difference. */
export function segmentsOf({ path }) {
	return path
		.toLowerCase()
		.split('/')
		.filter((segment) => segment !== '');
}

/** A field is named in the document's own text: GraphQL has no escapes in names, and an alias does not replace the name. */
function mentions(...names) {
	return new RegExp(`(?<![_0-9A-Za-z])(?:${names.join('|')})(?![_0-9A-Za-z])`);
}

function documentOf({ body, query }) {
	return [body?.query, query?.query].filter((text) => typeof text === 'string').join('\n');
}

/** In Directus's own words. */
function refuseAddress(response) {
	const message = 'Invalid payload. "email" must be a valid email.';
	return response.status(400).json({ errors: [{ message, extensions: { reason: '"email" must be a valid email', code: 'INVALID_PAYLOAD' } }] });
}

function refuse(response, message = "You don't have permission to access this.") {
	return response.status(403).json({ errors: [{ message, extensions: { code: 'FORBIDDEN' } }] });
}
