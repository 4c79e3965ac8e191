"""What the configuration of a node has in both of Dovecot's series; mailnode.py
and config24.py have the rest."""

PATHS = """\
base_dir = %(dir)s/run
state_dir = %(dir)s/state
log_path = %(dir)s/dovecot.log
log_timestamp = "%%Y-%%m-%%d %%H:%%M:%%S "
mail_plugin_dir = %(modules)s
listen = 127.0.0.1
protocols = imap lmtp
ssl = no
"""

NAMES = """\
auth_mechanisms = plain
hostname = node.example.com
postmaster_address = postmaster@example.com
default_internal_user = %(internal_user)s
default_internal_group = %(internal_group)s
default_login_user = %(login_user)s
default_vsz_limit = %(vsz_limit)s
default_process_limit = 50
default_client_limit = 200
"""

MAIL = """\
mail_fsync = %(fsync)s
mail_uid = %(mail_user)s
mail_gid = %(mail_group)s
first_valid_uid = 1
first_valid_gid = 1
"""

MAILBOXES = """\
namespace inbox {
  inbox = yes
  separator = /
  mailbox Sent {
    special_use = \\Sent
  }
  mailbox Drafts {
    special_use = \\Drafts
  }
  mailbox Trash {
    special_use = \\Trash
  }
  mailbox Junk {
    special_use = \\Junk
  }
}
"""

HELPERS = """\
service anvil {
  chroot =
}
service stats {
  chroot =
  unix_listener stats-writer {
    mode = 0666
  }
}
service config {
  unix_listener config {
    mode = 0666
  }
}
service dict {
  unix_listener dict {
    mode = 0666
  }
}
"""

_SERVICES = """\
service imap-login {
  chroot =
  {count} = {unlimited}
  inet_listener imap {
    port = %(imap_port)d
  }
  inet_listener imaps {
    port = 0
  }
}
service imap {
  {count} = %(imap_sessions)s
  process_limit = 100
}
service lmtp {
  inet_listener lmtp {
    port = %(lmtp_port)d
  }
}
service doveadm {
  {count} = %(doveadm_requests)d
  inet_listener http {
    port = %(http_port)d
  }
}
"""


def services(count, unlimited):
    """count is the setting of how many requests a process serves."""
    return _SERVICES.replace("{count}", count).replace("{unlimited}",
                                                       unlimited)
