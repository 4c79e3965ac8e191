/* The shell of the console: who is signed in, which page is shown. */
import { html, Problem, render, useEffect, useRef, useState } from "./ui.js";
import { current, resume, signOut, watchSession, watchWait, who }
	from "./api.js";
import { t, useLanguage } from "./i18n.js";
import { SignIn } from "./signin.js";
import { Find } from "./find.js";
import { TakeBack } from "./takeback.js";
import { Recall } from "./recall.js";
import { Recalls } from "./recalls.js";
import { Approvals } from "./approvals.js";
import { Standing } from "./standing.js";
import { Shares } from "./shares.js";
import { Sessions } from "./sessions.js";
import { StopBanner, StopButton, useStop } from "./stop.js";

/* [name in the address, page, roles that have it]; the first one of a role is
   where it begins. */
const PAGES = [
	["find", Find, [1, 3]],
	["takeback", TakeBack, [2]],
	["recalls", Recalls, [1, 2, 3]],
	["recall", Recall, [1, 2, 3]],
	["approvals", Approvals, [1, 3]],
	["standing", Standing, [1, 3]],
	["shares", Shares, [1, 3]],
	["sessions", Sessions, [1, 2, 3]],
];
/* pages that need to be told what to show */
const NOT_IN_MENU = ["recall"];

function route() {
	const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");

	try {
		return { name, rest: rest.map(decodeURIComponent) };
	} catch {
		/* cut off, or typed */
		return { name, rest };
	}
}

function useRoute() {
	const [at, setAt] = useState(route());

	useEffect(() => {
		const changed = () => setAt(route());

		addEventListener("hashchange", changed);
		return () => removeEventListener("hashchange", changed);
	}, []);
	return at;
}

function Menu({ pages, at }) {
	return html`<nav aria-label=${t("menu")}><ul>${pages
		.filter(([name]) => !NOT_IN_MENU.includes(name))
		.map(([name]) => html`<li key=${name}><a href=${"#/" + name}
			aria-current=${at === name ? "page" : undefined}>${
			t("page." + name)}</a></li>`)}</ul></nav>`;
}

function Console({ session, problem }) {
	const { name, rest } = useRoute();
	const pages = PAGES.filter(([, , roles]) => roles.includes(session.role));
	const [at, View] = pages.find((page) => page[0] === name) ?? pages[0];
	const main = useRef(null);
	const [error, setError] = useState(problem);
	const stop = useStop(location.hash);

	function end() {
		setError(null);
		signOut().catch(setError);
	}

	return html`<a class="skip" href="#main" onClick=${(e) => {
		e.preventDefault();
		main.current.focus();
	}}>${t("skip")}</a>
	<header><p class="brand">${t("title")}</p>
		<div class="who"><${StopButton} stop=${stop} />
		<span><bdi>${session.login}</bdi> (${
			t("role." + session.role)})</span>
		<button type="button" onClick=${end}>${
			t("signout")}</button></div>
		<${Menu} pages=${pages} at=${at} /></header>
	<${StopBanner} stop=${stop} />
	<main id="main" tabindex="-1" ref=${main}><${Problem} error=${error} />
		<${View} key=${at + "/" + rest.join("/")} args=${rest} /></main>`;
}

/* problem: what there was when the page was loaded. */
function App({ problem }) {
	const [{ session, error }, setShown] = useState({ session: current(),
							  error: problem });
	const whose = useRef(who());

	useEffect(() => watchSession(async (now) => {
		/* what was somebody's goes at once, whatever comes then */
		if (who() !== whose.current)
			setShown({ session: null });
		whose.current = who();
		await useLanguage(now?.lang);
		if (now === current())
			setShown({ session: now });
	}), []);
	/* somebody else begins anew */
	return session ? html`<${Console} key=${who()} session=${session}
			problem=${error} />` :
		html`<header><p class="brand">${t("title")}</p></header>
		<main><${SignIn} problem=${error} /></main>`;
}

/* Where the provider's answer was no, the page is told so by its address: it says
   so once. */
function cameBack() {
	const failed = new URLSearchParams(location.search).get("signin");

	history.replaceState(null, "", location.pathname + location.hash);
	return failed === "failed" ? new Error(t("signin.failed")) : null;
}

async function begin() {
	await useLanguage(null);
	let problem = cameBack();

	watchWait((waits) => {
		document.getElementById("wait").textContent =
			waits ? t("wait") : "";
	});
	try {
		await resume();
		await useLanguage(current()?.lang);
	} catch (e) {
		problem = e;
	}
	render(html`<${App} problem=${problem} />`,
	       document.getElementById("app"));
}

begin();
