//! When it is due before reads.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_interval_of_its_own_is_kept_whoever_reads() {
    let mut stage = stage(100);
    stage.start_every(&names("fast", 1), Some(Duration::from_secs(40))).await;
    for _ in 0..20 {
        seconds(15).await;
        stage.read("autoscaler");
    }
    let starts = stage.starts("fast-0000");
    for pair in starts[1..].windows(2) {
        assert!((pair[1] - pair[0] - 40.0).abs() < 0.002, "{starts:?}");
    }
    assert!(starts.len() >= 6, "{starts:?}");
}

/// The wiring; what rhythm is worth in general is the simulation's to show.
#[tokio::test(start_paused = true)]
async fn scrapes_come_before_the_reads_that_are_expected() {
    let mut stage = stage(100);
    let names = names("fast", 50);
    stage.start(&names).await;
    seconds(4).await;
    let mut ages = Vec::new();
    for round in 0..24 {
        // The first read of all comes when the second scrape has its place already.
        if round >= 2 {
            ages.extend(names.iter().map(|name| stage.age(name)));
        }
        stage.read("messages");
        seconds(15).await;
    }
    let worst = ages.iter().copied().fold(0.0, f64::max);
    assert!(worst < 1.0, "{worst} s");
    for name in &names {
        let count = stage.starts(name).iter().filter(|at| **at >= 64.0).count();
        assert!((19..=21).contains(&count), "{count} scrapes in 20 intervals");
    }
    // When nobody has read for long enough, each goes back to its place.
    seconds(300).await;
    let last = names.iter().map(|name| *stage.starts(name).last().unwrap() % 15.0);
    let seconds_in_use: HashSet<u64> = last.map(|at| at as u64).collect();
    assert!(seconds_in_use.len() > 10, "{seconds_in_use:?}");
}

/// Pods that an autoscaler makes, at any time between two of its reads.
#[tokio::test(start_paused = true)]
async fn a_new_pod_is_scraped_before_the_first_read_of_its_workload() {
    for after in [1u64, 3, 6, 9, 12, 14] {
        let mut stage = stage(100);
        stage.start(&names("fast", 5)).await;
        for _ in 0..6 {
            stage.read("messages");
            seconds(15).await;
        }
        stage.read("messages");
        seconds(after).await;
        stage.start_one("fast-new").await;
        seconds(15 - after).await;
        let mut ages = Vec::new();
        for _ in 0..4 {
            ages.push(stage.age("fast-new"));
            stage.read("messages");
            seconds(15).await;
        }
        assert!(ages.iter().all(|age| *age < 1.1), "{ages:?}, {after} s after a read");
        let starts = stage.starts("fast-new");
        assert!(starts.len() <= 6, "{starts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_flag_reads_change_nothing() {
    let mut starts = Vec::new();
    for reads in [true, false] {
        let mut stage = stage_with(100, 0);
        stage.start_one("fast").await;
        for _ in 0..20 {
            seconds(15).await;
            if reads {
                stage.read("messages");
            }
        }
        starts.push(stage.starts("fast"));
    }
    assert_eq!(starts[0], starts[1]);
}
