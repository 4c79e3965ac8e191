#ifndef RECALL_PARAMS_H
#define RECALL_PARAMS_H

/* Names of the doveadm commands, their parameters and the columns of their
   rows. doveadm's HTTP API accepts a parameter either as written here or in
   camelCase ("message-id" is "messageId"), and a command likewise
   ("recall expunge" is "recallExpunge"). */

#define RECALL_CMD_EXPUNGE "recall expunge"
#define RECALL_CMD_SEARCH "recall search"
#define RECALL_CMD_FETCH "recall fetch"
#define RECALL_CMD_RESTORE "recall restore"
#define RECALL_CMD_LIST "recall list"
#define RECALL_CMD_PURGE "recall purge"
#define RECALL_CMD_INDEX "recall index"
#define RECALL_CMD_CHECK "recall check"
#define RECALL_CMD_USERS "recall users"
#define RECALL_CMD_STANDING_BEGIN "recall standing begin"
#define RECALL_CMD_STANDING_LIST "recall standing list"
#define RECALL_CMD_STANDING_LATE "recall standing late"
#define RECALL_CMD_STANDING_END "recall standing end"
#define RECALL_CMD_EXPORT "recall export"
#define RECALL_CMD_STOP "recall stop"
#define RECALL_CMD_STANDING_RUN "recall standing run"
#define RECALL_CMD_SHARE "recall share"
#define RECALL_CMD_UNSHARE "recall unshare"
#define RECALL_CMD_SHARES "recall shares"

/* Users asked for: one (or a mask), a list, or everyone. */
#define RECALL_PARAM_USER "user"
#define RECALL_PARAM_USERS "users"
#define RECALL_PARAM_USER_FILE "user-file"
#define RECALL_PARAM_ALL_USERS "all-users"
/* Users of a node to which Dovecot proxies, who are asked for by another node:
   each is answered for as if by a command of its own. For nobody else. */
#define RECALL_PARAM_NODE_USERS "node-users"
/* The Message-ID; at the shell the word "query" in its place says that a
   search query follows. */
#define RECALL_PARAM_MESSAGE_ID "message-id"
#define RECALL_PARAM_QUERY "query"
/* What to show of each message: names separated by spaces. */
#define RECALL_PARAM_FIELDS "fields"
/* The most messages to show. */
#define RECALL_PARAM_LIMIT "limit"
/* Only users whose names come after this one (recall users). */
#define RECALL_PARAM_AFTER "after"
/* How many messages to pass over first. */
#define RECALL_PARAM_OFFSET "offset"
/* Delete mail that was read, too. */
#define RECALL_PARAM_FORCE "force"
/* No notices. */
#define RECALL_PARAM_NO_NOTIFY "no-notify"
#define RECALL_PARAM_NO_NOTIFY_HTTP "noNotify"
/* Trust no index: read the header of every message. */
#define RECALL_PARAM_VERIFY_HEADERS "verify-headers"
#define RECALL_PARAM_VERIFY_HEADERS_HTTP "verifyHeaders"
/* Change nothing, say what would be done. */
#define RECALL_PARAM_DRY_RUN "dry-run"
#define RECALL_PARAM_DRY_RUN_HTTP "dryRun"
/* Only mail whose From is one of these addresses. */
#define RECALL_PARAM_SENDER "sender"
/* Only users of this tenant: see recall-tenant-name.h. */
#define RECALL_PARAM_TENANT "tenant"
/* Why: for the audit trail. */
#define RECALL_PARAM_REASON "reason"
/* Who asks: for the audit trail. In recall list these two say which recalls to
   list: those with the text in their reason, those of the actor. */
#define RECALL_PARAM_ACTOR "actor"
/* Who has approved it, where it needs a second person (recall expunge). */
#define RECALL_PARAM_APPROVER "approver"
/* The caller's id of this recall (RECALL_ID_LEN hexadecimal digits): a retry
   with the same id is the same recall. Made anew if not given. */
#define RECALL_PARAM_RECALL_ID "recall-id"
/* Only recalls made since then (recall list), late ones among them (recall
   standing late). */
#define RECALL_PARAM_SINCE "since"
/* Only rows of users who have the message (recall expunge, recall restore);
   none of users of another tenant (recall search, recall fetch). */
#define RECALL_PARAM_HITS "hits"
/* Processes that users are spread over, users a second at most, and whether to
   give way to others (recall expunge, restore, search, index). */
