/** A refusal in the shape of Directus's own errors (it recognises them by their name). */
export class Refusal extends Error {
	constructor(status, code, message, extensions = {}) {
		super(message);
		this.name = 'DirectusError';
		this.status = status;
		this.code = code;
		this.extensions = extensions;
	}
}

/** Directus's own answer for both forbidden and unknown: it does not reveal which. */
export const forbidden = (message = "You don't have permission to access this.") => new Refusal(403, 'FORBIDDEN', message);

/** The value itself is wrong. */
export const invalid = (code, message, extensions) => new Refusal(400, code, message, extensions);

/** The value is fine, but the state of the record forbids it. */
export const locked = (code, message, extensions) => new Refusal(403, code, message, extensions);
