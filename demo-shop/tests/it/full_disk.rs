//! The embedded queue on a disk that really is full: a small tmpfs in a mount namespace of its own, which needs no root
//! where the system lets users have namespaces. Elsewhere this says so and passes; the same is tested on a simulated
//! disk beside the log's code.

use crate::directory::Directory;
use crate::process::{BINARY, Shop};
use crate::suite::{Scene, confirmed, next, settle};
use demo_shop::stomp::connection::ConnectionError;
use demo_shop::stomp::{Command as Stomp, Frame};
use std::io::{self, Write};
use std::process::{Command, Stdio};

/// Becomes the shop, with a tmpfs in the directory that only the shop sees.
const ON_TMPFS: &str = r#"mount -t tmpfs -o size=24m shop "$0" && exec "$1""#;

/// Runs what follows as root of a user namespace, with mounts of its own.
fn in_a_namespace() -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_orders_loses_none_and_recovers() {
    let directory = Directory::new("full");
    let mount = ["sh", "-c", "mount -t tmpfs -o size=1m shop \"$0\"", directory.setting()];
    let possible =
        in_a_namespace().args(mount).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !possible {
        // Past the test harness, which shows what a test prints only when it fails.
        io::stderr().write_all(b"SKIPPED: users may not have mount namespaces here (unshare)\n").unwrap();
        return;
    }
    let mut command = in_a_namespace();
    command.args(["sh", "-c", ON_TMPFS, directory.setting(), BINARY]);
    let settings =
        [("STORE_ENABLED", "no"), ("WORKER_ENABLED", "no"), ("QUEUE_DIRECTORY", directory.setting())];
    let shop = Shop::start_watched(command, &settings, |_| {});
    let scene = Scene::new(&shop.broker(), "full");

    let message = || Frame::new(Stomp::Send).with("destination", "/queue/full").body(vec![b'x'; 60_000]);
    let mut producer = scene.connect().await;
    let mut kept = 0;
    let refused = loop {
        match confirmed(&mut producer, message()).await {
            Ok(()) => kept += 1,
            Err(ConnectionError::Refused(reason)) => break reason,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(refused.starts_with("the queue's disk is full: "), "{refused}");
    assert!(kept > 300, "{kept} messages of 60 kB in 24 MiB");

    // What was confirmed is all there, can be worked off, and makes room.
    let mut consumer = scene.consumer("full", 10).await;
    for _ in 0..kept {
        let message = next(&mut consumer).await;
        assert_eq!(message.body.len(), 60_000);
        confirmed(&mut consumer, settle(Stomp::Ack, &message)).await.unwrap();
    }
    let mut producer = scene.connect().await;
    for again in 0..kept * 3 / 4 {
        let sent = confirmed(&mut producer, message()).await;
        assert!(sent.is_ok(), "{again} of {kept}: {sent:?}");
    }
    assert_eq!(shop.get("/livez").status, 200);
}
