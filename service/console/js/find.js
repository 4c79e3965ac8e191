/* Find, preview, recall. */
import { Field, Foreign, html, Page, Problem, Status, Table, useLatest,
	 useState, When } from "./ui.js";
import { rights } from "./api.js";
import { Confirm } from "./confirm.js";
import { Message } from "./message.js";
import { addressesOf, groupsOf, MOST_HITS, queryOf, requestOf, searchAll,
	 usersOf } from "./search.js";
import { t } from "./i18n.js";

const EMPTY = { messageid: "", from: "", to: "", subject: "", text: "",
		anything: "", since: "", before: "", header: "", headerValue: "",
		emails: "" };

function Conditions({ busy, onSearch, messageid = "", all }) {
	const [by, setBy] = useState("id");
	const [everyone, setEveryone] = useState(all);
	const [values, setValues] = useState({ ...EMPTY, messageid });
	const field = (name, more = {}) => html`<${Field} id=${name}
		label=${t("find." + name)} value=${values[name]}
		onInput=${(v) => setValues({ ...values, [name]: v })}
		...${more} />`;

	function submit(event) {
		event.preventDefault();
		/* the button is not disabled meanwhile: it has the focus */
		if (busy)
			return;
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
		${field("anything")}
		${field("since", { type: "date" })}
		${field("before", { type: "date" })}
		${field("header", { placeholder: "X-Mailer" })}
		${field("headerValue")}</div>`}
	<${Field} id="everyone" type="checkbox" label=${t("find.everyone")}
		value=${everyone} onInput=${setEveryone} />
	${!everyone && field("emails", { type: "textarea", required: true,
		hint: t("find.emails.hint"), spellcheck: false })}
	<p><button class="primary" aria-disabled=${busy ? "true" :
		undefined}>${t("find.search")}</button></p>
	</form>`;
}

const hitColumns = (onShow) => [
	{ name: "user", label: t("user"),
	  cell: (hit) => html`<${Foreign} text=${hit.email} />` },
	{ name: "mailbox", label: t("mailbox"),
	  cell: (hit) => html`<${Foreign} text=${hit.mailbox} />` },
	{ name: "seen", label: t("seen"),
	  cell: (hit) => hit.seen ? t("yes") : t("no") },
	{ name: "date", label: t("date"),
	  cell: (hit) => html`<${When} at=${hit.date} />` },
	{ name: "look", label: t("message"),
	  cell: (hit) => html`<button type="button"
		onClick=${() => onShow(hit)}>${t("show")} <span
		class="hidden">${hit.email} ${hit.mailbox}</span></button>` },
];

function Hits({ hits, chosen, setChosen }) {
	const groups = groupsOf(hits);
	const [shown, setShown] = useState(null);
	const toggle = (key) => {
		const next = new Set(chosen);

		if (!next.delete(key))
			next.add(key);
		setChosen(next);
	};

	return html`${groups.map((group, i) => html`<section class="group"
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
		<${Table} quiet caption=${t("find.hits", { n: i + 1 })}
			columns=${hitColumns(setShown)} rows=${group.hits}
			rowKey=${(hit) => hit.email + hit["mailbox-guid"] + hit.uid}
		/></details></section>`)}
	${shown && html`<${Message} hit=${shown}
		onClose=${() => setShown(null)} />`}`;
}

/* What was found, and what may be done about it. */
function Found({ request, hits, errors, more, stopped }) {
	const [chosen, setChosen] = useState(new Set());
	const [confirming, setConfirming] = useState(null);
	const groups = groupsOf(hits);
	const taken = groups.filter((group) => chosen.has(group.key));
	const chosenHits = taken.flatMap((group) => group.hits);
	const users = usersOf(chosenHits).length;
	const tooMany = rights().users > 0 && users > rights().users;
	/* there may be more of it than was found */
	const everyone = request.all && rights().everyone;
	const part = more || stopped || errors.length > 0;

	return html`${stopped ? html`<p class="problem">${t("find.stopped")}</p>` :
		more && html`<p class="problem">${t("find.more", {
			n: MOST_HITS })}</p>`}
	${errors.length > 0 && html`<${Table} caption=${t("find.errors")}
		columns=${[
			{ name: "user", label: t("user"),
			  cell: (e) => e.email ? html`<${Foreign}
				text=${e.email} />` : t("node") },
			{ name: "error", label: t("error"),
			  cell: (e) => html`<${Foreign} text=${e.error}
				most=${300} />` }]}
		rows=${errors} rowKey=${(e, i) => i} />`}
	<${Hits} hits=${hits} chosen=${chosen} setChosen=${setChosen} />
	${chosenHits.length > 0 && (tooMany ? html`<p class="problem">${
		t("limit.users", { n: rights().users })}</p>` :
		html`<p class="sticky"><button type="button" class="danger"
		onClick=${() => setConfirming(requestOf(taken, groups, request))}>${
		t("find.recall", { messages: chosenHits.length,
			users })}</button></p>`)}
	${chosenHits.length === 0 && everyone && part && request.messageid &&
		html`<p><button type="button" class="danger"
		onClick=${() => setConfirming({ messageid: request.messageid,
			emails: [] })}>${t("find.everyone.recall")}</button></p>`}
	${confirming && html`<${Confirm} request=${confirming}
		everyone=${everyone} part=${part}
		onClose=${() => setConfirming(null)} />`}`;
}

export function Find({ args: [messageid, all] }) {
	const [state, setState] = useState({});
	const begin = useLatest();
	const { busy, error, found } = state;

	async function onSearch(problem, request) {
		const mine = { request, hits: [], errors: [], more: false };
		const isWanted = begin();

		if (problem)
			return setState({ error: problem });
		setState({ busy: true, found: mine });
		try {
			await searchAll(request, mine, () => isWanted() &&
				setState({ busy: true, found: mine }), isWanted);
			if (isWanted())
				setState({ found: mine });
		} catch (e) {
			/* what it had found until then is as good as if it had
			   been stopped */
			if (isWanted())
				setState({ error: e,
					found: mine.hits.length > 0 ?
						{ ...mine, stopped: true } :
						undefined });
		}
	}
	function stop() {
		begin();
		setState({ found: { ...found, stopped: true } });
	}

	return html`<${Page} title=${t("page.find")}>
	<${Conditions} busy=${busy} onSearch=${onSearch}
		messageid=${messageid} all=${all === "all"} />
	<${Problem} error=${error} />
	<${Status}>${busy ? html`<p>${t("find.busy", { n: found.hits.length })}
		<button type="button" onClick=${stop}>${t("stop")}</button></p>` :
		found && html`<p>${t("find.found", {
			messages: found.hits.length,
			users: usersOf(found.hits).length })} ${
			found.hits.length > 0 && t("find.choose")}</p>`}<//>
	${!busy && found && html`<${Found} ...${found} />`}<//>`;
}
