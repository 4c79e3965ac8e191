"""mail-recalld: settings that would give a secret away, or fail only later."""

import os
import subprocess

import pytest

from mailnode import BATCH_MAX, DOVECOT_24
from servicenode import JWT_KEY, RecallNode, Service

USER = "user@example.com"
# 2.4 refuses settings that contradict each other
TLS_ONLY = "auth_allow_cleartext = no\n" if DOVECOT_24 else ""


# a certificate of 2026 and its key, for one test
EXPIRED = """\
-----BEGIN CERTIFICATE-----
MIIBcDCCARegAwIBAgIUAcsJjbaaUTwSMqJG7nu4iHmYU2QwCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDb2xkMB4XDTI2MTEyODE4NTE0N1oXDTI2MTEyNzE4NTE0N1ow
DjEMMAoGA1UEAwwDb2xkMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEi0ds/KMb
6N+TJE/uEuGuExaoaeUKXtXg6NpDXF+tRyKTOB0SkwO1w6vt9TrAKP8hGuMZpw2m
OE5Fp/4eTZ7V/KNTMFEwHQYDVR0OBBYEFDagOmRq7/ZemQz7/rEQuYBNjHHoMB8G
A1UdIwQYMBaAFDagOmRq7/ZemQz7/rEQuYBNjHHoMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDRwAwRAIgZNS2XQI7R5aS919NdOux2+R18RwS9BmJPpbN5X3j
68ECIGD3/ntfNFnpItbj5Avq55/7AsaGRi5krUIyumpqQtuL
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+GN3b26gVY6Y66aD
W09pKjL0LtnpkIzVnMwe2ihIqr6hRANCAASLR2z8oxvo35MkT+4S4a4TFqhp5Qpe
1eDo2kNcX61HIpM4HRKTA7XDq+31OsAo/yEa4xmnDaY4TkWn/h5NntX8
-----END PRIVATE KEY-----
"""


@pytest.fixture(scope="module")
def node(certificates):
    with RecallNode(users=[USER], extra="ssl = required\n" + TLS_ONLY +
                    "ssl_cert = <%s/cert.pem\nssl_key = <%s/key.pem\n" %
                    (certificates, certificates)) as node:
        yield node
        assert node.panics() == []


@pytest.fixture
def service():
    service = Service()
    yield service
    assert service.process is None


def refused(service, *names, **settings):
    service.set(**settings)
    done = service.check_config()
    assert done.returncode == 78, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(names), done.stderr
    for line, name in zip(lines, names):
        assert name in line
    assert JWT_KEY not in done.stderr


def accepted(service, **settings):
    service.set(**settings)
    done = service.check_config()
    assert (done.returncode, done.stderr) == (0, "")


# what others can read

def test_secrets_that_others_can_read(service):
    secret = service.dir / "secret"
    secret.write_text("x" * 40 + "\n")
    for setting, inline in (("auth__jwt_key_file", "auth__jwt_key"),
                            ("doveadm__login_file", "doveadm__login")):
        for mode in 0o644, 0o604:
            secret.chmod(mode)
            refused(service, str(secret), **{setting: secret})
        for mode in 0o640, 0o600, 0o400:
            secret.chmod(mode)
            accepted(service, **{setting: secret})
        service.set(**{setting: None, inline: "y" * 40})


def test_private_keys_that_others_can_read(service, certificates):
    service.set(http__tls_cert_file=certificates / "cert.pem")
    key = certificates / "key.pem"
    accepted(service, http__tls_key_file=key)
    key.chmod(0o644)
    refused(service, str(key))
    service.set(http__tls_cert_file=None, http__tls_key_file=None)
    public = service.dir / "public.pem"
    subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public],
                   check=True, capture_output=True)
    refused(service, str(key), auth__jwt_algorithm="RS256",
            auth__jwt_public_key_file=public, auth__jwt_private_key_file=key)
    key.chmod(0o600)
    accepted(service)


def test_secrets_that_have_more_than_text(service):
    """What follows the octet would be no part of them, and nobody know."""
    secret = service.dir / "secret"
    secret.write_bytes(b"x" * 40 + b"\0" + b"y" * 40 + b"\n")
    secret.chmod(0o600)
    for setting, inline in (("auth__jwt_key_file", "auth__jwt_key"),
                            ("doveadm__login_file", "doveadm__login")):
        refused(service, "%s: has a NUL octet" % secret, **{setting: secret})
        service.set(**{setting: None, inline: "y" * 40})


