"""Serves a rendered mailbox by nginx, near or far away: the server is no bottleneck."""

from __future__ import annotations

import grp
import os
import pwd
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from msgspec import Struct

from benchmarks.failure import BenchmarkError
from benchmarks.measure import descendants

#: Seconds within which it has to listen.
PATIENCE = 60.0
#: Open files that it is given at most.
DESCRIPTORS = 200_000

CONFIGURATION = """\
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {temporary}/nginx.pid;
error_log {temporary}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 10000000;
  keepalive_timeout 600s;
  open_file_cache max={cached} inactive=1h;
  open_file_cache_valid 1h;
  client_body_temp_path {temporary}/body;
  proxy_temp_path {temporary}/proxy;
  fastcgi_temp_path {temporary}/fastcgi;
  uwsgi_temp_path {temporary}/uwsgi;
  scgi_temp_path {temporary}/scgi;
  types {{ }}
  server {{
    listen 127.0.0.1:{port} backlog=512;
    root {root};
    set $realm {realm};
    {far}
    location /v4/ {{ default_type application/xml; }}
    location /v4/bank-statements/ {{ default_type text/plain; }}
    location ~ ^/v4/([a-z-]+)$ {{
      default_type application/json;
      try_files /lists/$1/$arg_platform_id/$arg_size-$arg_page.json /lists/empty.json =404;
    }}
    location ~ /accounting-status$ {{ if ($realm = off) {{ return 204; }} }}
    location /auth/ {{
      default_type application/json;
      if ($realm = off) {{
        return 200 '{{"access_token": "benchmark", "expires_in": 86400, "token_type": "Bearer"}}';
      }}
    }}
    location = /requests {{ auth_basic off; stub_status; }}
  }}
}}
"""
#: How nginx is far away: whom it does not know it refuses after `auth_delay`, a timer that costs
#: nothing for as long as it runs, and what is refused is looked up once more as if it were known
#: (ngx_http_core_module, since 1.17.10).
FAR = """\
auth_basic $realm;
    auth_basic_user_file /dev/null;
    auth_delay {milliseconds}ms;
    error_page 401 = @answer;
    location @answer {{ set $realm off; rewrite ^(.*)$ $1 last; }}
"""


class Server(Struct, frozen=True):
    """A running server. origin: its address without a path. pid: of its master process."""

    origin: str
    pid: int

    @property
    def url(self) -> str:
        """The API's base address."""
        return f"{self.origin}/v4"

    @property
    def token_url(self) -> str:
        """Where tokens are had."""
        return f"{self.origin}/auth/token"

    def requests(self) -> int:
        """How many it has answered, this one among them (nginx, ngx_http_stub_status_module)."""
        with urlopen(f"{self.origin}/requests") as answer:
            return int(answer.read().split()[9])

    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        ticks = 0
        for pid in (self.pid, *descendants(self.pid)):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def serve(root: Path, latency: float = 0.0) -> Iterator[Server]:
    """Serve the files below a folder. Raises BenchmarkError where there is no nginx.

    latency: seconds before each answer, to a millisecond; the connection itself takes none.
    """
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise BenchmarkError("nginx is not installed here, and every scenario needs it")
    with tempfile.TemporaryDirectory(prefix="synqup-nginx-") as temporary:
        port = _free_port()
        # Each file of its cache is an open one.
        descriptors = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], DESCRIPTORS)
        configuration = Path(temporary, "nginx.conf")
        configuration.write_text(
            CONFIGURATION.format(
                user=_user(),
                temporary=temporary,
                root=root,
                port=port,
                realm="far" if latency else "off",
                far=FAR.format(milliseconds=round(latency * 1000)) if latency else "",
                descriptors=descriptors,
                cached=descriptors // 2,
            )
        )
        log = Path(temporary, "error.log")
        with subprocess.Popen([program, "-c", configuration, "-e", log]) as master:
            try:
                _wait_for(master, port, log)
                yield Server(f"http://127.0.0.1:{port}", master.pid)
            finally:
                master.terminate()


def _user() -> str:
    """As root the workers would be nobody, who can't read what is ours."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(master: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while master.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise BenchmarkError(f"nginx does not start: {log.read_text() if log.exists() else ''}")
