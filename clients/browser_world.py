"""A real browser for people who sign in, and a real web server that lets them in: Debian's Chromium, and Debian's Apache."""

import contextlib
import html
import http.server
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import urllib.parse

import world
from playwright.sync_api import sync_playwright

MODULES = pathlib.Path("/usr/lib/apache2/modules")


class Private:
    """A program of our own, in a folder of its own. Nothing that reads what others send is run as root."""

    def __init__(self, name: str, program: str, package: str):
        self.program, self.process = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"), None
        if not self.program:
            raise RuntimeError(f"{program} is missing: apt-get install {package}")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"tollgate-{name}-"))
        self.user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
        self.own(self.folder)

    def own(self, path: os.PathLike | str):
        """Gives what is at `path` to whoever runs the program."""
        if self.user:
            os.chown(path, 65534, 65534)

    def run(self, *arguments):
        env = {"HOME": str(self.folder), "PATH": os.environ["PATH"]}
        with (self.folder / "log").open("a") as log:
            self.own(log.name)
            self.process = subprocess.Popen([*self.user, self.program, *map(str, arguments)], cwd="/", stdout=log, stderr=log, env=env)

    def wait(self, ready, what: str):
        """Waits until it is ready, and says what it has said where it is not."""
        try:
            return world.wait_for(ready, what, self.process)
        except RuntimeError as error:
            raise RuntimeError(f"{error}:\n{(self.folder / 'log').read_text()}") from error

    def stop(self):
        """Stops it for good."""
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=30)
        # A process that it has started may write still.
        shutil.rmtree(self.folder, ignore_errors=True)


class Chromium(Private):
    """Debian's Chromium without a window, in its sandbox: it is driven from outside, so no other one is fetched."""

    def __init__(self):
        super().__init__("chromium", "chromium", "chromium")
        options = ["--headless=new", "--hide-scrollbars", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
        self.run(*options, "--remote-debugging-port=0", f"--user-data-dir={self.folder}/profile")
        port = self.folder / "profile" / "DevToolsActivePort"
        said = self.wait(lambda: port.exists() and port.read_text().split(), "chromium")
        self.driver = sync_playwright().start()
        self.browser = self.driver.chromium.connect_over_cdp(f"http://127.0.0.1:{said[0]}")

    def person(self, **options):
        """A window of somebody who has never been here."""
        context = self.browser.new_context(locale="en-GB", **options)
        context.set_default_timeout(10_000)
        return context.new_page()

    def stop(self):
        self.browser.close()
        self.driver.stop()
        super().stop()


class Callback:
    """A program on somebody's machine, to which browsers come back. It may send them on to another place."""

    def __init__(self, host: str = "127.0.0.1", onward: str | None = None):
        callback = self
        self.came = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                callback.came.append(self.path)
                body = f"<!doctype html><title>Back</title><p>{html.escape(self.path)}</p>".encode()
                self.send_response(302 if onward else 200)
                headers = {"content-type": "text/html; charset=utf-8", "content-length": len(body), **({"location": onward} if onward else {})}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        self.server = Server((host, 0), Handler)
        self.port = self.server.server_port
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/callback"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


APACHE = """
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/log
LogLevel warn auth_openidc:info
{modules}
TypesConfig /dev/null
AddType text/html .html
AddOutputFilter INCLUDES .html
DocumentRoot {folder}/www
<Directory {folder}/www>
  Options +Includes
  Require all granted
</Directory>

OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {client}
OIDCClientSecret {secret}
OIDCRedirectURI http://localhost:{port}/inside/redirect_uri
OIDCCryptoPassphrase of-this-test
OIDCPKCEMethod S256
OIDCScope "openid profile email groups"
OIDCRemoteUserClaim preferred_username
<Location /inside>
  AuthType openid-connect
  Require valid-user
</Location>
<Location /inside/platform>
  Require claim groups:platform
</Location>
<Location /inside/board>
  Require claim groups:board
</Location>
"""

# What Apache's pages say: it puts in who somebody is.
PAGE = """<!doctype html><title>Inside</title>
<p id="user"><!--#echo var="REMOTE_USER" --></p><p id="email"><!--#echo var="OIDC_CLAIM_email" --></p>
"""


class Apache(Private):
    """Debian's Apache with mod_auth_openidc: pages that only people see whom the gate has signed in."""

    client, secret = "apache", "a-secret-of-the-web-server"

    def __init__(self, port: int):
        super().__init__("apache", "apache2", "apache2 libapache2-mod-auth-openidc")
        self.port, self.url = port, f"http://localhost:{port}"

    def start(self, issuer: str):
        """Starts it, when there is an issuer."""
        names = ["mpm_event", "authn_core", "authz_core", "authz_user", "mime", "include", "auth_openidc"]
        missing = [name for name in names if not (MODULES / f"mod_{name}.so").exists()]
        if missing:
            raise RuntimeError(f"{missing} of apache2 are missing: apt-get install apache2 libapache2-mod-auth-openidc")
        modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in names)
        config = APACHE.format(folder=self.folder, port=self.port, modules=modules, issuer=issuer, client=self.client, secret=self.secret)
        (self.folder / "apache.conf").write_text(config)
        for place in ["inside/index.html", "inside/platform/index.html", "inside/board/index.html", "bye.html"]:
            page = self.folder / "www" / place
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(PAGE if "inside" in place else "<!doctype html><title>Bye</title><p>Bye.</p>")
        self.run("-f", self.folder / "apache.conf", "-DFOREGROUND")
        self.wait(self.answers, "apache")

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def leave(self) -> str:
        """Where people sign out of it."""
        return f"{self.url}/inside/redirect_uri?logout={urllib.parse.quote(self.url + '/bye.html', safe='')}"
