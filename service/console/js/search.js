/* Looking for messages: from what was typed to the words of the API, page by
   page, and hits to groups. */
import { act, askAgain } from "./api.js";

const PAGE = 500;
/* more hits than anybody looks through: narrow the search instead */
export const MOST_HITS = 5000;

/* The search query of what was typed, as Dovecot's words; [] if nothing. */
export function queryOf(conditions) {
	const words = [];

	for (const [name, word] of [["from", "FROM"], ["to", "TO"],
				    ["subject", "SUBJECT"], ["text", "BODY"],
				    ["anything", "TEXT"],
				    /* not the Date field, which whoever sent it
				       has written */
				    ["since", "SINCE"], ["before", "BEFORE"]]) {
		if (conditions[name])
			words.push(word, conditions[name].trim());
	}
	if (conditions.header && conditions.headerValue)
		words.push("HEADER", conditions.header.trim(),
			   conditions.headerValue);
	return words;
}

/* The addresses that were typed: one a line, or separated by commas, spaces. */
export function addressesOf(text) {
	return [...new Set(text.split(/[\s,;]+/).filter((a) => a !== ""))];
}

/* All hits, page by page, into found { hits, errors, more }, which has at any
   time what was found until then; tells progress() between pages, as long as isWanted(). A message of
   a mailbox that was looked at by several names, as where the userdb lists
   aliases, is one hit. */
export async function searchAll(request, found, progress, isWanted) {
	const seen = new Set();
	let cursor;

	function add(hit) {
		const user = hit.mailbox_user ?? hit.email;
		const key = [user, hit["mailbox-guid"], hit.uid].join(" ");

		if (request.all)
			hit.email = user;
		if (!seen.has(key))
			found.hits.push(hit);
		seen.add(key);
	}

	do {
		const ask = () => act({ ...request, cmd: "search", limit: PAGE,
			...(cursor === undefined ? {} : { cursor }) });
		/* what was found until now is not to be found anew */
		const page = await (cursor === undefined ? ask() :
				    askAgain(ask, isWanted));

		page.results.forEach(add);
		found.errors.push(...page.errors);
		progress();
		cursor = page.more ? page.next : undefined;
		found.more = cursor !== undefined;
	} while (found.more && found.hits.length < MOST_HITS && isWanted());
}

/* Hits of the same sender and subject are one group. */
export function groupsOf(hits) {
	const groups = new Map();

	for (const hit of hits) {
		const key = JSON.stringify([hit.from, hit.subject]);

		if (!groups.has(key))
			groups.set(key, { key, from: hit.from,
					  subject: hit.subject, hits: [] });
		groups.get(key).hits.push(hit);
	}
	return [...groups.values()].sort((a, b) => b.hits.length - a.hits.length);
}

const distinct = (hits, field) => [...new Set(hits.map((hit) => hit[field]))];

export const usersOf = (hits) => distinct(hits, "email");

/* The address in a From field's value, for a FROM of a query. */
function addressIn(from) {
	return /<([^<>]*)>/.exec(from)?.[1] ?? from;
}

const has = (text, part) => text.toLowerCase().includes(part.toLowerCase());

/* Whether a search for what is in the first one finds the other, too: parts of
   a field will do. */
const finds = (group, other) => has(other.from, addressIn(group.from)) &&
	has(other.subject, group.subject);

function wordsOf(group) {
	const from = addressIn(group.from);
	const words = [...(from ? ["FROM", from] : []),
		...(group.subject ? ["SUBJECT", group.subject] : [])];

	return words.length > 0 ? words : ["ALL"];
}

/* The words that find this group and none of the others, as far as the two tell
   them apart. */
const onlyWordsOf = (group, others) => ["(", ...wordsOf(group), ...others
	.filter((other) => finds(group, other) && !finds(other, group))
	.flatMap((other) => ["NOT", "(", ...wordsOf(other), ")"]), ")"];

/* ["OR", a, "OR", b, c] */
function anyOf(queries) {
	return queries.length === 1 ? queries[0] :
		["OR", ...queries[0], ...anyOf(queries.slice(1))];
}

/* What recalls the hits of these groups: by Message-ID where that was looked for
   or they share one, else by the query that found them, limited to the
   groups. */
export function requestOf(groups, all, { messageid, query }) {
	const hits = groups.flatMap((group) => group.hits);
	const ids = distinct(hits, "messageid");
	const emails = usersOf(hits);
	const others = all.filter((group) => !groups.includes(group));

	if (messageid)
		return { messageid, emails };
	if (ids.length === 1 && ids[0])
		return { messageid: "<" + ids[0] + ">", emails };
	return {
		emails,
		query: groups.length === all.length ? query :
			[...query, ...anyOf(groups.map((group) =>
				onlyWordsOf(group, others)))],
	};
}
