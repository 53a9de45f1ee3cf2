//! What becomes of connections between scrapes.

use super::*;

#[tokio::test]
async fn a_connection_is_used_again() {
    let pod = Pod::new(|stream, seen| keep_serving(stream, seen, ok("", PAGE))).await;
    let mut stage = Stage::new(pod.address, &patient());
    for _ in 0..5 {
        assert_eq!(stage.scrape().await.failure, None);
    }
    assert_eq!(pod.seen.connections.load(Ordering::SeqCst), 1);
    assert_eq!(pod.seen.requests.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn a_connection_that_the_pod_closed_is_replaced() {
    let cases = [
        ("closed after each answer, and said so", ok("Connection: close\r\n", PAGE)),
        ("closed after each answer in silence", ok("", PAGE)),
        ("HTTP/1.0", format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{PAGE}", PAGE.len())),
    ];
    for (what, response) in cases {
        let pod = Pod::sending(response).await;
        let mut stage = Stage::new(pod.address, &patient());
        for n in 1..=3 {
            assert_eq!(stage.scrape().await.failure, None, "{what}");
            assert_eq!(pod.seen.connections.load(Ordering::SeqCst), n, "{what}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_dies_on_the_second_request_is_replaced() {
    let pod = Pod::new(|mut stream, seen| async move {
        stream.write_all(ok("", PAGE).as_bytes()).await.unwrap();
        // Reads the next request and hangs up on it.
        read_request(&mut stream, &seen).await;
    })
    .await;
    let mut stage = Stage::new(pod.address, &patient());
    for _ in 0..3 {
        assert_eq!(stage.scrape().await.failure, None);
    }
    assert_eq!(pod.seen.connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_connection_with_bytes_that_nobody_asked_for_is_not_trusted() {
    let response = format!("{}HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na 1", ok("", PAGE));
    let pod = Pod::new(move |stream, seen| keep_serving(stream, seen, response.clone())).await;
    let mut stage = Stage::new(pod.address, &patient());
    for n in 1..=3 {
        assert_eq!(stage.scrape().await.failure, None);
        assert_eq!(stage.value("messages"), Some(7.0));
        assert_eq!(pod.seen.connections.load(Ordering::SeqCst), n);
    }
}
