//! `bench sign-ins`: what calls notice of people who sign in, and of whoever guesses passwords from many places at once.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::load;
use crate::process::{Server, free_port};

/// Browsers that sign in all the time, each as another user from another address.
const BROWSERS: [usize; 3] = [1, 8, 32];

/// Connections of calls.
const CONNECTIONS: [u32; 2] = [1, 16];

/// Passwords that were sent: each is another user's, from another network.
static TRIED: AtomicU32 = AtomicU32::new(0);

const CALL: &str = r#"{"model":"sim","messages":[{"role":"user","content":"hello"}]}"#;

/// Measures the gate at `gate`, each point for `seconds`.
pub(crate) fn run(gate: &str, seconds: u32) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let _served = start(gate, port, folder.path())?;
    let url = format!("http://127.0.0.1:{port}/v1/chat/completions");
    let mut text = String::from(
        "\n## Sign-ins beside calls\n\nCalls to the built-in simulator, alone and while so many browsers send passwords all the time, each for another user and from another\n\
         address, so that nobody is throttled: what guessing from many machines is. Wrong passwords are hashed as right ones are (Argon2id).\n\n\
         | connections | browsers | passwords/s | calls/s | p50 | p99 |\n|---:|---:|---:|---:|---:|---:|\n",
    );
    for connections in CONNECTIONS {
        load::run(&url, CALL, connections, 1, folder.path())?;
        for browsers in std::iter::once(0).chain(BROWSERS) {
            let guessing = Guessing::begin(port, browsers)?;
            let before = guessing.answered();
            let load = load::run(&url, CALL, connections, seconds, folder.path())?;
            let hashed = load::to_f64(guessing.answered() - before) / f64::from(seconds);
            guessing.end()?;
            writeln!(
                text,
                "| {connections} | {browsers} | {hashed:.0} | {:.0} | {} µs | {} µs |",
                load.per_second,
                load.p50.as_micros(),
                load.p99.as_micros()
            )?;
        }
    }
    Ok(text)
}

fn start(gate: &str, port: u16, folder: &Path) -> Result<Server> {
    let config = folder.join("sign-ins.yaml");
    std::fs::write(
        &config,
        format!(
            "master_key: sk-bench\nsecrets_key: {}\nlisten: 127.0.0.1:{port}\ntrusted_proxies: [127.0.0.1]\n\
             models: {{ sim: [{{ provider: simulator }}] }}\nidentity: {{ url: \"http://localhost:{port}\", server: {{}} }}\n",
            "0123456789abcdef".repeat(4)
        ),
    )?;
    let arguments =
        ["--config", &config.display().to_string(), "--data-dir", &folder.join("data").display().to_string()];
    Server::start(gate, &arguments.map(str::to_owned), &[], port)
}

/// Browsers that send passwords until they are told to stop.
struct Guessing {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    browsers: Vec<JoinHandle<Result<()>>>,
}

impl Guessing {
    fn begin(port: u16, browsers: usize) -> Result<Self> {
        let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let each = (0..browsers).map(|_| {
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            let form = Form::shown(port)?;
            Ok(std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    form.send(port, TRIED.fetch_add(1, Ordering::Relaxed))?;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }))
        });
        let browsers = each.collect::<Result<_>>()?;
        Ok(Self { over, answered, browsers })
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    fn end(self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        for browser in self.browsers {
            browser.join().map_err(|_| anyhow::anyhow!("a browser broke"))??;
        }
        Ok(())
    }
}

/// The page on which people sign in, as one browser was shown it.
struct Form {
    cookie: String,
    next: String,
    token: String,
}

impl Form {
    fn shown(port: u16) -> Result<Self> {
        let page = ask(port, "GET /oauth/sign-in HTTP/1.1\r\n", "")?;
        let between = |before: &str, after: char| {
            let rest = page.split_once(before).map(|(_, rest)| rest);
            rest.and_then(|rest| rest.split_once(after)).map(|(value, _)| value.to_owned())
        };
        let field =
            |name: &str| between(&format!("name=\"{name}\" value=\""), '"').context("the form has changed");
        Ok(Self {
            cookie: between("set-cookie: ", ';').context("no cookie was given")?,
            next: field("next")?,
            token: field("form")?,
        })
    }

    /// Sends a password of a user nobody else sends one of, from where nobody else is.
    fn send(&self, port: u16, number: u32) -> Result<()> {
        let body = format!(
            "next={}&form={}&username=user-{number}&password=not-the-password",
            self.next, self.token
        );
        // Each in a network of its own.
        let [_, a, b, c] = number.to_be_bytes();
        let a = 11 + a;
        let head = format!(
            "POST /oauth/sign-in HTTP/1.1\r\nx-forwarded-for: {a}.{b}.{c}.1\r\ncookie: {}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n",
            self.cookie,
            body.len()
        );
        let answer = ask(port, &head, &body)?;
        // 503 where more wait than may: those are told to come again, and not hashed.
        let status = answer.split(' ').nth(1).unwrap_or_default();
        ensure!(
            matches!(status, "403" | "503"),
            "a sign-in was answered: {}",
            answer.lines().next().unwrap_or_default()
        );
        Ok(())
    }
}

fn ask(port: u16, head: &str, body: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    stream
        .write_all(format!("{head}host: localhost:{port}\r\nconnection: close\r\n\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
