/* The last look before a recall: what a dry run counts is what has to be
   typed. */
import { Dialog, Field, html, Incomplete, leave, Problem, Select, Status,
	 useEffect, useLatest, useState, Verdict } from "./ui.js";
import { act, ask, askAgain, rights, start, starter } from "./api.js";
import { t } from "./i18n.js";

const POLL_MS = 1000;
const STANDS = [1, 24, 48];

/* For how long a recall may stand. */
export function standOptions() {
	return [["", t("stand.no")], ...STANDS
		.filter((n) => n * 3600 <= rights().max_stand)
		.map((n) => [n + "h", t("stand.hours", { n })])];
}

const copiesOf = (results) => results.reduce((n, r) =>
	n + (r.status === "would_expunge" ? r.copies : 0), 0);

/* How many users have which verdict. */
function countVerdicts(results) {
	const counts = {};

	for (const { status } of results)
		counts[status] = (counts[status] ?? 0) + 1;
	return counts;
}

/* Whether no more can be counted now: nodes that are down are asked on for a
   while. */
function isCounted({ state, nodes = [] }) {
	return state === "finished" || (nodes.length > 0 &&
		nodes.every((node) => node.state !== "running"));
}

/* Of everyone is a job; tells progress(how far it is). Returns null once it is not
   wanted any more. */
async function countEveryone(request, progress, isWanted) {
	const { id } = await start({ ...request, dry_run: true });

	for (;;) {
		if (!isWanted())
			return null;
		const { body } = await askAgain(() =>
			ask("GET", "/v2/actions/" + id), isWanted);

		if (isCounted(body))
			return body;
		progress(body);
		await new Promise((wake) => setTimeout(wake, POLL_MS));
	}
}

function Counted({ counted }) {
	const { results } = counted;
	const verdicts = countVerdicts(results);
	const copies = copiesOf(results);

	return html`<p><strong>${copies === 0 ? t("confirm.none") :
		t("confirm.count", { copies,
			users: verdicts.would_expunge })}</strong></p>
	<ul class="plain">${Object.entries(verdicts)
		.filter(([status]) => status !== "would_expunge")
		.map(([status, n]) => html`<li key=${status}><${Verdict}
			status=${status} />: ${n}</li>`)}</ul>
	<${Incomplete} nodes=${counted.nodes} />`;
}

/* everyone: whether it may be from all; part: whether not all were looked at
   yet; reason, force, notify: to begin with. */
export function Confirm({ request, everyone, part, reason = "", force = false,
			  notify = true, onClose }) {
	const can = everyone && request.messageid;
	const nobody = request.emails.length === 0;
	const [scope, setScope] = useState(can && part ? "all" : "found");
	const [options, setOptions] = useState({ reason, force, notify,
						   stand: "" });
	const [counting, setCounting] = useState(null);
	const [counted, setCounted] = useState(null);
	const [typed, setTyped] = useState("");
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState(null);
	const [send] = useState(starter);
	const begin = useLatest();
	const all = scope === "all";
	const copies = counted && copiesOf(counted.results);
	/* also what is on nodes that could not be asked yet */
	const possible = copies > 0 ||
		counted?.nodes?.some((node) => node.state !== "done");
	/* what was counted, or is being counted, is something else */
	const forget = () => {
		begin();
		setCounting(null);
		setCounted(null);
		setBusy(false);
	};
	const set = (name) => (value) => {
		setOptions({ ...options, [name]: value });
		if (name === "force")
			forget();
	};
	const full = () => ({ ...request, cmd: "expunge",
		...(all ? { all: true, emails: undefined } : {}),
		reason: options.reason, force: options.force });

	/* the next thing to do */
	useEffect(() => {
		if (possible)
			document.getElementById("typed")?.focus();
	}, [possible]);

	async function count(isWanted) {
		const answer = await (all ?
			countEveryone(full(), (to) => isWanted() &&
				setCounting(to), isWanted) :
			act({ ...full(), dry_run: true }));

		if (!isWanted())
			return;
		setCounting(null);
		setTyped("");
		setCounted(answer);
		setBusy(false);
	}
	async function recall() {
		const go = leave();
		const { id } = await send({ ...full(), notify: options.notify,
			...(options.stand ? { stand: options.stand } : {}),
			...(request.query ? { yes_count: Number(typed) } : {}) });

		go("#/recall/" + id);
	}
	async function submit(event) {
		event.preventDefault();
		if (busy)
			return;
		const isWanted = begin();

		setBusy(true);
		setError(null);
		try {
			await (counted ? recall() : count(isWanted));
		} catch (e) {
			/* that a recall has failed is told in any case */
			if (!counted && !isWanted())
				return;
			setCounting(null);
			setError(e);
			setBusy(false);
		}
	}

	return html`<${Dialog} title=${t("confirm.title")} onClose=${onClose}>
	<form onSubmit=${submit}>
	${can && !nobody && html`<${Select} id="scope" label=${t("scope")}
		value=${scope} onInput=${(to) => {
			setScope(to);
			forget();
		}} options=${[["found", t("scope.found", {
			n: request.emails.length })], ["all", t("everyone")]]} />`}
	${all && html`<p>${t("scope.all.hint")}</p>`}
	${everyone && !can && html`<p>${t("scope.query.hint")}</p>`}
	<${Field} id="reason" label=${t("reason")} value=${options.reason}
		onInput=${set("reason")} maxlength="255"
		required=${rights().require_reason} />
	<${Field} id="force" type="checkbox" label=${t("force")}
		value=${options.force} onInput=${set("force")} />
	<${Field} id="notify" type="checkbox" label=${t("notify")}
		value=${options.notify} onInput=${set("notify")} />
	<${Select} id="stand" label=${t("stand")} value=${options.stand}
		onInput=${set("stand")} options=${standOptions()} />
	<${Status}>${counting && html`<p>${t("progress.everyone",
		counting.progress)}</p>`}${counted && html`<${Counted}
		counted=${counted} />`}<//>
	${possible && html`<${Field} id="typed" label=${t("confirm.type", {
		n: copies })} value=${typed} onInput=${setTyped}
		inputmode="numeric" autocomplete="off" required />`}
	<${Problem} error=${error} />
	<p class="buttons">${counted ?
		html`<button class="danger" key="recall" disabled=${busy ||
			!possible || typed !== String(copies)}>${
			t("confirm.recall")}</button>` :
		html`<button class="primary" key="count" aria-disabled=${busy ?
			"true" : undefined}>${t("confirm.docount")}</button>`}
	<button type="button" onClick=${onClose}>${t("cancel")}</button></p>
	</form><//>`;
}
