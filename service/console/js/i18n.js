/* The texts, in the user's language (userdb field lang), else in one that the
   browser asks for, else in English, which also stands in for what a language
   lacks. */
const LANGUAGES = ["en-US", "ru-RU", "es-PA", "fr-FR", "it-IT", "pt-BR",
		   "ba-RU", "tt-RU"];
let english = {};
let texts = {};

function pick(wanted) {
	for (const tag of [wanted, ...navigator.languages]) {
		const found = LANGUAGES.find((l) => l === tag) ??
			LANGUAGES.find((l) => tag &&
				       l.slice(0, 2) === tag.slice(0, 2));

		if (found)
			return found;
	}
	return "en-US";
}

async function load(language) {
	const response = await fetch("lang/" + language + ".json");

	if (!response.ok)
		throw new Error(response.statusText);
	return response.json();
}

/* what was wanted last */
let latest = null;

/* Nobody is kept from the console, or in it, by texts that can't be had: they
   are English then. */
export async function useLanguage(wanted) {
	const language = pick(wanted);
	let loaded = null;

	latest = language;
	if (Object.keys(english).length === 0)
		english = await load("en-US");
	try {
		loaded = language === "en-US" ? english : await load(language);
	} catch {
		/* the next one tries again */
	}
	if (latest !== language)
		return;
	texts = loaded ?? english;
	document.documentElement.lang = loaded ? language : "en-US";
}

/* The text with {name}s filled in. A text that depends on a number is an
   object of Intl.PluralRules' categories, chosen by n. */
export function t(id, values = {}) {
	let text = texts[id] ?? english[id] ?? id;

	if (typeof text === "object") {
		const rule = new Intl.PluralRules(document.documentElement.lang)
			.select(values.n ?? 0);

		text = text[rule] ?? text.other;
	}
	return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}
