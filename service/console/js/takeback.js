/* A user takes back a message of the own. */
import { Field, html, leave, Page, Problem, Select, useState } from "./ui.js";
import { rights, starter } from "./api.js";
import { standOptions } from "./confirm.js";
import { addressesOf } from "./search.js";
import { t } from "./i18n.js";

export function TakeBack() {
	const [messageid, setMessageid] = useState("");
	const [emails, setEmails] = useState("");
	const [reason, setReason] = useState("");
	const [force, setForce] = useState(false);
	const [stand, setStand] = useState("");
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState(null);
	const [send] = useState(starter);

	async function submit(event) {
		event.preventDefault();
		const go = leave();

		setBusy(true);
		setError(null);
		try {
			const { id } = await send({ cmd: "expunge",
				messageid: messageid.trim(), reason, force,
				...(stand ? { stand } : {}),
				emails: addressesOf(emails) });

			go("#/recall/" + id);
		} catch (e) {
			setError(e);
			setBusy(false);
		}
	}

	if (!rights().recall)
		return html`<${Page} title=${t("page.takeback")}><p>${
			t("takeback.off")}</p><//>`;
	return html`<${Page} title=${t("page.takeback")}>
	<p>${t("takeback.hint")}</p>
	<form onSubmit=${submit} class="narrow">
	<${Field} id="messageid" label="Message-ID" value=${messageid}
		onInput=${setMessageid} required spellcheck=${false}
		placeholder="<1234@example.com>" hint=${t("takeback.id.hint")} />
	<${Field} id="emails" type="textarea" label=${t("find.emails")}
		hint=${t("find.emails.hint")} value=${emails}
		onInput=${setEmails} required spellcheck=${false} />
	<${Field} id="reason" label=${t("reason")} value=${reason}
		onInput=${setReason} maxlength="255"
		required=${rights().require_reason} />
	${rights().force && html`<${Field} id="force" type="checkbox"
		label=${t("force")} value=${force} onInput=${setForce} />`}
	${standOptions().length > 1 && html`<${Select} id="stand"
		label=${t("stand")} value=${stand} onInput=${setStand}
		options=${standOptions()} />`}
	<${Problem} error=${error} />
	<p><button class="danger" disabled=${busy}>${t("takeback.do")}</button></p>
	</form><//>`;
}
