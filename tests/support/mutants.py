"""What mutate.py changes, which tests look at it, and which of its changes
change nothing.

TESTS: a pattern of files -> tests, the fastest first: a unit test's program,
or a file of end to end tests with pytest's -k expression ("" for all), and the
formats of storage if it is not sdbox.
"""

_EXPUNGE = [("test_expunge", "read or sender or tenant or not_found"),
            ("test_expunge", ""), ("test_events", ""),
            ("test_search", "count or expected or other_senders or recall"),
            ("test_notice", "test_notice or same_id"),
            ("test_faults", "full"), ("test_quarantine_plugins", "lazy"),
            ("test_quarantine_crash", "counted or once or looking"),
            ("test_counted_once", ""), ("test_read_while_recalled", ""),
            ("test_locked", ""),
            ("test_quarantine", ""),
            ("test_concurrent", "")]
_QUERY = ["test-query", ("test_search", "")]
_TOKENS = ["test-service", ("test_service_auth", "")]
_WHO = [("test_service_routes", ""), ("test_service_actions", "role"),
        ("test_service_auth", "user or administrator or past_recalls"),
        ("test_service_brakes", "fetch_body or header_fields or who")]
_LATE = [("test_service_standing_nodes", "late or many"),
         ("test_service_damaged", "late"), ("test_service_clock", "late"),
         ("test_export", "late")]

TESTS = {
    "common/message-id.c": ["test-common", ("test_message_id", "")],
    "common/recall-id.c": ["test-common"],
    "common/tenant-name.c": ["test-common", ("test_expunge", "tenant"),
                             ("test_service_auth", "tenant")],
    "plugin/lib-recall/recall-expunge.c": _EXPUNGE,
    "plugin/lib-recall/mails/recall-copies.c": _EXPUNGE + [
        ("test_two_names", "")],
    "plugin/lib-recall/mails/recall-copies-expunge.c": _EXPUNGE + [
        ("test_two_names", "")],
    "plugin/lib-recall/mails/recall-box-dirs.c": [("test_two_names", "")],
    "plugin/lib-recall/base/recall-list-hidden.c": [
        ("test_unlisted", ""), ("test_unlisted", "", "maildir")],
    "plugin/lib-recall/base/recall-lost-files.c": [
        ("test_lost_index", "", "sdbox", "mdbox")],
    "plugin/lib-recall/base/recall-lost-refs.c": [
        ("test_lost_index", "", "mdbox")],
    "plugin/lib-recall/mails/recall-rebuilds.c": [
        ("test_rebuilds", "", "mdbox"),
        ("test_quarantine_crash", "rebuil", "mdbox")],
    "plugin/lib-recall/mails/recall-given.c": [("test_restored_once", "")],
    "plugin/lib-recall/mails/recall-sdbox-left.c": [("test_restored_once", "")],
    "plugin/lib-recall/mails/recall-expunge-log.c": [
        ("test_counted_once", "")],
    "plugin/lib-recall/standing/recall-stop.c": [
        "test-standing", ("test_service_brakes", "stop or release"),
        ("test_root_directory", "stopped")],
    "plugin/lib-recall/quarantine/recall-quarantine-record-format.c": [
        "test-quarantine-record", ("test_quarantine", "")],
    "plugin/lib-recall/quarantine/recall-quarantine-record.c": [
        ("test_restored_once", ""), ("test_quarantine_crash", ""),
        # a record's flag
        ("test_restored_once", "", "mdbox"),
        ("test_quarantine_crash", "", "mdbox")],
    "plugin/lib-recall/mails/recall-match.c": [
        ("test_expunge", "read or sender or flags or id or goes"),
        ("test_message_id", ""), ("test_search", "sender")],
    "plugin/lib-recall/mails/recall-find.c": [
        ("test_index", "collision or swapped"), ("test_expunge", ""),
        ("test_search", ""),
        ("test_standing", "query")],
    "plugin/lib-recall/mails/recall-query.c": _QUERY,
    "plugin/lib-recall/mails/recall-scan.c": [
        "test-scan", ("test_clock", "set_while")] + _EXPUNGE,
    "plugin/lib-recall/mails/recall-count.c": [
        ("test_search", "count or expected or number or total")],
    "plugin/lib-recall/base/recall-tenant.c": [
        ("test_expunge", "tenant or not_found"), ("test_search", "tenant")],
    "plugin/doveadm/doveadm-recall-ahead.c": [("test_ahead", "")],
    "plugin/doveadm/proxy/recall-proxy-moves.c": [("test_proxy_moves", "")],
    "plugin/doveadm/proxy/recall-proxy-nodes.c": [
        ("test_proxy_batches", ""), ("test_proxy", ""),
        ("test_proxy_moves", "")],
    "plugin/doveadm-acl/recall-rights.c": ["test-rights",
                                           ("test_share", "rights")],
    "service/store/journal-visible.c": [
        "test-service",
        ("test_service_journal", "filters"),
        ("test_service_auth", "past_recalls"), ("test_service_approval", "")],
    "service/store/journal-late.c": ["test-journal"] + _LATE,
    "service/recall/standing-hand.c": [
        ("test_service_standing", ""), ("test_service_standing_nodes", "")],
    "service/recall/standing-late.c": _LATE,
    "service/api/roles.c": _WHO,
    "service/api/bearer.c": _TOKENS,
    "service/auth/auth-token.c": ["test-token"] + _TOKENS,
    "service/auth/revocation.c": ["test-revocation"] + _TOKENS,
    "service/auth/refresh-family.c": ["test-revocation"] + _TOKENS + [
        ("test_service_sessions", "")],
    "service/auth/refresh-token.c": ["test-revocation"] + _TOKENS + [
        ("test_console_oidc", "claim"), ("test_service_sessions", "")],
    "service/auth/jwt.c": ["test-jwt"] + _TOKENS + [("test_console_oidc", "")],
    "service/recall/approvals.c": [
        "test-approvals", ("test_service_approval", "")],
    "service/recall/late-users.c": [
        ("test_export", "late"), ("test_service_standing_nodes", "late")],
    "service/recall/recall-rows.c": [
        "test-service", ("test_service", ""), ("test_service_failures", "")],
}

