/**
 * PATCH and DELETE of a whole collection with {"query": ...} in the body.
 *
 * Directus 11.17.4 looks up the rows without permissions and answers 403 if there are any and 204 if not,
 * even without a login: a yes/no oracle over every field. Refused the same way whether anything matches or not.
 * PATCH and DELETE by keys, arrays, single rows, singletons and SEARCH are not touched.
 */
export function closeByQuery(app, version) {
	app.use((request, response, next) => {
		if (!isByQuery(request) || request.accountability?.admin === true) return next();
		return response.status(403).json({
			errors: [
				{
					message: 'Changing or deleting by query is not allowed. Name the rows by their keys.',
					extensions: { code: 'FORBIDDEN', billing_guard: version },
				},
			],
		});
	});
}

function isByQuery({ method, path, body }) {
	if (method !== 'PATCH' && method !== 'DELETE') return false;
	if (body === null || typeof body !== 'object' || Array.isArray(body) || !('query' in body)) return false;
	// A field named "query" of a single row (/items/searches/1, /users/<id>) is allowed.
	const segments = path.split('/').filter((segment) => segment !== '');
	const depth = segments[0]?.toLowerCase() === 'items' ? 2 : 1;
	return segments.length <= depth;
}
