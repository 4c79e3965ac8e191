/* Who shares what with whom: of one mailbox owner. */
import { Field, Foreign, html, Page, Problem, Status, Table, useLatest, useState }
	from "./ui.js";
import { ask } from "./api.js";
import { t } from "./i18n.js";

const columns = () => [
	{ name: "mailbox", label: t("mailbox"),
	  cell: (s) => html`<${Foreign} text=${s.mailbox} />` },
	{ name: "owner", label: t("owner"),
	  cell: (s) => html`<${Foreign} text=${s.owner} />` },
	{ name: "user", label: t("user"),
	  cell: (s) => html`<${Foreign} text=${s.user} />` },
	{ name: "rights", label: t("rights"), cell: (s) => s.rights.join(", ") },
	{ name: "subscribed", label: t("subscribed"),
	  cell: (s) => s.subscribed === null ? "" :
		s.subscribed ? t("yes") : t("no") },
];

export function Shares() {
	const [owner, setOwner] = useState("");
	const [shares, setShares] = useState(null);
	const [error, setError] = useState(null);

	const begin = useLatest();

	async function look(event) {
		event.preventDefault();
		const isLatest = begin();

		setError(null);
		setShares(null);
		try {
			const { body } = await ask("GET", "/v2/mailboxes/" +
				encodeURIComponent(owner.trim()) + "/shares");

			if (isLatest())
				setShares(body.shares);
		} catch (e) {
			if (isLatest())
				setError(e);
		}
	}

	return html`<${Page} title=${t("page.shares")}>
	<form onSubmit=${look} class="narrow">
	<${Field} id="owner" label=${t("owner")} value=${owner} required
		onInput=${setOwner} spellcheck=${false} autocapitalize="none" />
	<p><button class="primary">${t("show")}</button></p></form>
	<${Problem} error=${error} />
	<${Status}>${shares && t("shares.found", { n: shares.length })}<//>
	${shares && html`<${Table} quiet caption=${t("page.shares")} rows=${shares}
		columns=${columns()} rowKey=${(s) => [s.owner, s.mailbox,
			s.user, s.direction].join("\n")} />`}<//>`;
}
