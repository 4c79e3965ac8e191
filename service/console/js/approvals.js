/* Recalls that wait for a second person. */
import { Dialog, Field, focusPage, Foreign, html, leave, Page, Problem, Status,
	 Table, useEffect, useLatest, useState, When } from "./ui.js";
import { ask, current, rights } from "./api.js";
import { t } from "./i18n.js";

const PATH = "/v2/approvals";

function Decide({ approval, decision, onClose, onDone }) {
	const [reason, setReason] = useState("");
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState(null);
	const begin = useLatest();

	async function decide(event) {
		event.preventDefault();
		const isOpen = begin(), go = leave();

		setBusy(true);
		setError(null);
		try {
			await ask("POST", PATH + "/" + approval.id,
				  { json: { decision, reason } });
			if (isOpen())
				onClose();
			onDone(approval, decision, go);
		} catch (e) {
			setError(e);
			setBusy(false);
		}
	}

	return html`<${Dialog} title=${t("approval." + decision)}
		onClose=${onClose}><form onSubmit=${decide}>
	<p><${Foreign} text=${approval.messageid ||
		approval.query?.join(" ")} most=${500} /></p>
	<${Field} id="decision-reason" label=${t("reason")} value=${reason}
		onInput=${setReason} maxlength="255"
		required=${rights().require_reason} />
	<${Problem} error=${error} />
	<p class="buttons"><button class=${decision === "approve" ? "danger" :
		"primary"} disabled=${busy}>${t("approval." + decision)}</button>
	<button type="button" onClick=${onClose}>${t("cancel")}</button></p>
	</form><//>`;
}

const sampleColumns = () => [
	{ name: "from", label: t("from"),
	  cell: (s) => html`<${Foreign} text=${s.from} />` },
	{ name: "subject", label: t("subject"),
	  cell: (s) => html`<${Foreign} text=${s.subject} />` },
	{ name: "user", label: t("user"),
	  cell: (s) => html`<${Foreign} text=${s.email} />` },
];

function Approval({ approval, onDecide }) {
	const own = approval.actor.toLowerCase() ===
		current().login.toLowerCase();

	return html`<section class="group" aria-labelledby=${"a-" + approval.id}>
	<h2 id=${"a-" + approval.id}><${Foreign} text=${approval.messageid ||
		approval.query?.join(" ")} /></h2>
	<dl><dt>${t("actor")}</dt><dd><${Foreign} text=${approval.actor} /></dd>
	<dt>${t("reason")}</dt><dd><${Foreign} text=${approval.reason}
		most=${500} /></dd>
	<dt>${t("users")}</dt><dd>${approval.all ? t("everyone") :
		approval.users}</dd>
	${approval.yes_count !== undefined && html`<dt>${t("copies")}</dt><dd>${
		approval.yes_count}</dd>`}
	<dt>${t("force")}</dt><dd>${approval.force ? t("yes") : t("no")}</dd>
	<dt>${t("created")}</dt><dd><${When} at=${approval.created} /></dd>
	<dt>${t("expires")}</dt><dd><${When} at=${approval.expires} /></dd></dl>
	${approval.samples?.length > 0 && html`<${Table}
		caption=${t("approval.samples")} columns=${sampleColumns()}
		rows=${approval.samples} rowKey=${(s, i) => i} />`}
	${approval.all && approval.messageid && html`<p><a href=${"#/find/" +
		encodeURIComponent(approval.messageid) + "/all"}>${
		t("find.look")}</a></p>`}
	${own && html`<p>${t("approval.own")}</p>`}
	<p class="buttons">${!own && html`<button type="button" class="danger"
		onClick=${() => onDecide(approval, "approve")}>${
		t("approval.approve")}</button>`}
	<button type="button" onClick=${() => onDecide(approval, "reject")}>${
		t("approval.reject")}</button></p></section>`;
}

export function Approvals() {
	/* { approvals, errors }: of those that can't be read there is the id */
	const [answer, setAnswer] = useState(null);
	const [deciding, setDeciding] = useState(null);
	const [said, setSaid] = useState("");
	const [error, setError] = useState(null);

	const begin = useLatest();

	async function look() {
		const isLatest = begin();

		try {
			const { body } = await ask("GET", PATH);

			if (isLatest())
				setAnswer(body);
		} catch (e) {
			if (isLatest())
				setError(e);
		}
	}
	useEffect(() => { look(); }, []);

	return html`<${Page} title=${t("page.approvals")}>
	<${Problem} error=${error} />
	<${Status}>${said} ${answer && t("approval.waiting", {
		n: answer.approvals.length + answer.errors.length })}<//>
	${answer?.errors.map(({ id, error: why }) => html`<p class="problem"
		key=${id}><strong>${t("incomplete")}:</strong> <code>${id}</code>: <${
		Foreign} text=${why} /></p>`)}
	${answer?.approvals.map((approval) => html`<${Approval} key=${approval.id}
		approval=${approval} onDecide=${(a, decision) =>
			setDeciding({ approval: a, decision })} />`)}
	${deciding && html`<${Decide} ...${deciding}
		onClose=${() => setDeciding(null)}
		onDone=${(approval, decision, go) => {
			setSaid(t("approval.done." + decision));
			if (decision === "approve")
				go("#/recall/" + approval.id);
			else
				look().then(focusPage);
		}} />`}<//>`;
}
