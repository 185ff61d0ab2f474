//! A Valkey or Redis server of a test's own, which keeps nothing on a disk.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// A running server, which ends with the test.
pub(crate) struct Server {
    pub(crate) url: String,
    port: u16,
    process: Child,
}

fn spawn(port: u16) -> Child {
    let server = |name: &str| {
        Command::new(name)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    };
    let started = server("valkey-server").or_else(|_| server("redis-server"));
    started
        .unwrap_or_else(|_| panic!("valkey-server or redis-server is missing: apt-get install redis-server"))
}

impl Server {
    pub(crate) async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { url: format!("redis://127.0.0.1:{port}/"), port, process: spawn(port) };
        server.wait().await;
        server
    }

    /// Kills it and starts it anew: it has forgotten everything.
    pub(crate) async fn restart(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.process = spawn(self.port);
        self.wait().await;
    }

    async fn wait(&self) {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(tokio::time::Instant::now() < deadline, "the server did not start");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
