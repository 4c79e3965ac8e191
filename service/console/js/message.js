/* A message as it is, to be looked at before it is recalled. */
import { Dialog, Foreign, html, Problem, Status, useEffect, useState, visible }
	from "./ui.js";
import { act, rights } from "./api.js";
import { t } from "./i18n.js";

/* of a larger message the first words are shown, not the whole text */
const MOST_OCTETS = 256 * 1024;
const MOST_CHARS = 64 * 1024;

/* Lines stay lines; everything else that could deceive is shown. */
function Lines({ text }) {
	const cut = text.length > MOST_CHARS;
	const lines = text.slice(0, MOST_CHARS).split(/\r?\n/).map((line) =>
		line.split("\t").map(visible).join("\t"));

	return html`<pre tabindex="0">${lines.join("\n") +
		(cut ? "\u2026" : "")}</pre>`;
}

/* What may be shown to whoever is signed in. The first words are decoded. */
function fieldsOf(hit) {
	if (!rights().fetch_body)
		return ["hdr"];
	return ["hdr", "body.preview", ...(hit.size > MOST_OCTETS ? [] :
		["body"])];
}

function Part({ name, text }) {
	return text && html`<h3>${t("message." + name)}</h3>
	<${Lines} text=${text} />`;
}

export function Message({ hit, onClose }) {
	const [message, setMessage] = useState(null);
	const [error, setError] = useState(null);

	useEffect(() => {
		let gone = false;

		act({ cmd: "fetch", fields: fieldsOf(hit), emails: [hit.email],
		      query: ["mailbox-guid", hit["mailbox-guid"],
			      "uid", String(hit.uid)] }).then((page) => {
			if (gone)
				return;
			if (page.results.length > 0)
				setMessage(page.results[0]);
			else
				setError(page.errors[0]?.error ??
					 t("message.gone"));
		}, (e) => gone || setError(e));
		return () => { gone = true; };
	}, []);

	return html`<${Dialog} title=${t("message")} onClose=${onClose}>
	<p><${Foreign} text=${hit.email} /> / <${Foreign}
		text=${hit.mailbox} /></p>
	<${Problem} error=${error} />
	<${Status}>${!message && !error && t("message.busy")}<//>
	${message && html`<${Part} name="header" text=${message.hdr} />
	<${Part} name="preview" text=${message["body.preview"]} />
	<${Part} name="text" text=${message.body} />`}
	<p class="buttons"><button type="button" onClick=${onClose}>${
		t("close")}</button></p><//>`;
}
