"""What a reload takes besides settings, files that were renewed under their
names, and how soon."""

import http.client
import re
import shutil
import signal
import ssl
import subprocess
import threading

import pytest

from fakedoveadm import FakeDoveadm, row
from mailnode import PATIENCE, build_message
from servicenode import RecallNode, Service
from answers import statuses
from faults import wait_for

USER = "user@example.com"


@pytest.fixture
def service(service_without_node):
    return service_without_node


# nodes

class Doveadm(FakeDoveadm):
    """All users are in error, after before()."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.before = lambda: None

    def command(self, name, parameters):
        rows = []
        if name == "recallExpunge":
            self.asked += parameters["users"]
            self.before()
            rows = [row(user, "error") for user in parameters["users"]]
        return 200, [["doveadmResponse", rows, "1"]]


def test_nodes_while_many_are_looked_at_once_more():
    held, released = threading.Event(), threading.Event()
    users = ["u%d@example.com" % i for i in range(3)]

    def hold():
        if len(old.asked) > len(set(old.asked)) and not held.is_set():
            held.set()
            assert released.wait(PATIENCE)

    with Doveadm() as old, Doveadm() as new, \
            Service(doveadm__url=old.url) as service:
        old.before = hold
        for user in users:
            service.recall(service.token(), "<a@b>", [user], stand="1h")
        assert held.wait(PATIENCE)
        service.set(doveadm__url=new.url)
        assert service.reload() == "reloaded"
        released.set()
        wait_for(lambda: len(set(new.asked)) == 3)
        assert len(old.asked) == 4


# the service's own certificate

def make_certificate(directory, algorithm, days):
    """cert.pem and key.pem, one after the other, as a hook would."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", *algorithm, "-nodes",
         "-keyout", directory / "key.pem", "-out", directory / "cert.pem",
         "-days", str(days), "-subj", "/CN=localhost"],
        check=True, capture_output=True)
    (directory / "key.pem").chmod(0o600)
    return (directory / "cert.pem").read_text()


def shown(port):
    """The certificate that whoever connects now is shown."""
    return ssl.get_server_certificate(("127.0.0.1", port))


def expires(service):
    text = service.curl("/metrics", "-k").body.decode()
    return int(re.search(r"^mail_recalld_certificate_not_after_seconds (\d+)$",
                         text, re.M)[1])


def refused_reload(service, error):
    since = len(service.log())
    service.write_configuration()
    service.process.send_signal(signal.SIGHUP)
    service.wait_log("the settings stay as they are: .*" + error, since)


def test_certificate_that_is_renewed(service):
    first = make_certificate(service.dir, ["rsa:2048"], 2)
    service.set(http__tls_cert_file=service.dir / "cert.pem",
                http__tls_key_file=service.dir / "key.pem")
    service.start()
    assert shown(service.port) == first
    until = expires(service)
    context = ssl.create_default_context(cadata=first)
    context.check_hostname = False
    client = http.client.HTTPSConnection("127.0.0.1", service.port,
                                         context=context)

    def goes_on():
        client.request("GET", "/health/live")
        assert client.getresponse().read() == b'{"live": true}'

    goes_on()
    connected = client.sock
    assert service.reload() == "reloaded"
    assert "the new certificate" not in service.log()
    for algorithm in ["rsa:2048"], ["ec", "-pkeyopt",
                                    "ec_paramgen_curve:P-256"]:
        new = make_certificate(service.dir, algorithm, 90)
        assert service.reload() == "reloaded"
        assert shown(service.port) == new
        goes_on()
        assert client.sock is connected
    assert "clients are shown the new certificate" in service.log()
    assert "a restart is needed" not in service.log()
    assert expires(service) > until + 80 * 86400
    # in other files
    other = service.dir / "other"
    other.mkdir()
    last = make_certificate(other, ["rsa:2048"], 30)
    service.set(http__tls_cert_file=other / "cert.pem",
                http__tls_key_file=other / "key.pem")
    assert service.reload() == "reloaded"
    assert shown(service.port) == last
    goes_on()


def test_new_certificate_that_is_none(service):
    """Half of a renewal, or one that was cut off: the old one stays."""
    cert = service.dir / "cert.pem"
    first = make_certificate(service.dir, ["rsa:2048"], 2)
    service.set(http__tls_cert_file=cert,
                http__tls_key_file=service.dir / "key.pem")
    service.start()
    good = (service.dir / "key.pem").read_bytes()
    make_certificate(service.dir, ["rsa:2048"], 2)
    (service.dir / "key.pem").write_bytes(good)
    refused_reload(service, "is not the key")
    assert shown(service.port) == first
    # the first of the chain is whole
    cert.write_text(first + first[:200] + first[-28:])
    refused_reload(service, "http.tls_cert_file, http.tls_key_file: ")
    cert.unlink()
    refused_reload(service, "No such file")
    assert shown(service.port) == first
    cert.write_text(first)
    assert service.reload() == "reloaded"


