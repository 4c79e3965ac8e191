/* What every page is made of: html`` templates, text that can't deceive,
   tables, dialogs, fields. */
import { h, render } from "../vendor/preact.mjs";
import htm from "../vendor/htm.mjs";
import { useLayoutEffect, useRef, useState } from "../vendor/hooks.mjs";
import { t } from "./i18n.js";

/* With what is shown, not at some time after it: on a busy machine somebody has
   gone on meanwhile, whose focus must not be taken away. */
export { useLayoutEffect as useEffect };
export { render, useRef, useState };
export const html = htm.bind(h);

/* Characters that are not seen, or change the order in which others are: C0,
   C1, bidirectional marks, zero width, line and paragraph separators, tags. */
const DECEIVING =
	/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/* Returns begin(), for what is asked for and shown once it is answered. begin()
   returns whether that is still wanted: nothing else was begun since, and what
   asked for it is shown still. */
export function useLatest() {
	const last = useRef(0);

	useLayoutEffect(() => () => { last.current++; }, []);
	return () => {
		const mine = ++last.current;

		return () => mine === last.current;
	};
}

/* Returns what leads from the page that is shown now to another one. Who has
   left it meanwhile is not taken away from where that was to. */
export function leave() {
	const heading = document.querySelector("main h1");

	return (hash) => {
		if (heading.isConnected)
			location.hash = hash;
	};
}

/* The text with a sign in place of each character that could deceive. */
export function visible(text) {
	return String(text ?? "").replace(DECEIVING, (c) =>
		"\u2039" + c.codePointAt(0).toString(16).padStart(4, "0") + "\u203a");
}

/* Where an address is too long for its column, it breaks at the "@". */
const breakable = (text) => text.split(/(?=@)/).map((part, i) =>
	i === 0 ? part : html`<wbr />${part}`);

/* Somebody else's text: never longer than is of use, never in our own text's
   direction. The whole of it is its title. */
export function Foreign({ text, most = 120 }) {
	const shown = visible(text);
	/* no half of a character */
	const chars = [...shown];

	return html`<bdi title=${chars.length > most ? shown : undefined}>${
		breakable(chars.length > most ?
			  chars.slice(0, most).join("") + "\u2026" : shown)}</bdi>`;
}

/* With the zone: what was noted may be read elsewhere. */
const ZONED = { year: "numeric", month: "numeric", day: "numeric",
		hour: "numeric", minute: "numeric", second: "numeric",
		timeZoneName: "short" };
const formats = new Map();

/* To make one takes longer than to format thousands of dates. */
function dateFormat(language) {
	if (!formats.has(language))
		formats.set(language,
			    new Intl.DateTimeFormat(language, ZONED));
	return formats.get(language);
}

/* Seconds since 1970, or a date of the API, as the reader writes dates. */
export function When({ at }) {
	if (!at)
		return html`\u2013`;
	const date = typeof at === "number" ? new Date(at * 1000) : new Date(at);

	if (Number.isNaN(date.getTime()))
		return html`<${Foreign} text=${at} />`;
	return html`<time datetime=${date.toISOString()}>${
		dateFormat(document.documentElement.lang).format(date)}</time>`;
}

const MOST_ROWS = 250;

/* columns: [{ name, label, cell(row), number }]; the first one heads its row.
   quiet: the heading before it says the same as the caption. A table that is
   too wide scrolls by itself, by keyboard too. Browsers take seconds for
   thousands of rows: the first ones are shown, more on demand. */
export function Table({ caption, columns, rows, rowKey, empty, quiet }) {
	const [most, setMost] = useState(MOST_ROWS);
	const region = useRef(null);

	function showMore() {
		setMost(most + MOST_ROWS);
		/* the button goes */
		if (most + MOST_ROWS >= rows.length)
			region.current.focus();
	}

	if (rows.length === 0)
		return html`<p class="empty">${empty ?? t("none")}</p>`;
	return html`<div class="scroll" role="region" tabindex="0" ref=${region}
		aria-label=${caption}><table>
		<caption class=${quiet ? "hidden" : undefined}>${
			caption}</caption>
		<thead><tr>${columns.map((c) => html`<th scope="col" key=${c.name}
			class=${c.number ? "number" : undefined}>${c.label}</th>`)}
		</tr></thead>
		<tbody>${rows.slice(0, most).map((row, i) => html`<tr key=${rowKey(row, i)}>${
			columns.map((c, n) => n === 0 ?
				html`<th scope="row" key=${c.name}>${c.cell(row)}</th>` :
				html`<td key=${c.name} class=${c.number ? "number" :
					undefined}>${c.cell(row)}</td>`)}</tr>`)}
		</tbody></table></div>${rows.length > most && html`<p>${
		t("table.shown", { n: most, total: rows.length })} <button
		type="button" class="noprint" onClick=${showMore}>${
		t("more")} <span class="hidden">${caption}</span></button></p>`}`;
}

/* A modal dialog: the browser keeps the focus in it, and Escape closes it; the
   focus goes back to where it was. */
