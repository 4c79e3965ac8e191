/* The sessions of whoever is signed in: where, since when; ends them. */
import { focusPage, Foreign, html, Page, Problem, Status, Table, useEffect,
	 useLatest, useState, When } from "./ui.js";
import { ask, signOut } from "./api.js";
import { t } from "./i18n.js";

const PATH = "/v2/auth/sessions";

export function Sessions() {
	const [sessions, setSessions] = useState(null);
	const [said, setSaid] = useState("");
	const [error, setError] = useState(null);
	const begin = useLatest();
	const end = (session) => async () => {
		setError(null);
		try {
			await ask("DELETE", PATH + "/" + session.id);
			if (session.current)
				return await signOut();
			setSaid(t("sessions.ended"));
			await look();
			focusPage();
		} catch (e) {
			setError(e);
		}
	};
	const columns = [
		{ name: "created", label: t("created"),
		  cell: (s) => html`<${When} at=${s.created} />` },
		{ name: "address", label: t("address"),
		  cell: (s) => html`<${Foreign} text=${s.address} />` },
		{ name: "used", label: t("used"),
		  cell: (s) => html`<${When} at=${s.used} />` },
		{ name: "expires", label: t("expires"),
		  cell: (s) => html`<${When} at=${s.expires} />` },
		{ name: "end", label: t("sessions.end"),
		  cell: (s) => html`<button type="button" onClick=${end(s)}>${
			s.current ? t("signout") : t("sessions.end")}</button>` },
	];

	async function look() {
		const isLatest = begin();
		const { body } = await ask("GET", PATH);

		if (isLatest())
			setSessions(body.sessions);
	}
	useEffect(() => { look().catch(setError); }, []);

	return html`<${Page} title=${t("page.sessions")}>
	<${Problem} error=${error} /><${Status}>${said}<//>
	${sessions && html`<${Table} quiet caption=${t("page.sessions")}
		columns=${columns} rows=${sessions} rowKey=${(s) => s.id} />`}<//>`;
}
