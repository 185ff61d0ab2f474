//! A PostgreSQL server of a test's own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running server, which ends with the test.
pub(crate) struct Server {
    pub(crate) url: String,
    process: Child,
    _folder: tempfile::TempDir,
}

/// Where `initdb` and `postgres` are: on the path, or where Debian puts them.
fn binary(name: &str) -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = debian.map(|version| version.path().join("bin").join(name)).collect();
    places.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.extend(std::env::split_paths(&path).map(|folder| folder.join(name)));
    let found = places.into_iter().rfind(|place| place.exists());
    found.unwrap_or_else(|| panic!("{name} is missing: apt-get install postgresql"))
}

/// A command that runs as a user who is not root: PostgreSQL refuses root.
fn unprivileged(program: &PathBuf) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.starts_with(b"0\n"));
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("tollgate-pg-").tempdir().unwrap();
        // The other user must come in.
        std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534)).ok();
        let data = folder.path().join("data");
        let made = unprivileged(&binary("initdb"))
            .args(["--auth=trust", "--username=tollgate", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .current_dir("/")
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "initdb");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = unprivileged(&binary("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"])
            .args(["-p", &port.to_string()])
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Self {
            url: format!("postgres://tollgate@127.0.0.1:{port}/postgres"),
            process: process.unwrap(),
            _folder: folder,
        };
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(tokio::time::Instant::now() < deadline, "postgres did not start");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
