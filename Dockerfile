# Dovecot with dovecot-recall, and mail-recalld, on Debian 13:
#
#	docker build -t dovecot-recall .			Dovecot with the plugin
#	docker build -t mail-recalld --target service .		the service
#
# Into an image of your own that has Debian 13's Dovecot (the modules go with
# the version they were built against):
#
#	COPY --from=dovecot-recall /packages/dovecot-recall_*.deb /tmp/
#	RUN apt-get update && apt-get install -y /tmp/dovecot-recall_*.deb
#
# and then add `recall` to mail_plugins: see /etc/dovecot/conf.d/90-recall.conf
# there. ./check --packages trixie does what the first stage and the installation
# do.

FROM debian:trixie-slim AS build
COPY . /src
RUN /src/packaging/build-packages /packages

FROM debian:trixie-slim AS service
COPY --from=build /packages/mail-recalld_*.deb /packages/
RUN apt-get update && \
    apt-get install -y --no-install-recommends /packages/mail-recalld_*.deb && \
    rm -rf /var/lib/apt/lists/* && \
    install -d -o mail-recalld -g mail-recalld -m 700 /var/lib/mail-recalld \
        /var/log/mail-recalld
# Mount the settings at /etc/mail-recalld: they need http.address and
# http.health_address to be reached at, and audit.cef_file or a socket, since there
# is no /dev/log. And a volume for the journal here: a new one takes the owner over.
VOLUME /var/lib/mail-recalld
USER mail-recalld
ENTRYPOINT ["/usr/sbin/mail-recalld", "-c", "/etc/mail-recalld/mail-recall.conf"]

FROM debian:trixie-slim
COPY --from=build /packages/dovecot-recall_*.deb /packages/
RUN apt-get update && \
    apt-get install -y --no-install-recommends dovecot-imapd dovecot-lmtpd \
        /packages/dovecot-recall_*.deb && \
    rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["/usr/sbin/dovecot", "-F"]