# (file, the line as the mutant has it, or "- " and what it has left out, why
# nothing can tell it from the original); of all files ("*") a pattern of lines
EQUIVALENT = [
    ("plugin/lib-recall/mails/recall-match.c", "return count > 0 ? 2 : 0;",
     "callers ask for 0 and for errors"),
    ("plugin/lib-recall/mails/recall-match.c", "if (ret < 0)",
     "without the field Dovecot gives no values either"),
    ("plugin/lib-recall/mails/recall-scan.c",
     "if (scan_clock_ahead() <= scan->ahead - SCAN_CLOCK_SLACK * 900)",
     "the clocks are read one after the other: they differ by ms as it is"),
    ("plugin/lib-recall/mails/recall-scan.c",
     "if (scan_clock_ahead() < scan->ahead - SCAN_CLOCK_SLACK * 901)",
     "a second back is seen, less is within the slack"),
    ("plugin/lib-recall/mails/recall-scan.c",
     "if (scan_clock_ahead() < scan->ahead - SCAN_CLOCK_SLACK * 899)",
     "a second back is seen, less is within the slack"),
    ("plugin/doveadm/doveadm-recall-ahead.c", "if (++ahead->last_id != 0)",
     "every second id is left out, and none is 0 for 2^31 of them"),
    ("plugin/doveadm/proxy/recall-proxy-nodes.c",
     "for (i = server->sent; size <= max && i >= server->max_conns;",
     "once more than enough is cut off below"),
    ("plugin/doveadm/proxy/recall-proxy-nodes.c",
     "request = recall_proxy_request_init(batch->users[1],",
     "the command's own name is any of a batch's"),
    ("plugin/doveadm/proxy/recall-proxy-nodes.c", "batch->users[1]);",
     "the command's own name is any of a batch's"),
    ("plugin/doveadm/proxy/recall-proxy-nodes.c",
     "if (server->proxy->callbacks->batch_max < 1 || server->one_by_one) {",
     "a batch of one is that user alone"),
    ("plugin/doveadm/proxy/recall-proxy-nodes.c",
     "for (i = 0; i <= count; i++, (*idx)++) {",
     "the first one that was looked at is once more"),
    ("plugin/doveadm/proxy/recall-proxy-nodes.c",
     "unsigned int i, count, idx = 1;", "it is where the look begins"),
    ("plugin/doveadm/proxy/recall-proxy-nodes.c",
     "request = nodes_find(batch, columns[i - name_idx], &idx);",
     "the name is the first column"),
    ("plugin/doveadm/proxy/recall-proxy-nodes.c", "if (exit_code != 1)",
     "to set 0 changes nothing, and no command of ours ends with 1"),
    ("plugin/doveadm/proxy/recall-proxy-nodes.c",
     "if (batch->size >= batch->max_size)",
     "for one length of an answer that was cut off the next users are asked "
     "for by other commands"),
    ("plugin/lib-recall/recall-expunge.c", "return 1;",
     "callers ask for errors only"),
    ("plugin/lib-recall/recall-expunge.c", "return ret < 0 ? -1 : 1;",
     "callers ask for errors only"),
    ("plugin/lib-recall/recall-expunge.c",
     "if (ret >= 0 && change || ctx->recorded &&",
     "a record is looked for once more, and there is none"),
    ("plugin/lib-recall/mails/recall-find.c",
     "return ctx->callback(mail, ctx->context) ? 2 : 0;",
     "callers ask whether it is more than 0"),
    ("plugin/lib-recall/mails/recall-copies.c",
     "if (mail_get_first_header_utf8(mail, name, &value) >= 0)",
     "without the header Dovecot says NULL, as it was"),
    ("plugin/lib-recall/mails/recall-copies.c",
     "if (copies->count <= found) {", "it is looked for once more"),
    ("plugin/lib-recall/mails/recall-copies.c",
     "copies->synced = array_count(&copies->boxes) == 0;",
     "it is synced once more"),
    ("plugin/lib-recall/mails/recall-copies.c",
     "- copies->synced = array_count(&copies->boxes) == 1;",
     "it is synced once more"),
    ("plugin/lib-recall/mails/recall-given.c",
     "for (seq = t->first_new_seq; seq < t->last_new_seq; seq++) {",
     "storages give one UID after the other"),
    ("plugin/lib-recall/mails/recall-given.c",
     "for (seq = t->first_new_seq; seq > t->last_new_seq; seq++) {",
     "storages give one UID after the other"),
    ("plugin/lib-recall/standing/recall-stop.c",
     "if (fields[1] == NULL || str_to_time(fields[0], &stop_r->since) < 0 ||",
     "a line has a first field, and of one alone nothing is taken"),
    ("service/auth/revocation.c",
     "if ((*e)->before <= revocation->before)", "it is what it was"),
    ("service/auth/revocation.c",
     "((*e)->expires != 0 && (*e)->expires <= revocation->expires))",
     "it is what it was"),
    ("plugin/lib-recall/mails/recall-given.c",
     "if (count == 0 || count > GIVEN_RANGES_MAX || t->last_new_seq == 0 &&",
     "as many as are copied are appended"),
    ("*", r"- recall_list_index_begin\(.*\);",
     "the mailbox list index is noted in all the same, which takes longer"),
    ("plugin/lib-recall/mails/recall-find.c", "int ret = 2;",
     "it is asked whether it is more than 0"),
    ("plugin/lib-recall/mails/recall-count.c",
     "count = p_new(pool, struct recall_count, 2);", "memory to spare"),
    ("common/message-id.c", "while (len > 1 && is_space(data[len - 1]))",
     "what is left does not begin with a space, so one octet is none"),
    ("common/message-id.c", "while (len > 1 && is_space(data[0])) {",
     "one that is left is trimmed from the end"),
    ("common/message-id.c", "return text.len >= 0 && text.data[0] == '<' &&",
     "of no octets there is no token"),
    ("service/auth/jwt.c", "return ret >= 0 ? (size_t)ret : 0;",
     "0 either way"),
    ("service/auth/refresh-token.c", "unsigned int len = 1;",
     "EVP_Digest() sets it"),
    ("*", r"[tp]_array_init\(.*\b\d+\);",
     "how much memory is taken at first: it grows"),
    ("*", r"(.* = )?(t_str_new|pool_alloconly_create)\(.*\b[1-9]\d*\);",
     "how much memory is taken at first: it grows"),
]
