use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Response, StatusCode};
use k8s_openapi::api::authentication::v1::TokenReview;
use std::sync::Arc;
use tokio::sync::Semaphore;

use super::{cache::ReviewCache, *};

type Cache = ReviewCache<u32, &'static str>;

fn cache(capacity: usize) -> Cache {
    Cache::new(Duration::from_secs(10), Duration::from_secs(5), capacity).unwrap()
}

#[tokio::test(start_paused = true)]
async fn answers_and_refusals_live_their_time_and_errors_not_at_all() {
    let cache = cache(8);
    assert_eq!(cache.get(b"a", || async { Ok(Ok(1)) }).await, (Ok(Ok(1)), false));
    assert_eq!(cache.get(b"b", || async { Ok(Err("no")) }).await, (Ok(Err("no")), false));
    assert_eq!(
        cache.get(b"c", || async { Err(ReviewError::Unreachable) }).await,
        (Err(ReviewError::Unreachable), false)
    );
    assert_eq!(cache.get(b"c", || async { Ok(Ok(3)) }).await, (Ok(Ok(3)), false));
    time::advance(Duration::from_millis(4_999)).await;
    assert_eq!(cache.get(b"a", || async { Ok(Ok(2)) }).await, (Ok(Ok(1)), true));
    assert_eq!(cache.get(b"b", || async { Ok(Ok(2)) }).await, (Ok(Err("no")), true));
    time::advance(Duration::from_millis(1)).await;
    assert_eq!(cache.get(b"b", || async { Ok(Ok(2)) }).await, (Ok(Ok(2)), false));
    time::advance(Duration::from_secs(5)).await;
    assert_eq!(cache.get(b"a", || async { Ok(Ok(2)) }).await, (Ok(Ok(2)), false));
}

#[tokio::test(start_paused = true)]
async fn many_keys_stay_within_the_bound() {
    let cache = cache(100);
    for round in 0..3_u32 {
        for n in 0..5_000_u32 {
            let question = (round, n);
            let bytes = format!("{question:?}");
            if n % 2 == 0 {
                let _ = cache.get(bytes.as_bytes(), || async move { Ok(Ok(n)) }).await;
            } else {
                let _ = cache.get(bytes.as_bytes(), || async { Ok(Err("no")) }).await;
            }
        }
        assert_eq!(cache.sizes(), (100, 100, 0));
        time::advance(Duration::from_secs(3)).await;
    }
    // The newest are those that are left.
    assert_eq!(cache.get(b"(2, 4998)", || async { Ok(Ok(0)) }).await, (Ok(Ok(4998)), true));
    assert_eq!(cache.get(b"(2, 1)", || async { Ok(Ok(0)) }).await, (Ok(Ok(0)), false));
}

#[tokio::test(start_paused = true)]
async fn many_who_wait_ask_once_and_survive_the_first() {
    let cache = Arc::new(cache(8));
    let asked = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Semaphore::new(0));
    let wait = || {
        let (cache, asked, gate) = (cache.clone(), asked.clone(), gate.clone());
        tokio::spawn(async move {
            cache
                .get(b"a", || async move {
                    asked.fetch_add(1, Ordering::SeqCst);
                    gate.acquire().await.unwrap().forget();
                    Ok(Ok(7))
                })
                .await
        })
    };
    let first = wait();
    let others: Vec<_> = (0..20).map(|_| wait()).collect();
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    gate.add_permits(1);
    for other in others {
        let other = time::timeout(Duration::from_secs(1), other).await.expect("one permit is enough");
        assert_eq!(other.unwrap().0, Ok(Ok(7)));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_question_nobody_waits_for_is_asked_anew() {
    let cache = cache(8);
    let never = cache.get(b"a", std::future::pending);
    assert!(time::timeout(Duration::from_secs(1), never).await.is_err());
    assert_eq!(cache.get(b"a", || async { Ok(Ok(1)) }).await, (Ok(Ok(1)), false));
}

/// Answers with these codes, one after the other; 200 echoes the review; 0 hangs, 1 breaks off.
fn reviewer(codes: &'static [u16]) -> (Reviewer, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let call = count.fetch_add(1, Ordering::SeqCst);
        async move {
            match codes.get(call).copied().unwrap_or(200) {
                0 => std::future::pending().await,
                1 => Err("connection reset"),
                2 => Ok(Response::new(Body::from(b"not json".to_vec()))),
                200 => {
                    Ok(Response::new(Body::from(request.into_body().collect_bytes().await.unwrap().to_vec())))
                }
                code => {
                    let mut response = Response::new(Body::from(b"{}".to_vec()));
                    *response.status_mut() = StatusCode::from_u16(code).unwrap();
                    Ok::<_, &'static str>(response)
                }
            }
        }
    });
    let client = kube::Client::new(service, "default");
    let config = ReviewConfig { tries: 3, ..ReviewConfig::default() };
    (Reviewer::new("token", "/apis/x", client, config, Metrics::default()), calls)
}

#[tokio::test(start_paused = true)]
async fn retries() {
    for (codes, expected, calls) in [
        (&[200][..], Ok(()), 1),
        (&[500, 200], Ok(()), 2),
        (&[429, 504, 200], Ok(()), 3),
        (&[1, 1, 200], Ok(()), 3),
        (&[500, 500, 503, 200], Err(ReviewError::Code { code: 503, may_pass: true }), 3),
        (&[400, 200], Err(ReviewError::Code { code: 400, may_pass: false }), 1),
        (&[403, 200], Err(ReviewError::Forbidden), 1),
        (&[401, 200], Err(ReviewError::Unauthorized), 1),
        (&[1, 1, 1, 200], Err(ReviewError::Unreachable), 3),
        (&[2, 200], Err(ReviewError::Malformed), 1),
        (&[0, 200], Err(ReviewError::Timeout(Duration::from_secs(10))), 1),
    ] {
        let (reviewer, made) = reviewer(codes);
        let found = reviewer.ask(&TokenReview::default()).await.map(|_| ());
        assert_eq!((found, made.load(Ordering::SeqCst)), (expected, calls), "{codes:?}");
    }
}