#define RECALL_PARAM_JOBS "jobs"
#define RECALL_PARAM_MAX_RATE "max-rate"
#define RECALL_PARAM_PRIORITY "priority"
#define RECALL_PRIORITY_LOW "low"
#define RECALL_PRIORITY_NORMAL "normal"
/* Compare each record of the index with the message, and put it right. */
#define RECALL_PARAM_VERIFY "verify"
/* Show the records of the index. */
#define RECALL_PARAM_DUMP "dump"
/* Only the mailbox of this name. */
#define RECALL_PARAM_MAILBOX "mailbox"
/* The mail address that gets a summary of all users' verdicts (recall expunge,
   recall restore). */
#define RECALL_PARAM_REPORT_TO "report-to"
/* How long the recall takes what arrives later, too: "1h", "2 days"; "off". */
#define RECALL_PARAM_STAND "stand"
/* That goes for everyone, whoever this command asks about. */
#define RECALL_PARAM_STAND_ALL "stand-all"
/* The number of messages that a dry run said it would delete. */
#define RECALL_PARAM_YES_COUNT "yes-count"
/* The same for each of the users, in the order in which RECALL_PARAM_USER or
   RECALL_PARAM_USERS names them: an array of numbers, as texts. A user with
   more messages than that is refused, the others are not. */
#define RECALL_PARAM_EXPECTED "expected"

/* Sharing: whom the owner's mailbox is shared with ("user=NAME"), and the
   rights. */
#define RECALL_PARAM_IDENTIFIER "identifier"
#define RECALL_PARAM_RIGHTS "rights"

/* Columns of a verdict row (recall expunge, recall restore). */
#define RECALL_COLUMN_USERNAME "username"
/* A name of enum recall_verdict. */
#define RECALL_COLUMN_STATUS "status"
/* Copies deleted (restored); found ones in a dry run and for `read`. */
#define RECALL_COLUMN_COPIES "copies"
/* A name of enum recall_notice_status. */
#define RECALL_COLUMN_NOTICE "notice"
/* Mailboxes the copies are in, comma-separated; "," and "\" within a name are
   preceded by "\". */
#define RECALL_COLUMN_MAILBOXES "mailboxes"
/* GUIDs of these mailboxes, comma-separated, in the same order. */
#define RECALL_COLUMN_MAILBOX_GUIDS "mailbox-guids"
#define RECALL_COLUMN_RECALL_ID "recall-id"
/* How the mail was looked for: by the Message-ID `index`, by the `headers` of
   all messages, or by a `query`. Empty where nobody looked. */
#define RECALL_COLUMN_SEARCHED "searched"
/* Whose mailbox it is: another name than username if that is an alias, which
   Dovecot's userdb or passdb answers with user=. Empty if no mailbox was looked
   at. */
#define RECALL_COLUMN_MAILBOX_USER "mailbox-user"
/* Copies that a restore found where they belong: not counted in
   RECALL_COLUMN_COPIES. */
#define RECALL_COLUMN_PRESENT "present"
/* Until when at least what was deleted can be put back, in UTC; empty where
   there is no quarantine, or no end to it. */
#define RECALL_COLUMN_KEPT_UNTIL "kept-until"
/* What went wrong, for `error` verdicts and notices that failed. */
#define RECALL_COLUMN_ERROR "error"

/* Columns of rows about standing orders, message-id and recall-id among them.
   Times are as in RECALL_COLUMN_DATE, lists comma-separated. */
#define RECALL_COLUMN_QUERY "query"
#define RECALL_COLUMN_CREATED "created"
#define RECALL_COLUMN_EXPIRES "expires"
/* Copies that came late and were recalled. */
#define RECALL_COLUMN_LATE "late"
/* Of a late recall (recall standing late): what its node knows it by, the same
   whenever it is asked. */
#define RECALL_COLUMN_LINE "line"
/* "*" for everyone */
#define RECALL_COLUMN_USERS "users"
#define RECALL_COLUMN_SENDERS "senders"
#define RECALL_COLUMN_TENANT "tenant"
#define RECALL_COLUMN_FORCE "force"
#define RECALL_COLUMN_ACTOR "actor"
#define RECALL_COLUMN_REASON "reason"

/* recall export: the file for the evidence; or, of one message ("<mailbox-guid>
   <uid>", as its row says), as many octets of it from there on. */
