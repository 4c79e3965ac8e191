/* The API as the signed-in user. The access token is in memory only; the
   refresh token in a cookie that no script sees and that goes to SESSION
   alone. */
const SESSION = "session";
let session = null;
/* what the OpenID provider is called that one can sign in by, or null */
let provider = null;
let onSession = () => {};

/* The answer of a request that failed. */
export class ApiError extends Error {
	constructor(status, body) {
		let message = body?.message;

		/* {"message": {"PARAM": "PARAM is a required value"}} */
		if (message && typeof message === "object")
			message = Object.values(message).join("; ");
		super(message || "HTTP " + status);
		this.status = status;
		this.body = body;
	}
}

export function current() {
	return session;
}

/* What the API would not refuse whoever is signed in: only for what is offered,
   the API's answer decides. */
export function rights() {
	return session?.rights ?? {};
}

export function signInBy() {
	return provider;
}

/* Calls back whenever somebody has signed in or out. */
export function watchSession(callback) {
	onSession = callback;
}

function setSession(to) {
	session = to && { ...to, until: Date.now() + to.expire * 1000 };
	onSession(session);
	return session;
}

async function parse(response) {
	const type = response.headers.get("Content-Type") ?? "";
	const body = type.startsWith("application/json") ?
		await response.json() : null;

	if (!response.ok)
		throw new ApiError(response.status, body);
	return { status: response.status, headers: response.headers, body };
}

/* Only a script of this origin can send JSON with this header: another one's
   form can't, and the cookie is SameSite=Strict besides. */
async function sendSession(method, body) {
	return parse(await fetch(SESSION, {
		method,
		credentials: "same-origin",
		headers: { "Content-Type": "application/json",
			   "X-Recall-Console": "1" },
		body: body === undefined ? undefined : JSON.stringify(body),
	}));
}

/* The cookie is good once, and all tabs have it: one after the other. */
function askSession(method, body) {
	const send = () => sendSession(method, body);

	return navigator.locks ? navigator.locks.request(SESSION, send) : send();
}

export async function signIn(login, password) {
	return setSession((await askSession("POST", { login, password })).body);
}

/* Goes on with the session that the cookie stands for, if there is one. */
export async function resume() {
	try {
		const { body } = await askSession("POST", {});

		provider = body.provider ?? provider;
		return setSession(body.access_token ? body : null);
	} catch (error) {
		if (error instanceof ApiError && error.status < 500)
			return setSession(null);
		throw error;
	}
}

/* The next one begins at the beginning: only who was signed out by the time comes
   back to the same page. */
export async function signOut() {
	try {
		await askSession("DELETE");
	} finally {
		setSession(null);
		location.hash = "";
	}
}

/* Whether the token is still good: what nobody has asked for must not renew it,
   or a session would never end while its page is open. */
export function isFresh() {
	return session !== null && Date.now() < session.until;
}

let resuming = null;

async function send(method, path, { params, json, headers = {} } = {}) {
	const query = params && method === "GET" ?
		"?" + new URLSearchParams(params) : "";

	headers = { ...headers, Authorization: "Bearer " + session.access_token };
	if (json)
		headers["Content-Type"] = "application/json";
	return fetch(path + query, {
		method, headers, credentials: "omit",
		body: json ? JSON.stringify(json) : undefined,
	});
}

/* A token that has expired is renewed once. */
async function sendFresh(method, path, options) {
	const response = await send(method, path, options);

	if (response.status !== 401)
		return response;
	resuming ??= resume().finally(() => { resuming = null; });
	return await resuming ? send(method, path, options) : response;
}

/* Asks the API. Throws ApiError. */
export async function ask(method, path, options) {
	return parse(await sendFresh(method, path, options));
}

/* A file that the API answers with, held until it is saved. */
export async function askBlob(path) {
	const response = await sendFresh("GET", path);

	if (!response.ok)
		await parse(response);
	return response.blob();
}

/* A key that no other request has: what is sent again under it is the same
   request. */
export function newKey() {
	const octets = crypto.getRandomValues(new Uint8Array(16));

	return [...octets].map((o) => o.toString(16).padStart(2, "0")).join("");
}

const ACTIONS = "/v2/actions/expunge";

/* Sends a recall, or a restore, that runs in the background; returns its id.
   What was sent is kept for this tab, so that failed users can be asked again
   under the same key. */
export async function start(json, key = newKey()) {
	const { body } = await ask("POST", ACTIONS, {
		json, headers: { Prefer: "respond-async",
				 "Idempotency-Key": key },
	});

	sessionStorage.setItem("sent-" + body.id, JSON.stringify({ json, key }));
	return body;
}

/* What start() sent for the id from this tab, or null. */
export function sent(id) {
	return JSON.parse(sessionStorage.getItem("sent-" + id) ?? "null");
}

export async function act(json) {
	return (await ask("POST", ACTIONS, { json })).body;
}
