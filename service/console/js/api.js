/* The API as the signed-in user. The access token is in memory only; the
   refresh token in a cookie that no script sees and that goes to SESSION
   alone. */
const SESSION = "session";
const RETRY_S = 5;
const RETRY_MAX_S = 120;
let session = null;
/* what the OpenID provider is called that one can sign in by, or null */
let provider = null;
let onSession = () => {};
let onWait = () => {};

/* The answer of a request that failed. */
export class ApiError extends Error {
	constructor(status, body, retryAfter = null) {
		let message = body?.message;

		/* {"message": {"PARAM": "PARAM is a required value"}} */
		if (message && typeof message === "object")
			message = Object.values(message).join("; ");
		super(message || "HTTP " + status);
		this.status = status;
		this.body = body;
		this.retryAfter = retryAfter;
	}
}

/* Whether what went wrong may go right in a while. */
export const mayPass = (error) => !(error instanceof ApiError) ||
	error.status >= 500 || error.status === 429;

const AGAIN_MS = 5000;
const TIMES = 6;

/* What only asks: one answer that is lost on the way does not end what takes many
   of them. */
export async function askAgain(what, isWanted) {
	for (let left = TIMES; ; left--) {
		try {
			return await what();
		} catch (error) {
			if (left === 0 || !mayPass(error))
				throw error;
			await new Promise((wake) => setTimeout(wake, AGAIN_MS));
			if (!isWanted())
				throw error;
		}
	}
}

export function current() {
	return session;
}

/* Who that is to the API, or null: whoever has another role, or tenant, may do
   something else. */
