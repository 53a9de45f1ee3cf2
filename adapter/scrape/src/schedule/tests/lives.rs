//! Targets that come and go, hang and are let go of.

use proptest::prelude::*;
use tokio::time::timeout;

use super::*;

#[tokio::test(start_paused = true)]
async fn hanging_targets_do_not_keep_the_others_waiting() {
    let mut stage = stage(20);
    stage.start(&names("hanging", 300)).await;
    // Until each of them has hung once, they look like any other.
    seconds(200).await;
    stage.start(&names("fast", 50)).await;
    seconds(300).await;
    for name in names("fast", 50) {
        let starts = stage.starts(&name);
        assert!(starts[0] - 200.0 < 1.0, "{name} waited until {}", starts[0]);
        for pair in starts[1..].windows(2) {
            assert!((pair[1] - pair[0] - 15.0).abs() < 1.0, "{name}: {starts:?}");
        }
        assert!(starts.len() >= 20);
    }
    stage.log(|log| assert!(log.most_under_way <= 20));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_gone_is_let_go_of_midway() {
    let mut stage = stage(100);
    stage.start_one("slow").await;
    stage.start_one("fast").await;
    seconds(3).await;
    stage.stop("slow").await;
    stage.stop("fast").await;
    sleep(Duration::from_millis(10)).await;
    stage.log(|log| {
        let slow = log.scrapes.iter().find(|(name, ..)| name == "slow").unwrap();
        assert!(slow.2.unwrap() < Duration::from_millis(3_010), "it went on until {:?}", slow.2);
        assert_eq!(log.slots_dropped, 2);
    });
    seconds(100).await;
    stage.log(|log| assert_eq!(log.scrapes.len(), 2));
}

/// What happens to the set of targets.
#[derive(Clone, Debug)]
enum Step {
    Start(usize),
    Stop(usize),
    Changed(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..12usize).prop_map(Step::Start),
        2 => (0..12usize).prop_map(Step::Stop),
        2 => (0..12usize).prop_map(Step::Changed),
        4 => (0..20_000u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes and goes: no target is scraped while it is not one, none twice at a time, and never more at a
    /// time than allowed; and none is forgotten.
    #[test]
    fn targets_are_scraped_exactly_while_they_live(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut stage = stage(4);
            let name = |n: usize| format!("{}-{n}", BEHAVIOURS[n % BEHAVIOURS.len()].0);
            // For each pod, the spans in which it was one.
            let mut lives: HashMap<String, Vec<(Duration, Duration)>> = HashMap::new();
            for step in steps {
                let now = stage.fake.start.elapsed();
                match step {
                    Step::Start(n) => {
                        let spans = lives.entry(name(n)).or_default();
                        if spans.last().is_none_or(|(_, end)| *end != Duration::MAX) {
                            spans.push((now, Duration::MAX));
                            stage.start_one(&name(n)).await;
                        }
                    }
                    Step::Stop(n) => {
                        if let Some((_, end)) = lives.entry(name(n)).or_default().last_mut() && *end == Duration::MAX {
                            *end = now;
                            stage.stop(&name(n)).await;
                        }
                    }
                    Step::Changed(n) => {
                        stage.commands.send(Command::Changed(PodKey::new("ns", &name(n)))).await.unwrap();
                    }
                    Step::Wait(millis) => sleep(Duration::from_millis(millis)).await,
                }
            }
            // Longer than any pause and all that can stand in the way.
            seconds(300).await;
            let end = stage.fake.start.elapsed();
            stage.log(|log| {
                assert!(log.most_under_way <= 4);
                for (pod, spans) in &lives {
                    let mut scrapes: Vec<_> = log.scrapes.iter().filter(|(name, ..)| name == pod).collect();
                    scrapes.sort_by_key(|(_, from, _)| *from);
                    for pair in scrapes.windows(2) {
                        assert!(pair[0].2.unwrap() <= pair[1].1, "{pod} was scraped twice at a time");
                    }
                    let tick = Duration::from_millis(5);
                    for (_, from, until) in &scrapes {
                        let until = until.unwrap_or(end);
                        let is_inside = |(birth, death): &(Duration, Duration)| {
                            birth <= from && (*death == Duration::MAX || until <= *death + tick)
                        };
                        assert!(spans.iter().any(is_inside), "{pod} was scraped from {from:?} to {until:?}, in {spans:?}");
                    }
                    if let Some((birth, Duration::MAX)) = spans.last() {
                        let last = scrapes.iter().map(|(_, from, _)| *from).max();
                        assert!(last.is_some_and(|last| last >= *birth && end - last < Duration::from_secs(100)), "{pod} was forgotten");
                    }
                }
            });
        });
    }
}

#[tokio::test(start_paused = true)]
async fn the_loop_comes_round_whatever_targets_do() {
    let mut stage = stage(2);
    stage.start(&names("hanging", 50)).await;
    seconds(60).await;
    assert_ne!(stage.health.stalled(Duration::from_secs(2)), Some("schedule"));
    drop(timeout(Duration::from_secs(1), stage.commands.closed()).await);
}
