"""Mount namespaces: a process, and those that it starts, find another
directory at a path that is compiled into them. Nothing changes for the rest
of the system, and nothing is left when the last of the processes ends.

As root, or as anyone where the kernel lets users have namespaces."""

import functools
import os
import subprocess


def with_directory(source, target):
    """What a command is preceded by to see source at target. It is the
    process started, nothing stays in between."""
    bind = 'mount --rbind "$1" "$2" && shift 2 && exec "$@"'
    if os.geteuid() == 0:
        unshare = ["unshare", "--mount"]
    else:
        # root of a user namespace may mount; one more gives the user back
        unshare = ["unshare", "--map-root-user", "--mount"]
        bind = bind.replace("exec", "exec unshare --map-user=%d "
                            "--map-group=%d --" % (os.geteuid(), os.getegid()))
    return unshare + ["/bin/sh", "-c", bind, "sh", str(source), str(target)]


def of_process(pid):
    """What a command of root's is preceded by to see what that process sees.
    Quicker than another namespace."""
    # entering drops a chroot, and leaves the directory outside
    return ["nsenter", "--mount=/proc/%d/ns/mnt" % pid,
            "--root=/proc/%d/root" % pid, "--wdns=" + os.getcwd()]


@functools.lru_cache(maxsize=None)
def available():
    """False e.g. in a container without CAP_SYS_ADMIN."""
    return subprocess.run(with_directory("/", "/mnt") + ["true"],
                          stdin=subprocess.DEVNULL,
                          capture_output=True).returncode == 0
