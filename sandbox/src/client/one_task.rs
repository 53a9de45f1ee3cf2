//! A connection whose parts all run on one task.
//!
//! hyper hands a request to HTTP/2 in one task, reads frames in another, and after it has handed one over looks whether the
//! connection takes more. A GOAWAY that was read in between fails the request, which the server answers (hyper 1.12,
//! `ClientTask::poll`). On one task nothing is read in between.

use futures::stream::{FuturesUnordered, StreamExt as _};
use hyper::rt::Executor;
use std::pin::Pin;
use tokio::sync::mpsc;

/// Takes a connection's parts to the task of its [`Parts`].
#[derive(Clone)]
pub(super) struct OneTask(mpsc::UnboundedSender<Part>);

/// The parts that were taken so far.
pub(super) struct Parts(mpsc::UnboundedReceiver<Part>);

type Part = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An executor and what it is to execute.
pub(super) fn one_task() -> (OneTask, Parts) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (OneTask(sender), Parts(receiver))
}

// === impl OneTask ===

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for OneTask {
    fn execute(&self, part: F) {
        // Without the other half the connection is gone, and its parts with it.
        let _ = self.0.send(Box::pin(part));
    }
}

// === impl Parts ===

impl Parts {
    /// Runs `connection` and its parts until all have ended.
    pub(super) async fn run(mut self, connection: impl Future<Output = ()> + Send + 'static) {
        let mut running = FuturesUnordered::<Part>::new();
        running.push(Box::pin(connection));
        loop {
            tokio::select! {
                Some(part) = self.0.recv() => running.push(part),
                Some(()) = running.next() => {}
                else => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::task;

    #[tokio::test(flavor = "multi_thread")]
    async fn all_parts_run_on_the_task_of_the_connection_until_the_last_has_ended() {
        let (executor, parts) = one_task();
        let ran = Arc::new(Mutex::new(Vec::new()));
        let note = move |ran: &Mutex<Vec<task::Id>>| ran.lock().unwrap().push(task::id());
        executor.execute({
            let ran = ran.clone();
            async move { note(&ran) }
        });
        let connection = {
            let ran = ran.clone();
            async move {
                note(&ran);
                executor.execute(async move {
                    task::yield_now().await;
                    note(&ran);
                });
            }
        };
        let task = tokio::spawn(parts.run(connection));
        let id = task.id();
        task.await.unwrap();
        assert_eq!(*ran.lock().unwrap(), [id; 3]);
    }
}
