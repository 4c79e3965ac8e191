/* One recall: how far it is, the verdicts, who read it, undo, evidence. */
import { Dialog, Field, Foreign, csv, download, html, Incomplete, leave, Page,
	 Problem, Select, Status, Table, useEffect, useState, Verdict, When }
	from "./ui.js";
import { ask, askBlob, current, mayPass, rights, sent, start, starter }
	from "./api.js";
import { Confirm } from "./confirm.js";
import { addressesOf } from "./search.js";
import { t } from "./i18n.js";

const POLL_MS = 1000;
/* after something went wrong on the way */
const AGAIN_MS = 5000;
const PATH = "/v2/actions/";
const ROLE_SUPER = 3;
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
				if (gone)
					return;
				setState((old) => ({ ...old, error }));
				if (mayPass(error))
					timer = setTimeout(look, AGAIN_MS);
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
	{ name: "mailbox_user", label: t("mailbox_user"),
	  cell: (r) => html`<${Foreign} text=${r.mailbox_user} />` },
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

/* Without the columns that none of the rows has a value for. */
function withValues(all, rows, fields) {
	return all.filter((c) => !fields[c.name] ||
			  rows.some((row) => row[fields[c.name]]));
}

/* id: the recall's; failed: whom it was not undone for the last time. */
function Undo({ id, kept_until, failed = [], onClose }) {
	const [who, setWho] = useState(failed.length > 0 ? "some" : "all");
	const [emails, setEmails] = useState(failed.join("\n"));
	const [reason, setReason] = useState("");
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState(null);
	const [send] = useState(starter);

	async function undo(event) {
		event.preventDefault();
		const go = leave();

		setBusy(true);
		setError(null);
		try {
			const answer = await send({ cmd: "restore",
				id, reason,
				...(who === "all" ? {} :
				    { emails: addressesOf(emails) }) });

			go("#/recall/" + answer.id);
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
		onInput=${setReason} maxlength="255"
		required=${rights().require_reason} />
	${!(kept_until > Date.now() / 1000) && html`<p>${
		t("undo.maybe")}</p>`}
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
	${recall.dry_run && line(t("what"), t("dry_run"))}
	${recall.cmd === "expunge" && line(t("force"),
		t(recall.force ? "yes" : "no"))}
	${recall.cmd === "expunge" && !recall.dry_run && line(t("notify"),
		t(recall.notify ? "yes" : "no"))}
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
		t("until")} <${When} at=${recall.standing.until} />${
		recall.standing.missing?.length > 0 && html`; ${
		t("standing.not")}: <${Foreign} text=${recall.standing.missing
			.map((node) => node.name).join(", ")} />`}`)}
	${recall.late !== undefined && line(t("standing.late"), html`${
		recall.late}${recall.late_users && html`: <${Foreign}
		text=${recall.late_users.map((user) => user.email).join(", ")}
		most=${500} />`}`)}
	${recall.recall && line(t("undoes"), html`<a
		href=${"#/recall/" + recall.recall}>${recall.recall}</a>`)}</dl>`;
}

const nodeColumns = () => [
	{ name: "name", label: t("node"),
	  cell: (n) => html`<${Foreign} text=${n.name} />` },
	{ name: "state", label: t("state"), cell: (n) => t("state." + n.state) },
	{ name: "looked", label: t("node.looked"), number: true,
	  cell: (n) => n.looked },
	{ name: "since", label: t("node.since"),
	  cell: (n) => html`<${When} at=${n.down_since} />` },
	{ name: "error", label: t("error"),
	  cell: (n) => html`<${Foreign} text=${n.error} most=${300} />` },
];

/* How many there are is not known until all nodes have listed their users. */
function Progress({ recall }) {
	const { done = 0, total, hits, failures } = recall.progress ?? {};
	const ended = ENDED.includes(recall.state);

	return html`<${Status}><progress value=${recall.all && !ended ?
		(recall.state === "paused" ? 0 : undefined) : done} max=${(total ?? done) || 1}
		aria-label=${t("progress")}></progress>
	<p>${recall.all ? t("progress.everyone", { done, hits, failures }) :
		t("progress.users", { done, total })}</p>
	${recall.state === "paused" && html`<p>${t("paused.hint")}</p>`}
	<${Incomplete} nodes=${recall.nodes} /><//>
	${recall.nodes?.length > 0 && html`<${Table} caption=${t("nodes")}
		columns=${withValues(nodeColumns(), recall.nodes, {
			since: "down_since", error: "error" })}
		rows=${recall.nodes}
		rowKey=${(n) => n.name} />`}`;
}

/* setWanted: shows only those of this verdict. */
function Results({ recall, wanted, setWanted }) {
	const results = recall.results ?? [];
	const rows = wanted ? results.filter((r) => r.status === wanted) : results;
	const save = (type) => download(
		`recall-${recall.id}${wanted && "-" + wanted}.${type}`,
		type === "csv" ? new Blob([csv(["email", "mailbox_user", "status",
			"copies", "mailboxes", "notice", "error"], rows)],
			{ type: "text/csv" }) :
		new Blob([JSON.stringify(rows, null, 2)],
			 { type: "application/json" }));

	return html`<h2>${t("verdicts")}</h2>
	<div class="narrow"><${Select} id="only" label=${t("filter")} value=${wanted}
		onInput=${setWanted} options=${[["", t("all", {
			n: results.length })],
			...Object.entries(recall.summary ?? {})
			.filter(([, n]) => n > 0).map(([status, n]) =>
			[status, t("verdict." + status) + " (" + n + ")"])]} /></div>
	${wanted === "read" && html`<p>${t("read.hint")}</p>`}
	<${Table} quiet caption=${t("verdicts")} rows=${rows}
		columns=${withValues(columns(), rows, { error: "error",
			mailbox_user: "mailbox_user" })}
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
	const [again, setAgain] = useState(false);
	const [problem, setProblem] = useState(null);
	const [wanted, setWanted] = useState(only ?? "");
	const request = sent(id);
	const finished = recall?.state === "finished";
	const mayUndo = finished && recall.cmd === "expunge" &&
		(recall.summary?.expunged > 0 || recall.late > 0);
	const failed = finished && (recall.summary?.error ?? 0);
	const failedUsers = failed > 0 ? recall.results.filter((r) =>
		r.status === "error").map((r) => r.email) : [];
	const lost = finished && recall.nodes?.some((n) => n.state === "failed");

	const attempt = (what) => async () => {
		setProblem(null);
		try {
			await what();
		} catch (e) {
			setProblem(e);
		}
	};
	/* Who asked with another role was kept from other tenants' mail, or from
	   what others have sent: asked with this one it would go. */
	const mayAgain = request !== null || (recall && !recall.dry_run &&
		[ROLE_SUPER, current().role].includes(recall.role));
	/* only who has sent it has its key; others ask anew */
	const retry = request === null ? () => setAgain(true) :
		attempt(async () => {
		const go = leave();

		await start(request.json, request.key);
		/* the same id: look at it anew */
		go("#/recall/" + id + "/" + (only ? "" : "error"));
	});
	const evidence = attempt(async () => download("recall-" + id + ".zip",
		await askBlob(PATH + id + "/export")));

	function showReaders() {
		setWanted("read");
		document.getElementById("only").focus();
	}

	return html`<${Page} title=${t(recall?.cmd === "restore" ?
		"page.restore" : "page.recall")}>
	<${Problem} error=${error ?? problem} />
	${recall && html`<${Summary} recall=${recall} />
	<${Progress} recall=${recall} />
	<p class="buttons noprint">
	${mayUndo && html`<button type="button"
		onClick=${() => setUndoing(true)}>${t("undo")}</button>`}
	${(failed > 0 || lost) && mayAgain && html`<button type="button"
		onClick=${retry}>${failed > 0 ? t("retry", { n: failed }) :
			t("retry.nodes")}</button>`}
	${recall.summary?.read > 0 && html`<button type="button"
		onClick=${showReaders}>${t("read.who", {
			n: recall.summary.read })}</button>`}
	${mayUndo && rights().export && html`<button type="button"
		onClick=${evidence}>${t("evidence")}</button>`}</p>
	<${Results} recall=${recall} setWanted=${setWanted}
		wanted=${recall.summary?.[wanted] > 0 ? wanted : ""} />`}
	${undoing && html`<${Undo} id=${recall.id} kept_until=${recall.kept_until}
		onClose=${() => setUndoing(false)} />`}
	${again && (recall.cmd === "restore" ?
		html`<${Undo} id=${recall.recall} failed=${failedUsers}
			onClose=${() => setAgain(false)} />` :
		html`<${Confirm} request=${{ messageid: recall.messageid,
			query: recall.query, emails: failedUsers,
			...(recall.verify_headers ?
				{ verify_headers: true } : {}) }}
			everyone=${lost && rights().everyone} part=${lost}
			reason=${recall.reason} force=${recall.force}
			notify=${recall.notify}
			onClose=${() => setAgain(false)} />`)}<//>`;
}
