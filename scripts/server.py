"""A server for the scripts: nobody's throwaway, Airlock is a guest there."""
import os
import pwd
import shutil
import socket
import subprocess

BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), ".cache/postgres/15/bin")


class Server:
    """Made anew in a folder; `guest` may make databases, and nobody has a password."""

    def __init__(self, place):
        self.user = next((u for u in ("postgres", "nobody") if exists(u)), None) if os.geteuid() == 0 else None
        self.place = place
        if self.user:
            shutil.chown(place, self.user)
        self.run(f"{BIN}/initdb -D {place}/data -U postgres -A trust -N --encoding=UTF8 --locale=C")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        options = f"-k {place} -p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off"
        self.run(f"{BIN}/pg_ctl -w -D {place}/data -l {place}/log -o '{options}' start")
        self.ask("CREATE ROLE guest LOGIN CREATEDB")

    def run(self, command):
        as_user = ["su", "-s", "/bin/sh", self.user, "-c", command] if self.user else ["sh", "-c", command]
        subprocess.run(as_user, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def ask(self, sql):
        psql = ["psql", "-h", self.place, "-p", str(self.port), "-U", "postgres", "-d", "postgres", "-Atc", sql]
        return subprocess.run(psql, check=True, capture_output=True, text=True).stdout.split()

    def stop(self):
        self.run(f"{BIN}/pg_ctl -m immediate -D {self.place}/data stop")


def exists(user):
    try:
        return bool(pwd.getpwnam(user))
    except KeyError:
        return False
