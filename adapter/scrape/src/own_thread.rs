//! One thread for all scrapes.
//!
//! A scrape is two system calls and some ten microseconds of reading. Among the workers that answer requests each one
//! would wake several of them, which costs as much again; on one thread, those that are due together cost one wake-up.
//! It is no bottleneck: a core reads more than ten thousand pages a second, and large ones are read elsewhere. And who
//! reads the API does not wait behind pages, since the kernel shares out the cores.

use std::{future::Future, io, thread};

use tokio::{runtime, sync::oneshot};
use tokio_util::sync::CancellationToken;

/// Drives `work` on a thread and a runtime of its own, and ends it when dropped; `None` is for that case, in which nobody
/// is left to see it.
///
/// # Errors
/// There is no thread to be had, or no runtime.
///
/// # Panics
/// If the work does.
pub(crate) async fn on_own_thread<T: Send + 'static>(
    name: &str,
    work: impl Future<Output = T> + Send + 'static,
) -> io::Result<Option<T>> {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let (running, ended) = oneshot::channel::<()>();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _running = running;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let done = runtime.block_on(stopped.run_until_cancelled_owned(work));
        // Pages that are being read elsewhere have nobody any more who wants them.
        runtime.shutdown_background();
        Ok(done)
    })?;
    let _stop = stop.drop_guard();
    // Nothing is ever sent: the end is that the sender is gone.
    let _ = ended.await;
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::{future::pending, panic::AssertUnwindSafe, thread};

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn work_is_done_on_its_thread() {
        let name = on_own_thread("own", async { thread::current().name().map(str::to_owned) }).await;
        assert_eq!(name.unwrap().flatten().as_deref(), Some("own"));
    }

    #[tokio::test]
    async fn who_waits_no_more_ends_the_work() {
        let (inside, dropped) = oneshot::channel::<()>();
        let (started, begun) = oneshot::channel();
        let work = tokio::spawn(on_own_thread("own", async move {
            let _inside = inside;
            started.send(()).unwrap();
            pending::<()>().await;
        }));
        begun.await.unwrap();
        work.abort();
        dropped.await.unwrap_err();
    }

    #[tokio::test]
    async fn a_panic_comes_back() {
        let work = on_own_thread("own", async { std::panic::resume_unwind(Box::new("as expected")) });
        let panic = AssertUnwindSafe(work).catch_unwind().await.map(|_: io::Result<Option<()>>| ());
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"as expected"));
    }
}
