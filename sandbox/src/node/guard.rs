//! The guard: ends the pods' processes when the sandbox itself is ended without a chance to do so.
//!
//! A small shell process knows the process group of each container from its standard input. That pipe closes when the
//! sandbox's process ends, however it ends, SIGKILL included; the guard then kills every group that is still listed, and
//! ends. On an orderly shutdown the list is empty by then.
//!
//! What it cannot do: a sandbox that is killed in the instant between starting a process and listing it leaves that one.

use rustix::process::Pid;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Reads `+ GROUP` and `- GROUP` until the end of input, then kills the groups that were added and not removed.
const SCRIPT: &str = r#"
groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) case $groups in
         *" $group "*) groups="${groups%%" $group "*} ${groups#*" $group "}" ;;
       esac ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
"#;

/// A running guard. When it is dropped, the groups that are listed are killed.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
    list: Mutex<ChildStdin>,
}

// === impl Guard ===

impl Guard {
    /// Starts the guard in a process group of its own, so that Ctrl-C at a terminal does not reach it.
    pub(crate) fn start() -> io::Result<Self> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "sandbox-guard"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let stdin = child.stdin.take().ok_or_else(|| io::Error::other("the guard has no standard input"))?;
        Ok(Self { child, list: Mutex::new(stdin) })
    }

    /// Lists a process group.
    pub(crate) fn add(&self, group: Pid) {
        self.tell('+', group);
    }

    /// Takes a process group off the list, because it has ended.
    pub(crate) fn remove(&self, group: Pid) {
        self.tell('-', group);
    }

    fn tell(&self, sign: char, group: Pid) {
        let line = format!("{sign} {}\n", group.as_raw_nonzero());
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = list.write_all(line.as_bytes()) {
            tracing::warn!(%error, "the guard is gone: processes would outlive a sandbox that is killed");
        }
    }

    /// Waits until the guard has ended, which it does once its input is closed.
    pub(crate) fn close(self) {
        let Self { mut child, list } = self;
        drop(list);
        // There is nothing to be done about a guard that cannot be waited for.
        let _ = child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    /// A process that stays, in a group of its own.
    fn sleeper() -> (Child, Pid) {
        let child = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let group = Pid::from_child(&child);
        (child, group)
    }

    #[test]
    fn what_is_listed_when_the_pipe_closes_is_killed_and_nothing_else() {
        let guard = Guard::start().unwrap();
        let (mut listed, group) = sleeper();
        let (mut removed, other) = sleeper();
        guard.add(other);
        guard.add(group);
        guard.remove(other);
        // All that the guard learns of our end is that its input ends.
        guard.close();
        assert_eq!(listed.wait().unwrap().signal(), Some(9));
        assert!(removed.try_wait().unwrap().is_none(), "it was taken off the list");
        removed.kill().unwrap();
        removed.wait().unwrap();
    }
}