#define RECALL_PARAM_OUTPUT "output"
#define RECALL_PARAM_MESSAGE "message"
#define RECALL_PARAM_LENGTH "length"
/* Columns of its rows, one a message. */
#define RECALL_COLUMN_RECEIVED "received"
#define RECALL_COLUMN_SHA256 "sha256"
/* octets of the message, in base64 */
#define RECALL_COLUMN_MESSAGE "message"
/* Octets in a row at most. */
#define RECALL_EXPORT_LENGTH_MAX (4 * 1024 * 1024)

/* recall stop: let recalls go on. */
#define RECALL_PARAM_RELEASE "release"
/* Only if it was this actor who has stopped them, for the reason given. */
#define RECALL_PARAM_STOPPED_BY "stopped-by"
/* the status where that is another stop */
#define RECALL_STOP_STAYS "still_stopped"

/* The beginning of the error of a user whom a recall has not looked at, since
   recalls are stopped on the node. */
#define RECALL_ERROR_STOPPED "Recalls are stopped"

/* Columns of recall check: what was looked at, `ok`, `warning` or `error` in
   status, and a text. */
#define RECALL_COLUMN_CHECK "check"
#define RECALL_COLUMN_TEXT "text"

/* Columns of rows about shared mailboxes (recall share, unshare, shares). */
/* `out`: shared by the user asked for; `in`: shared with that user. */
#define RECALL_COLUMN_DIRECTION "direction"
#define RECALL_COLUMN_OWNER "owner"
/* The mailbox's name for its owner. */
#define RECALL_COLUMN_MAILBOX "mailbox"
/* Who it is shared with. */
#define RECALL_COLUMN_USER "user"
/* Names of rights, with spaces in between. */
#define RECALL_COLUMN_RIGHTS "rights"
/* Whether that user has subscribed to it: `yes`, `no`, or nothing where that
   can't be known. */
#define RECALL_COLUMN_SUBSCRIBED "subscribed"
/* The mailbox's name for that user: in recall share and unshare that of the
   subscription made or taken away, in recall shares in any case. */
#define RECALL_COLUMN_SUBSCRIBED_AS "subscribed-as"
#define RECALL_COLUMN_NAME "name"
/* All of them end with a status, e.g. `shared`, `no_user`, and with error. */

/* Columns of a row of recall search, one a message, mailbox-user among them; a
   row of recall fetch has username, what was asked for, and error. Of a user
   who could not be looked at there is one row with nothing but username and
   error. */
#define RECALL_COLUMN_MAILBOX_GUID "mailbox-guid"
#define RECALL_COLUMN_UID "uid"
/* "yes" if the message was read, answered or forwarded, "no" if not. */
#define RECALL_COLUMN_SEEN "seen"
/* When it was saved, in UTC: 2026-01-31T12:34:56Z. */
#define RECALL_COLUMN_DATE "date"
/* Octets, with CRLF at the ends of lines. */
#define RECALL_COLUMN_SIZE "size"
/* Decoded, without control characters. */
#define RECALL_COLUMN_FROM "from"
#define RECALL_COLUMN_SUBJECT "subject"
#define RECALL_COLUMN_MESSAGE_ID "message-id"

/* How errors begin that are a node's to which Dovecot proxies, not the user's:
   "Node host:port can't be reached: ...", "Node host:port failed: ...", or
   that the user has left it while it was asked: "Node host:port may not have
   the user any more: ...". The same command goes well when the node is back, or
   the user has arrived elsewhere. */
#define RECALL_ERROR_NODE "Node "
#define RECALL_ERROR_NODE_UNREACHABLE "can't be reached:"
#define RECALL_ERROR_NODE_LOST "failed:"
#define RECALL_ERROR_NODE_LEFT "may not have the user any more:"
/* In an error's text, followed by a verdict, a comma and the number of copies:
   what was done before the user moved to the node that the error is of. */
#define RECALL_ERROR_LEFT_NODE "the node that the user has left had answered: "

/* The userdb field that says which tenant a user belongs to. */
#define RECALL_USERDB_TENANT "tenant_id"
/* The userdb field with a user's language, e.g. "ru-RU". */
#define RECALL_USERDB_LANG "lang"
/* The language that stands in for those without texts. */
#define RECALL_NOTICE_LANG_DEFAULT "en-US"

#endif
