//! What happens to clusters.

use std::time::Duration;

use super::world::{Faults, NAME, SERVICES, World, config};
use crate::{
    config::Config,
    generation::Generation,
    state::{Data, State},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Three replicas whose clocks differ by ten minutes.
const SKEWS: [i64; 3] = [0, 300, -300];

/// Certificates that live for two hours.
fn quick() -> Config {
    config(HOUR * 2, MINUTE * 2, Duration::from_secs(30))
}

/// A world in which quick replicas have been serving for a while.
async fn settled(seed: u64) -> World {
    let world = World::new(seed, quick().publishing.interval);
    SKEWS.into_iter().for_each(|skew| world.add(skew, &quick()));
    world.pass(MINUTE * 5).await;
    assert_same(&world);
    world
}

/// All replicas serve, and the same.
fn assert_same(world: &World) -> Vec<u8> {
    let serving = world.serving();
    let first = serving[0].clone().expect("the first replica serves");
    assert!(serving.iter().all(|other| other.as_ref() == Some(&first)), "all serve the same");
    first
}

fn foreign(world: &World, name: &str) -> Generation {
    Generation::make(&[name.to_owned()], DAY, world.now()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn years_pass() {
    let settings = config(DAY * 90, HOUR * 12, HOUR * 6);
    let world = World::new(1, settings.publishing.interval);
    SKEWS.into_iter().for_each(|skew| world.add(skew, &settings));
    world.pass(DAY * 365 * 3).await;
    assert_same(&world);
    // Renewed every 60 days: 18 times in 1095 days, and once at the start.
    assert_eq!(world.served(), 19);
    for name in SERVICES {
        let bundle = String::from_utf8(world.bundle(name)).unwrap();
        assert!(bundle.matches("BEGIN").count() <= 2, "what ended is gone: {bundle}");
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_race_from_nothing() {
    for seed in 0..12 {
        for replicas in [2, 3] {
            let world = World::new(seed, quick().publishing.interval);
            SKEWS.into_iter().take(replicas).for_each(|skew| world.add(skew, &quick()));
            world.pass(MINUTE).await;
            assert_same(&world);
            assert_eq!(world.served(), 1, "one makes it, the others take it");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_first_replica_serves_within_seconds() {
    let world = World::new(7, quick().publishing.interval);
    world.add(0, &quick());
    world.pass(Duration::from_secs(10)).await;
    assert_same(&world);
}

#[tokio::test(start_paused = true)]
async fn the_secret_is_meddled_with() {
    type Meddle = fn(&World, Data) -> Option<Data>;
    let cases: [(&str, Meddle); 7] = [
        ("deleted", |_, _| None),
        ("emptied", |_, _| Some(Data::new())),
        ("a key is cut off", |_, mut data| {
            data.get_mut("tls.key").unwrap().truncate(40);
            Some(data)
        }),
        ("rubbish", |_, mut data| {
            data.values_mut().for_each(|value| *value = vec![0xff; 100]);
            Some(data)
        }),
        ("a foreign CA", |world, mut data| {
            data.insert("ca.crt".to_owned(), foreign(world, NAME).ca.to_pem().into_bytes());
            Some(data)
        }),
        ("another server's certificate", |world, _| {
            let state = State { serving: Some(foreign(world, "other.monitoring.svc")), next: None };
            Some(state.data().into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
        }),
        ("somebody's own certificate, which is as good", |world, _| {
            let state = State { serving: Some(foreign(world, NAME)), next: None };
            Some(state.data().into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
        }),
    ];
    for (seed, (what, meddle)) in (0_u64..).zip(cases) {
        for restart in [false, true] {
            let world = settled(seed).await;
            let before = assert_same(&world);
            world.put_secret(meddle(&world, world.secret().unwrap()));
            if restart {
                // Nobody remembers what was served.
                (0..world.replicas()).for_each(|index| world.start(index, &quick()));
            }
            world.pass(MINUTE * 10).await;
            assert_ne!(assert_same(&world), before, "{what}, restart {restart}: a new certificate is served");
            assert!(State::read(&world.secret().unwrap(), NAME, world.now()).0.serving.is_some(), "{what}");
            world.pass(HOUR).await;
            assert_same(&world);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_secret_is_gone_and_may_not_be_made() {
    let world = settled(3).await;
    let before = assert_same(&world);
    world.set_faults(Faults { no_secret_creation: true, ..Faults::default() });
    world.put_secret(None);
    world.pass(MINUTE * 30).await;
    assert_eq!(assert_same(&world), before, "what they have they go on with");
    world.put_secret(Some(Data::new()));
    world.pass(MINUTE * 5).await;
    assert_ne!(assert_same(&world), before);
}

#[tokio::test(start_paused = true)]
async fn an_old_secret_comes_back() {
    let world = settled(5).await;
    let backup = world.secret().unwrap();
    world.pass(HOUR + MINUTE * 35).await;
    let renewed = assert_same(&world);
    world.put_secret(Some(backup));
    world.pass(MINUTE * 3).await;
    assert_ne!(assert_same(&world), renewed, "the Secret says what is served");
    world.pass(HOUR * 3).await;
    assert_same(&world);
}

#[tokio::test(start_paused = true)]
async fn api_services_are_meddled_with() {
    for name in SERVICES {
        let world = settled(11).await;
        let before = assert_same(&world);
        world.put_service(name, b"", ("monitoring", "podgauge"));
        world.pass(MINUTE * 3).await;
        let other = foreign(&world, "other.monitoring.svc").ca.to_pem();
        world.put_service(name, other.as_bytes(), ("monitoring", "podgauge"));
        world.pass(MINUTE * 3).await;
        world.put_service(name, b"rubbish", ("monitoring", "podgauge"));
        world.pass(MINUTE * 3).await;
        assert_eq!(assert_same(&world), before, "no reason for another certificate");
        // Somebody else's: not ours to write.
        world.put_service(name, other.as_bytes(), ("monitoring", "prometheus-adapter"));
        world.pass(HOUR * 3).await;
        assert_eq!(world.bundle(name), other.as_bytes());
        assert_same(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn the_api_server_is_away_when_it_is_time_to_renew() {
    let settings = config(DAY * 90, HOUR * 2, HOUR);
    let faults = [
        Faults { away: true, ..Faults::default() },
        Faults { no_secret_writes: true, ..Faults::default() },
        Faults { no_bundle_writes: true, ..Faults::default() },
        Faults { lost_answers: 50, ..Faults::default() },
    ];
    for (seed, faults) in (20_u64..).zip(faults) {
        let world = World::new(seed, settings.publishing.interval);
        SKEWS.into_iter().for_each(|skew| world.add(skew, &settings));
        world.pass(DAY * 60 - HOUR * 12).await;
        let before = assert_same(&world);
        world.set_faults(faults);
        world.pass(DAY).await;
        if faults.lost_answers == 0 {
            assert_eq!(assert_same(&world), before, "{faults:?}");
        }
        world.set_faults(Faults::default());
        world.pass(DAY).await;
        assert_ne!(assert_same(&world), before, "{faults:?}");
        assert_eq!(world.served(), 2, "{faults:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn everything_has_ended_at_the_start() {
    let world = settled(30).await;
    let before = assert_same(&world);
    (0..world.replicas()).for_each(|index| world.stop(index));
    world.pass(DAY).await;
    (0..world.replicas()).for_each(|index| world.start(index, &quick()));
    world.pass(MINUTE).await;
    assert_ne!(assert_same(&world), before, "at once: nobody can be relying on what ended");
    assert_eq!(world.served(), 2);
}

#[tokio::test(start_paused = true)]
async fn replicas_come_and_go_during_a_rotation() {
    for seed in 40..43 {
        let world = settled(seed).await;
        world.pass(MINUTE * 70).await;
        for _ in 0..30 {
            let index = usize::try_from(world.random(3)).unwrap();
            world.start(index, &quick());
            world.pass(Duration::from_secs(20 + world.random(60))).await;
        }
        world.pass(MINUTE * 5).await;
        assert_same(&world);
        assert_eq!(world.served(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn anything_happens() {
    for seed in 100..106 {
        let world = settled(seed).await;
        for _ in 0..50 {
            let index = usize::try_from(world.random(3)).unwrap();
            let service = SERVICES[usize::try_from(world.random(2)).unwrap()];
            match world.random(10) {
                0 => world.start(index, &quick()),
                1 => (0..world.replicas()).for_each(|index| world.start(index, &quick())),
                2 => world.put_secret(None),
                3 => world.put_secret(Some(Data::new())),
                4 => {
                    let mut data = world.secret().unwrap_or_default();
                    let keys: Vec<String> = data.keys().cloned().collect();
                    if !keys.is_empty() {
                        let key = &keys[usize::try_from(world.random(keys.len() as u64)).unwrap()];
                        data.insert(key.clone(), b"rubbish".to_vec());
                    }
                    world.put_secret(Some(data));
                }
                5 => world.put_service(service, b"", ("monitoring", "podgauge")),
                6 => {
                    let mut bundle = world.bundle(service);
                    bundle.extend(foreign(&world, NAME).ca.to_pem().into_bytes());
                    world.put_service(service, &bundle, ("monitoring", "podgauge"));
                }
                7 => world.set_faults(Faults { away: true, ..Faults::default() }),
                8 => {
                    world.set_faults(Faults { no_bundle_writes: true, lost_answers: 20, ..Faults::default() })
                }
                _ => {
                    world.set_faults(Faults { no_secret_writes: true, lost_answers: 20, ..Faults::default() })
                }
            }
            world.pass(MINUTE * u32::try_from(1 + world.random(8)).unwrap()).await;
            world.set_faults(Faults::default());
            world.pass(MINUTE * u32::try_from(1 + world.random(5)).unwrap()).await;
        }
        world.pass(MINUTE * 10).await;
        assert_same(&world);
    }
}