@pytest.mark.parametrize("on", [True, False])
def test_tls_is_turned_on_and_off_by_a_restart(service, certificates, on):
    tls = {"http__tls_%s_file" % name: certificates / (name + ".pem")
           for name in ("cert", "key")}
    if not on:
        service.set(**tls)
    service.start()
    service.set(**(tls if on else dict.fromkeys(tls)))
    assert service.reload() == "reloaded"
    assert "http.tls_cert_file: a restart is needed" in service.log()
    done = subprocess.run(
        ["curl", "-sk", "http%s://127.0.0.1:%d/health/live" % (
            "" if on else "s", service.port)], capture_output=True, text=True)
    assert done.stdout == '{"live": true}'


# what others are believed by

def openssl(directory, *args):
    subprocess.run(["openssl", *map(str, args)], check=True,
                   capture_output=True, cwd=directory)


def make_ca(directory):
    """A CA, ca.pem, and a certificate of it for this host."""
    openssl(directory, "req", "-x509", "-newkey", "rsa:2048", "-nodes",
            "-keyout", "ca.key", "-out", "ca.pem", "-days", 2, "-subj",
            "/CN=ca")
    openssl(directory, "req", "-newkey", "rsa:2048", "-nodes", "-keyout",
            "key.pem", "-out", "request", "-subj", "/CN=localhost")
    (directory / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(directory, "x509", "-req", "-in", "request", "-CA", "ca.pem",
            "-CAkey", "ca.key", "-CAcreateserial", "-days", 2, "-extfile",
            "ext", "-out", "cert.pem")
    return (directory / "ca.pem").read_text()


@pytest.fixture
def tls_node(tmp_path):
    make_ca(tmp_path)
    extra = ("ssl = yes\nssl_cert = <%s\nssl_key = <%s\n"
             "service doveadm {\n  inet_listener http {\n    ssl = yes\n"
             "  }\n}\n" % (tmp_path / "cert.pem", tmp_path / "key.pem"))
    with RecallNode(users=[USER], extra=extra) as node:
        yield node


def recall(service, node, messageid):
    node.lmtp_deliver([USER], build_message(messageid))
    answer = service.recall(service.token(), messageid, [USER])
    return answer.status, statuses(answer)[USER]


def over_tls(node, ca, **kwargs):
    return Service(node, doveadm__url=node.http_url.replace("http:", "https:"),
                   doveadm__ca_file=ca, **kwargs)


def test_ca_of_nodes_that_is_another_one(tls_node, tmp_path):
    """The nodes' certificates are of a new CA: none is believed by the old file,
    and all by the new one, also on connections that were kept."""
    believed = tmp_path / "believed.pem"
    believed.write_text((tmp_path / "ca.pem").read_text())
    with over_tls(tls_node, believed) as service:
        assert recall(service, tls_node, "<1@ca>") == (200, "expunged")
        believed.write_text(make_ca(tmp_path))
        assert service.reload() == "reloaded"
        # what has not been renewed yet is not believed any more
        assert recall(service, tls_node, "<2@ca>") == (502, "error")
        tls_node.doveadm("reload")
        wait_for(lambda: shown(tls_node.http_port) ==
                 (tmp_path / "cert.pem").read_text())
        assert recall(service, tls_node, "<3@ca>") == (200, "expunged")


def test_ca_of_the_system_is_not_believed_beside_those_of_the_file(
        tls_node, tmp_path, certificates):
    system = tmp_path / "system"
    system.mkdir()
    # as libcurl is told of them by Debian: a directory and a file
    shutil.copy(tmp_path / "ca.pem", system)
    shutil.copy(tmp_path / "ca.pem", system / "ca-certificates.crt")
    openssl(system, "rehash", ".")
    wrapper = ["unshare", "--mount", "sh", "-c", "mount --bind '%s' "
               "/etc/ssl/certs && exec \"$@\"" % system, "sh"]
    if subprocess.run([*wrapper, "true"], capture_output=True).returncode:
        pytest.skip("there can be no mounts")
    with over_tls(tls_node, certificates / "cert.pem",
                  wrapper=wrapper) as service:
        assert recall(service, tls_node, "<1@ca>") == (502, "error")
        # it is a good one for who believes the system
        service.set(doveadm__ca_file=None)
        assert service.reload() == "reloaded"
        assert recall(service, tls_node, "<2@ca>") == (200, "expunged")
