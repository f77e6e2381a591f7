/**
 * Slows password guessing without locking anyone out (docs/decisions/0024-login-throttle.md).
 *
 * Each request in which Directus would check a password or a code is counted by account and by address before Directus
 * sees it; `attempts.js` decides how long it has to wait. Counting, answer and time do not depend on whether the account
 * exists: Directus also hashes the password of an unknown account. Each Directus process counts for itself.
 */
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { segmentsOf } from './addresses.js';
import { Attempts, FAILED, SUCCEEDED, UNDECIDED } from './attempts.js';
import { Refusal } from './refusal.js';

const DEFAULT_PROVIDER = 'default';

export function throttleLogins(app, directus) {
	const attempts = new Attempts();
	app.use((request, response, next) => {
		pass(request, response, next, attempts, directus).catch(next);
	});
}

/**
 * Refuse a password sent over a WebSocket: Directus passes no address, so it cannot be counted.
 *
 * As slow as Directus's own refusal of an unknown address.
 */
export async function refuseUncounted(payload, { accountability }, { LOGIN_STALL_TIME }) {
	if (accountability !== null || typeof payload?.password !== 'string') return;
	await sleep(LOGIN_STALL_TIME);
	throw new Refusal(401, 'INVALID_CREDENTIALS', 'Invalid user credentials.');
}

async function pass(request, response, next, attempts, directus) {
	const door = doorOf(request, directus.env);
	if (door === null) return next();
	// Already disconnected: its end event is over, so a try that starts now would stay in progress forever.
	if (response.destroyed) return undefined;
	const attempt = attempts.begin(keyOf(door.account), keyOf(networkOf(addressOf(request))), performance.now());
	if (attempt.wait > 0) return refuse(response, attempt.wait);
	let hashed = null;
	endWith(request, response, attempt, () => hashed);
	await sleep(attempt.delay);
	if (door.provider !== null && !(await checksPassword(door, directus.database))) hashed = hash(request, directus);
	return next();
}

/** Whose password or code Directus checks in a request: null if none. */
function doorOf(request, env) {
	if (request.method !== 'POST') return null;
	const [first, ...rest] = segmentsOf(request);
	const { body, accountability } = request;
	if (first === 'auth' && rest[0] === 'login' && rest.length <= 2) return loginOf(rest[1] ?? DEFAULT_PROVIDER, body, env);
	const path = [first, ...rest].join('/');
	if (path === 'shares/auth') return named(['share', shareOf(body?.share)]);
	if (path === 'users/me/tfa/generate' || path === 'users/me/tfa/disable') return named(['user', accountability?.user]);
	return null;
}

function loginOf(provider, body, env) {
	const ldap = env[`AUTH_${provider.toUpperCase()}_DRIVER`] === 'ldap';
	const email = ldap ? body?.identifier : body?.email;
	const door = named(['login', provider, typeof email === 'string' ? normal(email) : undefined]);
	// An LDAP server takes its own time.
	return door === null ? null : { ...door, email, provider: ldap ? null : provider };
}

/** A database takes an id in capitals, without hyphens, or with braces. */
const shareOf = (share) => (typeof share === 'string' ? share.toLowerCase().replace(/[^0-9a-f]/g, '') : undefined);

function named(parts) {
	return parts.every((part) => typeof part === 'string') ? { account: parts.join('\0'), provider: null } : null;
}

/** Directus finds an account by the address in lower case; databases may see less of a difference, never more. */
const normal = (email) => email.toLowerCase().normalize('NFKC').toLowerCase().trim();

/** Of one length however long the value is, and without anybody's address in memory. */
const keyOf = (value) => createHash('sha256').update(value).digest('base64url');

/** Where the request comes from, as Directus sees it (IP_TRUST_PROXY, IP_CUSTOM_HEADER). */
const addressOf = ({ accountability, ip }) => accountability?.ip ?? ip ?? '';

/** Who has one address of IPv6 has the other 2^64 of its network. */
export function networkOf(address) {
	if (!isIPv6(address) || address.includes('.')) return address; // with a point: an address of IPv4 within one of IPv6
	const [head, tail] = address.split('%')[0].split('::');
	const groups = (part) => (part ? part.split(':') : []);
	const before = groups(head);
	const zeros = tail === undefined ? 0 : 8 - before.length - groups(tail).length;
	const first = [...before, ...Array(Math.max(0, zeros)).fill('0'), ...groups(tail)].slice(0, 4);
	return first.map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}

/** Whether Directus will check the password: only of an active account of this provider that has one. */
async function checksPassword({ email, provider }, database) {
	const user = await database('directus_users')
		.select('status', 'provider', 'password')
		.whereRaw('LOWER(??) = ?', ['email', email.toLowerCase()])
		.first();
	return user?.status === 'active' && user.provider.toLowerCase() === provider && Boolean(user.password);
}

/** What Directus does to check a password: as much work, to no end. Never rejects. */
async function hash({ body, schema }, { database, services: { PayloadService, SettingsService } }) {
	try {
		await new SettingsService({ knex: database, schema }).readSingleton({ fields: ['auth_login_attempts'] });
		const payload = new PayloadService('directus_users', { knex: database, schema });
		await payload.transformers.hash({ action: 'create', value: body.password });
	} catch {
		// The answer is Directus's, and is the same.
	}
}

/** End the attempt with Directus's answer, before it is sent; "wrong password" is not sent before the hash is done. */
function endWith(request, response, attempt, hashed) {
	let ended = false;
	const end = (outcome) => {
		if (!ended) attempt.end(outcome, performance.now());
		ended = true;
	};
	const json = response.json.bind(response);
	response.json = (body) => {
		end(outcomeOf(response.statusCode, body?.errors?.[0]?.extensions?.code, request.body));
		if (response.statusCode !== 401) return json(body);
		Promise.resolve(hashed())
			.then(() => json(body))
			.catch(() => response.destroy());
		return response;
	};
	// An answer without a body; or a caller who did not wait for it.
	response.once('close', () => end(response.writableFinished ? outcomeOf(response.statusCode) : FAILED));
}

function outcomeOf(status, code, body) {
	if (status < 400) return SUCCEEDED;
	// The password is right and the code is asked for.
	if (code === 'INVALID_OTP' && !body?.otp) return UNDECIDED;
	return status < 500 ? FAILED : UNDECIDED;
}

/** Directus's own answer to too many requests. */
function refuse(response, wait) {
	const seconds = Math.ceil(wait / 1000);
	const reset = new Date(Date.now() + seconds * 1000).toISOString();
	const message = `Too many requests, retry after ${seconds}s.`;
	return response
		.set('Retry-After', String(seconds))
		.status(429)
		.json({ errors: [{ message, extensions: { reset, code: 'REQUESTS_EXCEEDED' } }] });
}
