/**
 * Endpoints of Directus that take an e-mail address and are open to everyone.
 *
 * Directus 11.17.4 looks up the account before it checks permissions: `POST /users/invite` answers 204 if it exists and
 * 403 if not, and mails the invited; `POST /users/register`, when enabled, refuses a weak password only for addresses
 * without an account. Both are closed, with one answer, to everyone except administrators and the functions. In GraphQL
 * the same fields are closed, and those that take a password or a code: one document can call a field a hundred times,
 * and `login.js` counts requests. What stays open (`POST /auth/login`, `POST /auth/password/request`) gives every address
 * the same answer.
 *
 * Text too long for an address is refused before it is compared: the time grows with the square of its length, and
 * Directus compares before it checks rights.
 */
const CLOSED = ['users/invite', 'users/register'];

/** Lets through only callers who may invite; Directus still checks the right. */
const INVITATION = mentions('users_invite');

/** Fields of `Mutation` that REST has as well, where they are counted or answer every address alike. */
const ONLY_OVER_REST = mentions(
	'auth_login',
	'auth_password_request',
	'users_register',
	'users_me_tfa_generate',
	'users_me_tfa_disable',
);

const WITH_ADDRESSES = ['auth', 'users'];
const LONGEST_ADDRESS = 254;

/** PostgreSQL cannot store a NUL in text. */
const isNoAddress = (value) => typeof value === 'string' && (value.length > LONGEST_ADDRESS || value.includes('\0'));

/** In a row, in several, or in the `data` for several. */
function hasNoAddress(body) {
	const rows = [body, body?.data].flat();
	return rows.some((row) => [row?.email, row?.identifier].flat().some(isNoAddress));
}

/** `mayInvite` returns whether a request's accountability is an administrator's or the functions'. */
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

/** The parts of the path as Directus's routers see them: case and extra slashes make no difference. */
export function segmentsOf({ path }) {
	return path
		.toLowerCase()
		.split('/')
		.filter((segment) => segment !== '');
}

/** A field's name is always in the document's text: GraphQL names have no escapes, and an alias does not replace the name. */
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
