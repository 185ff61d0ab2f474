"""Proxies of one's own in front of applications, which ask the gate who may pass: Debian's nginx, and Debian's Caddy."""

import contextlib
import socket

import browser_world
import world

NGINX = """
daemon off;
pid %(folder)s/pid;
events {}
http {
  access_log off;
  client_body_temp_path %(folder)s/body;
  proxy_temp_path %(folder)s/proxy;
  fastcgi_temp_path %(folder)s/fastcgi;
  uwsgi_temp_path %(folder)s/uwsgi;
  scgi_temp_path %(folder)s/scgi;

  map $http_upgrade $switches { default upgrade; "" close; }
  map $http_cookie $without_visit {
    default $http_cookie;
    "~^(?<before>.*tollgate-visit=)[^;]*(?<after>.*)$" $before-$after;
  }
%(applications)s
}
"""

# Whatever the gate decides by is said here, and nothing of that taken from whoever asks.
NGINX_APPLICATION = """
  server {
    listen 127.0.0.1:%(port)s;
    server_name %(name)s.localhost;

    proxy_set_header Host %(name)s.localhost:%(port)s;
    proxy_set_header X-Forwarded-Uri $request_uri;
    proxy_set_header X-Forwarded-Method $request_method;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header Content-Length "";
    proxy_pass_request_body off;
    proxy_buffer_size 8k;

    location / {
      auth_request /.tollgate/auth;
      error_page 401 403 = @refused;
      auth_request_set $identity $upstream_http_x_tollgate_identity;
      auth_request_set $user $upstream_http_x_forwarded_user;

      proxy_set_header Host %(name)s.localhost:%(port)s;
      proxy_set_header X-Tollgate-Identity $identity;
      proxy_set_header X-Forwarded-User $user;
      proxy_set_header Cookie $without_visit;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $switches;
      proxy_http_version 1.1;
      proxy_pass_request_body on;
      proxy_pass http://127.0.0.1:%(upstream)s;
    }

    location = /.tollgate/auth {
      internal;
      proxy_pass http://127.0.0.1:%(gate)s;
    }

    location @refused {
      rewrite ^ /.tollgate/forward-auth break;
      proxy_pass http://127.0.0.1:%(gate)s;
    }

    location /.tollgate/ {
      proxy_hide_header X-Tollgate-Identity;
      proxy_pass http://127.0.0.1:%(gate)s;
    }
  }
"""

CADDY = """
{
  admin off
  auto_https off
}
%(applications)s
"""

CADDY_APPLICATION = """
http://%(name)s.localhost:%(port)s {
  bind 127.0.0.1
  route {
    reverse_proxy /.tollgate/* 127.0.0.1:%(gate)s {
      header_down -X-Tollgate-Identity
    }
    request_header -X-Tollgate-Identity
    request_header -X-Forwarded-User
    request_header -*_*
    forward_auth 127.0.0.1:%(gate)s {
      uri /.tollgate/forward-auth
      copy_headers X-Tollgate-Identity X-Forwarded-User
    }
    request_header Cookie tollgate-visit=[^;]* tollgate-visit=-
    reverse_proxy 127.0.0.1:%(upstream)s
  }
}
"""


class Proxy(browser_world.Private):
    """A proxy in front of applications, each at a host of its own."""

    name, package = "", ""
    config, application, arguments = "", "", ()

    def __init__(self):
        super().__init__(self.name, self.name, self.package)
        self.port = world.free_port()

    def start(self, gate_port: int, upstreams: dict[str, int]):
        """Starts it before the applications at these ports, when there is a gate to ask."""
        said = [self.application % {"name": name, "port": self.port, "gate": gate_port, "upstream": port} for name, port in upstreams.items()]
        config = self.folder / "config"
        config.write_text(self.config % {"folder": self.folder, "applications": "".join(said)})
        self.run(*self.arguments, config)
        self.wait(self.answers, self.name)

    def answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


class Nginx(Proxy):
    """Debian's nginx: it asks with `auth_request`."""

    name, package = "nginx", "nginx"
    config, application, arguments = NGINX, NGINX_APPLICATION, ("-c",)


class Caddy(Proxy):
    """Debian's Caddy: it asks with `forward_auth`."""

    name, package = "caddy", "caddy"
    config, application, arguments = CADDY, CADDY_APPLICATION, ("run", "--adapter", "caddyfile", "--config")
