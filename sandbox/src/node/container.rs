//! The life of one container: prepared, started, probed, ended, started again.

use super::Shared;
use super::backoff::Waits;
use super::environment::{self, Environment, References};
use super::image;
use super::log::folder_of;
use super::pod::Pod;
use super::prober::{Prober, Unhealthy};
use super::process::{Exit, Process};
use super::spec::{Container, Plan};
use super::status::{Board, Termination};
use crate::apiserver::{Key, known};
use crate::local_client::EventKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long what a container wrote last may take to arrive once all its processes have ended.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// When a container must have ended; `None` while it may go on.
pub(super) type Deadline = watch::Receiver<Option<Instant>>;

/// Runs one container of a pod.
pub(super) struct Runner {
    pub(super) shared: Arc<Shared>,
    pub(super) pod: Arc<Pod>,
    /// Its place in the spec and on the board.
    pub(super) index: usize,
    pub(super) board: Arc<Board>,
    pub(super) deadline: Deadline,
}

/// Everything that starting a program takes.
struct Launch {
    program: PathBuf,
    args: Vec<String>,
    env: Environment,
}

/// Why a container cannot be started yet: the reason and message of its status.
struct NotYet {
    reason: &'static str,
    message: String,
}

// === impl Runner ===

impl Runner {
    /// Runs the container until it is told to end, or has ended for good.
    pub(super) async fn run(mut self) {
        let pod = self.pod.clone();
        let Some(container) = pod.spec.containers.get(self.index) else { return };
        let mut waits = Waits::new(self.shared.config.restart_backoff);
        for run in 0.. {
            let Some((plan, launch)) = self.prepare(container).await else { return };
            self.board.update(self.index, |state| state.restarts = run);
            let started = Instant::now();
            let end = self.run_once(container, plan, &launch, run).await;
            let code = end.exit_code;
            self.board.update(self.index, |state| state.end(end));
            if self.is_to_end() || !pod.spec.restart.restarts(code) {
                return;
            }
            let wait = waits.after(started.elapsed());
            if !wait.is_zero() && self.back_off(container, wait).await {
                return;
            }
        }
    }

