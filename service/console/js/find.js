/* Find, preview, recall. */
import { Dialog, Field, Foreign, html, Page, Problem, Select, Status, Table,
	 useRef, useState, Verdict, When } from "./ui.js";
import { act, current, start } from "./api.js";
import { addressesOf, groupsOf, MOST_HITS, queryOf, requestOf, searchAll,
	 usersOf } from "./search.js";
import { t } from "./i18n.js";

const EMPTY = { messageid: "", from: "", to: "", subject: "", text: "",
		since: "", before: "", header: "", headerValue: "",
		emails: "" };

function Conditions({ busy, onSearch }) {
	const [by, setBy] = useState("id");
	const [everyone, setEveryone] = useState(false);
	const [values, setValues] = useState(EMPTY);
	const field = (name, more = {}) => html`<${Field} id=${name}
		label=${t("find." + name)} value=${values[name]}
		onInput=${(v) => setValues({ ...values, [name]: v })}
		...${more} />`;

	function submit(event) {
		event.preventDefault();
		const query = by === "id" ? [] : queryOf(values);

		if (by !== "id" && query.length === 0)
			return onSearch(new Error(t("find.nocondition")));
		onSearch(null, {
			...(by === "id" ? { messageid: values.messageid.trim() } :
			    { query }),
			...(everyone ? { all: true } :
			    { emails: addressesOf(values.emails) }),
		});
	}

	return html`<form onSubmit=${submit}>
	<fieldset><legend>${t("find.by")}</legend>${
		[["id", t("find.byid")], ["query", t("find.byquery")]].map(
		([name, label]) => html`<span class="check" key=${name}><input
			type="radio" id=${"by-" + name} name="by" value=${name}
			checked=${by === name}
			onChange=${() => setBy(name)} /><label
			for=${"by-" + name}>${label}</label></span>`)}
	</fieldset>
	${by === "id" ? field("messageid", { required: true,
		placeholder: "<1234@example.com>", spellcheck: false }) :
	html`<div class="columns">${field("from")}${field("to")}
		${field("subject")}${field("text")}
		${field("since", { type: "date" })}
		${field("before", { type: "date" })}
		${field("header", { placeholder: "X-Mailer" })}
		${field("headerValue")}</div>`}
	<${Field} id="everyone" type="checkbox" label=${t("find.everyone")}
		value=${everyone} onInput=${setEveryone} />
	${!everyone && field("emails", { type: "textarea", required: true,
		hint: t("find.emails.hint"), spellcheck: false })}
	<p><button class="primary" disabled=${busy}>${t("find.search")}</button></p>
	</form>`;
}

const hitColumns = () => [
	{ name: "user", label: t("user"),
	  cell: (hit) => html`<${Foreign} text=${hit.email} />` },
	{ name: "mailbox", label: t("mailbox"),
	  cell: (hit) => html`<${Foreign} text=${hit.mailbox} />` },
	{ name: "seen", label: t("seen"),
	  cell: (hit) => hit.seen ? t("yes") : t("no") },
	{ name: "date", label: t("date"),
	  cell: (hit) => html`<${When} at=${hit.date} />` },
	{ name: "subject", label: t("subject"),
	  cell: (hit) => html`<${Foreign} text=${hit.subject} />` },
];

function Hits({ hits, chosen, setChosen }) {
	const groups = groupsOf(hits);
	const toggle = (key) => {
		const next = new Set(chosen);

		if (!next.delete(key))
			next.add(key);
		setChosen(next);
	};

	return groups.map((group, i) => html`<section class="group"
		key=${group.key} aria-labelledby=${"group-" + i}>
		<div class="check"><input type="checkbox" id=${"choose-" + i}
			checked=${chosen.has(group.key)}
			onChange=${() => toggle(group.key)} />
		<label for=${"choose-" + i} id=${"group-" + i}><strong><${Foreign}
			text=${group.subject} /></strong> ${t("from")} <${Foreign}
			text=${group.from} /> (${t("messages", {
				n: group.hits.length })})</label></div>
		<details open=${groups.length === 1}><summary>${
			t("find.show")}</summary>
		<${Table} caption=${t("find.hits", { n: i + 1 })}
			columns=${hitColumns()} rows=${group.hits}
			rowKey=${(hit) => hit.email + hit["mailbox-guid"] + hit.uid}
		/></details></section>`);
}

