//! The guard of a tool server's program: the gate's own binary, started again, which sets limits, starts the program, and
//! ends it and everything that it has started when it ends or when the gate does, whatever kills the gate.
//!
//! It is told of the gate's death by the kernel (`prctl(2)`, `PR_SET_PDEATHSIG`), and whatever the program leaves behind
//! becomes its own child (`PR_SET_CHILD_SUBREAPER`), so that nothing gets away by forking twice.

use std::collections::HashSet;
use std::io::Write as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, getppid, getrlimit, kill_process,
    set_child_subreaper, set_parent_process_death_signal, setrlimit, wait,
};
use tokio::signal::unix::{SignalKind, signal};
use tollgate_core::config::tools::Command;

/// The hidden command of the binary that runs a guard.
pub const NAME: &str = "child-guard";

/// How often processes are counted.
const EVERY: Duration = Duration::from_secs(1);

/// How often those that are left are killed; each time there may be new ones.
const MOST_ROUNDS: u32 = 1_000;

/// What a guard is told.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The gate's process: where it is another by now, the gate is gone.
    pub parent: u32,
    /// The most processes at once.
    pub processes: u32,
    /// The most memory that each may have, in bytes.
    pub memory_bytes: Option<u64>,
    /// The program and its arguments.
    pub line: Vec<String>,
}

/// The arguments with which the binary guards `command`; the command's own come behind them.
pub(super) fn arguments(command: &Command) -> Vec<String> {
    let mut arguments = vec![NAME.to_owned()];
    let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    add("--parent", std::process::id().to_string());
    add("--processes", command.processes.to_string());
    if let Some(memory) = command.memory_bytes {
        add("--memory-bytes", memory.to_string());
    }
    arguments.push("--".to_owned());
    arguments
}

/// Tells a guard to end.
pub(super) fn terminate(id: Option<u32>) {
    let Some(pid) = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) else { return };
    // It may have ended by itself just now.
    let _ = kill_process(pid, Signal::TERM);
}

/// Guards a program until it has ended, and returns the status to end with.
pub fn run(guard: &Guard) -> std::io::Result<i32> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    // The gate may have died before the kernel was asked to tell.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != i32::try_from(guard.parent).ok() {
        return Ok(1);
    }
    set_child_subreaper(Some(getpid()))?;
    limit(Resource::Core, 0)?;
    if let Some(memory) = guard.memory_bytes {
        // What is written to counts, and not what is only set aside: Node sets aside more than any limit that makes sense.
        limit(Resource::Data, memory)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(async {
        let status = watch(guard).await;
        end_all().await;
        status
    });
    Ok(status?.and_then(|status| status.code()).unwrap_or(1))
}

/// Says what is wrong where the program's standard error goes: into the gate's log.
fn say(what: &str) {
    // Where nobody reads it there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Lowers a limit; what is lower already stays.
fn limit(resource: Resource, most: u64) -> std::io::Result<()> {
    let now = getrlimit(resource);
    let lower = |limit: Option<u64>| Some(limit.map_or(most, |limit| limit.min(most)));
    setrlimit(resource, Rlimit { current: lower(now.current), maximum: lower(now.maximum) })?;
    Ok(())
}

/// Runs the program until it ends, or until it must.
async fn watch(guard: &Guard) -> std::io::Result<Option<ExitStatus>> {
    let (mut terminated, mut interrupted) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut line = guard.line.iter();
    let program = line.next().map_or("", String::as_str);
    let mut child = match tokio::process::Command::new(program).args(line).process_group(0).spawn() {
        Ok(child) => child,
        Err(error) => {
            say(&format!("{program}: {error}"));
            return Ok(None);
        }
    };
    loop {
        tokio::select! {
            status = child.wait() => return status.map(Some),
            _ = terminated.recv() => return Ok(None),
            _ = interrupted.recv() => return Ok(None),
            () = tokio::time::sleep(EVERY) => {
                let count = descendants().len();
                if count > guard.processes as usize {
                    say(&format!("{program}: {count} processes are more than {} (processes): it is ended", guard.processes));
                    return Ok(None);
                }
            }
        }
    }
}

/// Ends everything that was started from here, and is left.
async fn end_all() {
    for _ in 0..MOST_ROUNDS {
        let left = descendants();
        for pid in &left {
            // It may have ended by itself just now.
            let _ = kill_process(*pid, Signal::KILL);
        }
        // What has ended is taken note of: until then it is there.
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Ends everything that a guard guards which does not end by itself, so that nothing is left when it is killed.
pub(super) fn kill_all(id: Option<u32>) {
    let Some(pid) = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) else { return };
    for descendant in descendants_of(pid) {
        // It may have ended by itself just now.
        let _ = kill_process(descendant, Signal::KILL);
    }
}

/// Every process that was started from here.
fn descendants() -> HashSet<Pid> {
    descendants_of(getpid())
}

fn descendants_of(pid: Pid) -> HashSet<Pid> {
    let mut found = HashSet::new();
    let mut ahead = vec![pid];
    while let Some(pid) = ahead.pop() {
        for child in children(pid) {
            if found.insert(child) {
                ahead.push(child);
            }
        }
    }
    found
}

/// The children of a process (`proc_pid_task(5)`, `children`).
fn children(pid: Pid) -> Vec<Pid> {
    let tasks = format!("/proc/{}/task", pid.as_raw_nonzero());
    let Ok(tasks) = std::fs::read_dir(tasks) else { return Vec::new() };
    let listed =
        tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let numbers: Vec<i32> = listed
        .flat_map(|text| text.split_whitespace().filter_map(|n| n.parse().ok()).collect::<Vec<_>>())
        .collect();
    numbers.into_iter().filter_map(Pid::from_raw).collect()
}
