/**
 * One request without a login ends Directus 11.17.4: `GET /users?deep={"a":{"_filter":"x"}}`, or a `deep` with a list in
 * a list, three thousand times.
 *
 * It does not wait for the levels of `deep` that it reads, so what is wrong with one of them is a rejection that nothing
 * handles, and Node ends the process. What comes from reading a query is logged here instead; the query goes on without
 * that level. Everything else ends the process as it did.
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
