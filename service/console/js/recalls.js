/* Past recalls. */
import { Field, Foreign, html, Page, Problem, Select, Status, Table, useEffect,
	 useLatest, useState, When } from "./ui.js";
import { ask } from "./api.js";
import { t } from "./i18n.js";

const columns = () => [
	{ name: "created", label: t("created"), cell: (r) => html`<a
		href=${"#/recall/" + r.id}><${When} at=${r.created} /></a>` },
	{ name: "what", label: t("what"), cell: (r) => t(r.dry_run ? "dry_run" :
		"cmd." + r.cmd) },
	{ name: "message", label: t("message"), cell: (r) => html`<${Foreign}
		text=${r.messageid || r.query?.join(" ")} most=${60} />` },
	{ name: "actor", label: t("actor"),
	  cell: (r) => html`<${Foreign} text=${r.actor} />` },
	{ name: "reason", label: t("reason"),
	  cell: (r) => html`<${Foreign} text=${r.reason} most=${60} />` },
	{ name: "state", label: t("state"), cell: (r) => t("state." + r.state) },
	{ name: "verdicts", label: t("verdicts"), cell: (r) =>
		Object.entries(r.summary ?? {}).filter(([, n]) => n > 0)
		.map(([s, n]) => t("verdict." + s) + ": " + n).join(", ") },
];

const STATES = ["running", "paused", "pending_approval", "finished", "rejected",
		"expired"];

/* Filters that are set, as the API has them. A day begins where one is. */
function paramsOf({ since, ...filters }) {
	const params = { limit: 50 };

	for (const [name, value] of Object.entries(filters)) {
		if (value)
			params[name] = value;
	}
	if (since)
		params.since = Math.floor(new Date(since + "T00:00") / 1000);
	return params;
}

export function Recalls() {
	const [filters, setFilters] = useState({ actor: "", reason: "",
						 messageid: "", state: "",
						 since: "" });
	const set = (name) => (v) => setFilters({ ...filters, [name]: v });
	const [rows, setRows] = useState(null);
	/* what there is more of: the parameters that the rows were asked for with,
	   whatever the fields have now */
	const [more, setMore] = useState(null);
	const [error, setError] = useState(null);
	const begin = useLatest();

	async function look(asked, before) {
		const params = { ...asked, ...(before ? { before } : {}) };
		const isLatest = begin();

		setError(null);
		try {
			const { body } = await ask("GET", "/v2/actions",
						   { params });

			if (!isLatest())
				return;
			setRows(before ? [...rows, ...body.actions] :
				body.actions);
			setMore(body.actions.length === params.limit ? asked :
				null);
		} catch (e) {
			if (isLatest())
				setError(e);
		}
	}
	useEffect(() => { look(paramsOf(filters)); }, []);

	return html`<${Page} title=${t("page.recalls")}>
	<form class="columns" onSubmit=${(e) => {
		e.preventDefault();
		look(paramsOf(filters));
	}}>
	${["messageid", "actor", "reason"].map((name) => html`<${Field} key=${name}
		id=${name} label=${name === "messageid" ? "Message-ID" : t(name)}
		value=${filters[name]} onInput=${set(name)} />`)}
	<${Select} id="state" label=${t("state")} value=${filters.state}
		onInput=${set("state")} options=${[["", t("any")],
			...STATES.map((name) => [name, t("state." + name)])]} />
	<${Field} id="since" type="date" label=${t("recalls.since")}
		value=${filters.since} onInput=${set("since")} />
	<p><button class="primary">${t("filter")}</button></p></form>
	<${Problem} error=${error} />
	<${Status}>${rows && t("recalls.shown", { n: rows.length })}<//>
	${rows && html`<${Table} quiet caption=${t("page.recalls")} rows=${rows}
		columns=${columns()} rowKey=${(r) => r.id} />`}
	${more && html`<p><button type="button"
		onClick=${() => look(more, rows.at(-1).id)}>${t("more")}</button></p>`}
	<//>`;
}