def test_settings_with_secrets_that_others_can_read(service):
    accepted(service)
    service.conf.chmod(0o644)
    refused(service, str(service.conf))
    # the same secrets from elsewhere
    service.set(auth__jwt_key=None, doveadm__login=None)
    service.environment = {"MAIL_RECALLD_JWT_KEY": JWT_KEY,
                           "MAIL_RECALLD_DOVEADM_LOGIN": "doveadm:secret"}
    accepted(service)


def test_password_of_etcd_that_others_can_read(service, etcd):
    password = service.dir / "password"
    password.write_text("secret")
    refused(service, str(password), etcd__endpoints=etcd.client,
            etcd__user="root", etcd__password_file=password)


# one port for two listeners

@pytest.mark.parametrize("address, health, good", [
    ("127.0.0.1", "127.0.0.1", False), ("::1", "0:0::1", False),
    ("0.0.0.0", "127.0.0.1", False), ("127.0.0.1", "0.0.0.0", False),
    ("::", "127.0.0.1", False), ("::1", "::", False),
    ("127.0.0.1", "127.0.0.2", True), ("127.0.0.1", "::1", True),
    ("0.0.0.0", "::1", True)])
def test_two_listeners_at_one_port(service, address, health, good):
    service.set(http__address=address, http__health_address=health,
                http__port=8025, http__health_port=8025)
    done = service.check_config()
    assert (done.returncode == 0) is good
    assert ("http.health_port: is http.port" in done.stderr) is not good
    service.set(http__health_port=8026)
    assert service.check_config().returncode == 0


# what can be guessed, or is none

