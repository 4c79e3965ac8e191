import { Field, html, Page, Problem, useState } from "./ui.js";
import { signIn, signInBy, signOut } from "./api.js";
import { t } from "./i18n.js";

export function SignIn({ problem }) {
	const [login, setLogin] = useState("");
	const [password, setPassword] = useState("");
	const [error, setError] = useState(problem);
	const [busy, setBusy] = useState(false);

	async function submit(event) {
		event.preventDefault();
		setBusy(true);
		setError(null);
		try {
			await signIn(login, password);
		} catch (e) {
			setError(e);
			setBusy(false);
		}
	}

	/* Another tab may have a session meanwhile: it ends as it does by a
	   password, whose answer replaces the cookie. */
	async function askProvider(event) {
		event.preventDefault();
		setError(null);
		try {
			await signOut();
			location.assign("oidc");
		} catch (e) {
			setError(e);
		}
	}

	return html`<${Page} title=${t("page.signin")}>
		<form onSubmit=${submit} class="narrow">
		<${Field} id="login" label=${t("login")} value=${login}
			onInput=${setLogin} required autocomplete="username"
			autocapitalize="none" spellcheck=${false} />
		<${Field} id="password" label=${t("password")} type="password"
			value=${password} onInput=${setPassword} required
			autocomplete="current-password" />
		<${Problem} error=${error} />
		<p><button class="primary" disabled=${busy}>${t("signin")}</button></p>
		${signInBy() && html`<p><a class="button" href="oidc"
			onClick=${askProvider}>${
			t("signin.by", { name: signInBy() })}</a></p>`}
		</form><//>`;
}