    /// Finds out what to run, and waits for what is missing. `None` if it is to end before that is there.
    async fn prepare<'a>(&mut self, container: &'a Container) -> Option<(&'a Plan, Launch)> {
        let mut changes = self.shared.client.changes();
        let mut told = String::new();
        loop {
            if self.is_to_end() {
                return None;
            }
            changes.mark_unchanged();
            match self.launch(container) {
                Ok(found) => return Some(found),
                Err(NotYet { reason, message }) => {
                    if told != message {
                        self.event(container, EventKind::Warning, "Failed", &format!("Error: {message}"));
                        told.clone_from(&message);
                    }
                    self.board.update(self.index, |state| state.wait(reason, message));
                }
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return None },
                ended = self.deadline.changed() => if ended.is_err() { return None },
            }
        }
    }

    fn launch<'a>(&self, container: &'a Container) -> Result<(&'a Plan, Launch), NotYet> {
        let refuse = |reason| move |message: String| NotYet { reason, message };
        let plan = container
            .plan
            .as_ref()
            .map_err(|why| NotYet { reason: "CreateContainerConfigError", message: why.clone() })?;
        let image = image::find(&self.shared.config.images, &container.image).ok_or_else(|| NotYet {
            reason: "ErrImagePull",
            message: format!(
                "the sandbox has no program for image {:?}; it knows {:?}",
                container.image,
                self.shared.config.images.keys().collect::<Vec<_>>()
            ),
        })?;
        let ip = self.pod.ip.get();
        let references = References {
            pod: &self.pod.object,
            pod_ip: ip,
            host_ip: self.shared.network.node_ip(),
            get: &|plural, namespace, name| {
                self.shared.client.get(known("", plural), &Key::new(namespace, name))
            },
        };
        let env = environment::build(&container.spec, image, &references)
            .map_err(refuse("CreateContainerConfigError"))?;
        let (program, args) =
            image::command_line(image, &plan.command, &plan.args).map_err(refuse("RunContainerError"))?;
        let args = args.iter().map(|arg| environment::expand(arg, &env));
        let extra = image.extra_args.iter().map(|arg| environment::with_pod_ip(arg, ip));
        Ok((plan, Launch { program, args: args.chain(extra).collect(), env }))
    }

    /// One run, from start to end.
    async fn run_once(
        &mut self,
        container: &Container,
        plan: &Plan,
        launch: &Launch,
        run: u64,
    ) -> Termination {
        let shared = self.shared.clone();
        let started_at = shared.client.now();
        let image = format!("Container image {:?} already present on machine", container.image);
        self.event(container, EventKind::Normal, "Pulled", &image);
        let process = Process::start(&launch.program, &launch.args, &launch.env, shared.guard.clone());
        let (mut process, output) = match process {
            Ok(started) => started,
            Err(error) => {
                let message = format!("cannot start {}: {error}", launch.program.display());
                self.event(container, EventKind::Warning, "Failed", &format!("Error: {message}"));
                return Termination {
                    exit_code: 128,
                    signal: None,
                    reason: "StartError",
                    message,
                    started_at,
                    finished_at: shared.client.now(),
                    id: String::new(),
                };
            }
        };
        let id = format!("process://{}", process.id());
        self.event(
            container,
            EventKind::Normal,
            "Created",
            &format!("Created container: {}", container.name),
        );
        self.event(container, EventKind::Normal, "Started", &format!("Started container {}", container.name));
        let (startup, readiness) = (plan.startup.is_some(), plan.readiness.is_some());
        self.board.update(self.index, |state| state.run(started_at, id.clone(), startup, readiness));
        let log = tokio::spawn({
            let folder = folder_of(&self.pod.key.namespace, &self.pod.key.name);
            let (shared, container) = (shared.clone(), container.name.clone());
            async move { shared.logs.capture(&folder, &container, run, output).await }
        });
        let exit = self.watch_over(container, plan, &mut process).await;
        // A process of the container that left its group may hold the output open for as long as it likes.
        if tokio::time::timeout(LAST_OUTPUT, log).await.is_err() {
            tracing::warn!(pod = %self.pod.key.name, "a container has ended and its output has not");
        }
        Termination {
            exit_code: exit.code,
            signal: exit.signal,
            reason: if exit.code == 0 { "Completed" } else { "Error" },
            message: String::new(),
            started_at,
            finished_at: shared.client.now(),
            id,
        }
    }

    /// Waits for the end of a process; brings it about when a probe or the pod's deletion asks for it.
    async fn watch_over(&mut self, container: &Container, plan: &Plan, process: &mut Process) -> Exit {
        let (pod, shared, board) = (self.pod.clone(), self.shared.clone(), self.board.clone());
        let field = field(container);
        let prober = Prober {
            plan,
            pod_ip: pod.ip.get(),
            first_probe_after: shared.config.first_probe_after,
            board: &board,
            container: self.index,
            client: &shared.client,
            pod: &pod.object,
            field: &field,
        };
        let unhealthy = tokio::select! {
            exit = process.wait() => return known_exit(exit),
            unhealthy = prober.until_unhealthy() => Some(unhealthy),
            // A sender that is gone is a node that is gone.
            _ = self.deadline.wait_for(Option::is_some) => None,
        };
        let by_probe = match unhealthy {
            Some(Unhealthy { probe, grace }) => {
                let message = format!("Container {} failed {probe} probe, will be restarted", container.name);
                self.event(container, EventKind::Normal, "Killing", &message);
                Some(Instant::now() + grace.unwrap_or(pod.spec.grace))
            }
            None => {
                let message = format!("Stopping container {}", container.name);
                self.event(container, EventKind::Normal, "Killing", &message);
                None
            }
        };
        self.end(process, by_probe, &prober).await
    }

    /// SIGTERM, the grace period, SIGKILL. Readiness is watched to the end, as a kubelet does.
    async fn end(&mut self, process: &mut Process, by_probe: Option<Instant>, prober: &Prober<'_>) -> Exit {
        process.terminate();
        loop {
            let by_deletion = *self.deadline.borrow_and_update();
            let deadline = [by_probe, by_deletion].into_iter().flatten().min();
            // Nobody who said until when: the node is gone.
            let deadline = deadline.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                exit = process.wait() => return known_exit(exit),
                () = tokio::time::sleep_until(deadline) => break,
                changed = self.deadline.changed() => if changed.is_err() { break },
                never = prober.readiness() => match never {},
            }
        }
        process.kill();
        known_exit(process.wait().await)
    }

    /// Waits before the next start; answers whether it is to end instead.
    async fn back_off(&mut self, container: &Container, wait: Duration) -> bool {
        let (name, key) = (&container.name, &self.pod.key);
        let uid = self.pod.uid();
        let pod = format!("{}_{}({uid})", key.name, key.namespace);
        let message = format!("back-off {wait:?} restarting failed container={name} pod={pod}");
        self.board.update(self.index, |state| state.wait("CrashLoopBackOff", message));
        let message = format!("Back-off restarting failed container {name} in pod {pod}");
        self.event(container, EventKind::Warning, "BackOff", &message);
        tokio::select! {
            () = tokio::time::sleep(wait) => false,
            _ = self.deadline.wait_for(Option::is_some) => true,
        }
    }

    fn is_to_end(&self) -> bool {
        self.deadline.borrow().is_some() || self.deadline.has_changed().is_err()
    }

    fn event(&self, container: &Container, kind: EventKind, reason: &str, message: &str) {
        self.shared.client.record("kubelet", &self.pod.object, &field(container), kind, reason, message);
    }
}

fn field(container: &Container) -> String {
    format!("spec.containers{{{}}}", container.name)
}

/// A process whose end cannot be learned has ended badly.
fn known_exit(exit: std::io::Result<Exit>) -> Exit {
    exit.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot learn how a process ended");
        Exit { code: 255, signal: None }
    })
}