def test_short_key(service):
    refused(service, "auth.jwt_key", auth__jwt_key="k" * 31)
    accepted(service, auth__jwt_key="k" * 32)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Pairs of keys, of which one will do; NAME and NAME.pub."""
    directory = tmp_path_factory.mktemp("keys")
    for name, options in (
            ("good", ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
            ("short", ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"]),
            ("ec", ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"])):
        key = directory / name
        subprocess.run(["openssl", "genpkey", "-out", key, "-algorithm",
                        *options], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out",
                        directory / (name + ".pub")], check=True)
    for name in "text", "text.pub":
        (directory / name).write_text("no key\n")
        (directory / name).chmod(0o600)
    return directory


@pytest.mark.parametrize("name", ["short", "ec", "text"])
def test_keys_that_are_not_of_rsa(service, keys, name):
    good = {"auth__jwt_algorithm": "RS256",
            "auth__jwt_public_key_file": keys / "good.pub",
            "auth__jwt_private_key_file": keys / "good",
            "auth__jwt_old_public_key_file": keys / "good.pub"}
    accepted(service, **good)
    for setting in list(good)[1:]:
        wrong = name if "private" in setting else name + ".pub"
        refused(service, setting.replace("__", ".") + ": is not an",
                **{**good, setting: keys / wrong})


def test_bodies_that_never_fit(service):
    for setting in "http__max_bodies", "http__max_bodies_per_caller":
        refused(service, "http.max_body: is more than",
                http__max_body=2000000, **{setting: 1000000})
        service.set(**{setting: None})


@pytest.mark.parametrize("login", ["doveadm", "doveadm:", "admin",
                                   "administrator", "admin:secret"])
def test_login_that_is_a_bare_name(service, etcd, login):
    refused(service, "doveadm.login: is neither doveadm:PASSWORD nor an API "
            "key of 15 octets or more", doveadm__login=login)
    etcd.put("services/doveadm/login", login)
    refused(service, "doveadm.login", etcd__endpoints=etcd.client,
            doveadm__login="doveadm:secret")


@pytest.mark.parametrize("proxies", [
    "10.0.0.0/8", "proxy.example.com", "127.0.0.1:8080", "[::1]",
    "127.0.0.1 fe80::1%eth0", "127.1"])
def test_proxy_that_is_no_address(service, proxies):
    """No client would ever have it."""
    refused(service, "http.trusted_proxies: '%s' is not an IP address" %
            proxies.split()[-1], http__trusted_proxies=proxies)
    accepted(service, http__trusted_proxies="127.0.0.1, ::1 2001:DB8::1")


@pytest.mark.parametrize("nodes, error", [
    ("a = http://127.0.0.1:1/ x.example\nb = http://127.0.0.1:2/ y.example "
     "X.Example\n", "nodes.b: X.Example has a node already"),
    ("a = http://127.0.0.1:1/ x.example\na = http://127.0.0.1:2/ x.example\n",
     "nodes.a: x.example has a node already"),
    ("a = http://127.0.0.1:1/ xn--bcher-kva.example\nb = "
     "http://127.0.0.1:2/ bücher.example\n",
     "nodes.b: bücher.example has a node already"),
    ("a = http://127.0.0.1:1/ @x.example\n",
     "nodes.a: '@x.example' is no URL and no mail domain"),
    ("a = http://127.0.0.1:1/ x.example *.x.example\n",
     "nodes.a: '*.x.example' is no URL and no mail domain"),
    ("a = mail1.example.com:2222 x.example\n",
     "nodes.a: 'mail1.example.com:2222' is no URL and no mail domain"),
    ("a = http://127.0.0.1:1/ .x.example\n",
     "nodes.a: '.x.example' is no URL and no mail domain"),
    ("a = http://127.0.0.1:1/\n", "nodes.a: has no mail domain"),
    ("a =\n", "nodes.a: has no mail domain")])
def test_nodes_of_which_some_would_not_be_asked(service, nodes, error):
    service.text = "[nodes]\n" + nodes
    refused(service, error)


def check_with(service, octets):
    """The settings are good, and these come after them."""
    accepted(service)
    service.conf.write_bytes(service.conf.read_bytes() + octets)
    done = subprocess.run(service.command("--check-config"),
                          capture_output=True, text=True)
    return done.returncode, done.stderr


def test_texts_that_are_not_utf8(service):
    """They could not be shown; a key may be anything."""
    code, error = check_with(service, b"[oidc]\nname = Soci\xe9t\xe9\n")
    assert code == 78 and error.endswith(": oidc.name: is not UTF-8\n")
    assert check_with(service, b"[webhook]\nkey = " + b"\xe9" * 40 +
                      b"\n") == (0, "")


def test_wrong_lines_are_named(service):
    accepted(service)
    lines = len(service.conf.read_text().splitlines())
    code, error = check_with(service, "".join((
        "[http]\n", "prot = 8025\n", "# a comment\n", "workers = many\n",
        "[log]\n", "\n", "level = debug\n", "path = %s\n" % ("x" * 5000),
        "[limit]\n", "users_user = 5\n", "[nodes]\n", "a = b\n",
        "[nodes\n")).encode())
    assert code == 78
    assert error.splitlines() == ["%s:%d: %s" % (
        service.conf, lines + line, text) for line, text in (
        (2, "http.prot: there is no such setting"),
        (4, "http.workers: 'many' is not a number from 1 to 256"),
        (7, "log.level: is there twice"),
        (8, "log.path: is there twice"),
        (10, "limit.users_user: there is no such setting"),
        (13, "the line is neither a [section] nor name = value (or is too "
         "long)"))]
    service.conf.write_text("port = 8025\n")
    done = subprocess.run(service.command("--check-config"),
                          capture_output=True, text=True)
    assert done.stderr == "%s:1: port: stands before any [section]\n" % \
        service.conf


def test_settings_that_cannot_be_read_to_the_end(service):
    code, error = check_with(service, b"[limits]\n\0\nusers_admin = 5\n")
    assert (code, error.splitlines()[0]) == \
        (78, "%s: has a NUL octet" % service.conf)
    directory = service.dir / "directory"
    directory.mkdir()
    command = [str(directory) if arg == str(service.conf) else arg
               for arg in map(str, service.command("--check-config"))]
    assert str(directory) in command
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 78
    assert done.stderr.splitlines()[0] == \
        "read(%s): Is a directory" % directory


def test_batch_that_dovecot_does_not_take(service):
    refused(service, "doveadm.batch", doveadm__batch=BATCH_MAX + 1)
    accepted(service, doveadm__batch=BATCH_MAX)


# what could only fail later

@pytest.mark.parametrize("setting", [
    "doveadm__ca_file", "auth__imap_ca_file", "webhook__ca_file",
    "oidc__ca_file", "etcd__ca_file"])
def test_cas_that_are_none(service, certificates, setting):
    name = setting.replace("__", ".")
    refused(service, name + ": open(/nonexistent)", **{setting: "/nonexistent"})
    refused(service, name + ": /dev/null has no certificate",
            **{setting: "/dev/null"})
    accepted(service, **{setting: certificates / "cert.pem"})


def test_certificate_that_no_server_starts_with(service, certificates, keys):
    cert, key = certificates / "cert.pem", certificates / "key.pem"
    for wrong, error in (
            ((cert, keys / "good"), "http.tls_key_file: is not the key of"),
            ((keys / "text", key), "http.tls_cert_file: has no certificate"),
            ((cert, keys / "text"), "http.tls_key_file: has no private key")):
        refused(service, error, http__tls_cert_file=wrong[0],
                http__tls_key_file=wrong[1])
    # nobody is asked for a passphrase
    locked = service.dir / "locked"
    subprocess.run(["openssl", "pkey", "-in", key, "-out", locked, "-aes128",
                    "-passout", "pass:secret"], check=True)
    locked.chmod(0o600)
    refused(service, "wants a passphrase", http__tls_cert_file=cert,
            http__tls_key_file=locked)
    accepted(service, http__tls_key_file=key)
    # newer openssl makes none that has expired
    old = service.dir / "old"
    old.touch(mode=0o600)
    old.write_text(EXPIRED)
    service.set(http__tls_cert_file=old, http__tls_key_file=old)
    done = service.check_config()
    assert (done.returncode, done.stderr) == (
        0, "warning: http.tls_cert_file: the certificate has expired\n")


@pytest.mark.parametrize("setting, url", [
    ("doveadm__url", "http://doveadm:hidden@127.0.0.1:2222/doveadm/v1"),
    ("nodes__one", "https://hidden@mail1.example.com/ example.com"),
    ("doveadm__behind", "https://mail1.example.com/ https://hidden@mail2/"),
    ("auth__imap_url", "imap://doveadm:hidden@127.0.0.1"),
    ("etcd__endpoints", "http://root:hidden@127.0.0.1:2379")])
def test_url_with_a_login(service, setting, url):
    """URLs are in the log, and hosts of nodes in answers."""
    service.set(**{setting: url})
    done = service.check_config()
    assert done.returncode == 78
    assert ": has a login\n" in done.stderr and "hidden" not in done.stderr


# what others can hear

@pytest.mark.parametrize("setting, allow, url", [
    ("doveadm__url", "doveadm__allow_plaintext",
     "%s://dovecot:2222/doveadm/v1"),
    ("doveadm__url", "doveadm__allow_plaintext",
     "http://127.0.0.1:2222/ %s://192.0.2.1:2222/"),
    ("doveadm__url", "doveadm__allow_plaintext", "%s://[2001:db8::1]/"),
    ("doveadm__url", "doveadm__allow_plaintext",
     "%s://localhost.example.com/"),
    ("nodes__one", "doveadm__allow_plaintext",
     "%s://mail1.example.com/ example.com"),
    ("doveadm__behind", "doveadm__allow_plaintext", "%s://mail1.example.com/"),
    ("auth__imap_url", "auth__imap_allow_plaintext", "%s://mail.example.com"),
    ("auth__imap_url", "auth__imap_starttls", "%s://mail.example.com"),
])
def test_plaintext_to_another_host(service, setting, allow, url):
    scheme = "imap" if "imap" in setting else "http"
    refused(service, allow.replace("__", "."), **{setting: url % scheme})
    accepted(service, **{allow: "yes"})
    accepted(service, **{allow: "no", setting: url % (scheme + "s")})


def test_plaintext_to_etcd_on_another_host(service):
    # nothing is sent
    refused(service, "etcd.allow_plaintext",
            etcd__endpoints="http://etcd.invalid:2379", etcd__timeout=1)
    refused(service, "etcd: ", etcd__allow_plaintext="yes")
    refused(service, "etcd: ", etcd__allow_plaintext="no",
            etcd__endpoints="https://etcd.invalid:2379")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "[::1]",
                                  "localhost", "LocalHost"])
def test_plaintext_on_this_host(service, host):
    accepted(service, doveadm__url="http://%s:2222/doveadm/v1" % host,
             auth__imap_url="imap://%s" % host)


@pytest.mark.parametrize("url", ["https//x", "httpss://x",
                                 "https://", "imaps://x", "//x", "x"])
def test_url_that_is_none(service, url):
    refused(service, "doveadm.url", doveadm__url=url)


def login(service):
    return service.curl("/v2/auth", "-d", "login=" + USER, "-d",
                        "password=secret")


def test_starttls(node, certificates):
    with Service(node, auth__imap_starttls="yes",
                 auth__imap_ca_file=certificates / "cert.pem") as service:
        since = node.log_size()
        assert login(service).status == 200
        node.settle_log()
        assert ", TLS," in node.log(since)
        # an authority that does not know the server
        service.set(auth__imap_ca_file=None)
        assert service.reload() == "reloaded"
        assert login(service).status == 502
        # TLS comes from the setting alone
        service.set(auth__imap_starttls="no")
        assert service.reload() == "reloaded"
        since = node.log_size()
        assert login(service).status == 200
        node.settle_log()
        assert ", TLS," not in node.log(since)


def test_starttls_that_the_server_does_not_have():
    with RecallNode(users=[USER]) as node, \
            Service(node, auth__imap_starttls="yes") as service:
        since = node.log_size()
        assert login(service).status == 502
        node.settle_log()
        assert "user=<" + USER not in node.log(since)
        assert "auth attempts" not in node.log(since) or \
            "no auth attempts" in node.log(since)


# where is written to

def test_files_that_cannot_be_written(service):
    accepted(service)
    # nothing was made by that: it would belong to who checks
    assert service.log() == "" and service.audit() == []
    assert not (service.dir / "service.log").exists()
    assert not (service.dir / "audit.log").exists()
    refused(service, "log.path", "audit.cef_file",
            log__path="/nonexistent/log", audit__cef_file=service.dir)
    refused(service, "audit.cef_file", log__path=None,
            audit__cef_file="/proc/version/x")
    accepted(service, audit__cef_enabled="no")
    refused(service, "audit.syslog_socket", audit__cef_enabled="yes",
            audit__cef_file=None, audit__syslog_socket="/nonexistent/log")
    accepted(service, audit__required="no")


def test_directory_of_the_audit_trail(node, etcd, tmp_path):
    (tmp_path / "logs").mkdir()
    etcd.put("psn/web/logger/cef_filename", "cef")
    etcd.put("psn/web/logger/dir", str(tmp_path / "logs"))
    with Service(node, etcd__endpoints=etcd.client) as service:
        service.recall(service.token(), "<a@b>", [USER])
        assert service.audit() == []
        assert "|recall|" in (tmp_path / "logs/cef").read_text()
        # an absolute name needs no directory
        etcd.put("psn/web/logger/cef_filename", str(tmp_path / "cef"))
        assert service.reload() == "reloaded"
        service.recall(service.token(), "<a@b>", [USER])
        assert "|recall|" in (tmp_path / "cef").read_text()
        etcd.put("psn/web/logger/cef_filename", "cef")
        etcd.put("psn/web/logger/dir", "no/such")
        done = service.check_config()
        assert done.returncode == 78
        assert "/var/log/mail-recalld/no/such/cef" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user to be")
def test_files_that_the_user_cannot_write(service):
    accepted(service, log__path=None)
    trail = service.dir / "audit.log"
    trail.write_text("")
    trail.chmod(0o444)
    service.dir.chmod(0o755)
    service.wrapper = ["setpriv", "--reuid=65534", "--regid=65534",
                       "--clear-groups"]
    service.conf.chmod(0o604)
    service.set(auth__jwt_key=None, doveadm__login=None)
    service.environment = {"MAIL_RECALLD_JWT_KEY": JWT_KEY,
                           "MAIL_RECALLD_DOVEADM_LOGIN": "doveadm:secret"}
    refused(service, "audit.cef_file: open(%s): Permission" % trail)
