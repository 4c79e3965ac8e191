/* One recall: how far it is, the verdicts, who read it, undo, evidence. */
import { Dialog, Field, Foreign, csv, download, html, Page, Problem, Select,
	 Status, Table, useEffect, useState, Verdict, When } from "./ui.js";
import { ask, askBlob, current, sent, start } from "./api.js";
import { addressesOf } from "./search.js";
import { t } from "./i18n.js";

const POLL_MS = 1000;
const PATH = "/v2/actions/";
const ENDED = ["finished", "rejected", "expired"];

/* The recall as it is now, and again until it has finished. */
function useRecall(id) {
	const [state, setState] = useState({});

	useEffect(() => {
		let timer, gone = false;

		async function look() {
			try {
				const { body } = await ask("GET", PATH + id);

				if (gone)
					return;
				setState({ recall: body });
				if (!ENDED.includes(body.state))
					timer = setTimeout(look, POLL_MS);
			} catch (error) {
				if (!gone)
					setState((old) => ({ ...old, error }));
			}
		}
		look();
		return () => { gone = true; clearTimeout(timer); };
	}, [id]);
	return state;
}

const columns = () => [
	{ name: "email", label: t("user"),
	  cell: (r) => html`<${Foreign} text=${r.email} />` },
	{ name: "status", label: t("verdict"),
	  cell: (r) => html`<${Verdict} status=${r.status} />` },
	{ name: "copies", label: t("copies"), number: true,
	  cell: (r) => r.copies },
	{ name: "mailboxes", label: t("mailboxes"),
	  cell: (r) => html`<${Foreign} text=${r.mailboxes} />` },
	{ name: "notice", label: t("notice"),
	  cell: (r) => r.notice ? t("notice." + r.notice) : "" },
	{ name: "error", label: t("error"),
	  cell: (r) => html`<${Foreign} text=${r.error} />` },
];

function Undo({ recall, onClose }) {
	const [who, setWho] = useState("all");
	const [emails, setEmails] = useState("");
	const [reason, setReason] = useState("");
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState(null);

	async function undo(event) {
		event.preventDefault();
		setBusy(true);
		setError(null);
		try {
			const { id } = await start({ cmd: "restore",
				id: recall.id, reason,
				...(who === "all" ? {} :
				    { emails: addressesOf(emails) }) });

			location.hash = "#/recall/" + id;
		} catch (e) {
			setError(e);
			setBusy(false);
		}
	}

	return html`<${Dialog} title=${t("undo.title")} onClose=${onClose}>
	<form onSubmit=${undo}>
	<${Select} id="who" label=${t("undo.who")} value=${who} onInput=${setWho}
		options=${[["all", t("undo.all")], ["some", t("undo.some")]]} />
	${who === "some" && html`<${Field} id="undo-emails" type="textarea"
		label=${t("find.emails")} hint=${t("find.emails.hint")}
		value=${emails} onInput=${setEmails} required />`}
	<${Field} id="undo-reason" label=${t("reason")} value=${reason}
		onInput=${setReason} maxlength="255" />
	<${Problem} error=${error} />
	<p class="buttons"><button class="primary" disabled=${busy}>${
		t("undo.do")}</button>
	<button type="button" onClick=${onClose}>${t("cancel")}</button></p>
	</form><//>`;
}

function Summary({ recall }) {
	const line = (label, value) => html`<dt>${label}</dt><dd>${value}</dd>`;

	return html`<dl>
	${line(t("id"), html`<code>${recall.id}</code>`)}
	${recall.messageid && line("Message-ID",
		html`<${Foreign} text=${recall.messageid} />`)}
	${recall.query && line(t("query"),
		html`<${Foreign} text=${recall.query.join(" ")} most=${500} />`)}
	${line(t("actor"), html`<${Foreign} text=${recall.actor} />`)}
	${recall.approver && line(t("approver"),
		html`<${Foreign} text=${recall.approver} />`)}
	${recall.reason && line(t("reason"),
		html`<${Foreign} text=${recall.reason} most=${500} />`)}
	${line(t("created"), html`<${When} at=${recall.created} />`)}
	${line(t("state"), t("state." + recall.state))}
	${recall.decision && line(t("approval.reason"),
		html`<${Foreign} text=${recall.decision} most=${500} />`)}
	${recall.expires > 0 && line(t("expires"),
		html`<${When} at=${recall.expires} />`)}
	${recall.finished > 0 && line(t("finished"),
		html`<${When} at=${recall.finished} />`)}
	${recall.kept_until > 0 && line(t("kept_until"),
		html`<${When} at=${recall.kept_until} />`)}
	${recall.standing && line(t("page.standing"), html`${
		t("until")} <${When} at=${recall.standing.until} />`)}
	${recall.recall && line(t("undoes"), html`<a
		href=${"#/recall/" + recall.recall}>${recall.recall}</a>`)}</dl>`;
}

