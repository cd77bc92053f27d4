#!/usr/bin/python3
"""Real PostgreSQL and MariaDB servers for tests, on free loopback ports.

    with Servers() as s:
        s.postgres_url, s.postgres_password, s.mysql_url, s.mysql_password
        url = s.fresh_postgres("orders")       # a database of its own, made anew

    servers.py run -- COMMAND …   starts both, runs COMMAND with BELFRY_TEST_POSTGRES and
                                  BELFRY_TEST_MYSQL (urls), …_PASSWORD and …_CA (the
                                  certificate they show) set, stops both

Commits are durable as in production (fsync on). The servers run as an unprivileged user, since
PostgreSQL refuses root; their data is in a scratch folder that goes away with them.
"""
import contextlib
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

READY_SECONDS = 60


def postgres_folder():
    """The newest PostgreSQL of the system; Debian keeps its programs out of PATH."""
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"),
                     key=lambda p: int(p.parts[-3]))
    if folders:
        return folders[-1].parent
    found = shutil.which("initdb")
    if not found:
        raise RuntimeError("PostgreSQL is not installed")
    return pathlib.Path(found).parent


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One server process. Subclasses say how it is made, started and asked whether it is ready."""

    user_wanted = None

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.port = free_port()
        self.password = secrets.token_hex(12)
        self.process = None
        self.user = None
        if os.getuid() == 0:
            try:
                self.user = pwd.getpwnam(self.user_wanted)
            except KeyError:
                self.user = pwd.getpwnam("nobody")
        self.folder.mkdir(mode=0o700)
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
        self.folder.chmod(0o711)  # the certificate is for everybody
        self._certificate()

    def _certificate(self):
        """A certificate for 127.0.0.1 that vouches for itself."""
        self.ca, self.key = self.folder / "certificate.pem", self.folder / "key.pem"
        self._run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:prime256v1", "-nodes", "-days", "7", "-subj", "/CN=belfry-test",
                  "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.key, "-out", self.ca)

    def _as_user(self):
        if not self.user:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def _environment(self):
        return {**os.environ, "HOME": str(self.folder), "TMPDIR": str(self.folder),
                "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def _run(self, *command):
        done = subprocess.run([str(c) for c in command], cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              env=self._environment(), **self._as_user())
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stdout.decode(errors='replace')}")

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(c) for c in self._command()], cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=self._environment(), start_new_session=True,
                **self._as_user())
        end = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except ImportError:  # waiting will not bring it
                raise
            except Exception:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{type(self).__name__} did not start:\n"
                                       + self.log.read_text(errors="replace")[-4000:])
                time.sleep(0.02)  # between two looks at the condition

    def stop(self, sig=None):
        """Ends it cleanly; with SIGKILL at once, as a crash would."""
        if not self.process:
            return
        with contextlib.suppress(ProcessLookupError):
            if sig == signal.SIGKILL:
                os.killpg(self.process.pid, sig)
            else:
                self.process.send_signal(sig or self.stop_signal)
        try:
            self.process.wait(READY_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def restart(self, sig=None):
        self.stop(sig)
        self.start()

    def execute(self, sql):
        connection = self.connect()
        try:
            connection.autocommit = True
            with contextlib.closing(connection.cursor()) as cursor:
                cursor.execute(sql)
        finally:
            connection.close()

    def url(self, database):
        return f"{self.scheme}://{self.login}@127.0.0.1:{self.port}/{database}"


class Postgres(Server):
    scheme, login, user_wanted = "postgres", "belfry", "postgres"
    stop_signal = signal.SIGINT  # "fast": ends sessions, keeps the data whole

    def __init__(self, folder):
        super().__init__(folder)
        self.bin = postgres_folder()
        password = self.folder / "password"
        password.write_text(self.password)
        password.chmod(0o644)
        # the cluster itself needs no fsync, it is thrown away if this is cut short
        self._run(self.bin / "initdb", "--no-sync", "-D", self.data, "-U", self.login,
                  f"--pwfile={password}", "--auth=scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8")

    def _command(self):
        return [self.bin / "postgres", "-D", self.data, "-p", self.port, "-k", self.folder,
                "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200",
                "-c", "shared_buffers=128MB", "-c", "max_wal_size=2GB",
                "-c", "deadlock_timeout=50ms",
                "-c", "ssl=on", "-c", f"ssl_cert_file={self.ca}", "-c", f"ssl_key_file={self.key}",
                "-c", "timezone=Asia/Shanghai"]

    def connect(self, database="postgres"):
        import psycopg2
        return psycopg2.connect(host="127.0.0.1", port=self.port, user=self.login,
                                password=self.password, dbname=database)

    def fresh(self, name):
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)


class MariaDB(Server):
    scheme, login, user_wanted = "mysql", "belfry", "mysql"
    stop_signal = signal.SIGTERM

    def __init__(self, folder):
        super().__init__(folder)
        self.socket = self.folder / "s"
        self._run("mariadb-install-db", "--no-defaults", f"--datadir={self.data}",
                  "--auth-root-authentication-method=normal", "--skip-test-db",
                  "--innodb-flush-log-at-trx-commit=0")
        init = self.folder / "init.sql"
        init.write_text(
            f"CREATE USER IF NOT EXISTS '{self.login}'@'%' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL ON *.* TO '{self.login}'@'%';\n"
            "DELETE FROM mysql.global_priv WHERE User = 'root' OR User = '';\n"
            "FLUSH PRIVILEGES;\nCREATE DATABASE IF NOT EXISTS admin;\n")
        init.chmod(0o644)
        self.init = init

    def _command(self):
        # the server's time zone is not UTC and its collation is the usual one: sessions must cope
        return ["mariadbd", "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket}",
                "--bind-address=127.0.0.1", f"--port={self.port}", f"--init-file={self.init}",
                "--innodb-buffer-pool-size=128M", "--innodb-log-file-size=256M",
                f"--ssl-cert={self.ca}", f"--ssl-key={self.key}", f"--ssl-ca={self.ca}",
                "--default-time-zone=+08:00", "--skip-name-resolve", "--max-connections=200"]

    def connect(self, database="admin"):
        import pymysql
        return pymysql.connect(host="127.0.0.1", port=self.port, user=self.login,
                               password=self.password, database=database)

    def fresh(self, name):
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")
        self.execute(f"CREATE DATABASE `{name}`")
        return self.url(name)


class Servers:
    """Both servers, or those named: Servers("postgres")."""

    kinds = {"postgres": Postgres, "mysql": MariaDB}

    def __init__(self, *names):
        self.names = names or tuple(self.kinds)
        self.postgres = self.mysql = None
        self.folder = None

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="belfry-servers-")
        os.chmod(self.folder, 0o711)
        try:
            for name in self.names:
                server = self.kinds[name](pathlib.Path(self.folder) / name)
                setattr(self, name, server)
                server.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in (self.postgres, self.mysql):
            if server:
                server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # the servers' own databases, for those who make theirs themselves
    @property
    def postgres_url(self):
        return self.postgres.url("postgres")

    @property
    def postgres_password(self):
        return self.postgres.password

    @property
    def mysql_url(self):
        return self.mysql.url("admin")

    @property
    def mysql_password(self):
        return self.mysql.password

    def fresh_database(self, name):
        """Makes it anew on every server that runs; the urls by kind."""
        return {kind: getattr(self, kind).fresh(name) for kind in self.names}

    def environment(self):
        variables = dict(os.environ)
        for kind in self.names:
            variables[f"BELFRY_TEST_{kind.upper()}"] = getattr(self, f"{kind}_url")
            variables[f"BELFRY_TEST_{kind.upper()}_PASSWORD"] = getattr(self, kind).password
            variables[f"BELFRY_TEST_{kind.upper()}_CA"] = str(getattr(self, kind).ca)
        return variables


def main(arguments):
    if len(arguments) < 3 or arguments[0] != "run" or arguments[1] != "--":
        print(__doc__, file=sys.stderr)
        return 64
    # a signal must not leave servers behind
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    with Servers() as servers:
        return subprocess.run(arguments[2:], env=servers.environment()).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