export function who() {
	return session && JSON.stringify([session.login, session.role,
					  session["tenant-id"]]);
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

/* Calls back with true when the session waits to be renewed, and with false when
   it does not any more. */
export function watchWait(callback) {
	onWait = callback;
}

/* how often that was: who has waited is not to undo it */
let changes = 0;

/* The cookie is that of all tabs: they sign out with this one, and when somebody
   else signs in. Where site storage is blocked they can't be told, in some
   browsers; the cookie is blocked then, too. */
function openTabs() {
	try {
		return new BroadcastChannel("recall-session");
	} catch {
		return { postMessage() {} };
	}
}

const tabs = openTabs();

function setSession(to) {
	changes++;
	session = to && { ...to, until: Date.now() + to.expire * 1000 };
	if (session !== null)
		tabs.postMessage(who());
	onSession(session);
	return session;
}

/* The next one begins at the beginning: only who was signed out by the time comes
   back to the same page. */
function leaveConsole() {
	setSession(null);
	location.hash = "";
}

tabs.onmessage = ({ data }) => {
	if (session !== null && data !== who())
		leaveConsole();
};

async function parse(response) {
	const type = response.headers.get("Content-Type") ?? "";
	const body = type.startsWith("application/json") ?
		await response.json() : null;

	if (!response.ok)
		throw new ApiError(response.status, body,
				   response.headers.get("Retry-After"));
	/* somebody before the service has answered, who thinks it is a page */
	if (body === null)
		throw new ApiError(502, { message: "HTTP " + response.status +
					  " " + type });
	return { status: response.status, headers: response.headers, body };
}

/* What the browser keeps, for all tabs or (sessionStorage) this one. Where that is
   blocked, or full, it is nothing. */
function keep(storage, name, value) {
	try {
		window[storage].setItem(name, value);
	} catch {
		/* who asks for it does without */
	}
}

function kept(storage, name) {
	try {
		return window[storage].getItem(name);
	} catch {
		return null;
	}
}

/* Since when an answer is waited for that brings another cookie, in ms. */
const ASKED = "session-asked";
/* for how long it may come still, once the page that has asked is left: longer
   than that nobody looks at an empty page; and where nothing tells of it */
const ANSWER_MS = 20000;
const BLIND_MS = 3000;
const MARK_MS = 100;

/* Another one comes with each cookie of the session, which no script sees. */
function mark() {
	return /(?:^|; )recall_session_mark=(\w+)/.exec(document.cookie)?.[1] ??
		"";
}

/* A page that was left while it asked, as by loading it twice, has used the cookie
   up, and the next one comes with the answer: that is not lost with the page. */
async function waitForAnswer() {
	const [at, before] = (kept("localStorage", ASKED) ?? "").split(" ");
	const most = before ? ANSWER_MS : BLIND_MS;
	const left = () => Number(at) + most - Date.now();

	while (left() > 0 && left() <= most && mark() === (before ?? ""))
		await new Promise((done) => setTimeout(done, MARK_MS));
}

/* One that is not answered holds up all tabs: hardly longer than what stands before
   the service waits for it, as a rule. */
const SESSION_MS = 65000;

/* Only a script of this origin can send JSON with this header: another one's
   form can't, and the cookie is SameSite=Strict besides. Where the page came by
   https, another cookie says which one of that name is the own one. */
async function sendSession(method, body) {
	await waitForAnswer();
	const limit = new AbortController();
	const timer = setTimeout(() => limit.abort(new ApiError(504)),
				 SESSION_MS);

	keep("localStorage", ASKED, Date.now() + " " + mark());
	try {
		return await parse(await fetch(SESSION, {
			method,
			credentials: "same-origin",
			keepalive: true,
			signal: limit.signal,
			headers: { "Content-Type": "application/json",
				   "X-Recall-Console":
					location.protocol === "https:" ?
						"https" : "1" },
			body: body === undefined ? undefined :
				JSON.stringify(body),
		}));
	} finally {
		clearTimeout(timer);
		keep("localStorage", ASKED, "");
	}
}

/* The cookie is good once, and all tabs have it: one after the other, unless the
   browser has no locks for this page. */
async function askSession(method, body) {
	let begun = false;
	const send = () => {
		begun = true;
		return sendSession(method, body);
	};

	try {
		return await navigator.locks.request(SESSION, send);
	} catch (error) {
		if (begun)
			throw error;
		return send();
	}
}

export async function signIn(login, password) {
	return setSession((await askSession("POST", { login, password })).body);
}

/* A number of seconds, or a date (RFC 9110, 10.2.3), but neither at once nor in
   an hour: who is waiting looks at the page. */
function waitingTime(retryAfter) {
	const seconds = /^\d+$/.test(retryAfter ?? "") ? Number(retryAfter) :
		(Date.parse(retryAfter) - Date.now()) / 1000;

	return Math.min(Math.max(seconds || RETRY_S, 1), RETRY_MAX_S) * 1000;
}

/* Whoever is told to come later, by the service or by what is before it, has the
   session still: the cookie is not used up. Returns null if somebody has signed
   in or out here meanwhile. */
async function askPatiently() {
	const before = changes;

	try {
		while (changes === before) {
			try {
				return await askSession("POST", {});
			} catch (error) {
				if (error.status !== 429)
					throw error;
				onWait(true);
				await new Promise((done) => setTimeout(done,
					waitingTime(error.retryAfter)));
			}
		}
		return null;
	} finally {
		onWait(false);
	}
}

/* Goes on with the session that the cookie stands for, if there is one. */
export async function resume() {
	try {
		const answer = await askPatiently();

		if (answer === null)
			return session;
		provider = answer.body.provider;
		return setSession(answer.body.access_token ? answer.body : null);
	} catch (error) {
		provider = error.body?.provider ?? provider;
		if (error.status === 401 || error.status === 403)
			return setSession(null);
		throw error;
	}
}

/* Whose session could not be ended is signed in still: the cookie would bring it
   back. */
export async function signOut() {
	await askSession("DELETE");
	leaveConsole();
	tabs.postMessage(null);
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

	/* who has signed out asks for nothing any more */
	if (session === null)
		throw new ApiError(401);
	headers = { ...headers, Authorization: "Bearer " + session.access_token };
	if (json)
		headers["Content-Type"] = "application/json";
	return fetch(path + query, {
		method, headers, credentials: "omit",
		body: json ? JSON.stringify(json) : undefined,
	});
}

/* A token that has expired is renewed once. The cookie may have become somebody
   else's: what one has asked for is not done for another. */
async function sendFresh(method, path, options) {
	const asker = who();
	const response = await send(method, path, options);

	if (response.status !== 401)
		return response;
	if (who() === asker) {
		resuming ??= resume().finally(() => { resuming = null; });
		await resuming;
	}
	return session && who() === asker ? send(method, path, options) :
		response;
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
   under the same key by who has sent it. */
export async function start(json, key = newKey()) {
	const asker = who();
	const { body } = await ask("POST", ACTIONS, {
		json, headers: { Prefer: "respond-async",
				 "Idempotency-Key": key },
	});

	keep("sessionStorage", "sent-" + body.id,
	     JSON.stringify({ json, key, asker }));
	return body;
}

/* Returns start() for a dialog: what is sent once more, since the answer to it was
   lost, is the same request, and no second recall. */
export function starter() {
	let last = null, key = null;

	return async (json) => {
		const request = JSON.stringify([who(), json]);

		if (request !== last)
			key = newKey();
		last = request;
		const answer = await start(json, key);

		last = null;
		return answer;
	};
}

/* What start() sent for the id from this tab, for who is signed in, or null. */
export function sent(id) {
	const request = JSON.parse(kept("sessionStorage", "sent-" + id));

	return request?.asker === who() ? request : null;
}

export async function act(json) {
	return (await ask("POST", ACTIONS, { json })).body;
}