export function Dialog({ title, onClose, children }) {
	const ref = useRef(null);
	const id = useRef("dialog-" + Math.random().toString(36).slice(2));

	/* what has it when the dialog is asked for, not when it is shown */
	const before = useRef(document.activeElement);

	useLayoutEffect(() => {
		const dialog = ref.current;

		dialog.showModal();
		return () => {
			dialog.close();
			/* what goes with it has gone then */
			queueMicrotask(() => before.current?.isConnected ?
				before.current.focus() : focusPage());
		};
	}, []);
	return html`<dialog ref=${ref} aria-labelledby=${id.current}
		onCancel=${(e) => { e.preventDefault(); onClose(); }}>
		<h2 id=${id.current}>${title}</h2>${children}</dialog>`;
}

/* A labelled control. attrs go to the control; hint is read with it. */
export function Field({ id, label, hint, type = "text", value, onInput, ...attrs }) {
	const describedby = hint ? id + "-hint" : undefined;
	const set = (e) => onInput(type === "checkbox" ? e.target.checked :
				   e.target.value);

	if (type === "checkbox") {
		return html`<div class="check"><input id=${id} type="checkbox"
			checked=${value} onChange=${set}
			aria-describedby=${describedby} ...${attrs} />
			<label for=${id}>${label}</label>${hint &&
			html`<small id=${describedby}>${hint}</small>`}</div>`;
	}
	return html`<div class="field"><label for=${id}>${label}</label>${
		type === "textarea" ?
			html`<textarea id=${id} rows="3" onInput=${set}
				aria-describedby=${describedby} ...${attrs}
				value=${value}></textarea>` :
			html`<input id=${id} type=${type} value=${value}
				onInput=${set} aria-describedby=${describedby}
				...${attrs} />`}${hint &&
		html`<small id=${describedby}>${hint}</small>`}</div>`;
}

export function Select({ id, label, value, options, onInput }) {
	return html`<div class="field"><label for=${id}>${label}</label>
		<select id=${id} value=${value}
			onChange=${(e) => onInput(e.target.value)}>${
		options.map(([name, text]) => html`<option key=${name}
			value=${name} selected=${name === value}>${text}</option>`)
		}</select></div>`;
}

/* Says what went wrong, to screen readers at once. */
export function Problem({ error }) {
	return html`<div role="alert">${error &&
		html`<p class="problem"><strong>${t("problem")}:</strong> ${
			visible(error.message ?? error)}</p>`}</div>`;
}

/* Says how things go, when there is time to listen. */
export function Status({ children }) {
	return html`<div role="status" class="status">${children}</div>`;
}

/* Verdicts have a sign and a word; the colour only repeats them. */
const SIGNS = {
	expunged: "\u2713", restored: "\u21ba", already_recalled: "\u2713",
	would_expunge: "\u25cb", read: "\u25c9", not_found: "\u2013",
	not_sender: "\u2260", no_user: "?", forbidden: "\u2298", error: "\u26a0",
};

export function Verdict({ status }) {
	return html`<span class=${"verdict " + status}><span
		aria-hidden="true">${SIGNS[status] ?? "?"}</span> ${
		t("verdict." + status)}</span>`;
}

/* Nodes that can't be asked: what is there comes when they are back. */
export function Incomplete({ nodes = [] }) {
	const missing = nodes.filter((node) => node.state === "down" ||
				     node.state === "failed");

	return missing.length > 0 && html`<ul class="problem plain">${missing.map(
		(node) => html`<li key=${node.name}><strong>${
		t("incomplete")}:</strong> ${t("node." + node.state, {
			name: visible(node.name) })}${node.state === "down" &&
		html` <${When} at=${node.down_since} />`}</li>`)}</ul>`;
}

/* Where the focus goes when what had it is no longer there. */
export function focusPage() {
	if (document.activeElement === document.body)
		document.querySelector("main h1")?.focus();
}

/* A page: its heading takes the focus when the page is shown. */
export function Page({ title, children }) {
	const ref = useRef(null);

	useLayoutEffect(() => { ref.current.focus(); }, []);
	useLayoutEffect(() => {
		document.title = title + " \u2013 " + t("title");
	}, [title]);
	return html`<h1 tabindex="-1" ref=${ref}>${title}</h1>${children}`;
}

/* The file is made here: nothing has to be fetched with a token in its URL. */
export function download(name, blob) {
	const link = document.createElement("a");

	link.href = URL.createObjectURL(blob);
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/* A cell of CSV (RFC 4180). What a spreadsheet would take for a formula is
   marked as text. */
function csvCell(value) {
	let text = visible(value);

	if (/^[=+\-@]/.test(text))
		text = "'" + text;
	return '"' + text.replaceAll('"', '""') + '"';
}

export function csv(columns, rows) {
	return [columns, ...rows.map((row) => columns.map((c) => row[c]))]
		.map((line) => line.map(csvCell).join(",")).join("\r\n") + "\r\n";
}