/* What a dry run counts is what has to be typed. */
function Confirm({ request, onClose }) {
	const [options, setOptions] = useState({ reason: "", force: false,
		notify: true, stand: "" });
	const [counted, setCounted] = useState(null);
	const [typed, setTyped] = useState("");
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState(null);
	const set = (name) => (value) => {
		setOptions({ ...options, [name]: value });
		if (name === "force")
			setCounted(null);
	};
	const full = () => ({ ...request, cmd: "expunge",
		reason: options.reason, force: options.force });
	const copies = counted?.reduce((n, r) => n + r.copies, 0);

	async function count(event) {
		event.preventDefault();
		setBusy(true);
		setError(null);
		try {
			const { results } = await act({ ...full(),
							dry_run: true });

			setCounted(results.filter((r) =>
				r.status === "would_expunge"));
		} catch (e) {
			setError(e);
		}
		setBusy(false);
	}
	async function recall(event) {
		event.preventDefault();
		setBusy(true);
		setError(null);
		try {
			const { id } = await start({ ...full(),
				notify: options.notify,
				...(options.stand ? { stand: options.stand } : {}),
				...(request.query ? { yes_count: Number(typed) } : {}) });

			location.hash = "#/recall/" + id;
		} catch (e) {
			setError(e);
			setBusy(false);
		}
	}

	return html`<${Dialog} title=${t("confirm.title")} onClose=${onClose}>
	<form onSubmit=${counted ? recall : count}>
	<${Field} id="reason" label=${t("reason")} value=${options.reason}
		onInput=${set("reason")} maxlength="255" />
	<${Field} id="force" type="checkbox" label=${t("force")}
		value=${options.force} onInput=${set("force")} />
	<${Field} id="notify" type="checkbox" label=${t("notify")}
		value=${options.notify} onInput=${set("notify")} />
	<${Select} id="stand" label=${t("stand")} value=${options.stand}
		onInput=${set("stand")} options=${[["", t("stand.no")],
			["1h", t("stand.hours", { n: 1 })],
			["24h", t("stand.hours", { n: 24 })],
			["48h", t("stand.hours", { n: 48 })]]} />
	<${Status}>${counted && html`<p><strong>${t("confirm.count", {
		copies, users: counted.length })}</strong></p>`}<//>
	${copies > 0 && html`<${Field} id="typed" label=${t("confirm.type", {
		n: copies })} value=${typed} onInput=${setTyped}
		inputmode="numeric" autocomplete="off" required />`}
	<${Problem} error=${error} />
	<p class="buttons">${counted ?
		html`<button class="danger" disabled=${busy || copies === 0 ||
			typed !== String(copies)}>${t("confirm.recall")}</button>` :
		html`<button class="primary" disabled=${busy}>${
			t("confirm.docount")}</button>`}
	<button type="button" onClick=${onClose}>${t("cancel")}</button></p>
	</form><//>`;
}

export function Find() {
	const [state, setState] = useState({});
	const [chosen, setChosen] = useState(new Set());
	const [confirming, setConfirming] = useState(false);
	const search = useRef(0);
	const { busy, found, error, hits, errors = [], more, request } = state;

	async function onSearch(problem, wanted) {
		if (problem)
			return setState({ error: problem });
		const mine = ++search.current;
		const stopped = () => mine !== search.current;

		setChosen(new Set());
		setState({ busy: true, found: 0 });
		try {
			const all = await searchAll(wanted, (n) => stopped() ||
				setState({ busy: true, found: n }), stopped);

			if (!stopped())
				setState({ ...all, request: wanted });
		} catch (e) {
			setState({ error: e });
		}
	}

	const groups = hits ? groupsOf(hits) : [];
	const taken = groups.filter((group) => chosen.has(group.key));
	const chosenHits = taken.flatMap((group) => group.hits);

	return html`<${Page} title=${t("page.find")}>
	<${Conditions} busy=${busy} onSearch=${onSearch} />
	<${Problem} error=${error} />
	<${Status}>${busy ? html`<p>${t("find.busy", { n: found })}
		<button type="button" onClick=${() => { search.current++;
			setState({}); }}>${t("stop")}</button></p>` :
		hits && html`<p>${t("find.found", { messages: hits.length,
			users: usersOf(hits).length })}</p>`}<//>
	${more && html`<p class="problem">${t("find.more", {
		n: MOST_HITS })}</p>`}
	${errors.length > 0 && html`<${Table} caption=${t("find.errors")}
		columns=${[
			{ name: "user", label: t("user"),
			  cell: (e) => html`<${Foreign} text=${e.email} />` },
			{ name: "error", label: t("error"),
			  cell: (e) => html`<${Foreign} text=${e.error} />` }]}
		rows=${errors} rowKey=${(e, i) => i} />`}
	${hits && html`<${Hits} hits=${hits} chosen=${chosen}
		setChosen=${setChosen} />`}
	${chosenHits.length > 0 && html`<p class="sticky"><button type="button"
		class="danger" onClick=${() => setConfirming(true)}>${
		t("find.recall", { messages: chosenHits.length,
			users: usersOf(chosenHits).length })}</button></p>`}
	${confirming && html`<${Confirm} onClose=${() => setConfirming(false)}
		request=${requestOf(taken, groups, request.query)} />`}<//>`;
}
