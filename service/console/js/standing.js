/* Standing orders: recalls that also take what arrives later. */
import { Dialog, focusPage, Foreign, html, Page, Problem, Status, Table,
	 useEffect, useLatest, useState, When } from "./ui.js";
import { ask } from "./api.js";
import { t } from "./i18n.js";

const PATH = "/v2/standing";

function End({ order, onClose, onDone }) {
	const [error, setError] = useState(null);
	const begin = useLatest();

	async function end(event) {
		event.preventDefault();
		const isOpen = begin();

		try {
			await ask("DELETE", PATH + "/" + order.id);
			if (isOpen())
				onClose();
			onDone();
		} catch (e) {
			setError(e);
		}
	}

	return html`<${Dialog} title=${t("standing.end")} onClose=${onClose}>
	<form onSubmit=${end}><p><${Foreign} text=${order.messageid ||
		order.query?.join(" ")} most=${500} /></p>
	<${Problem} error=${error} />
	<p class="buttons"><button class="danger">${
		t("standing.end")}</button>
	<button type="button" onClick=${onClose}>${t("cancel")}</button></p>
	</form><//>`;
}

export function Standing() {
	const [orders, setOrders] = useState(null);
	const [ending, setEnding] = useState(null);
	const [said, setSaid] = useState("");
	const [error, setError] = useState(null);
	const columns = [
		{ name: "message", label: t("message"), cell: (o) => html`<a
			href=${"#/recall/" + o.id}><${Foreign}
			text=${o.messageid || o.query?.join(" ")} /></a>` },
		{ name: "actor", label: t("actor"),
		  cell: (o) => html`<${Foreign} text=${o.actor} />` },
		{ name: "reason", label: t("reason"),
		  cell: (o) => html`<${Foreign} text=${o.reason} />` },
		{ name: "expires", label: t("expires"),
		  cell: (o) => html`<${When} at=${o.expires} />` },
		{ name: "late", label: t("standing.late"), number: true,
		  cell: (o) => o.late ?? 0 },
		{ name: "nodes", label: t("nodes"),
		  cell: (o) => html`<${Foreign} text=${(o.nodes ?? [])
			.map((n) => n.name + (n.stands ? "" :
				" (" + t("standing.not") + ")")).join(", ")} />` },
		{ name: "end", label: t("standing.end"),
		  cell: (o) => html`<button type="button"
			onClick=${() => setEnding(o)}>${t("standing.end")} <span
			class="hidden"><${Foreign} text=${o.messageid ||
			o.query?.join(" ")} /></span></button>` },
	];

	const begin = useLatest();

	async function look() {
		const isLatest = begin();

		try {
			const { body } = await ask("GET", PATH);

			if (isLatest())
				setOrders(body.standing);
		} catch (e) {
			if (isLatest())
				setError(e);
		}
	}
	useEffect(() => { look(); }, []);

	return html`<${Page} title=${t("page.standing")}>
	<${Problem} error=${error} /><${Status}>${said}<//>
	${orders && html`<${Table} quiet caption=${t("page.standing")}
		columns=${columns} rows=${orders} rowKey=${(o) => o.id} />`}
	${ending && html`<${End} order=${ending}
		onClose=${() => setEnding(null)} onDone=${() => {
			setSaid(t("standing.ended"));
			look().then(focusPage);
		}} />`}<//>`;
}