/* Nodes that could not be asked: the recall goes on when they are back. */
function Nodes({ nodes = [] }) {
	const down = nodes.filter((node) => node.down_since);

	return down.length > 0 && html`<ul class="problem">${down.map((node) =>
		html`<li key=${node.name}>${t("node.down", { name: node.name })} <${
			When} at=${node.down_since} /></li>`)}</ul>`;
}

function Results({ recall, only }) {
	const [wanted, setWanted] = useState(only ?? "");
	const results = recall.results ?? [];
	const rows = wanted ? results.filter((r) => r.status === wanted) : results;
	const save = (type) => download(
		`recall-${recall.id}${wanted && "-" + wanted}.${type}`,
		type === "csv" ? "text/csv" : "application/json",
		type === "csv" ? csv(["email", "status", "copies", "mailboxes",
				      "notice", "error"], rows) :
			JSON.stringify(rows, null, 2));

	return html`<h2>${t("verdicts")}</h2>
	<${Select} id="only" label=${t("filter")} value=${wanted}
		onInput=${setWanted} options=${[["", t("all", {
			n: results.length })],
			...Object.entries(recall.summary ?? {})
			.filter(([, n]) => n > 0).map(([status, n]) =>
			[status, t("verdict." + status) + " (" + n + ")"])]} />
	${wanted === "read" && html`<p>${t("read.hint")}</p>`}
	<${Table} caption=${t("verdicts")} columns=${columns()} rows=${rows}
		rowKey=${(r) => r.email} />
	<p class="buttons noprint">
	<button type="button" onClick=${() => save("csv")}>${
		t("download", { type: "CSV" })}</button>
	<button type="button" onClick=${() => save("json")}>${
		t("download", { type: "JSON" })}</button>
	<button type="button" onClick=${() => print()}>${t("print")}</button></p>`;
}

export function Recall({ args: [id, only] }) {
	const { recall, error } = useRecall(id);
	const [undoing, setUndoing] = useState(false);
	const [failed, setFailed] = useState(null);
	const request = sent(id);
	const done = recall?.progress?.done ?? 0;
	const total = recall?.progress?.total ?? done;
	const mayUndo = recall?.state === "finished" &&
		recall.cmd === "expunge" && recall.summary?.expunged > 0;

	const attempt = (what) => async () => {
		setFailed(null);
		try {
			await what();
		} catch (e) {
			setFailed(e);
		}
	};
	const retry = attempt(async () => {
		await start(request.json, request.key);
		/* the same id: look at it anew */
		location.hash = "#/recall/" + id + "/" + (only ? "" : "error");
	});
	const evidence = attempt(async () => {
		const blob = await askBlob(PATH + id + "/export");
		const link = document.createElement("a");

		link.href = URL.createObjectURL(blob);
		link.download = "recall-" + id + ".zip";
		link.click();
	});

	return html`<${Page} title=${t(recall?.cmd === "restore" ?
		"page.restore" : "page.recall")}>
	<${Problem} error=${error ?? failed} />
	${recall && html`<${Summary} recall=${recall} />
	<${Status}><progress value=${done} max=${total || 1}
		aria-label=${t("progress")}></progress>
		<p>${t("progress.users", { done, total })}</p><//>
	<${Nodes} nodes=${recall.nodes} />
	<p class="buttons noprint">
	${mayUndo && html`<button type="button"
		onClick=${() => setUndoing(true)}>${t("undo")}</button>`}
	${recall.state === "finished" && recall.summary?.error > 0 && request &&
		html`<button type="button" onClick=${retry}>${
			t("retry", { n: recall.summary.error })}</button>`}
	${mayUndo && current().role !== 2 && html`<button type="button"
		onClick=${evidence}>${t("evidence")}</button>`}</p>
	<${Results} recall=${recall} only=${only} />`}
	${undoing && html`<${Undo} recall=${recall}
		onClose=${() => setUndoing(false)} />`}<//>`;
}
