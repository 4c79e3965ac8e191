"""The private node's configuration for Dovecot 2.4.

Tests say what they need in the words of 2.3. 2.4 has other names and places for
the same: those that tests use are translated here, anything else is left as it
is, so Dovecot complains of what it does not know."""

import re

import nodeconf

DIRECTORIES = {"maildir": "Maildir", "sdbox": "sdbox", "mdbox": "mdbox"}

# settings that have another name only
NAMES = {
    "service_count": "restart_request_count",
    "ssl_cert": "ssl_server_cert_file",
    "ssl_key": "ssl_server_key_file",
    "disable_plaintext_auth": "auth_allow_cleartext",
}
# what follows the path in a mail location
LOCATION_NAMES = {
    "MAILBOXDIR": "mailbox_root_directory_name",
    "LISTINDEX": "mailbox_list_index_prefix",
    "LAYOUT": "mailbox_list_layout",
    "INDEX": "mail_index_path",
    "INDEXPVT": "mail_index_private_path",
    "CONTROL": "mail_control_path",
    "ALT": "mail_alt_path",
    "INBOX": "mail_inbox_path",
    "ITERINDEX": "mailbox_list_iter_from_index_dir",
}
# of the owner of a shared mailbox
OWNER_VARIABLES = {"%%u": "$user", "%%n": "$username", "%%d": "$domain"}
PLUGINS = {"zlib": "mail_compress"}


def location(text):
    """The settings for where mail is."""
    if not text:
        return {}
    driver, path, *more = text.replace("%%h", "%{owner_home}").split(":")
    found = {"mail_driver": driver, "mail_path": path}
    for part in more:
        name, _, value = part.partition("=")
        found[LOCATION_NAMES[name]] = value or "yes"
    return found


def setting(name, value):
    """A setting of 2.3 as a dict of settings."""
    if name in ("location", "mail_location", "mail"):
        return location(value)
    if name == "prefix":
        for old, new in OWNER_VARIABLES.items():
            value = value.replace(old, new)
    if name.startswith("ssl_"):
        value = value.lstrip("<")
    return {NAMES.get(name, name): value}


def environment(pairs):
    return "import_environment {\n%s}\n" % "".join(
        "  %s = %s\n" % pair for pair in pairs) if pairs else ""


def translate(text):
    """Lines of configuration."""
    lines = []
    for line in text.splitlines():
        match = re.fullmatch(r"(\s*)(\w+) = ?(.*)", line)
        if not match:
            lines.append(line)
            continue
        indent, name, value = match.groups()
        if name == "import_environment":
            words = value.replace("$import_environment", "").split()
            lines.append(environment([
                tuple(word.split("=", 1)) if "=" in word else
                (word, "%%{env:%s}" % word) for word in words]))
            continue
        lines += ["%s%s = %s" % (indent, *pair)
                  for pair in setting(name, value).items()]
    return "".join(line + "\n" for line in lines)


def user_fields(fields):
    """Userdb fields that override settings."""
    found = {}
    for name, value in fields.items():
        if name == "quota_rule":
            for limit in value.split(":")[1:]:
                kind, _, amount = limit.partition("=")
                found[{"storage": "quota_storage_size",
                       "messages": "quota_message_count"}[kind]] = amount
        else:
            # that of a namespace, maybe
            place, mark, name = name.rpartition("/")
            found.update((place + mark + new, text) for new, text in
                         setting(name, value).items())
    return found


def plugin_settings(plugin):
    """What stood in 2.3's section plugin."""
    text = ""
    for name, value in plugin.items():
        ignored = re.fullmatch(r"quota_rule\d+", name) and \
            re.fullmatch(r"(.*/)\*:ignore", value)
        if name == "acl":
            text += "acl_driver = %s\n" % value
        elif name == "acl_shared_dict":
            if value:
                text += "acl_sharing_map {\n  dict file {\n" \
                    "    path = %s\n  }\n}\n" % value.partition(":")[2]
        elif name == "lazy_expunge":
            # only ever a mailbox, no longer a namespace with many
            text += "lazy_expunge_mailbox = %s\n" % (
                value + "INBOX" if value.endswith("/") else value)
        elif ignored:
            # the only such namespace that tests have is the quarantine
            text += "namespace recalled {\n  quota_ignore = yes\n}\n"
        elif name == "zlib_save":
            text += "mail_compress_write_method = %s\n" % value
        elif name == "mail_crypt_global_private_key":
            text += "crypt_global_private_key main {\n" \
                "  crypt_private_key_file = %s\n}\n" % value.lstrip("<")
        elif name == "mail_crypt_global_public_key":
            text += "crypt_global_public_key_file = %s\n" % value.lstrip("<")
        elif name == "mail_crypt_save_version":
            # 2.4 writes nothing but version 2
            continue
        else:
            text += "%s = %s\n" % (name, value)
    return text


def plugin_block(names):
    """Adds to the plugins of the filter around it: a userdb's mail_plugins still
    overrides those."""
    return "mail_plugins {\n%s}" % "".join(
        "  %s = yes\n" % PLUGINS.get(name, name) for name in names if name)


def configuration(node, mode, plugins, imap_plugins, plugin):
    """The whole of it. mode: what the templates take."""
    mode = {
        **mode,
        "vsz_limit": "unlimited" if mode["vsz_limit"] == "0" else
                     mode["vsz_limit"],
        "driver": node.driver, "directory": DIRECTORIES[node.driver],
        "mail_plugins": plugin_block(plugins),
        "imap_plugins": plugin_block(imap_plugins),
        "doveadm_plugins": plugin_block(node.doveadm_plugins),
        "environment": environment(list(node._environment().items())),
    }
    text = CONFIGURATION % mode
    if node.acl:
        text += SHARED_NAMESPACE % mode
    if node.quota:
        text += QUOTA
        plugin = {name: value for name, value in plugin.items()
                  if name not in ("quota", "quota_vsizes", "quota_rule")}
    return text + plugin_settings(plugin) + translate(node.extra)


CONFIGURATION = """\
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
""" + nodeconf.PATHS + """\
auth_allow_cleartext = yes
""" + nodeconf.NAMES + """\
%(environment)smail_debug = %(debug)s
""" + nodeconf.MAIL + """\
mail_driver = %(driver)s
mail_path = ~/%(directory)s
%(mail_plugins)s
doveadm_password = %(doveadm_password)s
doveadm_api_key = %(doveadm_api_key)s
lmtp_save_to_detail_mailbox = no
passdb passwd-file {
  passwd_file_path = %(dir)s/users
}
userdb passwd-file {
  passwd_file_path = %(dir)s/users
}
""" + nodeconf.MAILBOXES + """\
protocol imap {
  %(imap_plugins)s
}
protocol doveadm {
  %(doveadm_plugins)s
}
""" + nodeconf.services("restart_request_count", "unlimited") + \
    nodeconf.HELPERS

SHARED_NAMESPACE = """\
namespace shared {
  type = shared
  separator = /
  prefix = shared/$user/
  mail_path = %%{owner_home}/%(directory)s
  subscriptions = no
  list = children
}
service auth {
  unix_listener auth-userdb {
    mode = 0777
  }
}
"""

# the userdb overrides what stands outside the root
QUOTA = """\
quota_storage_size = 1G
quota "User quota" {
  quota_driver = count
}
"""
