/**
 * One request without a login stops Directus 11.17.4: `GET /users?deep={"a":{"_filter":"x"}}`, or a `deep` with a list in
 * a list, three thousand times.
 *
 * Directus does not await the levels of `deep` that it reads, so an error in one of them is an unhandled rejection, and
 * Node ends the process. Rejections from reading a query are logged here instead and the query continues without that
 * level. Any other one still ends the process.
 */
export function surviveBadQueries(logger) {
	process.on('unhandledRejection', (reason) => {
		if (!isOfAQuery(reason)) throw reason;
		logger.warn(`A level of "deep" could not be read and was left out: ${reason.message}`);
	});
}

/** Thrown while Directus read the parameters of a request (`utils/sanitize-query.js`), or so deep below that no frame of it is left. */
const isOfAQuery = (reason) =>
	reason instanceof Error && (/[\\/]sanitize-query\.js:/.test(reason.stack ?? '') || isTooDeep(reason));

const isTooDeep = (reason) => reason instanceof RangeError && reason.message.includes('call stack');
