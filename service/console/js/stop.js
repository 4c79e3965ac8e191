/* The stop of all recalls: who may see it sees on every page that they are
   stopped; who may pull it, or release it, has a button. */
import { Dialog, Field, Foreign, html, Problem, useEffect, useLatest, useState,
	 When } from "./ui.js";
import { ask, current, isFresh, rights } from "./api.js";
import { t } from "./i18n.js";

const POLL_MS = 15000;
const PATH = "/v2/stop";
const ROLE_USER = 2;

/* How it is: { state, told(state) }. It is asked for whenever another page is
   shown, or somebody comes back to this one, and now and then. */
export function useStop(page) {
	const [state, setState] = useState(null);
	const sees = current().role !== ROLE_USER;
	const begin = useLatest();

	/* what was asked before that may be older */
	function told(to) {
		begin();
		setState(to);
	}
	async function look() {
		const isLatest = begin();

		try {
			const { body } = await ask("GET", PATH);

			if (isLatest())
				setState((old) => ({ ...body,
					untold: body.stopped === old?.stopped ?
						old.untold : undefined }));
		} catch {
			/* what is not known is not told: the page has its own
			   troubles to tell of */
		}
	}
	useEffect(() => {
		if (sees)
			look();
	}, [page]);
	useEffect(() => {
		if (!sees)
			return undefined;
		const timer = setInterval(() => isFresh() && look(), POLL_MS);

		addEventListener("focus", look);
		return () => {
			clearInterval(timer);
			removeEventListener("focus", look);
		};
	}, []);
	return { state, told };
}

/* The nodes that did not answer. */
const untoldOf = (answer) => answer.nodes.filter((node) => node.error);

function Untold({ nodes }) {
	return nodes?.length > 0 && html`<div class="problem">
		<p>${t("stop.untold")}</p><ul>${nodes.map((node) =>
		html`<li key=${node.url}><${Foreign} text=${node.error.startsWith(
			node.url) ? node.error : node.url + ": " + node.error}
			most=${300} /></li>`)}</ul></div>`;
}

/* Stops, or releases. */
function Pull({ release, onClose, told }) {
	const [reason, setReason] = useState("");
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState(null);
	const begin = useLatest();
	const name = release ? "release" : "stop";

	async function pull(event) {
		event.preventDefault();
		const isOpen = begin();

		setBusy(true);
		setError(null);
		try {
			const { body } = release ? await ask("DELETE", PATH) :
				await ask("POST", PATH, { json: { reason } });

			if (isOpen())
				onClose();
			told({ ...body, untold: untoldOf(body) });
		} catch (e) {
			setError(e);
			setBusy(false);
		}
	}

	return html`<${Dialog} title=${t(name + ".title")} onClose=${onClose}>
	<form onSubmit=${pull}><p>${t(name + ".hint")}</p>
	${!release && html`<${Field} id="stop-reason" label=${t("reason")}
		value=${reason} onInput=${setReason} maxlength="255" />`}
	<${Problem} error=${error} />
	<p class="buttons"><button class=${release ? "primary" : "danger"}
		disabled=${busy}>${t(name + ".do")}</button>
	<button type="button" onClick=${onClose}>${t("cancel")}</button></p>
	</form><//>`;
}

/* A button and its dialog. */
function Puller({ release, told }) {
	const [open, setOpen] = useState(false);

	return html`<button type="button" class=${release ? "" : "brake"}
		onClick=${() => setOpen(true)}>${t(release ? "release.do" :
			"stop.all")}</button>
	${open && html`<${Pull} release=${release} told=${told}
		onClose=${() => setOpen(false)} />`}`;
}

export function StopButton({ stop: { state, told } }) {
	return rights().stop && !state?.stopped && html`<div><${Puller}
		told=${told} /></div>`;
}

export function StopBanner({ stop: { state, told } }) {
	return html`<div role="status">${state?.stopped && html`<section
		class="stopped" aria-labelledby="stopped">
	<h2 id="stopped">${t("stopped")}</h2>
	<p><${Foreign} text=${state.actor} />, <${When} at=${state.since} />${
		state.reason && html`: <${Foreign} text=${state.reason}
			most=${255} />`}</p>
	<p>${t("stopped.hint")}</p>
	<${Untold} nodes=${state.untold} />
	${rights().stop && html`<div><${Puller} release told=${told} /></div>`}
	</section>`}${state && !state.stopped && html`<${Untold}
		nodes=${state.untold} />`}</div>`;
}
