//! Tool servers that are programs: messages are lines of their standard input and output. What they say on their standard
//! error goes to the log.

pub mod shim;

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{broadcast, mpsc};
use tollgate_core::config::tools::{Command, ToolServer};

use super::http::too_large;
use super::pipe::{MOST_OUTGOING, Pipe};
use super::pool::Means;
use super::{Heard, LinkError};

/// What of the gate's environment programs have, besides what the configuration gives them.
const INHERITED: [&str; 24] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "XDG_CACHE_HOME",
];

/// Lines in a row that are no message; a program that only writes these speaks something else.
const MOST_GARBAGE: u32 = 100;

/// The longest line of a program's standard error that is logged, in bytes.
const LONGEST_LOGGED: usize = 1_000;

/// For a program to end by itself once its standard input is closed.
const TO_END: Duration = Duration::from_secs(2);

/// For it to end when it is told to.
const TO_TERMINATE: Duration = Duration::from_secs(3);

/// Starts the program of `server`.
pub(super) fn start(
    means: &Means,
    server: &Arc<ToolServer>,
    command: &Command,
    events: broadcast::Sender<Heard>,
) -> Result<Arc<Pipe>, LinkError> {
    let mut child = spawned(means, command).map_err(|error| {
        let program = command.line.first().map_or("", String::as_str);
        LinkError::NotSent(format!("`{program}` could not be started: {error}"))
    })?;
    let (out, outgoing) = mpsc::channel(MOST_OUTGOING);
    let pipe = Pipe::new(server, out, events);
    let no_pipe = || LinkError::NotSent("the program has no standard input and output".to_owned());
    let (stdin, stdout) = child.stdin.take().zip(child.stdout.take()).ok_or_else(no_pipe)?;
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(log(Arc::clone(server), BufReader::new(stderr)));
    }
    pipe.is_there();
    tokio::spawn(write(Arc::clone(&pipe), stdin, outgoing));
    tokio::spawn(read(Arc::clone(&pipe), stdout, server.limits.message_bytes));
    tokio::spawn(watch(Arc::clone(server), Arc::clone(&pipe), child, means.shim.is_some()));
    Ok(pipe)
}

fn spawned(means: &Means, command: &Command) -> std::io::Result<Child> {
    let mut line = command.line.iter();
    let mut process = match &means.shim {
        Some(shim) => {
            let mut process = tokio::process::Command::new(shim);
            process.args(shim::arguments(command));
            process
        }
        // A program without a guard: only tests start them so.
        None => tokio::process::Command::new(line.next().map_or("", String::as_str)),
    };
    process.args(line);
    process.env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            process.env(name, value);
        }
    }
    for (name, value) in &command.env {
        process.env(name, value.expose());
    }
    if let Some(cwd) = &command.cwd {
        process.current_dir(cwd);
    }
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A signal to the gate's own group, such as Ctrl-C, is not for it.
    process.process_group(0);
    // Its guard ends it with all that it has started; killing the guard would leave them behind.
    process.kill_on_drop(means.shim.is_none());
    process.spawn()
}

/// Writes what is to be sent, until the link is over. Then its standard input ends, which tells the program to end.
async fn write(pipe: Arc<Pipe>, mut stdin: ChildStdin, mut outgoing: mpsc::Receiver<Bytes>) {
    loop {
        let message = tokio::select! {
            message = outgoing.recv() => message,
            () = pipe.until_over() => None,
        };
        let Some(message) = message else { return };
        let written = async {
            // A message is one line (2025-11-25, stdio); in JSON line feeds are nothing but white space.
            for part in message.split(|byte| matches!(byte, b'\n' | b'\r')) {
                stdin.write_all(part).await?;
            }
            stdin.write_all(b"\n").await?;
            stdin.flush().await
        };
        let written = tokio::select! {
            written = written => written,
            () = pipe.until_over() => return,
        };
        if let Err(error) = written {
            pipe.close(&format!("the program does not read any more: {error}"));
            return;
        }
    }
}

/// Reads messages until there are no more.
async fn read(pipe: Arc<Pipe>, stdout: ChildStdout, limit: usize) {
    let mut reader = BufReader::with_capacity(64 << 10, stdout);
    let mut garbage = 0;
    loop {
        let line = tokio::select! {
            line = line(&mut reader, limit) => line,
            () = pipe.until_over() => return,
        };
        let line = match line {
            Ok(Some(line)) => line,
            Ok(None) => return pipe.close("the program ended"),
            Err(error) => return pipe.fail(error),
        };
        if line.trim_ascii().is_empty() {
            continue;
        }
        match pipe.heard(line) {
            Ok(()) => garbage = 0,
            Err(error) => {
                // Many programs print something before they begin.
                tracing::debug!(%error, "a tool server writes what is no message");
                garbage += 1;
                if garbage > MOST_GARBAGE {
                    return pipe.close("the program writes what is no message");
                }
            }
        }
    }
}

/// The next line, without its end; `None` where there are no more.
async fn line(reader: &mut (impl AsyncBufRead + Unpin), limit: usize) -> Result<Option<Bytes>, LinkError> {
    let mut line = BytesMut::new();
    loop {
        let available = reader
            .fill_buf()
            .await
            .map_err(|error| LinkError::Broken(format!("the program cannot be read: {error}")))?;
        if available.is_empty() {
            return Ok((!line.is_empty()).then(|| line.freeze()));
        }
        let end = memchr::memchr(b'\n', available);
        let part = &available[..end.unwrap_or(available.len())];
        if line.len() + part.len() > limit {
            return Err(too_large(limit));
        }
        line.extend_from_slice(part);
        let used = end.map_or(part.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(Some(line.freeze()));
        }
    }
}

/// Logs what the program says on its standard error. It may hold secrets, so it goes nowhere else.
async fn log(server: Arc<ToolServer>, mut stderr: impl AsyncBufRead + Unpin) {
    let secrets = server.secrets();
    // A line that is too long ends here; its rest is logged as a line of its own.
    let mut said = Vec::new();
    loop {
        said.clear();
        let mut limited = tokio::io::AsyncReadExt::take(&mut stderr, LONGEST_LOGGED as u64);
        match limited.read_until(b'\n', &mut said).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(said.trim_ascii_end());
        let text = secrets.iter().fold(text.into_owned(), |text, secret| secret.scrub(text));
        tracing::info!(target: "tollgate::tool_server", server = &*server.name, "{}", tollgate_mcp::hidden::shown(&text));
    }
}

/// Ends the program when the link is over, and the link when the program ends. It is waited for in any case: there are no
/// zombies.
async fn watch(server: Arc<ToolServer>, pipe: Arc<Pipe>, mut child: Child, guarded: bool) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = pipe.until_over() => ended(&mut child, guarded).await,
    };
    let words = status.as_ref().map_or_else(ToString::to_string, ExitStatus::to_string);
    pipe.close(&format!("the program ended ({words})"));
    pipe.is_gone();
    tracing::debug!(server = &*server.name, status = words, "a tool server's program has ended");
}

async fn ended(child: &mut Child, guarded: bool) -> std::io::Result<ExitStatus> {
    if let Ok(status) = tokio::time::timeout(TO_END, child.wait()).await {
        return status;
    }
    if guarded {
        shim::terminate(child.id());
        if let Ok(status) = tokio::time::timeout(TO_TERMINATE, child.wait()).await {
            return status;
        }
        shim::kill_all(child.id());
    }
    child.kill().await?;
    child.wait().await
}
