//! When a target is due that nobody reads.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_new_target_is_scraped_at_once_and_then_at_its_place() {
    let mut stage = stage(100);
    seconds(7).await;
    stage.start_one("fast").await;
    seconds(100).await;
    let starts = stage.starts("fast");
    assert_eq!(starts[0], 7.0);
    assert!((7.5..22.5).contains(&(starts[1] - starts[0])), "{starts:?}");
    for pair in starts[1..].windows(2) {
        assert!((pair[1] - pair[0] - 15.0).abs() < 0.002, "{starts:?}");
    }
    assert!(starts.len() >= 6);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_targets_are_spread() {
    let mut stage = stage(10);
    let names = names("fast", 1000);
    stage.start(&names).await;
    seconds(60).await;
    stage.log(|log| {
        assert!(log.most_under_way <= 10);
        // All of them in a second, ten at a time, a millisecond each.
        let first: Vec<_> =
            log.scrapes[..1000].iter().map(|(name, ..)| name).collect::<HashSet<_>>().into_iter().collect();
        assert_eq!(first.len(), 1000);
        assert!(log.scrapes[999].1 < Duration::from_secs(1));
        let in_third_round = |part: u64| {
            let from = Duration::from_secs(30 + 3 * part);
            let until = from + Duration::from_secs(3);
            log.scrapes.iter().filter(|(_, at, _)| (from..until).contains(at)).count()
        };
        let counts: Vec<usize> = (0..5).map(in_third_round).collect();
        assert!(counts.iter().all(|count| (140..=260).contains(count)), "{counts:?}");
        assert_eq!(counts.iter().sum::<usize>(), 1000);
    });
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_up_to_the_limit() {
    let mut stage = stage(100);
    stage.start_one("refusing").await;
    seconds(400).await;
    let starts = stage.starts("refusing");
    let gaps: Vec<f64> = starts.windows(2).map(|pair| (pair[1] - pair[0]).round()).collect();
    // A new one is asked again soon, for a while.
    assert_eq!(gaps[..4], [1.0, 2.0, 4.0, 8.0], "{gaps:?}");
    assert_eq!(gaps[5..8], [60.0, 60.0, 60.0], "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_has_answered_is_not_new_when_it_fails() {
    let mut stage = stage(100);
    stage.start_one("fading").await;
    seconds(300).await;
    let starts = stage.starts("fading");
    let gaps: Vec<f64> = starts.windows(2).map(|pair| (pair[1] - pair[0]).round()).collect();
    assert_eq!(gaps[2..5], [30.0, 60.0, 60.0], "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_pod_ends_back_off() {
    let mut stage = stage(100);
    stage.start_one("refusing").await;
    seconds(200).await;
    let tried = stage.starts("refusing").len();
    while stage.starts("refusing").len() == tried {
        seconds(1).await;
    }
    // In the middle of a pause of a minute.
    let before = tried + 1;
    seconds(30).await;
    assert_eq!(stage.starts("refusing").len(), before);
    stage.commands.send(Command::Changed(PodKey::new("ns", "refusing"))).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(stage.starts("refusing").len(), before + 1);
    // Many changes are no reason to ask more often than usual.
    for _ in 0..50 {
        stage.commands.send(Command::Changed(PodKey::new("ns", "refusing"))).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(stage.starts("refusing").len(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_becomes_ready_is_asked_again_within_a_second() {
    for name in ["fast", "refusing"] {
        let mut stage = stage(100);
        stage.start_one(name).await;
        seconds(60).await;
        let before = stage.starts(name).len();
        stage.commands.send(Command::Ready(PodKey::new("ns", name))).await.unwrap();
        sleep(Duration::from_millis(1100)).await;
        assert!(stage.starts(name).len() > before, "{name}");
        // Over and over is no reason to ask more often than each second.
        let before = stage.starts(name).len();
        for _ in 0..100 {
            stage.commands.send(Command::Ready(PodKey::new("ns", name))).await.unwrap();
            sleep(Duration::from_millis(100)).await;
        }
        let asked = stage.starts(name).len() - before;
        assert!((5..=11).contains(&asked), "{name}: {asked} scrapes in 10 s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_does_not_disturb_what_goes_well() {
    let mut stage = stage(100);
    stage.start_one("fast").await;
    seconds(40).await;
    let before = stage.starts("fast");
    for _ in 0..5 {
        stage.commands.send(Command::Changed(PodKey::new("ns", "fast"))).await.unwrap();
    }
    sleep(Duration::from_millis(100)).await;
    assert_eq!(stage.starts("fast"), before);
}
