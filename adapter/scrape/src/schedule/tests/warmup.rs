//! When each target of the first list was tried.

use super::*;

#[tokio::test(start_paused = true)]
async fn warm_when_each_of_the_first_list_was_tried() {
    let mut stage = stage(100);
    stage.start_one("fast").await;
    stage.start_one("refusing").await;
    stage.start_one("slow").await;
    seconds(5).await;
    assert!(!stage.health.is_warm(), "the list is not complete");
    stage.commands.send(Command::Synced).await.unwrap();
    seconds(1).await;
    assert!(!stage.health.is_warm(), "one is still being tried");
    seconds(4).await;
    assert!(stage.health.is_warm());
}

#[tokio::test(start_paused = true)]
async fn warm_without_targets_as_soon_as_synced() {
    let stage = stage(100);
    stage.commands.send(Command::Synced).await.unwrap();
    seconds(1).await;
    assert!(stage.health.is_warm());
}

#[tokio::test(start_paused = true)]
async fn warm_when_what_was_not_tried_is_gone_or_had_its_time() {
    let mut stage = stage(2);
    stage.start(&names("hanging", 2)).await;
    stage.start_one("fast").await;
    stage.commands.send(Command::Synced).await.unwrap();
    stage.stop("fast").await;
    seconds(11).await;
    assert!(stage.health.is_warm());

    let mut stage = self::stage(2);
    stage.start(&names("hanging", 1000)).await;
    stage.commands.send(Command::Synced).await.unwrap();
    seconds(24).await;
    assert!(!stage.health.is_warm());
    seconds(2).await;
    assert!(stage.health.is_warm());
}
