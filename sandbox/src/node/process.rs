//! One run of a program: a process group of its own, whose output goes to one pipe.

use super::guard::Guard;
use rustix::process::{Pid, Signal};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use tokio::net::unix::pipe;

/// A running process. Dropping it kills its whole group.
#[derive(Debug)]
pub(crate) struct Process {
    child: tokio::process::Child,
    group: Pid,
    guard: Arc<Guard>,
    ended: bool,
}

/// How a process ended, in the terms of a container runtime.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exit {
    /// The exit code; 128 and the signal's number for a process that a signal ended.
    pub(crate) code: i32,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
}

// === impl Process ===

impl Process {
    /// Starts a program with this environment and no other, and answers what it will write.
    pub(crate) fn start(
        program: &Path,
        args: &[String],
        env: &BTreeMap<String, String>,
        guard: Arc<Guard>,
    ) -> io::Result<(Self, pipe::Receiver)> {
        let (output, input) = io::pipe()?;
        let mut command = std::process::Command::new(program);
        command
            .args(args)
            .env_clear()
            .envs(env)
            // Where the sandbox was started is no business of a container.
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(input.try_clone()?)
            .stderr(input)
            .process_group(0);
        let child = tokio::process::Command::from(command).spawn()?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the process has no number"))?;
        guard.add(group);
        let process = Self { child, group, guard, ended: false };
        Ok((process, pipe::Receiver::from_owned_fd(OwnedFd::from(output))?))
    }

    /// The number of the process and of its group.
    pub(crate) fn id(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Waits for its end. What else is left of its group is killed then. Safe to cancel and call again.
    pub(crate) async fn wait(&mut self) -> io::Result<Exit> {
        let status = self.child.wait().await?;
        self.end_group();
        Ok(Exit::from(status))
    }

    /// Sends SIGTERM to the process alone, as a container runtime does: the others are its own concern.
    pub(crate) fn terminate(&self) {
        if !self.ended {
            // It may have ended just now.
            let _ = rustix::process::kill_process(self.group, Signal::TERM);
        }
    }

    /// Sends SIGKILL to the whole group.
    pub(crate) fn kill(&self) {
        if !self.ended {
            // It may have ended just now.
            let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
        }
    }

    fn end_group(&mut self) {
        self.kill();
        if !std::mem::replace(&mut self.ended, true) {
            self.guard.remove(self.group);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end_group();
    }
}

// === impl Exit ===

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        let signal = status.signal();
        let code = status.code().or(signal.map(|signal| 128 + signal)).unwrap_or(255);
        Self { code, signal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    fn shell(script: &str) -> (Process, pipe::Receiver) {
        let guard = Arc::new(Guard::start().unwrap());
        let env = BTreeMap::from([("NAME".to_owned(), "value".to_owned())]);
        Process::start(Path::new("/bin/sh"), &["-c".to_owned(), script.to_owned()], &env, guard).unwrap()
    }

    async fn read(mut output: pipe::Receiver) -> String {
        let mut text = String::new();
        output.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn both_outputs_come_in_order_and_the_environment_is_what_was_given() {
        let (mut process, output) = shell("echo $NAME; echo $HOME.err >&2; echo last; exit 3");
        assert_eq!(read(output).await, "value\n.err\nlast\n");
        assert_eq!(process.wait().await.unwrap(), Exit { code: 3, signal: None });
    }

    #[tokio::test]
    async fn sigterm_reaches_the_process_and_can_be_handled() {
        let (mut process, mut output) = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
        // Not before it is prepared.
        output.read_u8().await.unwrap();
        process.terminate();
        assert_eq!(process.wait().await.unwrap().code, 7);
    }

    #[tokio::test]
    async fn the_end_of_a_process_ends_its_children() {
        let (mut process, output) = shell("sleep 1000 & exit 0");
        assert_eq!(process.wait().await.unwrap().code, 0);
        // The pipe closes when the last process that could write to it has ended.
        assert_eq!(read(output).await, "");
    }

    #[tokio::test]
    async fn a_dropped_process_is_killed_with_its_children() {
        let (process, output) = shell("sleep 1000 & sleep 1000");
        drop(process);
        assert_eq!(read(output).await, "");
    }

    #[tokio::test]
    async fn a_kill_reads_as_137() {
        let (mut process, _output) = shell("sleep 1000");
        process.kill();
        assert_eq!(process.wait().await.unwrap(), Exit { code: 137, signal: Some(9) });
    }
}
